//! The books: what stands on each account and that it comes to nothing, what was found in each place, and the brakes.

mod brakes;
mod rounds;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use millrace_actors::projection::LedgerCut;
use millrace_model::desk::{Setting, Switch};
use millrace_model::ledger::{Balance, Ticker};
use serde::Deserialize;

pub(super) use rounds::show as rounds;

use super::act::done;
use super::frame::{Page, Place, answer};
use super::known::Known;
use super::words::{Tone, amount, count, mark};
use crate::web::extract::Path;
use crate::web::operator::act::Why;
use crate::web::operator::ledger::balance_row;
use crate::web::operator::{OperatorState, note, refused};
use crate::web::problem::Problem;
use crate::web::session::{Operator, Submitted};
use crate::web::shapes::BalanceRow;

const PAGE: Page<'_> = Page { place: Place::Money, title: "Money", follows: "log projections places" };

pub(super) async fn show(State(desk): State<Arc<OperatorState>>, operator: Operator) -> Response {
    let shown = body(&desk, &operator).await;
    answer(&desk, &operator, &PAGE, shown)
}

async fn body(desk: &Arc<OperatorState>, operator: &Operator) -> Result<Markup, Problem> {
    let now = desk.now();
    let known = Known::now(desk).await;
    let (turns, rounds) = (brakes::turns(desk).await, rounds::read(desk, None, rounds::Look::FIRST).await);
    let stands = desk.operations.switches().borrow().clone();
    Ok(html! {
        section aria-labelledby="brakes" {
            h2 #brakes { "Brakes" }
            @if desk.store.is_ready() { (brakes::table(operator, &stands, turns.as_deref().unwrap_or_default(), now)) }
            @else { p role="alert" { "The log is not open: everything is off until it is." } }
            @match turns {
                Ok(turns) => (brakes::list(&turns, now)),
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
            (super::overview::places(desk, stands.alerts(), now))
            (rounds::how_often(desk, now))
        }
        (rounds::section(&rounds, now))
    })
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
