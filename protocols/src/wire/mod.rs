//! Requests and answers of the nodes and exchanges, as plain values.

pub mod bitcoind;
pub mod c2cx;
pub mod skycoin;
