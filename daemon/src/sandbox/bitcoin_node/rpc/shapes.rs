//! The answers' shapes: blocks, headers, transactions and mempool entries as Bitcoin Core 28 tells them.

use std::collections::BTreeSet;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Amount, BlockHash, Script, Target, Transaction, TxIn, TxOut, Txid, Wtxid};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::scripts::{ScriptShape, asm};
use crate::sandbox::bitcoin_node::chain::{Chain, Known};
use crate::sandbox::bitcoin_node::coins::Coin;
use crate::sandbox::bitcoin_node::mempool::{Entry, Mempool, RELAY_FEE_RATE, in_btc};

/// BTC as a JSON number of eight decimals, exact.
pub struct Btc(pub Amount);

impl Serialize for Btc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(in_btc(self.0)).expect("digits and a point are a number").serialize(serializer)
    }
}

/// Difficulty of every block: the trivial one.
pub fn difficulty() -> f64 {
    Target::MAX_ATTAINABLE_REGTEST.difficulty_float()
}

/// Work of a chain up to a height: two hashes a block.
pub fn chainwork(height: u32) -> String {
    format!("{:064x}", 2 * (u64::from(height) + 1))
}

/// How deep a block is: 1 for the tip, −1 off the best chain.
pub fn confirmations(chain: &Chain, hash: &BlockHash, known: &Known) -> i64 {
    if chain.is_best(hash) { i64::from(chain.height() - known.height) + 1 } else { -1 }
}

/// What `getnetworkinfo` tells: a Bitcoin Core 28.1 without peers.
#[derive(Serialize)]
pub struct NetworkShape {
    version: u32,
    subversion: &'static str,
    protocolversion: u32,
    localservices: &'static str,
    localrelay: bool,
    timeoffset: i32,
    networkactive: bool,
    connections: u32,
    networks: [(); 0],
    relayfee: Btc,
    incrementalfee: Btc,
    localaddresses: [(); 0],
    warnings: [(); 0],
}

impl Default for NetworkShape {
    fn default() -> Self {
        // A kilobyte at the mempool's rate.
        let fee = || Btc(Amount::from_sat(1_000 * RELAY_FEE_RATE));
        Self {
            version: 280_100,
            subversion: "/Satoshi:28.1.0(sandbox)/",
            protocolversion: 70_016,
            localservices: "0000000000000409",
            localrelay: true,
            timeoffset: 0,
            networkactive: true,
            connections: 0,
            networks: [],
            relayfee: fee(),
            incrementalfee: fee(),
            localaddresses: [],
            warnings: [],
        }
    }
}

/// A header, and what `getblock` says besides.
#[derive(Serialize)]
pub struct BlockShape<'a> {
    hash: BlockHash,
    confirmations: i64,
    height: u32,
    version: i32,
    #[serde(rename = "versionHex")]
    version_hex: String,
    merkleroot: bitcoin::TxMerkleNode,
    time: u32,
    mediantime: u32,
    nonce: u32,
    bits: String,
    difficulty: f64,
    chainwork: String,
    #[serde(rename = "nTx")]
    tx_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    previousblockhash: Option<BlockHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nextblockhash: Option<BlockHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strippedsize: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx: Option<Transactions<'a>>,
}

