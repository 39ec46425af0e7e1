//! The Bitcoin node's JSON-RPC answers.

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash, Network, Transaction, Txid};
use millrace_protocols::wire::bitcoind::{
    Call, CallError, GetBestBlockHash, GetBlock, GetBlockCount, GetBlockHash, GetBlockHeader, GetBlockchainInfo,
    GetRawMempool, GetRawTransaction, SendRawTransaction, SubmitBlock,
};
use serde_json::{Value, json};

use super::assert_printable;

/// The id of every request.
const ID: u64 = 7;

/// The input is the body of an answer; every call reads it.
pub fn run(input: &[u8]) {
    read(&GetBlockCount, input);
    read(&GetBestBlockHash, input);
    read(&GetBlockHash { height: 1 }, input);
    read(&GetRawMempool, input);
    if let Some(info) = read(&GetBlockchainInfo, input) {
        assert_eq!(Network::from_core_arg(info.chain.to_core_arg()), Ok(info.chain));
    }
    headers(input);
    blocks(input);
    transactions(input);
}

fn read<C: Call>(call: &C, body: &[u8]) -> Option<C::Answer> {
    match call.answer(ID, body) {
        Ok(answer) => Some(answer),
        Err(error) => {
            if let CallError::Refused(refused) = &error {
                let _ = refused.kind();
            }
            assert_printable(&error);
            None
        }
    }
}

/// What the answer says that it is; a decoder that proves what it got is asked for just that.
fn said(body: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Value>(body).ok()?.get("result").cloned()
}

fn headers(body: &[u8]) {
    let hash = said(body).and_then(|result| result.get("hash")?.as_str()?.parse::<BlockHash>().ok());
    let hash = hash.unwrap_or(BlockHash::all_zeros());
    if let Some(header) = read(&GetBlockHeader { hash }, body) {
        assert_eq!((header.hash, header.is_stale()), (hash, header.confirmations < 0));
    }
}

fn blocks(body: &[u8]) {
    let bytes = said(body).and_then(|result| hex::decode(result.as_str()?).ok());
    let block = bytes.and_then(|bytes| bitcoin::consensus::deserialize::<Block>(&bytes).ok());
    let hash = block.as_ref().map_or(BlockHash::all_zeros(), Block::block_hash);
    if let Some(read_block) = read(&GetBlock { hash }, body) {
        assert_eq!(read_block.block_hash(), hash);
        assert_eq!(Some(&read_block), block.as_ref());
        let again = json!({ "result": serialize_hex(&read_block), "error": null, "id": ID }).to_string();
        assert_eq!(read(&GetBlock { hash }, again.as_bytes()), Some(read_block.clone()));
        read(&SubmitBlock { block: read_block }, body);
    }
}

fn transactions(body: &[u8]) {
    let text = said(body).and_then(|result| Some(result.as_str()?.to_owned()));
    let bytes = text.as_ref().and_then(|text| hex::decode(text).ok());
    let transaction = bytes.and_then(|bytes| bitcoin::consensus::deserialize::<Transaction>(&bytes).ok());
    let txid = transaction.as_ref().map_or(Txid::all_zeros(), Transaction::compute_txid);
    let call = GetRawTransaction { txid, in_block: None };
    if let Some(found) = read(&call, body) {
        assert_eq!(Some(serialize_hex(&found)), text.map(|text| text.to_ascii_lowercase()), "one spelling");
        assert_eq!(found.compute_txid(), txid);
        read(&SendRawTransaction { transaction: found }, body);
    }
}
