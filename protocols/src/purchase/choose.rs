//! Which order to place next, if any: a pure look at the purchase and the market.

use millrace_model::money::{Amount, Sky};
use millrace_model::purchase::{Price, Purchase};

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
    /// The most that an order may pay. A price has no more decimals than this is cut to, so that none lies between the two. Where
    /// the cheapest ask cannot be raised (to more than any price, say), nothing is paid beyond it.
    pub(super) fn dearest(&self, policy: &Policy) -> Price {
        self.reference.raised_by(policy.band_percent).unwrap_or(self.reference)
    }

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
    let limit = limits.dearest(policy);
    if price > limit {
        return wait(MarketTrouble::AboveBand { price, limit: limit.btc_per_sky() });
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;
    use crate::wire::c2cx::BTC_SKY_RULES;

    fn price(mantissa: u64, scale: u32) -> Price {
        Price::new(Decimal::new(mantissa as i64, scale)).unwrap()
    }

    proptest! {
        /// A price is above the limit as it is cut when it is above the exact product.
        #[test]
        fn no_price_lies_between_the_limit_and_what_it_is_cut_from(
            (mantissa, scale) in (1u64..10_000_000, 3u32..=12),
            percent in 0u64..=50_000_000_000,
            near in -3i64..=3,
        ) {
            let band_percent = Decimal::new(percent as i64, 9);
            let policy = Policy { band_percent, ..Policy::new(BTC_SKY_RULES) };
            let limits = Limits { reference: price(mantissa, scale), too_small: Amount::ZERO, book_after_ms: 0 };
            let exact = limits.reference.btc_per_sky() * (Decimal::ONE + band_percent / Decimal::ONE_HUNDRED);
            let limit = limits.dearest(&policy);
            let asked = Price::new(limit.btc_per_sky() + Decimal::new(near, Price::DECIMALS_MAX));
            prop_assert!(limit.btc_per_sky() <= exact);
            if let Ok(asked) = asked {
                prop_assert_eq!(asked > limit, asked.btc_per_sky() > exact);
            }
        }
    }
}
