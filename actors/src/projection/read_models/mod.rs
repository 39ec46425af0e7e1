//! The read models: what is kept of the log for pages and APIs, each with its table, its version and its fold.

pub(super) mod addresses;
pub(super) mod deposits;
mod documents;
pub(super) mod ledger;
pub(super) mod names;
pub(super) mod notifications;
pub(super) mod pace;
mod pieces;
pub(super) mod statistics;
