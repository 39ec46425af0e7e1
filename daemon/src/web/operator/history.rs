//! Everybody's history in the bridge's shape, and all that anybody can be told.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::response::Response;
use millrace_model::notification::Audience;

use super::OperatorState;
use crate::web::event_types::{self, EventType, EventTypes};
use crate::web::extract::{Path, Query};
use crate::web::history::{self, Wanted};
use crate::web::problem::Problem;

pub(super) async fn show(
    State(state): State<Arc<OperatorState>>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    history::answer(&state.views, ("/operator/v1/history", &wanted), &|_| None).await
}

pub(super) async fn event_types() -> Reply<EventTypes> {
    Reply(event_types::all(Audience::Operator))
}

pub(super) async fn event_type(Path(name): Path<String>) -> Result<Reply<EventType>, Problem> {
    event_types::one(Audience::Operator, &name).map(Reply)
}
