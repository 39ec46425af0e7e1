//! Orders that the facts have forgotten: a log that was restored from a backup knows less than the exchange.

use millrace_model::purchase::{Fact, OrderIntent, OrderPhase};

use super::super::{HoldReason, VenueOrder};
use super::{Machine, Sent, State};

impl Machine {
    /// Takes in all that the exchange ever had under this deposit's ids, before the first step. A log that was restored from a
    /// backup may have forgotten some of it: those orders are intended once more as they are, under their own numbers, and so
    /// found instead of placed.
    pub fn remember(&mut self, orders: impl IntoIterator<Item = VenueOrder>) {
        let open = self.purchase.open_order().filter(|order| order.phase == OrderPhase::Intended);
        let first = open.map_or(self.purchase.next_attempt(), |order| order.intent.attempt);
        for order in orders {
            let attempt = order.cid.as_deref().and_then(|cid| cid.rsplit_once('-')?.1.parse().ok());
            let ours = |attempt: &u32| order.cid.as_deref() == Some(self.cid(*attempt).as_str());
            if let Some(attempt) = attempt.filter(|attempt| *attempt >= first).filter(ours) {
                self.forgotten.insert(attempt, order);
            }
        }
        if self.state == State::Placing(Sent::Perhaps) {
            self.pass_over_gap();
        }
    }

    /// Whether this order is at the exchange since before the facts began.
    pub fn is_forgotten(&self, order: &OrderIntent) -> bool {
        self.forgotten.get(&order.attempt).is_some_and(|known| known.cid.as_deref() == Some(order.cid.as_str()))
    }

    /// An order that the exchange never had, though it has later ones, was refused before them; it is not sent again.
    pub(super) fn pass_over_gap(&mut self) {
        let Some(attempt) = self.purchase.open_order().map(|order| order.intent.attempt) else { return };
        if !self.forgotten.contains_key(&attempt) && self.forgotten.range(attempt..).next().is_some() {
            let reason = "it was refused before the orders that follow it".to_owned();
            self.state = State::Recording(Fact::Refused { reason });
        }
    }

    /// The next of the forgotten orders, to be intended as it is.
    pub(super) fn recall(&mut self) -> bool {
        let Some((_, order)) = self.forgotten.range(self.purchase.next_attempt()..).next() else { return false };
        let (order_id, price, quantity) = (order.order_id, order.price, order.quantity);
        let Some(price) = price else {
            self.hold(HoldReason::Mismatch { order_id });
            return true;
        };
        self.intend(price, quantity);
        if matches!(self.state, State::Over(_)) {
            self.hold(HoldReason::Mismatch { order_id });
        }
        true
    }
}
