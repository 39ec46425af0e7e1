//! The desk's orders and money at the exchange, as the sum of recorded changes.
//!
//! A buyer pays the fee on top of the price, a seller out of the proceeds, both in BTC; what an open order may still cost,
//! fee included, is frozen. Every change moves coins from somewhere to somewhere: to the makers, to the house (fees), from
//! outside (deposits), so that the sum over all is always zero.

use std::collections::HashMap;

use millrace_protocols::wire::c2cx::{Side, Status};
use serde::{Deserialize, Serialize};

use super::engine::{Lots, Steps};

/// Satoshi for one lot at one step: 0.01 SKY × 0.00001 BTC.
pub const SATOSHI_PER_STEP_LOT: u64 = 10;
/// Droplets in one lot.
pub const DROPLETS_PER_LOT: u64 = 10_000;

/// How an order names its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pricing {
    /// No worse than this.
    Limit(Steps),
    /// At any price; a buyer spends this many satoshi.
    Market(u64),
}

/// Whether an order goes into the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// As on any exchange.
    Ordinary,
    /// A fault: this much may be filled, the rest is never matched.
    FilledUpTo(Lots),
}

/// A part of an order that was filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// At which price.
    pub price: Steps,
    /// How much.
    pub lots: Lots,
    /// Unix milliseconds.
    pub at_ms: u64,
}

/// An order of the desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskOrder {
    /// The exchange's number for it.
    pub order_id: u64,
    /// The desk's id of it.
    pub cid: Option<String>,
    /// `buy` or `sell`.
    #[serde(with = "side_word")]
    pub side: Side,
    /// At which price.
    pub pricing: Pricing,
    /// How much; zero for a market order to buy.
    pub lots: Lots,
    /// Where it is.
    #[serde(with = "status_code")]
    pub status: Status,
    /// Whether a fault keeps it from the book.
    pub handling: Handling,
    /// When it may be matched, Unix milliseconds.
    pub due_ms: u64,
    /// When it was taken, Unix milliseconds.
    pub created_ms: u64,
    /// When it last changed, Unix milliseconds.
    pub updated_ms: u64,
    /// Its fills, in order.
    pub fills: Vec<Fill>,
    /// What was charged, in satoshi.
    pub fee: u64,
}

impl DeskOrder {
    /// How much is filled.
    pub fn filled(&self) -> Lots {
        Lots(self.fills.iter().map(|fill| fill.lots.0).sum())
    }

    /// How much is not.
    pub fn left(&self) -> Lots {
        Lots(self.lots.0.saturating_sub(self.filled().0))
    }

    /// What the fills cost or brought, in satoshi and without fee.
    pub fn cost(&self) -> u64 {
        self.fills.iter().map(|fill| cost(fill.price, fill.lots)).sum()
    }

    /// Whether anything can still happen to it.
    pub fn is_open(&self) -> bool {
        !self.status.state().is_terminal()
    }
}

/// What lots cost at a price, in satoshi.
pub fn cost(price: Steps, lots: Lots) -> u64 {
    price.0.saturating_mul(lots.0).saturating_mul(SATOSHI_PER_STEP_LOT)
}

/// Something that changed the account; the journal's entries are lists of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// An order was taken.
    Taken(DeskOrder),
    /// A part of an order was filled.
    Filled {
        /// Which.
        order_id: u64,
        /// How.
        fill: Fill,
    },
    /// An order went to another status.
    Went {
        /// Which.
        order_id: u64,
        /// Whereto.
        #[serde(with = "status_code")]
        status: Status,
        /// Unix milliseconds.
        at_ms: u64,
    },
    /// The desk's balances were set.
    Balance(Holdings),
    /// The market's price moved.
    Mid(Steps),
}

/// Coins of one holder, in smallest units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Holdings {
    /// Bitcoin.
    pub satoshi: i64,
    /// Skycoin.
    pub droplets: i64,
}

/// Money and orders of the desk, and where its coins came from and went to.
#[derive(Debug, Default)]
pub struct Account {
    /// What the exchange charges, in millionths.
    pub fee_ppm: u64,
    /// What the desk has, frozen or not.
    pub desk: Holdings,
    /// What open orders hold back.
    pub frozen: Holdings,
    /// What went to the market's makers.
    pub makers: Holdings,
    /// What went to the exchange.
    pub house: Holdings,
    /// What came from outside, as a negative.
    pub outside: Holdings,
    /// Every order that ever was; number n is at n - 1.
    pub orders: Vec<DeskOrder>,
    /// Every client order id that ever was.
    pub cids: HashMap<String, u64>,
}

