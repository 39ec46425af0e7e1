//! Receiving: from the first sighting to the receipt, and what a reorganisation does to both.

use super::command::Rejection;
use super::event::*;
use super::state::{Deposit, Outcome, Sighting, Stage};
use super::write_off::{MINED_AGAIN, SPENT_ELSEWHERE};
use crate::ids::{DepositId, Hash32};

/// How deep a block's reward must be before anybody can spend it: Bitcoin's consensus rule.
pub const COINBASE_MATURITY_BLOCKS: u64 = 100;

/// How many blocks deep a deposit must be, its own block included, when the desk asks for `configured`: more if it is a
/// block's reward.
pub fn confirmations_required(coinbase: bool, configured: u64) -> u64 {
    if coinbase { configured.max(COINBASE_MATURITY_BLOCKS + 1) } else { configured }
}

impl Deposit {
    /// How many blocks deep it must be, its own included, when the desk asks for `configured`.
    pub fn confirmations_required(&self, configured: u64) -> u64 {
        confirmations_required(self.receipt.coinbase, configured)
    }

    pub(super) fn observe_mined(&self, block: BlockRef) -> Result<Vec<Event>, Rejection> {
        if self.sighting == Sighting::Mined(block) {
            return Err(Rejection::NothingNew);
        }
        Ok(vec![Mined { block }.into()])
    }

    /// The block whose depth the deposit waits for: before the receipt, and again after a reorganisation undid it.
    pub fn ripens_in(&self) -> Option<BlockRef> {
        let waits = match self.stage {
            Stage::Pending => true,
            Stage::Quarantined
            | Stage::WaitDecide
            | Stage::WaitBuy
            | Stage::WaitSend
            | Stage::WaitConfirm
            | Stage::Held { .. }
            | Stage::RefundDue { .. } => self.is_undone,
            Stage::Done(_) => false,
        };
        match self.sighting {
            Sighting::Mined(block) if waits => Some(block),
            Sighting::Unconfirmed | Sighting::Orphaned | Sighting::Vanished { .. } | Sighting::Mined(_) => None,
        }
    }

    fn is_held_as_orphaned(&self) -> bool {
        matches!(&self.stage, Stage::Held { reason: HoldReason::DepositOrphaned, .. })
    }

    /// Before the receipt it just waits again. After it, nothing new is done for the deposit until it is mined again and
    /// deep enough again; what was signed already cannot be taken back and is a loss unless it is mined again.
    pub(super) fn observe_orphaned(&self) -> Result<Vec<Event>, Rejection> {
        let Sighting::Mined(block) = self.sighting else { return Err(Rejection::NothingNew) };
        let mut events = vec![Orphaned { block }.into()];
        match &self.stage {
            Stage::Pending | Stage::Quarantined | Stage::RefundDue { .. } | Stage::Held { .. } => {}
            Stage::WaitDecide | Stage::WaitBuy | Stage::WaitSend | Stage::WaitConfirm
                if self.signed_payout().is_none() =>
            {
                events.push(Held { reason: HoldReason::DepositOrphaned }.into());
            }
            Stage::WaitDecide | Stage::WaitBuy | Stage::WaitSend | Stage::WaitConfirm | Stage::Done(Outcome::Paid) => {
                events.push(ReorgLoss { amount: self.receipt.amount }.into());
            }
            Stage::Done(
                Outcome::Refunded { .. } | Outcome::Vanished | Outcome::Failed { .. } | Outcome::WrittenOff { .. },
            ) => {}
        }
        Ok(events)
    }

    /// What was received and undone ends when its coins were spent elsewhere: as if it had never been when nothing was ordered
    /// for it, else written off. Without another transaction that spends them it may be mined again, and goes on by its
    /// decision then.
    pub(super) fn observe_vanished(&self, replaced_by: Option<Hash32>) -> Result<Vec<Event>, Rejection> {
        match self.sighting {
            Sighting::Unconfirmed | Sighting::Orphaned => {}
            Sighting::Mined(_) | Sighting::Vanished { .. } => return Err(Rejection::NothingNew),
        }
        let vanished = Event::from(Vanished { replaced_by });
        let is_held = matches!(self.stage, Stage::Held { .. }) && self.waits_for_nothing_but_its_coins();
        if replaced_by.is_some() && is_held && !self.was_ordered_for() {
            return Ok(vec![Released { note: SPENT_ELSEWHERE.to_owned() }.into(), vanished]);
        }
        Ok(self.with_write_off(vec![vanished]))
    }

