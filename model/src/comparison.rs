//! Two moments of the whole desk held against each other: what stands on the accounts, how many deposits stand where, which of
//! them came, ended or moved, and what the switches and the halt say.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::deposit::{Deposit, StageName, evolve};
use crate::desk::{Desk, Setting, Switch};
use crate::event::{Event, Recorded};
use crate::ids::{DepositId, Position};
use crate::ledger::{Account, Ticker};
use crate::overview::{Ended, Overview};

/// What is another at the second moment than at the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The first moment.
    pub from: Moment,
    /// The second.
    pub to: Moment,
    /// The accounts on which something else stands.
    pub balances: Vec<BalanceChange>,
    /// The places at which another number of deposits stands.
    pub deposits: Vec<CountChange>,
    /// The deposits to which something happened in between and that stand elsewhere now, in the order of their ids.
    pub moved: Vec<Moved>,
    /// How many more there are than are listed.
    pub more_moved: u64,
    /// Addresses given out until then.
    pub addresses: (u64, u64),
    /// Where switches stand, of those that stand elsewhere.
    pub switches: Vec<SwitchChange>,
    /// Why the desk was halted, and is; nothing if that did not change.
    pub halt: Option<(Option<String>, Option<String>)>,
}

/// A moment of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// The position of the newest event.
    pub position: Position,
    /// When that was recorded.
    pub recorded_at: Option<DateTime<Utc>>,
}

/// An account on which something else stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BalanceChange {
    /// The account.
    pub account: Account,
    /// The coin.
    pub coin: Ticker,
    /// Debits less credits, before.
    pub before: String,
    /// And after.
    pub after: String,
    /// The difference.
    pub change: String,
}

/// Where a deposit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The stage.
    pub stage: StageName,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
}

impl Place {
    fn of(deposit: &Deposit) -> Self {
        Self { stage: deposit.stage.name(), ended: Ended::of(deposit) }
    }

    /// The word for it: how it ended, or its stage.
    pub const fn as_str(self) -> &'static str {
        match self.ended {
            Some(ended) => ended.as_str(),
            None => self.stage.as_str(),
        }
    }
}

/// A place at which another number of deposits stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CountChange {
    /// The place.
    #[serde(flatten)]
    pub place: Place,
    /// How many stood there.
    pub before: u64,
    /// How many stand there.
    pub after: u64,
}

/// A deposit that stands elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Which.
    pub deposit: DepositId,
    /// Where it stood; nothing if it was not there yet.
    pub before: Option<Place>,
    /// Where it stands; nothing if that cannot be read.
    pub after: Option<Place>,
}

impl Moved {
    /// From all events of the deposit's stream; nothing if it stands where it stood.
    pub fn of(deposit: DepositId, events: &[Recorded], (from, to): (Position, Position)) -> Option<Self> {
        let (before, after) = (place(events, from), place(events, to));
        (before != after).then_some(Self { deposit, before, after })
    }
}

fn place(events: &[Recorded], until: Position) -> Option<Place> {
    let mut deposit = None;
    for recorded in events.iter().take_while(|recorded| recorded.position <= until) {
        // From the first event on that cannot be read, nobody knows.
        let Event::Deposit(event) = &recorded.event else { return None };
        deposit = evolve(deposit, event);
    }
    deposit.as_ref().map(Place::of)
}

/// A switch that stands elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SwitchChange {
    /// Which.
    pub switch: Switch,
    /// Where it stood.
    pub before: Setting,
    /// Where it stands.
    pub after: Setting,
}

impl Comparison {
    /// Of two moments of one log, the earlier first, with the deposits that moved in between.
    pub fn of(before: &Overview, after: &Overview, moved: Vec<Moved>, more_moved: u64) -> Self {
        let moment = |overview: &Overview| Moment { position: overview.position, recorded_at: overview.recorded_at };
        let halt = |overview: &Overview| overview.desk.halt().map(ToString::to_string);
        let halts = (halt(before), halt(after));
        Self {
            from: moment(before),
            to: moment(after),
            balances: balances(before, after),
            deposits: counts(before, after),
            moved,
            more_moved,
            addresses: (before.addresses, after.addresses),
            switches: switches(&before.desk, &after.desk),
            halt: (halts.0 != halts.1).then_some(halts),
        }
    }
}

fn balances(before: &Overview, after: &Overview) -> Vec<BalanceChange> {
    // What stands somewhere at the first moment stands there at the second, if only as zero.
    let both = after.balances.all().iter().map(|balance| {
        (balance.account, balance.coin, before.balances.of(balance.account, balance.coin), balance.units)
    });
    let changed = both.filter(|(_, _, before, after)| before != after);
    let shown = changed.map(|(account, coin, before, after)| BalanceChange {
        account,
        coin,
        before: coin.amount(before),
        after: coin.amount(after),
        change: coin.amount(after - before),
    });
    shown.collect()
}

fn counts(before: &Overview, after: &Overview) -> Vec<CountChange> {
    let count = |overview: &Overview, place: Place| {
        let at = overview.lines.iter().find(|line| (line.stage, line.ended) == (place.stage, place.ended));
        at.map_or(0, |line| line.deposits)
    };
    // A line stays once it is there.
    let places = after.lines.iter().map(|line| Place { stage: line.stage, ended: line.ended });
    let both = places.map(|place| CountChange { place, before: count(before, place), after: count(after, place) });
    both.filter(|change| change.before != change.after).collect()
}

fn switches(before: &Desk, after: &Desk) -> Vec<SwitchChange> {
    let all = [Switch::Binds, Switch::Purchases, Switch::Sends];
    let both = all.map(|switch| SwitchChange { switch, before: before.setting(switch), after: after.setting(switch) });
    both.into_iter().filter(|change| change.before != change.after).collect()
}

#[cfg(test)]
mod tests;
