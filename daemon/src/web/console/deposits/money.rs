//! What a deposit moved: postings in the ledger's words, orders with their fills, and the payout to its bytes.

use maud::{Markup, html};
use millrace_model::deposit::{Deposit, PayoutBasis, SignedPayout};
use millrace_model::event::Recorded;
use millrace_model::ledger::{Posting, Ticker};
use millrace_model::money::{Amount, Btc, Sky};
use millrace_model::purchase::Purchase;

use super::in_log;
use super::orders::{Order, orders};
use crate::web::console::words::{amount, counted, short};
use crate::web::operator::ledger::{Posted, posted};

/// What its events posted; each event's postings come to zero, and so do all of them.
pub(super) fn postings(events: &[Recorded]) -> Markup {
    let Posted { complete, postings } = posted(events);
    html! {
        @if postings.is_empty() {
            p { "Nothing is posted yet: what is not received is in no book." }
        } @else {
            div.scroll tabindex="0" { table {
                caption { "A debit is positive, a credit negative" }
                thead { tr {
                    th scope="col" { "Event" } th scope="col" { "Account" } th.n scope="col" { "BTC" } th.n scope="col" { "SKY" }
                } }
                tbody { @for (index, (recorded, posting)) in postings.iter().enumerate() {
                    @let is_first = index == 0 || postings[index - 1].0.position != recorded.position;
                    tr {
                        th scope="row" { @if is_first { a href=(in_log(recorded.position)) { (recorded.event.kind()) } } }
                        td { (posting.account.as_str().replace('_', " ")) }
                        @for coin in Ticker::ALL { td.n { @if posting.coin == coin { (coin.amount(posting.units.into())) } } }
                    }
                } }
                tfoot { tr {
                    th scope="row" colspan="2" { "Together" }
                    @for coin in Ticker::ALL { td.n { (coin.amount(sum(&postings, coin))) } }
                } }
            } }
        }
        @if !complete { p role="alert" { "What follows the event that cannot be read is missing here." } }
    }
}

fn sum(postings: &[(&Recorded, Posting)], coin: Ticker) -> i128 {
    postings.iter().filter(|(_, posting)| posting.coin == coin).map(|(_, posting)| i128::from(posting.units)).sum()
}

/// The orders, and what they came to.
pub(super) fn purchase(events: &[Recorded], deposit: Option<&Deposit>) -> Markup {
    let orders = orders(events);
    html! {
        @if let Some(purchase) = deposit.and_then(|deposit| deposit.purchase.as_ref()) { (together(purchase, deposit)) }
        @if orders.is_empty() { p { "No order was sent." } } @else { (table(&orders)) }
    }
}

fn together(purchase: &Purchase, deposit: Option<&Deposit>) -> Markup {
    html! {
        dl.facts {
            dt { "Budget" } dd { (amount(&purchase.budget().to_string(), "BTC")) }
            @if let Some(ask) = deposit.and_then(|deposit| deposit.best_ask) {
                dt { "Cheapest ask at the decision" } dd { (amount(&ask.to_string(), "BTC/SKY")) }
            }
            dt { "Bought" } dd { (amount(&purchase.bought().to_string(), "SKY")) }
            dt { "Spent" } dd { (amount(&purchase.spent().to_string(), "BTC")) }
            @if let Some(average) = average(purchase.bought(), purchase.spent()) { dt { "At, on average" } dd { (amount(&average, "BTC/SKY")) } }
            dt { "Fees" } dd { (amount(&purchase.fee().to_string(), "BTC")) }
            @if let Some(remainder) = deposit.and_then(|deposit| deposit.remainder.as_ref()) {
                dt { "Left over" } dd { (amount(&remainder.amount.to_string(), "BTC")) }
            }
        }
    }
}

/// What a SKY cost, cut to twelve decimals: satoshi a droplet are hundredths of BTC a SKY.
pub(super) fn average(bought: Amount<Sky>, spent: Amount<Btc>) -> Option<String> {
    const SCALE: u128 = 1_000_000_000_000;
    let above = u128::from(spent.units()).checked_mul(SCALE)?;
    let price = above.checked_div(u128::from(bought.units()).checked_mul(100)?)?;
    Some(format!("{}.{:012}", price / SCALE, price % SCALE))
}

fn table(orders: &[Order]) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { "Order" } th scope="col" { "Exchange's number" } th.n scope="col" { "Limit" }
                th.n scope="col" { "Ordered" } th.n scope="col" { "Filled" } th.n scope="col" { "At, on average" }
                th.n scope="col" { "Fee" } th scope="col" { "Stands at" }
            } }
            tbody { @for order in orders { tr {
                th scope="row" { a href=(in_log(order.position)) { code { (order.intent.cid) } } }
                td { @match order.order_id { Some(number) => code { (number) }, None => "–" } }
                td.n { (amount(&order.intent.price.to_string(), "BTC/SKY")) }
                td.n { (amount(&order.intent.quantity.to_string(), "SKY")) }
                @match &order.seen {
                    Some(seen) => {
                        td.n { (amount(&seen.completed.to_string(), "SKY")) }
                        td.n { @match seen.avg_price { Some(price) => (amount(&price.to_string(), "BTC/SKY")), None => "–" } }
                        td.n { (amount(&seen.fee.to_string(), "BTC")) }
                    }
                    None => { td.n { "–" } td.n { "–" } td.n { "–" } }
                }
                td {
                    (order.stands())
                    @if order.is_cancel_asked { ", end asked for" }
                    @if let Some(reason) = &order.refused { ": " (reason) }
                    @if order.observations > 1 { " " span.soft { "heard of " (order.observations) " times" } }
                }
            } } }
        } }
    }
}

/// What is paid out, and the bytes that do it.
pub(super) fn payout(deposit: Option<&Deposit>) -> Markup {
    let Some(payout) = deposit.and_then(|deposit| deposit.payout.as_ref()) else {
        return html! { p { "It is not decided yet how much is paid out." } };
    };
    html! {
        dl.facts {
            dt { "Amount" } dd { (amount(&payout.amount.to_string(), "SKY")) }
            dt { "Rests on" } dd { @match &payout.basis {
                PayoutBasis::Direct { rate } => { "a sale from stock at " (rate) " SKY/BTC" },
                PayoutBasis::Bought => "what was bought for it",
            } }
            dt { "Cut off" } dd { (amount(&payout.rounding.to_string(), "SKY")) }
            dt { "Begun" } dd { (counted(payout.attempt.into(), "time", "times")) }
        }
        @match &payout.signed { Some(signed) => (bytes(signed)), None => p { "Nothing is signed." } }
    }
}

fn bytes(signed: &SignedPayout) -> Markup {
    html! {
        dl.facts {
            dt { "Transaction" } dd { code { (signed.txid) } " " (copy("Copy", &signed.txid.to_string())) }
            dt { "Without signatures" } dd { code { (signed.inner_hash) } }
            dt { "Spends" } dd { @for (index, input) in signed.inputs.iter().enumerate() {
                @if index > 0 { ", " }
                (short(&input.to_string()))
            } }
        }
        details {
            summary { "The signed bytes (" (signed.bytes.len() / 2) ")" }
            (copy("Copy all of them", &signed.bytes))
            pre { (signed.bytes) }
        }
    }
}

fn copy(label: &str, text: &str) -> Markup {
    html! { button.quiet type="button" data-copy=(text) { (label) } }
}
