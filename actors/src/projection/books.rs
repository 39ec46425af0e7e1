//! The ledger's balances, kept up to date with every event.

use std::collections::HashMap;

use millrace_model::deposit::{Deposit, evolve};
use millrace_model::desk;
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{DepositId, StreamName};
use millrace_model::ledger::{self, Balances, Standing};

use crate::deposits::fold;
use crate::event_store::{ReadError, Reader};

/// How many deposits are kept in memory; beyond it, all are forgotten and read again.
const DEPOSITS_MAX: usize = 50_000;

/// The balances, and the deposits in motion that the next postings rest on.
#[derive(Debug, Default)]
pub(super) struct Books {
    balances: Balances,
    deposits: HashMap<DepositId, Deposit>,
}

impl Books {
    pub(super) fn new(balances: Balances) -> Self {
        Self { balances, deposits: HashMap::new() }
    }

    pub(super) fn balances(&self) -> &Balances {
        &self.balances
    }

    pub(super) fn take_in(&mut self, recorded: &Recorded, reader: &Reader) -> Result<(), ReadError> {
        match (&recorded.stream, &recorded.event) {
            (StreamName::Deposit(id), Event::Deposit(event)) => {
                let deposit = self.before(*id, recorded, reader)?;
                let before = deposit.as_ref().map(Standing::of);
                let Some(after) = evolve(deposit, event) else { return Ok(()) };
                if let Some(before) = before {
                    self.balances.post(&ledger::of_deposit(&before, event, &after));
                }
                self.keep(*id, after);
            }
            // What it and those after it post is missing from the balances; the deposit's row says so.
            (StreamName::Deposit(id), Event::Unreadable(_)) => drop(self.deposits.remove(id)),
            (_, Event::Desk(desk::Event::TransferDeclared(transfer))) => {
                self.balances.post(&ledger::of_transfer(transfer));
            }
            _ => {}
        }
        Ok(())
    }

    /// The deposit without this event.
    fn before(&mut self, id: DepositId, recorded: &Recorded, reader: &Reader) -> Result<Option<Deposit>, ReadError> {
        if recorded.version == 1 {
            return Ok(None);
        }
        if let Some(before) = self.deposits.remove(&id) {
            return Ok(Some(before));
        }
        let events = reader.stream(&recorded.stream, 0)?;
        let earlier = events.partition_point(|earlier| earlier.version < recorded.version);
        Ok(fold(&events[..earlier]).map(|tracked| tracked.deposit))
    }

    /// What is finished is not expected to move any more.
    fn keep(&mut self, id: DepositId, deposit: Deposit) {
        if self.deposits.len() >= DEPOSITS_MAX {
            self.deposits.clear();
        }
        if !deposit.is_finished() {
            self.deposits.insert(id, deposit);
        }
    }
}
