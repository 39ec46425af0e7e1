//! Requests and answers of the nodes, exchanges and messengers, as plain values.

pub mod bitcoind;
pub mod c2cx;
pub mod fcm;
pub mod skycoin;
pub mod telegram;
