//! What can be asked about the chain without changing it.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use millrace_model::money::{Amount, Sky};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::Txid;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::ledger::{Known, Ledger, Standing};
use super::super::spend::BURN_FACTOR;
use super::super::view::{self, Detail};
use super::super::{Csrf, SkycoinNode};
use super::{Plain, address_fault};
use crate::sandbox::clock;

pub(super) type Node = State<Arc<SkycoinNode>>;
pub(super) type Params = Query<HashMap<String, String>>;

/// Of how many peers the node says how far they are; the real one is connected to a dozen at most.
const PEERS_NAMED_MAX: u8 = 32;
const VERSION: &str = "0.27.1";

pub(super) async fn version() -> Json<Value> {
    Json(json!({ "version": VERSION, "commit": "", "branch": "" }))
}

pub(super) async fn health(State(node): Node) -> Json<Value> {
    let now_s = clock::now_s();
    let state = node.lock();
    let mut blockchain = chain_metadata(&state.ledger);
    let since_s = now_s.saturating_sub(state.ledger.head().time_s);
    blockchain["time_since_last_block"] = json!(duration(since_s));
    let verify = json!({ "burn_factor": BURN_FACTOR, "max_transaction_size": 32_768, "max_decimals": 3 });
    Json(json!({
        "blockchain": blockchain,
        "version": { "version": VERSION, "commit": "", "branch": "" },
        "coin": "skycoin",
        "user_agent": format!("skycoin:{VERSION}(sandbox)"),
        "open_connections": node.peers,
        "outgoing_connections": node.peers,
        "incoming_connections": 0,
        "uptime": duration(now_s.saturating_sub(node.started_s)),
        "csrf_enabled": node.csrf == Csrf::Required,
        "header_check_enabled": false,
        "csp_enabled": true,
        "wallet_api_enabled": true,
        "gui_enabled": false,
        "block_publisher": true,
        "user_verify_transaction": verify,
        "unconfirmed_verify_transaction": verify,
        "started_at": node.started_s,
    }))
}

/// Seconds as the node's language writes them: `1h2m3s`.
fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn chain_metadata(ledger: &Ledger) -> Value {
    json!({
        "head": view::header(ledger, ledger.head()),
        "unspents": ledger.unspent_count(),
        "unconfirmed": ledger.pending_count(),
    })
}

pub(super) async fn csrf(State(node): Node) -> Result<Json<Value>, Plain> {
    match node.csrf {
        Csrf::Required => Ok(Json(json!({ "csrf_token": node.new_token() }))),
        Csrf::Off => Err(Plain::not_found("")),
    }
}

pub(super) async fn metadata(State(node): Node) -> Json<Value> {
    Json(chain_metadata(&node.lock().ledger))
}

pub(super) async fn progress(State(node): Node) -> Json<Value> {
    let seq = node.lock().ledger.head().seq;
    let named = (0..PEERS_NAMED_MAX).zip(0..node.peers);
    let peers: Vec<_> = named.map(|(peer, _)| json!({ "address": peer_address(peer), "height": seq })).collect();
    Json(json!({ "current": seq, "highest": seq, "peers": peers }))
}

/// An address that is set aside for examples: nobody is there.
fn peer_address(peer: u8) -> String {
    format!("{}:6000", Ipv4Addr::new(192, 0, 2, peer))
}

/// The addresses of a comma-separated list.
fn addresses(params: &HashMap<String, String>) -> Result<Vec<SkyAddress>, Plain> {
    let list = params.get("addrs").map(String::as_str).unwrap_or_default();
    let parse = |text: &str| {
        let fault = |error| format!("address \"{}\" is invalid: {}", text.escape_default(), address_fault(error));
        text.trim().parse().map_err(|error| Plain::bad_request(fault(error)))
    };
    list.split(',').filter(|text| !text.trim().is_empty()).map(parse).collect()
}

fn detail(params: &HashMap<String, String>) -> Result<Detail, Plain> {
    match params.get("verbose").map(String::as_str) {
        None | Some("" | "0" | "false") => Ok(Detail::Names),
        Some("1" | "true") => Ok(Detail::Verbose),
        Some(_) => Err(Plain::bad_request("Invalid value for verbose")),
    }
}

