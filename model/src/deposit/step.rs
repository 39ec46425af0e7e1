//! Which event can follow which state: what [`Deposit::decide`] lets happen, asked of a stream as it is stored.
//!
//! [`super::evolve`] takes every event as it comes, since what is in the log has happened. Whoever proves a log asks here
//! first: an event that the rules never let follow is either not what was stored, or a fault of the rules.

use super::event::*;
use super::state::{Deposit, Outcome, Sighting, Stage, StageName};
use crate::money::Amount;
use crate::purchase::{Fact, FactError, Purchase};

/// Why an event cannot follow what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImpossibleStep {
    /// Something else than the detection comes first.
    #[error("a deposit begins with its detection")]
    NotDetected,
    /// The detection comes a second time.
    #[error("it was detected before")]
    DetectedBefore,
    /// It does not happen where the deposit stands.
    #[error("it does not happen to a deposit in {0}")]
    Stage(StageName),
    /// It does not happen to a transaction that stands so on the chain.
    #[error("it does not fit where the transaction was last seen")]
    Sighting,
    /// The purchase has no such step.
    #[error("the purchase does not allow it: {0}")]
    Purchase(#[from] FactError),
    /// There is no purchase.
    #[error("nothing is being bought")]
    NoPurchase,
    /// There is no payout.
    #[error("no payout was decided on")]
    NoPayout,
    /// The bytes are not there yet.
    #[error("no payout is signed")]
    NotSigned,
    /// The bytes are there already.
    #[error("a payout is signed")]
    Signed,
    /// The attempts are not numbered 1, 2, 3.
    #[error("the next attempt at the payout is {expected}, not {got}")]
    Attempt {
        /// The number due.
        expected: u32,
        /// The number found.
        got: u32,
    },
    /// The payout is void because of itself.
    #[error("a payout does not conflict with itself")]
    OwnConflict,
    /// Its amounts are not those that it rests on.
    #[error("its amounts do not follow from what came before")]
    Amounts,
}

type Checked = Result<(), ImpossibleStep>;

/// Whether this event can follow; `None` stands for a deposit that was not detected yet.
pub fn check_step(before: Option<&Deposit>, event: &Event) -> Result<(), ImpossibleStep> {
    match (before, event) {
        (None, Event::Detected(_)) => Ok(()),
        (None, _) => Err(ImpossibleStep::NotDetected),
        (Some(_), Event::Detected(_)) => Err(ImpossibleStep::DetectedBefore),
        (Some(deposit), event) => {
            deposit.check_stage(event)?;
            deposit.check_chain(event)?;
            deposit.check_purchase(event)?;
            deposit.check_payout(event)
        }
    }
}

impl Deposit {
    fn check_stage(&self, event: &Event) -> Checked {
        let stage = &self.stage;
        let is_possible = match event {
            // The chain does as it likes; what of it can follow is the sighting's business.
            Event::Detected(_) | Event::Mined(_) | Event::Orphaned(_) | Event::Vanished(_) | Event::Matured(_) => true,
            Event::Quarantined(_) | Event::StatusWaitDecide(_) => matches!(stage, Stage::Pending),
            Event::StatusWaitBuy(_) => matches!(stage, Stage::WaitDecide),
            Event::OrderIntended(_) | Event::Bought(_) | Event::PurchaseStopped(_) | Event::RemainderBooked(_) => {
                matches!(stage, Stage::WaitBuy)
            }
            Event::OrderPlaced(_)
            | Event::OrderRefused(_)
            | Event::OrderCancelIntended(_)
            | Event::OrderObserved(_) => {
                matches!(stage, Stage::WaitBuy | Stage::Held { .. })
            }
            Event::StatusWaitSend(owed) => match owed.basis {
                PayoutBasis::Direct { .. } => matches!(stage, Stage::WaitDecide),
                PayoutBasis::Bought => matches!(stage, Stage::WaitBuy),
            },
            Event::PayoutIntended(_) | Event::PayoutSigned(_) | Event::Sent(_) => matches!(stage, Stage::WaitSend),
            Event::PayoutVoided(_) => matches!(stage, Stage::WaitSend | Stage::WaitConfirm),
            Event::PayoutReorged(_) => matches!(stage, Stage::WaitConfirm | Stage::Done(_)),
            Event::Confirmed(_) => matches!(stage, Stage::WaitConfirm),
            Event::Held(_) => is_underway(stage),
            Event::Released(_) => matches!(stage, Stage::Held { .. }),
            Event::RefundDue(_) | Event::WrittenOff(_) => matches!(stage, Stage::Quarantined | Stage::Held { .. }),
            Event::RefundMarked(_) => matches!(stage, Stage::RefundDue { .. }),
            Event::ReorgLoss(_) => is_underway(stage) || *stage == Stage::Done(Outcome::Paid),
            Event::Failed(_) => !self.is_finished(),
        };
        if is_possible { Ok(()) } else { Err(ImpossibleStep::Stage(stage.name())) }
    }

