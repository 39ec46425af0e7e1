//! Who of the tree may run now, and what is to be done next. No tasks, no waiting: told what the parts do and what an
//! operator wants, it names one step after the other.
//!
//! One rule for everybody: a member runs only while its group runs and what it depends on is up. Whoever may not is ended,
//! the last first; whoever may again is started, the first first, and never before all that is to be ended has ended.

mod next;

use std::collections::VecDeque;

use tokio::time::Instant;

use super::group::{Group, Strategy};

/// A part's or group's place in the plan.
pub(super) type Index = usize;

/// What a part's supervisor says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// There is no incarnation; one may be made.
    Resting,
    /// It failed, and rests before it may be tried again.
    Pausing,
    /// Being made, or connecting.
    Starting,
    /// It handles messages.
    Up,
    /// It failed too often.
    GaveUp(String),
    /// It ended by itself and is not to be made again.
    Ended,
}

impl Fact {
    fn lives(&self) -> bool {
        matches!(self, Self::Starting | Self::Up)
    }
}

/// What is to be done with a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// End it if it lives; it waits, for this reason.
    Hold(Index, String),
    /// End it for an operator.
    Stop(Index),
    /// Make its next incarnation.
    Start(Index, Past),
    /// End it in order and make its next incarnation at once.
    Restart(Index),
}

/// What becomes of a part's earlier failures when it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    /// They count.
    Kept,
    /// They are forgotten: somebody has taken the matter in hand.
    Forgotten,
}

/// What an operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Start,
    Stop,
    Restart,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    name: String,
    group: Option<Index>,
    /// Unless an operator stopped it.
    is_wanted: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Part(Part),
    Group(Members),
}

#[derive(Debug)]
struct Part {
    fact: Fact,
    /// It was started and is not known to have ended.
    runs: bool,
    /// Its failures are to be forgotten, and whatever state it settled in to be left.
    renewed: bool,
    /// To be ended and made again, with nobody depending on it.
    restarts: bool,
    /// Why it is shown as waiting.
    held: Option<String>,
    /// It is shown as stopped.
    stopped: bool,
    /// Its supervisor has ended.
    gone: bool,
}

#[derive(Debug)]
struct Members {
    group: Group,
    members: Vec<Index>,
    given_up: VecDeque<Instant>,
    gave_up: Option<String>,
    fall: Option<Fall>,
    /// All members have been up since it was last started.
    risen: bool,
    falls: u64,
}

/// Members that are to end before any of them starts again.
#[derive(Debug, Clone, Copy)]
struct Fall {
    /// The first of them, counted within the group.
    from: usize,
    /// Whose end it was; it has ended already, and what waits in its mailbox stays there.
    culprit: Option<usize>,
}

impl Plan {
    pub(super) fn add_part(&mut self, name: &str, group: Option<Index>) -> Index {
        let part = Part {
            fact: Fact::Resting,
            runs: false,
            renewed: false,
            restarts: false,
            held: None,
            stopped: false,
            gone: false,
        };
        self.add(name, group, Kind::Part(part))
    }

    /// Whether the part may run from the moment it is added; then it counts as started.
    pub(super) fn begins(&mut self, index: Index) -> bool {
        let begins = self.bar(index).is_none();
        let part = self.part_mut(index);
        (part.runs, part.fact) = (begins, if begins { Fact::Starting } else { Fact::Resting });
        begins
    }

    pub(super) fn add_group(&mut self, name: &str, within: Option<Index>, group: Group) -> Index {
        let members = Members {
            group,
            members: Vec::new(),
            given_up: VecDeque::new(),
            gave_up: None,
            fall: None,
            risen: false,
            falls: 0,
        };
        self.add(name, within, Kind::Group(members))
    }

    fn add(&mut self, name: &str, group: Option<Index>, kind: Kind) -> Index {
        let index = self.nodes.len();
        self.nodes.push(Node { name: name.to_owned(), group, is_wanted: true, kind });
        if let Some(group) = group {
            self.members_mut(group).members.push(index);
        }
        index
    }

