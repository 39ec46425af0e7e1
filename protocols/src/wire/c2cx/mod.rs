//! C2CX, version 1 of its HTTP interface: requests as values, answers from bytes.
//!
//! Every answer has HTTP status 200 and an envelope `{"code", "message", "data"}`; 5xx, HTML or silence say nothing
//! about what happened. Private requests are form posts signed with MD5. There is no nonce, no deadline and no list of
//! trades; a client order id (`cid`) is unique for ever per account, which is what makes repeating a request safe.

mod answer;
mod envelope;
mod fields;
mod order;
mod request;
mod sign;
mod steps;

use millrace_model::money::Amount;

use crate::book::Rules;

pub use answer::{Balance, Balances, Page, Ticker, balances, book, done, order, orders, page, placed, ticker};
pub use envelope::{ApiError, BODY_MAX_BYTES, CallError};
pub use fields::DecodeError;
pub use order::{Order, Side, Status};
pub use request::{
    Method, PAGE_ROWS_MAX, Request, StatusFilter, cancel_order, create_order, get_balance, get_order_book,
    get_order_info, get_orders_by_status, get_ticker,
};
pub use sign::{Credentials, signature};
pub use steps::{cancel_reply, listing_reply, place_reply, read_reply};

/// Where the exchange is.
pub const BASE_URL: &str = "https://api.c2cx.com";

/// The market on which SKY is bought with BTC.
pub const BTC_SKY: &str = "BTC_SKY";

/// What [`BTC_SKY`] demands of an order.
pub const BTC_SKY_RULES: Rules =
    Rules { price_decimals: 5, volume_decimals: 2, volume_min: Amount::from_units(1_000_000).expect("one SKY") };
