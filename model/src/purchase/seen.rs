//! The order book as it was seen when something was decided upon it: the offers that bear on the decision, and how many more
//! there were.
//!
//! A book may have thousands of levels, and most of them mean nothing to a budget. What is kept is what the budget would reach,
//! at most [`SEEN_LEVELS_MAX`] levels, and of all that was offered up to the limit the number of levels and the sum. An order takes
//! less than its budget and there may be many for one deposit, so it keeps at most [`ORDER_LEVELS_MAX`].

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize};

use super::order::{OrderIntent, Price};
use crate::money::{Amount, Btc, Coin, Sky};

/// How many levels are kept. With prices and volumes of full length that is less than two kilobytes.
pub const SEEN_LEVELS_MAX: usize = 20;

/// How many levels are kept of the book that an order was chosen from. With prices and volumes of full length the book is less than
/// five hundred bytes, so that command and event keep less than a kilobyte of it together.
pub const ORDER_LEVELS_MAX: usize = 5;

/// One price at which somebody buys or sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Level {
    /// The price.
    pub price: Price,
    /// How much at this price.
    pub volume: Amount<Sky>,
}

/// The order book as a purchase saw it. Whatever is read or made holds what [`SeenBookError`] lists. It is read by `kept` alone,
/// so that nothing else that is stored beside it becomes unreadable because of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SeenBook {
    at_ms: u64,
    best_bid: Option<Price>,
    limit: Price,
    levels: u32,
    offered: Amount<Sky>,
    asks: Vec<Level>,
}

/// The same before it is looked at.
#[derive(Deserialize)]
struct Stored {
    at_ms: u64,
    best_bid: Option<Price>,
    limit: Price,
    levels: u32,
    offered: Amount<Sky>,
    asks: Vec<Level>,
}

/// Why levels are no order book as it is kept here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SeenBookError {
    /// Nobody sells at the limit or below it.
    #[error("nobody sells within the limit")]
    Empty,
    /// More levels than are kept.
    #[error("more than {SEEN_LEVELS_MAX} levels of an order book")]
    TooManyLevels,
    /// A level of nothing.
    #[error("a level of the order book is empty")]
    EmptyLevel,
    /// A level that is cheaper than the one before it.
    #[error("the asks of the order book are not sorted")]
    Unsorted,
    /// A level above the limit.
    #[error("an ask is above the limit")]
    AboveLimit,
    /// Somebody pays as much as somebody asks.
    #[error("the order book is crossed")]
    Crossed,
    /// Fewer levels or less volume in all than are kept.
    #[error("the order book keeps more than there was")]
    MoreThanAll,
}

/// What a budget would take from the levels that are kept, if they stood still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// How much of each level, the cheapest first; nothing of those that are not reached.
    pub of_level: Vec<Amount<Sky>>,
    /// All of it together.
    pub bought: Amount<Sky>,
    /// What that costs, rounded up at each level; never more than the budget.
    pub spent: Amount<Btc>,
    /// How far the budget comes.
    pub reach: Reach,
}

/// How far a budget comes in the levels that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// They have enough for all of it.
    Enough,
    /// It takes all of them and goes on to some that are not kept.
    BeyondKept,
    /// It takes all that is offered up to the limit, and something is left.
    BeyondOffered,
}

impl Taken {
    /// How many levels something is taken of.
    pub fn levels(&self) -> usize {
        self.of_level.iter().filter(|taken| !taken.is_zero()).count()
    }
}

impl SeenBook {
    /// What a purchase with this budget sees of a book: its asks, cheapest first, as far as `limit`, and the dearest bid. `at_ms`
    /// is the exchange's own time of the book, Unix milliseconds.
    ///
    /// # Errors
    ///
    /// When the book has no ask within the limit, or is none that could be traded on.
    pub fn of(
        at_ms: u64,
        (asks, best_bid): (&[Level], Option<Price>),
        limit: Price,
        budget: Amount<Btc>,
    ) -> Result<Self, SeenBookError> {
        let within = within(asks, limit);
        let reached = walk(within, budget).iter().take_while(|taken| !taken.is_zero()).count();
        Self::keeping(reached.min(SEEN_LEVELS_MAX), at_ms, (within, best_bid), limit)
    }

    /// The same for one order: the levels that it can take, and the one after them.
    ///
    /// # Errors
    ///
    /// Those of [`Self::of`].
    pub fn of_order(
        at_ms: u64,
        (asks, best_bid): (&[Level], Option<Price>),
        limit: Price,
        order: &OrderIntent,
    ) -> Result<Self, SeenBookError> {
        let within = within(asks, limit);
        let mut left = order.quantity;
        let is_taken = |ask: &&Level| {
            let is_taken = ask.price <= order.price && !left.is_zero();
            left = left.saturating_sub(ask.volume);
            is_taken
        };
        let reached = within.iter().take_while(is_taken).count();
        Self::keeping(reached.saturating_add(1).min(ORDER_LEVELS_MAX), at_ms, (within, best_bid), limit)
    }

    /// The first levels of these, which are all up to the limit.
    fn keeping(
        kept: usize,
        at_ms: u64,
        (within, best_bid): (&[Level], Option<Price>),
        limit: Price,
    ) -> Result<Self, SeenBookError> {
        let offered = Amount::checked_sum(within.iter().map(|ask| ask.volume)).unwrap_or(Amount::MAX);
        let levels = u32::try_from(within.len()).unwrap_or(u32::MAX);
        let asks = within[..kept.max(1).min(within.len())].to_vec();
        Self { at_ms, best_bid, limit, levels, offered, asks }.checked()
    }

