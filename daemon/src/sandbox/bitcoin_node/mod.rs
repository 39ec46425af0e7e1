//! A Bitcoin Core node on a private regression test network, with a customer who has money.
//!
//! Blocks, transactions and signatures are real; what a private network does not need (peers, scripts beyond one key,
//! ancestor limits, fee estimation) is not there. The node speaks JSON-RPC as Bitcoin Core 28 does without a
//! transaction index (see [`rpc`]), and is steered by [`control`]: pay, mine, reorganise, double-spend, forget.
//! Blocks are mined when somebody asks, so a timer belongs to the caller.
//!
//! Everything that happens is in a journal before it is answered; opening the same folder continues the same chain.

mod books;
mod chain;
mod coins;
pub mod control;
mod founding;
mod mempool;
mod miner;
pub mod rpc;
mod scripts;
mod state;
mod wallet;

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bitcoin::{Block, BlockHash, ScriptBuf, Transaction, Txid};

use self::chain::BlockError;
use self::mempool::{Refusal, Signatures};
use self::miner::{TRANSACTIONS_WEIGHT_MAX, Template};
use self::state::{Change, State};
use super::clock;
use super::journal::Journal;

pub use self::books::{Books, Receipt};
pub use self::control::{ControlError, Orphans};
pub use self::rpc::router;

/// The journal's name in the node's folder.
const JOURNAL_FILE: &str = "bitcoin.journal";

/// The node: one lock, held for the time of one step.
#[derive(Debug)]
pub struct BitcoinNode {
    inner: Mutex<Inner>,
    opened: Instant,
}

#[derive(Debug)]
struct Inner {
    state: State,
    journal: Journal,
}

impl BitcoinNode {
    /// Opens the node of a folder; a new one is founded with a chain whose rewards the customer owns.
    ///
    /// An error is the disk's, or a journal that somebody else has written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut state = State::new();
        let mut journal = Journal::open(&dir.join(JOURNAL_FILE), |changes: Vec<Change>| {
            for change in changes {
                // A block that was refused when it came is refused again.
                let _same_as_then = state.apply(change);
            }
        })?;
        if state.chain.height() == 0 {
            journal.append(&founding::found(&mut state, now()).map_err(io::Error::other)?)?;
        }
        Ok(Self { inner: Mutex::new(Inner { state, journal }), opened: Instant::now() })
    }

    /// Looks at the state.
    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    /// A panic inside a step would be this program's mistake; the other callers still get their answers.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Writes down what happens, then lets it happen: first all of it, then the first error is told.
    fn commit(&mut self, changes: Vec<Change>) -> Result<(), ControlError> {
        self.journal.append(&changes)?;
        let mut outcome = Ok(());
        for change in changes {
            outcome = outcome.and(self.state.apply(change));
        }
        Ok(outcome?)
    }

    /// Takes in a transaction.
    fn accept(&mut self, transaction: Transaction, signatures: Signatures) -> Result<Txid, ControlError> {
        let txid = transaction.compute_txid();
        match self.state.mempool.check(&transaction, txid, &self.state.chain, signatures) {
            Ok(_) => self.commit(vec![Change::Accepted { transaction, time: now() }]).map(|()| txid),
            Err(Refusal::AlreadyWaiting) => Ok(txid),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Mines what waits, as far as it fits, into one block.
    fn mine_one(&mut self, reward_to: ScriptBuf) -> Result<BlockHash, ControlError> {
        let block = next_block(&self.state, reward_to, now());
        let hash = block.block_hash();
        self.commit(vec![Change::Block(block)]).map(|()| hash)
    }

    /// Takes in a block made elsewhere. A block that cannot be one leaves no trace in the journal.
    fn submit(&mut self, block: Block) -> Result<(), ControlError> {
        self.state.chain.check(&block)?;
        self.commit(vec![Change::Block(block)])
    }
}

/// The block on top of the best chain, with what waits.
fn next_block(state: &State, reward_to: ScriptBuf, now: u32) -> Block {
    let (transactions, fees) = state.mempool.for_block(TRANSACTIONS_WEIGHT_MAX);
    let tip = state.chain.tip();
    miner::mine(Template {
        previous: tip,
        height: state.chain.height() + 1,
        recent_times: state.chain.recent_times(&tip),
        now,
        reward_to,
        fees,
        extra_nonce: state.chain.known_count() as u64,
        transactions,
    })
}

/// The wall clock, in seconds since 1970.
fn now() -> u32 {
    u32::try_from(clock::now_s()).unwrap_or(u32::MAX)
}

impl From<BlockError> for ControlError {
    fn from(error: BlockError) -> Self {
        Self::BadBlock(error)
    }
}

impl From<Refusal> for ControlError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

#[cfg(test)]
mod tests;
