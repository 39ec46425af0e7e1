//! How the deliveries to a webhook do right now, so that one that hears nothing can be explained.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::subscriptions::Known;
use millrace_model::ids::{Position, SubscriptionId};
use millrace_protocols::delivery::endpoint::Circuit;
use millrace_protocols::delivery::scheduler::View;
use serde::Serialize;

use super::OperatorState;
use super::attempts::time;
use super::webhook_status::{Status, status};
use super::webhooks::{Link, known};
use super::webhooks_events::not_asked;
use crate::web::extract::Path;
use crate::web::problem::Problem;

/// How an endpoint does.
#[derive(Debug, Serialize)]
pub(in crate::web) struct Delivery {
    pub(in crate::web) webhook_id: SubscriptionId,
    pub(in crate::web) status: Status,
    /// What it does or waits for, for a person.
    pub(in crate::web) explanation: String,
    /// How many notifications are under way, and how many may be.
    pub(in crate::web) in_flight: u32,
    pub(in crate::web) at_once: u32,
    /// How many are under way or about to be.
    pub(in crate::web) claimed: usize,
    /// How many wait to be sent again, and when the first is.
    pub(in crate::web) retries: usize,
    pub(in crate::web) next_retry_at: Option<DateTime<Utc>>,
    /// Whether it is left alone since it failed again and again: `open` is that it is.
    pub(in crate::web) breaker: &'static str,
    pub(in crate::web) left_alone_until: Option<DateTime<Utc>>,
    /// Everything up to here has arrived, or is not wanted.
    pub(in crate::web) acknowledged_through: Position,
    pub(in crate::web) dispatched_through: Position,
    /// Where the newest notification of all is, and how many positions of the log are between.
    pub(in crate::web) newest: Position,
    pub(in crate::web) behind: u64,
    pub(in crate::web) links: Vec<Link>,
}

pub(in crate::web) async fn show(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<SubscriptionId>,
) -> Result<Reply<Delivery>, Problem> {
    let known = known(&state, id)?;
    let view = state.deliveries.view(id).await.map_err(not_asked)?.ok_or_else(|| not_known(&known))?;
    let newest = *state.views.newest_notification().borrow();
    let standing = status(&known, &state.subscriptions);
    Ok(Reply(Delivery::of(&known, standing, (view, newest), SystemClock.now())))
}

fn not_known(known: &Known) -> Problem {
    let message = match &known.endpoint {
        Err(why) => format!("Nothing is delivered to it, since nobody knows where it leads: {why}."),
        Ok(_) => "The deliveries were not told of it yet; try again.".to_owned(),
    };
    Problem::unavailable("not_delivered_to", message)
}

/// Whether it is served, and why not.
type Standing = (Status, Option<String>);

impl Delivery {
    fn of(known: &Known, standing: Standing, (view, newest): (View, Position), now: DateTime<Utc>) -> Self {
        let id = known.subscription.id;
        let href = format!("/operator/v1/notifications/webhooks/{id}");
        let links = [("", "webhook"), ("/delivery", "self"), ("/attempts", "attempts")];
        let behind = newest.saturating_sub(view.acked_through);
        Self {
            webhook_id: id,
            status: standing.0,
            explanation: explanation(&standing, &view, behind, now),
            in_flight: view.in_flight,
            at_once: view.at_once,
            claimed: view.open,
            retries: view.retries,
            next_retry_at: view.next_due_ms.and_then(time),
            breaker: match view.circuit {
                Circuit::Closed => "closed",
                Circuit::Open => "open",
                Circuit::Probing => "probing",
            },
            left_alone_until: left_alone_until(&view, now),
            acknowledged_through: view.acked_through,
            dispatched_through: view.dispatched_through,
            newest,
            behind,
            links: links.map(|(end, rel)| Link::new(format!("{href}{end}"), rel, "GET")).into(),
        }
    }
}

fn left_alone_until(view: &View, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    time(view.closed_until_ms).filter(|until| *until > now)
}

fn explanation((status, reason): &Standing, view: &View, behind: u64, now: DateTime<Utc>) -> String {
    if *status != Status::Enabled {
        return match reason {
            Some(reason) => format!("Nothing is sent: it is {status}, since {reason}."),
            None => format!("Nothing is sent: it is {status}."),
        };
    }
    match (view.circuit, left_alone_until(view, now)) {
        (Circuit::Open, Some(until)) => {
            return format!("It failed again and again and is left alone until {until}; then it is tried with one.");
        }
        (Circuit::Open | Circuit::Probing, _) => return "It failed again and again and is tried with one.".to_owned(),
        (Circuit::Closed, Some(until)) => return format!("Its receiver asked to be left alone until {until}."),
        (Circuit::Closed, None) => {}
    }
    match (view.retries, view.next_due_ms.and_then(time)) {
        (0, _) | (_, None) if behind == 0 => "Everything arrived.".to_owned(),
        (0, _) | (_, None) => "It is sent what came since.".to_owned(),
        (retries, Some(next)) => format!("{retries} that did not arrive are sent again, the first at {next}."),
    }
}
