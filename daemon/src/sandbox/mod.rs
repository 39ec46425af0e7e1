//! The sandbox: loopback servers that speak the real protocols of a Bitcoin node, a Skycoin node and an exchange.

pub mod bitcoin_node;
pub mod clock;
pub mod faults;
pub mod c2cx_venue;
pub mod journal;
pub mod listener;
pub mod skycoin_node;
