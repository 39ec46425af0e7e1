//! Is money moving? What stands where and for how long, what was told to operators, and what lies in each place.

mod verdict;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use millrace_actors::projection::{DepositRow, Line};
use millrace_actors::reconciler::Compared;
use millrace_model::alert::Alerts;
use millrace_model::desk::Difference;
use millrace_model::ids::Position;
use millrace_model::reconciliation::{Comparison, Verdict as Compare};
use serde::Deserialize;

use super::frame::{Page, Place, answer};
use super::known::Known;
use super::outage::Outage;
use super::pace::{self, Span};
use super::words::{self, Tone, amount, count, mark, moment, status};
use crate::web::extract::Query;
use crate::web::operator::{OperatorState, Threshold, views_unreadable};
use crate::web::problem::Problem;
use crate::web::session::Operator;

const PAGE: Page<'_> = Page { place: Place::Overview, title: "Overview", follows: "log projections places" };

/// How far back the plots go.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    span: Span,
}

pub(super) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Query(Wanted { span }): Query<Wanted>,
) -> Response {
    let shown = body(&desk, span).await;
    answer(&desk, &operator, &PAGE, shown)
}

async fn body(desk: &Arc<OperatorState>, span: Span) -> Result<Markup, Problem> {
    let now = desk.now();
    let outage = Outage::of(desk, &desk.tree.health().snapshot());
    let known = Known::now(desk).await;
    let standing = match &known {
        Some(known) => standing(desk, known).await.map(Some),
        None => Ok(None),
    };
    Ok(html! {
        (verdict::of(desk, outage.as_ref(), standing.as_ref().ok().and_then(Option::as_ref), now))
        (alerts(desk.operations.switches().borrow().alerts(), now))
        (pace::section(desk, span).await)
        section aria-labelledby="standing" {
            h2 #standing { "Deposits" }
            @match &standing {
                Ok(Some(standing)) => (table(&standing.lines, known.filter(|_| outage.is_some()).map(|known| known.position), now)),
                Ok(None) => p { "Nothing is known of them until the log is open." },
                Err(problem) => p role="alert" { (problem.message()) },
            }
        }
        section aria-labelledby="places" {
            h2 #places { "Coins in each place" }
            (places(desk, desk.operations.switches().borrow().alerts(), now))
        }
    })
}

/// Where deposits stand.
struct Standing {
    lines: Vec<StandingLine>,
    /// Since when the one that waits longest for the desk to act stands where it does.
    waits_since: Option<DateTime<Utc>>,
}

/// The deposits that stand at one place, with the oldest of them while they have not ended.
struct StandingLine {
    line: Line,
    oldest: Option<DepositRow>,
}

/// The order of a deposit's life; how they ended comes last.
const ORDER: [&str; 10] = [
    "pending",
    "quarantined",
    "wait_decide",
    "wait_buy",
    "wait_send",
    "wait_confirm",
    "held",
    "refund_due",
    "unreadable",
    "done",
];

async fn standing(desk: &OperatorState, known: &Known) -> Result<Standing, Problem> {
    let mut lines: Vec<_> = known.totals.lines().iter().filter(|line| line.deposits > 0).cloned().collect();
    lines.sort_by_key(|line| ORDER.iter().position(|status| *status == line.status));
    let mut standing = Vec::with_capacity(lines.len());
    for line in lines {
        let oldest = match line.status.as_str() {
            "done" => None,
            status => desk.views.oldest(status).await.map_err(views_unreadable)?,
        };
        standing.push(StandingLine { line, oldest });
    }
    let waits_longest = desk.views.waits_longest().await.map_err(views_unreadable)?;
    let waits_since = waits_longest.map(|row| row.since());
    Ok(Standing { lines: standing, waits_since })
}

/// `as_of` is the event up to which they are folded, where that has to be said.
fn table(lines: &[StandingLine], as_of: Option<Position>, now: DateTime<Utc>) -> Markup {
    if lines.is_empty() {
        return html! { p { "No deposit yet. Addresses are given out on the customers' page." } };
    }
    html! {
        div.scroll tabindex="0" { table {
            @if let Some(position) = as_of { caption { "As of position " (count(position)) } }
            thead { tr {
                th scope="col" { "Where they stand" } th.n scope="col" { "Deposits" } th.n scope="col" { "Received" }
                th.n scope="col" { "Paid or to pay" } th.n scope="col" { "The oldest" }
            } }
            tbody { @for StandingLine { line, oldest } in lines { tr {
                th scope="row" {
                    a href={ "/console/deposits?status=" (line.status) } { (status(&line.status)) }
                    @if let Some(outcome) = &line.outcome { " " (outcome.replace('_', " ")) }
                }
                td.n { (count(line.deposits)) }
                td.n { (amount(&line.received().to_string(), "BTC")) }
                td.n { (amount(&line.payout().to_string(), "SKY")) }
                td.n { @if let Some(oldest) = oldest {
                    a href={ "/console/deposits/" (oldest.id) } title="Since it was first seen" { (words::span(now - oldest.detected_at)) }
                } }
            } } }
        } }
    }
}

