//! ton.events' door: a customer subscribes an address to his own deposits, by his hash.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use millrace_actors::subscriptions::SubscribeError;
use millrace_model::ids::Hash32;
use serde::{Deserialize, Serialize};

use super::Desk;
use crate::web::extract::Json;
use crate::web::problem::Problem;

/// Who wants to be told, and where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubscriptionWanted {
    /// The SHA-256 of his payout address, in hexadecimal digits.
    hash: String,
    /// The address to tell, in base64.
    data: String,
}

/// What signs what he is told.
#[derive(Serialize)]
pub(super) struct SubscriptionTaken {
    /// 64 hexadecimal digits.
    secret: String,
}

pub(super) async fn subscribe(
    State(desk): State<Arc<Desk>>,
    Json(wanted): Json<SubscriptionWanted>,
) -> Result<(StatusCode, Reply<SubscriptionTaken>), Problem> {
    let customer: Hash32 = wanted
        .hash
        .parse()
        .map_err(|_| Problem::bad_request("invalid_hash", "The hash is not 64 hexadecimal digits."))?;
    let url = STANDARD.decode(wanted.data.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let url = url.ok_or_else(|| Problem::bad_request("invalid_url", "The data is no address in base64."))?;
    let known = desk.subscriptions.subscribe_customer(customer, url).await.map_err(refused)?;
    let secret = known.endpoint.as_ref().ok().and_then(|endpoint| endpoint.te_secret.clone());
    let secret = secret.ok_or_else(|| unavailable(&"the secret cannot be opened"))?;
    Ok((StatusCode::ACCEPTED, Reply(SubscriptionTaken { secret })))
}

fn refused(error: SubscribeError) -> Problem {
    match error {
        SubscribeError::Address(error) => {
            Problem::bad_request("invalid_url", format!("The address is refused: {error}."))
        }
        SubscribeError::Full | SubscribeError::CustomerFull | SubscribeError::AddressFull => {
            Problem::conflict("too_many_subscriptions", format!("It is refused: {error}."))
        }
        SubscribeError::Busy => Problem::unavailable("busy", "The desk is busy and did nothing; try again.")
            .retry_after(Duration::from_secs(1)),
        // Asking again makes nothing twice.
        error @ (SubscribeError::Rejected(_)
        | SubscribeError::Keys(_)
        | SubscribeError::Append(_)
        | SubscribeError::Read(_)
        | SubscribeError::NoPublicAddress
        | SubscribeError::WrongCode
        | SubscribeError::Down
        | SubscribeError::Unknown) => unavailable(&error),
    }
}

fn unavailable(reason: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(%reason, "a customer's subscription could not be made");
    Problem::unavailable("desk_unavailable", "The desk cannot take subscriptions at the moment; try again.")
}
