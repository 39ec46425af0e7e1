//! The Skycoin node: addresses, the binary transaction, and its REST interface.
//!
//! Formats as the node's own sources define them, checked against a transaction the real node made and accepted.

pub mod address;
pub mod hash;
pub mod rest;
pub mod transaction;
