//! What of the account is promised to purchases and not yet frozen by the exchange.

use std::collections::{HashMap, VecDeque};

use millrace_model::ids::DepositId;
use millrace_model::money::{Amount, Btc};
use millrace_model::purchase::{OrderPhase, Purchase};
use millrace_protocols::purchase::Policy;
use tokio::time::Instant;

/// What one purchase needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// For an order that is intended and of which the exchange may not know.
    pub(crate) order: Amount<Btc>,
    /// For the orders that are to follow it: what is begun can be finished.
    pub(crate) rest: Amount<Btc>,
}

impl Claim {
    /// Nothing.
    pub(crate) const NONE: Self = Self { order: Amount::ZERO, rest: Amount::ZERO };

    /// What a purchase needs as its facts leave it.
    pub(crate) fn of(purchase: &Purchase, policy: &Policy) -> Self {
        if !purchase.is_begun() {
            return Self::NONE;
        }
        let Some(open) = purchase.open_order() else {
            return Self { order: Amount::ZERO, rest: policy.funds_for(purchase.remaining()) };
        };
        let filled = open.seen.as_ref().map(|seen| seen.completed).unwrap_or_default();
        let unfilled = open.intent.quantity.saturating_sub(filled);
        let cost = open.intent.price.cost_rounded_up(unfilled).unwrap_or(Amount::MAX);
        let order = match open.phase {
            OrderPhase::Intended => policy.funds_for(cost),
            OrderPhase::Placed { .. } | OrderPhase::Cancelling { .. } => Amount::ZERO,
        };
        Self { order, rest: policy.funds_for(purchase.remaining().saturating_sub(cost)) }
    }

    fn sum(self) -> u128 {
        u128::from(self.order.units()) + u128::from(self.rest.units())
    }
}

/// All claims on the account.
#[derive(Debug, Default)]
pub(super) struct Claims {
    of: HashMap<DepositId, Claim>,
    /// The sum of the above.
    total: u128,
    /// Orders that the exchange has taken since a time; a balance read earlier does not show them.
    placed: VecDeque<(Instant, Amount<Btc>)>,
    placed_total: u128,
}

impl Claims {
    /// What a deposit's purchase needs from now on.
    pub(super) fn set(&mut self, id: DepositId, claim: Claim) {
        let before = if claim == Claim::NONE { self.of.remove(&id) } else { self.of.insert(id, claim) };
        self.total = self.total + claim.sum() - before.unwrap_or_default().sum();
    }

    /// Nobody needs anything any more; what the exchange has taken stays.
    pub(super) fn forget(&mut self) {
        self.of.clear();
        self.total = 0;
    }

    /// What a purchase needs from now on, its order being with the exchange.
    pub(super) fn placed(&mut self, id: DepositId, claim: Claim, now: Instant) {
        let order = self.of.get(&id).copied().unwrap_or_default().order;
        self.set(id, claim);
        if !order.is_zero() {
            self.placed.push_back((now, order));
            self.placed_total += u128::from(order.units());
        }
    }

    /// A balance was read, beginning at this time: it shows what was placed before.
    pub(super) fn settle(&mut self, began: Instant) {
        while let Some((_, order)) = self.placed.pop_front_if(|(placed, _)| *placed <= began) {
            self.placed_total -= u128::from(order.units());
        }
    }

    /// Whether a balance that is read now settles something.
    pub(super) fn are_unsettled(&self) -> bool {
        !self.placed.is_empty()
    }

    /// Everything that is promised; at most [`Amount::MAX`].
    pub(super) fn total(&self) -> Amount<Btc> {
        amount(self.total + self.placed_total)
    }

    /// Everything that is promised to others.
    pub(super) fn total_without(&self, id: DepositId) -> Amount<Btc> {
        let own = self.of.get(&id).copied().unwrap_or_default();
        amount(self.total + self.placed_total - own.sum())
    }
}

fn amount(units: u128) -> Amount<Btc> {
    u64::try_from(units).ok().and_then(Amount::from_units).unwrap_or(Amount::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use millrace_model::purchase::{ClientOrderId, Fact, OrderIntent};
    use millrace_protocols::wire::c2cx::BTC_SKY_RULES;

    use super::*;

    fn btc(text: &str) -> Amount<Btc> {
        text.parse().unwrap()
    }

    fn id(number: u128) -> DepositId {
        DepositId(uuid::Uuid::from_u128(number))
    }

    fn claim(order: &str, rest: &str) -> Claim {
        Claim { order: btc(order), rest: btc(rest) }
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_stays_claimed_until_a_balance_shows_it() {
        let mut claims = Claims::default();
        let placed = Instant::now();
        claims.set(id(1), claim("0.3", "0.2"));
        claims.set(id(2), claim("0.1", "0"));
        assert_eq!((claims.total(), claims.total_without(id(1))), (btc("0.6"), btc("0.1")));
        claims.placed(id(1), claim("0", "0.2"), placed);
        assert_eq!((claims.total(), claims.are_unsettled()), (btc("0.6"), true));
        claims.settle(placed - Duration::from_millis(1));
        assert_eq!(claims.total(), btc("0.6"));
        claims.settle(placed);
        assert_eq!((claims.total(), claims.are_unsettled()), (btc("0.3"), false));
        claims.set(id(1), Claim::NONE);
        claims.set(id(2), Claim::NONE);
        assert_eq!(claims.total(), Amount::ZERO);
    }

    #[test]
    fn a_purchase_that_is_begun_claims_all_that_it_may_still_spend() {
        let policy = Policy::new(BTC_SKY_RULES);
        let order = OrderIntent {
            attempt: 1,
            cid: ClientOrderId::for_attempt("a deposit", 1),
            price: "0.002".parse().unwrap(),
            quantity: "100".parse().unwrap(),
        };
        let fresh = Purchase::new(btc("1"));
        assert_eq!(Claim::of(&fresh, &policy), Claim::NONE);
        let intended = fresh.apply(&Fact::Intended(order));
        assert_eq!(Claim::of(&intended, &policy), claim("0.2004", "0.8016"));
        let placed = intended.clone().apply(&Fact::Placed { order_id: 7 });
        assert_eq!(Claim::of(&placed, &policy), claim("0", "0.8016"));
        let refused = intended.apply(&Fact::Refused { reason: "no".into() });
        assert_eq!(Claim::of(&refused, &policy), Claim::NONE);
    }
}
