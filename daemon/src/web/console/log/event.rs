//! One event: what it says, which command it came of, what that rested on, and what it changed.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_model::ids::Position;
use millrace_model::replay::Field;
use serde_json::Value;

use super::stream;
use crate::web::console::frame::{Page, Place, answer};
use crate::web::console::words::{count, exactly, moment};
use crate::web::extract::Path;
use crate::web::operator::OperatorState;
use crate::web::operator::causes::{self, EventDetail, Node};
use crate::web::session::Operator;

pub(in crate::web::console) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Path(position): Path<Position>,
) -> Response {
    let title = format!("Event {position}");
    let page = Page { place: Place::Log, title: &title, follows: "" };
    let found = causes::event(State(Arc::clone(&desk)), Path(position)).await;
    let shown = found.map(|detail| body(&detail, desk.store.head(), desk.now()));
    answer(&desk, &operator, &page, shown)
}

fn body(detail: &EventDetail, head: Position, now: DateTime<Utc>) -> Markup {
    let row = &detail.event.row;
    html! {
        nav.pager aria-label="Events" {
            @if row.position > 1 { a rel="prev" href={ "/console/log/" (row.position - 1) } { "◀ " (count(row.position - 1)) } }
            @if row.position < head { a rel="next" href={ "/console/log/" (row.position + 1) } { (count(row.position + 1)) " ▶" } }
            a href={ "/console/past?position=" (row.position) } { "The whole desk then" }
        }
        dl.facts {
            dt { "What happened" } dd { b { (row.kind) } " " span.soft { "schema " (row.schema) } }
            dt { "Stream" } dd { (stream(&row.stream)) ", version " (row.version) }
            dt { "When" } dd { (exactly(row.recorded_at)) " (" (moment(row.recorded_at, now)) ")" }
            dt { "Asked for by" } dd { (detail.by.as_deref().unwrap_or(detail.asked_by.as_str())) }
            @if let Some(command) = &detail.command { dt { "Command" } dd { (command.name) " " code { (detail.event.command_id) } } }
            dt { "Came of" } dd { @match &detail.cause { Some(cause) => (node(cause, now)), None => "nothing in the log" } }
            @if !detail.together.is_empty() {
                dt { "Came with" } dd { @for other in &detail.together { div { (node(other, now)) } } }
            }
        }
        h2 { "What it says" }
        pre tabindex="0" { (pretty(row.payload.get())) }
        @if let Some(command) = &detail.command {
            details { summary { "The command as it was given" } pre tabindex="0" { (pretty(command.body.get())) } }
        }
        h2 { "What it changed" }
        (changes(&detail.changes))
    }
}

fn node(node: &Node, now: DateTime<Utc>) -> Markup {
    html! {
        a href={ "/console/log/" (node.position) } { (count(node.position)) } " " (node.kind) " of " (stream(&node.stream))
        ", " (moment(node.recorded_at, now))
    }
}

/// What was and what is, field by field.
pub(in crate::web::console) fn changes(changes: &[Field]) -> Markup {
    if changes.is_empty() {
        return html! { p { "Nothing that is shown of its stream's state." } };
    }
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "Field" } th scope="col" { "Before" } th scope="col" { "After" } } }
            tbody { @for Field { path, before, after } in changes { tr {
                th scope="row" { code { (path) } }
                td { @if let Some(before) = before { del { (text(before)) } } }
                td { @if let Some(after) = after { ins { (text(after)) } } }
            } } }
        } }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// JSON as a person reads it; what is none, as it is.
pub(in crate::web::console) fn pretty(json: &str) -> String {
    let value: Option<Value> = serde_json::from_str(json).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| json.to_owned())
}
