//! A matching engine: orders meet by price, then by time, in whole price steps and lots.
//!
//! It knows no accounts and no reasons; whoever submits settles the trades.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};

use millrace_protocols::wire::c2cx::Side;
use serde::{Deserialize, Serialize};

/// A price, in steps of 0.00001 BTC for one SKY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Steps(pub u64);

/// A quantity, in lots of 0.01 SKY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lots(pub u64);

impl Lots {
    /// Nothing.
    pub const ZERO: Self = Self(0);
}

/// Whose order it is, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The account that trades over the wire.
    Desk(u64),
    /// The market around it.
    Maker(u64),
}

/// Two orders met, at the price of the one that was there first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trade {
    /// The order that came.
    pub taker: Owner,
    /// The order that was there.
    pub maker: Owner,
    /// The price.
    pub price: Steps,
    /// How much.
    pub lots: Lots,
}

#[derive(Debug, Clone, Copy)]
struct Resting {
    owner: Owner,
    lots: Lots,
}

/// The orders that wait. Never crossed: every bid is below every ask.
#[derive(Debug, Default)]
pub struct Engine {
    asks: BTreeMap<Steps, VecDeque<Resting>>,
    bids: BTreeMap<Reverse<Steps>, VecDeque<Resting>>,
    places: HashMap<Owner, (Side, Steps)>,
}

impl Engine {
    /// Matches an order against those that wait and tells what is left of it; what is left does not wait.
    pub fn take(&mut self, taker: Owner, side: Side, limit: Steps, lots: Lots) -> (Vec<Trade>, Lots) {
        let (mut left, mut trades) = (lots, Vec::new());
        while left > Lots::ZERO {
            let Some((price, queue)) = self.opposite(side, limit) else { break };
            let Some(front) = queue.front_mut() else { break };
            let lots = left.min(front.lots);
            let maker = front.owner;
            (left, front.lots) = (Lots(left.0 - lots.0), Lots(front.lots.0 - lots.0));
            trades.push(Trade { taker, maker, price, lots });
            if front.lots == Lots::ZERO {
                queue.pop_front();
                let emptied = queue.is_empty();
                self.places.remove(&maker);
                if emptied {
                    self.drop_level(side, price);
                }
            }
        }
        (trades, left)
    }

    /// Lets what is left of an order wait. It must have been matched before, see [`Self::take`].
    pub fn rest(&mut self, owner: Owner, side: Side, price: Steps, lots: Lots) {
        if lots == Lots::ZERO {
            return;
        }
        let queue = match side {
            Side::Buy => self.bids.entry(Reverse(price)).or_default(),
            Side::Sell => self.asks.entry(price).or_default(),
        };
        queue.push_back(Resting { owner, lots });
        self.places.insert(owner, (side, price));
    }

    /// Removes an order that waits; tells how much of it was left.
    pub fn cancel(&mut self, owner: Owner) -> Option<Lots> {
        let (side, price) = self.places.remove(&owner)?;
        let queue = match side {
            Side::Buy => self.bids.get_mut(&Reverse(price))?,
            Side::Sell => self.asks.get_mut(&price)?,
        };
        let place = queue.iter().position(|resting| resting.owner == owner)?;
        let lots = queue.remove(place)?.lots;
        if queue.is_empty() {
            match side {
                Side::Buy => drop(self.bids.remove(&Reverse(price))),
                Side::Sell => drop(self.asks.remove(&price)),
            }
        }
        Some(lots)
    }

    /// Removes every order of the market.
    pub fn cancel_makers(&mut self) {
        let of_desk = |resting: &Resting| matches!(resting.owner, Owner::Desk(_));
        self.asks.values_mut().for_each(|queue| queue.retain(of_desk));
        self.bids.values_mut().for_each(|queue| queue.retain(of_desk));
        self.asks.retain(|_, queue| !queue.is_empty());
        self.bids.retain(|_, queue| !queue.is_empty());
        self.places.retain(|owner, _| matches!(owner, Owner::Desk(_)));
    }

    /// The cheapest price at which somebody sells.
    pub fn best_ask(&self) -> Option<Steps> {
        self.asks.first_key_value().map(|(price, _)| *price)
    }

    /// The dearest price at which somebody buys.
    pub fn best_bid(&self) -> Option<Steps> {
        self.bids.first_key_value().map(|(price, _)| price.0)
    }

