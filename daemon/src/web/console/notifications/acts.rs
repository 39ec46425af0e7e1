//! What operators do about a receiver.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::html;
use millrace_model::ids::{Position, SubscriptionId};
use millrace_model::subscription::{Command, Ending};
use serde::Deserialize;
use uuid::Uuid;

use super::attempts::SeenOn;
use super::one;
use crate::web::console::act::done;
use crate::web::console::bare::bare;
use crate::web::console::frame::Place;
use crate::web::extract::Path;
use crate::web::operator::act::Why;
use crate::web::operator::simulations::{self, Simulation};
use crate::web::operator::webhooks::{ordered, told_again};
use crate::web::operator::webhooks_events;
use crate::web::operator::{OperatorState, note};
use crate::web::problem::Problem;
use crate::web::session::Submitted;

type Desk = State<Arc<OperatorState>>;

/// After which position of the log everything is told again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web::console) struct Again {
    after: Position,
    note: String,
}

/// Why it is paused; to go on needs no reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web::console) struct Setting {
    #[serde(default)]
    note: String,
}

/// Why, and where that was asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web::console) struct OnceMore {
    note: String,
    #[serde(default)]
    seen_on: SeenOn,
}

/// Why, and an example of what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web::console) struct Example {
    note: String,
    event_type: String,
}

/// Pauses or resumes.
pub(in crate::web::console) async fn set(
    State(desk): Desk,
    Path((id, word)): Path<(SubscriptionId, String)>,
    Submitted { operator, fields, .. }: Submitted<Setting>,
) -> Response {
    let outcome = async {
        let (command, why) = match word.as_str() {
            "pause" => (Command::PauseDelivery, Some(note(&fields.note)?)),
            "resume" => (Command::ResumeDelivery, None),
            _ => return Err(Problem::not_found("not_found", "Receivers are paused, resumed, recovered and removed.")),
        };
        ordered(&desk, id, command, (operator.by(), why)).await
    };
    done(outcome.await.map(|_| one(id)), &one(id))
}

pub(in crate::web::console) async fn remove(
    State(desk): Desk,
    Path(id): Path<SubscriptionId>,
    Submitted { operator, fields, .. }: Submitted<Why>,
) -> Response {
    let outcome = async {
        let by = (operator.by(), Some(note(&fields.note)?));
        ordered(&desk, id, Command::Unsubscribe { why: Ending::Wanted }, by).await
    };
    done(outcome.await.map(|_| Place::Notifications.path().to_owned()), &one(id))
}

pub(in crate::web::console) async fn recover(
    State(desk): Desk,
    Path(id): Path<SubscriptionId>,
    Submitted { operator, fields, .. }: Submitted<Again>,
) -> Response {
    let outcome = async {
        let by = (operator.by(), Some(note(&fields.note)?));
        told_again(&desk, id, fields.after, by).await
    };
    done(outcome.await.map(|_| one(id)), &one(id))
}

pub(in crate::web::console) async fn resend(
    State(desk): Desk,
    Path((id, notification)): Path<(SubscriptionId, Uuid)>,
    Submitted { operator, fields, .. }: Submitted<OnceMore>,
) -> Response {
    let back = fields.seen_on.path(id, notification);
    let outcome = async {
        let by = (operator.by(), Some(note(&fields.note)?));
        webhooks_events::send_again(&desk, notification, Some(vec![id]), by).await
    };
    done(outcome.await.map(|_| back.clone()), &back)
}

/// What came of it is shown at once; nothing of it is kept.
pub(in crate::web::console) async fn simulate(
    State(desk): Desk,
    Path(id): Path<SubscriptionId>,
    Submitted { operator, fields, .. }: Submitted<Example>,
) -> Response {
    let outcome = async {
        let by = (operator.by(), Some(note(&fields.note)?));
        let wanted =
            Simulation { webhook_id: Some(id), url: None, event_type: fields.event_type, resource_version: None };
        simulations::simulate(&desk, wanted, by).await
    };
    match outcome.await {
        Err(problem) => done(Err(problem), &one(id)),
        Ok(sent) => {
            let body = html! {
                h1 { "An example was sent" }
                p role="status" { "Outcome: " (sent.outcome) @if let Some(status) = sent.status { ", answered " (status) }
                    ", in " (sent.took_us / 1_000) " ms." }
                @if let Some(error) = &sent.error { p role="alert" { (error) } }
                @if let Some(answer) = &sent.answer { pre tabindex="0" { (answer) } }
                p { a href=(one(id)) { "Back to the receiver" } }
            };
            bare("An example was sent", &body).into_response()
        }
    }
}
