//! ton.events' door: a customer subscribes an address to his own deposits, by his hash, and ends that by signing with the
//! secret.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::subscriptions::{Signed, SubscribeError};
use millrace_model::ids::Hash32;
use millrace_model::subscription::{Command, Ending, Rejection};
use serde::{Deserialize, Serialize};

use super::Desk;
use crate::web::extract::Json;
use crate::web::problem::Problem;
use crate::web::whole::Whole;

/// How far the time of a signature may be from the desk's, in seconds.
const SIGNED_WITHIN_S: u64 = 300;

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

/// Who wants to be told no more, and where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubscriptionUnwanted {
    /// As it was subscribed.
    hash: String,
    /// As it was subscribed.
    data: String,
    /// When it was signed, in seconds since 1970.
    at: Whole,
    /// The `x-te-signature` of `unsubscribe HASH DATA AT`.
    signature: String,
}

pub(super) async fn subscribe(
    State(desk): State<Arc<Desk>>,
    Json(wanted): Json<SubscriptionWanted>,
) -> Result<(StatusCode, Reply<SubscriptionTaken>), Problem> {
    let (customer, url) = named(&wanted.hash, &wanted.data)?;
    let known = desk.subscriptions.subscribe_customer(customer, url).await.map_err(refused)?;
    let secret = known.endpoint.as_ref().ok().and_then(|endpoint| endpoint.te_secret.clone());
    let secret = secret.ok_or_else(|| unavailable(&"the secret cannot be opened"))?;
    Ok((StatusCode::ACCEPTED, Reply(SubscriptionTaken { secret })))
}

/// Whether there is such a subscription is told to nobody who cannot sign for it.
pub(super) async fn unsubscribe(
    State(desk): State<Arc<Desk>>,
    Json(unwanted): Json<SubscriptionUnwanted>,
) -> Result<StatusCode, Problem> {
    let SubscriptionUnwanted { hash, data, at: Whole(at), signature } = unwanted;
    let (customer, url) = named(&hash, &data)?;
    let now = u64::try_from(SystemClock.now().timestamp()).unwrap_or(0);
    if now.abs_diff(at) > SIGNED_WITHIN_S {
        let message = format!("It was signed for another time: {at} is more than {SIGNED_WITHIN_S} s from {now}.");
        return Err(Problem::unprocessable("stale_signature", message));
    }
    if desk.subscriptions.list().is_none() {
        return Err(unavailable(&"subscriptions were not read yet"));
    }
    let text = format!("unsubscribe {hash} {data} {at}");
    let signed = Signed { text: &text, signature: &signature };
    let id = desk.subscriptions.signed_by(customer, &url, signed).ok_or_else(not_proved)?;
    match desk.subscriptions.execute(id, Command::Unsubscribe { why: Ending::Wanted }).await {
        Ok(_) | Err(SubscribeError::Rejected(Rejection::Over)) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(refused(error)),
    }
}

fn not_proved() -> Problem {
    let message = "There is no such subscription, or the signature is not one with its secret.";
    Problem::new(StatusCode::FORBIDDEN, "not_proved", message)
}

/// The customer and the address that a request names.
fn named(hash: &str, data: &str) -> Result<(Hash32, String), Problem> {
    let customer =
        hash.parse().map_err(|_| Problem::bad_request("invalid_hash", "The hash is not 64 hexadecimal digits."))?;
    let url = STANDARD.decode(data.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let url = url.ok_or_else(|| Problem::bad_request("invalid_url", "The data is no address in base64."))?;
    Ok((customer, url))
}

fn refused(error: SubscribeError) -> Problem {
    match error {
        SubscribeError::Address(error) => {
            Problem::bad_request("invalid_url", format!("The address is refused: {error}."))
        }
        SubscribeError::Full
        | SubscribeError::CustomerFull
        | SubscribeError::CustomerFails
        | SubscribeError::AddressFull => {
            Problem::conflict("too_many_subscriptions", format!("It is refused: {error}."))
        }
        SubscribeError::Busy => Problem::unavailable("busy", "The desk is busy and did nothing; try again.")
            .retry_after(Duration::from_secs(1)),
        // Asking again makes nothing twice.
        error @ (SubscribeError::Rejected(_)
        | SubscribeError::Keys(_)
        | SubscribeError::Unreadable(_)
        | SubscribeError::Append(_)
        | SubscribeError::Read(_)
        | SubscribeError::NoPublicAddress
        | SubscribeError::WrongCode
        | SubscribeError::Down
        | SubscribeError::Unknown) => unavailable(&error),
    }
}

fn unavailable(reason: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(%reason, "a customer's subscription could not be made or ended");
    Problem::unavailable("desk_unavailable", "The desk cannot take or end subscriptions at the moment; try again.")
}
