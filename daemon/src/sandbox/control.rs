//! The sandbox's control API: what a person or a test makes happen outside the desk. JSON over loopback HTTP.
//!
//! | request | body | what happens |
//! |---|---|---|
//! | `GET /status`, `GET /books` | | where everything is; what really happened |
//! | `POST /pay` | `{address, amount}` | the customer pays bitcoin |
//! | `POST /pay/many` | `{payments: [{address, amount}]}` | the same to many addresses in one transaction |
//! | `POST /mine` | `{blocks, address?}` | Bitcoin blocks, the rewards to the address |
//! | `POST /reorg` | `{chain, depth, orphans?}` | blocks are taken back or replaced |
//! | `POST /bitcoin/replace`, `/respend`, `/rebroadcast`, `/evict` | `{txid}` | a payment is double-spent, paid again, sent again, forgotten |
//! | `POST /skycoin/block`, `/drain` | | a block of what waits; the hot wallet's hours burn |
//! | `POST /skycoin/drop` | `{txid}` | a waiting transaction is forgotten |
//! | `POST /skycoin/spend` | `{uxid}` | an output is spent elsewhere |
//! | `POST /skycoin/refill` | `{outputs, coins, hours}` | new outputs for the hot wallet |
//! | `POST /skycoin/fund` | `{address, coins}` | the treasury pays somebody |
//! | `POST /market/…` | | the exchange; see `market` |
//! | `GET`, `POST`, `DELETE /faults` | a rule | faults on the wire; `DELETE` takes `?server=` |
//! | `/receiver…` | | a receiver of webhooks; see `receiver` |
//! | `POST /stop` | | the sandbox stops |

mod market;

