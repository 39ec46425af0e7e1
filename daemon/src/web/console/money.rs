//! The books: what stands on each account and that it comes to nothing, what was found in each place, and the brakes.

mod rounds;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::projection::LedgerCut;
use millrace_model::desk::{Desk, Setting, Switch};
use millrace_model::event::Event;
use millrace_model::ids::StreamName;
use millrace_model::ledger::{Balance, Ticker};
use serde::Deserialize;

pub(super) use rounds::show as rounds;

use super::act::{Act, Reason, Weight, Why, done, offer};
use super::frame::{Page, Place, answer};
use super::known::Known;
use super::words::{Tone, amount, count, mark, moment};
use crate::web::extract::Path;
use crate::web::operator::ledger::balance_row;
use crate::web::operator::{OperatorState, note, refused};
use crate::web::problem::Problem;
use crate::web::session::{Operator, Submitted};
use crate::web::shapes::BalanceRow;

const PAGE: Page<'_> = Page { place: Place::Money, title: "Money", follows: "log projections places" };
/// Of what operators did to the brakes, so many of the newest are shown.
const ACTS_SHOWN_MAX: u64 = 500;
const ACTS_ROWS_MAX: usize = 20;

pub(super) async fn show(State(desk): State<Arc<OperatorState>>, operator: Operator) -> Response {
    let shown = body(&desk, &operator).await;
    answer(&desk, &operator, &PAGE, shown)
}

async fn body(desk: &Arc<OperatorState>, operator: &Operator) -> Result<Markup, Problem> {
    let now = desk.now();
    let known = Known::now(desk).await;
    let (acts, rounds) = (acts(desk).await, rounds::read(desk, None, rounds::Look::FIRST).await);
    let brakes = desk.operations.switches().borrow().clone();
    Ok(html! {
        section aria-labelledby="brakes" {
            h2 #brakes { "Brakes" }
            (brakes_shown(operator, desk.store.is_ready(), &brakes))
            @match acts {
                Ok(acts) => (acts_shown(&acts, now)),
                Err(problem) => p role="alert" { "Who set them is not known at the moment: " (problem.message()) },
            }
        }
        section aria-labelledby="balances" {
            h2 #balances { "Balances" }
            @match &known {
                Some(known) => (balances(&known.ledger)),
                None => p { "Not known while the log is not open." },
            }
        }
        section aria-labelledby="places" {
            h2 #places { "Places against the books" }
            (super::overview::places(desk, brakes.alerts(), now))
            (rounds::how_often(desk, now))
        }
        (rounds::section(&rounds, now))
    })
}

const SWITCHES: [(Switch, &str, &str, &str); 3] = [
    (
        Switch::Binds,
        "binds",
        "Deposit addresses",
        "No new deposit address is given out; what is paid to the others is served.",
    ),
    (Switch::Purchases, "purchases", "Purchases", "No order goes to the exchange; deposits wait to be bought for."),
    (Switch::Sends, "sends", "Payouts", "Nothing is paid out; deposits wait to be sent."),
];

fn brakes_shown(operator: &Operator, is_open: bool, desk: &Desk) -> Markup {
    if !is_open {
        return html! { p role="alert" { "The log is not open: everything is off until it is." } };
    }
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "Brake" } th scope="col" { "State" } th scope="col" { "Orders" } } }
            tbody {
                tr {
                    th scope="row" { "Halt of all orders and payouts" }
                    td { @match desk.halt() {
                        Some(cause) => { (mark(Tone::Broken, "halted")) ": " (cause) }
                        None => (mark(Tone::Well, "not halted")),
                    } }
                    td.acts { (halt_act(operator, desk.halt().map(ToString::to_string))) }
                }
                @for (switch, word, name, says) in SWITCHES { tr {
                    th scope="row" { (name) }
                    td { @match desk.setting(switch) {
                        Setting::On => (mark(Tone::Well, "on")),
                        Setting::Off => (mark(Tone::Ailing, "off")),
                    } }
                    td.acts { (switch_act(operator, word, desk.setting(switch), says)) }
                } }
            }
        } }
    }
}

fn halt_act(operator: &Operator, cause: Option<String>) -> Markup {
    let (id, label, to, says) = if cause.is_some() {
        let says = "Orders and payouts go out again. What it was halted for counts as looked at by you.";
        ("resume", "Resume", "/console/money/resume", says)
    } else {
        ("halt", "Halt", "/console/money/halt", "No order and no payout goes out any more until somebody resumes.")
    };
    let fields = html! { @if let Some(cause) = cause { input type="hidden" name="cause" value=(cause); } };
    offer(operator, &Act { id, label, to, says, weight: Weight::Grave, reason: Reason::Asked, fields })
}

fn switch_act(operator: &Operator, word: &str, now: Setting, says: &str) -> Markup {
    let (to, label, says) = match now {
        Setting::On => ("off", "Turn off", says),
        Setting::Off => ("on", "Turn on", "It works again, and what waited goes on."),
    };
    let (id, to) = (format!("{word}-{to}"), format!("/console/money/switches/{word}/{to}"));
    offer(
        operator,
        &Act { id: &id, label, to: &to, says, weight: Weight::Light, reason: Reason::Asked, fields: html! {} },
    )
}

