//! Which order to place next, if any: a pure look at the purchase and the market.

use millrace_model::money::{Amount, Sky};
use millrace_model::purchase::{Price, Purchase};
use rust_decimal::Decimal;

use super::{Market, MarketTrouble, Policy, Waiting};
use crate::book::{Book, Level};

/// What to do about what remains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// Order this.
    Order { price: Price, quantity: Amount<Sky> },
    /// No order can spend it.
    Unspendable,
    /// Not now.
    Wait(Waiting),
}

/// What a purchase knows beside its facts.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
pub(super) struct Limits {
    /// The cheapest ask seen at the decision.
    pub(super) reference: Price,
    /// The largest quantity that the exchange called too small.
    pub(super) too_small: Amount<Sky>,
    /// Only a book read from then on shows what the last order left.
    pub(super) book_after_ms: u64,
}

impl Limits {
    fn volume_min(&self, policy: &Policy) -> Amount<Sky> {
        let step = Amount::from_units(10u64.pow(6 - policy.rules.volume_decimals.min(6))).unwrap_or_default();
        let above = if self.too_small.is_zero() { Amount::ZERO } else { step };
        policy.rules.volume_min.max(self.too_small.checked_add(above).unwrap_or(Amount::MAX))
    }
}

pub(super) fn choose(purchase: &Purchase, limits: Limits, policy: &Policy, market: &Market<'_>, now_ms: u64) -> Choice {
    if purchase.remaining().is_zero() {
        return Choice::Unspendable;
    }
    let wait = |trouble| Choice::Wait(Waiting::Market(trouble));
    let Some((book, seen_ms)) = market.book else { return wait(MarketTrouble::Unread) };
    let best = match book.trusted_ask(now_ms, policy.book_age_max_ms) {
        Ok(best) => best,
        Err(trouble) => return wait(trouble.into()),
    };
    let volume_min = limits.volume_min(policy);
    if best.price.affordable(purchase.remaining(), policy.rules.volume_decimals).is_none_or(|most| most < volume_min) {
        return Choice::Unspendable;
    }
    if seen_ms < limits.book_after_ms {
        return wait(MarketTrouble::Unread);
    }
    // All that remains must be there: a deposit is not begun that could not be finished.
    let needed = policy.funds_for(purchase.remaining());
    if market.available.is_none_or(|available| available < needed) {
        return Choice::Wait(Waiting::Funds { needed, available: market.available });
    }
    let Some((price, quantity)) = cheapest(purchase, book, best, volume_min, policy) else {
        // Dust on top of the book, and the next price too dear for a smallest order: what is left of a purchase that has
        // bought something ends here, one that has not waits for a better market.
        return if purchase.bought().is_zero() { wait(MarketTrouble::TooThin) } else { Choice::Unspendable };
    };
    let limit = limits.reference.btc_per_sky() * (Decimal::ONE + policy.band_percent / Decimal::ONE_HUNDRED);
    if price.btc_per_sky() > limit {
        return wait(MarketTrouble::AboveBand { price, limit: limit.normalize() });
    }
    Choice::Order { price, quantity }
}

/// The cheapest ask, as much of it as what remains can pay; where it is smaller than the smallest order, as deep as makes one
/// up.
fn cheapest(
    purchase: &Purchase,
    book: &Book,
    best: Level,
    volume_min: Amount<Sky>,
    policy: &Policy,
) -> Option<(Price, Amount<Sky>)> {
    let decimals = policy.rules.volume_decimals;
    let (price, offered) = if best.volume.floor_to(decimals) >= volume_min {
        (best.price, best.volume)
    } else {
        let reach = book.reach(volume_min)?;
        (reach.price, reach.volume)
    };
    let quantity = price.affordable(purchase.remaining(), decimals)?.min(offered.floor_to(decimals));
    (quantity >= volume_min).then_some((price, quantity))
}
