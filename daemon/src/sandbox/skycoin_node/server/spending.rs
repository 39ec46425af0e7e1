//! Creating a transaction and injecting it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use millrace_model::money::{Amount, MoneyError, Sky};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::Txid;
use millrace_protocols::wire::skycoin::transaction::Transaction;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::payments::{InjectError, PendingSpends, Signing, Sources};
use super::super::rules::has_duplicates;
use super::super::spend::{HoursSelection, Spend};
use super::super::view;
use super::queries::Node;
use super::{Plain, address_fault, is_json};

/// Decimals of a payment that the network accepts.
const DECIMALS: u32 = 3;

#[derive(Deserialize)]
struct CreateBody {
    #[serde(default)]
    wallet_id: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    unsigned: bool,
    #[serde(default)]
    ignore_unconfirmed: bool,
    #[serde(default)]
    hours_selection: HoursBody,
    change_address: Option<String>,
    #[serde(default)]
    to: Vec<Receiver>,
    #[serde(default)]
    unspents: Vec<String>,
    #[serde(default)]
    addresses: Vec<String>,
}

#[derive(Default, Deserialize)]
struct HoursBody {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    mode: String,
    share_factor: Option<String>,
}

#[derive(Deserialize)]
struct Receiver {
    #[serde(default)]
    address: String,
    #[serde(default)]
    coins: String,
    hours: Option<String>,
}

#[derive(Serialize)]
pub(super) struct CreatedAnswer {
    transaction: view::CreatedView,
    encoded_transaction: String,
}

pub(super) fn created_answer(node: &Node, transaction: &Transaction) -> CreatedAnswer {
    let transaction_view = view::created(&node.lock().ledger, transaction);
    CreatedAnswer { transaction: transaction_view, encoded_transaction: transaction.to_hex() }
}

fn json_body<'a, T: Deserialize<'a>>(headers: &HeaderMap, body: &'a Bytes) -> Result<T, Plain> {
    if !is_json(headers) {
        return Err(Plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, String::new()));
    }
    serde_json::from_slice(body).map_err(Plain::bad_request)
}

pub(super) async fn create(State(node): Node, headers: HeaderMap, body: Bytes) -> Result<Json<CreatedAnswer>, Plain> {
    let body: CreateBody = json_body(&headers, &body)?;
    if body.wallet_id.is_empty() {
        return Err(Plain::bad_request("missing wallet_id"));
    }
    if !body.password.is_empty() {
        return Err(Plain::bad_request("wallet is not encrypted"));
    }
    let pending = if body.ignore_unconfirmed { PendingSpends::LeaveOut } else { PendingSpends::Refuse };
    let signing = if body.unsigned { Signing::Later } else { Signing::Now };
    let (sources, spend) = (sources(&body)?, spend(&body)?);
    let transaction = node.create_transaction(&body.wallet_id, &sources, pending, signing, spend)?;
    Ok(Json(created_answer(&State(node), &transaction)))
}

fn address(text: &str) -> Result<SkyAddress, Plain> {
    text.parse().map_err(|error| Plain::bad_request(format!("invalid address: {}", address_fault(error))))
}

fn sources(body: &CreateBody) -> Result<Sources, Plain> {
    match (&body.unspents[..], &body.addresses[..]) {
        ([], []) => Ok(Sources::All),
        ([], addresses) => {
            Ok(Sources::Addresses(addresses.iter().map(|text| address(text)).collect::<Result<_, _>>()?))
        }
        (unspents, []) => {
            let uxids = unspents.iter().map(|text| text.parse()).collect::<Result<Vec<_>, _>>();
            let uxids = uxids.map_err(|_| Plain::bad_request("invalid SHA256 hash: Invalid hex length"))?;
            if has_duplicates(&uxids) {
                return Err(Plain::bad_request("unspents contains duplicate values"));
            }
            Ok(Sources::Unspents(uxids))
        }
        (_, _) => Err(Plain::bad_request("unspents and addresses cannot be combined")),
    }
}

fn spend(body: &CreateBody) -> Result<Spend, Plain> {
    let change = body.change_address.as_deref().map(address).transpose()?;
    let hours = hours(body)?;
    if body.to.is_empty() {
        return Err(Plain::bad_request("to is empty"));
    }
    let to = body.to.iter().enumerate().map(receiver).collect::<Result<Vec<_>, _>>()?;
    let mut unique = to.clone();
    unique.sort_unstable();
    unique.dedup();
    if unique.len() != to.len() {
        return Err(Plain::bad_request("to contains duplicate values"));
    }
    Ok(Spend { candidates: Vec::new(), to, hours, change })
}

