//! The sandbox: loopback servers that speak the real protocols of a Bitcoin node, a Skycoin node and an exchange.

pub mod clock;
pub mod bitcoin_node;
pub mod journal;
pub mod skycoin_node;
