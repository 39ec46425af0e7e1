//! The form that asks what an amount would buy, or a payout would cost, and the answer.

use maud::{Markup, html};
use millrace_model::deposit::Method;
use millrace_model::money::{Amount, Btc, Coin};
use serde::Deserialize;

use super::super::Desk;
use super::reader::Reader;
use crate::quote::{Basis, Quote, QuoteError};

/// The form's fields, of which one is filled in.
#[derive(Debug, Default, Deserialize)]
pub(in crate::web::public) struct Wanted {
    #[serde(default)]
    amount: String,
    #[serde(default)]
    payout: String,
}

/// Why there is nothing to show.
enum Refusal {
    Both,
    NotANumber,
    Quote(QuoteError),
}

impl Wanted {
    /// What the amount comes to; nothing when nothing was asked.
    fn quote(&self, desk: &Desk) -> Option<Result<Quote, Refusal>> {
        match (self.amount.trim(), self.payout.trim()) {
            ("", "") => None,
            (amount, "") => Some(read(amount).and_then(|amount| desk.quotes.quote(amount).map_err(Refusal::Quote))),
            ("", payout) => Some(read(payout).and_then(|payout| desk.quotes.quote_for(payout).map_err(Refusal::Quote))),
            _ => Some(Err(Refusal::Both)),
        }
    }

    /// What is to be deposited, as far as the desk deals in it.
    pub(super) fn deposit(&self, desk: &Desk) -> Option<Amount<Btc>> {
        self.quote(desk)?.ok().map(|quote| quote.amount)
    }
}

/// A number as people write it: with a comma before the decimals, too, and spaces between groups.
fn read<C: Coin>(text: &str) -> Result<Amount<C>, Refusal> {
    let mut plain = text.replace([' ', '\u{a0}', '\u{202f}'], "");
    if !plain.contains('.') && plain.matches(',').count() == 1 {
        plain = plain.replace(',', ".");
    }
    plain.parse().map_err(|_| Refusal::NotANumber)
}

/// The whole of it, with its answer.
pub(super) fn section(desk: &Desk, reader: &Reader, wanted: &Wanted) -> Markup {
    let words = reader.words;
    let part = format!("/quote?lang={}", reader.language.tag());
    html! {
        section #quote aria-labelledby="quote-title" {
            h2 #quote-title { (words.quote_title) }
            form .sides data-quote=(part) method="get" action="/" {
                div {
                    label for="amount" { (words.amount) }
                    input #amount name="amount" value=(wanted.amount) inputmode="decimal" maxlength="32" placeholder=(reader.number("0.1"))
                        autocomplete="off" aria-describedby="quote-said";
                }
                div {
                    label for="payout" { (words.payout) }
                    input #payout name="payout" value=(wanted.payout) inputmode="decimal" maxlength="32" autocomplete="off"
                        aria-describedby="quote-said";
                }
                button .quiet { (words.calculate) }
            }
            div #quote-said .quoted data-quote-result aria-live="polite" { (answer(desk, reader, wanted)) }
        }
    }
}

/// The answer alone; what says neither side shows the desk's terms.
pub(super) fn answer(desk: &Desk, reader: &Reader, wanted: &Wanted) -> Markup {
    match wanted.quote(desk) {
        None => html! { p .faint { (terms(desk, reader)) } },
        Some(Ok(quote)) => told(&quote, reader),
        Some(Err(refusal)) => html! { p .bad { (sentence(&refusal, desk, reader)) } },
    }
}

fn terms(desk: &Desk, reader: &Reader) -> Markup {
    let words = reader.words;
    html! {
        @match (desk.terms.method, desk.terms.rate) {
            (Method::Direct, Some(rate)) => { ((words.terms_fixed)(&reader.number(rate))) }
            (Method::Direct | Method::Passthrough, _) => { (words.terms_book) }
        }
        " " ((words.confirmations_needed)(desk.terms.confirmations))
        " " (limits(desk, reader))
    }
}

/// How much one deposit may be.
pub(super) fn limits(desk: &Desk, reader: &Reader) -> String {
    (reader.words.from_to)(&reader.short(desk.quotes.minimum), &reader.short(desk.quotes.maximum))
}

fn sentence(refusal: &Refusal, desk: &Desk, reader: &Reader) -> String {
    let words = reader.words;
    match refusal {
        Refusal::Both => words.either_side.to_owned(),
        Refusal::NotANumber => words.not_a_number.to_owned(),
        Refusal::Quote(QuoteError::TooSmall) => (words.too_small)(&reader.short(desk.quotes.minimum)),
        Refusal::Quote(QuoteError::TooLarge) => (words.too_large)(&reader.short(desk.quotes.maximum)),
        Refusal::Quote(QuoteError::BeyondBook) => words.beyond_book.to_owned(),
        Refusal::Quote(QuoteError::NoMarket) => words.no_market.to_owned(),
    }
}

fn told(quote: &Quote, reader: &Reader) -> Markup {
    let words = reader.words;
    html! {
        // What the address form takes along.
        dl .figures data-amount=(quote.amount) {
            dt { (words.pay) } dd .sum { (reader.number(quote.amount)) " " span .unit { "BTC" } }
            dt { (words.get) } dd .sum { strong { (reader.number(quote.payout)) } " " span .unit { "SKY" } }
        }
        @if quote.method == Method::Direct && quote.bounds.available.is_some_and(|there| there < quote.payout) {
            p .bad { (words.above_stock) }
        }
        dl .terms {
            dt { (words.rate) } dd { ((words.sky_for_one_btc)(&reader.number(quote.rate.normalize()))) ", " (basis(quote, reader)) }
            dt { (words.holds) } dd { (holds(quote, reader)) }
            dt { (words.fees) } dd { (fees(quote, reader)) }
            dt { (words.bounds) } dd { (bounds(quote, reader)) }
        }
    }
}

fn basis(quote: &Quote, reader: &Reader) -> String {
    match quote.basis {
        Basis::FixedRate => reader.words.fixed_rate.to_owned(),
        Basis::WatchedBook => (reader.words.watched_book)(quote.book_age_ms.unwrap_or_default() / 1000),
    }
}

fn holds(quote: &Quote, reader: &Reader) -> String {
    match quote.basis {
        Basis::FixedRate => (reader.words.until_changed)(quote.confirmations),
        Basis::WatchedBook => (reader.words.this_moment)(quote.confirmations),
    }
}

fn fees(quote: &Quote, reader: &Reader) -> String {
    let words = reader.words;
    let mut said = match quote.basis {
        Basis::FixedRate => vec![words.no_fees.to_owned()],
        Basis::WatchedBook => vec![words.no_exchange_fees.to_owned()],
    };
    if !quote.fees.rounding.is_zero() {
        said.push((words.cut_off)(&reader.short(quote.fees.rounding)));
    }
    if !quote.fees.unspent.is_zero() {
        said.push((words.unspent)(&reader.short(quote.fees.unspent)));
    }
    said.push(words.network_fee.to_owned());
    said.join(" ")
}

fn bounds(quote: &Quote, reader: &Reader) -> String {
    let (words, bounds) = (reader.words, &quote.bounds);
    let from_to = (words.from_to)(&reader.short(bounds.minimum), &reader.short(bounds.maximum));
    let mut said = vec![from_to, (words.payouts_above)(&reader.short(bounds.payout_maximum))];
    if let Some(available) = bounds.available {
        let amount = reader.short(available);
        said.push(match quote.basis {
            Basis::FixedRate => (words.in_stock)(&amount),
            Basis::WatchedBook => (words.on_offer)(&amount),
        });
    }
    said.join(" ")
}
