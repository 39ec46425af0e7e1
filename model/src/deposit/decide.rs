//! Deciding: direct or passthrough, by the configuration of the moment; or held, with the reason.

use serde::{Deserialize, Serialize};

use super::command::Rejection;
use super::event::*;
use super::state::{Deposit, Limits, Stage};
use crate::money::{Amount, Btc, Rate, Sky};
use crate::purchase::{Price, SeenBook, seen_book_kept};

/// The desk's terms at the moment of the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionTerms {
    /// How the desk comes by the coins.
    pub terms: Terms,
    /// The least it deals in.
    pub minimum: Amount<Btc>,
    /// The most it deals in.
    pub maximum: Amount<Btc>,
    /// How its payout is cut, and how large one is made without an operator.
    pub payout: PayoutTerms,
}

/// What a payout may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutTerms {
    /// Its decimals, at most those of the coin.
    pub decimals: u32,
    /// A larger one is held for an operator.
    pub maximum: Amount<Sky>,
}

/// How the desk comes by the coins, with what that needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Terms {
    /// Sell from stock.
    Direct {
        /// At this rate.
        rate: Rate,
    },
    /// Buy on the exchange.
    Passthrough {
        /// The cheapest ask seen now.
        best_ask: Price,
        /// The order book that it is the cheapest ask of. Commands of earlier versions have none.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "seen_book_kept")]
        book: Option<SeenBook>,
    },
}

impl Terms {
    /// To buy upon this book.
    pub fn upon(book: SeenBook) -> Self {
        Self::Passthrough { best_ask: book.best_ask(), book: Some(book) }
    }
}

impl Deposit {
    pub(super) fn decide_on(&self, terms: &DecisionTerms) -> Result<Vec<Event>, Rejection> {
        if self.stage != Stage::WaitDecide {
            return Err(self.wrong_stage());
        }
        let amount = self.receipt.amount;
        let held = |reason| Ok(vec![Held { reason }.into()]);
        match self.limits {
            Limits::Waived => {}
            Limits::Kept if amount < terms.minimum => return held(HoldReason::BelowMinimum),
            Limits::Kept if amount > terms.maximum => return held(HoldReason::AboveMaximum),
            Limits::Kept => {}
        }
        match &terms.terms {
            &Terms::Direct { rate } => {
                let sold = rate.sky_for(amount, 6).map_err(|_| Rejection::Arithmetic("deposit times rate"))?;
                Ok(owe(PayoutBasis::Direct { rate }, sold, terms.payout))
            }
            Terms::Passthrough { best_ask, book } => {
                let decided = StatusWaitBuy { budget: amount, best_ask: *best_ask, book: book.clone() };
                if decided.is_of_its_book() { Ok(vec![decided.into()]) } else { Err(Rejection::OtherBook) }
            }
        }
    }
}

/// The events that owe `sold`, cut to the payout's decimals. Held when nothing is left of it; owed and held when it is
/// more than is paid without an operator, so that his release is all it takes.
pub(super) fn owe(basis: PayoutBasis, sold: Amount<Sky>, terms: PayoutTerms) -> Vec<Event> {
    let amount = sold.floor_to(terms.decimals);
    if amount.is_zero() {
        return vec![Held { reason: HoldReason::NothingToSend }.into()];
    }
    let mut events = vec![StatusWaitSend { basis, amount, rounding: sold.saturating_sub(amount) }.into()];
    if amount > terms.maximum {
        events.push(Held { reason: HoldReason::PayoutAboveMaximum }.into());
    }
    events
}

#[cfg(test)]
mod tests {
    use super::super::command::Command;
    use super::super::testing::*;
    use super::*;
    use crate::purchase::Level;

    fn terms(terms: Terms) -> Command {
        let minimum = "0.00001".parse().unwrap();
        let maximum = "10".parse().unwrap();
        Command::Decide(DecisionTerms { terms, minimum, maximum, payout: payout_terms() })
    }

    fn direct(rate: &str) -> Command {
        terms(Terms::Direct { rate: rate.parse().unwrap() })
    }

    fn received(amount: &str) -> Given {
        let receipt = Detected { amount: amount.parse().unwrap(), ..detected() };
        given([receipt.into(), mined().into(), StatusWaitDecide {}.into()])
    }

    /// P8: the payout is cut and the rest is booked.
    #[test]
    fn a_direct_sale_is_cut_to_the_payouts_decimals_and_the_rest_is_booked() {
        received("0.12345678").when(direct("512")).then([StatusWaitSend {
            basis: PayoutBasis::Direct { rate: "512".parse().unwrap() },
            amount: "63.209".parse().unwrap(),
            rounding: "0.000871".parse().unwrap(),
        }
        .into()]);
    }

