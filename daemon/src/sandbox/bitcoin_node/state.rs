//! Chain, mempool and wallet together: every change goes through here, in one order, so that the journal can repeat it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bitcoin::{Block, BlockHash, OutPoint, Transaction, Txid};
use serde::{Deserialize, Serialize};

use super::chain::{BlockError, Chain, Switch};
use super::mempool::{Mempool, Refusal, Signatures};
use super::wallet::{Standing, Wallet};

/// One thing that happened to the node. What follows from it is not written down: it follows again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A block was mined here or handed over.
    Block(#[serde(with = "raw")] Block),
    /// A transaction was let into the mempool.
    Accepted {
        /// The transaction.
        #[serde(with = "raw")]
        transaction: Transaction,
        /// When, in seconds since 1970.
        time: u32,
    },
    /// A transaction left the mempool for no reason of the network's.
    Evicted(Txid),
    /// A block was declared invalid.
    Invalidated(BlockHash),
    /// That was taken back.
    Reconsidered(BlockHash),
}

/// Everything the node knows.
#[derive(Debug)]
pub struct State {
    /// Blocks and coins.
    pub chain: Chain,
    /// What waits.
    pub mempool: Mempool,
    /// The customer's coins.
    pub wallet: Wallet,
    /// Payments of the customer that the network has forgotten, by eviction or a reorganisation. Their coins are kept
    /// for them, as a wallet would that still means to pay.
    forgotten: HashMap<Txid, Arc<Transaction>>,
    kept_coins: HashSet<OutPoint>,
}

impl State {
    /// A node that has the first block alone.
    pub fn new() -> Self {
        let (forgotten, kept_coins) = Default::default();
        Self { chain: Chain::new(), mempool: Mempool::default(), wallet: Wallet::new(), forgotten, kept_coins }
    }

    /// A payment that the network has forgotten.
    pub fn forgotten(&self, txid: &Txid) -> Option<&Arc<Transaction>> {
        self.forgotten.get(txid)
    }

    /// Does what happened. The same changes in the same order always lead to the same state.
    pub fn apply(&mut self, change: Change) -> Result<(), BlockError> {
        match change {
            Change::Block(block) => {
                let switch = self.chain.insert(block)?;
                self.follow(&switch);
            }
            Change::Accepted { transaction, time } => {
                let txid = transaction.compute_txid();
                // A refusal here was a refusal before it was written down, so nothing is lost by ignoring it.
                let _accepted = self.let_in(Arc::new(transaction), txid, time);
            }
            Change::Evicted(txid) => {
                for transaction in self.mempool.remove_with_descendants(&txid) {
                    self.forget(transaction);
                }
            }
            Change::Invalidated(hash) => {
                let switch = self.chain.invalidate(&hash).unwrap_or_default();
                self.follow(&switch);
            }
            Change::Reconsidered(hash) => {
                let switch = self.chain.reconsider(&hash).unwrap_or_default();
                self.follow(&switch);
            }
        }
        Ok(())
    }

    fn let_in(&mut self, transaction: Arc<Transaction>, txid: Txid, time: u32) -> Result<(), Refusal> {
        let verdict = self.mempool.check(&transaction, txid, &self.chain, Signatures::Trust)?;
        let replaced = self.mempool.insert(Arc::clone(&transaction), txid, verdict, time, self.chain.height());
        self.remember(&txid);
        for touched in replaced.iter().chain([&transaction]) {
            self.touch(touched, touched.compute_txid());
        }
        Ok(())
    }

    fn forget(&mut self, transaction: Arc<Transaction>) {
        let txid = transaction.compute_txid();
        self.kept_coins.extend(transaction.input.iter().map(|input| input.previous_output));
        self.touch(&transaction, txid);
        self.forgotten.insert(txid, transaction);
    }

    fn remember(&mut self, txid: &Txid) {
        for input in self.forgotten.remove(txid).iter().flat_map(|transaction| &transaction.input) {
            self.kept_coins.remove(&input.previous_output);
        }
    }

    /// Brings mempool and wallet up to the best chain.
    fn follow(&mut self, switch: &Switch) {
        if !switch.disconnected.is_empty() {
            return self.refill(switch);
        }
        for hash in &switch.connected {
            self.confirm(hash);
        }
    }

