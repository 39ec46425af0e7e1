//! Requests to the node, as values: method, path, query and body.

use serde_json::json;

use super::super::address::SkyAddress;
use super::super::hash::Txid;
use super::super::transaction::Transaction;

/// The header that a POST carries its token in, unless the node's health says CSRF is off.
pub const CSRF_HEADER: &str = "X-CSRF-Token";

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Changes nothing.
    Get,
    /// Needs a CSRF token.
    Post,
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// `application/json`.
    Json(String),
}

/// One request, still without the node's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// The path from the root, such as `/api/v1/health`.
    pub path: &'static str,
    /// Names and values, not yet percent-encoded.
    pub query: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// Whether a node hands an injected transaction on at once.
///
/// A node without peers refuses to broadcast (503); it then takes the transaction only quietly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broadcast {
    /// Send it to the peers; fail when there are none.
    Peers,
    /// Keep it in the pool; for a node that makes the blocks itself.
    Quiet,
}

impl Request {
    fn get(path: &'static str, query: Vec<(&'static str, String)>) -> Self {
        Self { method: Method::Get, path, query, body: Body::Empty }
    }

    pub(super) fn post(path: &'static str, body: &serde_json::Value) -> Self {
        Self { method: Method::Post, path, query: Vec::new(), body: Body::Json(body.to_string()) }
    }
}

fn joined(addresses: &[SkyAddress]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Head of the chain, peers, whether POST needs a token.
pub fn get_health() -> Request {
    Request::get("/api/v1/health", vec![])
}

/// How far the node is, and how far its peers are.
pub fn get_progress() -> Request {
    Request::get("/api/v1/blockchain/progress", vec![])
}

/// A CSRF token, good for 30 seconds.
pub fn get_csrf() -> Request {
    Request::get("/api/v1/csrf", vec![])
}

/// The block with this number.
pub fn get_block(seq: u64) -> Request {
    Request::get("/api/v1/block", vec![("seq", seq.to_string())])
}

/// The same, with whose outputs its transactions spend.
pub fn get_block_with_owners(seq: u64) -> Request {
    Request::get("/api/v1/block", vec![("seq", seq.to_string()), ("verbose", "1".to_owned())])
}

/// What these addresses hold, all of them named in one request.
pub fn get_balance(addresses: &[SkyAddress]) -> Request {
    Request::get("/api/v1/balance", vec![("addrs", joined(addresses))])
}

/// What a wallet of the node holds.
pub fn get_wallet_balance(wallet_id: &str) -> Request {
    Request::get("/api/v1/wallet/balance", vec![("id", wallet_id.to_owned())])
}

/// A wallet of the node and its addresses.
pub fn get_wallet(wallet_id: &str) -> Request {
    Request::get("/api/v1/wallet", vec![("id", wallet_id.to_owned())])
}

/// The unspent outputs of these addresses.
pub fn get_outputs(addresses: &[SkyAddress]) -> Request {
    Request::get("/api/v1/outputs", vec![("addrs", joined(addresses))])
}

/// One transaction and how deep it is.
pub fn get_transaction(txid: &Txid) -> Request {
    Request::get("/api/v1/transaction", vec![("txid", txid.to_string())])
}

/// One transaction's bytes.
pub fn get_raw_transaction(txid: &Txid) -> Request {
    Request::get("/api/v1/rawtx", vec![("txid", txid.to_string())])
}

/// Every transaction that touched these addresses, waiting ones included, oldest first.
pub fn get_transactions(addresses: &[SkyAddress]) -> Request {
    Request::get("/api/v1/transactions", vec![("addrs", joined(addresses)), ("verbose", "1".to_owned())])
}

/// What waits for a block.
pub fn get_pending() -> Request {
    Request::get("/api/v1/pendingTxs", vec![])
}

/// Hands a signed transaction to the network. Repeating it is harmless.
pub fn inject(transaction: &Transaction, broadcast: Broadcast) -> Request {
    let quiet = match broadcast {
        Broadcast::Peers => false,
        Broadcast::Quiet => true,
    };
    Request::post("/api/v1/injectTransaction", &json!({ "rawtx": transaction.to_hex(), "no_broadcast": quiet }))
}

/// Asks whether a signed transaction could still be injected, or has already been spent.
pub fn verify_transaction(transaction: &Transaction) -> Request {
    let body = json!({ "encoded_transaction": transaction.to_hex(), "unsigned": false });
    Request::post("/api/v2/transaction/verify", &body)
}

/// Asks the node's opinion of an address, as the customer wrote it.
pub fn verify_address(address: &str) -> Request {
    Request::post("/api/v2/address/verify", &json!({ "address": address }))
}
