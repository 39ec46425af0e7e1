//! An exchange's order book of the SKY/BTC market as a value, and what can be told from it: the cheapest ask, a quote for
//! an amount, whether it can be trusted at all.

use rust_decimal::Decimal;

use millrace_model::money::{Amount, Btc, Sky};
use millrace_model::purchase::{OrderIntent, Price, SeenBook};

pub use millrace_model::purchase::Level;

/// How many price levels of each side are kept; deeper ones are dropped.
pub const LEVELS_MAX: usize = 5_000;

/// What a market demands of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Decimals of a price.
    pub price_decimals: u32,
    /// Decimals of a quantity.
    pub volume_decimals: u32,
    /// The smallest quantity of an order.
    pub volume_min: Amount<Sky>,
}

impl Rules {
    /// Half a price step, in BTC for one SKY: how far a reported average may be from the true one.
    pub fn half_price_step(&self) -> Decimal {
        Decimal::new(5, self.price_decimals + 1)
    }

    /// How far what is booked for fills of `bought` may be from what they cost; rounded up. A difference up to this
    /// much, found in the account's balance, is the exchange's rounding.
    pub fn rounding_max(&self, bought: Amount<Sky>) -> Option<Amount<Btc>> {
        Price::new(self.half_price_step()).ok()?.cost_rounded_up(bought)
    }
}

/// Offers on both sides, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    asks: Vec<Level>,
    bids: Vec<Level>,
    timestamp_ms: u64,
}

/// What is wrong with a book as such, whatever one wants of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BookTrouble {
    /// The exchange's time of the book is too far from ours.
    #[error("the order book is stale")]
    Stale,
    /// Nobody sells.
    #[error("nobody sells")]
    Empty,
    /// Somebody pays more than somebody asks; a working exchange would have matched them.
    #[error("the order book is crossed")]
    Crossed,
}

/// The deepest level that a walk down the asks reaches, with everything above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The price of the level.
    pub price: Price,
    /// The volume of the level and of all cheaper ones.
    pub volume: Amount<Sky>,
}

/// What an amount would buy if the book stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// How much it buys.
    pub bought: Amount<Sky>,
    /// What that costs; rounded up at each level, never more than the amount.
    pub spent: Amount<Btc>,
    /// The dearest price paid.
    pub worst: Price,
    /// BTC for one SKY on average, rounded up to eight decimals.
    pub average: Decimal,
    /// Whether the book ended before the amount did.
    pub ran_out: bool,
}

impl Book {
    /// A book of levels in any order, with the exchange's own time (Unix milliseconds). Empty levels are dropped.
    pub fn new(mut asks: Vec<Level>, mut bids: Vec<Level>, timestamp_ms: u64) -> Self {
        asks.retain(|level| !level.volume.is_zero());
        bids.retain(|level| !level.volume.is_zero());
        asks.sort_by_key(|level| level.price);
        bids.sort_by_key(|level| std::cmp::Reverse(level.price));
        asks.truncate(LEVELS_MAX);
        bids.truncate(LEVELS_MAX);
        Self { asks, bids, timestamp_ms }
    }

    /// Who sells, cheapest first.
    pub fn asks(&self) -> &[Level] {
        &self.asks
    }

    /// Who buys, dearest first.
    pub fn bids(&self) -> &[Level] {
        &self.bids
    }