use std::io;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bitcoin::Txid as BitcoinTxid;
use millrace_model::money::{Amount, Btc, Sky};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{Txid as SkycoinTxid, UxId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::bitcoin_node::{ControlError as BitcoinError, Orphans};
use super::faults::{Rule, RuleError, Server};
use super::info::Info;
use super::process::Servers;
use super::receiver;
use super::skycoin_node::{self, ControlError as SkycoinError};

#[derive(Clone)]
struct Desk {
    servers: Servers,
    info: Info,
    stop: CancellationToken,
}

/// The control API's routes.
pub fn router(servers: Servers, info: Info, stop: CancellationToken) -> Router {
    let receiving = receiver::router(Arc::clone(&servers.receiver), info.control.clone());
    Router::new()
        .route("/status", get(status))
        .route("/books", get(books))
        .route("/pay", post(pay))
        .route("/pay/many", post(pay_many))
        .route("/mine", post(mine))
        .route("/reorg", post(reorg))
        .route("/bitcoin/replace", post(replace))
        .route("/bitcoin/respend", post(respend))
        .route("/bitcoin/rebroadcast", post(rebroadcast))
        .route("/bitcoin/evict", post(evict))
        .route("/skycoin/block", post(skycoin_block))
        .route("/skycoin/drop", post(skycoin_drop))
        .route("/skycoin/spend", post(skycoin_spend))
        .route("/skycoin/drain", post(skycoin_drain))
        .route("/skycoin/refill", post(skycoin_refill))
        .route("/skycoin/fund", post(skycoin_fund))
        .nest("/market", market::router())
        .route("/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/stop", post(stop_all))
        .with_state(Desk { servers, info, stop })
        .merge(receiving)
}

/// A refusal: a status and one sentence.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<BitcoinError> for Refusal {
    fn from(error: BitcoinError) -> Self {
        let status = match error {
            BitcoinError::Journal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self(status, error.to_string())
    }
}

impl From<SkycoinError> for Refusal {
    fn from(error: SkycoinError) -> Self {
        let status = match error {
            SkycoinError::Journal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self(status, error.to_string())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, format!("the exchange's journal cannot be written: {error}"))
    }
}

impl From<RuleError> for Refusal {
    fn from(error: RuleError) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

type Answer = Result<Json<Value>, Refusal>;

fn answer(value: impl Serialize) -> Answer {
    let value = serde_json::to_value(value);
    value.map(Json).map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn status(State(desk): State<Desk>) -> Answer {
    answer(json!({
        "info": desk.info,
        "customer_balance": desk.servers.bitcoin.customer_balance(),
        "faults": desk.servers.faults.list().len(),
    }))
}

async fn books(State(desk): State<Desk>) -> Answer {
    let Servers { bitcoin, skycoin, venue, .. } = &desk.servers;
    answer(json!({ "bitcoin": bitcoin.books(), "skycoin": skycoin.books(), "c2cx": venue.books() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    address: String,
    amount: Amount<Btc>,
}

async fn pay(State(desk): State<Desk>, Json(payment): Json<Payment>) -> Answer {
    answer(json!({ "txid": desk.servers.bitcoin.pay(&[(payment.address, payment.amount)])? }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payments {
    payments: Vec<Payment>,
}

async fn pay_many(State(desk): State<Desk>, Json(Payments { payments }): Json<Payments>) -> Answer {
    let payments: Vec<_> = payments.into_iter().map(|Payment { address, amount }| (address, amount)).collect();
    answer(json!({ "txid": desk.servers.bitcoin.pay(&payments)? }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mining {
    #[serde(default = "one")]
    blocks: u32,
    address: Option<String>,
}

fn one() -> u32 {
    1
}

async fn mine(State(desk): State<Desk>, Json(mining): Json<Mining>) -> Answer {
    let tip = match mining.address {
        None => desk.servers.bitcoin.mine(mining.blocks)?,
        Some(address) => desk.servers.bitcoin.mine_to(mining.blocks, &address)?,
    };
    answer(json!({ "tip": tip }))
}

/// Which chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Chain {
    /// Bitcoin.
    Bitcoin,
    /// Skycoin.
    Skycoin,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reorg {
    chain: Chain,
    depth: u32,
    #[serde(default = "keep")]
    orphans: Orphans,
}

fn keep() -> Orphans {
    Orphans::Keep
}

async fn reorg(State(desk): State<Desk>, Json(Reorg { chain, depth, orphans }): Json<Reorg>) -> Answer {
    match chain {
        Chain::Bitcoin => answer(json!({ "tip": desk.servers.bitcoin.reorg(depth, orphans)? })),
        Chain::Skycoin => {
            let orphans = match orphans {
                Orphans::Keep => skycoin_node::Orphans::Return,
                Orphans::Drop => skycoin_node::Orphans::Forget,
                Orphans::Remine => {
                    let sentence = "the Skycoin node keeps or drops what it takes back";
                    return Err(Refusal(StatusCode::UNPROCESSABLE_ENTITY, sentence.to_owned()));
                }
            };
            answer(json!({ "orphaned": desk.servers.skycoin.reorg(u64::from(depth), orphans)? }))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named<T> {
    txid: T,
}

type BitcoinName = Json<Named<BitcoinTxid>>;

async fn replace(State(desk): State<Desk>, Json(Named { txid }): BitcoinName) -> Answer {
    answer(json!({ "txid": desk.servers.bitcoin.replace(txid)? }))
}

async fn respend(State(desk): State<Desk>, Json(Named { txid }): BitcoinName) -> Answer {
    answer(json!({ "txid": desk.servers.bitcoin.respend(txid)? }))
}

async fn rebroadcast(State(desk): State<Desk>, Json(Named { txid }): BitcoinName) -> Answer {
    answer(json!({ "txid": desk.servers.bitcoin.rebroadcast(txid)? }))
}

async fn evict(State(desk): State<Desk>, Json(Named { txid }): BitcoinName) -> Answer {
    desk.servers.bitcoin.evict(txid)?;
    answer(json!({}))
}

async fn skycoin_block(State(desk): State<Desk>) -> Answer {
    answer(json!({ "block": desk.servers.skycoin.produce_block()? }))
}

async fn skycoin_drop(State(desk): State<Desk>, Json(Named { txid }): Json<Named<SkycoinTxid>>) -> Answer {
    desk.servers.skycoin.drop_pending(txid)?;
    answer(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spending {
    uxid: UxId,
}

async fn skycoin_spend(State(desk): State<Desk>, Json(Spending { uxid }): Json<Spending>) -> Answer {
    answer(json!({ "block": desk.servers.skycoin.spend_conflicting(uxid)? }))
}

async fn skycoin_drain(State(desk): State<Desk>) -> Answer {
    answer(json!({ "block": desk.servers.skycoin.drain_hours()? }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refill {
    outputs: u32,
    coins: Amount<Sky>,
    hours: u64,
}

async fn skycoin_refill(State(desk): State<Desk>, Json(refill): Json<Refill>) -> Answer {
    answer(json!({ "block": desk.servers.skycoin.refill(refill.outputs, refill.coins, refill.hours)? }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Funding {
    address: SkyAddress,
    coins: Amount<Sky>,
}

async fn skycoin_fund(State(desk): State<Desk>, Json(Funding { address, coins }): Json<Funding>) -> Answer {
    answer(json!({ "txid": desk.servers.skycoin.fund(address, coins)? }))
}

async fn list_faults(State(desk): State<Desk>) -> Answer {
    answer(json!({ "rules": desk.servers.faults.list() }))
}

async fn add_fault(State(desk): State<Desk>, Json(rule): Json<Rule>) -> Answer {
    desk.servers.faults.add(rule)?;
    answer(json!({}))
}

#[derive(Deserialize)]
struct Which {
    server: Option<Server>,
}

async fn clear_faults(State(desk): State<Desk>, Query(Which { server }): Query<Which>) -> Answer {
    answer(json!({ "cleared": desk.servers.faults.clear(server) }))
}

async fn stop_all(State(desk): State<Desk>) -> Answer {
    desk.stop.cancel();
    answer(json!({}))
}
