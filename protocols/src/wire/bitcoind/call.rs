//! The node's methods the desk and its tests use, one type each.

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Block, BlockHash, Network, Transaction, Txid};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::fields::{self, Object};
use super::{Call, Request, WireError};

fn request(method: &'static str, params: Vec<Value>) -> Request {
    Request { method, params }
}

/// `getblockchaininfo`: which chain, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetBlockchainInfo;

/// The answer to [`GetBlockchainInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainInfo {
    /// The network the node is on.
    pub chain: Network,
    /// Height of the best block.
    pub blocks: u32,
    /// Hash of the best block.
    pub best_hash: BlockHash,
    /// Whether the node is still catching up with the network. bcoin does not say; then it is so while headers are
    /// ahead of blocks.
    pub initial_block_download: bool,
}

impl Call for GetBlockchainInfo {
    type Answer = ChainInfo;

    fn request(&self) -> Request {
        request("getblockchaininfo", vec![])
    }

    fn read(&self, result: &RawValue) -> Result<ChainInfo, WireError> {
        let object = Object::read(result)?;
        let chain = Network::from_core_arg(object.text("chain")?)
            .map_err(|_| WireError::new("chain", "is no network of Bitcoin"))?;
        let blocks = object.whole("blocks")?;
        let initial_block_download = match object.truth("initialblockdownload")? {
            Some(told) => told,
            None => object.whole::<u32>("headers")? > blocks,
        };
        Ok(ChainInfo { chain, blocks, best_hash: object.block_hash("bestblockhash")?, initial_block_download })
    }
}

/// `getblockcount`: the height of the best block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetBlockCount;

impl Call for GetBlockCount {
    type Answer = u32;

    fn request(&self) -> Request {
        request("getblockcount", vec![])
    }

    fn read(&self, result: &RawValue) -> Result<u32, WireError> {
        fields::height(result)
    }
}

/// `getbestblockhash`: the hash of the best block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetBestBlockHash;

impl Call for GetBestBlockHash {
    type Answer = BlockHash;

    fn request(&self) -> Request {
        request("getbestblockhash", vec![])
    }

    fn read(&self, result: &RawValue) -> Result<BlockHash, WireError> {
        fields::one_hash(result)
    }
}

/// `getblockhash`: the best chain's block at a height; refused as out of range above the tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetBlockHash {
    /// The height asked for.
    pub height: u32,
}

impl Call for GetBlockHash {
    type Answer = BlockHash;

    fn request(&self) -> Request {
        request("getblockhash", vec![json!(self.height)])
    }

    fn read(&self, result: &RawValue) -> Result<BlockHash, WireError> {
        fields::one_hash(result)
    }
}

/// `getblockheader`: where a block stands; refused as not found when the node never saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetBlockHeader {
    /// The block asked for.
    pub hash: BlockHash,
}

/// The answer to [`GetBlockHeader`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The block.
    pub hash: BlockHash,
    /// Its height.
    pub height: u32,
    /// 1 for the tip, more below it, −1 for a block that is not on the best chain.
    pub confirmations: i64,
    /// The block before; none before the first.
    pub previous: Option<BlockHash>,
    /// The miner's clock, in seconds since 1970.
    pub time: u32,
}

impl Header {
    /// Whether the block is not on the best chain.
    pub fn is_stale(&self) -> bool {
        self.confirmations < 0
    }
}

impl Call for GetBlockHeader {
    type Answer = Header;

    fn request(&self) -> Request {
        request("getblockheader", vec![json!(self.hash), json!(true)])
    }

    fn read(&self, result: &RawValue) -> Result<Header, WireError> {
        let object = Object::read(result)?;
        let hash = object.block_hash("hash")?;
        if hash != self.hash {
            return Err(WireError::new("hash", "is of another block than asked for"));
        }
        Ok(Header {
            hash,
            height: object.whole("height")?,
            confirmations: object.whole("confirmations")?,
            previous: object.optional_block_hash("previousblockhash")?,
            time: object.whole("time")?,
        })
    }
}

