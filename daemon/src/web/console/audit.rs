//! Who did what, when, why and to what.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::html;
use millrace_model::ids::Position;
use serde::Deserialize;

use super::frame::{Page, Place, answer};
use super::log::stream;
use super::words::moment;
use crate::web::extract::Query;
use crate::web::operator::OperatorState;
use crate::web::operator::audit;
use crate::web::session::Operator;

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
    let shown = audit::page(&desk, wanted.before, None).await.map(|found| {
        html! {
            @if found.acts.is_empty() { p { "No operator did anything in the part of the log that was looked at." } } @else {
                div.scroll tabindex="0" { table {
                    thead { tr {
                        th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "Did" } th scope="col" { "To" } th scope="col" { "Why" }
                    } }
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
    });
    answer(&desk, &operator, &page, shown)
}
