//! What a person or a test makes happen on the network: payments, blocks, reorganisations, double-spends, losses.

use bitcoin::{Block, BlockHash, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxOut, Txid};
use millrace_model::money::{Amount, Btc};
use millrace_protocols::receive::{AddressError, parse_address};
use serde::{Deserialize, Serialize};

use super::chain::{BlockError, MEDIAN_BLOCKS};
use super::coins::value_out;
use super::founding::FOUNDING_HEIGHT;
use super::mempool::{Refusal, Signatures};
use super::miner::{self, Template};
use super::state::{Change, State};
use super::wallet::vsize;
use super::{BitcoinNode, Inner, now};

/// The most outputs of one payment.
pub const OUTPUTS_MAX: usize = 2_000;

/// The most blocks mined at once.
pub const BLOCKS_MAX: u32 = 1_000;

/// The deepest reorganisation: deeper ones could undo rewards that are spent.
pub const REORG_DEPTH_MAX: u32 = 99;

/// What becomes of the transactions whose blocks are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orphans {
    /// They wait in the mempool again, as Bitcoin Core does it.
    Keep,
    /// The network forgets them. The customer keeps their coins apart, for [`BitcoinNode::respend`].
    Drop,
    /// They are in the new branch too, each one block higher than it was.
    Remine,
}

/// Why something could not be made to happen.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// An output's address is none of this network's.
    #[error("{address}: {error}")]
    Address {
        /// The text given.
        address: String,
        /// What is wrong with it.
        error: AddressError,
    },
    /// No outputs, or more than [`OUTPUTS_MAX`].
    #[error("a payment has between 1 and {OUTPUTS_MAX} outputs")]
    OutputCount,
    /// No blocks, or more than [`BLOCKS_MAX`].
    #[error("between 1 and {BLOCKS_MAX} blocks can be mined at once")]
    BlockCount,
    /// A reorganisation of no blocks, of too many, or of the blocks that founded the network.
    #[error("a reorganisation replaces between 1 and {max} blocks here")]
    Depth {
        /// The deepest one now.
        max: u32,
    },
    /// The customer cannot pay this.
    #[error("the customer has not enough money")]
    NotEnoughMoney,
    /// It neither waits nor was forgotten.
    #[error("no such transaction waits or was forgotten")]
    UnknownTransaction,
    /// It spends coins of somebody else, so nobody here can sign another one.
    #[error("the transaction is not the customer's")]
    NotTheCustomers,
    /// The coins it spends are gone.
    #[error("the coins of the transaction are spent by another one")]
    CoinsGone,
    /// It leaves nothing to take a higher fee from.
    #[error("the transaction has no change to take a higher fee from")]
    NoChange,
    /// The mempool does not take it.
    #[error("the mempool refuses it: {0}")]
    Refused(Refusal),
    /// The chain does not take it.
    #[error("the chain refuses it: {0}")]
    BadBlock(BlockError),
    /// It could not be written down.
    #[error("the journal cannot be written: {0}")]
    Journal(#[from] std::io::Error),
}

impl BitcoinNode {
    /// The customer pays these amounts in one transaction, outputs in this order, change last. It waits in the mempool.
    pub fn pay<A: AsRef<str>>(&self, payments: &[(A, Amount<Btc>)]) -> Result<Txid, ControlError> {
        if payments.is_empty() || payments.len() > OUTPUTS_MAX {
            return Err(ControlError::OutputCount);
        }
        let outputs = payments.iter().map(output).collect::<Result<Vec<_>, _>>()?;
        let mut inner = self.lock();
        let transaction = inner.state.wallet.pay(outputs).ok_or(ControlError::NotEnoughMoney)?;
        inner.accept(transaction, Signatures::Trust)
    }

    /// Mines blocks with what waits; the rewards are the customer's. Answers the new tip.
    pub fn mine(&self, blocks: u32) -> Result<BlockHash, ControlError> {
        let script = self.read(|state| state.wallet.script().to_owned());
        self.generate(blocks, &script).map(|hashes| hashes[hashes.len() - 1])
    }

    /// Mines blocks whose rewards go to an address: how a deposit can be a coinbase. Answers the new tip.
    pub fn mine_to(&self, blocks: u32, address: &str) -> Result<BlockHash, ControlError> {
        let script = address_script(address)?;
        self.generate(blocks, &script).map(|hashes| hashes[hashes.len() - 1])
    }