fn receiver((index, receiver): (usize, &Receiver)) -> Result<(SkyAddress, Amount<Sky>), Plain> {
    let precise = |coins: &Amount<Sky>| coins.floor_to(DECIMALS) == *coins;
    match receiver.coins.parse::<Amount<Sky>>() {
        Ok(Amount::ZERO) => Err(Plain::bad_request(format!("to[{index}].coins must not be zero"))),
        Ok(coins) if precise(&coins) => Ok((address(&receiver.address)?, coins)),
        Ok(_) | Err(MoneyError::TooPrecise) => {
            Err(Plain::bad_request(format!("to[{index}].coins has too many decimal places")))
        }
        Err(error) => Err(Plain::bad_request(format!("invalid coins value: {error}"))),
    }
}

fn hours(body: &CreateBody) -> Result<HoursSelection, Plain> {
    let HoursBody { r#type, mode, share_factor } = &body.hours_selection;
    match (r#type.as_str(), mode.as_str(), share_factor) {
        ("", _, _) => Err(Plain::bad_request("missing hours_selection.type")),
        ("auto", "share", Some(share)) => {
            if let Some(index) = body.to.iter().position(|to| to.hours.is_some()) {
                let sentence = format!("to[{index}].hours must not be specified for auto hours_selection.mode");
                return Err(Plain::bad_request(sentence));
            }
            let share =
                Decimal::from_str_exact(share).ok().filter(|share| (Decimal::ZERO..=Decimal::ONE).contains(share));
            let fault = || Plain::bad_request("hours_selection.share_factor must be a number from 0 to 1");
            share.map(HoursSelection::Share).ok_or_else(fault)
        }
        ("auto", "share", None) => {
            Err(Plain::bad_request("missing hours_selection.share_factor when hours_selection.mode is share"))
        }
        ("auto", "", _) => Err(Plain::bad_request("missing hours_selection.mode")),
        ("auto", _, _) => Err(Plain::bad_request("invalid hours_selection.mode")),
        ("manual", "", None) => {
            let number = |(index, to): (usize, &Receiver)| {
                let number = to.hours.as_deref().and_then(|hours| hours.parse().ok());
                let sentence = format!("to[{index}].hours must be specified for manual hours_selection.mode");
                number.ok_or_else(|| Plain::bad_request(sentence))
            };
            body.to.iter().enumerate().map(number).collect::<Result<_, _>>().map(HoursSelection::Manual)
        }
        ("manual", _, _) => {
            Err(Plain::bad_request("hours_selection.mode cannot be used for manual hours_selection.type"))
        }
        (_, _, _) => Err(Plain::bad_request("invalid hours_selection.type")),
    }
}

pub(super) async fn inject(State(node): Node, headers: HeaderMap, body: Bytes) -> Result<Json<Txid>, Plain> {
    #[derive(Deserialize)]
    struct InjectBody {
        #[serde(default)]
        rawtx: String,
        #[serde(default)]
        no_broadcast: bool,
    }
    let InjectBody { rawtx, no_broadcast } = json_body(&headers, &body)?;
    if rawtx.is_empty() {
        return Err(Plain::bad_request("rawtx is required"));
    }
    let transaction = Transaction::from_hex(&rawtx).map_err(Plain::bad_request)?;
    node.inject(transaction, no_broadcast).map(Json).map_err(|error| {
        let status = match error {
            InjectError::Violation(_) => StatusCode::BAD_REQUEST,
            InjectError::NoPeers => StatusCode::SERVICE_UNAVAILABLE,
            InjectError::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Plain(status, error.to_string())
    })
}

pub(super) async fn resend(State(node): Node) -> Result<Json<Value>, Plain> {
    if node.peers == 0 {
        return Err(Plain(StatusCode::SERVICE_UNAVAILABLE, InjectError::NoPeers.to_string()));
    }
    let txids: Vec<_> = node.lock().ledger.pending().map(|(txid, _)| *txid).collect();
    Ok(Json(json!({ "txids": txids })))
}
