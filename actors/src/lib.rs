//! The only place that performs effects: supervised actors, the event store, and one module an actor.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod clock;
pub mod deposits;
pub mod door;
pub mod event_store;
pub mod operations;
pub mod ports;
pub mod projection;
pub mod supervision;
pub mod worker;
