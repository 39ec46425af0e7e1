//! The whole desk at a moment: balances, what stood where, what was open, the switches, and what is another now.

mod against_now;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use millrace_model::comparison::Comparison;
use millrace_model::desk::Setting;
use millrace_model::ids::{DepositId, Position};
use serde::Deserialize;

use super::frame::{Page, Place, answer};
use super::instant::{instant, typed};
use super::words::{self, amount, count, counted, exactly, short, status};
use crate::web::extract::Query;
use crate::web::operator::OperatorState;
use crate::web::operator::overview::{DeskOverview, OpenDeposit, StandingLine, look};
use crate::web::problem::Problem;
use crate::web::session::Operator;

const PAGE: Page<'_> = Page { place: Place::Past, title: "The desk at a moment", follows: "" };
/// Open deposits on a page.
const ROWS_MAX: usize = 50;

/// The pages of the desk's past.
pub(super) fn pages() -> Router<Arc<OperatorState>> {
    Router::new().route(PATH, get(show))
}

const PATH: &str = Place::Past.path();

/// Which moment; where both are given, whichever comes first, and without either now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    position: Option<Position>,
    at: Option<String>,
    /// Of the open deposits, those after this one.
    after: Option<DepositId>,
}

async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    asked: Result<Query<Asked>, Problem>,
) -> Response {
    let body = async { body(&desk, asked?.0).await };
    let body = body.await;
    answer(&desk, &operator, &PAGE, body)
}

async fn body(desk: &Arc<OperatorState>, asked: Asked) -> Result<Markup, Problem> {
    let (moment, after) = ((asked.position, instant(asked.at.as_deref())?), asked.after);
    let seen = look(desk, moment, move |look| Ok((look.shown(after, ROWS_MAX), against_now::compared(&look)?)));
    let (then, comparison) = seen.await?;
    Ok(shown(&then, &comparison))
}

fn shown(then: &DeskOverview, comparison: &Comparison) -> Markup {
    html! {
        (slider(then))
        div.cards {
            section aria-labelledby="standing" { h2 #standing { "Deposits" } (standing(then)) }
            section aria-labelledby="balances" { h2 #balances { "Balances" } (balances(then)) }
            section aria-labelledby="switches" { h2 #switches { "Switches and the rest" } (switches(then)) }
        }
        h2 #open { "Open deposits" }
        (open(then))
        h2 #now { "What is another now" }
        (against_now::shown(comparison))
    }
}

fn address(position: Position) -> String {
    format!("{PATH}?position={position}")
}

/// The ways to the moments before and after; without scripts, the fields and their buttons do.
fn slider(then: &DeskOverview) -> Markup {
    let DeskOverview { position, recorded_at, head, .. } = then;
    html! {
        p {
            @match recorded_at {
                Some(at) => { "After the event at " a href={ (Place::Log.path()) "/" (position) } { "position " (count(*position)) } ", recorded " (exactly(*at)) ", of " (count(*head)) " now." }
                None => "Before the first event.",
            }
            " " a href=(address(*position)) { "A link to this moment" } "."
        }
        div.travel {
            @if *position > 0 { a.button.quiet rel="prev" href=(address(position - 1)) { "◀ before" } }
            input #slider type="range" name="position" min="0" max=(head) value=(position) aria-label="After which position"
                hx-get=(PATH) hx-trigger="input throttle:50ms, change" hx-sync="this:replace" hx-target="#live" hx-select="#live" hx-swap="outerMorph"
                hx-replace-url="true";
            @if position < head { a.button.quiet rel="next" href=(address(position + 1)) { "after ▶" } }
            a.button.quiet href=(PATH) { "now" }
        }
        div.travel {
            form method="get" action=(PATH) {
                label { "After position " input type="number" name="position" min="0" max=(head) value=(position) required; }
                " " button.quiet { "Go" }
            }
            form method="get" action=(PATH) {
                label { "At, in UTC " input type="datetime-local" step="0.001" name="at" value=[recorded_at.map(typed)] required; }
                " " button.quiet { "Go" }
            }
        }
    }
}

fn standing(then: &DeskOverview) -> Markup {
    html! {
        p { (counted(then.deposits, "deposit", "deposits")) ", " (count(then.open)) " of them open" }
        @if !then.standing.is_empty() { div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { "Stood at" } th.n scope="col" { "Deposits" } th.n scope="col" { "Received" }
                th.n scope="col" { "Paid or to pay" }
            } }
            tbody { @for StandingLine { status: stage, outcome, deposits, received_btc, payout_sky } in &then.standing { tr {
                th scope="row" { (status(stage.as_str())) @if let Some(ended) = outcome { " " (ended.as_str().replace('_', " ")) } }
                td.n { (count(*deposits)) }
                td.n { (amount(received_btc, "BTC")) }
                td.n { (amount(payout_sky, "SKY")) }
            } } }
        } } }
        @if !then.unreadable.is_empty() {
            p role="alert" {
                (counted(then.unreadable.len() as u64 + then.more_unreadable, "deposit", "deposits"))
                " cannot be read from an event on: what followed is in none of these numbers."
            }
        }
    }
}

