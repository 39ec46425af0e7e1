//! The exchange's answers.

use std::fmt::Debug;

use millrace_model::money::Amount;
use millrace_protocols::book::{Book, LEVELS_MAX};
use millrace_protocols::purchase::{ListingReply, PlaceReply};
use millrace_protocols::wire::c2cx::{
    self, CallError, Order, Status, cancel_reply, listing_reply, place_reply, read_reply,
};

use super::{assert_printable, status_and_body};

/// The input is an HTTP status in the first line and the body of an answer after it; every decoder reads it.
pub fn run(input: &[u8]) {
    let Some((status, body)) = status_and_body(input) else { return };
    understood(c2cx::ticker(status, body));
    if let Some(book) = understood(c2cx::book(status, body)) {
        is_a_book(&book);
    }
    if let Some(balances) = understood(c2cx::balances(status, body)) {
        assert!(balances.btc.available() <= balances.btc.total && balances.sky.available() <= balances.sky.total);
    }
    orders(status, body);
    placed(status, body);
    let _ = cancel_reply(c2cx::done(status, body));
}

fn understood<T>(answer: Result<T, CallError>) -> Option<T> {
    answer.inspect_err(|error| assert_printable(error)).ok()
}

fn is_a_book(book: &Book) {
    assert!(book.asks().len() <= LEVELS_MAX && book.bids().len() <= LEVELS_MAX);
    assert!(book.asks().is_sorted_by_key(|level| level.price));
    let _ = book.trusted_ask(book.timestamp_ms(), 0);
    for units in [1, 1_000_000, 100_000_000, i64::MAX as u64] {
        let amount = Amount::from_units(units).expect("an amount");
        let Some(quote) = book.walk(amount, 2) else { continue };
        assert!(quote.spent <= amount, "{amount} were to be spent: {quote:?}");
        let asked = Amount::checked_sum(book.asks().iter().map(|level| level.volume));
        assert!(asked.is_none_or(|asked| quote.bought <= asked), "more than anybody asks: {quote:?}");
        let _ = book.reach(quote.bought);
    }
}

fn orders(status: u16, body: &[u8]) {
    let one = c2cx::order(status, body);
    if let Ok(order) = &one {
        is_an_order(order);
    }
    is_short(&read_reply(one));
    understood(c2cx::orders(status, body)).iter().flatten().for_each(is_an_order);
    let page = c2cx::page(status, body);
    if let Ok(page) = &page {
        page.orders.iter().for_each(is_an_order);
    }
    match listing_reply(1, page) {
        ListingReply::Page(orders) => assert!(!orders.is_empty(), "a page without orders is the last"),
        ListingReply::LastPage(_) | ListingReply::Failed(_) => {}
    }
}

fn is_an_order(order: &Order) {
    assert_eq!(Status::from_code(order.status.code()), order.status);
    assert_eq!(order.observation().completed, order.completed);
}

fn placed(status: u16, body: &[u8]) {
    let answer = c2cx::placed(status, body);
    let known = answer.as_ref().ok().copied();
    if let Err(error) = &answer {
        assert_printable(error);
    }
    match place_reply(answer) {
        PlaceReply::Placed { order_id } => assert!(order_id > 0 && known == Some(order_id)),
        PlaceReply::Refused { reason } | PlaceReply::TooSmall { reason } => {
            // Only an answer of the exchange's own says that nothing was done.
            assert!(status < 500, "a refusal with HTTP status {status}: {reason}");
            assert_printable(&reason);
        }
        PlaceReply::CidExists | PlaceReply::Failed(_) => {}
    }
}

fn is_short(reply: &impl Debug) {
    assert!(format!("{reply:?}").len() <= 64 * 1024);
}