/// A block's transactions, more or less fully.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Transactions<'a> {
    /// Their ids.
    Ids(&'a [Txid]),
    /// All of them.
    Whole(Vec<TransactionShape<'a>>),
}

impl<'a> BlockShape<'a> {
    /// What `getblockheader` tells.
    pub fn header(chain: &Chain, hash: BlockHash, known: &'a Known) -> Self {
        let header = &known.block.header;
        let best = chain.is_best(&hash);
        Self {
            hash,
            confirmations: confirmations(chain, &hash, known),
            height: known.height,
            version: header.version.to_consensus(),
            version_hex: format!("{:08x}", header.version.to_consensus()),
            merkleroot: header.merkle_root,
            time: header.time,
            mediantime: chain.median_time(&hash),
            nonce: header.nonce,
            bits: format!("{:08x}", header.bits.to_consensus()),
            difficulty: difficulty(),
            chainwork: chainwork(known.height),
            tx_count: known.txids.len(),
            previousblockhash: (known.height > 0).then_some(header.prev_blockhash),
            nextblockhash: chain.at(known.height + 1).filter(|_| best),
            strippedsize: None,
            size: None,
            weight: None,
            tx: None,
        }
    }

    /// What `getblock` tells.
    pub fn whole(chain: &Chain, hash: BlockHash, known: &'a Known, tx: Transactions<'a>) -> Self {
        let (size, weight) = (known.block.total_size(), known.block.weight().to_wu());
        let stripped = (weight as usize).saturating_sub(size) / 3;
        Self {
            strippedsize: Some(stripped),
            size: Some(size),
            weight: Some(weight),
            tx: Some(tx),
            ..Self::header(chain, hash, known)
        }
    }
}

/// All transactions of a block, with the fees as far as its coins are known (on the best chain).
pub fn whole_transactions(known: &Known) -> Transactions<'_> {
    let mut spent = known.spent.iter();
    let shapes = known.block.txdata.iter().zip(&known.txids).map(|(transaction, txid)| {
        let mut shape = TransactionShape::new(transaction, *txid);
        if !transaction.is_coinbase() && !known.spent.is_empty() {
            let coins: Amount = spent.by_ref().take(transaction.input.len()).map(|(_, coin)| coin.output.value).sum();
            let paid = transaction.output.iter().map(|output| output.value).sum();
            shape.fee = coins.checked_sub(paid).map(Btc);
        }
        shape
    });
    Transactions::Whole(shapes.collect())
}

/// A transaction.
#[derive(Serialize)]
pub struct TransactionShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    in_active_chain: Option<bool>,
    txid: Txid,
    hash: Wtxid,
    version: i32,
    size: usize,
    vsize: usize,
    weight: u64,
    locktime: u32,
    vin: Vec<InputShape<'a>>,
    vout: Vec<OutputShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<Btc>,
    hex: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    blockhash: Option<BlockHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmations: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocktime: Option<u32>,
}

impl<'a> TransactionShape<'a> {
    /// A transaction alone.
    pub fn new(transaction: &'a Transaction, txid: Txid) -> Self {
        let outputs = (0u32..).zip(&transaction.output);
        Self {
            in_active_chain: None,
            txid,
            hash: transaction.compute_wtxid(),
            version: transaction.version.0,
            size: transaction.total_size(),
            vsize: transaction.vsize(),
            weight: transaction.weight().to_wu(),
            locktime: transaction.lock_time.to_consensus_u32(),
            vin: transaction.input.iter().map(|input| InputShape::new(input, transaction.is_coinbase())).collect(),
            vout: outputs.map(|(n, output)| OutputShape::new(n, output)).collect(),
            fee: None,
            hex: serialize_hex(transaction),
            blockhash: None,
            confirmations: None,
            time: None,
            blocktime: None,
        }
    }

    /// The same, found in a block that was asked for.
    pub fn in_block(self, chain: &Chain, hash: BlockHash, known: &Known) -> Self {
        let time = Some(known.block.header.time);
        Self {
            in_active_chain: Some(chain.is_best(&hash)),
            blockhash: Some(hash),
            confirmations: Some(confirmations(chain, &hash, known).max(0)),
            time,
            blocktime: time,
            ..self
        }
    }
}

#[derive(Serialize)]
struct InputShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    coinbase: Option<&'a Script>,
    #[serde(skip_serializing_if = "Option::is_none")]
    txid: Option<Txid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vout: Option<u32>,
    #[serde(rename = "scriptSig", skip_serializing_if = "Option::is_none")]
    script_sig: Option<ScriptSigShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    txinwitness: Vec<String>,
    sequence: u32,
}