    fn check_chain(&self, event: &Event) -> Checked {
        let is_possible = match event {
            Event::Orphaned(orphaned) => self.sighting == Sighting::Mined(orphaned.block),
            Event::Vanished(_) => matches!(self.sighting, Sighting::Unconfirmed | Sighting::Orphaned),
            Event::Matured(_) => self.ripens_in().is_some(),
            Event::Quarantined(_) => self.is_mined() && self.receipt.customer.is_none(),
            Event::StatusWaitDecide(_) => self.is_mined() && self.receipt.customer.is_some(),
            Event::ReorgLoss(_) => self.sighting == Sighting::Orphaned,
            Event::WrittenOff(_) => self.is_spent_elsewhere(),
            _ => true,
        };
        if is_possible { Ok(()) } else { Err(ImpossibleStep::Sighting) }
    }

    fn is_mined(&self) -> bool {
        matches!(self.sighting, Sighting::Mined(_))
    }

    fn check_purchase(&self, event: &Event) -> Checked {
        if let Some(fact) = fact_of(event) {
            return Ok(self.bought_with()?.check(&fact)?);
        }
        let purchase = self.purchase.as_ref();
        let (spent, bought) =
            purchase.map_or((Amount::ZERO, Amount::ZERO), |purchase| (purchase.spent(), purchase.bought()));
        let fits = match event {
            Event::StatusWaitBuy(decision) => decision.budget <= self.receipt.amount,
            Event::Bought(end) => (end.spent, end.bought) == (spent, bought),
            Event::PurchaseStopped(end) => (end.spent, end.bought) == (spent, bought),
            Event::WrittenOff(end) => (end.spent, end.bought) == (spent, bought),
            Event::RemainderBooked(booked) => booked.amount == self.bought_with()?.remaining(),
            Event::RefundDue(due) => due.amount.checked_add(spent).is_some_and(|all| all <= self.receipt.amount),
            _ => true,
        };
        let is_ended =
            matches!(event, Event::Bought(_) | Event::RemainderBooked(_) | Event::WrittenOff(_) | Event::RefundDue(_));
        if is_ended && purchase.is_some_and(|purchase| purchase.open_order().is_some()) {
            return Err(FactError::OrderOpen.into());
        }
        if fits { Ok(()) } else { Err(ImpossibleStep::Amounts) }
    }

    fn bought_with(&self) -> Result<&Purchase, ImpossibleStep> {
        self.purchase.as_ref().ok_or(ImpossibleStep::NoPurchase)
    }

    fn check_payout(&self, event: &Event) -> Checked {
        let payout = || self.payout.as_ref().ok_or(ImpossibleStep::NoPayout);
        let signed = || self.signed_payout().ok_or(ImpossibleStep::NotSigned);
        let unsigned = || if self.signed_payout().is_none() { Ok(()) } else { Err(ImpossibleStep::Signed) };
        match event {
            Event::StatusWaitSend(owed) => self.check_owed(owed),
            Event::PayoutIntended(intended) => {
                unsigned()?;
                let (expected, got) = (payout()?.attempt.saturating_add(1), intended.attempt);
                if got == expected { Ok(()) } else { Err(ImpossibleStep::Attempt { expected, got }) }
            }
            Event::PayoutSigned(_) => {
                unsigned()?;
                let attempt = payout()?.attempt;
                if attempt > 0 { Ok(()) } else { Err(ImpossibleStep::Attempt { expected: 1, got: attempt }) }
            }
            Event::PayoutVoided(voided) if signed()?.txid == voided.conflicting_txid => {
                Err(ImpossibleStep::OwnConflict)
            }
            Event::PayoutVoided(_) | Event::Sent(_) | Event::PayoutReorged(_) | Event::Confirmed(_) => {
                signed().map(drop)
            }
            Event::Held(_) | Event::RefundDue(_) | Event::WrittenOff(_) => unsigned(),
            _ => Ok(()),
        }
    }

