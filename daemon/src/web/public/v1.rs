//! Our own API: deposits with ids, amounts, rates, transactions and times; amounts and rates are decimal strings.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use millrace_model::ids::DepositId;
use millrace_model::money::{Amount, Coin};
use serde::{Deserialize, Serialize};

use super::bind::{bind as bind_address, coin, target};
use super::{Desk, shape};
use crate::quote::{Quote, QuoteError};
use crate::web::extract::{Json, Path, Query};
use crate::web::problem::Problem;

/// The body of a bind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bind {
    target: String,
    coin: String,
}

/// A bound address.
#[derive(Debug, Serialize)]
pub(super) struct Binding {
    address: String,
    coin: &'static str,
    target: String,
    method: &'static str,
}

pub(super) async fn bind(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Json(body): Json<Bind>,
) -> Result<(StatusCode, Reply<Binding>), Problem> {
    let target = target(&body.target)?;
    coin(&body.coin)?;
    let bound = bind_address(&desk, &headers, &target).await?;
    let binding =
        Binding { address: bound.address, coin: "BTC", target: target.to_string(), method: desk.terms.method.as_str() };
    Ok((StatusCode::CREATED, Reply(binding)))
}

pub(super) async fn customer(
    State(desk): State<Arc<Desk>>,
    Path(text): Path<String>,
) -> Result<Reply<shape::Customer>, Problem> {
    let target = target(&text)?.to_string();
    shape::customer(&desk, &target).await?.map(Reply).ok_or_else(unknown_customer)
}

pub(super) fn unknown_customer() -> Problem {
    Problem::not_found("unknown_customer", "No deposit address was ever bound to this address.")
}

pub(super) async fn deposit(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<DepositId>,
) -> Result<Reply<shape::Deposit>, Problem> {
    let row = desk.views.deposit(id).await?;
    let row = row.ok_or_else(|| Problem::not_found("unknown_deposit", "There is no such deposit."))?;
    Ok(Reply(shape::deposit(&desk, row)))
}

/// The query of a quote: one of the two.
#[derive(Debug, Deserialize)]
pub(super) struct HowMuch {
    amount: Option<String>,
    payout: Option<String>,
}

pub(super) async fn quote(
    State(desk): State<Arc<Desk>>,
    Query(query): Query<HowMuch>,
) -> Result<Reply<Quote>, Problem> {
    let quoted = match (&query.amount, &query.payout) {
        (Some(amount), None) => desk.quotes.quote(read(amount)?),
        (None, Some(payout)) => desk.quotes.quote_for(read(payout)?),
        _ => {
            let message = "Say either an amount of BTC or a payout of SKY.";
            return Err(Problem::unprocessable("amount_or_payout", message));
        }
    };
    quoted.map(Reply).map_err(|error| match error {
        QuoteError::TooLarge | QuoteError::TooSmall | QuoteError::BeyondBook => {
            Problem::unprocessable("amount_out_of_range", error.to_string())
        }
        QuoteError::NoMarket => Problem::unavailable("no_market", error.to_string()),
    })
}

fn read<C: Coin>(text: &str) -> Result<Amount<C>, Problem> {
    let refused = |error| Problem::bad_request("invalid_amount", format!("The amount is not understood: {error}."));
    text.parse().map_err(refused)
}