    pub(super) fn find(&self, name: &str) -> Option<Index> {
        self.nodes.iter().position(|node| node.name == name)
    }

    pub(super) fn name(&self, index: Index) -> &str {
        &self.nodes[index].name
    }

    /// The parts in the order in which they start.
    pub(super) fn parts(&self) -> Vec<Index> {
        let tops = (0..self.nodes.len()).filter(|index| self.nodes[*index].group.is_none());
        tops.flat_map(|top| self.parts_of(top)).collect()
    }

    pub(super) fn groups(&self) -> Vec<Index> {
        (0..self.nodes.len()).filter(|index| matches!(self.nodes[*index].kind, Kind::Group(_))).collect()
    }

    /// Whether the part's supervisor has ended.
    pub(super) fn is_gone(&self, index: Index) -> bool {
        matches!(&self.nodes[index].kind, Kind::Part(part) if part.gone)
    }

    /// Whether the part is known to have an incarnation.
    pub(super) fn runs(&self, index: Index) -> bool {
        matches!(&self.nodes[index].kind, Kind::Part(part) if part.runs)
    }

    /// Takes in what the parts' supervisors say; whoever has ended takes those along who depend on it.
    pub(super) fn observe(&mut self, facts: &[(Index, Fact)], now: Instant) {
        for (index, fact) in facts {
            let part = self.part_mut(*index);
            let has_ended = part.runs && !fact.lives();
            part.fact = fact.clone();
            if !has_ended {
                continue;
            }
            part.runs = false;
            match fact {
                Fact::GaveUp(why) => self.escalate(*index, why, now),
                Fact::Ended => {}
                Fact::Resting | Fact::Pausing | Fact::Starting | Fact::Up => self.fell(*index, Some(*index)),
            }
        }
    }

    /// The step was carried out; `None` when the part has no supervisor any more.
    pub(super) fn carried_out(&mut self, step: &Step, done: Option<()>) {
        let (Step::Hold(index, _) | Step::Stop(index) | Step::Start(index, _) | Step::Restart(index)) = step;
        let part = self.part_mut(*index);
        if done.is_none() {
            (part.gone, part.runs, part.fact) = (true, false, Fact::Ended);
            return;
        }
        (part.restarts, part.held, part.stopped) = (false, None, false);
        match step {
            Step::Hold(_, why) => (part.runs, part.held) = (false, Some(why.clone())),
            Step::Stop(_) => (part.runs, part.stopped) = (false, true),
            Step::Start(..) | Step::Restart(_) => (part.runs, part.renewed) = (true, false),
        }
    }

    /// Takes in what an operator wants of a part or a group.
    pub(super) fn wish(&mut self, index: Index, wish: Wish) {
        match wish {
            Wish::Stop => {
                self.nodes[index].is_wanted = false;
                if let Some(group) = self.nodes[index].group
                    && self.members(group).group.strategy == Strategy::OneForAll
                {
                    self.fell(index, None);
                }
            }
            Wish::Start => {
                let was_stopped = !std::mem::replace(&mut self.nodes[index].is_wanted, true);
                match &self.nodes[index].kind {
                    Kind::Part(part) if part.runs => {}
                    Kind::Part(_) => self.part_mut(index).renewed = true,
                    Kind::Group(group) if was_stopped || group.gave_up.is_some() => self.renew(index),
                    Kind::Group(_) => {}
                }
            }
            Wish::Restart => self.wish_restart(index),
        }
    }

    fn wish_restart(&mut self, index: Index) {
        self.nodes[index].is_wanted = true;
        let strategy = self.nodes[index].group.map_or(Strategy::OneForOne, |group| self.members(group).group.strategy);
        match (&mut self.nodes[index].kind, strategy) {
            // What waits in its mailbox waits on.
            (Kind::Part(part), Strategy::OneForOne | Strategy::RestForOne) if part.runs => {
                part.restarts = true;
                self.after_it_fall(index);
            }
            (Kind::Part(part), _) => {
                part.renewed = true;
                self.fell(index, None);
            }
            (Kind::Group(_), _) => {
                self.renew(index);
                self.fell(index, None);
            }
        }
    }

