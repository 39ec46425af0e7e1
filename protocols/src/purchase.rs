//! Spending one deposit on an exchange by limit orders: what to do next, as values.
//!
//! A [`Machine`] is driven in a loop: [`Machine::poll_step`] says what is to be done, the caller does it and reports by the
//! `handle_…` method named beside the step; [`Step::Wait`] is reported by polling again, at its time or earlier. Until a
//! report arrives, the same step is said again. The machine opens no socket, records nothing and knows no time of its own.
//!
//! **Nothing is bought twice** because an order is [`Step::Record`]ed as intended before it is [`Step::Place`]d; because
//! after an unknown outcome (a lost reply, a restart) the *identical* request is repeated under the identical client order
//! id, which the exchange takes only once; and because a new order needs the old one seen at its end, or refused in answer
//! to the only time it was ever sent.

mod choose;
mod machine;

use rust_decimal::{Decimal, RoundingStrategy};

use millrace_model::money::{Amount, Btc, Coin, Sky};
use millrace_model::purchase::{ClientOrderId, Fact, FactError, OrderIntent, OrderObservation, Price};

use crate::book::{Book, BookTrouble, Rules};

pub use machine::Machine;

/// How purchases are made. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Policy {
    /// What the market demands of an order.
    pub rules: Rules,
    /// By how many percent a price may be above the cheapest ask seen at the decision.
    pub band_percent: Decimal,
    /// What the exchange charges on top of a purchase, in percent of it; funds for it must be there.
    pub fee_percent: Decimal,
    /// How long an order may stay unfilled before it is cancelled.
    pub patience_ms: u64,
    /// How often an open order is read.
    pub read_every_ms: u64,
    /// How often a cancellation is asked for again while the order stays open.
    pub recancel_every_ms: u64,
    /// How far the exchange's time of a book may be from ours.
    pub book_age_max_ms: u64,
    /// How soon market and funds are looked at again when they do not suit.
    pub look_again_ms: u64,
    /// The first pause after something went wrong; each further one is twice as long.
    pub retry_first_ms: u64,
    /// The longest pause after something went wrong.
    pub retry_max_ms: u64,
    /// The pause after the exchange said that it is asked too often.
    pub throttled_ms: u64,
    /// How often one thing may be contradicted by the exchange (an order that exists and is in no listing, an order
    /// refused, a reading that makes no sense) before the purchase is held.
    pub tries_max: u32,
    /// How many orders one purchase may place.
    pub orders_max: u32,
    /// How many pages of a listing are read in search of an order.
    pub pages_max: u32,
}

impl Policy {
    /// The usual policy for a market with these rules.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            band_percent: Decimal::from(3),
            fee_percent: Decimal::new(2, 1),
            patience_ms: 1_000,
            read_every_ms: 250,
            recancel_every_ms: 2_000,
            book_age_max_ms: 15_000,
            look_again_ms: 500,
            retry_first_ms: 500,
            retry_max_ms: 60_000,
            throttled_ms: 5_000,
            tries_max: 5,
            orders_max: 1_000,
            pages_max: 10_000,
        }
    }

    /// What must be available to spend `amount`: it and the fee on it, rounded up. At most [`Amount::MAX`].
    pub fn funds_for(&self, amount: Amount<Btc>) -> Amount<Btc> {
        let with_fee = amount.to_decimal() * (Decimal::ONE + self.fee_percent / Decimal::ONE_HUNDRED);
        let up = RoundingStrategy::AwayFromZero;
        Amount::from_decimal(with_fee.round_dp_with_strategy(Btc::SCALE, up)).unwrap_or(Amount::MAX)
    }
}

/// What can be spent on the exchange: the balance less what is frozen and what is promised to orders that the exchange does
/// not know yet.
pub fn available(balance: Amount<Btc>, frozen: Amount<Btc>, reserved: Amount<Btc>) -> Amount<Btc> {
    balance.saturating_sub(frozen).saturating_sub(reserved)
}

/// What is known of the exchange at the moment.
#[derive(Debug, Clone, Copy)]
pub struct Market<'a> {
    /// The last order book, with the time at which reading it began; `None` before the first.
    pub book: Option<(&'a Book, u64)>,
    /// What can be spent, see [`available`]; `None` while it is not known.
    pub available: Option<Amount<Btc>>,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Commit this fact, then [`Machine::handle_recorded`]; [`Machine::handle_not_reserved`] when the funds of an intended
    /// order went to another meanwhile, [`Machine::choose_anew`] when none may be placed now. What it rests on is the market of
    /// this moment: said again later, an intended order would not be what is to be had then.
    Record(Fact),
    /// Send this order, then [`Machine::handle_place`]. Only ever said of an order that is recorded as intended.
    Place(OrderIntent),
    /// Read this order, then [`Machine::handle_read`].
    Read {
        /// The exchange's number for it.
        order_id: u64,
    },
    /// Ask for this order to be cancelled, then [`Machine::handle_cancel`].
    Cancel {
        /// The exchange's number for it.
        order_id: u64,
    },
    /// Read this page (from 1) of all orders that ever were, then [`Machine::handle_listing`].
    FindByCid {
        /// The order that is looked for.
        cid: ClientOrderId,
        /// The page.
        page: u32,
    },
    /// Nothing to do before this time, unless the market changes.
    Wait {
        /// Unix milliseconds.
        until_ms: u64,
        /// What is waited for.
        why: Waiting,
    },
    /// All is spent that can be spent.
    Finish(Outcome),
    /// Stopped as asked for; no order is open.
    Stop(Outcome),
    /// The purchase cannot go on by itself. An order may be open.
    Hold(HoldReason),
}

