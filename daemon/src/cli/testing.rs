//! A stand-in for the running desk's operator API, for the tests of the commands that ask it.

use std::collections::{BTreeMap, HashMap};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use chrono::DateTime;
use futures::StreamExt;
use millrace_model::desk::Place;
use millrace_model::ledger::{Account, Ticker};
use millrace_model::reconciliation::Verdict;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::client::Client;
use crate::config::{self, Config};
use crate::web::extract::{Path, Query};
use crate::web::problem::Problem;
use crate::web::server::{Limits, serve};
use crate::web::shapes::{
    BalanceRow, DepositDetail, DepositPage, DepositRow, EventPage, EventRow, Ledger, PAGE_ROWS_MAX, PlaceRow,
    ProjectionPage, ProjectionRow, RebuildRow,
};
use crate::web::token::{self, Token};
use crate::web::{address, tls};

/// More than two pages of each.
pub const DEPOSITS: usize = 2 * PAGE_ROWS_MAX as usize + 3;
pub const EVENTS: u64 = 2 * PAGE_ROWS_MAX as u64 + 3;

/// What the desk does with a request for a backup.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Well,
    BackupBreaksOff,
    BackupIsNoDatabase,
}

pub struct Desk {
    config: Config,
    _folder: tempfile::TempDir,
    _serving: JoinSet<std::io::Result<()>>,
}

impl Desk {
    pub async fn start() -> Self {
        Self::start_as(Kind::Well).await
    }

    pub async fn start_as(kind: Kind) -> Self {
        tls::install_provider();
        let folder = tempfile::tempdir().unwrap();
        let data_dir = ("MILLRACE_DESK__DATA_DIR".into(), folder.path().into());
        let config = config::load(None, [data_dir]).unwrap().config;
        let token = Token::load_or_create(&config.operator.token_file).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        address::publish(&config.desk.data_dir, listener.local_addr().unwrap()).unwrap();
        let router = router(kind).layer(middleware::from_fn_with_state(Arc::new(token), token::require));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, None, router, Limits::default(), CancellationToken::new()));
        Self { config, _folder: folder, _serving: serving }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.config).unwrap()
    }
}

pub fn id(number: usize) -> Uuid {
    Uuid::from_u128(number as u128)
}

fn router(kind: Kind) -> Router {
    let deposits = async |Query(query): Query<HashMap<String, String>>| Json(deposits(&query));
    let deposit = async |Path(wanted): Path<Uuid>| match (0..DEPOSITS).find(|number| id(*number) == wanted) {
        Some(number) => Ok(Json(DepositDetail { deposit: deposit(number), events: vec![event(1)] })),
        None => Err(Problem::not_found("deposit_unknown", "No such deposit.")),
    };
    let events = async |Query(query): Query<HashMap<String, String>>| Json(events(&query));
    let made = Arc::<Mutex<BTreeMap<String, u64>>>::default();
    let (asked, looked_at) = (Arc::clone(&made), made);
    let rebuild = async move |Path(name): Path<String>| {
        asked.lock().unwrap().insert(name, 0);
        Json(projections(&mut asked.lock().unwrap()))
    };
    Router::new()
        .route("/operator/v1/projections", get(async move || Json(projections(&mut looked_at.lock().unwrap()))))
        .route("/operator/v1/projections/{name}/rebuild", post(rebuild))
        .route("/operator/v1/deposits", get(deposits))
        .route("/operator/v1/deposits/{id}", get(deposit))
        .route("/operator/v1/events", get(events))
        .route("/operator/v1/halt", post(acted))
        .route("/operator/v1/resume", post(acted))
        .route("/operator/v1/transfers", post(acted))
        .route("/operator/v1/switches/{switch}", post(acted))
        .route("/operator/v1/ledger", get(async || Json(ledger())))
        .route("/operator/v1/parts", get(async || Json(parts())))
        .route("/operator/v1/backup", get(async move || backup(kind)))
}

/// What was done, at a position that tells which note came in.
async fn acted(Json(body): Json<Value>) -> Result<Json<Value>, Problem> {
    let note = body["note"].as_str().unwrap_or_default();
    if note.is_empty() {
        return Err(Problem::unprocessable("invalid_note", "The note is empty."));
    }
    Ok(Json(json!({ "position": note.len() })))
}

fn number<T: std::str::FromStr>(query: &HashMap<String, String>, name: &str) -> Option<T> {
    query.get(name).and_then(|text| text.parse().ok())
}

fn deposits(query: &HashMap<String, String>) -> DepositPage {
    let after: usize = number(query, "after").unwrap_or(0);
    let end = (after + number::<usize>(query, "limit").unwrap()).min(DEPOSITS);
    let next = (end < DEPOSITS).then(|| end.to_string());
    DepositPage { deposits: (after..end).map(deposit).collect(), next }
}

