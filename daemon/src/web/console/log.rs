//! The log: its events, the newest first, followed and filtered; one event with what led to it; and a proof of all of it.

mod event;
mod graph;
mod proof;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_model::ids::Position;
use serde::Deserialize;

pub(super) use event::{changes, pretty, show as event};
pub(super) use graph::show as graph;
pub(super) use proof::begin as prove;

use super::frame::{Page, Place, answer};
use super::words::{count, moment};
use crate::web::extract::Query;
use crate::web::operator::OperatorState;
use crate::web::operator::log::{Filter, Line, kinds};
use crate::web::problem::Problem;
use crate::web::session::Operator;

const ROWS_MAX: usize = 50;
/// A filter that is longer than any stream's name or list of kinds is none.
const FILTER_CHARS_MAX: usize = 400;

/// Which events, before which one.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    stream: String,
    before: Option<Position>,
}

pub(super) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Response {
    // Older pages stay as they are.
    let follows = if wanted.before.is_none() { "log" } else { "" };
    let page = Page { place: Place::Log, title: "Log", follows };
    let shown = body(&desk, &operator, &wanted).await;
    answer(&desk, &operator, &page, shown)
}

async fn body(desk: &Arc<OperatorState>, operator: &Operator, wanted: &Wanted) -> Result<Markup, Problem> {
    let found = match filter(wanted) {
        Ok(filter) => {
            let before = wanted.before.unwrap_or(Position::MAX);
            desk.read_opened(move |reader, notes| filter.look_back((reader, notes), before, ROWS_MAX)).await?
        }
        Err(problem) => {
            return Ok(html! { (filters(wanted)) p role="alert" { (problem.message()) } });
        }
    };
    let now = desk.now();
    Ok(html! {
        (proof::panel(desk, operator, now))
        (filters(wanted))
        @if found.lines.is_empty() && found.looked_at == 0 {
            p { "There is no such event." }
        } @else if found.lines.is_empty() {
            p { "None of the " (count(found.looked_at)) " events that were looked at is of this kind and stream." }
        } @else { (table(&found.lines, now)) }
        nav.pager aria-label="Pages" {
            @if wanted.before.is_some() { a rel="prev" href=(href(wanted, None)) { "To the newest" } }
            @if let Some(rest) = found.rest { a rel="next" href=(href(wanted, Some(rest))) { "Older" } }
        }
    })
}

fn filter(wanted: &Wanted) -> Result<Filter, Problem> {
    if wanted.kind.len() > FILTER_CHARS_MAX || wanted.stream.len() > FILTER_CHARS_MAX {
        return Err(Problem::bad_request("invalid_query", "What is looked for is longer than anything in the log."));
    }
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Filter::new(given(&wanted.kind).as_deref(), given(&wanted.stream).as_deref())
}

fn filters(wanted: &Wanted) -> Markup {
    html! {
        form.filters method="get" action="/console/log" role="search" {
            label { "Kind " input type="search" name="kind" list="kinds" value=(wanted.kind) placeholder="Bought,Sent" maxlength=(FILTER_CHARS_MAX); }
            datalist #kinds { @for kind in kinds() { option value=(kind) {} } }
            label { "Stream " input type="search" name="stream" value=(wanted.stream) placeholder="deposit/ID, desk, chain/btc" maxlength=(FILTER_CHARS_MAX); }
            button { "Filter" }
            @if !wanted.kind.is_empty() || !wanted.stream.is_empty() { a href="/console/log" { "All events" } }
        }
    }
}

fn table(lines: &[Line], now: DateTime<Utc>) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th.n scope="col" { "Position" } th scope="col" { "What happened" } th scope="col" { "Stream" }
                th.n scope="col" { "Version" } th scope="col" { "When" } th.n scope="col" { "Came of" }
            } }
            tbody { @for Line { row, cause, .. } in lines { tr id={ "event-" (row.position) } {
                th.n scope="row" { a href={ "/console/log/" (row.position) } { (count(row.position)) } }
                td { details { summary { (row.kind) } pre tabindex="0" { (row.payload.get()) } } }
                td { (stream(&row.stream)) }
                td.n { (row.version) }
                td { (moment(row.recorded_at, now)) }
                td.n { @if let Some(cause) = *cause { a href={ "/console/log/" (cause) } { (count(cause)) } } }
            } } }
        } }
    }
}

/// A stream, with the way to the deposit it is.
pub(super) fn stream(name: &str) -> Markup {
    match name.strip_prefix("deposit/") {
        Some(id) => html! { a href={ "/console/deposits/" (id) } { (name) } },
        None => html! { a href={ "/console/log?" (query(&[("stream", name)])) } { (name) } },
    }
}

fn href(wanted: &Wanted, before: Option<Position>) -> String {
    let before = before.map(|before| before.to_string());
    let mut pairs = vec![("kind", wanted.kind.as_str()), ("stream", wanted.stream.as_str())];
    pairs.extend(before.as_deref().map(|before| ("before", before)));
    pairs.retain(|(_, value)| !value.is_empty());
    format!("/console/log?{}", query(&pairs))
}

fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
