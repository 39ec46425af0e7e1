//! A deposit as it was: after a version of its stream, or at a time.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use millrace_model::ids::{DepositId, Position, Version};
use millrace_model::replay::{Moment, NoMoment, Until, moment};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::OperatorState;
use super::deposits::unknown_deposit;
use crate::web::extract::{Path, Query};
use crate::web::problem::Problem;

/// Which moment; where both are given, whichever comes first, and without any the newest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    version: Option<Version>,
    at: Option<DateTime<Utc>>,
}

/// The deposit at that moment.
#[derive(Debug, Serialize)]
pub(super) struct DepositState {
    id: DepositId,
    /// The last version that counts.
    version: Version,
    position: Position,
    recorded_at: DateTime<Utc>,
    state: Value,
}

pub(super) async fn show(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<DepositId>,
    Query(wanted): Query<Wanted>,
) -> Result<Reply<DepositState>, Problem> {
    let events = state.story(id).await?;
    let until = Until { version: wanted.version, at: wanted.at.map(Until::time) };
    let Moment { version, position, recorded_at, state } = moment(&events, until).map_err(refused)?;
    Ok(Reply(DepositState { id, version, position, recorded_at, state: state.to_json() }))
}

/// Why there is no such moment, for a person.
pub(in crate::web) fn refused(why: NoMoment) -> Problem {
    match why {
        NoMoment::NoStream => unknown_deposit(),
        NoMoment::NotYet { .. } | NoMoment::NoVersion { .. } => {
            Problem::not_found("unknown_moment", format!("The deposit has no such moment: {why}."))
        }
        NoMoment::Stuck { .. } => {
            Problem::conflict("unreadable_deposit", format!("It cannot be known where this deposit stood: {why}."))
        }
    }
}
