//! Delivering notifications to subscribers' endpoints.
//!
//! The schedule is [`millrace_protocols::delivery`]; here are its effects. [`engine`] owns the scheduler and drives it;
//! [`sinks`] are where notifications lead, webhooks the first among them; [`client`] makes their connections, and only to addresses that [`address`] allows; [`attempts`] is the file with every
//! subscription's cursor and a row for every attempt. Before something is sent its claim is in that file, so whatever ends the
//! process, each attempt has exactly one row: its outcome, or that nothing is known of it.

pub mod address;
pub mod attempts;
pub mod client;
pub mod endpoint;
pub mod engine;
pub mod figures;
mod link;
pub mod shelf;
#[cfg(test)]
mod sink;
pub mod sinks;
pub(crate) mod tls;
