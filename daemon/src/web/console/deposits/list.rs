//! The list of deposits, newest first: filtered by where they stand and whose they are, in pages.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::projection::DepositRow;
use millrace_model::ids::Position;
use serde::Deserialize;

use super::path;
use super::search::{self, CHARS_MAX, Sought};
use crate::web::console::frame::{Page, Place, answer, failed};
use crate::web::console::known::Known;
use crate::web::console::words::{self, amount, count, moment, short, status};
use crate::web::extract::Query;
use crate::web::operator::deposits::{Listed, Wanted, listed, reason};
use crate::web::operator::{OperatorState, deposit_statuses};
use crate::web::problem::Problem;
use crate::web::session::Operator;

pub(super) const PAGE: Page<'_> = Page { place: Place::Deposits, title: "Deposits", follows: "log projections" };
/// A screen or two.
const ROWS_MAX: u32 = 50;

/// What is in the address of the list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    status: Option<String>,
    target: Option<String>,
    /// What is looked for; then the others do not count.
    q: Option<String>,
    after: Option<Position>,
}

impl Asked {
    /// A field that was left empty was not filled in.
    fn cleaned(self) -> Self {
        let said = |field: Option<String>| field.filter(|text| !text.is_empty());
        Self { status: said(self.status), target: said(self.target), q: said(self.q), after: self.after }
    }

    /// The address of the list that is asked for.
    fn address(&self) -> String {
        let after = self.after.map(|after| after.to_string());
        let fields = [("status", &self.status), ("target", &self.target), ("after", &after)];
        let said = fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(said).finish();
        if query.is_empty() { Place::Deposits.path().to_owned() } else { format!("{}?{query}", Place::Deposits.path()) }
    }
}

/// Where the deposits of a customer are listed.
pub(super) fn of_customer(target: &str) -> String {
    Asked { target: Some(target.to_owned()), ..Asked::default() }.address()
}

pub(super) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    asked: Result<Query<Asked>, Problem>,
) -> Response {
    let asked = asked.map(|Query(asked)| asked.cleaned());
    let sought = asked.and_then(|asked| Ok((Sought::parse(asked.q.as_deref().unwrap_or_default())?, asked)));
    match sought {
        Ok((Some(sought), asked)) => {
            search::shown(&desk, &operator, asked.q.as_deref().unwrap_or_default(), &sought).await
        }
        Ok((None, asked)) => {
            let body = body(&desk, &asked).await;
            answer(&desk, &operator, &PAGE, body)
        }
        Err(problem) => failed(&desk, &operator, &PAGE, &problem),
    }
}

async fn body(desk: &OperatorState, asked: &Asked) -> Result<Markup, Problem> {
    let Asked { status, target, after, q: _ } = asked.clone();
    let wanted = Wanted { status, target, after, limit: Some(ROWS_MAX) };
    let Listed { rows, next } = listed(desk, wanted, None).await?;
    Ok(html! {
        (search(""))
        @if let Some(known) = Known::now(desk).await { (counts(&known, asked)) }
        (whose(asked))
        @if rows.is_empty() { (nothing(asked)) } @else { (table(&rows, desk.now())) }
        (pager(asked, next))
    })
}

/// The field for what is looked for.
pub(super) fn search(text: &str) -> Markup {
    html! {
        form.filters role="search" method="get" action=(Place::Deposits.path()) {
            input type="search" name="q" value=(text) maxlength=(CHARS_MAX) autocomplete="off" aria-label="Find a deposit"
                placeholder="Id, transaction, address, customer or order";
            button { "Find" }
        }
    }
}

/// How many stand where, each number a way to them.
fn counts(known: &Known, asked: &Asked) -> Markup {
    let counts = known.totals.counts();
    let of = |word: &str| counts.iter().find(|(status, _)| status == word).map_or(0, |(_, deposits)| *deposits);
    let all = counts.iter().map(|(_, deposits)| deposits).sum();
    let to = |status: Option<&str>| Asked { status: status.map(str::to_owned), after: None, ..asked.clone() }.address();
    let chosen = asked.status.as_deref();
    html! {
        ul.filter aria-label="Where they stand" {
            li { a href=(to(None)) aria-current=[chosen.is_none().then_some("true")] { "All " span.num { (count(all)) } } }
            @for word in deposit_statuses() {
                @if of(word) > 0 || chosen == Some(word) {
                    li { a href=(to(Some(word))) aria-current=[(chosen == Some(word)).then_some("true")] {
                        (status(word)) " " span.num { (count(of(word))) }
                    } }
                }
            }
        }
    }
}

fn whose(asked: &Asked) -> Markup {
    let all = Asked { target: None, after: None, ..asked.clone() };
    html! {
        @if let Some(target) = &asked.target {
            p { "Only those that are paid out to " code { (target) } ". " a href=(all.address()) { "Everybody's" } }
        }
    }
}

fn nothing(asked: &Asked) -> Markup {
    let text = match (&asked.after, &asked.target, &asked.status) {
        (Some(_), _, _) => "There are no older ones.",
        (None, Some(_), _) => "This customer has none here.",
        (None, None, Some(_)) => "None stands there.",
        (None, None, None) => "No deposit yet. Addresses are given out on the customers' page.",
    };
    html! { p { (text) } }
}

/// The rows of a page.
pub(super) fn table(rows: &[DepositRow], now: DateTime<Utc>) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { "Deposit" } th scope="col" { "Stands at" } th.n scope="col" { "Received" }
                th.n scope="col" { "Payout" } th scope="col" { "Customer" } th.n scope="col" { "First seen" }
                th.n scope="col" { "Last event" }
            } }
            tbody { @for row in rows { (line(row, now)) } }
        } }
    }
}

fn line(row: &DepositRow, now: DateTime<Utc>) -> Markup {
    html! {
        tr id={ "deposit-" (row.id) } {
            th scope="row" { a href=(path(row.id)) { code { (row.id) } } }
            td { (status(&row.status)) @if let Some(reason) = reason(row) { " " span.soft { (words::reason(&reason)) } } }
            td.n { (amount(&row.amount.to_string(), "BTC")) }
            td.n { @if let Some(payout) = row.payout { (amount(&payout.to_string(), "SKY")) } @else { "–" } }
            td { @match &row.target {
                Some(target) => a href=(of_customer(target)) { (short(target)) },
                None => span.soft { "nobody" },
            } }
            td.n { (moment(row.detected_at, now)) }
            td.n { (moment(row.updated_at, now)) }
        }
    }
}

fn pager(asked: &Asked, next: Option<Position>) -> Markup {
    let at = |after| Asked { after, ..asked.clone() }.address();
    html! {
        div.pager {
            @if asked.after.is_some() { a rel="prev" href=(at(None)) { "◀ Newest" } }
            @if next.is_some() { a rel="next" href=(at(next)) { "Older ▶" } }
        }
    }
}
