//! The only place that performs effects: supervised actors, the event store, and one module an actor.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod binder;
pub mod bitcoin_node;
pub mod clock;
pub mod deposits;
pub mod door;
pub mod event_store;
pub mod http;
pub mod ports;
pub mod scanner;
pub mod supervision;
pub mod worker;