    /// How many blocks lie on top of the newest one that holds a transaction besides its reward. The founding of the
    /// network does not count.
    pub fn blocks_since_transaction(&self) -> Option<u32> {
        self.read(|state| {
            let busy = |height: &u32| {
                let block = state.chain.at(*height).and_then(|hash| state.chain.known(&hash));
                block.is_some_and(|known| known.txids.len() > 1)
            };
            let tip = state.chain.height();
            (FOUNDING_HEIGHT + 1..=tip).rev().find(busy).map(|height| tip - height)
        })
    }

    /// Mines a block if anything waits.
    pub fn mine_if_pending(&self) -> Result<Option<BlockHash>, ControlError> {
        let mut inner = self.lock();
        if inner.state.mempool.is_empty() {
            return Ok(None);
        }
        let script = inner.state.wallet.script().to_owned();
        inner.mine_one(script).map(Some)
    }

    /// Mines blocks one by one; never an empty answer.
    pub(super) fn generate(&self, blocks: u32, reward_to: &ScriptBuf) -> Result<Vec<BlockHash>, ControlError> {
        if blocks == 0 || blocks > BLOCKS_MAX {
            return Err(ControlError::BlockCount);
        }
        (0..blocks).map(|_| self.lock().mine_one(reward_to.clone())).collect()
    }

    /// Replaces the last `depth` blocks by one block more. Answers the new tip.
    pub fn reorg(&self, depth: u32, orphans: Orphans) -> Result<BlockHash, ControlError> {
        let mut inner = self.lock();
        let max = inner.state.chain.height().saturating_sub(FOUNDING_HEIGHT).min(REORG_DEPTH_MAX);
        if depth == 0 || depth > max {
            return Err(ControlError::Depth { max });
        }
        let blocks = branch(&inner.state, depth, orphans);
        let tip = blocks[blocks.len() - 1].block_hash();
        let mut changes: Vec<Change> = blocks.into_iter().map(Change::Block).collect();
        if orphans == Orphans::Drop {
            changes.extend(orphaned(&inner.state, depth).into_iter().flatten().map(|(txid, _)| Change::Evicted(txid)));
        }
        inner.commit(changes).map(|()| tip)
    }

    /// The customer takes a payment back that waits or was forgotten: the same coins, with a higher fee, to himself.
    /// Answers the new transaction.
    pub fn replace(&self, txid: Txid) -> Result<Txid, ControlError> {
        let mut inner = self.lock();
        let (transaction, coins) = inner.customers(txid)?;
        let taken: u64 = coins.iter().map(|(value, _)| value.to_sat()).sum();
        let vsize = vsize(transaction.input.len() as u64, [&inner.state.wallet.change(bitcoin::Amount::ZERO)]);
        let fee = inner.fee_to_beat(txid, &transaction, taken) + vsize;
        let rest = bitcoin::Amount::from_sat(taken.checked_sub(fee).ok_or(ControlError::NotEnoughMoney)?);
        let outputs = vec![inner.state.wallet.change(rest)];
        let replacement = inner.state.wallet.spend(&coins, Sequence::ENABLE_RBF_NO_LOCKTIME, outputs);
        inner.accept(replacement, Signatures::Trust)
    }

    /// The customer pays the same outputs with the same coins once more, in a transaction with a higher fee and so with
    /// another id: after it was forgotten, or while it waits (a fee bump). Answers the new transaction.
    pub fn respend(&self, txid: Txid) -> Result<Txid, ControlError> {
        let mut inner = self.lock();
        let (transaction, coins) = inner.customers(txid)?;
        let taken: u64 = coins.iter().map(|(value, _)| value.to_sat()).sum();
        let fee = inner.fee_to_beat(txid, &transaction, taken) + transaction.vsize() as u64;
        let raise = fee.saturating_sub(taken.saturating_sub(value_out(&transaction)));
        let mut outputs = transaction.output;
        let change = outputs.last_mut().filter(|last| *last.script_pubkey == *inner.state.wallet.script());
        let change = change.ok_or(ControlError::NoChange)?;
        change.value = change.value.checked_sub(bitcoin::Amount::from_sat(raise)).ok_or(ControlError::NoChange)?;
        let again = inner.state.wallet.spend(&coins, Sequence::ENABLE_RBF_NO_LOCKTIME, outputs);
        inner.accept(again, Signatures::Trust)
    }

    /// The customer broadcasts a forgotten payment once more, unchanged.
    pub fn rebroadcast(&self, txid: Txid) -> Result<Txid, ControlError> {
        let mut inner = self.lock();
        let transaction = inner.state.forgotten(&txid).ok_or(ControlError::UnknownTransaction)?;
        let transaction = (**transaction).clone();
        inner.accept(transaction, Signatures::Trust)
    }