    #[test]
    fn a_passthrough_may_spend_all_of_the_deposit() {
        let best_ask: Price = "0.00189".parse().unwrap();
        received("0.5").when(terms(Terms::Passthrough { best_ask, book: None })).then([StatusWaitBuy {
            budget: "0.5".parse().unwrap(),
            best_ask,
            book: None,
        }
        .into()]);
    }

    #[test]
    fn a_decision_to_buy_keeps_the_book_that_its_cheapest_ask_is_of() {
        let ask = Level { price: "0.00189".parse().unwrap(), volume: "3".parse().unwrap() };
        let (limit, budget) = ("0.0019".parse().unwrap(), "0.5".parse().unwrap());
        let book = SeenBook::of(7, (&[ask], None), limit, budget).unwrap();
        let other = Terms::Passthrough { best_ask: limit, book: Some(book.clone()) };
        received("0.5").when(terms(other)).rejected_with(Rejection::OtherBook);
        let decided = StatusWaitBuy { budget, best_ask: ask.price, book: Some(book.clone()) };
        received("0.5").when(terms(Terms::upon(book))).then([decided.into()]);
    }

    /// D5: too small, it is held with its reason instead of sold.
    #[test]
    fn what_is_too_small_too_large_or_worth_nothing_is_held_with_its_reason() {
        let held = |reason| [Event::from(Held { reason })];
        received("0.000009").when(direct("512")).then(held(HoldReason::BelowMinimum));
        received("10.00000001").when(direct("512")).then(held(HoldReason::AboveMaximum));
        received("0.00001").when(direct("0.1")).then(held(HoldReason::NothingToSend));
    }

    /// D5: nothing is bought for it, and an operator pays all of it back.
    #[test]
    fn what_is_too_small_is_never_bought_for_and_can_be_paid_back_whole() {
        let terms = terms(Terms::Passthrough { best_ask: "0.00189".parse().unwrap(), book: None });
        let (amount, note) = ("0.000009".parse().unwrap(), "too small".to_owned());
        received("0.000009")
            .when(terms)
            .then([Held { reason: HoldReason::BelowMinimum }.into()])
            .when(Command::MarkRefundDue { note: note.clone() })
            .then([RefundDue { amount, note }.into()])
            .leaves(|deposit| assert_eq!((&deposit.purchase, &deposit.payout), (&None, &None)));
    }

    #[test]
    fn a_release_waives_the_limits_of_a_deposit_that_they_stopped() {
        for (amount, rate) in [("0.000009", "200"), ("11", "80")] {
            let held = received(amount).when(direct(rate));
            let released = held.then_any().when(Command::Release { note: "a friend".into() }).then_any();
            released.when(direct(rate)).then_any().leaves(|deposit| assert_eq!(deposit.stage, Stage::WaitSend));
        }
        let orphaned = received("11").when(Command::ObserveOrphaned).then_any();
        let mined_again = orphaned.when(Command::ObserveMined { block: mined().block }).then_any();
        let again = mined_again.when(Command::ObserveMature { confirmations: 2, seen_before: None }).then_any();
        again.when(direct("500")).then([Held { reason: HoldReason::AboveMaximum }.into()]);
    }

    #[test]
    fn a_payout_above_the_maximum_is_owed_and_held_and_a_release_is_all_it_takes() {
        let owed = StatusWaitSend {
            basis: PayoutBasis::Direct { rate: "2000".parse().unwrap() },
            amount: "2000".parse().unwrap(),
            rounding: Amount::ZERO,
        };
        received("1")
            .when(direct("2000"))
            .then([owed.into(), Held { reason: HoldReason::PayoutAboveMaximum }.into()])
            .when(Command::Release { note: "large and fine".into() })
            .then([Released { note: "large and fine".into() }.into()])
            .leaves(|deposit| assert_eq!(deposit.stage, Stage::WaitSend));
        received("0.5").when(direct("2000")).then_any().leaves(|deposit| assert_eq!(deposit.stage, Stage::WaitSend));
    }

    #[test]
    fn a_deposit_is_decided_once() {
        let decided = received("1").when(direct("500")).then([StatusWaitSend {
            basis: PayoutBasis::Direct { rate: "500".parse().unwrap() },
            amount: "500".parse().unwrap(),
            rounding: Amount::ZERO,
        }
        .into()]);
        decided.when(direct("500")).rejected();
    }
}
