//! The methods, each with its parameters' names and what it does.

use std::collections::BTreeMap;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Block, BlockHash, Network, OutPoint, Transaction, Txid};
use millrace_protocols::receive::parse_address;
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::params::Params;
use super::shapes::{
    BlockShape, CoinShape, EntryShape, NetworkShape, TransactionShape, Transactions, chainwork, difficulty,
    whole_transactions,
};
use super::{Fault, code};
use crate::sandbox::bitcoin_node::chain::Known;
use crate::sandbox::bitcoin_node::control::ControlError;
use crate::sandbox::bitcoin_node::mempool::{Refusal, Signatures};
use crate::sandbox::bitcoin_node::state::{Change, State};
use crate::sandbox::bitcoin_node::{BitcoinNode, Inner};

type Answer = Result<Box<RawValue>, Fault>;

/// One method of the node.
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// Its parameters' names, in order.
    pub params: &'static [&'static str],
    /// What it does.
    pub perform: fn(&BitcoinNode, &Params) -> Answer,
}

const fn method(
    name: &'static str,
    params: &'static [&'static str],
    perform: fn(&BitcoinNode, &Params) -> Answer,
) -> Method {
    Method { name, params, perform }
}

const METHODS: [Method; 20] = [
    method("getblockchaininfo", &[], chain_info),
    method("getblockcount", &[], |node, _| node.read(|state| answer(&state.chain.height()))),
    method("getbestblockhash", &[], |node, _| node.read(|state| answer(&state.chain.tip()))),
    method("getblockhash", &["height"], block_hash),
    method("getblockheader", &["blockhash", "verbose"], block_header),
    method("getblock", &["blockhash", "verbosity"], block),
    method("getrawmempool", &["verbose", "mempool_sequence"], raw_mempool),
    method("getmempoolentry", &["txid"], mempool_entry),
    method("getmempoolinfo", &[], mempool_info),
    method("getrawtransaction", &["txid", "verbosity", "blockhash"], raw_transaction),
    method("gettxout", &["txid", "n", "include_mempool"], tx_out),
    method("sendrawtransaction", &["hexstring", "maxfeerate", "maxburnamount"], send_raw_transaction),
    method("generatetoaddress", &["nblocks", "address", "maxtries"], generate_to_address),
    method("invalidateblock", &["blockhash"], |node, params| steer(node, params, Change::Invalidated)),
    method("reconsiderblock", &["blockhash"], |node, params| steer(node, params, Change::Reconsidered)),
    method("submitblock", &["hexdata", "dummy"], submit_block),
    method("getnetworkinfo", &[], network_info),
    method("getconnectioncount", &[], |_, _| answer(&0)),
    method("uptime", &[], |node, _| answer(&node.opened.elapsed().as_secs())),
    method("help", &["command"], |_, _| answer(&METHODS.map(|method| method.name).join("\n"))),
];

/// The method of a name.
pub fn find(name: &str) -> Option<Method> {
    METHODS.into_iter().find(|method| method.name == name)
}

fn answer<T: Serialize + ?Sized>(value: &T) -> Answer {
    to_raw_value(value).map_err(|error| Fault::new(code::INTERNAL, error.to_string()))
}

fn chain_info(node: &BitcoinNode, _: &Params) -> Answer {
    node.read(|state| {
        let (height, tip) = (state.chain.height(), state.chain.tip());
        answer(&json!({
            "chain": Network::Regtest.to_core_arg(),
            "blocks": height,
            "headers": height,
            "bestblockhash": tip,
            "difficulty": difficulty(),
            "time": state.chain.known(&tip).map(|known| known.block.header.time),
            "mediantime": state.chain.median_time(&tip),
            "verificationprogress": 1,
            "initialblockdownload": false,
            "chainwork": chainwork(height),
            "size_on_disk": 0,
            "pruned": false,
            "warnings": [],
        }))
    })
}

