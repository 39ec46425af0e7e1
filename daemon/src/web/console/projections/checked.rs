//! What became of holding a projection against the log, as its row says it.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::projection::{Checked, UnlikeRow};

use super::making_anew;
use crate::web::console::words::{Tone, count, counted, mark, moment, short};
use crate::web::operator::checks::{Check, Looked, Running};
use crate::web::session::Operator;
use crate::web::shapes::ProjectionRow;

/// How it stands with this projection: the look that is under way, or the newest there was.
pub(super) fn told(row: &ProjectionRow, looked: &Looked, now: DateTime<Utc>) -> Markup {
    if let Some(running) = looked.running.as_ref().filter(|running| is_of(running, row)) {
        return under_way(row, running, now);
    }
    match newest(row, looked) {
        None => html! { (mark(Tone::Quiet, "not verified")) div.soft { "since the desk was started" } },
        Some(check) if is_over(check, row) => html! {
            (mark(Tone::Quiet, "made anew since it was verified"))
            div.soft { "that was " (moment(check.at, now)) "; what was found then is gone" }
        },
        Some(Check { at, outcome: Err(why), .. }) => html! {
            (mark(Tone::Ailing, "could not be verified")) ", " (moment(*at, now)) ": " (why)
        },
        Some(Check { at, outcome: Ok(checked), .. }) => found(row, checked, *at, now),
    }
}

/// The rows that differ, with the way out of it; nothing when none do.
pub(super) fn differences(operator: &Operator, row: &ProjectionRow, looked: &Looked) -> Markup {
    let check = newest(row, looked).filter(|check| !is_over(check, row));
    let Some(Check { outcome: Ok(checked), .. }) = check else { return html! {} };
    html! {
        @if checked.unlike > 0 {
            section.differs id={ "differs-" (row.name) } aria-labelledby={ "differs-in-" (row.name) } {
                h2 id={ "differs-in-" (row.name) } { "What differs in " (row.name) }
                p {
                    "As of position " (count(checked.position)) ". What the log says counts; made anew, the projection shows that. "
                    @if row.rebuild.is_some() { "It is being made anew." }
                }
                @if row.rebuild.is_none() { div.acts { (making_anew(operator, "mend", &row.name, "Make anew")) } }
                (table(row, checked))
            }
        }
    }
}

fn table(row: &ProjectionRow, checked: &Checked) -> Markup {
    let more = checked.unlike.saturating_sub(checked.first.len() as u64);
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { "Row of " (row.name) } th scope="col" { "What" } th scope="col" { "Is shown" } th scope="col" { "The log says" }
                th scope="col" { "Of" }
            } }
            tbody { @for UnlikeRow { unlike, event, deposit } in &checked.first { tr {
                th scope="row" { @match event {
                    Some(event) => a href={ "/console/log/" (event) } title="The event that the row is known by" { (unlike.key) },
                    None => (unlike.key),
                } }
                td { (unlike.column.replace('_', " ")) }
                td { del { (unlike.shown) } }
                td { ins { (unlike.made) } }
                td { @if let Some(id) = deposit { a href={ "/console/deposits/" (id) } { "deposit " (short(&id.to_string())) } } }
            } } }
        } }
        @if more > 0 { p { "And " (counted(more, "row more differs", "rows more differ")) ", which the desk counted and did not keep." } }
    }
}

fn newest<'l>(row: &ProjectionRow, looked: &'l Looked) -> Option<&'l Check> {
    looked.newest.iter().find(|(of, _)| of.name() == row.name).map(|(_, check)| &**check)
}

/// Whether what was looked at is not shown any more.
fn is_over(check: &Check, row: &ProjectionRow) -> bool {
    check.generation < row.generation
}

fn is_of(running: &Running, row: &ProjectionRow) -> bool {
    running.projections.iter().any(|of| of.name() == row.name)
}

fn under_way(row: &ProjectionRow, running: &Running, now: DateTime<Utc>) -> Markup {
    let Running { since, position, end, .. } = running;
    html! {
        (mark(Tone::Busy, "being verified")) " since " (moment(*since, now))
        progress value=(position) max=(end.max(&1)) aria-label={ "How far " (row.name) " is folded beside" } {}
        div.soft {
            @match (*position, *end) {
                (_, 0) => "about to begin",
                (position, end) if position == end => "the rows are held against each other",
                (position, end) => { (count(position)) " of " (count(end)) },
            }
        }
    }
}

fn found(row: &ProjectionRow, checked: &Checked, at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    let Checked { position, rows, unlike, .. } = checked;
    html! {
        @if *unlike == 0 { (mark(Tone::Well, "is what the log says")) }
        @else { a href={ "#differs-" (row.name) } { (mark(Tone::Broken, &counted(*unlike, "row differs", "rows differ"))) } }
        div.soft {
            "as of position " (count(*position)) ", " (counted(*rows, "row", "rows")) ", looked at " (moment(at, now))
        }
    }
}
