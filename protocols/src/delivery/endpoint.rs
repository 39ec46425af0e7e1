//! How much an endpoint is given: how many notifications at once, how many a second, and nothing while it is broken.
//!
//! The number at once grows by one for each round of successes and halves when the endpoint is asked for too much. After
//! five failures in a row nothing is sent but a probe, first after 30 s, then twice as long each time.

use std::num::NonZeroU32;

use super::verdict::Health;

/// How many notifications are under way at once in the beginning.
const AT_ONCE_FIRST: u32 = 4;
/// How many at most.
pub const AT_ONCE_MAX: u32 = 64;
/// How many failures in a row open the breaker.
const FAILURES_IN_A_ROW_MAX: u32 = 5;
/// How long the first probe waits, in milliseconds.
pub const PROBE_FIRST_MS: u64 = 30_000;
/// How long a later one waits at most, in milliseconds.
pub const PROBE_MAX_MS: u64 = 15 * 60_000;
/// An endpoint whose answers take longer than this on average is slow, in milliseconds.
pub const SLOW_MS: u64 = 1_000;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// How many notifications a second an endpoint wants at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// A second.
    pub per_second: NonZeroU32,
    /// How many of them may come at once.
    pub burst: NonZeroU32,
}

/// Whether notifications have an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// None.
    #[default]
    Free,
    /// Those of one deposit come one after the other: the next when the one before is settled.
    PerDeposit,
}

/// Whether something may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// Not before this time, in milliseconds since 1970.
    Until(u64),
    /// Not before something under way is answered.
    Busy,
}

/// Whether an endpoint is left alone because it failed again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// It is not.
    Closed,
    /// It is, until it is probed.
    Open,
    /// It was, and what is under way is the probe.
    Probing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breaker {
    Closed {
        failures: u32,
    },
    /// Nothing is sent until then; the probe after that.
    Open {
        until_ms: u64,
        wait_ms: u64,
    },
    Probing {
        wait_ms: u64,
    },
}

/// How one endpoint does.
#[derive(Debug, Clone)]
pub struct Load {
    rate: Option<Rate>,
    at_once: u32,
    successes: u32,
    in_flight: u32,
    breaker: Breaker,
    paused_until_ms: u64,
    /// When the next would be due if all came evenly, in microseconds since 1970.
    next_even_us: u64,
    /// The average time to an answer; unknown before the first.
    average_ms: Option<u64>,
    is_suspect: bool,
}

