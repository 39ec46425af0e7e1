//! The end of what was received, undone and spent elsewhere: nothing is paid out, and what was bought for it is the desk's.
//!
//! It is written off only once nothing of it is under way: an order that is open is cancelled and read to its end first.
//! If the transaction is mined after all, the deposit is where it was, with what was bought for it: an order's number is
//! never used again, and nothing is bought twice.

use super::command::Rejection;
use super::event::*;
use super::state::{Deposit, Sighting, Stage, evolve};
use crate::money::Amount;
use crate::purchase::Purchase;

/// Why a deposit ends by itself.
pub(super) const SPENT_ELSEWHERE: &str = "its coins were spent elsewhere";
/// Why it goes on by itself.
pub(super) const MINED_AGAIN: &str = "mined again";

/// What the rules say in their own words where an operator would say something in his.
pub const OWN_WORDS: [&str; 2] = [SPENT_ELSEWHERE, MINED_AGAIN];

impl Deposit {
    /// These events, and the end if they leave nothing that anybody has to wait for or look at.
    pub(super) fn with_write_off(&self, mut events: Vec<Event>) -> Vec<Event> {
        let after = events.iter().try_fold(self.clone(), |deposit, event| evolve(Some(deposit), event));
        let ended = after.filter(|after| after.is_spent_elsewhere() && after.waits_for_nothing_but_its_coins());
        events.extend(ended.and_then(|after| after.write_off(SPENT_ELSEWHERE).ok()).into_iter().flatten());
        events
    }

    /// Ends it, whatever else it is held for.
    pub(super) fn write_off(&self, note: &str) -> Result<Vec<Event>, Rejection> {
        if self.signed_payout().is_some() {
            return Err(Rejection::PayoutSigned);
        }
        let (bought, spent) = match &self.purchase {
            Some(purchase) if purchase.open_order().is_some() => return Err(Rejection::OrderOpen),
            Some(purchase) => (purchase.bought(), purchase.spent()),
            None => (Amount::ZERO, Amount::ZERO),
        };
        Ok(vec![WrittenOff { bought, spent, note: note.to_owned() }.into()])
    }

    /// Whether another transaction took its coins, as the chain is now.
    pub(super) fn is_spent_elsewhere(&self) -> bool {
        matches!(self.sighting, Sighting::Vanished { replaced_by: Some(_) })
    }

    /// Whether an order was ever intended for it, whatever came of that.
    pub(super) fn was_ordered_for(&self) -> bool {
        self.purchase.as_ref().is_some_and(Purchase::has_ordered)
    }

