//! The sandbox: loopback servers that speak the real protocols of a Bitcoin node, a Skycoin node and an exchange.

pub mod c2cx_venue;
pub mod journal;