impl Load {
    /// Of an endpoint of which nothing is known.
    pub fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            at_once: AT_ONCE_FIRST,
            successes: 0,
            in_flight: 0,
            breaker: Breaker::Closed { failures: 0 },
            paused_until_ms: 0,
            next_even_us: 0,
            average_ms: None,
            is_suspect: false,
        }
    }

    /// Leaves it alone until a time, as it was before the process began.
    pub fn close_until(&mut self, at_ms: u64) {
        self.paused_until_ms = self.paused_until_ms.max(at_ms);
    }

    /// Gives it another rate.
    pub fn set_rate(&mut self, rate: Option<Rate>) {
        self.rate = rate;
    }

    /// Forgets its failures: somebody says that it works again.
    pub fn forgive(&mut self) {
        self.breaker = Breaker::Closed { failures: 0 };
        self.paused_until_ms = 0;
    }

    /// How many are under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// How many may be under way.
    pub fn at_once(&self) -> u32 {
        match self.breaker {
            Breaker::Closed { .. } => self.at_once,
            Breaker::Open { .. } | Breaker::Probing { .. } => 1,
        }
    }

    /// Whether it is left alone because it failed again and again.
    pub fn circuit(&self) -> Circuit {
        match self.breaker {
            Breaker::Closed { .. } => Circuit::Closed,
            Breaker::Open { .. } => Circuit::Open,
            Breaker::Probing { .. } => Circuit::Probing,
        }
    }

    /// Whether its answers take long, or none was seen yet.
    pub fn is_slow(&self) -> bool {
        self.is_suspect || self.average_ms.is_none_or(|average_ms| average_ms > SLOW_MS)
    }

    /// Something is under way for longer than [`SLOW_MS`].
    pub fn suspect(&mut self) {
        self.is_suspect = true;
    }

    /// Whether it is left alone until a time, whatever is under way.
    pub fn closed_until_ms(&self) -> u64 {
        match self.breaker {
            Breaker::Open { until_ms, .. } => until_ms.max(self.paused_until_ms),
            Breaker::Closed { .. } | Breaker::Probing { .. } => self.paused_until_ms,
        }
    }

    /// Whether something may be sent now.
    pub fn gate(&self, now_ms: u64) -> Gate {
        let closed_until_ms = self.closed_until_ms();
        if closed_until_ms > now_ms {
            return Gate::Until(closed_until_ms);
        }
        if self.in_flight >= self.at_once() {
            return Gate::Busy;
        }
        match self.rate {
            Some(rate) => paced(rate, self.next_even_us, now_ms),
            None => Gate::Open,
        }
    }

    /// Something is sent.
    pub fn begin(&mut self, now_ms: u64) {
        self.in_flight += 1;
        if let Breaker::Open { wait_ms, .. } = self.breaker {
            self.breaker = Breaker::Probing { wait_ms };
        }
        if let Some(rate) = self.rate {
            self.next_even_us = self.next_even_us.max(now_ms * 1_000) + interval_us(rate);
        }
    }

    /// It is answered, or not. A pause never ends earlier than one before it.
    pub fn end(&mut self, health: Health, pause_until_ms: Option<u64>, took_ms: u64, now_ms: u64) {
        let was_filled = self.in_flight * 2 >= self.at_once;
        self.in_flight -= 1;
        self.is_suspect = false;
        self.paused_until_ms = self.paused_until_ms.max(pause_until_ms.unwrap_or(0));
        if health == Health::Silent {
            return;
        }
        self.average_ms = Some(self.average_ms.map_or(took_ms, |average_ms| (average_ms * 7 + took_ms) / 8));
        match health {
            Health::Well => self.succeed(was_filled),
            Health::Failing | Health::Overloaded => {
                if health == Health::Overloaded {
                    self.at_once = (self.at_once / 2).max(1);
                    self.successes = 0;
                }
                self.fail(now_ms);
            }
            Health::Silent => {}
        }
    }

    fn succeed(&mut self, was_filled: bool) {
        self.breaker = Breaker::Closed { failures: 0 };
        self.successes += u32::from(was_filled);
        if self.successes >= self.at_once {
            self.successes = 0;
            self.at_once = (self.at_once + 1).min(AT_ONCE_MAX);
        }
    }

    /// What fails while the breaker is open was sent before and says nothing new.
    fn fail(&mut self, now_ms: u64) {
        self.breaker = match self.breaker {
            Breaker::Closed { failures } if failures + 1 < FAILURES_IN_A_ROW_MAX => {
                Breaker::Closed { failures: failures + 1 }
            }
            Breaker::Closed { .. } => Breaker::Open { until_ms: now_ms + PROBE_FIRST_MS, wait_ms: PROBE_FIRST_MS },
            Breaker::Probing { wait_ms } => {
                let wait_ms = (wait_ms * 2).min(PROBE_MAX_MS);
                Breaker::Open { until_ms: now_ms + wait_ms, wait_ms }
            }
            open @ Breaker::Open { .. } => open,
        };
    }
}

fn interval_us(rate: Rate) -> u64 {
    MICROS_PER_SECOND / u64::from(rate.per_second.get()).min(MICROS_PER_SECOND)
}

