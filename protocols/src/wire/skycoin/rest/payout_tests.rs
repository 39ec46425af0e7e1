//! A payout asked for, answered rightly, and answered in every wrong way that would lose money.

use bitcoin::secp256k1::{Secp256k1, SecretKey};

use super::super::requests::{Body, Broadcast, Method, inject};
use super::*;
use crate::wire::skycoin::transaction::Output;

fn key(number: u8) -> SecretKey {
    SecretKey::from_slice(&[number; 32]).unwrap()
}

fn address(number: u8) -> SkyAddress {
    SkyAddress::from_public_key(&key(number).public_key(&Secp256k1::new()))
}

fn sky(text: &str) -> Amount<Sky> {
    text.parse().unwrap()
}

fn payout() -> Payout {
    Payout {
        wallet_id: "hot.wlt".to_owned(),
        password: None,
        unspents: vec![UxId([1; 32]), UxId([2; 32])],
        change_address: address(1),
        to: address(9),
        coins: sky("1000.5"),
    }
}

fn transaction(inputs: Vec<UxId>, outputs: &[(u8, &str)]) -> Transaction {
    let outputs = outputs.iter().map(|(to, coins)| Output { address: address(*to), coins: sky(coins), hours: 10 });
    let mut transaction = Transaction::unsigned(inputs, outputs.collect()).unwrap();
    (0..transaction.inputs().len()).for_each(|input| transaction.sign(input, &key(1)));
    transaction
}

fn answer(transaction: &Transaction, coins: &str) -> serde_json::Value {
    let input = |uxid: &UxId| json!({ "uxid": uxid, "address": address(1), "coins": coins, "hours": "40" });
    let inputs: Vec<_> = transaction.inputs().iter().map(input).collect();
    json!({
        "transaction": { "txid": transaction.txid(), "inner_hash": transaction.inner_hash(), "fee": "20", "inputs": inputs },
        "encoded_transaction": transaction.to_hex(),
    })
}

fn made(inputs: Vec<UxId>, outputs: &[(u8, &str)], coins: &str) -> Created {
    created(200, answer(&transaction(inputs, outputs), coins).to_string().as_bytes()).unwrap()
}

#[test]
fn a_payout_names_its_inputs_and_three_decimals_at_most() {
    let request = payout().request().unwrap();
    assert_eq!((request.method, request.path), (Method::Post, "/api/v1/wallet/transaction"));
    let Body::Json(body) = request.body else { panic!("a payout has a body") };
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["to"][0]["coins"], "1000.5");
    assert_eq!(body["unspents"].as_array().unwrap().len(), 2);
    assert!(body.get("addresses").is_none(), "the node refuses both");
    assert_eq!(body["ignore_unconfirmed"], false);

    let refused = |change: fn(&mut Payout)| {
        let mut payout = payout();
        change(&mut payout);
        payout.request().unwrap_err()
    };
    assert_eq!(refused(|p| p.coins = sky("1.0001")), PayoutError::TooPrecise);
    assert_eq!(refused(|p| p.coins = Amount::ZERO), PayoutError::Zero);
    assert_eq!(refused(|p| p.unspents.clear()), PayoutError::NoInputs);
    assert_eq!(refused(|p| p.unspents = vec![UxId([1; 32]); 301]), PayoutError::TooManyInputs);
}

#[test]
fn the_payout_asked_for_passes() {
    let one = vec![UxId([1; 32])];
    assert_eq!(payout().check(&made(one.clone(), &[(9, "1000.5"), (1, "9.5")], "1010")), Ok(()));
    assert_eq!(payout().check(&made(one, &[(9, "1000.5")], "1000.5")), Ok(()));
}

#[test]
fn a_payout_that_is_not_the_one_asked_for_is_refused() {
    let one = || vec![UxId([1; 32])];
    for (created, mismatch) in [
        (made(vec![UxId([3; 32])], &[(9, "1000.5")], "1000.5"), Mismatch::Inputs),
        (made(one(), &[(8, "1000.5")], "1000.5"), Mismatch::Payment),
        (made(one(), &[(9, "1000.6")], "1000.6"), Mismatch::Payment),
        (made(one(), &[(9, "1000.5"), (8, "1")], "1001.5"), Mismatch::Change),
        (made(one(), &[(9, "1000.5"), (1, "1"), (1, "2")], "1003.5"), Mismatch::Change),
        (made(one(), &[(9, "1000.5"), (1, "1")], "1002"), Mismatch::Sum),
    ] {
        assert_eq!(payout().check(&created), Err(mismatch));
    }
    let mut unsigned = made(one(), &[(9, "1000.5")], "1000.5");
    unsigned.transaction = Transaction::unsigned(one(), unsigned.transaction.outputs().to_vec()).unwrap();
    assert_eq!(payout().check(&unsigned), Err(Mismatch::Signatures));
    let mut stranger = made(one(), &[(9, "1000.5")], "1000.5");
    stranger.transaction.sign(0, &key(2));
    assert_eq!(payout().check(&stranger), Err(Mismatch::Signatures));
}

#[test]
fn json_that_contradicts_the_bytes_is_nonsense_at_its_field() {
    let transaction = transaction(vec![UxId([1; 32])], &[(9, "1000.5")]);
    for (pointer, value, field) in [
        ("/transaction/txid", json!(Txid([0; 32])), "transaction.txid"),
        ("/transaction/inner_hash", json!(InnerHash([0; 32])), "transaction.inner_hash"),
        ("/transaction/inputs/0/uxid", json!(UxId([7; 32])), "transaction.inputs"),
        ("/transaction/inputs/0/coins", json!(1.5), "transaction.inputs[0].coins"),
        ("/transaction/fee", json!("-1"), "transaction.fee"),
        ("/encoded_transaction", json!("dc00"), "encoded_transaction"),
    ] {
        let mut body = answer(&transaction, "1000.5");
        *body.pointer_mut(pointer).unwrap() = value;
        match created(200, body.to_string().as_bytes()) {
            Err(Failure::Nonsense { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{pointer}: {other:?}"),
        }
    }
}

#[test]
fn injecting_says_whether_peers_are_told() {
    let transaction = transaction(vec![UxId([1; 32])], &[(9, "1")]);
    for (broadcast, expected) in [(Broadcast::Quiet, true), (Broadcast::Peers, false)] {
        let Body::Json(body) = inject(&transaction, broadcast).body else { panic!("a body") };
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["no_broadcast"], expected);
        assert_eq!(body["rawtx"], transaction.to_hex());
    }
    let body = json!(transaction.txid()).to_string();
    assert_eq!(injected(200, body.as_bytes()), Ok(transaction.txid()));
    assert!(matches!(injected(503, b"503 Service Unavailable - x"), Err(Failure::Unavailable { .. })));
}

#[test]
fn a_spent_transaction_is_told_from_an_impossible_one() {
    let body = |confirmed| format!(r#"{{"error":{{"message":"m","code":422}},"data":{{"confirmed":{confirmed}}}}}"#);
    assert_eq!(transaction_verdict(422, body(true).as_bytes()), Ok(TransactionVerdict::Spent));
    assert_eq!(transaction_verdict(422, body(false).as_bytes()), Ok(TransactionVerdict::Invalid("m".to_owned())));
    assert_eq!(transaction_verdict(200, br#"{"data":{"confirmed":false}}"#), Ok(TransactionVerdict::Valid));
}
