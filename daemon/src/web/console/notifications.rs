//! Who is told, how that goes, and what can be done when somebody hears nothing.

mod acts;
mod attempts;
mod deliveries;
mod health;
#[cfg(test)]
mod tests;
mod told;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::subscriptions::Known;
use millrace_model::ids::SubscriptionId;
use millrace_protocols::delivery::scheduler::Sums;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

pub(super) use acts::{recover, remove, resend, set, simulate};
pub(super) use attempts::{SeenOn, told as told_at};
pub(super) use deliveries::deliveries;
use health::{Seen, health};
pub(super) use told::show as told;
pub(super) use webhook::show as webhook;

use super::frame::{Page, Place, answer};
use super::words::{Tone, count, counted, mark, moment};
use crate::web::extract::Query;
use crate::web::operator::attempts::{Attempt, newest_of_each};
use crate::web::operator::webhook_status::{Status, status};
use crate::web::operator::{OperatorState, desk_unavailable};
use crate::web::problem::Problem;
use crate::web::session::Operator;

const PAGE: Page<'_> = Page { place: Place::Notifications, title: "Notifications", follows: "log deliveries" };
/// How each does is asked of the deliveries; of more than so many at once it is not.
const ROWS_MAX: usize = 100;
/// For how all of them do.
const VIEWS_WITHIN: Duration = Duration::from_secs(1);
/// No address is longer.
const SEARCH_CHARS_MAX: usize = 500;

/// Which of them.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    skip: usize,
}

pub(super) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Response {
    let shown = body(&desk, &wanted).await;
    answer(&desk, &operator, &PAGE, shown)
}

async fn body(desk: &Arc<OperatorState>, wanted: &Wanted) -> Result<Markup, Problem> {
    if wanted.q.len() > SEARCH_CHARS_MAX {
        return Err(Problem::bad_request("invalid_query", "What is looked for is longer than any address."));
    }
    let list = desk.subscriptions.list().ok_or_else(desk_unavailable)?;
    let fits = |known: &&Arc<Known>| {
        let address = known.endpoint.as_ref().map_or("", |endpoint| endpoint.url.as_str());
        let is_named = address.contains(&wanted.q) || known.subscription.id.to_string() == wanted.q;
        is_named && (wanted.status.is_empty() || status(known, &desk.subscriptions).0.word() == wanted.status)
    };
    let found: Vec<_> = list.values().filter(fits).collect();
    let sums = desk.deliveries.sums().await;
    let deadline = Instant::now() + VIEWS_WITHIN;
    let mut rows = Vec::new();
    for known in found.iter().skip(wanted.skip).take(ROWS_MAX) {
        // Who does not answer is asked no more.
        let asked = timeout_at(deadline, desk.deliveries.view(known.subscription.id));
        let seen = if sums.is_some() { Seen::of(asked.await.ok().and_then(Result::ok)) } else { Seen::Unanswered };
        rows.push((known, seen));
    }
    let ids = rows.iter().map(|(known, _)| known.subscription.id).collect();
    let tried = newest_of_each(desk, ids, health::ATTEMPTS_MAX).await.ok();
    let now = desk.now();
    Ok(html! {
        (together(sums.as_ref()))
        (filters(wanted))
        @if list.is_empty() {
            p { "Nobody wants to be told yet. " code { "millrace webhooks add https://… --event 'Deposit.*'" } " makes a webhook; customers \
                 subscribe at " code { "/api/v1/subscribe" } "." }
        } @else if rows.is_empty() { p { "None of " (count(list.len() as u64)) " is like that." } } @else {
            (table(desk, &rows, tried.as_ref(), now))
            nav.pager aria-label="Pages" {
                @if wanted.skip > 0 { a rel="prev" href=(href(wanted, wanted.skip.saturating_sub(ROWS_MAX))) { "Before" } }
                @if wanted.skip + ROWS_MAX < found.len() { a rel="next" href=(href(wanted, wanted.skip + ROWS_MAX)) { "More" } }
            }
        }
    })
}

/// All of them in a sentence.
fn together(sums: Option<&Sums>) -> Markup {
    match sums {
        None => html! { p role="alert" { "The deliveries do not answer at the moment." } },
        Some(sums) => html! { p {
            (counted(u64::from(sums.in_flight), "delivery is", "deliveries are")) " under way, "
            (counted(sums.retries as u64, "one waits", "wait")) " to be sent again, "
            (counted(sums.left_alone as u64, "receiver is", "receivers are")) " left alone for a while."
        } },
    }
}

fn filters(wanted: &Wanted) -> Markup {
    html! {
        form.filters method="get" action="/console/notifications" role="search" {
            label { "Address or id " input type="search" name="q" value=(wanted.q) maxlength=(SEARCH_CHARS_MAX); }
            label { "Status " select name="status" {
                option value="" { "any" }
                @for status in Status::ALL.map(Status::word) {
                    option value=(status) selected[status == wanted.status] { (status) }
                }
            } }
            button { "Filter" }
        }
    }
}

/// The newest attempts at each; nothing where they cannot be read.
type Tried = BTreeMap<SubscriptionId, Vec<Attempt>>;

fn table(desk: &OperatorState, rows: &[(&&Arc<Known>, Seen)], tried: Option<&Tried>, now: DateTime<Utc>) -> Markup {
    let attempts = |id: SubscriptionId| tried.and_then(|tried| tried.get(&id)).map(Vec::as_slice);
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { "Leads to" } th scope="col" { "Told" } th scope="col" { "Status" } th scope="col" { "Health" }
                th.n scope="col" { "Under way" } th.n scope="col" { "To send again" } th scope="col" { "Since" }
            } }
            tbody { @for (known, seen) in rows { @let view = seen.view(); tr id={ "receiver-" (known.subscription.id) } {
                th scope="row" { a href=(one(known.subscription.id)) { (address(known)) } }
                td { (known.subscription.terms.events.join(", ")) }
                td { (standing(status(known, &desk.subscriptions).0)) }
                td { (health(seen, attempts(known.subscription.id), now)) }
                td.n { @if let Some(view) = view { (view.in_flight) } @else { "–" } }
                td.n { @if let Some(view) = view { (count(view.retries as u64)) } @else { "–" } }
                td { (moment(known.since, now)) }
            } } }
        } }
    }
}

/// The path of the page of one of them.
fn one(id: SubscriptionId) -> String {
    format!("{}/{id}", Place::Notifications.path())
}

/// Where it leads, as far as that is known.
fn address(known: &Known) -> &str {
    known.endpoint.as_ref().map_or("an address that cannot be opened", |endpoint| endpoint.url.as_str())
}

fn standing(status: Status) -> Markup {
    let tone = match status {
        Status::Enabled => Tone::Well,
        Status::Paused | Status::Unproved => Tone::Quiet,
        Status::Disabled | Status::Unreachable => Tone::Ailing,
        Status::Unreadable => Tone::Broken,
    };
    mark(tone, status.word())
}

fn href(wanted: &Wanted, skip: usize) -> String {
    let mut query = form_urlencoded::Serializer::new(String::from("/console/notifications?"));
    query.append_pair("q", &wanted.q).append_pair("status", &wanted.status).append_pair("skip", &skip.to_string());
    query.finish()
}
