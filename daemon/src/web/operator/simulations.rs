//! Examples sent to a receiver to try it out, as PayPal's `simulate-event` does.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use http::StatusCode;
use millrace_actors::delivery::attempts::class;
use millrace_actors::operations::Note;
use millrace_actors::subscriptions::simulation::{Receiver, SimulateError, Simulation as Sent};
use millrace_model::ids::SubscriptionId;
use millrace_model::notification::{EVENT_VERSION, NotificationType};
use millrace_model::operator::{Action, By};
use millrace_protocols::delivery::verdict::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::OperatorState;
use super::webhooks::{Link, known};
use crate::web::extract::Json;
use crate::web::problem::Problem;

/// What is sent to whom: to a webhook or to an address, not both.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Simulation {
    pub(in crate::web) webhook_id: Option<SubscriptionId>,
    pub(in crate::web) url: Option<String>,
    pub(in crate::web) event_type: String,
    pub(in crate::web) resource_version: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(in crate::web) struct Simulated {
    pub(in crate::web) id: Uuid,
    pub(in crate::web) webhook_id: Option<SubscriptionId>,
    pub(in crate::web) url: String,
    pub(in crate::web) event_type: NotificationType,
    pub(in crate::web) outcome: &'static str,
    pub(in crate::web) status: Option<u16>,
    pub(in crate::web) answer: Option<String>,
    pub(in crate::web) error: Option<String>,
    pub(in crate::web) took_us: u64,
    /// Never: the file of attempts is of the log's notifications.
    pub(in crate::web) recorded: bool,
    pub(in crate::web) event: Value,
    pub(in crate::web) links: Vec<Link>,
}

pub(in crate::web) async fn send(
    State(state): State<Arc<OperatorState>>,
    Json(wanted): Json<Simulation>,
) -> Result<(StatusCode, Reply<Simulated>), Problem> {
    simulate(&state, wanted, (By::Token, None)).await.map(|sent| (StatusCode::ACCEPTED, Reply(sent)))
}

/// Sends an example for this operator, who may have said why.
pub(in crate::web) async fn simulate(
    state: &OperatorState,
    wanted: Simulation,
    (by, why): (By, Option<Note>),
) -> Result<Simulated, Problem> {
    let kind = NotificationType::parse(&wanted.event_type)
        .ok_or_else(|| Problem::unprocessable("unknown_event_type", "There is no notification of this type."))?;
    if wanted.resource_version.is_some_and(|version| version != EVENT_VERSION) {
        return Err(invalid(format!("The only version of what is sent is {EVENT_VERSION}.")));
    }
    let receiver = match (wanted.webhook_id, wanted.url) {
        (Some(id), None) => Receiver::Of(known(state, id)?),
        (None, Some(url)) => Receiver::At(url),
        (Some(_), Some(_)) | (None, None) => {
            return Err(invalid("It is sent either to a webhook or to an address.".to_owned()));
        }
    };
    let to = wanted.webhook_id.map(|id| id.to_string());
    state.acting(by, Action::SimulateNotification, to.as_deref(), why.as_ref()).await;
    let sent = state.simulator.send(kind, &receiver).await.map_err(refused)?;
    Simulated::of(sent, kind, wanted.webhook_id)
}

fn invalid(message: String) -> Problem {
    Problem::unprocessable("invalid_simulation", message)
}

fn refused(error: SimulateError) -> Problem {
    match error {
        SimulateError::Address(error) => {
            Problem::unprocessable("invalid_url", format!("The address is refused: {error}."))
        }
        SimulateError::NotProved => Problem::conflict("not_proved", format!("Nothing is sent to it: {error}.")),
        SimulateError::NotOpen(why) => {
            Problem::unavailable("keys_unavailable", format!("Nobody knows where it leads: {why}."))
        }
        SimulateError::Busy => Problem::unavailable("busy", "Others are being sent at the moment; try again.")
            .retry_after(Duration::from_secs(1)),
    }
}

impl Simulated {
    fn of(sent: Sent, kind: NotificationType, webhook_id: Option<SubscriptionId>) -> Result<Self, Problem> {
        let Sent { id, body, url, ended } = sent;
        let status = match ended.outcome {
            Outcome::Answered { status, .. } => Some(status),
            Outcome::Accepted | Outcome::Refused(_) | Outcome::Failed(_) => None,
        };
        let href = |id| format!("/operator/v1/notifications/webhooks/{id}");
        Ok(Self {
            id,
            webhook_id,
            url,
            event_type: kind,
            outcome: class(ended.outcome),
            status,
            answer: (!ended.answer.is_empty()).then(|| String::from_utf8_lossy(&ended.answer).into_owned()),
            error: ended.error,
            took_us: u64::try_from(ended.took.as_micros()).unwrap_or(u64::MAX),
            recorded: false,
            event: serde_json::from_str(&body).map_err(Problem::internal)?,
            links: webhook_id.into_iter().map(|id| Link::new(href(id), "webhook", "GET")).collect(),
        })
    }
}
