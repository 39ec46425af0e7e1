//! The exchange's part of the control API.
//!
//! | request | body | what happens |
//! |---|---|---|
//! | `POST /market/step` | | makers withdraw and quote anew around a price that may have moved |
//! | `POST /market/quote` | `{side, price, quantity}` | one more offer of a maker, until the next step |
//! | `POST /market/balance` | `{btc, sky}` | the account's balance is set |
//! | `POST /market/fills` | `{percent}` | new orders are filled so far and no further; `null`: as usual |
//! | `POST /market/delay` | `{ms}` | orders and cancellations wait |
//! | `POST /market/freeze-book`, `/empty-book` | | the book is stale; the makers are gone |
//! | `POST /market/freeze-balance` | `{btc}` | so much of the account is frozen |
//! | `POST /market/clear` | | the exchange behaves again |

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use millrace_model::money::{Amount, Btc, Sky};
use millrace_protocols::wire::c2cx;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Desk, Refusal, answer};
use crate::sandbox::c2cx_venue::{Lots, Steps};
use crate::sandbox::clock;

/// Steps of the price in one bitcoin.
const STEPS_PER_BTC: u64 = 100_000;
/// Droplets in one lot.
const DROPLETS_PER_LOT: u64 = 10_000;

pub(super) fn router() -> Router<Desk> {
    Router::new()
        .route("/step", post(step))
        .route("/quote", post(quote))
        .route("/balance", post(balance))
        .route("/fills", post(fills))
        .route("/delay", post(delay))
        .route("/freeze-book", post(freeze_book))
        .route("/empty-book", post(empty_book))
        .route("/freeze-balance", post(freeze_balance))
        .route("/clear", post(clear))
}

async fn step(State(desk): State<Desk>) -> Answer {
    desk.servers.venue.step_market(clock::now_ms())?;
    answer(json!({}))
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Buy,
    Sell,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quote {
    /// What the maker does.
    side: Side,
    /// BTC for one SKY.
    price: Decimal,
    quantity: Amount<Sky>,
}

fn unfit(sentence: &str) -> Refusal {
    Refusal(StatusCode::UNPROCESSABLE_ENTITY, sentence.to_owned())
}

async fn quote(State(desk): State<Desk>, Json(Quote { side, price, quantity }): Json<Quote>) -> Answer {
    let steps = price.checked_mul(Decimal::from(STEPS_PER_BTC)).filter(|steps| steps.is_integer());
    let steps = steps.and_then(|steps| steps.to_u64()).filter(|steps| *steps > 0);
    let steps = steps.ok_or_else(|| unfit("a price is more than zero and has at most five decimals"))?;
    if quantity.is_zero() || quantity.units() % DROPLETS_PER_LOT != 0 {
        return Err(unfit("a quantity is more than zero and has at most two decimals"));
    }
    let side = match side {
        Side::Buy => c2cx::Side::Buy,
        Side::Sell => c2cx::Side::Sell,
    };
    desk.servers.venue.quote(side, Steps(steps), Lots(quantity.units() / DROPLETS_PER_LOT), clock::now_ms())?;
    answer(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Balance {
    btc: Amount<Btc>,
    sky: Amount<Sky>,
}

async fn balance(State(desk): State<Desk>, Json(Balance { btc, sky }): Json<Balance>) -> Answer {
    desk.servers.venue.set_balance(btc, sky)?;
    answer(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fills {
    percent: Option<u8>,
}

async fn fills(State(desk): State<Desk>, Json(Fills { percent }): Json<Fills>) -> Answer {
    if percent.is_some_and(|percent| percent > 100) {
        return Err(unfit("orders are filled to at most 100 percent"));
    }
    desk.servers.venue.limit_fills(percent);
    answer(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delay {
    ms: u64,
}

async fn delay(State(desk): State<Desk>, Json(Delay { ms }): Json<Delay>) -> Answer {
    desk.servers.venue.delay_matching(ms);
    answer(json!({}))
}

async fn freeze_book(State(desk): State<Desk>) -> Answer {
    desk.servers.venue.freeze_book(clock::now_ms());
    answer(json!({}))
}

async fn empty_book(State(desk): State<Desk>) -> Answer {
    desk.servers.venue.empty_book(clock::now_ms())?;
    answer(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrozenBalance {
    btc: Amount<Btc>,
}

async fn freeze_balance(State(desk): State<Desk>, Json(FrozenBalance { btc }): Json<FrozenBalance>) -> Answer {
    desk.servers.venue.freeze_balance(btc);
    answer(json!({}))
}

async fn clear(State(desk): State<Desk>) -> Answer {
    desk.servers.venue.clear_faults(clock::now_ms())?;
    answer(json!({}))
}
