//! A customer's door to be told as a person: by e-mail, in a Telegram chat, on a phone.
//!
//! Whoever registers gets no more than that it was taken: the question goes to the address, and its code comes back here or by the
//! page that the question links to.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use http::StatusCode;
use millrace_actors::delivery::sinks::destination::DestinationError;
use millrace_actors::subscriptions::SubscribeError;
use millrace_actors::subscriptions::people::CONFIRM_WITHIN_S;
use millrace_model::ids::{Hash32, SubscriptionId};
use millrace_protocols::webhook::code::Purpose;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Desk;
use crate::web::extract::Json;
use crate::web::problem::Problem;

/// The one platform whose devices can be told.
const ANDROID: &str = "android";
/// No code is longer.
const CODE_BYTES_MAX: usize = 128;

/// By which way somebody wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Email,
    Telegram,
    Push,
}

/// Who wants to be told of whose deposits, and where.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegistrationWanted {
    /// The SHA-256 of the payout address whose deposits are told, in hexadecimal digits.
    hash: String,
    /// By which way.
    channel: Way,
    /// The mailbox, the chat's number, or the device's registration token.
    address: String,
    /// Of a device: `android`.
    platform: Option<String>,
}

/// That it was taken.
#[derive(Serialize)]
pub(super) struct RegistrationTaken {
    /// For how long the question that was sent can be answered, in seconds.
    confirm_within_s: u64,
}

/// What a question's code says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegistrationAnswer {
    /// Of which subscription.
    subscription: Uuid,
    /// The code.
    code: String,
}

/// Where it stands now.
#[derive(Serialize)]
pub(super) struct RegistrationState {
    /// `confirmed` or `ended`.
    state: &'static str,
}

pub(super) async fn register(
    State(desk): State<Arc<Desk>>,
    Json(wanted): Json<RegistrationWanted>,
) -> Result<(StatusCode, Reply<RegistrationTaken>), Problem> {
    let customer: Hash32 = wanted
        .hash
        .parse()
        .map_err(|_| Problem::bad_request("invalid_hash", "The hash is not 64 hexadecimal digits."))?;
    let address = address(&wanted)?;
    desk.subscriptions.register(customer, address).await.map_err(refused)?;
    Ok((StatusCode::ACCEPTED, Reply(RegistrationTaken { confirm_within_s: CONFIRM_WITHIN_S })))
}

pub(super) async fn confirm(
    State(desk): State<Arc<Desk>>,
    Json(answer): Json<RegistrationAnswer>,
) -> Result<Reply<RegistrationState>, Problem> {
    let RegistrationAnswer { subscription, code } = answer;
    carry_out(&desk, subscription, Purpose::Confirm, code).await?;
    Ok(Reply(RegistrationState { state: "confirmed" }))
}

pub(super) async fn leave(
    State(desk): State<Arc<Desk>>,
    Json(answer): Json<RegistrationAnswer>,
) -> Result<Reply<RegistrationState>, Problem> {
    let RegistrationAnswer { subscription, code } = answer;
    carry_out(&desk, subscription, Purpose::Leave, code).await?;
    Ok(Reply(RegistrationState { state: "ended" }))
}

/// What a code says is done, however often it is said.
pub(super) async fn carry_out(desk: &Desk, id: Uuid, purpose: Purpose, code: String) -> Result<(), Problem> {
    if code.len() > CODE_BYTES_MAX {
        return Err(refused(SubscribeError::WrongCode));
    }
    desk.subscriptions.answer(SubscriptionId(id), purpose, code).await.map(drop).map_err(refused)
}

/// The subscription's address; what it is worth is for the desk to say.
fn address(wanted: &RegistrationWanted) -> Result<String, Problem> {
    let platform = wanted.platform.as_deref();
    let scheme = match (wanted.channel, platform) {
        (Way::Email, None) => "mailto",
        (Way::Telegram, None) => "telegram",
        (Way::Push, Some(ANDROID)) => "fcm",
        (Way::Push, _) => {
            return Err(unsupported("Only devices of the platform \"android\" can be told by push."));
        }
        (Way::Email | Way::Telegram, Some(_)) => return Err(unsupported("Only push has a platform.")),
    };
    Ok(format!("{scheme}:{}", wanted.address.trim()))
}

fn unsupported(sentence: &'static str) -> Problem {
    Problem::unprocessable("unsupported_platform", sentence)
}

fn refused(error: SubscribeError) -> Problem {
    match error {
        SubscribeError::Address(DestinationError::NotConfigured(_) | DestinationError::NotCompiled(_))
        | SubscribeError::NoPublicAddress => {
            Problem::conflict("channel_unavailable", "This desk tells nobody by this way.")
        }
        SubscribeError::Address(error) => {
            Problem::unprocessable("invalid_address", format!("The address is refused: {error}."))
        }
        SubscribeError::Full
        | SubscribeError::CustomerFull
        | SubscribeError::CustomerFails
        | SubscribeError::AddressFull => {
            Problem::conflict("too_many_subscriptions", format!("It is refused: {error}."))
        }
        SubscribeError::WrongCode => Problem::not_found("unknown_code", "The code is unknown, or older than an hour."),
        SubscribeError::Rejected(rule) => Problem::conflict("not_allowed", format!("It is refused: {rule}.")),
        SubscribeError::Busy => Problem::unavailable("busy", "The desk is busy and did nothing; try again.")
            .retry_after(Duration::from_secs(1)),
        // Asking again makes nothing twice.
        error @ (SubscribeError::Unreadable(_)
        | SubscribeError::Keys(_)
        | SubscribeError::Append(_)
        | SubscribeError::Read(_)
        | SubscribeError::Down
        | SubscribeError::Unknown) => {
            tracing::warn!(%error, "a registration could not be carried out");
            Problem::unavailable("desk_unavailable", "The desk cannot do this at the moment; try again.")
        }
    }
}