fn deposit(number: usize) -> DepositRow {
    DepositRow {
        id: id(number).to_string(),
        status: "held".to_owned(),
        reason: Some("below_minimum\u{1b}[2J".to_owned()),
        method: None,
        target: None,
        address: "bcrt1q".to_owned(),
        received: "0.005".parse().unwrap(),
        txid: "00".repeat(32),
        output: 0,
        payout: None,
        payout_txid: None,
        updated_at: DateTime::UNIX_EPOCH,
    }
}

fn ledger() -> Ledger {
    let row = |account: Account, amount: &str| {
        let (nature, coin, amount) = (account.nature(), Ticker::Btc, amount.to_owned());
        BalanceRow { account, nature, coin, amount }
    };
    let balances = vec![row(Account::DepositAddresses, "1.50000000"), row(Account::Customer, "-1.50000000")];
    let place = PlaceRow {
        place: Place::HotWallet,
        coin: Ticker::Sky,
        booked: "10.000000".to_owned(),
        in_flight: "1.500000".to_owned(),
        found: "8.500000".to_owned(),
        verdict: Verdict::Fits,
        at: DateTime::UNIX_EPOCH,
    };
    Ledger { position: 7, unreadable: vec![id(5)], balances, places: vec![place] }
}

/// One that was asked for is made at the third look; there is no room for the statistics.
fn projections(asked: &mut BTreeMap<String, u64>) -> ProjectionPage {
    let row = |name: &str| {
        let looks = asked.get_mut(name).map(|looks| {
            *looks += 1;
            *looks
        });
        let is_over = looks.is_some_and(|looks| looks > 2);
        let has_room = name != "statistics";
        let under_way = RebuildRow { position: 4, end: 9, events_per_second: 2, seconds_left: Some(3) };
        ProjectionRow {
            name: name.to_owned(),
            version: 1,
            shown_version: Some(1),
            generation: if is_over && has_room { 2 } else { 1 },
            position: 9,
            lag: 0,
            rebuild: looks.filter(|_| !is_over).map(|_| under_way),
            failure: (is_over && !has_room).then(|| "no room".to_owned()),
        }
    };
    ProjectionPage { head: 9, projections: ["deposits", "addresses", "ledger", "statistics"].map(row).to_vec() }
}

fn parts() -> Value {
    let condition = json!({ "kind": "terminal", "text": "\u{1b}[2J" });
    json!({ "parts": [
        { "name": "desk", "group": null, "state": "starting", "why": null, "restarts": 1, "conditions": [] },
        { "name": "sandbox", "group": null, "state": "running", "why": null, "restarts": 0, "conditions": [] },
        { "name": "event_store", "group": "desk", "state": "backing_off", "why": "disk full", "restarts": 3,
          "conditions": [condition] },
    ] })
}

/// Without a wait the log ends at `EVENTS`; with one, one more event has happened on every page.
fn events(query: &HashMap<String, String>) -> EventPage {
    let after: u64 = number(query, "after").unwrap();
    let limit: u64 = number(query, "limit").unwrap();
    let head = if query.contains_key("wait_s") { EVENTS.max(after) + 1 } else { EVENTS };
    let next = (after + limit).min(head);
    let kinds = query.get("kind").map(|kinds| kinds.split(',').collect::<Vec<_>>());
    let wanted = |event: &EventRow| kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.kind.as_str()));
    EventPage { events: (after + 1..=next).map(event).filter(wanted).collect(), next, head }
}

fn event(position: u64) -> EventRow {
    let kind = match position {
        3 => "Held",
        EVENTS => "Sent",
        _ => "Detected",
    };
    EventRow {
        position,
        stream: "deposit-1".to_owned(),
        version: position,
        kind: kind.to_owned(),
        schema: 1,
        recorded_at: DateTime::UNIX_EPOCH,
        causation: None,
        correlation: None,
        payload: serde_json::value::to_raw_value(&()).unwrap(),
    }
}

fn backup(kind: Kind) -> Body {
    let begin = Ok(Bytes::from_static(b"SQLite format 3\0 and more"));
    let (begin, rest) = match kind {
        Kind::Well => (begin, Ok(Bytes::from(vec![0; 100_000]))),
        Kind::BackupBreaksOff => (begin, Err(std::io::Error::other("the disk is gone"))),
        Kind::BackupIsNoDatabase => (Ok(Bytes::from_static(b"<html>")), Ok(Bytes::new())),
    };
    // The pause lets the beginning go out before the rest fails.
    let rest = async {
        tokio::task::yield_now().await;
        rest
    };
    Body::from_stream(futures::stream::iter([begin]).chain(futures::stream::once(rest)))
}
