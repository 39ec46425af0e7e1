//! One deposit: how it stands now, what may be done to it, and all that is known of it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::projection::DepositRow;
use millrace_model::ids::DepositId;

use super::list::of_customer;
use super::read::Stream;
use super::{money, timeline};
use crate::web::console::frame::{Page, Place, answer};
use crate::web::console::words::{amount, exactly, moment, status};
use crate::web::extract::Path;
use crate::web::operator::OperatorState;
use crate::web::operator::deposits::reason;
use crate::web::problem::Problem;
use crate::web::session::Operator;

pub(super) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Path(id): Path<DepositId>,
) -> Response {
    let title = format!("Deposit {id}");
    let page = Page { place: Place::Deposits, title: &title, follows: "log" };
    let body = body(&desk, id).await;
    answer(&desk, &operator, &page, body)
}

async fn body(desk: &Arc<OperatorState>, id: DepositId) -> Result<Markup, Problem> {
    let stream = Stream::of(desk, id).await?;
    let (now, deposit) = (desk.now(), stream.deposit());
    Ok(html! {
        @if let Some(row) = stream.row() { (facts(&row, now)) }
        h2 #story { "What happened, and why" }
        (timeline::told(&stream, now))
        h2 #postings { "Postings" }
        (money::postings(&stream.events))
        h2 #orders { "Orders and fills" }
        (money::purchase(&stream.events, deposit.as_ref()))
        h2 #payout { "Payout" }
        (money::payout(deposit.as_ref()))
    })
}

fn facts(row: &DepositRow, now: DateTime<Utc>) -> Markup {
    html! {
        dl.facts {
            dt { "Stands at" }
            dd { (status(&row.status)) @if let Some(reason) = reason(row) { " " (reason) } ", since " (moment(row.updated_at, now)) }
            dt { "Received" } dd { (amount(&row.amount.to_string(), "BTC")) " at " (exactly(row.detected_at)) }
            dt { "On the address" } dd { code { (row.address) } }
            dt { "By the output" } dd { code { (row.outpoint) } @if let Some(height) = row.height { " in block " (height) } }
            dt { "Customer" }
            dd { @match &row.target {
                Some(target) => { code { (target) } " " a href=(of_customer(target)) { "all of his deposits" } }
                None => "nobody was given this address",
            } }
            @if let Some(payout) = row.payout { dt { "Payout" } dd { (amount(&payout.to_string(), "SKY")) } }
            @if let Some(txid) = row.payout_txid { dt { "Paid out by" } dd { code { (txid) } } }
            dt { "Version" } dd { (row.version) ", position " (row.seq) " on" }
        }
    }
}
