//! The orders that one deposit was spent with, and what they came to.

use millrace_model::deposit;
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::Position;
use millrace_model::purchase::{OrderIntent, OrderObservation};

/// An order and all that was heard of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    /// The event that intended it.
    pub(super) position: Position,
    pub(super) intent: OrderIntent,
    /// The exchange's number for it, once it has one.
    pub(super) order_id: Option<u64>,
    /// Why the exchange refused it.
    pub(super) refused: Option<String>,
    /// Whether we asked for its end.
    pub(super) is_cancel_asked: bool,
    /// What was heard last.
    pub(super) seen: Option<OrderObservation>,
    /// How often something was heard.
    pub(super) observations: usize,
}

impl Order {
    fn new(position: Position, intent: OrderIntent) -> Self {
        let (order_id, refused, seen) = (None, None, None);
        Self { position, intent, order_id, refused, is_cancel_asked: false, seen, observations: 0 }
    }

    /// Where it is, in a word or two.
    pub(super) fn stands(&self) -> String {
        match (&self.refused, &self.seen, self.order_id) {
            (Some(_), _, _) => "refused".to_owned(),
            (None, Some(seen), _) => format!("{:?}", seen.state).to_lowercase(),
            (None, None, Some(_)) => "placed".to_owned(),
            (None, None, None) => "intended".to_owned(),
        }
    }
}

/// The orders in a deposit's events, oldest first.
pub(super) fn orders(events: &[Recorded]) -> Vec<Order> {
    let mut orders: Vec<Order> = Vec::new();
    for recorded in events {
        let Event::Deposit(event) = &recorded.event else { break };
        if let deposit::Event::OrderIntended(intended) = event {
            orders.push(Order::new(recorded.position, intended.order.clone()));
        }
        // All others are of the order that is open, which is the last.
        let Some(order) = orders.last_mut() else { continue };
        match event {
            deposit::Event::OrderPlaced(placed) => order.order_id = Some(placed.order_id),
            deposit::Event::OrderRefused(refused) => order.refused = Some(refused.reason.clone()),
            deposit::Event::OrderCancelIntended(_) => order.is_cancel_asked = true,
            deposit::Event::OrderObserved(observed) => {
                order.seen = Some(observed.observation.clone());
                order.observations += 1;
            }
            _ => {}
        }
    }
    orders
}