fn balances(then: &DeskOverview) -> Markup {
    html! {
        @if then.balances.is_empty() { p { "Nothing was booked yet." } } @else { div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "Account" } th.n scope="col" { "Balance" } } }
            tbody { @for row in &then.balances { tr {
                th scope="row" { (row.account.as_str().replace('_', " ")) }
                td.n { (amount(&row.amount, row.coin.as_str())) }
            } } }
        } } }
    }
}

const fn word(setting: Setting) -> &'static str {
    match setting {
        Setting::On => "on",
        Setting::Off => "off",
    }
}

fn switches(then: &DeskOverview) -> Markup {
    html! {
        dl.facts {
            dt { "Addresses are given out" } dd { (word(then.switches.binds)) }
            dt { "Purchases" } dd { (word(then.switches.purchases)) }
            dt { "Payouts" } dd { (word(then.switches.sends)) }
            dt { "Halted" } dd { @match &then.switches.halted { Some(cause) => (cause), None => "no" } }
            dt { "Addresses given out" } dd { (count(then.addresses)) }
            dt { "Bitcoin was read to" } dd { @match &then.block { Some(block) => { "block " (block.height) }, None => "nowhere" } }
            dt { "Outputs of the wallet reserved" } dd { (count(then.reserved_outputs as u64)) }
            dt { "Restored from a backup" } dd { (counted(then.restorations as u64, "time", "times")) }
        }
    }
}

fn open(then: &DeskOverview) -> Markup {
    let next = then.next.map(|next| format!("{}&after={next}#open", address(then.position)));
    html! {
        @if then.open_deposits.is_empty() { p { "None was open." } } @else { div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { "Deposit" } th scope="col" { "Stood at" } th.n scope="col" { "Received" }
                th.n scope="col" { "Payout" } th scope="col" { "Customer" }
            } }
            tbody { @for deposit in &then.open_deposits { (line(then, deposit)) } }
        } } }
        @if let Some(next) = next { div.pager { a href=(next) { (count(then.more)) " more ▶" } } }
    }
}

fn line(then: &DeskOverview, deposit: &OpenDeposit) -> Markup {
    // Down to the microsecond, so that it is this very moment.
    let at = then.recorded_at.map(|at| at.format("?at=%Y-%m-%dT%H:%M:%S%.6fZ").to_string()).unwrap_or_default();
    html! {
        tr {
            th scope="row" { a href={ (Place::Deposits.path()) "/" (deposit.id) (at) } { code { (deposit.id) } } }
            td { (status(deposit.status.as_str())) @if let Some(reason) = &deposit.reason { " " span.soft { (words::reason(reason)) } } }
            td.n { (amount(&deposit.received.to_string(), "BTC")) }
            td.n { @match deposit.payout { Some(payout) => (amount(&payout.to_string(), "SKY")), None => "–" } }
            td { @match &deposit.target { Some(target) => (short(target)), None => span.soft { "nobody" } } }
        }
    }
}