/// What a purchase waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Waiting {
    /// A market in which it may buy.
    Market(MarketTrouble),
    /// More funds on the exchange.
    Funds {
        /// What is needed.
        needed: Amount<Btc>,
        /// What is there; `None` when unknown.
        available: Option<Amount<Btc>>,
    },
    /// An order that is open to be filled.
    Fill,
    /// An order to end after it was cancelled.
    Cancellation,
    /// The next try after something went wrong.
    Retry(Trouble),
}

/// Why a market is not bought in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum MarketTrouble {
    /// No book was read yet, or none since the last order ended.
    #[error("the order book has to be read")]
    Unread,
    /// The book cannot be trusted.
    #[error(transparent)]
    Book(#[from] BookTrouble),
    /// Too dear.
    #[error("the price {price} is above {limit}")]
    AboveBand {
        /// The price an order would need.
        price: Price,
        /// The most that is paid.
        limit: Decimal,
    },
    /// Too little is offered for an order of the least size.
    #[error("less is offered than the smallest order")]
    TooThin,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Trouble {
    /// The exchange did not answer; whether it acted is unknown.
    #[error("the exchange did not answer")]
    Unavailable,
    /// The exchange is asked too often.
    #[error("the exchange is asked too often")]
    Throttled,
    /// The exchange does not accept our key.
    #[error("the exchange does not accept our key")]
    NotAuthorised,
    /// The funds for an order went to another deposit.
    #[error("the funds for an order went to another deposit")]
    FundsTaken,
    /// An order was refused.
    #[error("the exchange refused an order")]
    Refused,
    /// An order ended at once and without a fill.
    #[error("an order ended without a fill")]
    Fruitless,
    /// The exchange has an order under our id and shows it nowhere, or contradicts itself otherwise.
    #[error("the exchange contradicts itself")]
    Contradiction,
}

/// What a purchase came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// What the fills brought.
    pub bought: Amount<Sky>,
    /// What they cost.
    pub spent: Amount<Btc>,
    /// What the exchange charged beyond it.
    pub fee: Amount<Btc>,
    /// What of the budget is left.
    pub remainder: Amount<Btc>,
}

/// Why a purchase cannot go on by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HoldReason {
    /// An order was sent, the exchange neither has it nor refuses it for good.
    #[error("the order {cid} may have been placed and is in no listing")]
    Unaccounted {
        /// The order.
        cid: ClientOrderId,
    },
    /// Order after order is refused.
    #[error("the exchange refuses the orders: {reason}")]
    Refused {
        /// The exchange's last words.
        reason: String,
    },
    /// The exchange shows an order under our id that is not the one we intended.
    #[error("the exchange's order {order_id} is not the one that was intended")]
    Mismatch {
        /// The exchange's number for it.
        order_id: u64,
    },
    /// The exchange does not know an order that it took.
    #[error("the exchange does not know its order {order_id} any more")]
    Vanished {
        /// The exchange's number for it.
        order_id: u64,
    },
    /// The exchange tells of an order what cannot be.
    #[error("what the exchange tells of order {order_id} cannot be: {problem}")]
    Nonsense {
        /// The exchange's number for it.
        order_id: u64,
        /// What cannot be.
        problem: FactError,
    },
    /// Fills dearer than the order allows.
    #[error("order {order_id} was filled above its limit")]
    AboveLimit {
        /// The exchange's number for it.
        order_id: u64,
    },
    /// More orders than one purchase may place.
    #[error("the purchase needs too many orders")]
    TooManyOrders,
    /// Amounts too large to be added or multiplied.
    #[error("the amounts are too large")]
    TooLarge,
}

/// An order as an exchange shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VenueOrder {
    /// The exchange's number for it.
    pub order_id: u64,
    /// Our id of it.
    pub cid: Option<String>,
    /// Its limit.
    pub price: Option<Price>,
    /// How much was ordered.
    pub quantity: Amount<Sky>,
    /// How far it is.
    pub seen: OrderObservation,
}

/// Why a call brought neither an answer nor a refusal that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Whether the exchange acted is unknown.
    Unavailable,
    /// It did not act: asked too often.
    Throttled,
    /// It did not act: our key is not accepted.
    NotAuthorised,
}

/// What came of [`Step::Place`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceReply {
    /// The exchange has the order.
    Placed {
        /// Its number for it.
        order_id: u64,
    },
    /// The exchange has, or had, an order with this id.
    CidExists,
    /// Too small for the exchange at the moment.
    TooSmall {
        /// The exchange's words.
        reason: String,
    },
    /// Refused for another reason.
    Refused {
        /// The exchange's words.
        reason: String,
    },
    /// No such answer.
    Failed(Failure),
}

/// What came of [`Step::Read`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadReply {
    /// The order.
    Order(VenueOrder),
    /// The exchange says that there is no such order.
    NoSuchOrder,
    /// No such answer.
    Failed(Failure),
}

/// What came of [`Step::Cancel`]. None of these proves anything: the order is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReply {
    /// The exchange will try.
    Accepted,
    /// The exchange says that it cannot.
    Refused,
    /// No such answer.
    Failed(Failure),
}

/// What came of [`Step::FindByCid`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingReply {
    /// A page with others after it.
    Page(Vec<VenueOrder>),
    /// The last page.
    LastPage(Vec<VenueOrder>),
    /// No such answer.
    Failed(Failure),
}

#[cfg(test)]
mod tests;
