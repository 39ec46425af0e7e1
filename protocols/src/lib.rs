//! Conversations as IO-free state machines, and wire formats as pure encode and decode.
//!
//! Nothing here opens a socket, sleeps or asks the time: time and answers come in as arguments, requests go out as values.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod alerting;
pub mod book;
pub mod chain_watch;
pub mod challenge;
pub mod delivery;
pub mod payout;
pub mod purchase;
pub mod receive;
pub mod relay;
pub mod webhook;
pub mod wire;
pub mod words;
