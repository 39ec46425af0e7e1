//! Answers as Core 28 and bcoin give them, and what is refused of them.

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::constants::genesis_block;
use serde_json::{Value, json};

use super::*;
use crate::wire::bitcoind::CallError;

fn answer<C: Call>(call: &C, result: &Value) -> Result<C::Answer, CallError> {
    call.answer(1, json!({"result": result, "error": null, "id": 1}).to_string().as_bytes())
}

fn offence<C: Call<Answer: std::fmt::Debug>>(call: &C, result: &Value) -> &'static str {
    match answer(call, result) {
        Err(CallError::Nonsense(error)) => error.field,
        other => panic!("{result}: {other:?}"),
    }
}

fn genesis() -> Block {
    genesis_block(Network::Regtest)
}

fn header_of_genesis() -> Value {
    json!({
        "hash": genesis().block_hash(), "confirmations": -1, "height": 0, "version": 1, "time": 1_296_688_602,
        "bits": "207fffff", "nTx": 1
    })
}

#[test]
fn chain_info_of_core_and_of_bcoin_are_read() {
    let hash = genesis().block_hash();
    let core = json!({"chain": "regtest", "blocks": 3, "headers": 9, "bestblockhash": hash,
        "initialblockdownload": false, "difficulty": 4.656542373906925e-10, "warnings": []});
    let expected = ChainInfo { chain: Network::Regtest, blocks: 3, best_hash: hash, initial_block_download: false };
    assert_eq!(answer(&GetBlockchainInfo, &core).unwrap(), expected);

    let bcoin = json!({"chain": "main", "blocks": 3, "headers": 9, "bestblockhash": hash, "pruneheight": null});
    let expected = ChainInfo { chain: Network::Bitcoin, initial_block_download: true, ..expected };
    assert_eq!(answer(&GetBlockchainInfo, &bcoin).unwrap(), expected);
}

#[test]
fn chain_info_that_makes_no_sense_names_its_field() {
    let good = json!({"chain": "regtest", "blocks": 3, "headers": 9, "bestblockhash": genesis().block_hash(),
        "initialblockdownload": false});
    for (field, bad) in [
        ("chain", json!("litecoin")),
        ("chain", json!(1)),
        ("blocks", json!(-3)),
        ("blocks", json!("3")),
        ("blocks", json!(null)),
        ("bestblockhash", json!("00")),
        ("bestblockhash", json!("zz".repeat(32))),
        ("initialblockdownload", json!("no")),
    ] {
        let mut info = good.clone();
        info[field] = bad;
        assert_eq!(offence(&GetBlockchainInfo, &info), field);
    }
    assert_eq!(offence(&GetBlockchainInfo, &json!("regtest")), "result");
}

#[test]
fn a_stale_header_and_the_first_header_are_read() {
    let call = GetBlockHeader { hash: genesis().block_hash() };
    let mut told = header_of_genesis();
    let header = answer(&call, &told).unwrap();
    assert!(header.is_stale());
    assert_eq!((header.height, header.previous, header.time), (0, None, 1_296_688_602));
    told["previousblockhash"] = json!(null);
    assert_eq!(answer(&call, &told).unwrap().previous, None);
    told["previousblockhash"] = json!(genesis().block_hash());
    assert_eq!(answer(&call, &told).unwrap().previous, Some(genesis().block_hash()));
}

#[test]
fn a_header_of_another_block_is_refused() {
    let call = GetBlockHeader { hash: genesis_block(Network::Signet).block_hash() };
    assert_eq!(offence(&call, &header_of_genesis()), "hash");
}

#[test]
fn a_block_is_proven_to_be_the_one_asked_for() {
    let block = genesis();
    let call = GetBlock { hash: block.block_hash() };
    assert_eq!(answer(&call, &json!(serialize_hex(&block))).unwrap(), block);

    let mut other = block.clone();
    other.header.nonce += 1;
    assert_eq!(offence(&call, &json!(serialize_hex(&other))), "result");
    let mut other = block.clone();
    other.txdata[0].output[0].value = bitcoin::Amount::from_sat(1);
    assert_eq!(offence(&call, &json!(serialize_hex(&other))), "result");
    for cut in ["", "00", "0", "no hex", &serialize_hex(&block)[2..], &format!("{}00", serialize_hex(&block))] {
        assert_eq!(offence(&call, &json!(cut)), "result");
    }
    assert_eq!(offence(&call, &json!(12)), "result");
}

#[test]
fn a_transaction_is_proven_to_be_the_one_asked_for() {
    let coinbase = genesis().txdata[0].clone();
    let call = GetRawTransaction { txid: coinbase.compute_txid(), in_block: Some(genesis().block_hash()) };
    assert_eq!(call.request().params.len(), 3);
    assert_eq!(answer(&call, &json!(serialize_hex(&coinbase))).unwrap(), coinbase);
    let mut other = coinbase.clone();
    other.version = bitcoin::transaction::Version::TWO;
    assert_eq!(offence(&call, &json!(serialize_hex(&other))), "result");

    let sent = SendRawTransaction { transaction: coinbase.clone() };
    assert_eq!(answer(&sent, &json!(coinbase.compute_txid())).unwrap(), coinbase.compute_txid());
    assert_eq!(offence(&sent, &json!(other.compute_txid())), "result");
}

#[test]
fn lists_of_txids_are_read_whole_or_not_at_all() {
    let txid = genesis().txdata[0].compute_txid();
    assert_eq!(answer(&GetRawMempool, &json!([txid, txid])).unwrap(), [txid, txid]);
    assert_eq!(answer(&GetRawMempool, &json!([])).unwrap(), []);
    assert_eq!(offence(&GetRawMempool, &json!([txid, "x"])), "result");
    assert_eq!(offence(&GetRawMempool, &json!({})), "result");
}

#[test]
fn a_submitted_block_is_accepted_by_null() {
    let call = SubmitBlock { block: genesis() };
    assert_eq!(answer(&call, &json!(null)).unwrap(), None);
    assert_eq!(answer(&call, &json!("inconclusive")).unwrap().as_deref(), Some("inconclusive"));
}