pub(super) async fn balance(State(node): Node, Query(params): Params) -> Result<Json<BalanceView>, Plain> {
    let addresses = addresses(&params)?;
    if addresses.is_empty() {
        return Err(Plain::bad_request("addrs is required"));
    }
    Ok(Json(BalanceView::of(&node.lock().ledger, &addresses)))
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
struct FundsView {
    coins: u64,
    hours: u64,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
struct PairView {
    confirmed: FundsView,
    predicted: FundsView,
}

/// What addresses hold, now and after everything that waits.
#[derive(Debug, Serialize)]
pub(super) struct BalanceView {
    #[serde(flatten)]
    total: PairView,
    addresses: BTreeMap<SkyAddress, PairView>,
}

impl FundsView {
    fn add(&mut self, coins: Amount<Sky>, hours: u64) {
        self.coins += coins.units();
        self.hours = self.hours.saturating_add(hours);
    }
}

impl BalanceView {
    pub(super) fn of(ledger: &Ledger, addresses: &[SkyAddress]) -> Self {
        let mut by_address: BTreeMap<_, PairView> = BTreeMap::new();
        for address in addresses {
            let pair = by_address.entry(*address).or_default();
            *pair = PairView::default();
            for (uxid, output) in ledger.unspent_of(address) {
                let hours = ledger.hours(output);
                pair.confirmed.add(output.output.coins, hours);
                if ledger.pending_spender(&uxid).is_none() {
                    pair.predicted.add(output.output.coins, hours);
                }
            }
        }
        for (_, known) in ledger.pending() {
            for output in known.transaction.outputs() {
                if let Some(pair) = by_address.get_mut(&output.address) {
                    pair.predicted.add(output.coins, output.hours);
                }
            }
        }
        let mut total = PairView::default();
        for pair in by_address.values() {
            total.confirmed.coins += pair.confirmed.coins;
            total.confirmed.hours = total.confirmed.hours.saturating_add(pair.confirmed.hours);
            total.predicted.coins += pair.predicted.coins;
            total.predicted.hours = total.predicted.hours.saturating_add(pair.predicted.hours);
        }
        Self { total, addresses: by_address }
    }
}

#[derive(Serialize)]
pub(super) struct OutputsView {
    head: view::HeaderView,
    head_outputs: Vec<view::UnspentView>,
    outgoing_outputs: Vec<view::UnspentView>,
    incoming_outputs: Vec<view::UnspentView>,
}

pub(super) async fn outputs(State(node): Node, Query(params): Params) -> Result<Json<OutputsView>, Plain> {
    let addresses = addresses(&params)?;
    if addresses.is_empty() {
        return Err(Plain::bad_request("addrs is required; this node does not list everybody's outputs"));
    }
    let state = node.lock();
    let ledger = &state.ledger;
    let held = || addresses.iter().flat_map(|address| ledger.unspent_of(address));
    let shown = |(uxid, output)| view::unspent(ledger, uxid, output);
    let outgoing = held().filter(|(uxid, _)| ledger.pending_spender(uxid).is_some());
    let coming = ledger.pending().flat_map(|(txid, known)| {
        let ours = |index: &usize| addresses.contains(&known.transaction.outputs()[*index].address);
        (0..known.uxids.len()).filter(ours).map(|index| view::incoming(known, txid, index)).collect::<Vec<_>>()
    });
    Ok(Json(OutputsView {
        head: view::header(ledger, ledger.head()),
        head_outputs: held().map(shown).collect(),
        outgoing_outputs: outgoing.map(shown).collect(),
        incoming_outputs: coming.collect(),
    }))
}

fn txid(params: &HashMap<String, String>) -> Result<Txid, Plain> {
    match params.get("txid").map(String::as_str) {
        None | Some("") => Err(Plain::bad_request("txid is empty")),
        Some(text) => text.parse().map_err(|_| Plain::bad_request("Invalid hex length")),
    }
}

/// A transaction the node admits to knowing.
fn find<'a>(ledger: &'a Ledger, txid: &Txid) -> Result<&'a Known, Plain> {
    ledger.known(txid).filter(|known| known.standing != Standing::Gone).ok_or(Plain::not_found(""))
}

pub(super) async fn transaction(State(node): Node, Query(params): Params) -> Result<impl IntoResponse, Plain> {
    let (txid, detail) = (txid(&params)?, detail(&params)?);
    let state = node.lock();
    let known = find(&state.ledger, &txid)?;
    Ok(Json(view::report(&state.ledger, known, detail)))
}

pub(super) async fn raw_transaction(State(node): Node, Query(params): Params) -> Result<Json<String>, Plain> {
    let txid = txid(&params)?;
    let state = node.lock();
    Ok(Json(find(&state.ledger, &txid)?.transaction.to_hex()))
}

pub(super) async fn transactions(State(node): Node, Query(params): Params) -> Result<impl IntoResponse, Plain> {
    let (addresses, detail) = (addresses(&params)?, detail(&params)?);
    let wanted = match params.get("confirmed").map(String::as_str) {
        None | Some("") => None,
        Some("1" | "true") => Some(true),
        Some("0" | "false") => Some(false),
        Some(_) => return Err(Plain::bad_request("invalid 'confirmed' value")),
    };
    if addresses.is_empty() {
        return Err(Plain::bad_request("addrs is required; this node does not list everybody's transactions"));
    }
    let state = node.lock();
    let touched: BTreeMap<_, _> = addresses.iter().flat_map(|address| state.ledger.history_of(address)).collect();
    let is_wanted = |known: &Known| wanted.is_none_or(|c| c == matches!(known.standing, Standing::Confirmed(_)));
    let mut list: Vec<_> = touched.into_iter().filter(|(_, known)| is_wanted(known)).collect();
    list.sort_by_key(|(txid, known)| (known.time_s, **txid));
    Ok(Json(list.into_iter().map(|(_, known)| view::report(&state.ledger, known, detail)).collect::<Vec<_>>()))
}

pub(super) async fn pending(State(node): Node, Query(params): Params) -> Result<impl IntoResponse, Plain> {
    let detail = detail(&params)?;
    let state = node.lock();
    let list = state.ledger.pending().map(|(_, known)| view::pending(&state.ledger, known, detail));
    Ok(Json(list.collect::<Vec<_>>()))
}

pub(super) async fn block(State(node): Node, Query(params): Params) -> Result<impl IntoResponse, Plain> {
    let detail = detail(&params)?;
    let seq = params.get("seq").ok_or(Plain::bad_request("should specify one filter, hash or seq"))?;
    let seq: u64 = seq.parse().map_err(|_| Plain::bad_request(format!("Invalid seq value {seq:?}")))?;
    let state = node.lock();
    let block = state.ledger.block(seq).ok_or(Plain(StatusCode::NOT_FOUND, String::new()))?;
    Ok(Json(view::block(&state.ledger, block, detail)))
}
