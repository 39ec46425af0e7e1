//! One receiver: why it hears what it hears, the newest attempts with what was answered, and what can be done.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_model::ids::{Position, SubscriptionId};
use millrace_model::notification::NotificationType;
use serde::Deserialize;

use super::attempts::{SeenOn, cells, heads, resend, told};
use super::{address, one, standing};
use crate::web::console::act::{Act, Reason, Weight, offer};
use crate::web::console::frame::{Page, Place, answer};
use crate::web::console::words::{count, moment};
use crate::web::extract::{Path, Query};
use crate::web::operator::OperatorState;
use crate::web::operator::attempts::{Attempt, newest};
use crate::web::operator::delivery;
use crate::web::operator::webhook_status::Status;
use crate::web::operator::webhooks::{Webhook, known};
use crate::web::problem::Problem;
use crate::web::session::Operator;

const ATTEMPTS_MAX: usize = 50;

/// Which attempts: those of notifications before a position of the log.
#[derive(Debug, Deserialize)]
pub(in crate::web::console) struct Wanted {
    before: Option<Position>,
}

pub(in crate::web::console) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Path(id): Path<SubscriptionId>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let follows = if wanted.before.is_none() { "log deliveries" } else { "" };
    let page = Page { place: Place::Notifications, title: "Receiver", follows };
    let shown = body(&desk, &operator, id, wanted.before).await;
    answer(&desk, &operator, &page, shown)
}

async fn body(
    desk: &Arc<OperatorState>,
    operator: &Operator,
    id: SubscriptionId,
    before: Option<Position>,
) -> Result<Markup, Problem> {
    let known = known(desk, id)?;
    let webhook = Webhook::of(&known, &desk.subscriptions);
    let delivery = delivery::show(State(Arc::clone(desk)), Path(id)).await;
    let attempts = newest(desk, id, before, ATTEMPTS_MAX).await;
    let now = desk.now();
    Ok(html! {
        dl.facts {
            dt { "Leads to" } dd { (address(&known)) }
            dt { "Told" } dd { (known.subscription.terms.events.join(", ")) }
            dt { "Status" } dd { (standing(webhook.status)) @if let Some(reason) = &webhook.reason { ": " (reason) } }
            dt { "Why it hears what it hears" }
            dd { @match &delivery { Ok(delivery) => (delivery.explanation), Err(problem) => (problem.message()) } }
            @if let Ok(delivery) = &delivery {
                dt { "Has everything up to" }
                dd { (count(delivery.acknowledged_through)) @if delivery.behind > 0 { ", " (count(delivery.behind)) " behind" } }
                dt { "Under way" } dd { (delivery.in_flight) " of " (delivery.at_once) " at once, " (delivery.retries) " to send again" }
            }
            dt { "Subscribed" } dd { (moment(webhook.created_at, now)) }
            dt { "Id" } dd { code { (id) } }
        }
        (orders(operator, id, webhook.status, &again(desk.store.head(), delivery.as_ref().ok().map(|shown| shown.acknowledged_through))))
        h2 { "Attempts, the newest first" }
        @match attempts {
            Ok(page) if page.attempts.is_empty() => p { (nothing(before)) },
            Ok(page) => { (table(operator, id, &page.attempts, now)) (older(id, page.next)) }
            Err(problem) => p role="alert" { (problem.message()) },
        }
    })
}

fn orders(operator: &Operator, id: SubscriptionId, status: Status, again: &Markup) -> Markup {
    let act = |word: &str, label, says, weight, fields| {
        let to = format!("{}/{word}", one(id));
        let reason = if word == "resume" { Reason::NotAsked } else { Reason::Asked };
        offer(operator, &Act { id: word, label, to: &to, says, weight, reason, fields })
    };
    html! {
        div {
            @if matches!(status, Status::Enabled | Status::Unreachable) {
                (act("pause", "Pause", "Nothing is sent until it is resumed; what comes meanwhile is sent then.", Weight::Light, html! {}))
            }
            @if matches!(status, Status::Paused | Status::Disabled) {
                (act("resume", "Resume", "It is sent again, with everything that came meanwhile.", Weight::Light, html! {}))
            }
            (act("recover", "Recover", "Everything that it wants after a position of the log is told to it again, under the same ids.", Weight::Light, again.clone()))
            (act("simulate", "Send an example", "An example is sent at once, signed as the real ones are; it is in no log.", Weight::Light, html! {
                label { "Of type " select name="event_type" { @for kind in NotificationType::ALL { option { (kind.name()) } } } }
            }))
            (act("remove", "Remove", "It is never told anything again.", Weight::Grave, html! {}))
        }
    }
}

/// From where it is told again, which nothing presumes, and how much that is.
fn again(head: Position, has: Option<Position>) -> Markup {
    html! {
        p {
            "The log ends at position " (count(head)) ". After 0, it is sent again what it wants of all " (count(head))
            @if let Some(has) = has.filter(|has| (1..head).contains(has)) {
                "; after " (count(has)) ", up to which it has everything, of the " (count(head - has)) " behind that"
            }
            "."
        }
        label { "After position " input type="number" name="after" min="0" max=(head) required; }
    }
}

fn table(operator: &Operator, id: SubscriptionId, attempts: &[Attempt], now: DateTime<Utc>) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th.n scope="col" { "Position" } (heads()) th scope="col" { "Orders" } } }
            tbody { @for attempt in attempts { tr {
                th.n scope="row" { a href={ "/console/log/" (attempt.position) } { (count(attempt.position)) } }
                (cells(attempt, now))
                td.acts { @if let Some(notification) = attempt.notification {
                    a href=(told(notification)) { "What was sent" } " "
                    (resend(operator, &name(attempt), (id, notification), SeenOn::Receiver))
                } }
            } } }
        } }
    }
}

/// A receiver is sent a notification one time after the other, and counted anew when it is sent once more.
fn name(attempt: &Attempt) -> String {
    let at_ms = attempt.at.map_or(0, |at| at.timestamp_millis());
    format!("{}-{}-{at_ms}", attempt.position, attempt.attempt)
}

fn nothing(before: Option<Position>) -> &'static str {
    if before.is_some() { "There is nothing older." } else { "Nothing was sent to it yet." }
}

fn older(id: SubscriptionId, next: Option<Position>) -> Markup {
    html! {
        @if let Some(next) = next {
            nav.pager aria-label="Pages" { a rel="next" href={ (one(id)) "?before=" (next) } { "Older" } }
        }
    }
}
