//! A purchase: the orders one deposit is spent with, as facts, and what they add up to.
//!
//! An exchange is not believed about sums: it reports how much of an order was filled and at which average price, the
//! average rounded to its price step. What is booked is that product, cut down to a satoshi and never more than the
//! order's own limit allows, so that `spent` stays within the budget whatever was reported.

mod order;
mod seen;

use serde::{Deserialize, Serialize};

use crate::money::{Amount, Btc, Sky};
pub use order::{
    ClientOrderId, ClientOrderIdError, OrderFamily, OrderIntent, OrderObservation, OrderState, Price, PriceError,
    REASON_MAX_CHARS, Side,
};
pub(crate) use seen::kept as seen_book_kept;
pub use seen::{Level, ORDER_LEVELS_MAX, Reach, SEEN_LEVELS_MAX, SeenBook, SeenBookError, Taken};

/// Something that happened in a purchase. An intention is recorded before its request is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// From here on the order may be sent.
    Intended(OrderIntent),
    /// The exchange has the order.
    Placed {
        /// The exchange's number for it.
        order_id: u64,
    },
    /// The exchange refused the order, explicitly and for good.
    Refused {
        /// The exchange's words, at most [`REASON_MAX_CHARS`] characters.
        reason: String,
    },
    /// From here on the order may be cancelled.
    CancelIntended,
    /// The exchange told how far the order is.
    Observed(OrderObservation),
}

/// Why a fact cannot follow what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FactError {
    /// A second order while one is open.
    #[error("an order is open")]
    OrderOpen,
    /// A fact about an order when none is open.
    #[error("no order is open")]
    NoOpenOrder,
    /// Attempts are numbered 1, 2, 3 without gaps.
    #[error("the next attempt is {expected}, not {got}")]
    WrongAttempt {
        /// The number due.
        expected: u32,
        /// The number found.
        got: u32,
    },
    /// An order that could spend more than remains.
    #[error("the order could spend more than remains")]
    OverBudget,
    /// An order for nothing.
    #[error("the order is for nothing")]
    Empty,
    /// Something that needs the exchange's number for the order.
    #[error("the exchange has not taken the order")]
    NotPlaced,
    /// Taken twice, or refused after it was taken.
    #[error("the exchange has taken the order")]
    AlreadyPlaced,
    /// A second intention to cancel.
    #[error("the order is being cancelled")]
    AlreadyCancelling,
    /// Fewer coins than were seen before.
    #[error("less is filled than was seen before")]
    Shrank,
    /// More coins than were ordered.
    #[error("more is filled than was ordered")]
    Overfilled,
    /// Coins without a price.
    #[error("something is filled, and at no price")]
    NoPrice,
    /// A sum above the largest amount.
    #[error("a sum is too large")]
    TooLarge,
}

/// How far the order that is open has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderPhase {
    /// Intended; whether the exchange has it is not known.
    Intended,
    /// The exchange has it.
    Placed {
        /// The exchange's number for it.
        order_id: u64,
    },
    /// It may have been told to cancel it.
    Cancelling {
        /// The exchange's number for it.
        order_id: u64,
    },
}

/// The order that is open: intended and neither refused nor ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OpenOrder {
    /// What was intended.
    pub intent: OrderIntent,
    /// How far it has come.
    pub phase: OrderPhase,
    /// What was last seen of it.
    pub seen: Option<OrderObservation>,
}

/// What the orders of one purchase add up to: the fold of its facts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Purchase {
    budget: Amount<Btc>,
    /// Of orders that ended; the open order's part is in its observation.
    settled: Totals,
    attempts: u32,
    refused_in_a_row: u32,
    open: Option<OpenOrder>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Totals {
    bought: Amount<Sky>,
    spent: Amount<Btc>,
    fee: Amount<Btc>,
    rounding: Amount<Btc>,
}

impl Totals {
    fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            bought: self.bought.checked_add(other.bought)?,
            spent: self.spent.checked_add(other.spent)?,
            fee: self.fee.checked_add(other.fee)?,
            rounding: self.rounding.checked_add(other.rounding)?,
        })
    }
}

impl Purchase {
    /// A purchase that may spend `budget`, before its first order.
    pub fn new(budget: Amount<Btc>) -> Self {
        Self { budget, settled: Totals::default(), attempts: 0, refused_in_a_row: 0, open: None }
    }

    /// How much may be spent, fees not counted.
    pub fn budget(&self) -> Amount<Btc> {
        self.budget
    }

    /// What the fills seen so far cost, fees not counted. Never more than the budget.
    pub fn spent(&self) -> Amount<Btc> {
        self.totals().spent
    }

    /// What the fills seen so far brought.
    pub fn bought(&self) -> Amount<Sky> {
        self.totals().bought
    }

    /// What the exchange charged so far; the desk bears it.
    pub fn fee(&self) -> Amount<Btc> {
        self.totals().fee
    }

    /// What the reported averages come to beyond what was booked: fractions of a satoshi, and rounding above a limit.
    pub fn rounding(&self) -> Amount<Btc> {
        self.totals().rounding
    }

    /// What the exchange keeps back for the order that is open: what that may yet cost.
    pub fn frozen(&self) -> Amount<Btc> {
        let Some(open) = &self.open else { return Amount::ZERO };
        let cost = open.intent.cost().unwrap_or_default();
        let booked = open.seen.as_ref().and_then(|seen| booked(&open.intent, seen).ok()).unwrap_or_default();
        cost.saturating_sub(booked.spent)
    }

