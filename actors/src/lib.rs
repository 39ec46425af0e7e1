//! The only place that performs effects: supervised actors, the event store, and one module an actor.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod buyer;
pub mod clock;
pub mod deposits;
pub mod door;
pub mod event_store;
pub mod exchange;
pub mod market;
pub mod ports;
pub mod projection;
pub mod supervision;
pub mod worker;
