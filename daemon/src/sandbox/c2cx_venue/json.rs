//! The exchange's answers as JSON text, with numbers written digit by digit and never through a float.
//!
//! As on the real exchange, the same number is now a JSON number, now a string.

use std::fmt::Write;

use millrace_protocols::wire::c2cx::{Side, Status};

use super::account::{DROPLETS_PER_LOT, DeskOrder, Holdings, Pricing, SATOSHI_PER_STEP_LOT};
use super::engine::{Lots, Steps};
use super::exchange::{BookView, Refusal, Trades};

/// An answer that brings `data`.
pub(super) fn success(data: &str) -> String {
    format!(r#"{{"code":200,"message":"success","data":{data}}}"#)
}

/// An answer that brings none.
pub(super) fn refusal(refusal: &Refusal) -> String {
    let message = serde_json::to_string(&refusal.message).expect("a text is JSON");
    format!(r#"{{"code":{},"message":{message},"data":{{}}}}"#, refusal.code)
}

pub(super) fn book(book: &BookView) -> String {
    let side = |levels: &[(Steps, Lots)]| {
        let levels: Vec<_> = levels.iter().map(|level| format!("[{},{}]", price(level.0), quantity(level.1))).collect();
        levels.join(",")
    };
    let (seconds, bids, asks) = (book.at_ms / 1000, side(&book.bids), side(&book.asks));
    format!(r#"{{"timestamp":"{seconds}","bids":[{bids}],"asks":[{asks}]}}"#)
}

pub(super) fn ticker(trades: &Trades, best: (Option<Steps>, Option<Steps>), now_ms: u64) -> String {
    let price = |steps: Option<Steps>| price(steps.unwrap_or(Steps(0)));
    format!(
        r#"{{"timestamp":"{}","high":{},"last":{},"low":{},"buy":{},"sell":{},"volume":{}}}"#,
        now_ms / 1000,
        price(trades.high),
        price(trades.last),
        price(trades.low),
        price(best.0),
        price(best.1),
        quantity(trades.volume),
    )
}

pub(super) fn balances(desk: Holdings, frozen: Holdings) -> String {
    let coins = |holdings: Holdings| {
        let (btc, sky) = (fixed(holdings.satoshi.max(0) as u64, 8), fixed(holdings.droplets.max(0) as u64, 6));
        format!(r#"{{"btc":{btc},"sky":{sky},"usdt":0,"total":{btc}}}"#)
    };
    format!(r#"{{"balance":{},"frozen":{}}}"#, coins(desk), coins(frozen))
}

pub(super) fn placed(order_id: u64) -> String {
    format!(r#"{{"orderId":{order_id}}}"#)
}

/// How the filled quantity is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Writing {
    Number,
    Text,
}

pub(super) fn order(order: &DeskOrder, writing: Writing) -> String {
    let completed = match writing {
        Writing::Number => quantity(order.filled()),
        Writing::Text => format!("\"{}\"", quantity(order.filled())),
    };
    let cid = serde_json::to_string(&order.cid).expect("a text is JSON");
    let ended = if order.is_open() { "null".into() } else { order.updated_ms.to_string() };
    let limit = match order.pricing {
        Pricing::Limit(steps) => price(steps),
        Pricing::Market(satoshi) => fixed(satoshi, 8),
    };
    let mut row = String::with_capacity(320);
    let written = write!(
        row,
        r#"{{"amount":{},"avgPrice":{},"completedAmount":{completed},"fee":{},"createDate":{},"updateDate":{},"completeDate":{ended},"orderId":{},"price":{limit},"status":{},"type":"{}","trigger":null,"cid":{cid},"source":"api"}}"#,
        quantity(order.lots),
        average(order),
        fixed(order.fee, 8),
        order.created_ms,
        order.updated_ms,
        order.order_id,
        order.status.code(),
        order.side.as_str(),
    );
    written.expect("writing to a text cannot fail");
    row
}

/// A page (from 1) of the orders with this status, or of all of them, newest first.
pub(super) fn page(orders: &[DeskOrder], only: Option<Status>, page: usize, rows: usize) -> String {
    let fits = |order: &&DeskOrder| only.is_none_or(|status| order.status == status);
    let count = match only {
        None => orders.len(),
        Some(_) => orders.iter().filter(fits).count(),
    };
    let start = page.saturating_sub(1).saturating_mul(rows);
    let rows_shown: Vec<_> = match only {
        // no search through all orders for each page of all orders
        None => orders.iter().rev().skip(start).take(rows).map(|row| order(row, Writing::Number)).collect(),
        Some(_) => {
            orders.iter().rev().filter(fits).skip(start).take(rows).map(|row| order(row, Writing::Number)).collect()
        }
    };
    format!(
        r#"{{"rows":[{}],"pageindex":null,"pagesize":null,"recordcount":{count},"pagecount":{}}}"#,
        rows_shown.join(","),
        count.div_ceil(rows),
    )
}

/// The average price of the fills, rounded to a price step.
fn average(order: &DeskOrder) -> String {
    let filled = u128::from(order.filled().0) * u128::from(SATOSHI_PER_STEP_LOT);
    let steps = (2 * u128::from(order.cost()) + filled).checked_div(2 * filled).unwrap_or(0);
    price(Steps(u64::try_from(steps).unwrap_or(u64::MAX)))
}

fn price(steps: Steps) -> String {
    fixed(steps.0, 5)
}

fn quantity(lots: Lots) -> String {
    fixed(lots.0 * DROPLETS_PER_LOT, 6)
}

/// A number of smallest units with its point, without needless zeros.
fn fixed(units: u64, scale: usize) -> String {
    let one = 10u64.pow(scale as u32);
    let (whole, fraction) = (units / one, units % one);
    if fraction == 0 {
        return whole.to_string();
    }
    let fraction = format!("{fraction:0scale$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// The opposite of [`fixed`]: exact, or nothing.
pub(super) fn parse_fixed(text: &str, scale: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let fraction = fraction.trim_end_matches('0');
    if text.len() > 30 || !digits(whole) || fraction.len() > scale || !(fraction.is_empty() || digits(fraction)) {
        return None;
    }
    format!("{whole}{fraction:0<scale$}").parse().ok()
}

/// The side a form names.
pub(super) fn parse_side(word: &str) -> Result<Side, Refusal> {
    Side::from_word(word).ok_or_else(|| Refusal::new("orderType is wrong"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_written_without_needless_zeros() {
        assert_eq!((fixed(189, 5), fixed(3_000_000, 6), fixed(0, 8)), ("0.00189".into(), "3".into(), "0".into()));
        assert_eq!(parse_fixed("0.001890", 5), Some(189));
        for text in ["", ".", "-1", "1e3", "0.000001", "1,5", " 1"] {
            assert_eq!(parse_fixed(text, 5), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(units in any::<u64>(), scale in 1usize..9) {
            prop_assert_eq!(parse_fixed(&fixed(units, scale), scale), Some(units));
        }
    }
}