/// What was done to the brakes, the newest first.
async fn acts(desk: &Arc<OperatorState>) -> Result<Vec<(u64, DateTime<Utc>, String)>, Problem> {
    desk.read(|reader| {
        let events = reader.last_of(&StreamName::Desk, ACTS_SHOWN_MAX)?;
        let told = events.into_iter().rev().filter_map(|recorded| {
            let (position, at) = (recorded.position, recorded.recorded_at);
            act_told(&recorded.event).map(|told| (position, at, told))
        });
        Ok(told.take(ACTS_ROWS_MAX).collect())
    })
    .await
}

fn act_told(event: &Event) -> Option<String> {
    use millrace_model::desk::Event as DeskEvent;
    let Event::Desk(event) = event else { return None };
    match event {
        DeskEvent::SwitchSet(set) => {
            let setting = if set.setting == Setting::On { "on" } else { "off" };
            let name =
                SWITCHES.iter().find(|(switch, ..)| *switch == set.switch).map_or("A switch", |(_, _, name, _)| name);
            Some(format!("{name} turned {setting}: {}", set.note))
        }
        DeskEvent::Halted(halted) => Some(format!("Halted: {}", halted.cause)),
        DeskEvent::Resumed(resumed) => Some(format!("Resumed: {}", resumed.note)),
        DeskEvent::TransferDeclared(declared) => Some(format!("Transfer declared: {}", declared.note)),
        _ => None,
    }
}

fn acts_shown(acts: &[(u64, DateTime<Utc>, String)], now: DateTime<Utc>) -> Markup {
    html! {
        h3 { "Who set what, and why" }
        @if acts.is_empty() { p { "Nobody has touched them yet." } } @else {
            ul { @for (position, at, told) in acts { li {
                a href={ "/console/log/" (position) } { (moment(*at, now)) } " " (told)
            } } }
        }
    }
}

fn balances(books: &LedgerCut) -> Markup {
    let all = books.balances.all();
    html! {
        @if !books.unreadable.is_empty() {
            p role="alert" { (count(books.unreadable.len() as u64)) " deposits cannot be read whole; what they posted later is missing here." }
        }
        @if all.is_empty() { p { "Nothing was ever booked." } } @else {
            div.scroll tabindex="0" { table {
                caption { "As of position " (count(books.position)) ". Debits less credits; a liability stands below zero." }
                thead { tr { th scope="col" { "Account" } th scope="col" { "Says" } th.n scope="col" { "Balance" } } }
                tbody { @for BalanceRow { account, nature, coin, amount: text } in all.iter().map(balance_row) { tr {
                    th scope="row" { (account.as_str().replace('_', " ")) }
                    td.soft { (nature.as_str().replace('_', " ")) }
                    td.n { (amount(&text, coin.as_str())) }
                } } }
                tfoot { @for coin in [Ticker::Btc, Ticker::Sky] { @let sum = sum(all, coin); tr {
                    th scope="row" { "All accounts together" } td { (trial(sum)) } td.n { (amount(&coin.amount(sum), coin.as_str())) }
                } } }
            } }
        }
    }
}

/// The sum over all accounts in smallest units, which is nothing while every event's postings are balanced.
fn sum(balances: &[Balance], coin: Ticker) -> i128 {
    balances.iter().filter(|balance| balance.coin == coin).map(|balance| balance.units).sum()
}

fn trial(sum: i128) -> Markup {
    if sum == 0 { mark(Tone::Well, "balanced") } else { mark(Tone::Broken, "does not balance") }
}

pub(super) async fn halt(
    State(desk): State<Arc<OperatorState>>,
    Submitted { operator, fields, .. }: Submitted<Why>,
) -> Response {
    let outcome = async { desk.operations.halt_by(note(&fields.note)?, operator.by()).await.map_err(refused) };
    done(outcome.await.map(|_| Place::Money.path().to_owned()), Place::Money.path())
}

/// Why orders and payouts go out again, and the halt that was seen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resume {
    note: String,
    cause: String,
}

/// A halt that was not seen is not lifted.
pub(super) async fn resume(
    State(desk): State<Arc<OperatorState>>,
    Submitted { operator, fields, .. }: Submitted<Resume>,
) -> Response {
    let outcome = async {
        let halted = desk.operations.switches().borrow().halt().map(ToString::to_string);
        if halted.as_ref() != Some(&fields.cause) {
            let message = "The desk is not halted for what you saw any more: look at it as it is now.";
            return Err(Problem::conflict("not_allowed", message));
        }
        desk.operations.resume(note(&fields.note)?, operator.by()).await.map_err(refused)
    };
    done(outcome.await.map(|_| Place::Money.path().to_owned()), Place::Money.path())
}

pub(super) async fn turn(
    State(desk): State<Arc<OperatorState>>,
    Path((switch, setting)): Path<(Switch, Setting)>,
    Submitted { operator, fields, .. }: Submitted<Why>,
) -> Response {
    let outcome = async {
        desk.operations.set_switch(switch, setting, note(&fields.note)?, operator.by()).await.map_err(refused)
    };
    done(outcome.await.map(|_| Place::Money.path().to_owned()), Place::Money.path())
}