fn network_info(_: &BitcoinNode, _: &Params) -> Answer {
    answer(&NetworkShape::default())
}

fn block_hash(node: &BitcoinNode, params: &Params) -> Answer {
    let height: i64 = params.whole(0)?;
    let hash = u32::try_from(height).ok().and_then(|height| node.read(|state| state.chain.at(height)));
    answer(&hash.ok_or_else(|| Fault::new(code::INVALID_PARAMETER, "Block height out of range"))?)
}

fn known<'a>(state: &'a State, hash: &BlockHash) -> Result<&'a Known, Fault> {
    state.chain.known(hash).ok_or_else(|| Fault::new(code::NOT_FOUND, "Block not found"))
}

fn block_header(node: &BitcoinNode, params: &Params) -> Answer {
    let (hash, verbose) = (params.hash(0, "hash")?, params.truth(1, true)?);
    node.read(|state| {
        let known = known(state, &hash)?;
        match verbose {
            true => answer(&BlockShape::header(&state.chain, hash, known)),
            false => answer(&serialize_hex(&known.block.header)),
        }
    })
}

fn block(node: &BitcoinNode, params: &Params) -> Answer {
    let (hash, verbosity) = (params.hash(0, "blockhash")?, params.verbosity(1, 1)?);
    if verbosity <= 0 {
        let block = node.read(|state| known(state, &hash).map(|known| std::sync::Arc::clone(&known.block)))?;
        return answer(&hex::encode(bitcoin::consensus::serialize(&*block)));
    }
    node.read(|state| {
        let known = known(state, &hash)?;
        let transactions = if verbosity == 1 { Transactions::Ids(&known.txids) } else { whole_transactions(known) };
        answer(&BlockShape::whole(&state.chain, hash, known, transactions))
    })
}

fn raw_mempool(node: &BitcoinNode, params: &Params) -> Answer {
    let (verbose, sequence) = (params.truth(0, false)?, params.truth(1, false)?);
    if sequence {
        return Err(Fault::new(code::INVALID_PARAMETER, "mempool_sequence is not supported here"));
    }
    node.read(|state| match verbose {
        false => answer(&state.mempool.iter().map(|(txid, _)| *txid).collect::<Vec<Txid>>()),
        true => {
            let shapes = state.mempool.iter().map(|(txid, entry)| (txid, EntryShape::new(&state.mempool, txid, entry)));
            answer(&shapes.collect::<BTreeMap<_, _>>())
        }
    })
}

fn mempool_entry(node: &BitcoinNode, params: &Params) -> Answer {
    let txid = params.hash(0, "txid")?;
    node.read(|state| match state.mempool.get(&txid) {
        Some(entry) => answer(&EntryShape::new(&state.mempool, &txid, entry)),
        None => Err(Fault::new(code::NOT_FOUND, "Transaction not in mempool")),
    })
}

fn mempool_info(node: &BitcoinNode, _: &Params) -> Answer {
    node.read(|state| {
        let vbytes: u64 = state.mempool.iter().map(|(_, entry)| entry.vsize()).sum();
        answer(&json!({"loaded": true, "size": state.mempool.len(), "bytes": vbytes, "fullrbf": true}))
    })
}

fn raw_transaction(node: &BitcoinNode, params: &Params) -> Answer {
    let (txid, verbosity): (Txid, i64) = (params.hash(0, "parameter 1")?, params.verbosity(1, 0)?);
    let in_block = params.optional_hash(2, "parameter 3")?;
    node.read(|state| match in_block {
        None => {
            let entry = state.mempool.get(&txid).ok_or_else(|| {
                Fault::new(
                    code::NOT_FOUND,
                    "No such mempool transaction. Use -txindex or provide a block hash to enable blockchain \
                     transaction queries. Use gettransaction for wallet transactions.",
                )
            })?;
            told(&entry.transaction, verbosity, || TransactionShape::new(&entry.transaction, txid))
        }
        Some(hash) => {
            let missing = |words: &str| Fault::new(code::NOT_FOUND, words);
            let known = state.chain.known(&hash).ok_or_else(|| missing("Block hash not found"))?;
            let place = known.txids.iter().position(|known| *known == txid).ok_or_else(|| {
                missing("No such transaction found in the provided block. Use gettransaction for wallet transactions.")
            })?;
            let transaction = &known.block.txdata[place];
            told(transaction, verbosity, || {
                TransactionShape::new(transaction, txid).in_block(&state.chain, hash, known)
            })
        }
    })
}