    /// What is owed and what was cut off are together what the deposit brought.
    fn check_owed(&self, owed: &StatusWaitSend) -> Checked {
        let brought = match owed.basis {
            PayoutBasis::Direct { rate } => rate.sky_for(self.receipt.amount, 6).ok(),
            PayoutBasis::Bought => Some(self.bought_with()?.bought()),
        };
        let fits = brought.is_some() && owed.amount.checked_add(owed.rounding) == brought;
        if fits { Ok(()) } else { Err(ImpossibleStep::Amounts) }
    }
}

/// Whether the desk is at work on it.
fn is_underway(stage: &Stage) -> bool {
    matches!(stage, Stage::WaitDecide | Stage::WaitBuy | Stage::WaitSend | Stage::WaitConfirm)
}

/// What an event says of the purchase's orders.
fn fact_of(event: &Event) -> Option<Fact> {
    match event {
        Event::OrderIntended(intended) => Some(Fact::Intended(intended.order.clone())),
        Event::OrderPlaced(placed) => Some(Fact::Placed { order_id: placed.order_id }),
        Event::OrderRefused(refused) => Some(Fact::Refused { reason: refused.reason.clone() }),
        Event::OrderCancelIntended(_) => Some(Fact::CancelIntended),
        Event::OrderObserved(observed) => Some(Fact::Observed(observed.observation.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::evolve;
    use super::super::testing::*;
    use super::*;
    use crate::ids::Hash32;
    use crate::purchase::{Level, SeenBook};

    fn refused(events: Vec<Event>, next: Event) -> ImpossibleStep {
        let before = events.iter().fold(None, |before, event| {
            assert_eq!(check_step(before.as_ref(), event), Ok(()), "{event:?}");
            evolve(before, event)
        });
        check_step(before.as_ref(), &next).unwrap_err()
    }

    #[test]
    fn a_stream_begins_with_its_detection_and_has_one() {
        assert_eq!(refused(vec![], mined().into()), ImpossibleStep::NotDetected);
        assert_eq!(refused(vec![detected().into()], detected().into()), ImpossibleStep::DetectedBefore);
    }

    #[test]
    fn what_the_rules_forbid_is_no_step_of_a_stream() {
        let confirmed = Event::from(Confirmed { block_seq: 5, confirmations: 1 });
        let pending = vec![detected().into(), mined().into()];
        assert_eq!(refused(pending.clone(), Sent {}.into()), ImpossibleStep::Stage(StageName::Pending));
        assert_eq!(refused(pending, Vanished { replaced_by: None }.into()), ImpossibleStep::Sighting);
        assert_eq!(refused(up_to_wait_send(), Sent {}.into()), ImpossibleStep::NotSigned);
        assert_eq!(refused(up_to_signed(), confirmed), ImpossibleStep::Stage(StageName::WaitSend));
        let again = Event::PayoutSigned(signed().into());
        assert_eq!(refused(up_to_signed(), again), ImpossibleStep::Signed);
        let second = PayoutIntended { attempt: 2 }.into();
        assert_eq!(refused(up_to_wait_send(), second), ImpossibleStep::Attempt { expected: 1, got: 2 });
        let itself = PayoutVoided { conflicting_txid: signed().txid }.into();
        assert_eq!(refused(up_to_signed(), itself), ImpossibleStep::OwnConflict);
        let elsewhere = Orphaned { block: BlockRef { height: 8, hash: Hash32([8; 32]) } };
        assert_eq!(refused(up_to_signed(), elsewhere.into()), ImpossibleStep::Sighting);
    }

    #[test]
    fn amounts_follow_from_what_came_before() {
        let mut events = up_to_wait_send();
        let Some(Event::StatusWaitSend(owed)) = events.pop() else { panic!("it ends with what is owed") };
        let more = StatusWaitSend { amount: "500.001".parse().unwrap(), ..owed };
        assert_eq!(refused(events.clone(), more.into()), ImpossibleStep::Amounts);
        let budget = "1.00000001".parse().unwrap();
        let spendthrift = StatusWaitBuy { budget, best_ask: "0.002".parse().unwrap(), book: None };
        assert_eq!(refused(events.clone(), spendthrift.clone().into()), ImpossibleStep::Amounts);
        let ask = Level { price: "0.0019".parse().unwrap(), volume: "1".parse().unwrap() };
        let book = SeenBook::of(7, (&[ask], None), ask.price, budget).unwrap();
        let of_another_book = StatusWaitBuy { budget: "1".parse().unwrap(), book: Some(book), ..spendthrift }.into();
        let before = events.iter().fold(None, evolve);
        assert_eq!(check_step(before.as_ref(), &of_another_book), Ok(()), "nothing follows from the book");
    }
}
