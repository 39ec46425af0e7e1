//! Notifications that lead to real brokers, as stock clients receive them there.
//!
//! The engine and its file of attempts are the desk's; the log of notifications is made up.

mod amqp;
mod mqtt;
mod nats;
mod rig;
