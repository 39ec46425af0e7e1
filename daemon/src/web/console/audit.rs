//! Who did what, when, why and to what.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::operations::{Deed, Waiting};
use millrace_model::ids::Position;
use serde::Deserialize;

use super::frame::{Page, Place, answer};
use super::log::stream;
use super::words::{Tone, counted, mark, moment};
use crate::web::extract::Query;
use crate::web::operator::OperatorState;
use crate::web::operator::audit::{self, AuditPage};
use crate::web::session::Operator;

/// Of the acts that are not in the log yet so many are listed.
const UNWRITTEN_SHOWN_MAX: usize = 50;

/// Which acts: those before a position of the log.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    before: Option<Position>,
}

pub(super) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Response {
    let follows = if wanted.before.is_none() { "log" } else { "" };
    let page = Page { place: Place::Audit, title: "Audit", follows };
    let now = desk.now();
    let waiting = desk.operations.waiting();
    let shown = match audit::page(&desk, wanted.before, None).await {
        Ok(found) => Ok(html! { (unwritten(&waiting, now)) (acts(&found, now)) }),
        // What is known besides is said all the same.
        Err(problem) if waiting != Waiting::default() => {
            Ok(html! { (unwritten(&waiting, now)) p role="alert" { (problem.message()) } })
        }
        Err(problem) => Err(problem),
    };
    answer(&desk, &operator, &page, shown)
}

fn acts(found: &AuditPage, now: DateTime<Utc>) -> Markup {
    html! {
        @if found.acts.is_empty() { p { "No operator did anything in the part of the log that was looked at." } } @else {
            div.scroll tabindex="0" { table {
                (heads())
                tbody { @for act in &found.acts { tr {
                    td { a href={ "/console/log/" (act.position) } { (moment(act.at, now)) } }
                    th scope="row" { (act.by) }
                    td { (act.action.replace('_', " ")) }
                    td { @match act.subject.as_deref() {
                        Some(subject) if subject.starts_with("deposit/") => (stream(subject)),
                        Some(subject) => (subject),
                        None => "",
                    } }
                    td { @if let Some(note) = &act.note { (note) } }
                } } }
            } }
        }
        @if let Some(next) = found.next {
            nav.pager aria-label="Pages" { a rel="next" href={ "/console/audit?before=" (next) } { "Older" } }
        }
    }
}

fn heads() -> Markup {
    html! { thead { tr {
        th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "Did" } th scope="col" { "To" } th scope="col" { "Why" }
    } } }
}

/// What was done in this run and is in memory alone, the newest first.
fn unwritten(waiting: &Waiting, now: DateTime<Utc>) -> Markup {
    let Waiting { deeds, lost } = waiting;
    html! {
        @if !deeds.is_empty() {
            p role="status" {
                (mark(Tone::Ailing, &counted(deeds.len() as u64, "act", "acts"))) " of this run "
                (if deeds.len() == 1 { "is" } else { "are" }) " not in the log yet: written when the log can be, lost if the desk ends before."
            }
            div.scroll tabindex="0" { table {
                (heads())
                tbody { @for Deed { at, acted, .. } in deeds.iter().rev().take(UNWRITTEN_SHOWN_MAX) { tr {
                    td { (moment(*at, now)) }
                    th scope="row" { (acted.by) }
                    td { (acted.action.as_str().replace('_', " ")) }
                    td { @if let Some(subject) = &acted.subject { (subject) } }
                    td { @if let Some(note) = &acted.note { (note) } }
                } } }
            } }
        }
        @if *lost > 0 {
            p role="alert" { (counted(*lost, "older act", "older acts")) " of this run will never be in the log: too many came before they could be written." }
        }
    }
}