    /// A block on top: what it mined waits no longer, what conflicts with it never will be mined.
    fn confirm(&mut self, hash: &BlockHash) {
        let Some(known) = self.chain.known(hash) else { return };
        let (block, txids, height) = (Arc::clone(&known.block), known.txids.clone(), known.height);
        for (transaction, txid) in block.txdata.iter().zip(txids) {
            if self.mempool.remove(&txid).is_none() {
                self.remove_conflicts(transaction);
            }
            self.remember(&txid);
            self.touch(transaction, txid);
        }
        self.ripen(height);
    }

    fn remove_conflicts(&mut self, transaction: &Transaction) {
        for input in &transaction.input {
            if let Some(spender) = self.mempool.spender(&input.previous_output) {
                for removed in self.mempool.remove_with_descendants(&spender) {
                    self.touch(&removed, removed.compute_txid());
                }
            }
        }
    }

    /// The reward that the next block may spend for the first time.
    fn ripen(&mut self, height: u32) {
        let ripe = (height + 1).checked_sub(bitcoin::constants::COINBASE_MATURITY).and_then(|ripe| self.chain.at(ripe));
        if let Some(known) = ripe.and_then(|hash| self.chain.known(&hash)) {
            let (block, txid) = (Arc::clone(&known.block), known.txids[0]);
            self.touch(&block.txdata[0], txid);
        }
    }

    /// A reorganisation: what left the chain waits again before what waited already, as far as it is still valid.
    fn refill(&mut self, switch: &Switch) {
        let waiting = self.mempool.drain();
        let blocks: Vec<_> = switch.disconnected.iter().filter_map(|hash| self.chain.known(hash)).collect();
        let mut orphans = Vec::new();
        for known in blocks {
            let later = known.block.txdata.iter().zip(&known.txids).skip(1);
            orphans.extend(
                later.map(|(transaction, txid)| (*txid, Arc::new(transaction.clone()), known.block.header.time)),
            );
        }
        orphans.extend(waiting.into_iter().map(|(txid, entry)| (txid, entry.transaction, entry.time)));
        for (txid, transaction, time) in orphans {
            // Mined again, or no longer possible: then it does not wait.
            let _back = self.let_in(transaction, txid, time);
        }
        for hash in &switch.connected {
            for txid in self.chain.known(hash).map(|known| known.txids.clone()).unwrap_or_default() {
                self.remember(&txid);
            }
        }
        self.recount();
    }

    /// Looks at every coin anew.
    fn recount(&mut self) {
        self.wallet.clear();
        let mut outpoints: Vec<OutPoint> = self.chain.coins().map(|(outpoint, _)| *outpoint).collect();
        for (txid, entry) in self.mempool.iter() {
            outpoints.extend((0u32..).take(entry.transaction.output.len()).map(|vout| OutPoint::new(*txid, vout)));
        }
        for outpoint in outpoints {
            self.wallet.note(outpoint, self.standing(&outpoint));
        }
    }

    /// Looks anew at every coin that a transaction spends or makes.
    fn touch(&mut self, transaction: &Transaction, txid: Txid) {
        let made = (0u32..).take(transaction.output.len()).map(|vout| OutPoint::new(txid, vout));
        for outpoint in transaction.input.iter().map(|input| input.previous_output).chain(made) {
            self.wallet.note(outpoint, self.standing(&outpoint));
        }
    }

    /// How a coin stands for the customer.
    fn standing(&self, outpoint: &OutPoint) -> Option<(Standing, bitcoin::Amount)> {
        if self.kept_coins.contains(outpoint) || self.mempool.spender(outpoint).is_some() {
            return None;
        }
        let (standing, output) = match self.chain.coin(outpoint) {
            Some(coin) if !coin.is_mature_at(self.chain.height() + 1) => return None,
            Some(coin) => (Standing::Confirmed, &coin.output),
            None => (Standing::Unconfirmed, self.mempool.output(outpoint)?),
        };
        (*output.script_pubkey == *self.wallet.script()).then_some((standing, output.value))
    }
}

/// Bitcoin's serialization as hex.
mod raw {
    use bitcoin::consensus::{self, Decodable, Encodable};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<T: Encodable, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(consensus::serialize(value)))
    }

    pub fn deserialize<'de, T: Decodable, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        consensus::deserialize(&hex::decode(text).map_err(D::Error::custom)?).map_err(D::Error::custom)
    }
}