    /// The best `depth` levels of one side.
    pub fn levels(&self, side: Side, depth: usize) -> Vec<(Steps, Lots)> {
        let total = |queue: &VecDeque<Resting>| Lots(queue.iter().map(|resting| resting.lots.0).sum());
        match side {
            Side::Buy => self.bids.iter().take(depth).map(|(price, queue)| (price.0, total(queue))).collect(),
            Side::Sell => self.asks.iter().take(depth).map(|(price, queue)| (*price, total(queue))).collect(),
        }
    }

    /// The best level that an order of this side and limit meets.
    fn opposite(&mut self, side: Side, limit: Steps) -> Option<(Steps, &mut VecDeque<Resting>)> {
        match side {
            Side::Buy => {
                let (price, queue) = self.asks.iter_mut().next()?;
                (*price <= limit).then_some((*price, queue))
            }
            Side::Sell => {
                let (price, queue) = self.bids.iter_mut().next()?;
                (price.0 >= limit).then_some((price.0, queue))
            }
        }
    }

    fn drop_level(&mut self, taker_side: Side, price: Steps) {
        match taker_side {
            Side::Buy => drop(self.asks.remove(&price)),
            Side::Sell => drop(self.bids.remove(&Reverse(price))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sell(engine: &mut Engine, number: u64, price: u64, lots: u64) {
        engine.rest(Owner::Maker(number), Side::Sell, Steps(price), Lots(lots));
    }

    #[test]
    fn the_cheapest_is_sold_first_and_at_one_price_the_earliest() {
        let mut engine = Engine::default();
        sell(&mut engine, 1, 190, 5);
        sell(&mut engine, 2, 189, 5);
        sell(&mut engine, 3, 189, 5);
        let (trades, left) = engine.take(Owner::Desk(1), Side::Buy, Steps(190), Lots(12));
        let met: Vec<_> = trades.iter().map(|trade| (trade.maker, trade.price.0, trade.lots.0)).collect();
        assert_eq!(met, [(Owner::Maker(2), 189, 5), (Owner::Maker(3), 189, 5), (Owner::Maker(1), 190, 2)]);
        assert_eq!((left, engine.levels(Side::Sell, 9)), (Lots(0), vec![(Steps(190), Lots(3))]));
    }

    #[test]
    fn a_limit_is_never_exceeded() {
        let mut engine = Engine::default();
        sell(&mut engine, 1, 190, 5);
        assert_eq!(engine.take(Owner::Desk(1), Side::Buy, Steps(189), Lots(5)), (vec![], Lots(5)));
    }

    #[test]
    fn a_cancelled_order_is_met_no_more() {
        let mut engine = Engine::default();
        sell(&mut engine, 1, 189, 5);
        sell(&mut engine, 2, 189, 7);
        assert_eq!(engine.cancel(Owner::Maker(1)), Some(Lots(5)));
        assert_eq!(engine.cancel(Owner::Maker(1)), None);
        assert_eq!(engine.levels(Side::Sell, 9), [(Steps(189), Lots(7))]);
        engine.cancel_makers();
        assert_eq!(engine.best_ask(), None);
    }

    proptest! {
        #[test]
        fn the_book_is_never_crossed_and_no_lot_is_lost(
            orders in prop::collection::vec((any::<bool>(), 180u64..200, 1u64..50, 0u64..40), 1..120),
        ) {
            let mut engine = Engine::default();
            let (mut submitted, mut traded, mut cancelled) = (0, 0, 0);
            for (number, (buys, price, lots, cancels)) in orders.into_iter().enumerate() {
                let side = if buys { Side::Buy } else { Side::Sell };
                let owner = Owner::Maker(number as u64);
                submitted += lots;
                let (trades, left) = engine.take(owner, side, Steps(price), Lots(lots));
                for trade in &trades {
                    let within = if buys { trade.price.0 <= price } else { trade.price.0 >= price };
                    prop_assert!(within, "{:?} is beyond {}", trade, price);
                    traded += 2 * trade.lots.0;
                }
                engine.rest(owner, side, Steps(price), left);
                cancelled += engine.cancel(Owner::Maker(cancels)).unwrap_or_default().0;
                if let (Some(bid), Some(ask)) = (engine.best_bid(), engine.best_ask()) {
                    prop_assert!(bid < ask);
                }
            }
            let waiting: u64 = [Side::Buy, Side::Sell].into_iter()
                .flat_map(|side| engine.levels(side, usize::MAX))
                .map(|(_, lots)| lots.0)
                .sum();
            prop_assert_eq!(submitted, traded + cancelled + waiting);
        }
    }
}
