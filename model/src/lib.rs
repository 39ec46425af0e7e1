//! What the desk is: money, ids, aggregates (commands → events → state) and the catalogue of events.
//!
//! Pure: no input or output, no clock, no randomness, no async. Ids and time come in with a command's context.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod money;
pub mod purchase;