    /// A member has ended, or is to be ended and started again: so are those who depend on it.
    fn fell(&mut self, member: Index, culprit: Option<Index>) {
        let Some(group) = self.nodes[member].group else { return };
        let place = self.place(group, member);
        let from = match self.members(group).group.strategy {
            Strategy::OneForOne => return,
            Strategy::OneForAll => 0,
            Strategy::RestForOne => place,
        };
        self.fall(group, Fall { from, culprit: culprit.map(|_| place) });
    }

    /// Those who depend on it are ended first, if the group has such.
    fn after_it_fall(&mut self, member: Index) {
        let Some(group) = self.nodes[member].group else { return };
        if self.members(group).group.strategy == Strategy::RestForOne {
            let from = self.place(group, member) + 1;
            self.fall(group, Fall { from, culprit: None });
        }
    }

    fn fall(&mut self, group: Index, new: Fall) {
        let group = self.members_mut(group);
        // Of several that ended, the first is what the others wait for.
        let is_covered = |fall: Fall| fall.from < new.from || fall.from == new.from && fall.culprit <= new.culprit;
        if !group.fall.is_some_and(is_covered) {
            group.fall = Some(new);
            group.falls += 1;
        }
    }

    /// A member cannot be kept up by its own supervision: its group tries, and then gives up itself.
    fn escalate(&mut self, member: Index, why: &str, now: Instant) {
        let Some(group) = self.nodes[member].group else { return };
        let why = format!("{}: {why}", self.nodes[member].name);
        let members = self.members_mut(group);
        let window = members.group.intensity.window;
        while members.given_up.front().is_some_and(|at| now.duration_since(*at) >= window) {
            members.given_up.pop_front();
        }
        if members.given_up.len() >= members.group.intensity.restarts_max as usize {
            (members.gave_up, members.fall) = (Some(why.clone()), None);
            return self.escalate(group, &why, now);
        }
        members.given_up.push_back(now);
        self.renew(member);
        self.fell(member, None);
    }

    /// Everything in it starts afresh; whoever lives ends first.
    fn renew(&mut self, index: Index) {
        let members = match &mut self.nodes[index].kind {
            Kind::Part(part) => return part.renewed = true,
            Kind::Group(group) => {
                (group.gave_up, group.fall) = (None, Some(Fall { from: 0, culprit: None }));
                group.given_up.clear();
                group.falls += 1;
                group.members.clone()
            }
        };
        members.into_iter().for_each(|member| self.renew(member));
    }

    fn parts_of(&self, index: Index) -> Vec<Index> {
        match &self.nodes[index].kind {
            Kind::Part(_) => vec![index],
            Kind::Group(group) => group.members.iter().flat_map(|member| self.parts_of(*member)).collect(),
        }
    }

    fn place(&self, group: Index, member: Index) -> usize {
        let mut members = self.members(group).members.iter();
        members.position(|one| *one == member).expect("a member is in its group")
    }

    fn part(&self, index: Index) -> &Part {
        match &self.nodes[index].kind {
            Kind::Part(part) => part,
            Kind::Group(_) => unreachable!("only parts are asked for here"),
        }
    }

    fn part_mut(&mut self, index: Index) -> &mut Part {
        match &mut self.nodes[index].kind {
            Kind::Part(part) => part,
            Kind::Group(_) => unreachable!("only parts are asked for here"),
        }
    }

    fn members(&self, index: Index) -> &Members {
        match &self.nodes[index].kind {
            Kind::Group(group) => group,
            Kind::Part(_) => unreachable!("only groups have members"),
        }
    }

    fn members_mut(&mut self, index: Index) -> &mut Members {
        match &mut self.nodes[index].kind {
            Kind::Group(group) => group,
            Kind::Part(_) => unreachable!("only groups have members"),
        }
    }
}
