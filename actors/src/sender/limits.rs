//! What was paid out lately, counted from the log, and whether more may be.
//!
//! A payout counts from the moment it is about to be signed, so that payouts that are made side by side do not exceed a limit
//! together, and from its signature on by what the log says, so that a restart forgets nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use millrace_model::deposit::Event;
use millrace_model::event::{self, Recorded};
use millrace_model::ids::{DepositId, Position, StreamName};
use millrace_model::money::{Amount, Sky};
use millrace_model::outflow::{Limits, Made, Outflow};
use millrace_protocols::wire::skycoin::address::SkyAddress;

use super::{Sender, Trouble};
use crate::deposits::Deposits;
use crate::event_store::ReadError;

/// The payouts of the last day, followed at every question. Where nothing is limited, nothing is read.
pub(super) struct PaidOut {
    limits: Limits,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// How far the log was read; `None` before the first question.
    position: Option<Position>,
    outflow: Outflow,
    promised: BTreeMap<DepositId, Made>,
}

/// A payout that is being made: it counts until this is dropped. By then it is in the log, or was not made.
pub(super) struct Promised<'p>(&'p PaidOut, DepositId);

impl Drop for Promised<'_> {
    fn drop(&mut self) {
        self.0.known().promised.remove(&self.1);
    }
}

impl PaidOut {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, known: Mutex::default() }
    }

    fn promise(&self, deposits: &Deposits, wanted: Made) -> Result<Option<Promised<'_>>, Trouble> {
        if self.limits == Limits::default() {
            return Ok(None);
        }
        let mut known = self.known();
        known.follow(deposits, wanted.at)?;
        if let Some(reached) = known.outflow.reached(&self.limits, &known.promised, &wanted) {
            return Err(reached.into());
        }
        let id = wanted.id;
        known.promised.insert(id, wanted);
        Ok(Some(Promised(self, id)))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender {
    /// Counts a payout that is about to be signed, if the limits allow it.
    pub(super) fn promise(
        &self,
        id: DepositId,
        to: SkyAddress,
        amount: Amount<Sky>,
    ) -> Result<Option<Promised<'_>>, Trouble> {
        let wanted = Made { id, at: self.settings.clock.now(), target: to.to_string(), amount };
        let promised = self.paid_out.promise(&self.deposits, wanted)?;
        self.alarms.limits.clear(id);
        Ok(promised)
    }
}

impl Known {
    fn follow(&mut self, deposits: &Deposits, now: DateTime<Utc>) -> Result<(), ReadError> {
        let reader = deposits.store().reader()?;
        let position = match self.position {
            Some(position) => position,
            None => reader.position_before(now - Outflow::SPAN)?,
        };
        let (position, events) = reader.payouts_after(position)?;
        for recorded in &events {
            self.take_in(deposits, recorded)?;
        }
        self.position = Some(position);
        self.outflow.forget(now);
        Ok(())
    }

    fn take_in(&mut self, deposits: &Deposits, recorded: &Recorded) -> Result<(), ReadError> {
        let (StreamName::Deposit(id), event::Event::Deposit(event)) = (&recorded.stream, &recorded.event) else {
            return Ok(());
        };
        match event {
            Event::PayoutVoided(_) => self.outflow.void(*id),
            Event::PayoutSigned(_) => {
                let Some(tracked) = deposits.get(*id)? else { return Ok(()) };
                let (payout, customer) = (&tracked.deposit.payout, &tracked.deposit.receipt.customer);
                if let (Some(payout), Some(customer)) = (payout, customer) {
                    let (at, target) = (recorded.recorded_at, customer.target.clone());
                    self.outflow.make(Made { id: *id, at, target, amount: payout.amount });
                }
            }
            _ => {}
        }
        Ok(())
    }
}