    /// What of the budget is not spent. While an order is open, part of this may be spent already.
    pub fn remaining(&self) -> Amount<Btc> {
        self.budget.saturating_sub(self.spent())
    }

    /// The order that is open, if any.
    pub fn open_order(&self) -> Option<&OpenOrder> {
        self.open.as_ref()
    }

    /// The number of the next order: 1 for the first.
    pub fn next_attempt(&self) -> u32 {
        self.attempts.saturating_add(1)
    }

    /// Whether an order was ever intended, whatever came of it.
    pub fn has_ordered(&self) -> bool {
        self.attempts > 0
    }

    /// How many orders were refused since the exchange last took one.
    pub fn refused_in_a_row(&self) -> u32 {
        self.refused_in_a_row
    }

    /// Whether something happened that cannot be taken back: coins were bought, or an order is open that may buy some.
    pub fn is_begun(&self) -> bool {
        self.open.is_some() || !self.settled.bought.is_zero()
    }

    /// Whether `fact` can follow.
    pub fn check(&self, fact: &Fact) -> Result<(), FactError> {
        self.clone().next(fact).map(drop)
    }

    /// The purchase after one more fact. A fact that [`Self::check`] refuses changes nothing.
    pub fn apply(self, fact: &Fact) -> Self {
        match self.clone().next(fact) {
            Ok(next) => next,
            Err(_) => self,
        }
    }

    fn totals(&self) -> Totals {
        let open = self.open.as_ref().and_then(|order| booked(&order.intent, order.seen.as_ref()?).ok());
        open.and_then(|open| self.settled.plus(open)).unwrap_or(self.settled)
    }

    fn next(mut self, fact: &Fact) -> Result<Self, FactError> {
        match fact {
            Fact::Intended(intent) => self.intend(intent)?,
            Fact::Placed { order_id } => {
                self.order_not_placed()?.phase = OrderPhase::Placed { order_id: *order_id };
                self.refused_in_a_row = 0;
            }
            Fact::Refused { reason: _ } => {
                self.order_not_placed()?;
                self.open = None;
                self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
            }
            Fact::CancelIntended => self.intend_cancel()?,
            Fact::Observed(seen) => self.observe(seen)?,
        }
        Ok(self)
    }

    fn intend(&mut self, intent: &OrderIntent) -> Result<(), FactError> {
        if self.open.is_some() {
            return Err(FactError::OrderOpen);
        }
        if intent.attempt != self.next_attempt() {
            return Err(FactError::WrongAttempt { expected: self.next_attempt(), got: intent.attempt });
        }
        if intent.quantity.is_zero() {
            return Err(FactError::Empty);
        }
        if intent.cost().ok_or(FactError::TooLarge)? > self.remaining() {
            return Err(FactError::OverBudget);
        }
        self.attempts = intent.attempt;
        self.open = Some(OpenOrder { intent: intent.clone(), phase: OrderPhase::Intended, seen: None });
        Ok(())
    }

    fn order_not_placed(&mut self) -> Result<&mut OpenOrder, FactError> {
        let order = self.open.as_mut().ok_or(FactError::NoOpenOrder)?;
        match order.phase {
            OrderPhase::Intended => Ok(order),
            OrderPhase::Placed { .. } | OrderPhase::Cancelling { .. } => Err(FactError::AlreadyPlaced),
        }
    }

    fn intend_cancel(&mut self) -> Result<(), FactError> {
        let order = self.open.as_mut().ok_or(FactError::NoOpenOrder)?;
        order.phase = match order.phase {
            OrderPhase::Intended => return Err(FactError::NotPlaced),
            OrderPhase::Placed { order_id } => OrderPhase::Cancelling { order_id },
            OrderPhase::Cancelling { .. } => return Err(FactError::AlreadyCancelling),
        };
        Ok(())
    }

    fn observe(&mut self, seen: &OrderObservation) -> Result<(), FactError> {
        let order = self.open.as_mut().ok_or(FactError::NoOpenOrder)?;
        if order.phase == OrderPhase::Intended {
            return Err(FactError::NotPlaced);
        }
        if order.seen.as_ref().is_some_and(|before| seen.completed < before.completed) {
            return Err(FactError::Shrank);
        }
        let totals = self.settled.plus(booked(&order.intent, seen)?).ok_or(FactError::TooLarge)?;
        if seen.state.is_terminal() {
            self.settled = totals;
            self.open = None;
        } else {
            order.seen = Some(seen.clone());
        }
        Ok(())
    }
}

/// What an observation of an order is booked as.
fn booked(intent: &OrderIntent, seen: &OrderObservation) -> Result<Totals, FactError> {
    if seen.completed > intent.quantity {
        return Err(FactError::Overfilled);
    }
    if seen.completed.is_zero() {
        return Ok(Totals { fee: seen.fee, ..Totals::default() });
    }
    let average = seen.avg_price.ok_or(FactError::NoPrice)?;
    let reported = average.cost_rounded_up(seen.completed).ok_or(FactError::TooLarge)?;
    let spent = average.min(intent.price).cost_rounded_down(seen.completed).ok_or(FactError::TooLarge)?;
    Ok(Totals { bought: seen.completed, spent, fee: seen.fee, rounding: reported.saturating_sub(spent) })
}

#[cfg(test)]
mod tests;