/// The generic cell rate algorithm: as even as the rate asks, but for a burst.
fn paced(rate: Rate, next_even_us: u64, now_ms: u64) -> Gate {
    let slack_us = interval_us(rate) * u64::from(rate.burst.get() - 1);
    let allowed_us = next_even_us.saturating_sub(slack_us);
    if allowed_us <= now_ms * 1_000 { Gate::Open } else { Gate::Until(allowed_us.div_ceil(1_000)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn exchange(load: &mut Load, health: Health, now_ms: u64) {
        assert_eq!(load.gate(now_ms), Gate::Open);
        load.begin(now_ms);
        load.end(health, None, 5, now_ms);
    }

    fn fill(load: &mut Load) -> u32 {
        std::iter::from_fn(|| (load.gate(NOW) == Gate::Open).then(|| load.begin(NOW))).count() as u32
    }

    fn broken() -> Load {
        let mut load = Load::new(None);
        (0..5).for_each(|_| exchange(&mut load, Health::Failing, NOW));
        load
    }

    #[test]
    fn four_at_once_in_the_beginning_and_64_after_many_successes() {
        let mut load = Load::new(None);
        assert_eq!((fill(&mut load), load.gate(NOW)), (4, Gate::Busy));
        for _ in 0..10_000 {
            load.end(Health::Well, None, 5, NOW);
            fill(&mut load);
        }
        assert_eq!(load.in_flight(), 64);
    }

    #[test]
    fn too_much_halves_what_is_sent_at_once_but_never_to_nothing() {
        let mut load = Load::new(None);
        let mut seen = Vec::new();
        for _ in 0..3 {
            exchange(&mut load, Health::Overloaded, NOW);
            seen.push(load.at_once());
        }
        assert_eq!(seen, [2, 1, 1]);
    }

    #[test]
    fn five_failures_in_a_row_open_the_breaker_and_a_success_between_them_does_not_let_them() {
        let mut load = Load::new(None);
        for _ in 0..10 {
            (0..4).for_each(|_| exchange(&mut load, Health::Failing, NOW));
            exchange(&mut load, Health::Well, NOW);
        }
        assert_eq!(broken().gate(NOW), Gate::Until(NOW + PROBE_FIRST_MS));
    }

    #[test]
    fn one_probe_is_sent_and_waits_twice_as_long_each_time() {
        let (mut load, mut now_ms, mut waits) = (broken(), NOW, Vec::new());
        for _ in 0..7 {
            let Gate::Until(until_ms) = load.gate(now_ms) else { panic!("the breaker is open") };
            waits.push((until_ms - now_ms) / 1_000);
            now_ms = until_ms;
            assert_eq!(load.gate(now_ms), Gate::Open);
            load.begin(now_ms);
            assert_eq!(load.gate(now_ms), Gate::Busy);
            load.end(Health::Failing, None, 5, now_ms);
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900]);
    }

    #[test]
    fn a_probe_that_arrives_closes_the_breaker() {
        let mut load = broken();
        exchange(&mut load, Health::Well, NOW + PROBE_FIRST_MS);
        assert_eq!(fill(&mut load), 4);
    }

    #[test]
    fn what_was_under_way_when_the_breaker_opened_does_not_lengthen_it() {
        let mut load = Load::new(None);
        fill(&mut load);
        (0..4).for_each(|_| load.end(Health::Failing, None, 5, NOW));
        fill(&mut load);
        (0..4).for_each(|_| load.end(Health::Failing, None, 5, NOW));
        assert_eq!(load.gate(NOW), Gate::Until(NOW + PROBE_FIRST_MS));
    }

    #[test]
    fn a_pause_is_kept_whatever_comes_after_it() {
        let mut load = Load::new(None);
        load.begin(NOW);
        load.begin(NOW);
        load.end(Health::Overloaded, Some(NOW + 7_000), 5, NOW);
        load.end(Health::Well, Some(NOW + 1_000), 5, NOW);
        assert_eq!(load.gate(NOW + 6_999), Gate::Until(NOW + 7_000));
        assert_eq!(load.gate(NOW + 7_000), Gate::Open);
    }

    #[test]
    fn an_endpoint_is_slow_until_it_answered_once_and_while_it_takes_long() {
        let mut load = Load::new(None);
        assert!(load.is_slow());
        exchange(&mut load, Health::Well, NOW);
        assert!(!load.is_slow());
        load.begin(NOW);
        load.suspect();
        assert!(load.is_slow());
        load.end(Health::Overloaded, None, 20_000, NOW);
        assert!(load.is_slow());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn no_second_has_more_than_the_rate_and_its_burst(per_second in 1..200u32, burst in 1..20u32,
                                                           steps in proptest::collection::vec(0..400u64, 1..100)) {
            let (per_second, burst) = (NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap());
            let mut load = Load::new(Some(Rate { per_second, burst }));
            let (mut now_ms, mut sent) = (NOW, Vec::new());
            for step in steps {
                now_ms += step;
                while load.gate(now_ms) == Gate::Open {
                    load.begin(now_ms);
                    load.end(Health::Well, None, 5, now_ms);
                    sent.push(now_ms);
                }
            }
            for begin in &sent {
                let within = sent.iter().filter(|at| (*begin..begin + 1_000).contains(at)).count() as u32;
                prop_assert!(within <= per_second.get() + burst.get() + 1, "{within}");
            }
        }
    }
}
