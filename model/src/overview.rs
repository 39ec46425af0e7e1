//! The whole desk at a position of its log: what stands on the accounts, how many deposits stand where, those that are open, and
//! the switches.
//!
//! A fold of all events. Deposits that have ended are counted and let go; when one moves again after all, whoever folds gives it
//! back as it was.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::chain;
use crate::deposit::{self, BlockRef, Deposit, Outcome, Stage, StageName, evolve};
use crate::desk::{self, Desk};
use crate::event::{Event, Recorded};
use crate::ids::{DepositId, Position, StreamName};
use crate::ledger::{self, Balances, Standing};
use crate::wallet::Wallet;

/// The desk as the events up to a position leave it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// The position of the newest event; 0 before the first.
    pub position: Position,
    /// When that was recorded.
    pub recorded_at: Option<DateTime<Utc>>,
    /// What stands on the accounts.
    pub balances: Balances,
    /// How many deposits stand where, and what they come to; in the order of [`Line::stage`] and [`Line::ended`].
    pub lines: Vec<Line>,
    /// The deposits that have not ended.
    pub open: BTreeMap<DepositId, Deposit>,
    /// Those that cannot be read from a position on. They are in no line, and what they would have posted since is missing from the
    /// balances.
    pub aside: BTreeMap<DepositId, Aside>,
    /// How many addresses were given out.
    pub addresses: u64,
    /// The newest block that was read.
    pub cursor: Option<BlockRef>,
    /// Switches, halts, declarations.
    pub desk: Desk,
    /// The outputs of the hot wallet that are reserved.
    pub wallet: Wallet,
}

/// Deposits that stand at the same place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Where they stand.
    pub stage: StageName,
    /// How they ended, if they did.
    pub ended: Option<Ended>,
    /// How many.
    pub deposits: u64,
    /// What was deposited, in satoshi.
    pub received: i128,
    /// What is or was to be paid out, in droplets.
    pub payout: i128,
}

/// How a deposit ended, by its name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// [`Outcome::Paid`]
    Paid,
    /// [`Outcome::Refunded`]
    Refunded,
    /// [`Outcome::Vanished`]
    Vanished,
    /// [`Outcome::Failed`]
    Failed,
    /// [`Outcome::WrittenOff`]
    WrittenOff,
}

impl Ended {
    /// How this deposit ended; nothing if it has not.
    pub fn of(deposit: &Deposit) -> Option<Self> {
        let Stage::Done(outcome) = &deposit.stage else { return None };
        Some(match outcome {
            Outcome::Paid => Self::Paid,
            Outcome::Refunded { .. } => Self::Refunded,
            Outcome::Vanished => Self::Vanished,
            Outcome::Failed { .. } => Self::Failed,
            Outcome::WrittenOff { .. } => Self::WrittenOff,
        })
    }

    /// The word in APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Refunded => "refunded",
            Self::Vanished => "vanished",
            Self::Failed => "failed",
            Self::WrittenOff => "written_off",
        }
    }
}

/// From where on a deposit cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// The position of its first event that cannot be read.
    pub position: Position,
    /// What is wrong with that.
    pub why: String,
}

impl Overview {
    /// The deposit that [`Self::take_in`] needs as it was before this event, readable or not: it had ended, and is not at hand.
    pub fn needs(&self, recorded: &Recorded) -> Option<DepositId> {
        let (StreamName::Deposit(id), Event::Deposit(_) | Event::Unreadable(_)) = (&recorded.stream, &recorded.event)
        else {
            return None;
        };
        let is_known = recorded.version == 1 || self.open.contains_key(id) || self.aside.contains_key(id);
        (!is_known).then_some(*id)
    }

    /// Takes in the next event, with the deposit that it [`needs`](Self::needs).
    pub fn take_in(&mut self, recorded: &Recorded, earlier: Option<Deposit>) {
        (self.position, self.recorded_at) = (recorded.position, Some(recorded.recorded_at));
        match (&recorded.stream, &recorded.event) {
            (StreamName::Deposit(id), Event::Deposit(event)) => {
                if !self.aside.contains_key(id) {
                    let before = if recorded.version == 1 { None } else { self.open.remove(id).or(earlier) };
                    self.follow(*id, before, event);
                }
            }
            (StreamName::Deposit(id), Event::Unreadable(what)) => {
                if !self.aside.contains_key(id) {
                    if let Some(before) = self.open.remove(id).or(earlier) {
                        self.line(&before).change(&before, -1);
                    }
                    self.aside.insert(*id, Aside { position: recorded.position, why: what.why.clone() });
                }
            }
            (_, Event::Binding(_)) => self.addresses += 1,
            (_, Event::Chain(chain::Event::BlockScanned(scanned))) => self.cursor = Some(scanned.block),
            (_, Event::Chain(chain::Event::ChainReorged(reorged))) => self.cursor = Some(reorged.fork),
            (_, Event::Wallet(event)) => self.wallet = std::mem::take(&mut self.wallet).evolve(event),
            (_, Event::Desk(event)) => {
                if let desk::Event::TransferDeclared(transfer) = event {
                    self.balances.post(&ledger::of_transfer(transfer));
                }
                self.desk = std::mem::take(&mut self.desk).evolve(event);
            }
            (
                _,
                Event::Chain(_)
                | Event::AddressBook(_)
                | Event::Deposit(_)
                | Event::Subscription(_)
                | Event::Unreadable(_),
            ) => {}
        }
    }

    fn follow(&mut self, id: DepositId, before: Option<Deposit>, event: &deposit::Event) {
        let standing = before.as_ref().map(Standing::of);
        if let Some(before) = &before {
            self.line(before).change(before, -1);
        }
        let Some(after) = evolve(before, event) else { return };
        if let Some(standing) = standing {
            self.balances.post(&ledger::of_deposit(&standing, event, &after));
        }
        self.line(&after).change(&after, 1);
        if !after.is_finished() {
            self.open.insert(id, after);
        }
    }

    fn line(&mut self, deposit: &Deposit) -> &mut Line {
        let place = (deposit.stage.name(), Ended::of(deposit));
        let index = self.lines.binary_search_by_key(&place, |line| (line.stage, line.ended)).unwrap_or_else(|index| {
            let (stage, ended) = place;
            self.lines.insert(index, Line { stage, ended, deposits: 0, received: 0, payout: 0 });
            index
        });
        &mut self.lines[index]
    }
}

impl Line {
    fn change(&mut self, deposit: &Deposit, by: i64) {
        self.deposits = self.deposits.saturating_add_signed(by);
        self.received += i128::from(by) * i128::from(deposit.receipt.amount.units());
        let payout = deposit.payout.as_ref().map_or(0, |payout| payout.amount.units());
        self.payout += i128::from(by) * i128::from(payout);
    }
}

#[cfg(test)]
mod tests;
