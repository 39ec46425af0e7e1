//! The second version of the interface: JSON in, JSON out, errors included.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::transaction::Transaction;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::ledger::Standing;
use super::super::payments::WalletError;
use super::super::rules::judge;
use super::super::view;
use super::queries::Node;
use super::spending::created_answer;
use super::{address_fault, is_json};

/// Version 2's way of refusing.
pub(super) struct Fault(StatusCode, String);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let Self(status, message) = self;
        (status, Json(json!({ "error": { "message": message, "code": status.as_u16() } }))).into_response()
    }
}

fn bad_request(sentence: impl ToString) -> Fault {
    Fault(StatusCode::BAD_REQUEST, sentence.to_string())
}

fn json_body<'a, T: Deserialize<'a>>(headers: &HeaderMap, body: &'a Bytes) -> Result<T, Fault> {
    if !is_json(headers) {
        return Err(Fault(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type".to_owned()));
    }
    serde_json::from_slice(body).map_err(bad_request)
}

fn decode(raw: &str) -> Result<Transaction, Fault> {
    if raw.is_empty() {
        return Err(bad_request("encoded_transaction is required"));
    }
    Transaction::from_hex(raw).map_err(|error| bad_request(format!("decode transaction failed: {error}")))
}

pub(super) async fn verify_address(headers: HeaderMap, body: Bytes) -> Result<Json<Value>, Fault> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        address: String,
    }
    let Body { address } = json_body(&headers, &body)?;
    if address.is_empty() {
        return Err(bad_request("address is required"));
    }
    match address.parse::<SkyAddress>() {
        Ok(_) => Ok(Json(json!({ "data": { "version": 0 } }))),
        Err(error) => Err(Fault(StatusCode::UNPROCESSABLE_ENTITY, address_fault(error).to_owned())),
    }
}

pub(super) async fn verify_transaction(State(node): Node, headers: HeaderMap, body: Bytes) -> Result<Response, Fault> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        encoded_transaction: String,
        #[serde(default)]
        unsigned: bool,
    }
    let Body { encoded_transaction, unsigned } = json_body(&headers, &body)?;
    let transaction = decode(&encoded_transaction)?;
    if unsigned == transaction.is_signed() {
        return Err(Fault(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Transaction violates hard constraint: signatures".to_owned(),
        ));
    }
    let (txid, signers) = (transaction.txid(), transaction.signers());
    let state = node.lock();
    let (confirmed, fault) = match state.ledger.known(&txid).map(|known| known.standing) {
        Some(Standing::Confirmed(_)) => (true, Some("transaction has been spent".to_owned())),
        Some(Standing::Pending(_)) => (false, None),
        // Whether an unsigned one could be signed is not judged here.
        Some(Standing::Gone) | None if unsigned => (false, None),
        Some(Standing::Gone) | None => {
            (false, judge(&state.ledger, &transaction, &signers).err().map(|violation| violation.to_string()))
        }
    };
    let data = json!({
        "confirmed": confirmed,
        "unsigned": unsigned,
        "transaction": view::created(&state.ledger, &transaction),
    });
    Ok(match fault {
        None => Json(json!({ "data": data })).into_response(),
        Some(message) => {
            let body = json!({ "error": { "message": message, "code": 422 }, "data": data });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
        }
    })
}

pub(super) async fn sign(State(node): Node, headers: HeaderMap, body: Bytes) -> Result<Json<Value>, Fault> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        wallet_id: String,
        #[serde(default)]
        encoded_transaction: String,
        #[serde(default)]
        sign_indexes: Vec<usize>,
    }
    let Body { wallet_id, encoded_transaction, sign_indexes } = json_body(&headers, &body)?;
    if wallet_id.is_empty() {
        return Err(bad_request("wallet_id is required"));
    }
    let signed = node.sign(&wallet_id, decode(&encoded_transaction)?, &sign_indexes).map_err(|error| match error {
        WalletError::Missing => Fault(StatusCode::NOT_FOUND, error.to_string()),
        other => bad_request(other),
    })?;
    Ok(Json(json!({ "data": created_answer(&State(node), &signed) })))
}
