//! Alerts: what operators are told of the desk's own troubles, once when one begins and once when it is over. Parts that are
//! down, and balances that are low.
//!
//! Each is an event of the desk's stream. Who decides when something is down or low is `millrace_protocols::alerting`; here
//! is what was told, so that nothing is told twice.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::desk::{Event, Place};
use crate::ledger::Ticker;

/// Why a part is taken for down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DownReason {
    /// It does not run: it failed, and waits for its next try or for an operator.
    NotRunning,
    /// It does not answer, or not so that anything could be done with it.
    Unreachable,
    /// It runs, and was restarted too often.
    RestartedTooOften,
    /// It was down and up again so often that it counts as down until that is over.
    Flapping,
}

impl DownReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NotRunning, Self::Unreachable, Self::RestartedTooOften, Self::Flapping];

    /// The word in events and notifications.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRunning => "not_running",
            Self::Unreachable => "unreachable",
            Self::RestartedTooOften => "restarted_too_often",
            Self::Flapping => "flapping",
        }
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRunning => "it does not run",
            Self::Unreachable => "it does not answer",
            Self::RestartedTooOften => "it was restarted too often",
            Self::Flapping => "it goes down and up again and again",
        })
    }
}

/// See [`Event::PartDown`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartDown {
    /// Its name in the health: a part of the tree such as `scanner`, or what the desk depends on, such as `bitcoin_node`.
    pub part: String,
    /// Since when it has been failing.
    pub since: DateTime<Utc>,
    /// Why it is taken for down.
    pub reason: DownReason,
}

/// See [`Event::PartUp`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartUp {
    /// Its name in the health.
    pub part: String,
    /// Since when it has been well.
    pub since: DateTime<Utc>,
}

/// See [`Event::BalanceLow`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceLow {
    /// Where.
    pub place: Place,
    /// Of which coin.
    pub coin: Ticker,
    /// How much is there, in smallest units.
    pub balance: u64,
    /// How much the operator wants there at least, in smallest units.
    pub threshold: u64,
}

/// See [`Event::BalanceRestored`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceRestored {
    /// Where.
    pub place: Place,
    /// Of which coin.
    pub coin: Ticker,
    /// How much is there, in smallest units.
    pub balance: u64,
    /// How much the operator wants there at least, in smallest units.
    pub threshold: u64,
}

/// What a watch decided is to be told: the event that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alert {
    /// A part is down.
    PartDown(PartDown),
    /// It is up again.
    PartUp(PartUp),
    /// A balance is low.
    BalanceLow(BalanceLow),
    /// It is not any more.
    BalanceRestored(BalanceRestored),
}

impl Alert {
    /// What an event of the desk says of parts and balances.
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::PartDown(down) => Some(Self::PartDown(down.clone())),
            Event::PartUp(up) => Some(Self::PartUp(up.clone())),
            Event::BalanceLow(low) => Some(Self::BalanceLow(low.clone())),
            Event::BalanceRestored(restored) => Some(Self::BalanceRestored(restored.clone())),
            Event::SwitchSet(_)
            | Event::TransferDeclared(_)
            | Event::Halted(_)
            | Event::Resumed(_)
            | Event::SweepSeen(_)
            | Event::SpendsMatched(_)
            | Event::OperatorActed(_) => None,
        }
    }

    /// The name of the command that stores it.
    pub const fn command(&self) -> &'static str {
        match self {
            Self::PartDown(_) => "TellPartDown",
            Self::PartUp(_) => "TellPartUp",
            Self::BalanceLow(_) => "TellBalanceLow",
            Self::BalanceRestored(_) => "TellBalanceRestored",
        }
    }
}

impl From<Alert> for Event {
    fn from(alert: Alert) -> Self {
        match alert {
            Alert::PartDown(down) => down.into(),
            Alert::PartUp(up) => up.into(),
            Alert::BalanceLow(low) => low.into(),
            Alert::BalanceRestored(restored) => restored.into(),
        }
    }
}

/// What was told to be wrong, and not that it is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    parts: BTreeMap<String, PartDown>,
    balances: Vec<BalanceLow>,
}

impl Alerts {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.balances.is_empty()
    }

    /// The parts that are down, by name.
    pub fn parts_down(&self) -> impl Iterator<Item = &PartDown> {
        self.parts.values()
    }

    /// The balances that are low, the first told first.
    pub fn balances_low(&self) -> &[BalanceLow] {
        &self.balances
    }

    /// Whether an alert is news: it is none when it was told and nothing else was since.
    pub fn is_new(&self, alert: &Alert) -> bool {
        match alert {
            Alert::PartDown(down) => !self.parts.contains_key(&down.part),
            Alert::PartUp(up) => self.parts.contains_key(&up.part),
            Alert::BalanceLow(low) => !self.is_low(low.place, low.coin),
            Alert::BalanceRestored(restored) => self.is_low(restored.place, restored.coin),
        }
    }

    fn is_low(&self, place: Place, coin: Ticker) -> bool {
        self.balances.iter().any(|low| (low.place, low.coin) == (place, coin))
    }

    pub(crate) fn part_down(&mut self, down: &PartDown) {
        self.parts.insert(down.part.clone(), down.clone());
    }

    pub(crate) fn part_up(&mut self, up: &PartUp) {
        self.parts.remove(&up.part);
    }

    pub(crate) fn balance_low(&mut self, low: &BalanceLow) {
        self.forget((low.place, low.coin));
        self.balances.push(low.clone());
    }

    pub(crate) fn balance_restored(&mut self, restored: &BalanceRestored) {
        self.forget((restored.place, restored.coin));
    }

    fn forget(&mut self, which: (Place, Ticker)) {
        self.balances.retain(|low| (low.place, low.coin) != which);
    }
}

#[cfg(test)]
mod tests;
