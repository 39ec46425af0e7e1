//! Deciding: direct or passthrough, by the configuration of the moment; or held, with the reason.

use serde::Serialize;

use super::command::Rejection;
use super::event::*;
use super::state::{Deposit, Stage};
use crate::money::{Amount, Btc, Rate, Sky};
use crate::purchase::Price;

/// The desk's terms at the moment of the decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionTerms {
    /// How the desk comes by the coins.
    pub terms: Terms,
    /// The least it deals in.
    pub minimum: Amount<Btc>,
    /// The most it deals in.
    pub maximum: Amount<Btc>,
    /// Decimals of a payout, at most those of the coin.
    pub payout_decimals: u32,
}

/// How the desk comes by the coins, with what that needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    },
}

impl Deposit {
    pub(super) fn decide_on(&self, terms: &DecisionTerms) -> Result<Vec<Event>, Rejection> {
        if self.stage != Stage::WaitDecide {
            return Err(self.wrong_stage());
        }
        let amount = self.receipt.amount;
        let held = |reason| Ok(vec![Held { reason }.into()]);
        if amount < terms.minimum {
            return held(HoldReason::BelowMinimum);
        }
        if amount > terms.maximum {
            return held(HoldReason::AboveMaximum);
        }
        match terms.terms {
            Terms::Direct { rate } => {
                let sold = rate.sky_for(amount, 6).map_err(|_| Rejection::Arithmetic("deposit times rate"))?;
                Ok(vec![owe(PayoutBasis::Direct { rate }, sold, terms.payout_decimals)])
            }
            Terms::Passthrough { best_ask } => Ok(vec![StatusWaitBuy { budget: amount, best_ask }.into()]),
        }
    }
}

/// The event that owes `sold`, cut to the payout's decimals; held when nothing is left of it.
pub(super) fn owe(basis: PayoutBasis, sold: Amount<Sky>, payout_decimals: u32) -> Event {
    let amount = sold.floor_to(payout_decimals);
    if amount.is_zero() {
        return Held { reason: HoldReason::NothingToSend }.into();
    }
    StatusWaitSend { basis, amount, rounding: sold.saturating_sub(amount) }.into()
}

#[cfg(test)]
mod tests {
    use super::super::command::Command;
    use super::super::testing::*;
    use super::*;

    fn terms(terms: Terms) -> Command {
        let minimum = "0.00001".parse().unwrap();
        let maximum = "10".parse().unwrap();
        Command::Decide(DecisionTerms { terms, minimum, maximum, payout_decimals: 3 })
    }

    fn direct(rate: &str) -> Command {
        terms(Terms::Direct { rate: rate.parse().unwrap() })
    }

    fn received(amount: &str) -> Given {
        let receipt = Detected { amount: amount.parse().unwrap(), ..detected() };
        given([receipt.into(), mined().into(), StatusWaitDecide {}.into()])
    }

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
        received("0.5").when(terms(Terms::Passthrough { best_ask })).then([StatusWaitBuy {
            budget: "0.5".parse().unwrap(),
            best_ask,
        }
        .into()]);
    }

    #[test]
    fn what_is_too_small_too_large_or_worth_nothing_is_held_with_its_reason() {
        let held = |reason| [Event::from(Held { reason })];
        received("0.000009").when(direct("512")).then(held(HoldReason::BelowMinimum));
        received("10.00000001").when(direct("512")).then(held(HoldReason::AboveMaximum));
        received("0.00001").when(direct("0.1")).then(held(HoldReason::NothingToSend));
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
