//! What an operator may do to a deposit: hold, release, pay back.

use super::command::Rejection;
use super::event::*;
use super::state::{Deposit, Sighting, Stage};
use crate::ids::Hash32;

impl Deposit {
    pub(super) fn hold(&self, reason: &HoldReason) -> Result<Vec<Event>, Rejection> {
        match self.stage {
            Stage::WaitDecide | Stage::WaitBuy | Stage::WaitSend => {
                if self.signed_payout().is_some() {
                    return Err(Rejection::PayoutSigned);
                }
                Ok(vec![Held { reason: reason.clone() }.into()])
            }
            Stage::Pending
            | Stage::Quarantined
            | Stage::WaitConfirm
            | Stage::Held { .. }
            | Stage::RefundDue { .. }
            | Stage::Done(_) => Err(self.wrong_stage()),
        }
    }

    pub(super) fn release(&self, note: &str) -> Result<Vec<Event>, Rejection> {
        let Stage::Held { .. } = self.stage else { return Err(Rejection::NotHeld) };
        if self.is_spent_elsewhere() {
            return self.write_off(note);
        }
        self.check_received()?;
        Ok(vec![Released { note: note.to_owned() }.into()])
    }

    /// Whether it is received in the chain as it is now, whatever else may hold it.
    fn check_received(&self) -> Result<(), Rejection> {
        match self.sighting {
            Sighting::Mined(_) if self.is_undone => Err(Rejection::NotDeepAgain),
            Sighting::Mined(_) => Ok(()),
            Sighting::Unconfirmed | Sighting::Orphaned | Sighting::Vanished { .. } => Err(Rejection::StillOrphaned),
        }
    }

    /// Only what was not spent can be paid back as it came, so a purchase that bought something is not refundable here.
    pub(super) fn mark_refund_due(&self, note: &str) -> Result<Vec<Event>, Rejection> {
        if self.signed_payout().is_some() {
            return Err(Rejection::PayoutSigned);
        }
        match self.stage {
            Stage::Quarantined | Stage::Held { .. } => {}
            _ => return Err(self.wrong_stage()),
        }
        self.check_received()?;
        let spent = match &self.purchase {
            Some(purchase) if purchase.open_order().is_some() => return Err(Rejection::OrderOpen),
            Some(purchase) if !purchase.bought().is_zero() => {
                return Err(Rejection::Arithmetic("coins were bought for it already"));
            }
            Some(purchase) => purchase.spent(),
            None => crate::money::Amount::ZERO,
        };
        let amount =
            self.receipt.amount.checked_sub(spent).ok_or(Rejection::Arithmetic("more spent than deposited"))?;
        Ok(vec![RefundDue { amount, note: note.to_owned() }.into()])
    }

    pub(super) fn mark_refunded(&self, txid: Hash32, note: &str) -> Result<Vec<Event>, Rejection> {
        match self.stage {
            Stage::RefundDue { .. } => Ok(vec![RefundMarked { txid, note: note.to_owned() }.into()]),
            _ => Err(self.wrong_stage()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Command;
    use super::super::testing::*;
    use super::*;

    #[test]
    fn a_held_deposit_goes_on_where_it_was_stopped() {
        given(up_to_wait_send())
            .when(Command::Hold { reason: HoldReason::Operator { note: "look".into() } })
            .then([Held { reason: HoldReason::Operator { note: "look".into() } }.into()])
            .when(Command::Release { note: "fine".into() })
            .then([Released { note: "fine".into() }.into()])
            .leaves(|deposit| assert_eq!(deposit.stage, Stage::WaitSend));
    }

    #[test]
    fn there_is_no_refund_beside_a_signed_payout() {
        given(up_to_signed())
            .when(Command::MarkRefundDue { note: "gone".into() })
            .rejected_with(Rejection::PayoutSigned);
        given(up_to_signed())
            .when(Command::Hold { reason: HoldReason::Operator { note: String::new() } })
            .rejected_with(Rejection::PayoutSigned);
    }

    /// D9: an operator pays it back.
    #[test]
    fn a_quarantined_deposit_can_be_paid_back() {
        let unbound = Detected { customer: None, ..detected() };
        given([unbound.into(), mined().into(), Quarantined {}.into()])
            .when(Command::MarkRefundDue { note: "a stranger's".into() })
            .then([RefundDue { amount: detected().amount, note: "a stranger's".into() }.into()])
            .when(Command::MarkRefunded { txid: Hash32([3; 32]), note: "by hand".into() })
            .then([RefundMarked { txid: Hash32([3; 32]), note: "by hand".into() }.into()]);
    }

    #[test]
    fn what_a_reorganisation_took_is_not_paid_back() {
        let unbound = Detected { customer: None, ..detected() };
        given([unbound.into(), mined().into(), Quarantined {}.into(), Orphaned { block: mined().block }.into()])
            .when(Command::MarkRefundDue { note: "gone".into() })
            .rejected_with(Rejection::StillOrphaned);
    }

    #[test]
    fn an_orphaned_deposit_is_not_released_by_hand() {
        given([detected().into(), mined().into(), StatusWaitDecide {}.into()])
            .when(Command::ObserveOrphaned)
            .then([Orphaned { block: mined().block }.into(), Held { reason: HoldReason::DepositOrphaned }.into()])
            .when(Command::Release { note: "go".into() })
            .rejected_with(Rejection::StillOrphaned);
    }
}
