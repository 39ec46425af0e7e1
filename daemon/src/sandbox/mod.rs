//! The sandbox: loopback servers that speak the real protocols of a Bitcoin node, a Skycoin node and an exchange,
//! and a receiver of webhooks.
//!
//! A process of its own ([`process`]) with its chains, wallets, orders and books on disk. The desk finds or starts it
//! ([`find`]); a person steers it from the command line ([`cli`]), a test through its control API ([`control`]) or from
//! inside the same process. Faults are switched on at the wire ([`faults`]), so that the desk meets them as it would
//! meet them outside.

pub mod bitcoin_node;
pub mod c2cx_venue;
pub mod cli;
pub mod client;
pub mod clock;
pub mod control;
pub mod faults;
pub mod find;
pub mod info;
pub mod journal;
pub mod listener;
pub mod ports;
pub mod process;
pub mod receiver;
pub mod secrets;
pub mod skycoin_node;
