//! The desk as a whole: addresses, totals, switches, declared transfers.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};
use millrace_actors::operations::Transfer;
use millrace_actors::projection::{BindingRow, Line, PAGE_ROWS_MAX};
use millrace_model::desk::{Coins, Desk, Place, Setting, Switch, TransferKind};
use millrace_model::ids::Position;
use millrace_model::money::{Amount, Btc, MoneyError, Sky};
use millrace_model::operator::By;
use serde::{Deserialize, Serialize};

use super::act::{Why, note, refused};
use super::{OperatorState, place, rows, views_unreadable};
use crate::web::extract::{Json, Path, Query};
use crate::web::problem::Problem;

/// The header that makes a repeated declaration the same one.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const KEY_BYTES_MAX: usize = 128;

/// From where on, and how many.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// A page's `next`.
    #[serde(alias = "before")]
    after: Option<Position>,
    limit: Option<u32>,
}

/// A page of deposit addresses, newest first.
#[derive(Debug, Serialize)]
pub(super) struct AddressPage {
    addresses: Vec<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Address {
    address: String,
    coin: &'static str,
    target: String,
    number: u32,
    bound_method: String,
    bound_at: DateTime<Utc>,
}

pub(super) async fn addresses(
    State(state): State<Arc<OperatorState>>,
    Query(wanted): Query<Wanted>,
) -> Result<Reply<AddressPage>, Problem> {
    let rows_max = rows(wanted.limit, PAGE_ROWS_MAX)?;
    let found = state.views.bindings(place(wanted.after)?, rows_max).await.map_err(views_unreadable)?;
    let full = found.len() == rows_max as usize;
    let next = found.last().filter(|_| full).map(|row| row.seq.to_string());
    Ok(Reply(AddressPage { addresses: found.into_iter().map(address).collect(), next }))
}

fn address(row: BindingRow) -> Address {
    Address {
        address: row.address,
        coin: "BTC",
        target: row.target,
        number: row.number,
        bound_method: row.method,
        bound_at: row.bound_at,
    }
}

/// What everything adds up to, as of a position of the log.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    position: Position,
    deposits: u64,
    open: u64,
    addresses: u64,
    standing: Vec<Standing>,
}

/// The deposits that stand at one place.
#[derive(Debug, Serialize)]
struct Standing {
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    deposits: u64,
    received_btc: Amount<Btc>,
    spent_btc: Amount<Btc>,
    refund_btc: Amount<Btc>,
    lost_btc: Amount<Btc>,
    bought_sky: Amount<Sky>,
    payout_sky: Amount<Sky>,
}

pub(super) async fn totals(State(state): State<Arc<OperatorState>>) -> Reply<Totals> {
    let (position, totals) = (state.views.position(), state.views.totals());
    let lines = totals.lines();
    Reply(Totals {
        position,
        deposits: lines.iter().map(|line| line.deposits).sum(),
        open: totals.open(),
        addresses: totals.addresses(),
        standing: lines.iter().filter(|line| line.deposits > 0).map(standing).collect(),
    })
}

fn standing(line: &Line) -> Standing {
    Standing {
        status: line.status.clone(),
        outcome: line.outcome.clone(),
        deposits: line.deposits,
        received_btc: line.received(),
        spent_btc: line.spent(),
        refund_btc: line.refund(),
        lost_btc: line.lost(),
        bought_sky: line.bought(),
        payout_sky: line.payout(),
    }
}

/// Where the switches stand, and why the desk is halted, if it is.
#[derive(Debug, Serialize)]
pub(in crate::web) struct Switches {
    pub(in crate::web) binds: Setting,
    pub(in crate::web) purchases: Setting,
    pub(in crate::web) sends: Setting,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::web) halted: Option<String>,
}

pub(super) async fn switches(State(state): State<Arc<OperatorState>>) -> Result<Reply<Switches>, Problem> {
    if !state.store.is_ready() {
        return Err(Problem::unavailable("log_unavailable", "The log is not open yet; everything is off until then."));
    }
    Ok(Reply(Switches::from(&*state.operations.switches().borrow())))
}