fn told<'a>(transaction: &Transaction, verbosity: i64, shape: impl FnOnce() -> TransactionShape<'a>) -> Answer {
    if verbosity <= 0 { answer(&serialize_hex(transaction)) } else { answer(&shape()) }
}

fn tx_out(node: &BitcoinNode, params: &Params) -> Answer {
    let outpoint = OutPoint::new(params.hash(0, "txid")?, params.whole(1)?);
    let with_mempool = params.truth(2, true)?;
    node.read(|state| {
        if with_mempool && state.mempool.spender(&outpoint).is_some() {
            return answer(&());
        }
        match (state.chain.coin(&outpoint), state.mempool.output(&outpoint)) {
            (Some(coin), _) => answer(&CoinShape::mined(&state.chain, coin)),
            (None, Some(output)) if with_mempool => answer(&CoinShape::waiting(&state.chain, output)),
            (None, _) => answer(&()),
        }
    })
}

fn send_raw_transaction(node: &BitcoinNode, params: &Params) -> Answer {
    let undecodable = "TX decode failed. Make sure the tx has at least one input.";
    let transaction: Transaction = params.raw(0, undecodable)?;
    let sent = node.lock().accept(transaction, Signatures::Judge);
    answer(&sent.map_err(fault)?)
}

fn generate_to_address(node: &BitcoinNode, params: &Params) -> Answer {
    let blocks = params.whole(0)?;
    let address = parse_address(params.text(1)?, Network::Regtest)
        .map_err(|_| Fault::new(code::NOT_FOUND, "Error: Invalid address"))?;
    if blocks == 0 {
        return answer::<[BlockHash]>(&[]);
    }
    answer(&node.generate(blocks, &address.script_pubkey()).map_err(fault)?)
}

fn submit_block(node: &BitcoinNode, params: &Params) -> Answer {
    let block: Block = params.raw(0, "Block decode failed")?;
    let hash = block.block_hash();
    let submit = |inner: &mut Inner| match inner.submit(block) {
        Ok(()) if inner.state.chain.is_best(&hash) => Ok(None),
        Ok(()) => Ok(Some("inconclusive".to_owned())),
        Err(ControlError::BadBlock(error)) => Ok(Some(error.to_string())),
        Err(other) => Err(fault(other)),
    };
    answer(&submit(&mut node.lock())?)
}

/// `invalidateblock` and `reconsiderblock`.
fn steer(node: &BitcoinNode, params: &Params, change: fn(BlockHash) -> Change) -> Answer {
    let hash = params.hash(0, "blockhash")?;
    let mut inner = node.lock();
    known(&inner.state, &hash)?;
    inner.commit(vec![change(hash)]).map_err(fault)?;
    answer(&())
}

/// What the node says when something could not be made to happen.
fn fault(error: ControlError) -> Fault {
    match error {
        ControlError::Refused(Refusal::AlreadyMined) => {
            Fault::new(code::ALREADY_IN_UTXO_SET, Refusal::AlreadyMined.to_string())
        }
        ControlError::Refused(Refusal::MissingInputs) => Fault::new(code::VERIFY, Refusal::MissingInputs.to_string()),
        ControlError::Refused(refusal) => Fault::new(code::VERIFY_REJECTED, refusal.to_string()),
        other => Fault::new(code::MISC, other.to_string()),
    }
}
