//! Forgetting a customer.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::customer_keys::{Forgot, KeysError, Subject};
use millrace_model::operator::{Action, By};
use serde::Serialize;

use super::OperatorState;
use crate::web::extract::Path;
use crate::web::problem::Problem;

/// Who is forgotten, and since when.
#[derive(Debug, Serialize)]
pub(super) struct Forgotten {
    customer: String,
    at: DateTime<Utc>,
    /// Whether it was this request that did it.
    now: bool,
}

pub(super) async fn forget(
    State(state): State<Arc<OperatorState>>,
    Path(customer): Path<String>,
) -> Result<Reply<Forgotten>, Problem> {
    let subject: Subject =
        customer.parse().map_err(|error| Problem::bad_request("invalid_customer", format!("No, {error}.")))?;
    // Whom, is nobody's to find there.
    state.acting(By::Token, Action::ForgetCustomer, None, None).await;
    let (keys, whom, now) = (state.operations.keys().clone(), subject.clone(), SystemClock.now());
    let forgot = tokio::task::spawn_blocking(move || keys.forget(&whom, now)).await.map_err(Problem::internal)?;
    let answer = |at, now| Reply(Forgotten { customer: subject.to_string(), at, now });
    match forgot.map_err(unusable)? {
        Forgot::Now(at) => {
            // Whom, is nobody's to find in lines that cannot be taken back.
            tracing::info!("a customer was forgotten: his key is destroyed");
            Ok(answer(at, true))
        }
        Forgot::Before(at) => Ok(answer(at, false)),
        Forgot::NoFile => Err(Problem::unavailable(
            "keys_unavailable",
            "There is no file with customers' keys; if there ever was one, put its backup in its place.",
        )),
        Forgot::Nothing => Err(Problem::not_found("nothing_sealed", "Nothing was ever sealed for this customer.")),
    }
}

fn unusable(error: KeysError) -> Problem {
    tracing::warn!(%error, "the customers' keys cannot be used");
    Problem::unavailable("keys_unavailable", "The customers' keys cannot be used, and nobody was forgotten; try again.")
}
