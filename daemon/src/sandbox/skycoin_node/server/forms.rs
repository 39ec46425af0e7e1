//! Wallets over HTTP: made and grown by forms, shown and counted by queries.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::payments::WalletError;
use super::super::view;
use super::super::wallet::{Kind, Recipe};
use super::Plain;
use super::queries::{BalanceView, Node, Params};
use crate::sandbox::clock;

type Fields = Form<HashMap<String, String>>;

impl From<WalletError> for Plain {
    fn from(error: WalletError) -> Self {
        let status = match error {
            WalletError::Missing => StatusCode::NOT_FOUND,
            WalletError::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
            WalletError::Exists
            | WalletError::PrivateKeys
            | WalletError::TooManyAddresses
            | WalletError::ForeignAddress
            | WalletError::UnspentMissing(_)
            | WalletError::ForeignUnspent
            | WalletError::SpendPending
            | WalletError::Spend(_) => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

fn field<'a>(fields: &'a HashMap<String, String>, name: &str) -> Result<&'a str, Plain> {
    let value = fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
    value.ok_or_else(|| Plain::bad_request(format!("missing {name}")))
}

pub(super) async fn wallet(State(node): Node, Query(params): Params) -> Result<Json<view::WalletView>, Plain> {
    let state = node.lock();
    let wallet = state.wallets.get(field(&params, "id")?).ok_or(WalletError::Missing)?;
    Ok(Json(view::wallet(wallet)))
}

pub(super) async fn wallets(State(node): Node) -> Json<Vec<view::WalletView>> {
    Json(node.lock().wallets.values().map(view::wallet).collect())
}

pub(super) async fn balance(State(node): Node, Query(params): Params) -> Result<Json<BalanceView>, Plain> {
    let state = node.lock();
    let wallet = state.wallets.get(field(&params, "id")?).ok_or(WalletError::Missing)?;
    let addresses: Vec<_> = wallet.keys().iter().map(|key| key.address).collect();
    Ok(Json(BalanceView::of(&state.ledger, &addresses)))
}

pub(super) async fn create(State(node): Node, Form(fields): Fields) -> Result<Json<view::WalletView>, Plain> {
    let label = field(&fields, "label")?.to_owned();
    let (kind, seed, secrets) = match field(&fields, "type")? {
        "deterministic" => (Kind::Deterministic, field(&fields, "seed")?, ""),
        "bip44" => (Kind::Bip44, field(&fields, "seed")?, ""),
        "collection" => (Kind::Collection, "", field(&fields, "private-keys")?),
        "xpub" => return Err(Plain::bad_request("the sandbox keeps no xpub wallets")),
        _ => return Err(Plain::bad_request("invalid wallet type")),
    };
    if fields.contains_key("password") || fields.get("encrypt").is_some_and(|encrypt| encrypt == "true") {
        return Err(Plain::bad_request("the sandbox encrypts no wallets"));
    }
    let secrets: Vec<_> = secrets.split(',').filter(|secret| !secret.is_empty()).map(str::to_owned).collect();
    let mark = hex::encode(Sha256::digest(format!("{seed}\n{}", secrets.join(","))));
    let recipe = Recipe {
        id: format!("sandbox_{}.wlt", &mark[..8]),
        label,
        kind,
        seed: seed.to_owned(),
        secrets,
        time_s: clock::now_s(),
    };
    Ok(Json(view::wallet(&node.create_wallet(recipe)?)))
}

pub(super) async fn new_address(State(node): Node, Form(fields): Fields) -> Result<Json<Value>, Plain> {
    let id = field(&fields, "id")?;
    let count = match fields.get("num").map(String::as_str) {
        None | Some("") => 1,
        Some(number) => number.parse().map_err(|_| Plain::bad_request("invalid num value"))?,
    };
    Ok(Json(json!({ "addresses": node.new_addresses(id, count)? })))
}
