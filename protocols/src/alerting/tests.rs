//! Down and up, low and restored: told when it lasts, told once, and never more often than the rules say.

use millrace_model::alert::DownReason;
use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const START: u64 = 1_000 * HOUR_MS;
const NODE: &str = "bitcoin_node";

fn rules() -> Rules {
    Rules {
        down_after_ms: MINUTE,
        up_after_ms: 2 * MINUTE,
        restarts_max: 5,
        restarts_within_ms: 10 * MINUTE,
        changes_max: 6,
        margin_percent: 10,
    }
}

/// A watch, the time, and what was told when: everything that is due is told at once.
struct Rig {
    watch: Watch,
    now_ms: u64,
    restarts: u64,
    told: Vec<(u64, Alert)>,
}

impl Rig {
    fn new() -> Self {
        Self { watch: Watch::new(rules()), now_ms: START, restarts: 0, told: Vec::new() }
    }

    fn tell(&mut self, due: Option<Alert>) {
        if let Some(alert) = due {
            self.watch.told(&alert, self.now_ms);
            self.told.push((self.now_ms, alert));
        }
    }

    fn look(&mut self, health: Health) {
        let seen = Seen { part: NODE, health, restarts: self.restarts };
        let due = self.watch.look_at_part(seen, self.now_ms);
        self.tell(due);
    }

    /// A look each second for so long.
    fn during(&mut self, ms: u64, health: Health) {
        for _ in 0..ms / SECOND {
            self.look(health);
            self.now_ms += SECOND;
        }
    }

    fn balance(&mut self, units: u64) {
        let seen = Balance { place: Place::HotWallet, coin: Ticker::Sky, units, threshold: 1_000 };
        let due = self.watch.look_at_balance(seen, self.now_ms);
        self.tell(due);
    }

    /// What was told: since when a part is down and why, or since when it is up, in seconds from the start.
    fn said(&self) -> Vec<(u64, Option<DownReason>)> {
        let seconds = |since: DateTime<chrono::Utc>| (since.timestamp_millis() as u64 - START) / SECOND;
        let said = |(_, alert): &(u64, Alert)| match alert {
            Alert::PartDown(down) => Some((seconds(down.since), Some(down.reason))),
            Alert::PartUp(up) => Some((seconds(up.since), None)),
            Alert::BalanceLow(_) | Alert::BalanceRestored(_) => None,
        };
        self.told.iter().filter_map(said).collect()
    }
}

#[test]
fn who_fails_for_a_while_is_down_once_and_up_after_being_well_for_a_while() {
    let mut rig = Rig::new();
    rig.during(10 * SECOND, Health::Well);
    rig.during(MINUTE, Health::Unreachable);
    assert!(rig.told.is_empty(), "it may be back the next second");
    rig.during(30 * MINUTE, Health::Unreachable);
    assert_eq!(rig.said(), [(10, Some(DownReason::Unreachable))]);
    assert_eq!(rig.watch.parts_down().collect::<Vec<_>>(), [NODE]);
    rig.during(2 * MINUTE, Health::Well);
    assert_eq!(rig.told.len(), 1, "it may be gone the next second");
    rig.during(HOUR_MS, Health::Well);
    assert_eq!(rig.said()[1..], [(10 + 31 * 60, None)]);
    assert_eq!(rig.watch.parts_down().count(), 0);
}

#[test]
fn a_failure_that_passes_is_not_told_however_often_it_comes() {
    let mut rig = Rig::new();
    for _ in 0..100 {
        rig.during(59 * SECOND, Health::Unreachable);
        rig.during(SECOND, Health::Well);
        rig.during(59 * SECOND, Health::NotRunning);
        rig.during(SECOND, Health::Unknown);
    }
    assert!(rig.told.is_empty(), "{:?}", rig.told);
}

#[test]
fn of_what_nobody_can_tell_nothing_is_told() {
    let mut rig = Rig::new();
    rig.during(HOUR_MS, Health::Unknown);
    rig.during(2 * MINUTE, Health::NotRunning);
    rig.during(HOUR_MS, Health::Unknown);
    assert_eq!(rig.said(), [(3_600, Some(DownReason::NotRunning))]);
}

#[test]
fn who_runs_and_is_restarted_too_often_is_down_until_it_runs_for_a_while() {
    let mut rig = Rig::new();
    rig.during(SECOND, Health::Well);
    for _ in 0..6 {
        assert!(rig.told.is_empty());
        rig.restarts += 1;
        rig.during(30 * SECOND, Health::Well);
    }
    assert_eq!(rig.said(), [(1, Some(DownReason::RestartedTooOften))]);
    rig.during(HOUR_MS, Health::Well);
    assert_eq!(rig.said()[1..], [(1 + 5 * 30, None)], "what led to it leads to it once");
    // Those are of long ago; and a process that counts anew has restarted nothing.
    rig.restarts = 5;
    rig.during(HOUR_MS, Health::Well);
    rig.restarts = 0;
    rig.during(SECOND, Health::Well);
    rig.restarts = 5;
    rig.during(HOUR_MS, Health::Well);
    assert_eq!(rig.told.len(), 2);
}

#[test]
fn who_goes_down_and_up_all_the_time_is_down_in_the_end_and_told_to_be_flapping_once() {
    let mut rig = Rig::new();
    for _ in 0..10 {
        rig.during(2 * MINUTE, Health::Unreachable);
        rig.during(3 * MINUTE, Health::Well);
    }
    let reasons: Vec<_> = rig.said().into_iter().map(|(_, reason)| reason).collect();
    let down = Some(DownReason::Unreachable);
    assert_eq!(reasons, [down, None, down, None, Some(DownReason::Flapping)]);
    rig.during(HOUR_MS, Health::Well);
    assert_eq!(rig.told.len(), 6, "the hour has room for it again: {:?}", rig.told);
    assert_eq!(rig.watch.parts_down().count(), 0);
}

