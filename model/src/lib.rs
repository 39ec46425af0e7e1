//! What the desk is: money, ids, aggregates (commands → events → state) and the catalogue of events.
//!
//! Pure: no input or output, no clock, no randomness, no async. Ids and time come in with a command.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod address_book;
pub mod alert;
pub mod binding;
pub mod chain;
pub mod comparison;
pub mod damage;
pub mod deposit;
pub mod desk;
pub mod event;
pub mod export;
pub mod head;
mod hexadecimal;
pub mod ids;
pub mod ledger;
pub mod money;
pub mod notification;
pub mod observation;
pub mod operator;
pub mod outflow;
pub mod overview;
pub mod purchase;
pub mod reconciliation;
pub mod redaction;
pub mod redecision;
pub mod replay;
pub mod spend;
pub mod story;
pub mod stray;
pub mod subscription;
#[cfg(test)]
mod testing;
mod upcast;
pub mod wallet;
