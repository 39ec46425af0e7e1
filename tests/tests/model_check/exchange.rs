//! The exchange: it takes a client order id once and for ever, fills in halves of a deposit's order, and shows all it has.

use std::sync::Arc;

use millrace_model::money::{Amount, Sky};
use millrace_model::purchase::{OrderIntent, OrderObservation, OrderState};
use millrace_protocols::purchase::VenueOrder;

/// What one fill brings, in droplets: the smallest order, and half of what a deposit buys.
pub const FILL: u64 = 250_000_000;

/// An order that the exchange took.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Order {
    intent: Arc<OrderIntent>,
    filled: u64,
    is_cancelled: bool,
}

/// The exchange's orders; an order's number is its place, from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Exchange(Vec<Order>);

impl Exchange {
    /// Whether it has, or had, an order under this id.
    pub fn has(&self, intent: &OrderIntent) -> bool {
        self.0.iter().any(|order| order.intent.cid == intent.cid)
    }

    /// Takes an order; its number.
    pub fn take(&mut self, intent: Arc<OrderIntent>) -> u64 {
        self.0.push(Order { intent, filled: 0, is_cancelled: false });
        self.0.len() as u64
    }

    /// The orders that can be filled.
    pub fn open(&self) -> Vec<u64> {
        (1..).zip(&self.0).filter(|(_, order)| !order.is_terminal()).map(|(order_id, _)| order_id).collect()
    }

    /// Fills part of an order.
    pub fn fill(&mut self, order_id: u64) {
        self.order_mut(order_id).filled += FILL;
    }

    /// Cancels what is not filled of an order.
    pub fn cancel(&mut self, order_id: u64) -> Result<(), ()> {
        let order = self.order_mut(order_id);
        if order.is_terminal() {
            return Err(());
        }
        order.is_cancelled = true;
        Ok(())
    }

    fn order_mut(&mut self, order_id: u64) -> &mut Order {
        &mut self.0[usize::try_from(order_id).expect("order numbers are small") - 1]
    }

    /// An order as it is shown.
    pub fn show(&self, order_id: u64) -> VenueOrder {
        self.0[usize::try_from(order_id).expect("order numbers are small") - 1].shown(order_id)
    }

    /// All orders that ever were.
    pub fn listing(&self) -> Vec<VenueOrder> {
        (1..).zip(&self.0).map(|(order_id, order)| order.shown(order_id)).collect()
    }

    /// All that was ever bought.
    pub fn bought(&self) -> u64 {
        self.0.iter().map(|order| order.filled).sum()
    }
}

impl Order {
    fn is_filled(&self) -> bool {
        self.filled >= self.intent.quantity.units()
    }

    fn is_terminal(&self) -> bool {
        self.is_cancelled || self.is_filled()
    }

    fn shown(&self, order_id: u64) -> VenueOrder {
        let intent = &self.intent;
        let state = match (self.is_filled(), self.is_cancelled) {
            (true, _) => OrderState::Filled,
            (false, true) => OrderState::Cancelled,
            (false, false) => OrderState::Open,
        };
        let completed: Amount<Sky> = Amount::from_units(self.filled).expect("fills are small");
        let avg_price = (self.filled > 0).then_some(intent.price);
        let seen = OrderObservation { completed, avg_price, fee: Amount::ZERO, state };
        let (cid, price) = (Some(intent.cid.to_string()), Some(intent.price));
        VenueOrder { order_id, cid, price, quantity: intent.quantity, seen }
    }
}