impl From<&Desk> for Switches {
    fn from(desk: &Desk) -> Self {
        Self {
            binds: desk.setting(Switch::Binds),
            purchases: desk.setting(Switch::Purchases),
            sends: desk.setting(Switch::Sends),
            halted: desk.halt().map(ToString::to_string),
        }
    }
}

/// Where a switch is to stand, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Turn {
    setting: Setting,
    note: String,
}

/// Where a switch stands now.
#[derive(Debug, Serialize)]
pub(super) struct Turned {
    switch: Switch,
    setting: Setting,
    position: Position,
}

pub(super) async fn turn(
    State(state): State<Arc<OperatorState>>,
    Path(switch): Path<Switch>,
    Json(turn): Json<Turn>,
) -> Result<Reply<Turned>, Problem> {
    let done = state.operations()?.set_switch(switch, turn.setting, note(&turn.note)?, By::Token).await;
    Ok(Reply(Turned { switch, setting: turn.setting, position: done.map_err(refused)? }))
}

pub(super) async fn halt(
    State(state): State<Arc<OperatorState>>,
    Json(why): Json<Why>,
) -> Result<Reply<Declared>, Problem> {
    let done = state.operations.halt_by(note(&why.note)?, By::Token).await;
    Ok(Reply(Declared { position: done.map_err(refused)? }))
}

pub(super) async fn resume(
    State(state): State<Arc<OperatorState>>,
    Json(why): Json<Why>,
) -> Result<Reply<Declared>, Problem> {
    let done = state.operations.resume(note(&why.note)?, By::Token).await;
    Ok(Reply(Declared { position: done.map_err(refused)? }))
}

/// A transfer to be declared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Declaration {
    kind: TransferKind,
    place: Place,
    coin: String,
    amount: String,
    note: String,
}

/// The declaration's place in the log.
#[derive(Debug, Serialize)]
pub(super) struct Declared {
    position: Position,
}

pub(super) async fn declare(
    State(state): State<Arc<OperatorState>>,
    headers: HeaderMap,
    Json(declaration): Json<Declaration>,
) -> Result<(StatusCode, Reply<Declared>), Problem> {
    let coins = coins(&declaration)?;
    let transfer = Transfer { kind: declaration.kind, place: declaration.place, coins };
    let done = state.operations()?.declare(transfer, note(&declaration.note)?, key(&headers)?, Some(By::Token)).await;
    Ok((StatusCode::CREATED, Reply(Declared { position: done.map_err(refused)? })))
}

fn coins(declaration: &Declaration) -> Result<Coins, Problem> {
    let refused =
        |error: MoneyError| Problem::unprocessable("invalid_amount", format!("The amount is refused: {error}."));
    let coins = match declaration.coin.as_str() {
        "BTC" => Coins::Btc(declaration.amount.parse().map_err(refused)?),
        "SKY" => Coins::Sky(declaration.amount.parse().map_err(refused)?),
        _ => return Err(Problem::unprocessable("unknown_coin", "A coin is BTC or SKY.")),
    };
    let nothing = match coins {
        Coins::Btc(amount) => amount.is_zero(),
        Coins::Sky(amount) => amount.is_zero(),
    };
    // Where nothing lay when the desk began, that is worth saying.
    if nothing && declaration.kind != TransferKind::Opening {
        return Err(Problem::unprocessable("invalid_amount", "Nothing is no transfer."));
    }
    match (declaration.place, coins) {
        (Place::HotWallet, Coins::Sky(_)) | (Place::DepositAddresses, Coins::Btc(_)) | (Place::Exchange, _) => {
            Ok(coins)
        }
        (Place::HotWallet, Coins::Btc(_)) | (Place::DepositAddresses, Coins::Sky(_)) => Err(Problem::unprocessable(
            "wrong_place",
            "The hot wallet holds SKY, the deposit addresses hold BTC, the exchange holds both.",
        )),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX).ok_or_else(|| {
        Problem::bad_request("invalid_idempotency_key", "An Idempotency-Key has 1 to 128 visible characters.")
    })?;
    Ok(Some(key.to_owned()))
}