    fn checked(self) -> Result<Self, SeenBookError> {
        let (Some(first), Some(last)) = (self.asks.first(), self.asks.last()) else { return Err(SeenBookError::Empty) };
        let kept = Amount::checked_sum(self.asks.iter().map(|ask| ask.volume));
        if self.asks.len() > SEEN_LEVELS_MAX {
            Err(SeenBookError::TooManyLevels)
        } else if self.asks.iter().any(|ask| ask.volume.is_zero()) {
            Err(SeenBookError::EmptyLevel)
        } else if !self.asks.is_sorted_by_key(|ask| ask.price) {
            Err(SeenBookError::Unsorted)
        } else if last.price > self.limit {
            Err(SeenBookError::AboveLimit)
        } else if self.best_bid.is_some_and(|bid| bid >= first.price) {
            Err(SeenBookError::Crossed)
        } else if kept.is_none_or(|kept| kept > self.offered) || self.left_out().is_none() {
            Err(SeenBookError::MoreThanAll)
        } else {
            Ok(self)
        }
    }

    /// The exchange's own time of the book, Unix milliseconds.
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// The most that somebody paid; `None` when nobody bought.
    pub fn best_bid(&self) -> Option<Price> {
        self.best_bid
    }

    /// The most that an order of the purchase may pay: the cheapest ask and the slippage.
    pub fn limit(&self) -> Price {
        self.limit
    }

    /// How many levels there were up to the limit, kept or not.
    pub fn levels(&self) -> u32 {
        self.levels
    }

    /// How much was offered up to the limit, kept or not; at most [`Amount::MAX`].
    pub fn offered(&self) -> Amount<Sky> {
        self.offered
    }

    /// The levels that are kept, cheapest first: at least one, at most [`SEEN_LEVELS_MAX`].
    pub fn asks(&self) -> &[Level] {
        &self.asks
    }

    /// The cheapest ask.
    pub fn best_ask(&self) -> Price {
        self.asks.first().expect("a book as it was seen has an ask").price
    }

    /// How far the cheapest ask is above the best bid.
    pub fn spread(&self) -> Option<Decimal> {
        self.best_bid.map(|bid| self.best_ask().btc_per_sky() - bid.btc_per_sky())
    }

    /// How many levels there were up to the limit that are not kept; `None` when that does not fit together.
    fn left_out(&self) -> Option<u32> {
        self.levels.checked_sub(u32::try_from(self.asks.len()).ok()?)
    }

    /// Whether somebody may have asked this price: somebody of those who are kept did, or it is beyond them and within the limit.
    pub fn may_ask(&self, price: Price) -> bool {
        let is_left_out = self.left_out() != Some(0) && self.asks.last().is_some_and(|last| price > last.price);
        self.asks.iter().any(|ask| ask.price == price) || is_left_out && price <= self.limit
    }

    /// What the budget would take of the levels that are kept. Fees are not counted.
    pub fn take(&self, budget: Amount<Btc>) -> Taken {
        let of_level = walk(&self.asks, budget);
        let cost = |(ask, taken): (&Level, &Amount<Sky>)| ask.price.cost_rounded_up(*taken).unwrap_or(Amount::MAX);
        let spent = Amount::checked_sum(self.asks.iter().zip(&of_level).map(cost)).unwrap_or(Amount::MAX);
        let bought = Amount::checked_sum(of_level.iter().copied()).unwrap_or(Amount::MAX);
        let is_all_taken = self.asks.iter().zip(&of_level).all(|(ask, taken)| ask.volume == *taken);
        let reach = match self.left_out() {
            _ if !is_all_taken || spent == budget => Reach::Enough,
            Some(1..) => Reach::BeyondKept,
            Some(0) | None => Reach::BeyondOffered,
        };
        Taken { of_level, bought, spent, reach }
    }
}

/// The asks as far as the limit.
fn within(asks: &[Level], limit: Price) -> &[Level] {
    &asks[..asks.partition_point(|ask| ask.price <= limit)]
}

/// How much a budget takes of each level, the first ones first.
fn walk(asks: &[Level], budget: Amount<Btc>) -> Vec<Amount<Sky>> {
    let mut left = budget;
    let take = |ask: &Level| {
        let taken = ask.price.affordable(left, Sky::SCALE).unwrap_or(Amount::MAX).min(ask.volume);
        left = left.saturating_sub(ask.price.cost_rounded_up(taken).unwrap_or(Amount::MAX));
        taken
    };
    asks.iter().map(take).collect()
}

/// Reads a book that is stored with something else, if it was kept. Nothing is decided by it, so one that breaks a rule is read as
/// none: the rules of today may be stricter than those that it was made by.
pub(crate) fn kept<'de, D: Deserializer<'de>>(source: D) -> Result<Option<SeenBook>, D::Error> {
    Ok(Option::<Stored>::deserialize(source)?.and_then(|stored| stored.try_into().ok()))
}

impl TryFrom<Stored> for SeenBook {
    type Error = SeenBookError;

    fn try_from(Stored { at_ms, best_bid, limit, levels, offered, asks }: Stored) -> Result<Self, SeenBookError> {
        Self { at_ms, best_bid, limit, levels, offered, asks }.checked()
    }
}

#[cfg(test)]
mod tests;
