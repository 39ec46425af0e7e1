//! The scheduler driven by chance, against a model of what every endpoint must get.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;

/// What happens next in a random life.
#[derive(Debug, Clone)]
enum Step {
    Publish(u64),
    Send,
    End(usize, Outcome),
    Wait(u64),
    Restart,
    Pause(u32),
    Run(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let status = prop_oneof![4 => Just(200), 1 => Just(500), 1 => Just(429)];
    let retry_after_s = proptest::option::of(1..100u64);
    let answered = (status, retry_after_s).prop_map(|(status, seconds)| Outcome::Answered {
        status,
        retry_after_ms: seconds.map(|seconds| NOW + seconds * 1_000),
        directive: None,
    });
    let outcome = prop_oneof![6 => answered, 1 => Just(Outcome::Failed(Trouble::Stale)),
                              1 => Just(Outcome::Failed(Trouble::Timeout))];
    let step = prop_oneof![
        2 => (1..20u64).prop_map(Step::Publish),
        4 => Just(Step::Send),
        8 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::End(which, outcome)),
        2 => (1..60_000u64).prop_map(Step::Wait),
        1 => Just(Step::Restart),
        1 => (0..3u32).prop_map(Step::Pause),
        2 => (0..3u32).prop_map(Step::Run),
    ];
    proptest::collection::vec(step, 1..250)
}

/// What is stored of one endpoint: through where it was dispatched, what is open, what waits.
type Stored = (Position, Vec<(Position, Open)>, BTreeMap<Position, Pending>);

/// A random life, beside what has to be true of it.
struct Life {
    desk: Desk,
    order: Order,
    flying: Vec<Attempt<u64>>,
    settled: BTreeSet<(EndpointNo, Position)>,
    not_before: HashMap<(EndpointNo, Position), u64>,
    stored: BTreeMap<EndpointNo, Stored>,
}

impl Life {
    fn new(order: Order) -> Self {
        let desk = Desk::new(3, order, 0);
        let (flying, settled) = (Vec::new(), BTreeSet::new());
        Self { desk, order, flying, settled, not_before: HashMap::new(), stored: BTreeMap::new() }
    }

    fn store(&mut self) {
        for change in self.desk.scheduler.take_changes() {
            let (through, open, retries) = self.stored.entry(change.endpoint).or_default();
            (*through, *open) = (change.dispatched_through, change.open);
            for (position, pending) in change.retries {
                match pending {
                    Some(pending) => drop(retries.insert(position, pending)),
                    None => drop(retries.remove(&position)),
                }
            }
        }
        self.desk.scheduler.committed();
    }

    fn send(&mut self) {
        self.desk.fill();
        self.store();
        while let Some(attempt) = self.desk.scheduler.next(self.desk.now_ms) {
            let id = (attempt.endpoint, attempt.position);
            assert!(attempt.position <= self.desk.head, "nothing is sent that does not exist");
            assert!(!self.settled.contains(&id), "nothing is sent that is settled");
            assert!(self.flying.iter().all(|other| (other.endpoint, other.position) != id), "nothing is sent twice");
            assert!(self.not_before.get(&id).is_none_or(|at_ms| *at_ms <= self.desk.now_ms), "nothing comes early");
            let stored = &self.stored[&attempt.endpoint];
            assert!(stored.1.iter().any(|(position, _)| *position == attempt.position), "its claim is stored");
            self.flying.push(attempt);
        }
        self.check_caps();
    }

    fn check_caps(&self) {
        for number in 0..3 {
            let lane = self.desk.scheduler.lane(EndpointNo(number));
            let flying = || self.flying.iter().filter(|attempt| attempt.endpoint.0 == number);
            assert_eq!(lane.load.in_flight() as usize, flying().count());
            assert!(flying().count() <= 64);
            if self.order == Order::PerDeposit {
                let deposits: BTreeSet<_> = flying().map(|attempt| attempt.position % 4).collect();
                assert_eq!(deposits.len(), flying().count(), "one of a deposit at a time");
            }
        }
    }

    fn end(&mut self, which: usize, outcome: Outcome) {
        let Some(index) = which.checked_rem(self.flying.len()) else { return };
        let attempt = self.flying.swap_remove(index);
        let id = (attempt.endpoint, attempt.position);
        match self.desk.end(&attempt, outcome).fate {
            Fate::Delivered | Fate::Aborted | Fate::GivenUp => assert!(self.settled.insert(id)),
            Fate::Retry { not_before_ms } => drop(self.not_before.insert(id, not_before_ms)),
            Fate::Disable(_) => drop(self.not_before.remove(&id)),
        }
    }

    /// The process ends at once and begins again with what is stored.
    fn restart(&mut self) {
        self.flying.clear();
        self.not_before.clear();
        self.settled.clear();
        let mut scheduler = Scheduler::default();
        for number in 0..3 {
            let (through, open, retries) = self.stored.get(&EndpointNo(number)).cloned().unwrap_or_default();
            let owed =
                |position: &Position| open.iter().any(|(open, _)| open == position) || retries.contains_key(position);
            let settled = (1..=through).filter(|position| !owed(position));
            self.settled.extend(settled.map(|position| (EndpointNo(number), position)));
            let cursor = Cursor::restore(through, open.clone(), retries.clone());
            scheduler.add(terms(self.order), Standing::Running, cursor, 0);
        }
        self.desk.scheduler = scheduler;
        self.desk.scheduler.feed_all();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish(more) => {
                self.desk.head += more;
                self.desk.scheduler.feed_all();
            }
            Step::Send => self.send(),
            Step::End(which, outcome) => self.end(which, outcome),
            Step::Wait(ms) => self.desk.now_ms += ms,
            Step::Restart => self.restart(),
            Step::Pause(number) => self.desk.scheduler.set_standing(EndpointNo(number), Standing::Paused),
            Step::Run(number) => self.desk.scheduler.set_standing(EndpointNo(number), Standing::Running),
        }
    }

    /// From here on everything arrives.
    fn drain(&mut self) {
        (0..3).for_each(|number| self.desk.scheduler.set_standing(EndpointNo(number), Standing::Running));
        for _ in 0..10_000 {
            self.send();
            if self.flying.is_empty() && self.settled.len() as u64 == 3 * self.desk.head {
                return;
            }
            while !self.flying.is_empty() {
                self.end(0, WELL);
            }
            self.desk.now_ms += 60_000;
        }
        panic!("not everything arrived: {} of {}", self.settled.len(), 3 * self.desk.head);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_happens_everything_arrives_once_and_in_its_place(steps in steps(), is_ordered: bool) {
        let mut life = Life::new(if is_ordered { Order::PerDeposit } else { Order::Free });
        for step in steps {
            life.step(step);
        }
        life.drain();
        for number in 0..3 {
            prop_assert_eq!(life.desk.scheduler.cursor(EndpointNo(number)).acked_through(), life.desk.head);
        }
    }
}
