//! The projections: how far each shows the log, making one anew and watching it, and holding it against the log.

mod checked;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::act::{Act, Reason, Weight, done, offer};
use super::frame::{Page, Place, answer};
use super::words::{Tone, count, mark, span};
use crate::web::extract::Path;
use crate::web::operator::act::Why;
use crate::web::operator::checks::Looked;
use crate::web::operator::projections::{self as orders, list, make_anew};
use crate::web::operator::{OperatorState, note};
use crate::web::session::{Nothing, Operator, Submitted};
use crate::web::shapes::{ALL_PROJECTIONS, ProjectionPage, ProjectionRow, RebuildRow};

const PAGE: Page<'_> = Page { place: Place::Projections, title: "Projections", follows: "projections" };

pub(super) async fn show(State(desk): State<Arc<OperatorState>>, operator: Operator) -> Response {
    let (looked, now) = (desk.checks.now(), desk.now());
    let shown = body(&operator, &list(State(Arc::clone(&desk))).await.0, &looked, now);
    answer(&desk, &operator, &PAGE, Ok(shown))
}

fn body(operator: &Operator, page: &ProjectionPage, looked: &Looked, now: DateTime<Utc>) -> Markup {
    html! {
        p {
            "What pages and APIs show is folded from the log, up to a position. Made anew it is built beside the old one, which is shown \
             until the new one takes its place at once. Verified it is folded beside, too, and each row is held against what is shown; \
             nothing is replaced. Whether the log itself is whole is found out by "
            a href="/console/log" { "verifying the log" } "."
        }
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { "Projection" } th scope="col" { "State" } th.n scope="col" { "Position" } th.n scope="col" { "Behind" }
                th.n scope="col" { "Version" } th.n scope="col" { "Times made" } th scope="col" { "Against the log" }
                th scope="col" { "Orders" }
            } }
            tbody { @for row in &page.projections { (line(operator, row, looked, now)) } }
        } }
        p { "The log is at " span.num { (count(page.head)) } "." }
        div.acts {
            (making_anew(operator, "rebuild", ALL_PROJECTIONS, "Make all anew"))
            @if looked.running.is_none() { (verifying(operator, ALL_PROJECTIONS, "Verify all")) }
        }
        @for row in &page.projections { (checked::differences(operator, row, looked)) }
    }
}

fn line(operator: &Operator, row: &ProjectionRow, looked: &Looked, now: DateTime<Utc>) -> Markup {
    html! {
        tr id={ "projection-" (row.name) } {
            th scope="row" { (row.name) }
            td { (state(row)) }
            td.n { (count(row.position)) }
            td.n { (count(row.lag)) }
            td.n {
                (row.version)
                @if row.shown_version != Some(row.version) {
                    div.soft { "shown: " (row.shown_version.map_or("none".to_owned(), |shown| shown.to_string())) }
                }
            }
            td.n { (row.generation) }
            td.checked { (checked::told(row, looked, now)) }
            td.acts {
                @if row.rebuild.is_none() { (making_anew(operator, "rebuild", &row.name, "Make anew")) }
                @if looked.running.is_none() { (verifying(operator, &row.name, "Verify")) }
            }
        }
    }
}

fn state(row: &ProjectionRow) -> Markup {
    html! {
        @match &row.rebuild {
            Some(RebuildRow { position, end, events_per_second, seconds_left }) => {
                (mark(Tone::Busy, "being made anew"))
                progress value=(position) max=(end.max(&1)) aria-label={ "How far " (row.name) " is" } {}
                div.soft {
                    (count(*position)) " of " (count(*end)) ", " (count(*events_per_second)) " a second"
                    @if let Some(seconds) = seconds_left { ", " (span(chrono::TimeDelta::seconds(*seconds as i64))) " left" }
                }
            }
            None if row.lag == 0 => (mark(Tone::Well, "up to date")),
            None => (mark(Tone::Busy, "following")),
        }
        @if let Some(failure) = &row.failure { div { (mark(Tone::Ailing, "came to nothing the last time")) ": " (failure) } }
    }
}

/// `id` tells the form from others on the page that do the same.
fn making_anew(operator: &Operator, id: &str, name: &str, label: &str) -> Markup {
    offer(
        operator,
        &Act {
            id: &format!("{id}-{name}"),
            label,
            to: &format!("/console/projections/{name}/rebuild"),
            says: "It is folded anew from the whole log, beside what is shown, and gives way to the desk's own work.",
            weight: Weight::Light,
            reason: Reason::Asked,
            fields: html! {},
        },
    )
}

fn verifying(operator: &Operator, name: &str, label: &str) -> Markup {
    offer(
        operator,
        &Act {
            id: &format!("verify-{name}"),
            label,
            to: &format!("/console/projections/{name}/verify"),
            says: "It is folded anew from the whole log, beside what is shown, and held against it row by row. Nothing is replaced, and it \
                   gives way to the desk's own work.",
            weight: Weight::Light,
            reason: Reason::NotAsked,
            fields: html! {},
        },
    )
}

pub(super) async fn verify(
    State(desk): State<Arc<OperatorState>>,
    Path(name): Path<String>,
    Submitted { operator, .. }: Submitted<Nothing>,
) -> Response {
    tracing::info!(operator = %operator.name, projection = name, "an operator has it verified");
    done(orders::verify(&desk, &name).map(|()| Place::Projections.path().to_owned()), Place::Projections.path())
}

pub(super) async fn act(
    State(desk): State<Arc<OperatorState>>,
    Path(name): Path<String>,
    Submitted { operator, fields, .. }: Submitted<Why>,
) -> Response {
    let outcome = async {
        make_anew(&desk, operator.by(), &name, Some(&note(&fields.note)?)).await?;
        Ok(Place::Projections.path().to_owned())
    };
    done(outcome.await, Place::Projections.path())
}
