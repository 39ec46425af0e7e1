//! A customer's page: where to send, what came, and how far it is.

use maud::{Markup, PreEscaped, html};
use millrace_model::deposit::HoldReason;
use millrace_model::money::{Amount, Btc};
use qrcode::QrCode;
use qrcode::render::svg;

use super::super::shape::{Customer, Deposit};
use super::super::{Binds, Desk};
use super::layout::told_of;
use super::quote::limits;
use super::reader::Reader;
use super::timeline::{sentence, timeline};

/// So many deposits are shown with their steps; older ones in a line each.
const TIMELINES_MAX: usize = 10;

/// The whole page. `amount` is what the customer meant to deposit.
pub(super) fn whole(desk: &Desk, reader: &Reader, customer: &Customer, amount: Option<Amount<Btc>>) -> Markup {
    let words = reader.words;
    let live = format!("/api/v1/customers/{}/live", customer.target);
    let mut part = format!("/customer/{}?part=fragment&lang={}", customer.target, reader.language.tag());
    if let Some(amount) = amount {
        part.push_str(&format!("&amount={amount}"));
    }
    html! {
        h1 { (words.your_deposits) }
        p { (words.paid_out_to) " " code { (customer.target) } }
        div data-live=(live) data-part=(part) { (fragment(desk, reader, customer, amount)) }
        p .stale data-stale role="status" hidden { (words.stale) " " span data-since=(words.last_news) aria-hidden="true" {} }
        noscript { p { a .button href="" { (words.look_again) } " " ((words.as_of)(&(words.moment)(reader.now))) } }
        @if desk.terms.binds == Binds::Enabled {
            form method="post" action="/bind" {
                input type="hidden" name="target" value=(customer.target);
                button .quiet { (words.another_address) }
            }
        }
        p .faint { (words.keep_link) }
    }
}

/// What changes.
pub(super) fn fragment(desk: &Desk, reader: &Reader, customer: &Customer, amount: Option<Amount<Btc>>) -> Markup {
    let words = reader.words;
    let (newest, earlier) = match customer.addresses.split_last() {
        Some((newest, earlier)) => (Some(newest), earlier),
        None => (None, &[][..]),
    };
    html! {
        (told_of(desk, words))
        @if let Some(newest) = newest { (address(desk, reader, &newest.address, amount)) }
        @if !earlier.is_empty() {
            details {
                summary { (words.earlier_addresses) }
                ul { @for one in earlier { li { code { (one.address) } } } }
            }
        }
        @for one in customer.subscriptions.iter() {
            @if let Some(why) = one.why {
                p .notice role="status" { ((words.silenced)(&(words.moment)(one.subscribed_at))) " " span .faint lang="en" { "(" (why) ")" } }
            }
        }
        section .deposits aria-labelledby="deposits-title" {
            h2 #deposits-title { (words.deposits) }
            @if customer.deposits.is_empty() { p .waiting role="status" { (words.waiting) } }
            @for (place, deposit) in customer.deposits.iter().enumerate() {
                (one(desk, reader, deposit, if place < TIMELINES_MAX { Detail::Steps } else { Detail::Line }))
            }
        }
    }
}

/// How much is shown of a deposit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Steps,
    Line,
}

fn address(desk: &Desk, reader: &Reader, address: &str, amount: Option<Amount<Btc>>) -> Markup {
    let words = reader.words;
    let link = payment_link(address, amount);
    html! {
        section .address aria-labelledby="address-title" {
            (qr_code(&link, &(words.qr_code_of)(address)))
            div {
                h2 #address-title { (words.send_to) }
                @if let Some(amount) = amount { p .sum { (reader.number(amount)) " " span .unit { "BTC" } } }
                p { code #deposit-address { (address) } }
                p .faint #limits { (limits(desk, reader)) }
                p .actions {
                    button #copy .scripted type="button" data-copy=(address) data-copied=(words.copied) aria-describedby="deposit-address" {
                        (words.copy)
                    }
                    a .button #wallet href=(link) { (words.open_wallet) }
                    span #copied .good role="status" data-own {}
                }
            }
        }
    }
}

/// BIP 21: an address, and what is to be paid to it.
fn payment_link(address: &str, amount: Option<Amount<Btc>>) -> String {
    match amount {
        Some(amount) => format!("bitcoin:{address}?amount={amount}"),
        None => format!("bitcoin:{address}"),
    }
}

fn one(desk: &Desk, reader: &Reader, deposit: &Deposit, detail: Detail) -> Markup {
    let words = reader.words;
    html! {
        article id={ "deposit-" (deposit.id) } data-status=(deposit.status) {
            h3 {
                (reader.number(deposit.amount)) " " span .unit { "BTC" }
                @if let Some(payout) = &deposit.payout { " → " (reader.number(payout)) " " span .unit { "SKY" } }
            }
            p role="status" { strong { (sentence(deposit, desk, words)) } }
            @if is_looked_at(deposit) { p { (words.held_next) } }
            @if detail == Detail::Steps { (timeline(deposit, desk, reader)) }
            @if detail == Detail::Line { p .when { (words.changed) " " (reader.time(deposit.updated_at)) } }
            @if let Some(refund) = &deposit.refund {
                dl .terms { dt { (words.owed_back) } dd { (reader.number(refund)) " BTC" } }
                @if *refund < deposit.amount { p .faint { (words.owed_back_rest) } }
            }
        }
    }
}

/// Whether it waits for somebody to decide; what left the chain waits for a block.
fn is_looked_at(deposit: &Deposit) -> bool {
    deposit.status == "held" && !matches!(deposit.held, Some(HoldReason::DepositOrphaned))
}

/// The link as a picture a wallet can read; nothing when it does not fit into one.
fn qr_code(link: &str, label: &str) -> Markup {
    let Ok(code) = QrCode::new(link) else { return html! {} };
    let picture = code.render::<svg::Color<'_>>().min_dimensions(180, 180).build();
    let picture = picture.split_once("?>").map_or(picture.as_str(), |(_, svg)| svg);
    html! { div .qr role="img" aria-label=(label) { (PreEscaped(picture)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BIP 21: the amount is in bitcoins, with a point.
    #[test]
    fn a_payment_link_has_the_amount_that_was_meant() {
        let amount = Some("0.1".parse().unwrap());
        assert_eq!(payment_link("bc1q", amount), "bitcoin:bc1q?amount=0.10000000");
        assert_eq!(payment_link("bc1q", None), "bitcoin:bc1q");
    }
}
