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

/// What a part can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Order {
    /// Begin; a back-off ends, and what failed is forgotten.
    Start,
    /// End in order, and stay so.
    Stop,
    /// End in order and begin anew.
    Restart,
}

impl Order {
    pub(in crate::web) const ALL: [Self; 3] = [Self::Start, Self::Stop, Self::Restart];

    /// The word in paths.
    pub(in crate::web) const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }

    /// The order of this word.
    pub(in crate::web) fn named(word: &str) -> Result<Self, Problem> {
        let unknown = || Problem::not_found("not_found", "Parts are started, stopped and restarted.");
        Self::ALL.into_iter().find(|order| order.word() == word).ok_or_else(unknown)
    }
}

pub(super) async fn start(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    order(&state, &name, Order::Start).await.map(Reply)
}

pub(super) async fn stop(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    order(&state, &name, Order::Stop).await.map(Reply)
}

pub(super) async fn restart(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    order(&state, &name, Order::Restart).await.map(Reply)
}

/// Carries out an order and says how the part is then.
pub(in crate::web) async fn order(state: &OperatorState, name: &str, order: Order) -> Result<PartHealth, Problem> {
    match order {
        Order::Start => carried_out(state, name, order.word(), state.tree.start(name)).await,
        Order::Stop => carried_out(state, name, order.word(), state.tree.stop(name)).await,
        Order::Restart => carried_out(state, name, order.word(), state.tree.restart(name)).await,
    }
}

/// Only in the sandbox.
pub(super) async fn panic(
    State(state): State<Arc<OperatorState>>,
    Path(name): Path<String>,
) -> Result<Reply<PartHealth>, Problem> {
    carried_out(&state, &name, "panic", state.tree.panic(&name)).await.map(Reply)
}

async fn carried_out(
    state: &OperatorState,
    name: &str,
    order: &'static str,
    outcome: impl Future<Output = Result<(), TreeError>>,
) -> Result<PartHealth, Problem> {
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
    state.tree.health().part(name).ok_or_else(unknown_part)
}

fn unknown_part() -> Problem {
    Problem::not_found("unknown_part", "There is no part of this name.")
}