/// What operators were told and what is not over.
fn alerts(alerts: &Alerts, now: DateTime<Utc>) -> Markup {
    html! {
        @if !alerts.is_empty() {
            section aria-labelledby="alerts" {
                h2 #alerts { "Told to operators, and not over" }
                ul {
                    @for down in alerts.parts_down() {
                        li { (mark(Tone::Broken, &format!("{} is down", called(&down.part)))) ": " (down.reason) " (" (moment(down.since, now)) ")" }
                    }
                    @for low in alerts.balances_low() {
                        li { (mark(Tone::Ailing, &format!("{} runs low", low.coin.as_str()))) " in " (low.place.as_str().replace('_', " ")) }
                    }
                }
            }
        }
    }
}

/// What operators call who is outside; a part of the tree has its name.
fn called(part: &str) -> &str {
    match part {
        "bitcoin_node" => "the Bitcoin node",
        "skycoin_node" => "the Skycoin node",
        "c2cx" => "the exchange (c2cx)",
        other => other,
    }
}

pub(super) fn places(desk: &OperatorState, alerts: &Alerts, now: DateTime<Utc>) -> Markup {
    let compared = desk.reconciliation.borrow().clone();
    if compared.is_empty() {
        return html! { p { (nowhere_looked(desk)) } };
    }
    let is_low = |difference: &Difference| {
        alerts.balances_low().iter().any(|low| low.place == difference.place && low.coin == difference.coin)
    };
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { "Place" } th.n scope="col" { "Found there" } th.n scope="col" { "Booked then" }
                th.n scope="col" { "On its way" } th.n scope="col" { "Told below" } th scope="col" { "Verdict" } th scope="col" { "Looked at" }
            } }
            tbody { @for Compared { comparison: Comparison { difference, verdict }, at } in &compared { tr {
                th scope="row" { (difference.place.as_str().replace('_', " ")) }
                td.n { (amount(&units(difference, difference.found), difference.coin.as_str())) }
                td.n { (amount(&units(difference, difference.booked), difference.coin.as_str())) }
                td.n { (amount(&units(difference, difference.in_flight), difference.coin.as_str())) }
                td.n { @match threshold(desk, difference) {
                    Some(least) => (amount(&least, difference.coin.as_str())),
                    None => "–",
                } }
                td {
                    @if is_old(desk, *at, now) { (mark(Tone::Ailing, "not looked at in time")) ", then: " }
                    (compared_mark(*verdict))
                    @if is_low(difference) { " " (mark(Tone::Ailing, "low")) }
                }
                td { (moment(*at, now)) }
            } } }
        } }
    }
}

/// Nothing is compared without the books, and the books are in the log.
fn nowhere_looked(desk: &OperatorState) -> &'static str {
    if desk.store.is_ready() {
        "No place was looked at yet; the reconciler does so by itself."
    } else {
        "Nothing is known of them: they are looked at when the log is open."
    }
}

/// Below how much operators are told, if they are at all.
fn threshold(desk: &OperatorState, difference: &Difference) -> Option<String> {
    let of_it = |one: &&Threshold| one.place == difference.place && one.coin == difference.coin && one.units > 0;
    desk.thresholds.iter().find(of_it).map(|one| units(difference, i128::from(one.units)))
}

/// Whether the desk should have looked again by now, twice over.
fn is_old(desk: &OperatorState, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let limit = desk.reconciles_every.and_then(|every| TimeDelta::from_std(every * 2).ok());
    limit.is_some_and(|limit| now - at > limit)
}

fn units(difference: &Difference, units: impl Into<i128>) -> String {
    difference.coin.amount(units.into())
}

fn compared_mark(verdict: Compare) -> Markup {
    let (tone, word) = match verdict {
        Compare::Fits => (Tone::Well, "fits the books"),
        Compare::Surplus => (Tone::Ailing, "more than booked"),
        Compare::Missing => (Tone::Broken, "less than booked"),
    };
    mark(tone, word)
}
