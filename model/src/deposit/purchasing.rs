//! Buying: the steps of a purchase as they are recorded, and its end.

use serde::{Deserialize, Serialize};

use super::command::Rejection;
use super::decide::{PayoutTerms, owe};
use super::event::*;
use super::state::{Deposit, Stage};
use crate::money::{Amount, Btc};
use crate::purchase::{Fact, OrderIntent, Purchase, SeenBook};

/// What becomes of what no order could spend, and how payouts are cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemainderPolicy {
    /// Up to this much goes to the desk's rounding account; more is owed back to the customer.
    pub rounding_maximum: Amount<Btc>,
    /// How the payout is cut, and how large one is made without an operator.
    pub payout: PayoutTerms,
}

impl Deposit {
    fn buying(&self) -> Result<&Purchase, Rejection> {
        match (&self.stage, &self.purchase) {
            (Stage::WaitBuy, Some(purchase)) => Ok(purchase),
            _ => Err(self.wrong_stage()),
        }
    }

    /// An order that is open keeps being recorded while the deposit is held: its fills are real.
    fn with_orders(&self) -> Result<&Purchase, Rejection> {
        match (&self.stage, &self.purchase) {
            (Stage::WaitBuy | Stage::Held { .. }, Some(purchase)) => Ok(purchase),
            _ => Err(self.wrong_stage()),
        }
    }

    pub(super) fn record_purchase(&self, fact: &Fact) -> Result<Vec<Event>, Rejection> {
        let purchase = if matches!(fact, Fact::Intended(_)) { self.buying()? } else { self.with_orders()? };
        purchase.check(fact).map_err(|problem| Rejection::PurchaseStep(problem.to_string()))?;
        let event = match fact.clone() {
            Fact::Intended(order) => OrderIntended { order, book: None }.into(),
            Fact::Placed { order_id } => OrderPlaced { order_id }.into(),
            Fact::Refused { reason } => OrderRefused { reason }.into(),
            Fact::CancelIntended => OrderCancelIntended {}.into(),
            Fact::Observed(observation) => OrderObserved { observation }.into(),
        };
        Ok(self.with_write_off(vec![event]))
    }

    pub(super) fn intend_order(&self, order: &OrderIntent, book: Option<&SeenBook>) -> Result<Vec<Event>, Rejection> {
        let intended = Fact::Intended(order.clone());
        self.buying()?.check(&intended).map_err(|problem| Rejection::PurchaseStep(problem.to_string()))?;
        let intended = OrderIntended { order: order.clone(), book: book.cloned() };
        if !intended.is_of_its_book() {
            return Err(Rejection::OtherBook);
        }
        Ok(self.with_write_off(vec![intended.into()]))
    }

    pub(super) fn finish_purchase(&self, policy: &RemainderPolicy) -> Result<Vec<Event>, Rejection> {
        let purchase = self.buying()?;
        if purchase.open_order().is_some() {
            return Err(Rejection::OrderOpen);
        }
        let (bought, spent, remainder) = (purchase.bought(), purchase.spent(), purchase.remaining());
        let mut events = vec![Bought { bought, spent }.into()];
        let owed = owe(PayoutBasis::Bought, bought, policy.payout);
        // What is held goes on with what remains, or all of it is paid back: none of it is booked yet.
        if !remainder.is_zero() && matches!(owed[..], [Event::StatusWaitSend(_), ..]) {
            let small = remainder <= policy.rounding_maximum;
            let to = if small { RemainderUse::Rounding } else { RemainderUse::Refund };
            events.push(RemainderBooked { amount: remainder, to }.into());
        }
        events.extend(owed);
        Ok(events)
    }

    pub(super) fn stop_purchase(&self, reason: &HoldReason) -> Result<Vec<Event>, Rejection> {
        let purchase = self.buying()?;
        let stopped =
            PurchaseStopped { bought: purchase.bought(), spent: purchase.spent(), reason: format!("{reason:?}") };
        Ok(vec![stopped.into(), Held { reason: reason.clone() }.into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Command;
    use super::super::testing::*;
    use super::*;
    use crate::money::Sky;
    use crate::purchase::{ClientOrderId, Level};

    fn finish() -> Command {
        Command::FinishPurchase(RemainderPolicy {
            rounding_maximum: "0.00001".parse().unwrap(),
            payout: payout_terms(),
        })
    }

    #[test]
    fn what_is_held_because_nothing_was_bought_can_still_be_spent_and_is_booked_nowhere() {
        let decided = StatusWaitBuy { budget: "1".parse().unwrap(), best_ask: "0.002".parse().unwrap(), book: None };
        given([detected().into(), mined().into(), StatusWaitDecide {}.into(), decided.into()])
            .when(finish())
            .then([
                Bought { bought: Amount::<Sky>::ZERO, spent: Amount::ZERO }.into(),
                Held { reason: HoldReason::NothingToSend }.into(),
            ])
            .when(Command::Release { note: "the market is better now".into() })
            .then([Released { note: "the market is better now".into() }.into()])
            .leaves(|deposit| assert_eq!(deposit.stage, Stage::WaitBuy));
    }

    #[test]
    fn an_order_keeps_the_book_that_it_was_chosen_from_and_pays_one_of_its_asks() {
        let price = "0.002".parse().unwrap();
        let decided = StatusWaitBuy { budget: "1".parse().unwrap(), best_ask: price, book: None };
        let cid = ClientOrderId::for_attempt("a deposit", 1);
        let order = OrderIntent { attempt: 1, cid, price, quantity: "500".parse().unwrap() };
        let book = |price| {
            let ask = Level { price, volume: "600".parse().unwrap() };
            SeenBook::of(7, (&[ask], None), price, decided.budget).unwrap()
        };
        let (other, book) = (book("0.0019".parse().unwrap()), book(price));
        let begun = || given([detected().into(), mined().into(), StatusWaitDecide {}.into(), decided.clone().into()]);
        let intended = OrderIntended { order: order.clone(), book: Some(book.clone()) };
        let second = Command::IntendOrder { order: order.clone(), book: Some(book) };
        begun().when(second.clone()).then([intended.into()]).when(second).rejected();
        begun().when(Command::IntendOrder { order, book: Some(other) }).rejected_with(Rejection::OtherBook);
    }
}
