//! The only place that performs effects: supervised actors, the event store, and one module an actor.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod alerts;
pub mod auditor;
pub mod background;
pub mod binder;
pub mod bitcoin_node;
pub mod brakes;
pub mod buyer;
pub mod canary;
pub mod clock;
pub mod customer_keys;
pub mod decider;
pub mod delivery;
pub mod deposits;
pub mod door;
pub mod event_store;
pub mod exchange;
pub mod export;
pub mod finality;
pub mod head_file;
pub mod http;
pub mod ids;
pub mod import;
pub mod job;
pub mod market;
pub mod moments;
pub mod operations;
pub mod past;
pub mod ports;
pub mod projection;
pub mod proof;
pub mod reconciler;
pub mod redecision;
pub mod relay;
pub mod scanner;
pub mod sealer;
pub mod sender;
pub mod skycoin_node;
pub mod stations;
pub mod stock;
pub mod subscriptions;
pub mod supervision;
pub mod wallet;
pub mod worker;
