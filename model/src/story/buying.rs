//! The decision to buy, the orders, their fills and what was left over.

use super::Turn;
use crate::deposit::{
    Bought, OrderCancelIntended, OrderIntended, OrderObserved, OrderPlaced, OrderRefused, PurchaseStopped,
    RemainderBooked, RemainderUse, StatusWaitBuy,
};
use crate::money::{Amount, Btc};
use crate::purchase::{OpenOrder, OrderPhase, OrderState, Purchase, Reach, SeenBook};

pub(super) fn decided(it: &StatusWaitBuy) -> String {
    let book = it.book.as_ref().map(|book| depth(book, it.budget)).unwrap_or_default();
    format!(
        "Decided: passthrough. Up to {} BTC may be spent on the exchange; the best ask seen was {} BTC for one SKY.{book}",
        it.budget, it.best_ask
    )
}

/// How deep the order book was, and how far the budget would have come in it.
fn depth(book: &SeenBook, budget: Amount<Btc>) -> String {
    let (taken, offered) = (book.take(budget), levels(book.levels() as usize));
    let comes = match taken.reach {
        Reach::Enough => {
            format!("would take {}: {} SKY for {} BTC", levels(taken.levels()), taken.bought, taken.spent)
        }
        Reach::BeyondKept => format!("would take more than the cheapest {}", book.asks().len()),
        Reach::BeyondOffered => {
            format!("would take all of it, and {} BTC would be left", budget.saturating_sub(taken.spent))
        }
    };
    format!(" The book offered {} SKY up to {} BTC, in {offered}; the budget {comes}.", book.offered(), book.limit())
}

fn levels(number: usize) -> String {
    if number == 1 { "1 level".to_owned() } else { format!("{number} levels") }
}

pub(super) fn intended(it: &OrderIntended) -> String {
    let order = &it.order;
    let cost = order.cost().map(|cost| format!(", {cost} BTC in all")).unwrap_or_default();
    let book = it.book.as_ref().map(|book| format!(" It was chosen from {}.", offered(book))).unwrap_or_default();
    format!(
        "Order {} was put down before it was sent: buy {} SKY at {} BTC at most{cost}, under the id {}.{book}",
        order.attempt, order.quantity, order.price, order.cid
    )
}

fn offered(book: &SeenBook) -> String {
    let (levels, offered, limit) = (levels(book.levels() as usize), book.offered(), book.limit());
    format!("a book that offered {offered} SKY up to {limit} BTC, in {levels}")
}

pub(super) fn placed(it: &OrderPlaced, turn: &Turn<'_>) -> String {
    format!("The exchange took {} as its number {}.", order(turn), it.order_id)
}

pub(super) fn refused(it: &OrderRefused, turn: &Turn<'_>) -> String {
    format!("The exchange refused {}: {}", order(turn), closed(&it.reason))
}

pub(super) fn cancelled(_: &OrderCancelIntended, turn: &Turn<'_>) -> String {
    let filled = open(turn).and_then(|open| Some((open.seen.as_ref()?.completed, open.intent.quantity)));
    match filled {
        Some((filled, quantity)) => {
            format!("The desk began to cancel {}, with {filled} of {quantity} SKY filled.", order(turn))
        }
        None => format!("The desk began to cancel {}; no fill of it was seen.", order(turn)),
    }
}

pub(super) fn observed(it: &OrderObserved, turn: &Turn<'_>) -> String {
    let seen = &it.observation;
    let quantity = open(turn).map(|open| format!(" of {}", open.intent.quantity)).unwrap_or_default();
    let price = seen.avg_price.map(|price| format!(" at {price} BTC on average")).unwrap_or_default();
    let so_far = turn.after.purchase.as_ref().map(totals).unwrap_or_default();
    format!(
        "The exchange showed {} {}: {}{quantity} SKY filled{price}, fee {} BTC.{so_far}",
        order(turn),
        word(seen.state),
        seen.completed,
        seen.fee
    )
}

fn totals(purchase: &Purchase) -> String {
    format!(" That makes {} SKY for {} BTC.", purchase.bought(), purchase.spent())
}

pub(super) fn bought(it: &Bought, turn: &Turn<'_>) -> String {
    let purchase = turn.after.purchase.as_ref();
    let terms = purchase.map(|purchase| format!(" of {}, fees of {} BTC", purchase.budget(), purchase.fee()));
    format!("The purchase is over: {} SKY for {} BTC{}.", it.bought, it.spent, terms.unwrap_or_default())
}

pub(super) fn stopped(it: &PurchaseStopped) -> String {
    let PurchaseStopped { bought, spent, reason } = it;
    format!("The purchase ended early, with {bought} SKY bought for {spent} BTC: {}", closed(reason))
}

pub(super) fn remainder(it: &RemainderBooked) -> String {
    let to = match it.to {
        RemainderUse::Rounding => "they went to the desk's rounding account",
        RemainderUse::Refund => "they are owed back to the customer",
    };
    format!("{} BTC were left over that no order could spend; {to}.", it.amount)
}

/// The order that the event speaks of: the one that was open before it.
fn open<'a>(turn: &Turn<'a>) -> Option<&'a OpenOrder> {
    turn.before?.purchase.as_ref()?.open_order()
}

fn order(turn: &Turn<'_>) -> String {
    let Some(open) = open(turn) else { return "an order".to_owned() };
    match open.phase {
        OrderPhase::Intended => format!("order {}", open.intent.attempt),
        OrderPhase::Placed { order_id } | OrderPhase::Cancelling { order_id } => {
            format!("order {} (its number {order_id})", open.intent.attempt)
        }
    }
}

fn word(state: OrderState) -> &'static str {
    match state {
        OrderState::Pending => "taken and not in the book yet",
        OrderState::Open => "open",
        OrderState::Suspended => "suspended",
        OrderState::Cancelling => "being cancelled",
        OrderState::Unknown => "in a state that the desk does not know",
        OrderState::Filled => "filled for good",
        OrderState::Cancelled => "cancelled",
        OrderState::Expired => "expired",
        OrderState::Failed => "failed",
    }
}

/// Somebody's words, with a full stop unless they have one.
pub(super) fn closed(words: &str) -> String {
    let words = words.trim();
    if words.ends_with(['.', '!', '?']) { words.to_owned() } else { format!("{words}.") }
}