impl Account {
    /// The order with this number.
    pub fn order(&self, order_id: u64) -> Option<&DeskOrder> {
        self.orders.get(usize::try_from(order_id).ok()?.checked_sub(1)?)
    }

    /// The fee on this many satoshi, rounded up.
    pub fn fee(&self, satoshi: u64) -> u64 {
        let fee = (u128::from(satoshi) * u128::from(self.fee_ppm)).div_ceil(1_000_000);
        u64::try_from(fee).unwrap_or(u64::MAX)
    }

    /// What an order of the desk holds back while it is open.
    pub fn reserve(&self, order: &DeskOrder) -> Holdings {
        let held = match order.status {
            Status::Pending | Status::Active | Status::PartiallyCompleted | Status::Cancelling => order.left(),
            Status::Completed
            | Status::Cancelled
            | Status::Errored
            | Status::Suspended
            | Status::TriggerPending
            | Status::StopLossPending
            | Status::Expired
            | Status::Unrecognised(_) => return Holdings::default(),
        };
        match (order.side, order.pricing) {
            (Side::Buy, Pricing::Limit(limit)) => {
                let open = cost(limit, held);
                let fee = self.fee(order.cost().saturating_add(open)).saturating_sub(order.fee);
                Holdings { satoshi: signed(open.saturating_add(fee)), droplets: 0 }
            }
            (Side::Buy, Pricing::Market(_)) => Holdings::default(),
            (Side::Sell, _) => Holdings { satoshi: 0, droplets: signed(held.0.saturating_mul(DROPLETS_PER_LOT)) },
        }
    }

    /// Takes one change into account. [`Change::Mid`] is not the account's.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Taken(order) => {
                if let Some(cid) = &order.cid {
                    self.cids.insert(cid.clone(), order.order_id);
                }
                self.freeze(self.reserve(order), 1);
                self.orders.push(order.clone());
            }
            Change::Filled { order_id, fill } => self.on_order(*order_id, |account, order| account.fill(order, *fill)),
            Change::Went { order_id, status, at_ms } => self.on_order(*order_id, |_, order| {
                (order.status, order.updated_ms) = (*status, *at_ms);
            }),
            Change::Balance(holdings) => {
                self.outside.satoshi += self.desk.satoshi - holdings.satoshi;
                self.outside.droplets += self.desk.droplets - holdings.droplets;
                self.desk = *holdings;
            }
            Change::Mid(_) => {}
        }
    }

    /// Changes an order; what it holds back follows.
    fn on_order(&mut self, order_id: u64, change: impl FnOnce(&mut Self, &mut DeskOrder)) {
        let Some(mut order) = self.order(order_id).cloned() else { return };
        self.freeze(self.reserve(&order), -1);
        change(self, &mut order);
        self.freeze(self.reserve(&order), 1);
        let place = self.orders.len().min(order_id as usize) - 1;
        self.orders[place] = order;
    }

    fn freeze(&mut self, reserve: Holdings, sign: i64) {
        self.frozen.satoshi += sign * reserve.satoshi;
        self.frozen.droplets += sign * reserve.droplets;
    }

    fn fill(&mut self, order: &mut DeskOrder, fill: Fill) {
        let (satoshi, droplets) = (signed(cost(fill.price, fill.lots)), signed(fill.lots.0 * DROPLETS_PER_LOT));
        order.fills.push(fill);
        order.updated_ms = fill.at_ms;
        // charged on the whole order so far, so that many small fills round up only once
        let fee = self.fee(order.cost());
        let charged = signed(fee.saturating_sub(order.fee));
        order.fee = fee;
        let sign = match order.side {
            Side::Buy => 1,
            Side::Sell => -1,
        };
        self.desk.satoshi -= sign * satoshi + charged;
        self.desk.droplets += sign * droplets;
        self.makers.satoshi += sign * satoshi;
        self.makers.droplets -= sign * droplets;
        self.house.satoshi += charged;
    }
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

mod side_word {
    use super::Side;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(side: &Side, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(side.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Side, D::Error> {
        let word = String::deserialize(deserializer)?;
        Side::from_word(&word).ok_or_else(|| D::Error::custom("neither buy nor sell"))
    }
}

mod status_code {
    use super::Status;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(status.code())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
        i64::deserialize(deserializer).map(Status::from_code)
    }
}
