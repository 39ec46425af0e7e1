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

/// What a part is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Order {
    /// To run, whatever failed before.
    Start,
    /// To end, and to stay so until it is started.
    Stop,
    /// To end and to begin anew.
    Restart,
    /// To fail, in the sandbox.
    Break,
}

impl Order {
    /// As the log has it.
    pub(in crate::web) const fn action(self) -> Action {
        match self {
            Self::Start => Action::StartPart,
            Self::Stop => Action::StopPart,
            Self::Restart => Action::RestartPart,
            Self::Break => Action::BreakPart,
        }
    }
}

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
    order(&state, By::Token, Order::Start, &name, None).await.map(Reply)
}

pub(super) async fn stop(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    order(&state, By::Token, Order::Stop, &name, None).await.map(Reply)
}

pub(super) async fn restart(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    order(&state, By::Token, Order::Restart, &name, None).await.map(Reply)
}

/// Only in the sandbox.
pub(super) async fn panic(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    order(&state, By::Token, Order::Break, &name, None).await.map(Reply)
}

/// Starts, stops, restarts or breaks a part, and tells how it is then. Whoever asked for it is in the log before.
pub(in crate::web) async fn order(
    state: &OperatorState,
    by: By,
    order: Order,
    name: &str,
    note: Option<&Note>,
) -> Result<PartHealth, Problem> {
    state.tree.health().part(name).ok_or_else(unknown_part)?;
    state.acting(by, order.action(), Some(name), note).await;
    match tokio::time::timeout(ORDER_WITHIN, carry_out(&state.tree, order, name)).await {
        Ok(Ok(())) => {
            tracing::info!(part = name, order = order.action().as_str(), "an operator's order was carried out")
        }
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

async fn carry_out(tree: &Tree, order: Order, name: &str) -> Result<(), TreeError> {
    match order {
        Order::Start => tree.start(name).await,
        Order::Stop => tree.stop(name).await,
        Order::Break => tree.panic(name).await,
        Order::Restart => tree.restart(name).await,
    }
}

fn unknown_part() -> Problem {
    Problem::not_found("unknown_part", "There is no part of this name.")
}