    /// The exchange's own time of the book, Unix milliseconds.
    pub fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }

    /// The cheapest ask.
    pub fn cheapest_ask(&self) -> Option<Level> {
        self.asks.first().copied()
    }

    /// The dearest bid.
    pub fn dearest_bid(&self) -> Option<Level> {
        self.bids.first().copied()
    }

    /// The cheapest ask of a book that can be trusted: not further than `age_max_ms` from `now_ms` in either direction,
    /// with somebody selling, and not crossed.
    pub fn trusted_ask(&self, now_ms: u64, age_max_ms: u64) -> Result<Level, BookTrouble> {
        if now_ms.abs_diff(self.timestamp_ms) > age_max_ms {
            return Err(BookTrouble::Stale);
        }
        let ask = self.cheapest_ask().ok_or(BookTrouble::Empty)?;
        match self.dearest_bid() {
            Some(bid) if bid.price >= ask.price => Err(BookTrouble::Crossed),
            Some(_) | None => Ok(ask),
        }
    }

    /// What of the book bears on a purchase with this budget, whose orders may pay `band_percent` more than the cheapest ask;
    /// `None` when there is nothing to be had.
    pub fn seen_for(&self, budget: Amount<Btc>, band_percent: Decimal) -> Option<SeenBook> {
        let limit = self.cheapest_ask()?.price.raised_by(band_percent)?;
        SeenBook::of(self.timestamp_ms, self.sides(), limit, budget).ok()
    }

    /// What of the book bears on an order of a purchase whose orders may pay as much as `limit`; `None` when nobody asks the
    /// order's price.
    pub fn seen_by(&self, order: &OrderIntent, limit: Price) -> Option<SeenBook> {
        let is_asked = self.asks.iter().any(|ask| ask.price == order.price);
        is_asked.then(|| SeenBook::of_order(self.timestamp_ms, self.sides(), limit, order).ok())?
    }

    fn sides(&self) -> (&[Level], Option<Price>) {
        (&self.asks, self.dearest_bid().map(|bid| bid.price))
    }

    /// The first level at which the asks add up to `volume` or more; `None` when they never do.
    pub fn reach(&self, volume: Amount<Sky>) -> Option<Reach> {
        let mut total = Amount::ZERO;
        for level in &self.asks {
            total = total.checked_add(level.volume)?;
            if total >= volume {
                return Some(Reach { price: level.price, volume: total });
            }
        }
        None
    }

    /// What has to be deposited so that [`Self::walk`] buys at least `volume`, in steps of `volume_decimals` decimals; `None`
    /// when the asks do not hold as much, or it costs more than [`Amount::MAX`].
    pub fn cost_of(&self, volume: Amount<Sky>, volume_decimals: u32) -> Option<Amount<Btc>> {
        let (mut left, mut cost) = (volume, Amount::ZERO);
        for level in &self.asks {
            let taken = left.ceil_to(volume_decimals)?.min(level.volume);
            cost = level.price.cost_rounded_up(taken)?.checked_add(cost)?;
            left = left.saturating_sub(taken);
            if left.is_zero() {
                return Some(cost);
            }
        }
        None
    }

    /// Walks the asks with `amount`, cheapest first. The part of the last level is cut to `volume_decimals` decimals.
    /// `None` when the amount buys nothing.
    pub fn walk(&self, amount: Amount<Btc>, volume_decimals: u32) -> Option<Quote> {
        let (mut bought, mut spent, mut worst, mut ran_out) = (Amount::ZERO, Amount::ZERO, None, true);
        for level in &self.asks {
            let affordable = level.price.affordable(amount.saturating_sub(spent), volume_decimals)?;
            let taken = affordable.min(level.volume);
            if !taken.is_zero() {
                bought = taken.checked_add(bought)?;
                spent = level.price.cost_rounded_up(taken)?.checked_add(spent)?;
                worst = Some(level.price);
            }
            if affordable <= level.volume {
                ran_out = false;
                break;
            }
        }
        let average = spent.to_decimal().checked_div(bought.to_decimal())?;
        let up = rust_decimal::RoundingStrategy::AwayFromZero;
        Some(Quote { bought, spent, worst: worst?, average: average.round_dp_with_strategy(8, up), ran_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn levels(levels: &[(&str, &str)]) -> Vec<Level> {
        let level =
            |(price, volume): &(&str, &str)| Level { price: price.parse().unwrap(), volume: volume.parse().unwrap() };
        levels.iter().map(level).collect()
    }

    fn book() -> Book {
        let asks = levels(&[("0.0021", "100"), ("0.0019", "0.4"), ("0.002", "0.7"), ("0.0018", "0")]);
        Book::new(asks, levels(&[("0.0017", "5"), ("0.0018", "5")]), 1_000_000)
    }

    #[test]
    fn the_best_prices_come_first_in_whatever_order_they_arrive() {
        assert_eq!(book().cheapest_ask().unwrap().price.to_string(), "0.0019");
        assert_eq!(book().dearest_bid().unwrap().price.to_string(), "0.0018");
    }

    /// X5: a book from the future is stale, too.
    #[test]
    fn a_book_from_another_time_is_stale_in_both_directions() {
        assert_eq!(book().trusted_ask(1_010_000, 10_000), Ok(book().cheapest_ask().unwrap()));
        assert_eq!(book().trusted_ask(1_010_001, 10_000), Err(BookTrouble::Stale));
        assert_eq!(book().trusted_ask(989_999, 10_000), Err(BookTrouble::Stale));
    }

    #[test]
    fn empty_and_crossed_books_are_recognised() {
        let crossed = Book::new(levels(&[("0.0019", "1")]), levels(&[("0.0019", "1")]), 0);
        assert_eq!(crossed.trusted_ask(0, 0), Err(BookTrouble::Crossed));
        let empty = Book::new(levels(&[("0.0019", "0")]), levels(&[("0.0018", "1")]), 0);
        assert_eq!(empty.trusted_ask(0, 0), Err(BookTrouble::Empty));
    }

    #[test]
    fn a_reach_stops_at_the_first_level_that_makes_up_the_volume() {
        let reach = book().reach("1".parse().unwrap()).unwrap();
        assert_eq!((reach.price.to_string().as_str(), reach.volume), ("0.002", "1.1".parse().unwrap()));
        assert_eq!(book().reach("101.2".parse().unwrap()), None);
    }

    #[test]
    fn a_walk_pays_each_level_its_price() {
        let quote = book().walk("0.01".parse().unwrap(), 2).unwrap();
        // 0.4 for 0.00076, 0.7 for 0.0014, and 3.73 of 3.7333 for 0.007833
        assert_eq!((quote.bought, quote.spent), ("4.83".parse().unwrap(), "0.009993".parse().unwrap()));
        assert_eq!((quote.worst.to_string().as_str(), quote.ran_out), ("0.0021", false));
        assert_eq!(quote.average.to_string(), "0.00206895");
        assert!(book().walk("1".parse().unwrap(), 2).unwrap().ran_out);
        assert_eq!(book().walk("0.00001".parse().unwrap(), 2), None);
    }

    proptest! {
        #[test]
        fn what_a_volume_costs_buys_at_least_that_volume(
            asks in prop::collection::vec((1i64..1_000_000, 0u64..10_000_000_000), 0..20),
            volume in 1u64..50_000_000_000,
        ) {
            let asks: Vec<_> = (asks.into_iter())
                .map(|(price, volume)| Level {
                    price: Price::new(Decimal::new(price, 5)).unwrap(),
                    volume: Amount::from_units(volume).unwrap(),
                })
                .collect();
            let book = Book::new(asks, Vec::new(), 0);
            let volume = Amount::from_units(volume).unwrap();
            if let Some(cost) = book.cost_of(volume, 2) {
                let quote = book.walk(cost, 2).unwrap();
                prop_assert!(quote.bought >= volume, "{quote:?}");
            }
        }

        #[test]
        fn a_walk_never_spends_more_than_the_amount_or_takes_more_than_is_there(
            asks in prop::collection::vec((1i64..1_000_000, 0u64..10_000_000_000), 0..20),
            amount in 0u64..1_000_000_000_000,
        ) {
            let asks: Vec<_> = (asks.into_iter())
                .map(|(price, volume)| Level {
                    price: Price::new(Decimal::new(price, 5)).unwrap(),
                    volume: Amount::from_units(volume).unwrap(),
                })
                .collect();
            let there = Amount::checked_sum(asks.iter().map(|level| level.volume)).unwrap();
            let amount = Amount::from_units(amount).unwrap();
            if let Some(quote) = Book::new(asks, Vec::new(), 0).walk(amount, 2) {
                prop_assert!(quote.spent <= amount && quote.bought <= there);
                prop_assert!(quote.worst.cost_rounded_up(quote.bought).unwrap() >= quote.spent.saturating_sub(
                    Amount::from_units(20).unwrap()));
            }
        }
    }
}
