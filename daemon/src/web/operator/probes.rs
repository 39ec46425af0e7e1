//! What probes ask: whether the process lives, and whether it is of use.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State as Shared;
use http::StatusCode;
use millrace_actors::event_store::Store;
use millrace_actors::projection::Projection;
use millrace_actors::supervision::State;
use millrace_model::ids::Position;
use serde::Serialize;

use super::OperatorState;

/// So far behind the views are still of use; a busy desk is never quite at the head.
const LAG_EVENTS_MAX: u64 = 10_000;

/// Whether the desk is of use.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    status: &'static str,
    log: &'static str,
    head: Position,
    views: Position,
    lag: Vec<Lag>,
}

/// How far a projection is behind the log.
#[derive(Debug, Serialize)]
pub(super) struct Lag {
    projection: Projection,
    events: u64,
    is_rebuilt: bool,
}

pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// 200 when the log is open, its part runs and the views are near its head; 503 otherwise.
pub(super) async fn ready(Shared(state): Shared<Arc<OperatorState>>) -> (StatusCode, Reply<Readiness>) {
    let runs = state.tree.health().part(Store::PART).is_some_and(|part| part.state == State::Running);
    let open = state.store.is_ready() && runs;
    let (views, head) = (state.views.position(), state.store.head());
    let near = head.saturating_sub(views) <= LAG_EVENTS_MAX;
    let (code, status) = match (open, near) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "the log is not open"),
        (true, false) => (StatusCode::SERVICE_UNAVAILABLE, "the views are behind the log"),
        (true, true) => (StatusCode::OK, "ready"),
    };
    let lag = state.views.projections(head).into_iter().map(|of| Lag {
        projection: of.name,
        events: of.lag,
        is_rebuilt: of.rebuild.is_some(),
    });
    let lag = lag.collect();
    (code, Reply(Readiness { status, log: if open { "open" } else { "not open" }, head, views, lag }))
}