    pub(super) fn observe_mature(
        &self,
        confirmations: u64,
        seen_before: Option<DepositId>,
    ) -> Result<Vec<Event>, Rejection> {
        if self.ripens_in().is_none() {
            return Err(self.wrong_stage());
        }
        let seen_before = seen_before.filter(|earlier| *earlier != self.receipt.id);
        let mut events = vec![Matured { confirmations }.into()];
        match self.stage {
            Stage::Pending if self.receipt.customer.is_none() => {
                events.push(Quarantined {}.into());
                return Ok(events);
            }
            Stage::Pending => events.push(StatusWaitDecide {}.into()),
            // Another reason to hold it stands, unless there is a better one now.
            Stage::Held { .. } if self.is_held_as_orphaned() || seen_before.is_some() => {
                events.push(Released { note: MINED_AGAIN.to_owned() }.into());
            }
            _ => return Ok(events),
        }
        if let Some(earlier) = seen_before {
            events.push(Held { reason: HoldReason::CoinsSeenBefore { earlier } }.into());
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Command;
    use super::super::testing::*;
    use super::*;

    #[test]
    fn a_deposit_deep_enough_is_a_receipt() {
        given([detected().into(), mined().into()])
            .when(Command::ObserveMature { confirmations: 1, seen_before: None })
            .then([Matured { confirmations: 1 }.into(), StatusWaitDecide {}.into()]);
    }

    /// D9: deep enough, it is quarantined.
    #[test]
    fn a_deposit_to_an_unbound_address_is_quarantined() {
        let unbound = Detected { customer: None, ..detected() };
        given([unbound.into(), mined().into()])
            .when(Command::ObserveMature { confirmations: 1, seen_before: None })
            .then([Matured { confirmations: 1 }.into(), Quarantined {}.into()]);
    }

    #[test]
    fn coins_seen_in_a_decided_and_orphaned_deposit_are_held() {
        let earlier = DepositId(uuid::Uuid::from_u128(99));
        given([detected().into(), mined().into()])
            .when(Command::ObserveMature { confirmations: 1, seen_before: Some(earlier) })
            .then([
                Matured { confirmations: 1 }.into(),
                StatusWaitDecide {}.into(),
                Held { reason: HoldReason::CoinsSeenBefore { earlier } }.into(),
            ]);
    }

    /// D4: in no block it is never deep enough.
    #[test]
    fn a_sighting_in_the_mempool_never_matures() {
        given([detected().into()]).when(Command::ObserveMature { confirmations: 9, seen_before: None }).rejected();
    }

    /// D1: a block told twice changes nothing.
    #[test]
    fn the_same_block_reported_again_changes_nothing() {
        given([detected().into(), mined().into()])
            .when(Command::ObserveMined { block: mined().block })
            .rejected_with(Rejection::NothingNew);
    }

    /// D3: what was received and is undone is held until it is as deep again.
    #[test]
    fn an_orphaned_receipt_is_held_and_goes_on_once_deep_enough_again() {
        let orphaned = given([detected().into(), mined().into(), StatusWaitDecide {}.into()])
            .when(Command::ObserveOrphaned)
            .then([Orphaned { block: mined().block }.into(), Held { reason: HoldReason::DepositOrphaned }.into()]);
        let again = BlockRef { height: 8, hash: crate::ids::Hash32([8; 32]) };
        orphaned
            .when(Command::ObserveMined { block: again })
            .then([Mined { block: again }.into()])
            .when(Command::ObserveMature { confirmations: 2, seen_before: None })
            .then([Matured { confirmations: 2 }.into(), Released { note: "mined again".into() }.into()])
            .leaves(|deposit| assert_eq!(deposit.stage, Stage::WaitDecide));
    }

    #[test]
    fn an_orphaned_receipt_whose_coins_were_paid_for_meanwhile_stays_held() {
        let earlier = DepositId(uuid::Uuid::from_u128(99));
        let orphaned = [
            detected().into(),
            mined().into(),
            StatusWaitDecide {}.into(),
            Orphaned { block: mined().block }.into(),
            Held { reason: HoldReason::DepositOrphaned }.into(),
            mined().into(),
        ];
        given(orphaned).when(Command::ObserveMature { confirmations: 1, seen_before: Some(earlier) }).then([
            Matured { confirmations: 1 }.into(),
            Released { note: "mined again".into() }.into(),
            Held { reason: HoldReason::CoinsSeenBefore { earlier } }.into(),
        ]);
    }

    /// D3: what was signed goes on, and the loss is written down.
    #[test]
    fn a_deposit_orphaned_after_its_payout_was_signed_is_a_loss_and_the_payout_goes_on() {
        given(up_to_signed())
            .when(Command::ObserveOrphaned)
            .then([Orphaned { block: mined().block }.into(), ReorgLoss { amount: detected().amount }.into()])
            .leaves(|deposit| assert_eq!(deposit.stage, Stage::WaitSend));
    }

    #[test]
    fn a_vanished_transaction_that_is_mined_after_all_goes_on() {
        given([detected().into(), Vanished { replaced_by: None }.into()])
            .when(Command::ObserveMined { block: mined().block })
            .then([mined().into()])
            .leaves(|deposit| assert_eq!(deposit.stage, Stage::Pending));
    }

    /// D10: a reward needs 101 confirmations.
    #[test]
    fn a_block_reward_waits_for_a_hundred_blocks_on_top() {
        let reward = Detected { coinbase: true, ..detected() };
        let deposit = given([reward.into()]).deposit();
        assert_eq!(deposit.confirmations_required(1), 101);
        assert_eq!(given([detected().into()]).deposit().confirmations_required(3), 3);
    }

    /// D3: spent elsewhere before anything was done for it, it ends as vanished.
    #[test]
    fn a_held_deposit_whose_coins_were_spent_elsewhere_ends_and_begins_anew_when_it_is_mined_after_all() {
        let replaced_by = Some(crate::ids::Hash32([9; 32]));
        let orphaned = given(up_to_wait_send()).when(Command::ObserveOrphaned).then_any();
        let gone = orphaned
            .when(Command::ObserveVanished { replaced_by })
            .then([Released { note: "its coins were spent elsewhere".into() }.into(), Vanished { replaced_by }.into()]);
        gone.when(Command::ObserveMined { block: mined().block })
            .then([mined().into()])
            .when(Command::ObserveMature { confirmations: 2, seen_before: None })
            .then([Matured { confirmations: 2 }.into(), StatusWaitDecide {}.into()])
            .leaves(|deposit| assert_eq!((&deposit.stage, &deposit.payout), (&Stage::WaitDecide, &None)));
    }

    /// D3: what something was done for, or may be mined again, does not.
    #[test]
    fn what_something_was_done_for_or_may_be_mined_again_does_not_end_with_its_coins() {
        let replaced_by = Some(crate::ids::Hash32([9; 32]));
        let vanished = [Event::from(Vanished { replaced_by })];
        let orphaned = given(up_to_signed()).when(Command::ObserveOrphaned).then_any();
        let signed = orphaned.when(Command::ObserveVanished { replaced_by }).then(vanished.clone());
        signed.leaves(|deposit| assert_eq!(deposit.stage, Stage::WaitSend));
        let reason = HoldReason::Operator { note: "look".into() };
        let held = given(up_to_wait_send()).when(Command::Hold { reason }).then_any();
        let orphaned = held.when(Command::ObserveOrphaned).then_any();
        let looked_at = orphaned.when(Command::ObserveVanished { replaced_by }).then(vanished);
        looked_at.leaves(|deposit| assert!(matches!(deposit.stage, Stage::Held { .. })));
        let orphaned = given(up_to_wait_send()).when(Command::ObserveOrphaned).then_any();
        let evicted = orphaned.when(Command::ObserveVanished { replaced_by: None });
        evicted
            .then([Vanished { replaced_by: None }.into()])
            .leaves(|deposit| assert!(matches!(deposit.stage, Stage::Held { .. })));
    }

    /// Received, held by an operator, and undone by a reorganisation; then mined again.
    fn held_undone_and_mined_again() -> Given {
        let reason = HoldReason::Operator { note: "look".into() };
        let events = [mined().into(), StatusWaitDecide {}.into(), Held { reason }.into()];
        given([detected().into()].into_iter().chain(events))
            .when(Command::ObserveOrphaned)
            .then([Orphaned { block: mined().block }.into()])
            .when(Command::ObserveMined { block: mined().block })
            .then([mined().into()])
    }

    #[test]
    fn what_was_undone_while_it_was_held_is_not_released_before_it_is_deep_enough_again() {
        held_undone_and_mined_again()
            .when(Command::Release { note: "go".into() })
            .rejected_with(Rejection::NotDeepAgain);
        held_undone_and_mined_again()
            .when(Command::MarkRefundDue { note: "by hand".to_owned() })
            .rejected_with(Rejection::NotDeepAgain);
        held_undone_and_mined_again()
            .when(Command::ObserveMature { confirmations: 3, seen_before: None })
            .then([Matured { confirmations: 3 }.into()])
            .when(Command::Release { note: "go".into() })
            .then([Released { note: "go".into() }.into()])
            .leaves(|deposit| assert_eq!((&deposit.stage, deposit.ripens_in()), (&Stage::WaitDecide, None)));
    }

    #[test]
    fn what_was_undone_while_it_was_held_and_paid_for_meanwhile_is_held_for_that() {
        let earlier = DepositId(uuid::Uuid::from_u128(99));
        held_undone_and_mined_again()
            .when(Command::ObserveMature { confirmations: 3, seen_before: Some(earlier) })
            .then([
                Matured { confirmations: 3 }.into(),
                Released { note: "mined again".into() }.into(),
                Held { reason: HoldReason::CoinsSeenBefore { earlier } }.into(),
            ]);
    }

    #[test]
    fn a_quarantined_deposit_that_was_undone_is_paid_back_only_when_it_is_deep_enough_again() {
        let unbound = Detected { customer: None, ..detected() };
        let undone = [unbound.into(), mined().into(), Quarantined {}.into(), Orphaned { block: mined().block }.into()];
        given(undone.into_iter().chain([mined().into()]))
            .when(Command::MarkRefundDue { note: "by hand".to_owned() })
            .rejected_with(Rejection::NotDeepAgain);
    }
}