/// `getblock` with verbosity 0: the whole block, proven by its hash and merkle root to be the one asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetBlock {
    /// The block asked for.
    pub hash: BlockHash,
}

impl Call for GetBlock {
    type Answer = Block;

    fn request(&self) -> Request {
        request("getblock", vec![json!(self.hash), json!(0)])
    }

    fn read(&self, result: &RawValue) -> Result<Block, WireError> {
        let block: Block = fields::raw(result)?;
        if block.block_hash() != self.hash {
            return Err(WireError::new("result", "is another block than asked for"));
        }
        if !block.check_merkle_root() {
            return Err(WireError::new("result", "is a block with other transactions than its merkle root says"));
        }
        Ok(block)
    }
}

/// `getrawmempool`: the txids waiting to be mined, in no particular order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetRawMempool;

impl Call for GetRawMempool {
    type Answer = Vec<Txid>;

    fn request(&self) -> Request {
        request("getrawmempool", vec![json!(false)])
    }

    fn read(&self, result: &RawValue) -> Result<Vec<Txid>, WireError> {
        fields::hashes(result)
    }
}

/// `getrawtransaction`: one transaction. Without a block, a node that keeps no transaction index knows only what waits
/// in its mempool and refuses everything else as not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetRawTransaction {
    /// The transaction asked for.
    pub txid: Txid,
    /// The block to look in.
    pub in_block: Option<BlockHash>,
}

impl Call for GetRawTransaction {
    type Answer = Transaction;

    fn request(&self) -> Request {
        let mut params = vec![json!(self.txid), json!(0)];
        params.extend(self.in_block.map(|hash| json!(hash)));
        request("getrawtransaction", params)
    }

    fn read(&self, result: &RawValue) -> Result<Transaction, WireError> {
        let transaction: Transaction = fields::raw(result)?;
        if transaction.compute_txid() != self.txid {
            return Err(WireError::new("result", "is another transaction than asked for"));
        }
        Ok(transaction)
    }
}

/// `sendrawtransaction`: broadcasts. A transaction that is in the mempool already is no error. bcoin without a shim
/// answers a txid even for what it rejects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRawTransaction {
    /// What to broadcast.
    pub transaction: Transaction,
}

impl Call for SendRawTransaction {
    type Answer = Txid;

    fn request(&self) -> Request {
        request("sendrawtransaction", vec![json!(bitcoin::consensus::encode::serialize_hex(&self.transaction))])
    }

    fn read(&self, result: &RawValue) -> Result<Txid, WireError> {
        let txid = fields::one_hash(result)?;
        if txid != self.transaction.compute_txid() {
            return Err(WireError::new("result", "is the txid of another transaction than was sent"));
        }
        Ok(txid)
    }
}

/// `generatetoaddress`: mines at once; test chains only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateToAddress {
    /// How many blocks.
    pub blocks: u32,
    /// Who gets the reward.
    pub address: Address<NetworkUnchecked>,
}

impl Call for GenerateToAddress {
    type Answer = Vec<BlockHash>;

    fn request(&self) -> Request {
        request("generatetoaddress", vec![json!(self.blocks), json!(self.address)])
    }

    fn read(&self, result: &RawValue) -> Result<Vec<BlockHash>, WireError> {
        fields::hashes(result)
    }
}

/// `submitblock`: hands over a block made elsewhere; how a competing branch is built on a test chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitBlock {
    /// The block.
    pub block: Block,
}

impl Call for SubmitBlock {
    /// None when it became the best block; otherwise the node's word, `inconclusive` for a block on a side branch.
    type Answer = Option<String>;

    fn request(&self) -> Request {
        request("submitblock", vec![json!(bitcoin::consensus::encode::serialize_hex(&self.block))])
    }

    fn read(&self, result: &RawValue) -> Result<Option<String>, WireError> {
        serde_json::from_str(result.get()).map_err(|_| WireError::new("result", "is neither null nor a text"))
    }
}

#[cfg(test)]
mod tests;
