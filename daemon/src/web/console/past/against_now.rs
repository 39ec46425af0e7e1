//! A moment of the desk held against now: which balances, counts, switches and deposits are others.

use maud::{Markup, html};
use millrace_actors::moments::compare_looks;
use millrace_actors::stations::OverviewError;
use millrace_model::comparison::{BalanceChange, Comparison, CountChange, Moved, Place, SwitchChange};
use millrace_model::ids::Position;

use super::word;
use crate::web::console::frame::Place as Ways;
use crate::web::console::words::{Tone, count, mark, number, status};
use crate::web::operator::overview::Look;

/// Which deposits moved is known by looking at every event since: a slider may ask for that many times a second.
const LOOK_EVENTS_MAX: Position = 5_000;
/// Moved deposits on the page.
const MOVED_MAX: usize = 100;

/// The moment and now; which deposits moved only where it is not long ago.
pub(super) fn compared(look: &Look<'_>) -> Result<Comparison, OverviewError> {
    let from = look.overview.position;
    let now = look.now()?;
    match look.head - from <= LOOK_EVENTS_MAX {
        true => compare_looks(look.reader, &look.overview, &now),
        false => Ok(Comparison::of(&look.overview, &now, Vec::new(), 0)),
    }
}

pub(super) fn shown(comparison: &Comparison) -> Markup {
    let Comparison { from, to, balances, deposits, moved, more_moved, addresses, switches, halt } = comparison;
    if from.position == to.position {
        return html! { p { "Nothing: this is now." } };
    }
    let is_same = balances.is_empty() && deposits.is_empty() && switches.is_empty() && halt.is_none();
    html! {
        @if is_same { p { "No balance, count or switch is another." } }
        @if !balances.is_empty() { h3 { "Balances" } (accounts(balances)) }
        @if !deposits.is_empty() { h3 { "How many deposits stand where" } (counts(deposits)) }
        @for SwitchChange { switch, before, after } in switches {
            p { "Switch " (format!("{switch:?}").to_lowercase()) ": " (word(*before)) " then, " (word(*after)) " now" }
        }
        @if let Some((before, after)) = halt { p { "Halt: " (said(before)) " then; " (said(after)) " now" } }
        @if addresses.0 != addresses.1 {
            p { "Addresses given out: " (count(addresses.0)) " then, " (count(addresses.1)) " now" }
        }
        @if to.position - from.position > LOOK_EVENTS_MAX {
            p.soft {
                "Which deposits moved is listed where at most " (count(LOOK_EVENTS_MAX)) " events lie between; "
                code { "millrace diff --from " (from.position) } " lists them for any."
            }
        } @else if !moved.is_empty() { h3 { "Deposits that moved" } (those_that_moved(moved, *more_moved)) }
    }
}

fn said(halt: &Option<String>) -> &str {
    halt.as_deref().unwrap_or("not halted")
}

fn accounts(balances: &[BalanceChange]) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { "Account" } th scope="col" { "Coin" } th.n scope="col" { "Then" } th.n scope="col" { "Now" }
                th.n scope="col" { "Difference" }
            } }
            tbody { @for BalanceChange { account, coin, before, after, change } in balances { tr {
                th scope="row" { (account.as_str().replace('_', " ")) }
                td { (coin.as_str()) }
                td.n { (number(before)) } td.n { (number(after)) } td.n { (number(change)) }
            } } }
        } }
    }
}

fn counts(deposits: &[CountChange]) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "Deposits at" } th.n scope="col" { "Then" } th.n scope="col" { "Now" } } }
            tbody { @for CountChange { place, before, after } in deposits { tr {
                th scope="row" { (place.as_str().replace('_', " ")) }
                td.n { (count(*before)) } td.n { (count(*after)) }
            } } }
        } }
    }
}

fn those_that_moved(moved: &[Moved], more: u64) -> Markup {
    let unlisted = more + moved.len().saturating_sub(MOVED_MAX) as u64;
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "Deposit" } th scope="col" { "Then" } th scope="col" { "Now" } } }
            tbody { @for Moved { deposit, before, after } in moved.iter().take(MOVED_MAX) { tr {
                th scope="row" { a href={ (Ways::Deposits.path()) "/" (deposit) } { code { (deposit) } } }
                td { @match before { Some(place) => (stood(*place)), None => "not seen yet" } }
                td { @match after { Some(place) => (stood(*place)), None => (status("unreadable")) } }
            } } }
        } }
        @if unlisted > 0 { p { "And " (count(unlisted)) " more." } }
    }
}

/// What has ended is as it should be, however it ended.
fn stood(place: Place) -> Markup {
    mark(Tone::of_deposit(place.stage.as_str()), &place.as_str().replace('_', " "))
}
