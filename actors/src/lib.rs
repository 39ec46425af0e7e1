//! The only place that performs effects: supervised actors, the event store, and one module an actor.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod clock;
pub mod decider;
pub mod deposits;
pub mod door;
pub mod event_store;
pub mod ports;
pub mod sender;
pub mod supervision;
pub mod wallet;
pub mod worker;
