//! The plan under any order of failures and wishes: who runs may run, nobody is started before those who depend on it have
//! ended, and once nothing fails any more everybody comes up.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy as _, prop, prop_assert, prop_oneof, proptest};
use tokio::time::Instant;

use super::super::plan::{Fact, Index, Plan, Step, Wish};
use super::*;

/// More steps in a row than any change can ask for.
const STEPS_MAX: usize = 200;

/// Every part with those that must be up while it runs, and those that must have ended before it is started.
const PARTS: [(Index, &[Index], &[Index]); 7] = [
    (FIRST, &[], &[ALL_1, ALL_2, EACH_1, EACH_2, LAST]),
    (ALL_1, &[FIRST], &[ALL_2]),
    (ALL_2, &[FIRST, ALL_1], &[]),
    (EACH_1, &[FIRST], &[]),
    (EACH_2, &[FIRST], &[]),
    (LAST, &[FIRST], &[]),
    (ALONE, &[], &[]),
];
const NODES: usize = 10;
const OUTER: Index = 0;
const FIRST: Index = 1;
const ALL: Index = 2;
const ALL_1: Index = 3;
const ALL_2: Index = 4;
const EACH: Index = 5;
const EACH_1: Index = 6;
const EACH_2: Index = 7;
const LAST: Index = 8;
const ALONE: Index = 9;

#[derive(Debug, Clone, Copy)]
enum Happening {
    Fails(usize),
    GivesUp(usize),
    PauseEnds(usize),
    ComesUp(usize),
    Wished(Index, Wish),
}

fn happenings() -> impl proptest::strategy::Strategy<Value = Vec<Happening>> {
    let part = 0..PARTS.len();
    let wish = prop_oneof![Just(Wish::Start), Just(Wish::Stop), Just(Wish::Restart)];
    let one = prop_oneof![
        3 => part.clone().prop_map(Happening::Fails),
        1 => part.clone().prop_map(Happening::GivesUp),
        4 => part.clone().prop_map(Happening::PauseEnds),
        8 => part.prop_map(Happening::ComesUp),
        2 => (0..NODES, wish).prop_map(|(node, wish)| Happening::Wished(node, wish)),
    ];
    prop::collection::vec(one, 0..60)
}

/// The plan, and what the parts do.
struct Scene {
    plan: Plan,
    facts: BTreeMap<Index, Fact>,
    wanted: [bool; NODES],
    now: Instant,
}

impl Scene {
    /// `outer` (rest for one): `first`; `all` (one for all) of two; `each` (one for one) of two; `last`. And `alone`.
    fn new() -> Self {
        let mut plan = Plan::default();
        let group = |strategy| Group { strategy, intensity: Intensity { restarts_max: 1, window: SOON } };
        plan.add_group("outer", None, group(Strategy::RestForOne));
        plan.add_part("first", Some(OUTER));
        plan.add_group("all", Some(OUTER), group(Strategy::OneForAll));
        plan.add_part("all 1", Some(ALL));
        plan.add_part("all 2", Some(ALL));
        plan.add_group("each", Some(OUTER), group(Strategy::OneForOne));
        plan.add_part("each 1", Some(EACH));
        plan.add_part("each 2", Some(EACH));
        plan.add_part("last", Some(OUTER));
        plan.add_part("alone", None);
        let facts = PARTS.iter().map(|(index, ..)| (*index, Fact::Resting)).collect();
        let mut scene = Self { plan, facts, wanted: [true; NODES], now: Instant::now() };
        scene.settle();
        scene
    }

    fn lives(&self, index: Index) -> bool {
        matches!(self.facts[&index], Fact::Starting | Fact::Up)
    }

    fn happen(&mut self, happening: Happening) {
        self.now += Duration::from_secs(1);
        match happening {
            Happening::Fails(part) if self.lives(PARTS[part].0) => self.say(PARTS[part].0, Fact::Pausing),
            Happening::GivesUp(part) if self.lives(PARTS[part].0) => {
                self.say(PARTS[part].0, Fact::GaveUp("it broke".to_owned()));
            }
            Happening::PauseEnds(part) if self.facts[&PARTS[part].0] == Fact::Pausing => {
                self.say(PARTS[part].0, Fact::Resting);
            }
            Happening::ComesUp(part) if self.facts[&PARTS[part].0] == Fact::Starting => {
                self.say(PARTS[part].0, Fact::Up);
            }
            Happening::Wished(node, wish) => {
                self.wanted[node] = wish != Wish::Stop;
                self.plan.wish(node, wish);
            }
            Happening::Fails(_) | Happening::GivesUp(_) | Happening::PauseEnds(_) | Happening::ComesUp(_) => {}
        }
        self.settle();
    }

    fn say(&mut self, part: Index, fact: Fact) {
        self.facts.insert(part, fact);
    }

    /// Takes steps until there is none, and looks at what they came to.
    fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            let facts: Vec<_> = self.facts.iter().map(|(index, fact)| (*index, fact.clone())).collect();
            self.plan.observe(&facts, self.now);
            let Some(step) = self.plan.next() else { return self.inspect() };
            self.take(&step);
            self.plan.carried_out(&step, Some(()));
        }
        panic!("it never comes to rest");
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Hold(index, _) | Step::Stop(index) => self.say(*index, Fact::Resting),
            Step::Start(index, _) | Step::Restart(index) => {
                let (_, _, ended) = PARTS.iter().find(|(part, ..)| part == index).expect("only parts are started");
                assert!(ended.iter().all(|part| !self.lives(*part)), "{index} is started too early: {:?}", self.facts);
                self.say(*index, Fact::Starting);
            }
        }
    }

    fn inspect(&self) {
        for (index, needed, _) in PARTS {
            if !self.lives(index) {
                continue;
            }
            assert!(needed.iter().all(|part| self.facts[part] == Fact::Up), "{index} runs alone: {:?}", self.facts);
            assert!(self.wanted[index], "{index} was stopped");
        }
        for (group, members) in [(ALL, [ALL_1, ALL_2]), (EACH, [EACH_1, EACH_2])] {
            let lives = members.iter().any(|member| self.lives(*member));
            assert!(!lives || self.wanted[group] && self.wanted[OUTER], "{group} was stopped");
        }
        let resting = [ALL_1, ALL_2].iter().any(|part| self.facts[part] == Fact::Pausing);
        assert!(!resting || !self.lives(ALL_1) && !self.lives(ALL_2), "one for all: {:?}", self.facts);
    }
}

proptest! {
    #[test]
    fn whoever_runs_may_run_and_in_the_end_everybody_does(happenings in happenings()) {
        let mut scene = Scene::new();
        happenings.into_iter().for_each(|happening| scene.happen(happening));
        (0..NODES).for_each(|node| scene.happen(Happening::Wished(node, Wish::Start)));
        for _ in 0..NODES {
            (0..PARTS.len()).for_each(|part| scene.happen(Happening::PauseEnds(part)));
            (0..PARTS.len()).for_each(|part| scene.happen(Happening::ComesUp(part)));
        }
        prop_assert!(scene.facts.values().all(|fact| *fact == Fact::Up), "{:?}", scene.facts);
    }
}
