//! Who may run, and the next step towards that.

use super::{Fact, Fall, Index, Kind, Past, Plan, Step};
use crate::supervision::group::Strategy;
use crate::supervision::health::State;

/// Why a part may not run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bar {
    /// Its own end is what the others are ended for.
    Own,
    Because(String),
}

impl Plan {
    /// What is to be done next; nothing when everything is as it may be.
    pub(in crate::supervision) fn next(&mut self) -> Option<Step> {
        self.note_who_is_up();
        self.end_falls();
        let order = self.parts();
        let ending = order.iter().rev().find_map(|index| self.ending(*index));
        ending.or_else(|| order.iter().find_map(|index| self.starting(*index)))
    }

    /// Where a group stands, why, and how often its members were started together again.
    pub(in crate::supervision) fn standing(&self, index: Index) -> (State, Option<String>, u64) {
        let group = self.members(index);
        let (state, why) = if let Some(why) = &group.gave_up {
            (State::Down, Some(why.clone()))
        } else if !self.nodes[index].is_wanted {
            (State::Stopped, Some("stopped by the operator".to_owned()))
        } else if let Some(Bar::Because(why)) = self.bar(index) {
            (State::Waiting, Some(why))
        } else if group.risen && group.fall.is_none() {
            (State::Running, None)
        } else {
            (State::Starting, None)
        };
        (state, why, group.falls)
    }

    /// A fall is over when nobody of those who fell lives, or rests from a failure.
    fn end_falls(&mut self) {
        for group in self.groups() {
            let Some(fall) = self.members(group).fall else { continue };
            let fallen = self.members(group).members[fall.from..].to_vec();
            let quiet = fallen.into_iter().flat_map(|member| self.parts_of(member)).all(|index| {
                let part = self.part(index);
                !part.runs && (part.fact != Fact::Pausing || part.renewed)
            });
            if quiet {
                self.members_mut(group).fall = None;
            }
        }
    }

    /// Groups ask each other, so one look at each is not enough.
    fn note_who_is_up(&mut self) {
        let groups = self.groups();
        for group in groups.iter().flat_map(|_| groups.iter().rev().copied()) {
            let members = self.members(group);
            let fell_whole = members.fall.is_some_and(|fall| fall.from == 0);
            let may_run = self.nodes[group].is_wanted && members.gave_up.is_none() && self.bar(group).is_none();
            let all_up = members.members.iter().all(|member| self.is_up(*member));
            let risen = may_run && !fell_whole && (members.risen || all_up);
            self.members_mut(group).risen = risen;
        }
    }

    fn is_up(&self, index: Index) -> bool {
        let node = &self.nodes[index];
        match &node.kind {
            Kind::Part(part) => node.is_wanted && (part.runs && part.fact == Fact::Up || part.fact == Fact::Ended),
            Kind::Group(group) => node.is_wanted && group.gave_up.is_none() && group.risen,
        }
    }

    fn ending(&self, index: Index) -> Option<Step> {
        let (part, is_wanted) = (self.part(index), self.nodes[index].is_wanted);
        if part.gone {
            return None;
        }
        if !is_wanted {
            return (!part.stopped).then_some(Step::Stop(index));
        }
        let lives = part.runs || part.fact == Fact::Pausing;
        match self.bar(index) {
            Some(Bar::Own) if part.runs => Some(Step::Hold(index, "it starts again".to_owned())),
            Some(Bar::Because(why)) => {
                let has_settled = matches!(part.fact, Fact::GaveUp(_) | Fact::Ended) && !part.renewed;
                let is_shown = part.held.as_ref() == Some(&why) || has_settled;
                (lives || !is_shown).then_some(Step::Hold(index, why))
            }
            Some(Bar::Own) | None => None,
        }
    }

    fn starting(&self, index: Index) -> Option<Step> {
        let part = self.part(index);
        let is_due = match part.fact {
            Fact::Resting => true,
            Fact::Pausing | Fact::GaveUp(_) | Fact::Ended => part.renewed,
            Fact::Starting | Fact::Up => false,
        };
        if part.gone || !self.nodes[index].is_wanted || self.bar(index).is_some() {
            return None;
        }
        let past = if part.renewed { Past::Forgotten } else { Past::Kept };
        match (part.runs, is_due) {
            (true, _) => part.restarts.then_some(Step::Restart(index)),
            (false, true) => Some(Step::Start(index, past)),
            (false, false) => None,
        }
    }

    /// Why this may not run. The outermost reason is the cause of the others.
    pub(super) fn bar(&self, index: Index) -> Option<Bar> {
        let (mut bar, mut node) = (None, index);
        while let Some(group) = self.nodes[node].group {
            bar = self.bar_within(group, node, node == index).or(bar);
            node = group;
        }
        bar
    }

    fn bar_within(&self, group: Index, member: Index, is_itself: bool) -> Option<Bar> {
        let (members, name) = (self.members(group), &self.nodes[group].name);
        if members.gave_up.is_some() {
            return Some(Bar::Because(format!("{name} gave up")));
        }
        if !self.nodes[group].is_wanted {
            return Some(Bar::Because(format!("{name} is stopped")));
        }
        let place = self.place(group, member);
        match members.fall {
            Some(Fall { culprit: Some(culprit), .. }) if culprit == place && is_itself => return Some(Bar::Own),
            Some(Fall { from, culprit }) if from <= place => {
                let cause = culprit.filter(|culprit| *culprit != place).map(|culprit| members.members[culprit]);
                let why = cause.map_or_else(|| format!("{name} starts again"), |cause| self.waits_for(cause));
                return Some(Bar::Because(why));
            }
            Some(_) | None => {}
        }
        let (before, after) = members.members.split_at(place);
        let needed = match members.group.strategy {
            Strategy::OneForOne => None,
            Strategy::RestForOne => before.iter().find(|one| !self.is_up(**one)),
            Strategy::OneForAll => {
                let is_out = |one: &&Index| self.is_out(**one);
                before.iter().find(|one| !self.is_up(**one)).or_else(|| after.iter().find(is_out))
            }
        };
        needed.map(|needed| Bar::Because(self.waits_for(*needed)))
    }

    /// Whether it is out of service until somebody does something about it.
    fn is_out(&self, index: Index) -> bool {
        let node = &self.nodes[index];
        !node.is_wanted || matches!(&node.kind, Kind::Group(group) if group.gave_up.is_some())
    }

    fn waits_for(&self, index: Index) -> String {
        format!("waits for {}", self.nodes[index].name)
    }
}
