//! What is known of a deposit, as it stands in the lists, or stood.

use chrono::{DateTime, Utc};
use maud::{Markup, Render, html};
use millrace_actors::projection::DepositRow;

use super::list::of_customer;
use crate::web::console::words::{self, amount, exactly, moment, status};
use crate::web::operator::deposits::reason;

pub(super) fn now(row: &DepositRow, now: DateTime<Utc>) -> Markup {
    facts(row, "Stands at", &moment(row.since(), now))
}

/// A state that is past lasts no longer, so its beginning is a moment and no time since.
pub(super) fn then(row: &DepositRow) -> Markup {
    facts(row, "Stood at", &exactly(row.since()))
}

fn facts(row: &DepositRow, stands: &str, since: &impl Render) -> Markup {
    html! {
        dl.facts {
            dt { (stands) }
            dd { (status(&row.status)) @if let Some(reason) = reason(row) { " " (words::reason(&reason)) } ", since " (since) }
            dt { "Amount" } dd { (amount(&row.amount.to_string(), "BTC")) ", first seen " (exactly(row.detected_at)) }
            dt { "On the address" } dd { code { (row.address) } }
            dt { "By the output" } dd { code { (row.outpoint) } @if let Some(height) = row.height { " in block " (height) } }
            dt { "Customer" }
            dd { @match &row.target {
                Some(target) => { code { (target) } " " a href=(of_customer(target)) { "all of his deposits" } }
                None => "nobody was given this address",
            } }
            @if let Some(payout) = row.payout { dt { "Payout" } dd { (amount(&payout.to_string(), "SKY")) } }
            @if let Some(txid) = row.payout_txid { dt { "Paid out by" } dd { code { (txid) } } }
            dt { "Version" } dd { (row.version) ", its first event at position " (row.seq) }
        }
    }
}
