//! What really happened at the exchange, told by itself.

use millrace_model::money::{Amount, Btc, Coin, Sky};
use serde::Serialize;

use super::account::{DROPLETS_PER_LOT, DeskOrder, Holdings, Pricing, SATOSHI_PER_STEP_LOT};
use super::exchange::Exchange;

/// Everything the account did and has.
#[derive(Debug, Clone, Serialize)]
pub struct Books {
    /// Bitcoin, frozen or not.
    pub btc: Amount<Btc>,
    /// Bitcoin that is frozen.
    pub btc_frozen: Amount<Btc>,
    /// Skycoin, frozen or not.
    pub sky: Amount<Sky>,
    /// Skycoin that is frozen.
    pub sky_frozen: Amount<Sky>,
    /// What all purchases brought.
    pub bought: Amount<Sky>,
    /// What all purchases cost, without fees.
    pub spent: Amount<Btc>,
    /// The fees on them.
    pub fees: Amount<Btc>,
    /// How many orders were refused because their client id was used before. A desk that repeats requests has some.
    pub repeats: u64,
    /// Every order that was taken, oldest first.
    pub orders: Vec<BookedOrder>,
}

/// One order.
#[derive(Debug, Clone, Serialize)]
pub struct BookedOrder {
    /// The exchange's number for it.
    pub order_id: u64,
    /// The desk's id of it.
    pub cid: Option<String>,
    /// `buy` or `sell`.
    pub side: &'static str,
    /// Its limit in BTC for one SKY; `None` for a market order.
    pub limit: Option<String>,
    /// How much was ordered.
    pub quantity: Amount<Sky>,
    /// How much was filled.
    pub filled: Amount<Sky>,
    /// What the fills cost or brought, without fee.
    pub cost: Amount<Btc>,
    /// The fee.
    pub fee: Amount<Btc>,
    /// Where it is, in words.
    pub status: String,
    /// Whether anything can still happen to it.
    pub open: bool,
    /// Its fills: price in BTC for one SKY, quantity, Unix milliseconds.
    pub fills: Vec<(String, Amount<Sky>, u64)>,
}

impl Books {
    /// The orders whose client id begins with `prefix`: those of one deposit.
    pub fn of_deposit<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a BookedOrder> {
        self.orders.iter().filter(move |order| order.cid.as_deref().is_some_and(|cid| cid.starts_with(prefix)))
    }

    pub(super) fn of(exchange: &Exchange, repeats: u64) -> Self {
        let (desk, frozen) = (exchange.account.desk, exchange.frozen());
        let orders: Vec<_> = exchange.account.orders.iter().map(BookedOrder::of).collect();
        let purchases = || orders.iter().filter(|order| order.side == "buy");
        Self {
            btc: btc(desk),
            btc_frozen: btc(frozen),
            sky: sky(desk),
            sky_frozen: sky(frozen),
            bought: Amount::checked_sum(purchases().map(|order| order.filled)).unwrap_or(Amount::MAX),
            spent: Amount::checked_sum(purchases().map(|order| order.cost)).unwrap_or(Amount::MAX),
            fees: Amount::checked_sum(purchases().map(|order| order.fee)).unwrap_or(Amount::MAX),
            repeats,
            orders,
        }
    }
}

impl BookedOrder {
    fn of(order: &DeskOrder) -> Self {
        let price = |steps: u64| amount::<Btc>(steps.saturating_mul(SATOSHI_PER_STEP_LOT * 100)).to_string();
        let quantity = |lots: u64| amount(lots.saturating_mul(DROPLETS_PER_LOT));
        Self {
            order_id: order.order_id,
            cid: order.cid.clone(),
            side: order.side.as_str(),
            limit: match order.pricing {
                Pricing::Limit(steps) => Some(price(steps.0)),
                Pricing::Market(_) => None,
            },
            quantity: quantity(order.lots.0),
            filled: quantity(order.filled().0),
            cost: amount(order.cost()),
            fee: amount(order.fee),
            status: format!("{:?}", order.status),
            open: order.is_open(),
            fills: order.fills.iter().map(|f| (price(f.price.0), quantity(f.lots.0), f.at_ms)).collect(),
        }
    }
}

fn btc(holdings: Holdings) -> Amount<Btc> {
    amount(u64::try_from(holdings.satoshi).unwrap_or(0))
}

fn sky(holdings: Holdings) -> Amount<Sky> {
    amount(u64::try_from(holdings.droplets).unwrap_or(0))
}

fn amount<C: Coin>(units: u64) -> Amount<C> {
    Amount::from_units(units).unwrap_or(Amount::MAX)
}
