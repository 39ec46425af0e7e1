//! The parts of the desk and their groups: their health, and stop, start and restart by name.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use millrace_actors::supervision::{PartHealth, TreeError};
use serde::Serialize;

use super::OperatorState;
use crate::web::extract::Path;
use crate::web::problem::Problem;

/// A part ends within its grace; one that does not is blocked.
const ORDER_WITHIN: Duration = Duration::from_secs(10);

/// The parts in the order in which they start.
#[derive(Debug, Serialize)]
pub(super) struct Parts {
    parts: Vec<PartHealth>,
}

pub(super) async fn list(State(state): State<Arc<OperatorState>>) -> Reply<Parts> {
    Reply(Parts { parts: state.tree.health().snapshot() })
}

pub(super) async fn start(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    carried_out(&state, &name, "start", state.tree.start(&name)).await
}

pub(super) async fn stop(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    carried_out(&state, &name, "stop", state.tree.stop(&name)).await
}

pub(super) async fn restart(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    carried_out(&state, &name, "restart", state.tree.restart(&name)).await
}

/// Only in the sandbox.
pub(super) async fn panic(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    carried_out(&state, &name, "panic", state.tree.panic(&name)).await
}

async fn carried_out(
    state: &OperatorState,
    name: &str,
    order: &'static str,
    outcome: impl Future<Output = Result<(), TreeError>>,
) -> Result<Reply<PartHealth>, Problem> {
    match tokio::time::timeout(ORDER_WITHIN, outcome).await {
        Ok(Ok(())) => tracing::info!(part = name, order, "an operator's order was carried out"),
        Ok(Err(TreeError::NoSuchPart(_))) => return Err(unknown_part()),
        Ok(Err(error @ (TreeError::Ended(_) | TreeError::NameTaken(_)))) => {
            return Err(Problem::conflict("part_ended", format!("It cannot be done: {error}.")));
        }
        Ok(Err(TreeError::NotRunning(_))) => {
            return Err(Problem::conflict("part_not_running", "The part is not running."));
        }
        Err(_) => {
            return Err(Problem::unavailable(
                "outcome_unknown",
                "The part did not obey in time; it may yet. Look before asking again.",
            ));
        }
    }
    state.tree.health().part(name).map(Reply).ok_or_else(unknown_part)
}

fn unknown_part() -> Problem {
    Problem::not_found("unknown_part", "There is no part of this name.")
}
