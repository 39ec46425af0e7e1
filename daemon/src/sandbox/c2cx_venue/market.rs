//! The market around the desk: makers who quote both sides around a price that moves.

use millrace_protocols::wire::c2cx::Side;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::engine::{Lots, Steps};

/// How the market looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketConfig {
    /// Where the price starts and what it returns to.
    pub mid: Steps,
    /// How far it may go from there.
    pub drift: Steps,
    /// How many price levels are quoted on each side; none for a market in which only the tests trade.
    pub levels: u64,
    /// The least volume of a level.
    pub lots_min: Lots,
    /// The greatest volume of a level.
    pub lots_max: Lots,
    /// What the movements are made of.
    pub seed: u64,
}

impl Default for MarketConfig {
    /// Deep enough for thousands of purchases between two movements.
    fn default() -> Self {
        Self {
            mid: Steps(188),
            drift: Steps(12),
            levels: 20,
            lots_min: Lots(500_000),
            lots_max: Lots(5_000_000),
            seed: 2018,
        }
    }
}

/// The makers.
#[derive(Debug)]
pub struct Market {
    config: MarketConfig,
    mid: Steps,
    random: SmallRng,
}

impl Market {
    /// A market that starts at its configured price.
    pub fn new(config: MarketConfig) -> Self {
        Self { mid: config.mid, random: SmallRng::seed_from_u64(config.seed), config }
    }

    /// Where the price is.
    pub fn mid(&self) -> Steps {
        self.mid
    }

    /// Puts the price where it was when the exchange was last running.
    pub fn set_mid(&mut self, mid: Steps) {
        self.mid = mid;
    }

    /// Moves the price: mostly not, else by one step, more likely back to where it started. Tells where it is.
    pub fn drift(&mut self) -> Steps {
        let (start, away) = (self.config.mid.0, self.mid.0.abs_diff(self.config.mid.0));
        let back = match away >= self.config.drift.0 {
            true => 1.0,
            false => 0.5 + away as f64 / (2 * self.config.drift.0) as f64,
        };
        if self.config.drift.0 > 0 && self.random.random_ratio(1, 4) {
            let up = if self.mid.0 < start { self.random.random_bool(back) } else { !self.random.random_bool(back) };
            self.mid = Steps(if up { self.mid.0 + 1 } else { self.mid.0.saturating_sub(1).max(1) });
        }
        self.mid
    }

    /// What the makers offer now, best first: sellers above the price, buyers below it.
    pub fn quotes(&mut self) -> Vec<(Side, Steps, Lots)> {
        let mut quotes = Vec::new();
        for distance in 1..=self.config.levels {
            let lots = |random: &mut SmallRng| {
                Lots(random.random_range(self.config.lots_min.0..=self.config.lots_max.0.max(self.config.lots_min.0)))
            };
            quotes.push((Side::Sell, Steps(self.mid.0 + distance), lots(&mut self.random)));
            if self.mid.0 > distance {
                quotes.push((Side::Buy, Steps(self.mid.0 - distance), lots(&mut self.random)));
            }
        }
        quotes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_moves_and_stays_near_where_it_started() {
        let mut market = Market::new(MarketConfig::default());
        let seen: std::collections::BTreeSet<_> = (0..10_000).map(|_| market.drift()).collect();
        assert!(seen.len() > 5, "{seen:?}");
        assert!(seen.iter().all(|mid| mid.0.abs_diff(188) <= 12), "{seen:?}");
    }

    #[test]
    fn the_same_seed_makes_the_same_market() {
        let day = || {
            let mut market = Market::new(MarketConfig::default());
            (0..100).map(|_| (market.drift(), market.quotes())).collect::<Vec<_>>()
        };
        assert_eq!(day(), day());
    }
}
