//! The outside world as the actors see it. Passed in once, where the tree is wired, so that a simulation can pass others.
//!
//! An error of a port says nothing about whether the other side acted; whoever had an effect in mind reads back first.

use bitcoin::{Block, BlockHash, Transaction, Txid};
use futures::future::BoxFuture;
use millrace_model::ids::DepositId;
use millrace_protocols::wire::bitcoind::ChainInfo;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{BlockHash as SkyBlockHash, Txid as SkyTxid};
use millrace_protocols::wire::skycoin::rest::{
    Block as SkyBlock, Created, Funds, Lag, Payout, Refusal, Seen, Spend, UnspentOutput,
};
use millrace_protocols::wire::skycoin::transaction::Transaction as SkyTransaction;

/// Why a port has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Nobody there, or not in time.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// It answers what nobody can understand; the text names the field.
    #[error("{0}")]
    Nonsense(String),
    /// It refused.
    #[error("refused: {0}")]
    Refused(String),
}

/// A port's answer, later.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, PortError>>;

/// A Bitcoin node.
pub trait BitcoinNode: Send + Sync {
    /// Which chain, and how far.
    fn chain_info(&self) -> Answer<'_, ChainInfo>;
    /// The hash of the best chain's block at a height; `None` above its tip.
    fn hash_at(&self, height: u32) -> Answer<'_, Option<BlockHash>>;
    /// A block; `None` when the node does not have it.
    fn block(&self, hash: BlockHash) -> Answer<'_, Option<Block>>;
    /// What waits to be mined.
    fn mempool(&self) -> Answer<'_, Vec<Txid>>;
    /// A transaction that waits to be mined; `None` when the node does not know it.
    fn waiting(&self, txid: Txid) -> Answer<'_, Option<Transaction>>;
}

/// Why the wallet made no payout. Nothing was broadcast in any case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The node understood and said no.
    #[error("the wallet refused: {message}")]
    Refused {
        /// What the refusal means.
        refusal: Refusal,
        /// In the node's words.
        message: String,
    },
    /// No answer.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// A Skycoin node with the hot wallet.
pub trait SkycoinNode: Send + Sync {
    /// The hot wallet's own address, where change goes.
    fn hot_address(&self) -> Answer<'_, SkyAddress>;
    /// What the hot wallet can spend now: in a block so deep, its own included, and no waiting transaction spends it.
    fn spendable(&self, confirmations: u64) -> Answer<'_, Vec<UnspentOutput>>;
    /// Creates and signs, does not broadcast. The caller checks what comes back ([`Payout::check`]).
    fn create<'a>(&'a self, payout: &'a Payout) -> BoxFuture<'a, Result<Created, CreateError>>;
    /// Broadcasts signed bytes; doing it again is no different.
    fn inject<'a>(&'a self, transaction: &'a SkyTransaction) -> Answer<'a, ()>;
    /// A transaction; `None` when the node does not know it.
    fn transaction(&self, txid: SkyTxid) -> Answer<'_, Option<Seen>>;
    /// The transactions, in blocks or waiting, that pay an address, whoever signed them.
    fn payments_to(&self, address: SkyAddress) -> Answer<'_, Vec<SkyTxid>>;
    /// A transaction that the wallet's own keys signed, as it was signed; `None` for another's and when the node does not
    /// know it.
    fn own(&self, txid: SkyTxid) -> Answer<'_, Option<SkyTransaction>>;
    /// Why the node may not know what has happened on the chain; `None` when it is at its end.
    fn lag(&self) -> Answer<'_, Option<Lag>>;
    /// All transactions, in blocks or waiting, that spend from or pay to the hot wallet or the given address.
    fn transactions_of(&self, address: SkyAddress) -> Answer<'_, Vec<Seen>>;
}

/// A block of the Skycoin chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkyTip {
    /// Its number.
    pub seq: u64,
    /// Its name.
    pub hash: SkyBlockHash,
}

/// What is watched of a Skycoin node and its hot wallet besides the payouts on their way.
pub trait SkycoinWatch: SkycoinNode {
    /// What the hot wallet holds, as the blocks have it.
    fn holdings(&self) -> Answer<'_, Funds>;
    /// The newest block.
    fn tip(&self) -> Answer<'_, SkyTip>;
    /// The block with this number; `None` above the newest.
    fn sky_block(&self, seq: u64) -> Answer<'_, Option<SkyBlock>>;
    /// What the block with this number spends from the hot wallet; `None` above the newest.
    fn spends_in(&self, seq: u64) -> Answer<'_, Option<Vec<Spend>>>;
}

/// Makes ids that sort by time.
pub trait Ids: Send + Sync {
    /// A fresh deposit id.
    fn deposit_id(&self) -> DepositId;
}
