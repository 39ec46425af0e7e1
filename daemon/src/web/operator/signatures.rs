//! Whether what somebody received was signed for a webhook, as PayPal's `verify-webhook-signature` says it.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::subscriptions::endpoint::Endpoint;
use millrace_model::ids::SubscriptionId;
use millrace_model::subscription::Dialect;
use millrace_protocols::webhook::verify::{Headers, Refusal};
use serde::{Deserialize, Serialize};

use super::OperatorState;
use super::webhooks::known;
use crate::web::extract::Json;
use crate::web::problem::Problem;

/// What was received: the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, and the body to the byte. Of
/// one in ton.events' way, `x-te-signature` and the body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Received {
    webhook_id: SubscriptionId,
    transmission_id: Option<String>,
    transmission_time: Option<String>,
    transmission_sig: String,
    webhook_event: String,
}

/// Whether it is to be believed.
#[derive(Debug, Serialize)]
pub(super) struct Verification {
    verification_status: &'static str,
    reason: Option<String>,
    /// Also where it is not to be believed for its age.
    signature_matches: bool,
}

pub(super) async fn verify(
    State(state): State<Arc<OperatorState>>,
    Json(received): Json<Received>,
) -> Result<Reply<Verification>, Problem> {
    let known = known(&state, received.webhook_id)?;
    let endpoint = known.endpoint.as_ref().map_err(|why| {
        Problem::unavailable("keys_unavailable", format!("The webhook's secrets cannot be opened: {why}."))
    })?;
    let (found, matches) = match known.subscription.terms.dialect {
        Dialect::Standard => received.standard(endpoint, SystemClock.now()),
        Dialect::TonEvents => {
            let found = endpoint.verify_te(&received.transmission_sig, received.webhook_event.as_bytes());
            (found, found.is_ok())
        }
    };
    Ok(Reply(Verification {
        verification_status: if found.is_ok() { "SUCCESS" } else { "FAILURE" },
        reason: found.err().map(|refusal| refusal.to_string()),
        signature_matches: matches,
    }))
}

impl Received {
    /// What a receiver would find now, and whether the signature is right whenever it was made.
    fn standard(&self, endpoint: &Endpoint, now: DateTime<Utc>) -> (Result<(), Refusal>, bool) {
        let timestamp = self.transmission_time.as_deref().unwrap_or_default();
        let id = self.transmission_id.as_deref().unwrap_or_default();
        let headers = Headers { id, timestamp, signature: &self.transmission_sig };
        let at = |at| endpoint.verify(headers, self.webhook_event.as_bytes(), at);
        let found = at(now);
        let said = timestamp.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let matches = match found {
            Err(Refusal::TooOld | Refusal::TooNew) => said.is_some_and(|said| at(said).is_ok()),
            Ok(()) | Err(Refusal::NoTimestamp | Refusal::NoMatch) => found.is_ok(),
        };
        (found, matches)
    }
}