#[test]
fn what_could_not_be_stored_is_due_again_and_what_the_log_says_is_not() {
    let mut watch = Watch::new(rules());
    let seen = Seen { part: NODE, health: Health::Unreachable, restarts: 0 };
    assert_eq!(watch.look_at_part(seen, START), None);
    let due = watch.look_at_part(seen, START + MINUTE).unwrap();
    assert_eq!(watch.look_at_part(seen, START + MINUTE + 1).as_ref(), Some(&due));
    watch.told(&due, START + MINUTE + 1);
    assert_eq!(watch.look_at_part(seen, START + MINUTE + 2), None);

    let mut restarted = Watch::new(rules());
    restarted.told(&due, START + MINUTE + 1);
    assert_eq!(restarted.look_at_part(seen, START + HOUR_MS), None);
    let well = Seen { health: Health::Well, ..seen };
    assert_eq!(restarted.look_at_part(well, START + HOUR_MS), None);
    let up = restarted.look_at_part(well, START + HOUR_MS + 2 * MINUTE);
    assert!(matches!(up, Some(Alert::PartUp(_))), "what was down before the restart and is up again is told");
}

#[test]
fn a_balance_is_low_below_its_threshold_and_restored_above_it_by_the_margin() {
    let mut rig = Rig::new();
    for units in [1_000, 999, 998, 1_000, 1_099, 0] {
        rig.balance(units);
    }
    let low = BalanceLow { place: Place::HotWallet, coin: Ticker::Sky, balance: 999, threshold: 1_000 };
    assert_eq!(rig.told, [(START, Alert::BalanceLow(low))]);
    rig.balance(1_100);
    assert!(matches!(&rig.told[1].1, Alert::BalanceRestored(restored) if restored.balance == 1_100));
    for units in [0, 2_000, 0, 2_000, 0, 2_000] {
        rig.balance(units);
    }
    assert_eq!(rig.told.len(), 5, "no more than the hour has room for, and the last is that it is low");
    assert!(matches!(&rig.told[4].1, Alert::BalanceLow(_)));
    rig.now_ms += HOUR_MS;
    rig.balance(2_000);
    assert_eq!(rig.told.len(), 6);
}

#[test]
fn without_a_threshold_no_balance_is_low_and_one_that_was_is_restored() {
    let mut watch = Watch::new(rules());
    let (place, coin) = (Place::Exchange, Ticker::Btc);
    let nothing = Balance { place, coin, units: 0, threshold: 0 };
    assert_eq!(watch.look_at_balance(nothing, START), None);
    let low = watch.look_at_balance(Balance { threshold: 1, ..nothing }, START).unwrap();
    watch.told(&low, START);
    let restored = watch.look_at_balance(nothing, START + 1);
    assert!(matches!(restored, Some(Alert::BalanceRestored(_))), "{restored:?}");
    let all = Balance { place, coin, units: u64::MAX, threshold: u64::MAX };
    assert_eq!(watch.look_at_balance(all, START), None, "no sum overflows");
}

#[test]
fn names_and_their_number_are_limited() {
    let mut watch = Watch::new(rules());
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let names = (0..PARTS_MAX + 10).map(|number| format!("part_{number}")).chain([long]);
    let mut told = 0;
    for name in names {
        let seen = Seen { part: &name, health: Health::NotRunning, restarts: 0 };
        assert_eq!(watch.look_at_part(seen, START), None);
        told += usize::from(watch.look_at_part(seen, START + MINUTE).is_some());
    }
    assert_eq!(told, PARTS_MAX);
}

fn health() -> impl Strategy<Value = Health> {
    prop_oneof![
        4 => Just(Health::Well),
        2 => Just(Health::NotRunning),
        4 => Just(Health::Unreachable),
        1 => Just(Health::Unknown),
    ]
}

proptest! {
    /// Whatever is seen: changes alternate, no hour has more of them than the rules say, and nothing that lasts stays untold.
    #[test]
    fn flapping_never_tells_more_than_the_limit_and_what_lasts_is_told(
        steps in prop::collection::vec((health(), 0..400u64, 0..3u64, 0..2_500u64), 1..400)
    ) {
        let mut rig = Rig::new();
        for (health, seconds, restarts, units) in steps {
            rig.now_ms += seconds * SECOND;
            rig.restarts += restarts;
            rig.look(health);
            rig.balance(units);
        }
        let is_of_part = |alert: &Alert| matches!(alert, Alert::PartDown(_) | Alert::PartUp(_));
        let is_worse = |alert: &Alert| matches!(alert, Alert::PartDown(_) | Alert::BalanceLow(_));
        let (part, balance): (Vec<_>, Vec<_>) = rig.told.iter().partition(|(_, alert)| is_of_part(alert));
        for told in [part, balance] {
            for (number, (at_ms, alert)) in told.iter().enumerate() {
                prop_assert_eq!(is_worse(alert), number % 2 == 0);
                let hour = told[number..].iter().take_while(|(later, _)| later - at_ms < HOUR_MS);
                prop_assert!(hour.count() <= rules().changes_max);
            }
        }
        rig.during(2 * MINUTE, Health::Unreachable);
        prop_assert_eq!(rig.watch.parts_down().count(), 1);
        rig.during(HOUR_MS + 3 * MINUTE, Health::Well);
        prop_assert_eq!(rig.watch.parts_down().count(), 0);
    }
}