#[derive(Serialize)]
struct ScriptSigShape<'a> {
    asm: String,
    hex: &'a Script,
}

impl<'a> InputShape<'a> {
    fn new(input: &'a TxIn, coinbase: bool) -> Self {
        let (outpoint, script) = (input.previous_output, input.script_sig.as_script());
        Self {
            coinbase: coinbase.then_some(script),
            txid: (!coinbase).then_some(outpoint.txid),
            vout: (!coinbase).then_some(outpoint.vout),
            script_sig: (!coinbase).then(|| ScriptSigShape { asm: asm(script), hex: script }),
            txinwitness: input.witness.iter().map(hex::encode).collect(),
            sequence: input.sequence.to_consensus_u32(),
        }
    }
}

#[derive(Serialize)]
struct OutputShape<'a> {
    value: Btc,
    n: u32,
    #[serde(rename = "scriptPubKey")]
    script: ScriptShape<'a>,
}

impl<'a> OutputShape<'a> {
    fn new(n: u32, output: &'a TxOut) -> Self {
        Self { value: Btc(output.value), n, script: ScriptShape::new(&output.script_pubkey) }
    }
}

/// What `gettxout` tells.
#[derive(Serialize)]
pub struct CoinShape<'a> {
    bestblock: BlockHash,
    confirmations: u32,
    value: Btc,
    #[serde(rename = "scriptPubKey")]
    script: ScriptShape<'a>,
    coinbase: bool,
}

impl<'a> CoinShape<'a> {
    /// A coin of the chain.
    pub fn mined(chain: &Chain, coin: &'a Coin) -> Self {
        let confirmations = chain.height() - coin.height + 1;
        Self { confirmations, coinbase: coin.coinbase, ..Self::waiting(chain, &coin.output) }
    }

    /// An output that waits.
    pub fn waiting(chain: &Chain, output: &'a TxOut) -> Self {
        let script = ScriptShape::new(&output.script_pubkey);
        Self { bestblock: chain.tip(), confirmations: 0, value: Btc(output.value), script, coinbase: false }
    }
}

/// What `getmempoolentry` tells.
#[derive(Serialize)]
pub struct EntryShape {
    vsize: u64,
    weight: u64,
    time: u32,
    height: u32,
    descendantcount: usize,
    descendantsize: u64,
    ancestorcount: usize,
    ancestorsize: u64,
    wtxid: Wtxid,
    fees: FeesShape,
    depends: BTreeSet<Txid>,
    spentby: BTreeSet<Txid>,
    #[serde(rename = "bip125-replaceable")]
    replaceable: bool,
    unbroadcast: bool,
}

#[derive(Serialize)]
struct FeesShape {
    base: Btc,
    modified: Btc,
    ancestor: Btc,
    descendant: Btc,
}

impl EntryShape {
    /// An entry, with its relations.
    pub fn new(mempool: &Mempool, txid: &Txid, entry: &Entry) -> Self {
        let (ancestors, descendants) = (mempool.with_ancestors(txid), mempool.with_descendants(txid));
        let size = |txids: &BTreeSet<Txid>| txids.iter().filter_map(|txid| mempool.get(txid)).map(Entry::vsize).sum();
        Self {
            vsize: entry.vsize(),
            weight: entry.weight.to_wu(),
            time: entry.time,
            height: entry.height,
            descendantcount: descendants.len(),
            descendantsize: size(&descendants),
            ancestorcount: ancestors.len(),
            ancestorsize: size(&ancestors),
            wtxid: entry.transaction.compute_wtxid(),
            fees: FeesShape {
                base: Btc(entry.fee),
                modified: Btc(entry.fee),
                ancestor: Btc(mempool.fees(&ancestors)),
                descendant: Btc(mempool.fees(&descendants)),
            },
            depends: mempool.parents(txid),
            spentby: mempool.children(txid),
            replaceable: true,
            unbroadcast: false,
        }
    }
}
