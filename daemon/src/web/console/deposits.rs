//! Deposits: the list of them, one with all that is known of it, what may be done to it now, and how it was before.

mod actions;
mod book;
mod facts;
mod list;
mod money;
mod one;
mod orders;
mod read;
mod replay;
mod search;
#[cfg(test)]
mod tests;
mod timeline;
mod told;
mod travel;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::frame::Place;
use crate::web::operator::OperatorState;

/// The pages of deposits.
pub(super) fn pages() -> Router<Arc<OperatorState>> {
    Router::new()
        .route(Place::Deposits.path(), get(list::show))
        .route("/console/deposits/{id}", get(one::show))
        .route("/console/deposits/{id}/replay.jsonl", get(replay::file))
        .route("/console/deposits/{id}/{act}", post(actions::act))
}

/// Where one deposit is shown.
fn path(id: impl std::fmt::Display) -> String {
    format!("{}/{id}", Place::Deposits.path())
}

/// Where an event is shown in the log.
fn in_log(position: millrace_model::ids::Position) -> String {
    format!("{}/{position}", Place::Log.path())
}