    /// The network forgets a waiting transaction and what spends from it.
    pub fn evict(&self, txid: Txid) -> Result<(), ControlError> {
        let mut inner = self.lock();
        match inner.state.mempool.get(&txid) {
            Some(_) => inner.commit(vec![Change::Evicted(txid)]),
            None => Err(ControlError::UnknownTransaction),
        }
    }

    /// What the customer could spend now.
    pub fn customer_balance(&self) -> Amount<Btc> {
        Amount::from_units(self.read(|state| state.wallet.balance()).to_sat()).unwrap_or(Amount::MAX)
    }

    /// Where the customer can be paid.
    pub fn customer_address(&self) -> String {
        self.read(|state| state.wallet.address()).to_string()
    }
}

type Coins = Vec<(bitcoin::Amount, OutPoint)>;

impl Inner {
    /// A payment of the customer that waits or was forgotten, and the coins it spends.
    fn customers(&self, txid: Txid) -> Result<(Transaction, Coins), ControlError> {
        let State { chain, mempool, wallet, .. } = &self.state;
        let waiting = mempool.get(&txid).map(|entry| &entry.transaction);
        let transaction = waiting.or(self.state.forgotten(&txid)).ok_or(ControlError::UnknownTransaction)?;
        let coin = |outpoint: OutPoint| {
            let output = chain.coin(&outpoint).map(|coin| &coin.output).or(mempool.output(&outpoint));
            let output = output.ok_or(ControlError::CoinsGone)?;
            let own = *output.script_pubkey == *wallet.script();
            if own { Ok((output.value, outpoint)) } else { Err(ControlError::NotTheCustomers) }
        };
        let coins = transaction.input.iter().map(|input| coin(input.previous_output)).collect::<Result<_, _>>()?;
        Ok(((**transaction).clone(), coins))
    }

    /// What the transaction pays, or it and all that spends from it while it waits.
    fn fee_to_beat(&self, txid: Txid, transaction: &Transaction, taken: u64) -> u64 {
        let waiting = self.state.mempool.fees(&self.state.mempool.with_descendants(&txid)).to_sat();
        waiting.max(taken.saturating_sub(value_out(transaction)))
    }
}

fn output<A: AsRef<str>>((address, amount): &(A, Amount<Btc>)) -> Result<TxOut, ControlError> {
    let script_pubkey = address_script(address.as_ref())?;
    Ok(TxOut { value: bitcoin::Amount::from_sat(amount.units()), script_pubkey })
}

fn address_script(address: &str) -> Result<ScriptBuf, ControlError> {
    parse_address(address, Network::Regtest)
        .map(|address| address.script_pubkey())
        .map_err(|error| ControlError::Address { address: address.chars().take(100).collect(), error })
}

/// The transactions of the last `depth` blocks without their coinbases, a list a block, lowest block first.
fn orphaned(state: &State, depth: u32) -> Vec<Vec<(Txid, Transaction)>> {
    let heights = state.chain.height() + 1 - depth..=state.chain.height();
    let blocks = heights.filter_map(|height| state.chain.known(&state.chain.at(height)?));
    blocks.map(|known| known.txids.iter().copied().zip(known.block.txdata.iter().cloned()).skip(1).collect()).collect()
}

/// A branch one block longer than the `depth` blocks it replaces.
fn branch(state: &State, depth: u32, orphans: Orphans) -> Vec<Block> {
    let fork_height = state.chain.height() - depth;
    let mut previous = state.chain.at(fork_height).expect("the fork is on the best chain");
    let mut times = state.chain.recent_times(&previous);
    let mut contents = match orphans {
        Orphans::Keep | Orphans::Drop => vec![],
        Orphans::Remine => orphaned(state, depth),
    };
    contents.insert(0, vec![]);
    contents.resize(depth as usize + 1, vec![]);
    let mut blocks = Vec::with_capacity(contents.len());
    for (height, content) in (fork_height + 1..).zip(contents) {
        let block = miner::mine(Template {
            previous,
            height,
            recent_times: times.clone(),
            now: now(),
            reward_to: state.wallet.script().to_owned(),
            fees: bitcoin::Amount::ZERO,
            extra_nonce: state.chain.known_count() as u64 + blocks.len() as u64,
            transactions: content.into_iter().map(|(_, transaction)| transaction).collect(),
        });
        previous = block.block_hash();
        times.insert(0, block.header.time);
        times.truncate(MEDIAN_BLOCKS);
        blocks.push(block);
    }
    blocks
}
