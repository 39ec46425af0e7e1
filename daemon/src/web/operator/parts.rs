//! The parts of the desk and their groups: their health, and stop, start and restart by name.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use millrace_actors::operations::Note;
use millrace_actors::supervision::{PartHealth, Tree, TreeError};
use millrace_model::operator::{Action, By};
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
    order(&state, By::Token, Action::StartPart, &name, None).await.map(Reply)
}

pub(super) async fn stop(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    order(&state, By::Token, Action::StopPart, &name, None).await.map(Reply)
}

pub(super) async fn restart(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    order(&state, By::Token, Action::RestartPart, &name, None).await.map(Reply)
}

/// Only in the sandbox.
pub(super) async fn panic(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    order(&state, By::Token, Action::BreakPart, &name, None).await.map(Reply)
}

/// Starts, stops, restarts or breaks a part, and tells how it is then. Whoever asked for it is in the log before.
pub(in crate::web) async fn order(
    state: &OperatorState,
    by: By,
    action: Action,
    name: &str,
    note: Option<&Note>,
) -> Result<PartHealth, Problem> {
    state.tree.health().part(name).ok_or_else(unknown_part)?;
    state.acting(by, action, Some(name), note).await;
    match tokio::time::timeout(ORDER_WITHIN, carry_out(&state.tree, action, name)).await {
        Ok(Ok(())) => tracing::info!(part = name, order = action.as_str(), "an operator's order was carried out"),
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
    state.tree.health().part(name).ok_or_else(unknown_part)
}

async fn carry_out(tree: &Tree, action: Action, name: &str) -> Result<(), TreeError> {
    match action {
        Action::StartPart => tree.start(name).await,
        Action::StopPart => tree.stop(name).await,
        Action::BreakPart => tree.panic(name).await,
        _ => tree.restart(name).await,
    }
}

fn unknown_part() -> Problem {
    Problem::not_found("unknown_part", "There is no part of this name.")
}
