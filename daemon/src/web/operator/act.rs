//! What may be done to a deposit. Every action carries a note; what it came to is in the answer and in the log.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use millrace_actors::deposits::Tracked;
use millrace_actors::operations::{Note, OperateError, Operated};
use millrace_model::ids::{DepositId, Hash32, Position, Version};
use millrace_model::operator::By;
use serde::{Deserialize, Serialize};

use super::OperatorState;
use super::deposits::unknown_deposit;
use crate::web::extract::{Json, Path};
use crate::web::problem::Problem;

/// How long an answer waits for the views to show what was done.
const CAUGHT_UP_WITHIN: Duration = Duration::from_millis(500);

/// Why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Why {
    pub(in crate::web) note: String,
}

/// Why, and which transaction paid it back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refunded {
    note: String,
    txid: String,
}

/// Where a deposit stands after an action.
#[derive(Debug, Serialize)]
pub(super) struct Stands {
    id: DepositId,
    status: &'static str,
    version: Version,
    position: Position,
}

type Answer = Result<Reply<Stands>, Problem>;

pub(super) async fn hold(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<DepositId>,
    Json(why): Json<Why>,
) -> Answer {
    let done = state.operations()?.hold(id, note(&why.note)?, By::Token).await;
    stands(&state, done).await
}

pub(super) async fn release(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<DepositId>,
    Json(why): Json<Why>,
) -> Answer {
    let done = state.operations()?.release(id, note(&why.note)?, By::Token).await;
    stands(&state, done).await
}

pub(super) async fn refund_due(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<DepositId>,
    Json(why): Json<Why>,
) -> Answer {
    let done = state.operations()?.mark_refund_due(id, note(&why.note)?, By::Token).await;
    stands(&state, done).await
}

pub(super) async fn refunded(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<DepositId>,
    Json(how): Json<Refunded>,
) -> Answer {
    let done = state.operations()?.mark_refunded(id, txid(&how.txid)?, note(&how.note)?, By::Token).await;
    stands(&state, done).await
}

async fn stands(state: &OperatorState, done: Operated) -> Answer {
    let tracked = shown(state, done).await?;
    Ok(Reply(Stands {
        id: tracked.deposit.receipt.id,
        status: tracked.deposit.stage.name().as_str(),
        version: tracked.version,
        position: tracked.position,
    }))
}

/// The deposit as an action left it, once the views show it or soon will.
pub(in crate::web) async fn shown(state: &OperatorState, done: Operated) -> Result<Arc<Tracked>, Problem> {
    let tracked = done.map_err(refused)?;
    state.views.caught_up(tracked.position, CAUGHT_UP_WITHIN).await;
    Ok(tracked)
}

/// A transaction as somebody names it.
pub(in crate::web) fn txid(text: &str) -> Result<Hash32, Problem> {
    let wrong = "A txid is the transaction's 64 hexadecimal digits.";
    text.parse().map_err(|_| Problem::unprocessable("invalid_txid", wrong))
}

pub(in crate::web) fn note(text: &str) -> Result<Note, Problem> {
    Note::new(text).map_err(|error| Problem::unprocessable("invalid_note", format!("The note is refused: {error}.")))
}

pub(in crate::web) fn refused(error: OperateError) -> Problem {
    match error {
        OperateError::NoSuchDeposit(_) => unknown_deposit(),
        OperateError::Unreadable(why) => {
            Problem::conflict("unreadable_deposit", format!("It cannot be known where this deposit stands: {why}."))
        }
        OperateError::Rejected(rule) => {
            Problem::conflict("not_allowed", format!("The desk's rules forbid it: {rule}."))
        }
        OperateError::MovedOn { seen, version } => {
            let message = format!(
                "It has moved on: you saw it after {seen} events, and it has {version} by now. Nothing was done; look again."
            );
            Problem::conflict("not_allowed", message)
        }
        OperateError::NotSealed(why) => {
            tracing::warn!(%why, "an operator's note could not be sealed");
            let message = format!("The note cannot be sealed, so the desk did nothing: {why}.");
            Problem::unavailable("note_not_sealed", message)
        }
        OperateError::Busy => Problem::unavailable("busy", "The desk is busy and did nothing; try again.")
            .retry_after(Duration::from_secs(1)),
        OperateError::Unavailable(reason) => {
            tracing::warn!(%reason, "an operator's request could not be carried out");
            desk_unavailable()
        }
        OperateError::Unknown => Problem::unavailable(
            "outcome_unknown",
            "No answer in time: it may have been done. Look before asking again.",
        ),
    }
}

pub(in crate::web) fn desk_unavailable() -> Problem {
    Problem::unavailable("desk_unavailable", "The desk cannot do this at the moment and did nothing; try again.")
}