    /// Whether nobody has to look at it once its coins are gone: the reason says nothing of anything else.
    pub(super) fn waits_for_nothing_but_its_coins(&self) -> bool {
        let reason = match &self.stage {
            Stage::Held { reason, .. } => reason,
            stage => return *stage == Stage::Quarantined,
        };
        match reason {
            HoldReason::DepositOrphaned
            | HoldReason::BelowMinimum
            | HoldReason::AboveMaximum
            | HoldReason::NothingToSend
            | HoldReason::PayoutAboveMaximum
            | HoldReason::CoinsSeenBefore { .. } => true,
            HoldReason::OrderUnaccounted
            | HoldReason::PurchaseStopped
            | HoldReason::PayoutTooManyInputs
            | HoldReason::InvalidTarget
            | HoldReason::PaidBefore { .. }
            | HoldReason::WalletMisbehaved
            | HoldReason::Operator { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Command;
    use super::super::state::Outcome;
    use super::super::testing::*;
    use super::*;
    use crate::ids::Hash32;
    use crate::purchase::{ClientOrderId, Fact, OrderIntent, OrderObservation, OrderState, Price};

    fn price() -> Price {
        "0.002".parse().unwrap()
    }

    fn intended() -> Fact {
        let cid = ClientOrderId::for_attempt("a deposit", 1);
        Fact::Intended(OrderIntent { attempt: 1, cid, price: price(), quantity: "500".parse().unwrap() })
    }

    fn seen(completed: &str, state: OrderState) -> Command {
        let completed = completed.parse().unwrap();
        let fee = Amount::ZERO;
        Command::RecordPurchase(Fact::Observed(OrderObservation { completed, avg_price: Some(price()), fee, state }))
    }

    /// One order is at the exchange, and nothing of it is filled yet.
    fn ordered() -> Given {
        let decided = StatusWaitBuy { budget: "1".parse().unwrap(), best_ask: price(), book: None };
        given([detected().into(), mined().into(), StatusWaitDecide {}.into(), decided.into()])
            .when(Command::RecordPurchase(intended()))
            .then_any()
            .when(Command::RecordPurchase(Fact::Placed { order_id: 7 }))
            .then_any()
    }

    fn gone() -> Command {
        Command::ObserveVanished { replaced_by: Some(Hash32([9; 32])) }
    }

    fn vanished() -> Event {
        Vanished { replaced_by: Some(Hash32([9; 32])) }.into()
    }

    fn written_off(bought: &str, spent: &str, note: &str) -> Event {
        WrittenOff { bought: bought.parse().unwrap(), spent: spent.parse().unwrap(), note: note.into() }.into()
    }

    #[track_caller]
    fn is_written_off(deposit: &Deposit) {
        assert!(matches!(deposit.stage, Stage::Done(Outcome::WrittenOff { .. })), "{:?}", deposit.stage);
    }

    /// D3: an order that is open is seen to its end first, and its last fills count.
    #[test]
    fn a_deposit_that_was_being_bought_is_written_off_once_its_order_has_ended() {
        let undone = ordered().when(Command::ObserveOrphaned).then_any().when(gone()).then([vanished()]);
        let open = undone.when(seen("10", OrderState::Open)).then_any();
        let cancelling = open.when(Command::RecordPurchase(Fact::CancelIntended)).then_any();
        cancelling
            .when(seen("20", OrderState::Cancelled))
            .then([
                OrderObserved {
                    observation: OrderObservation {
                        completed: "20".parse().unwrap(),
                        avg_price: Some(price()),
                        fee: Amount::ZERO,
                        state: OrderState::Cancelled,
                    },
                }
                .into(),
                written_off("20", "0.04", SPENT_ELSEWHERE),
            ])
            .leaves(is_written_off);
    }

    /// D3: what was bought before is the desk's; and the order's number is not used again for a deposit that is back.
    #[test]
    fn one_that_is_mined_after_all_goes_on_with_what_was_bought_for_it() {
        let ended =
            ordered().when(seen("20", OrderState::Cancelled)).then_any().when(Command::ObserveOrphaned).then_any();
        let written_off = ended.when(gone()).then([vanished(), written_off("20", "0.04", SPENT_ELSEWHERE)]);
        written_off
            .when(Command::ObserveMined { block: mined().block })
            .then([mined().into()])
            .when(Command::Release { note: "go".into() })
            .rejected_with(Rejection::NotDeepAgain);
    }

    #[test]
    fn an_order_that_bought_nothing_leaves_its_number_used() {
        let ended =
            ordered().when(seen("0", OrderState::Cancelled)).then_any().when(Command::ObserveOrphaned).then_any();
        let back = ended.when(gone()).then_any().when(Command::ObserveMined { block: mined().block }).then_any();
        back.when(Command::ObserveMature { confirmations: 2, seen_before: None }).then_any().leaves(|deposit| {
            assert_eq!(deposit.stage, Stage::WaitBuy);
            assert_eq!(deposit.purchase.as_ref().map(Purchase::next_attempt), Some(2));
        });
    }

    /// D3: its payout voided after its coins were gone, it ends too.
    #[test]
    fn a_payout_that_became_void_when_the_coins_were_gone_already_is_the_end() {
        let undone = given(up_to_signed()).when(Command::ObserveOrphaned).then_any().when(gone()).then([vanished()]);
        let conflicting_txid = Hash32([66; 32]);
        undone
            .when(Command::RecordVoided { conflicting_txid })
            .then([
                PayoutVoided { conflicting_txid }.into(),
                Held { reason: HoldReason::DepositOrphaned }.into(),
                written_off("0", "0", SPENT_ELSEWHERE),
            ])
            .leaves(is_written_off);
    }

    /// D3: so does what was quarantined.
    #[test]
    fn what_belongs_to_nobody_ends_with_its_coins() {
        let unbound = Detected { customer: None, ..detected() };
        let undone = given([unbound.into(), mined().into(), Quarantined {}.into()]).when(Command::ObserveOrphaned);
        let ended = undone.then_any().when(gone()).then([vanished(), written_off("0", "0", SPENT_ELSEWHERE)]);
        let back = ended.when(Command::ObserveMined { block: mined().block }).then([mined().into()]);
        back.leaves(|deposit| assert_eq!((&deposit.stage, deposit.is_undone), (&Stage::Quarantined, true)));
    }

    /// D3: what a person holds ends when he lets it go, and not while an order is open.
    #[test]
    fn what_an_operator_holds_ends_with_his_release() {
        let reason = HoldReason::Operator { note: "look".into() };
        let held = || ordered().when(Command::Hold { reason: reason.clone() }).then_any();
        let undone = || held().when(Command::ObserveOrphaned).then_any().when(gone()).then([vanished()]);
        let release = || Command::Release { note: "lost".into() };
        undone().when(release()).rejected_with(Rejection::OrderOpen);
        let ended = undone().when(seen("20", OrderState::Cancelled)).then_any();
        ended.when(release()).then([written_off("20", "0.04", "lost")]).leaves(is_written_off);
        let evicted = held().when(Command::ObserveOrphaned).then_any();
        let evicted = evicted.when(Command::ObserveVanished { replaced_by: None }).then_any();
        evicted.when(release()).rejected_with(Rejection::StillOrphaned);
    }
}
