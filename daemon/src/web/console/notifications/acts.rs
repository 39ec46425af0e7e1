//! What operators do about a receiver.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::html;
use millrace_model::ids::{Position, SubscriptionId};
use serde::Deserialize;
use uuid::Uuid;

use crate::web::console::act::done;
use crate::web::console::bare::bare;
use crate::web::console::frame::Place;
use crate::web::extract::{Json, Path};
use crate::web::operator::simulations::{self, Simulation};
use crate::web::operator::webhooks::{self, Recovery};
use crate::web::operator::webhooks_events::{self, Resend};
use crate::web::operator::{OperatorState, note};
use crate::web::problem::Problem;
use crate::web::session::{Operator, Submitted};
use crate::web::whole::Whole;

type Desk = State<Arc<OperatorState>>;

/// Why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web::console) struct Why {
    note: String,
}

/// Why, and after which position of the log everything is told again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web::console) struct Again {
    note: String,
    after: Position,
}

/// Why, and an example of what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web::console) struct Example {
    note: String,
    event_type: String,
}

fn page(id: SubscriptionId) -> String {
    format!("{}/{id}", Place::Notifications.path())
}

fn said(operator: &Operator, what: &str, text: &str) -> Result<(), Problem> {
    let why = note(text)?;
    tracing::info!(operator = %operator.name, what, why = why.as_str(), "an operator acts upon a receiver");
    Ok(())
}

/// Pauses or resumes.
pub(in crate::web::console) async fn set(
    State(desk): Desk,
    Path((id, word)): Path<(SubscriptionId, String)>,
    Submitted { operator, fields, .. }: Submitted<Why>,
) -> Response {
    let outcome = async {
        said(&operator, &word, &fields.note)?;
        match word.as_str() {
            "pause" => webhooks::pause(State(desk), Path(id)).await.map(drop),
            "resume" => webhooks::resume(State(desk), Path(id)).await.map(drop),
            _ => Err(Problem::not_found("not_found", "Receivers are paused, resumed, recovered and removed.")),
        }
    };
    done(outcome.await.map(|()| page(id)), &page(id))
}

pub(in crate::web::console) async fn remove(
    State(desk): Desk,
    Path(id): Path<SubscriptionId>,
    Submitted { operator, fields, .. }: Submitted<Why>,
) -> Response {
    let outcome = async {
        said(&operator, "remove", &fields.note)?;
        webhooks::remove(State(desk), Path(id)).await
    };
    done(outcome.await.map(|_| Place::Notifications.path().to_owned()), &page(id))
}

pub(in crate::web::console) async fn recover(
    State(desk): Desk,
    Path(id): Path<SubscriptionId>,
    Submitted { operator, fields: Again { note, after }, .. }: Submitted<Again>,
) -> Response {
    let outcome = async {
        said(&operator, "recover", &note)?;
        webhooks::recover(State(desk), Path(id), Json(Recovery { after: Whole(after) })).await
    };
    done(outcome.await.map(|_| page(id)), &page(id))
}

pub(in crate::web::console) async fn resend(
    State(desk): Desk,
    Path((id, notification)): Path<(SubscriptionId, Uuid)>,
    Submitted { operator, fields, .. }: Submitted<Why>,
) -> Response {
    let outcome = async {
        said(&operator, "resend", &fields.note)?;
        let to = Resend { webhook_ids: Some(vec![id]) };
        webhooks_events::resend(State(desk), Path(notification), Json(to)).await
    };
    done(outcome.await.map(|_| page(id)), &page(id))
}

/// What came of it is shown at once; nothing of it is kept.
pub(in crate::web::console) async fn simulate(
    State(desk): Desk,
    Path(id): Path<SubscriptionId>,
    Submitted { operator, fields: Example { note, event_type }, .. }: Submitted<Example>,
) -> Response {
    let outcome = async {
        said(&operator, "simulate", &note)?;
        let example = Simulation { webhook_id: Some(id), url: None, event_type, resource_version: None };
        simulations::send(State(desk), Json(example)).await
    };
    match outcome.await {
        Err(problem) => done(Err(problem), &page(id)),
        Ok((_, sent)) => {
            let sent = sent.0;
            let body = html! {
                h1 { "An example was sent" }
                p role="status" { "Outcome: " (sent.outcome) @if let Some(status) = sent.status { ", answered " (status) }
                    ", in " (sent.took_us / 1_000) " ms." }
                @if let Some(error) = &sent.error { p role="alert" { (error) } }
                @if let Some(answer) = &sent.answer { pre tabindex="0" { (answer) } }
                p { a href=(page(id)) { "Back to the receiver" } }
            };
            bare("An example was sent", &body).into_response()
        }
    }
}
