//! Blocks: every branch ever seen, the best chain, and the coins unspent on it.
//!
//! A block is judged by its proof of work, merkle root, witness commitment, reward, and by its transactions spending
//! coins that are there and mature. The signatures inside blocks are not judged again: what comes through the mempool
//! was judged there, and `submitblock` on a private test chain is trusted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bitcoin::block::Header;
use bitcoin::constants::genesis_block;
use bitcoin::{Block, BlockHash, Network, OutPoint, Target, Transaction, Txid, Weight};

use super::coins::{Coin, Coins, SpendError, Spent};

/// How many blocks the median time looks back.
pub const MEDIAN_BLOCKS: usize = 11;

/// A block that was seen, on whichever branch.
#[derive(Debug)]
pub struct Known {
    /// The block.
    pub block: Arc<Block>,
    /// Its transactions' ids, in order.
    pub txids: Vec<Txid>,
    /// How many blocks are before it.
    pub height: u32,
    /// The coins it spends, while it is on the best chain.
    pub spent: Spent,
    /// The order of arrival: of two equal branches the first one stands.
    arrival: usize,
    /// Declared invalid by the operator, or found so when it was to be connected.
    invalid: bool,
}

/// What became of the best chain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// Blocks that left it, lowest first.
    pub disconnected: Vec<BlockHash>,
    /// Blocks that joined it, lowest first.
    pub connected: Vec<BlockHash>,
}

/// Why a block is refused; the words are the ones `submitblock` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Seen before.
    #[error("duplicate")]
    Duplicate,
    /// Seen before and found, or declared, invalid.
    #[error("duplicate-invalid")]
    DuplicateInvalid,
    /// It builds on a block nobody has shown us.
    #[error("prev-blk-not-found")]
    UnknownParent,
    /// It builds on an invalid block.
    #[error("bad-prevblk")]
    InvalidParent,
    /// Not the network's target.
    #[error("bad-diffbits")]
    WrongTarget,
    /// Its hash does not meet the target.
    #[error("high-hash")]
    NoWork,
    /// Its time is not after the median of the blocks before it.
    #[error("time-too-old")]
    TooOld,
    /// The merkle root is of other transactions.
    #[error("bad-txnmrklroot")]
    WrongMerkleRoot,
    /// The witness commitment is of other witnesses.
    #[error("bad-witness-merkle-match")]
    WrongWitnessCommitment,
    /// The first transaction is no coinbase.
    #[error("bad-cb-missing")]
    NoCoinbase,
    /// A later transaction is a coinbase.
    #[error("bad-cb-multiple")]
    ManyCoinbases,
    /// The coinbase does not begin with the height.
    #[error("bad-cb-height")]
    WrongHeight,
    /// Heavier than four million units.
    #[error("bad-blk-weight")]
    TooHeavy,
    /// It cannot do to the coins what it says.
    #[error(transparent)]
    Coins(#[from] SpendError),
}

/// Every block, and the best chain.
#[derive(Debug)]
pub struct Chain {
    known: HashMap<BlockHash, Known>,
    /// The best chain by height.
    best: Vec<BlockHash>,
    coins: Coins,
}

impl Chain {
    /// The chain of the first block alone, whose reward nobody can spend.
    pub fn new() -> Self {
        let genesis = genesis_block(Network::Regtest);
        let hash = genesis.block_hash();
        let txids = vec![genesis.txdata[0].compute_txid()];
        let known = Known { block: Arc::new(genesis), txids, height: 0, spent: vec![], arrival: 0, invalid: false };
        Self { known: HashMap::from([(hash, known)]), best: vec![hash], coins: Coins::default() }
    }

    /// Height of the best block.
    pub fn height(&self) -> u32 {
        u32::try_from(self.best.len() - 1).expect("heights fit in 32 bits")
    }

    /// Hash of the best block.
    pub fn tip(&self) -> BlockHash {
        self.best[self.best.len() - 1]
    }

    /// The best chain's block at a height.
    pub fn at(&self, height: u32) -> Option<BlockHash> {
        self.best.get(height as usize).copied()
    }

    /// A block on any branch.
    pub fn known(&self, hash: &BlockHash) -> Option<&Known> {
        self.known.get(hash)
    }

    /// How many blocks were ever seen.
    pub fn known_count(&self) -> usize {
        self.known.len()
    }

    /// Whether a block is on the best chain.
    pub fn is_best(&self, hash: &BlockHash) -> bool {
        self.known.get(hash).is_some_and(|known| self.at(known.height) == Some(*hash))
    }

    /// An unspent output of the best chain.
    pub fn coin(&self, outpoint: &OutPoint) -> Option<&Coin> {
        self.coins.get(outpoint)
    }

    /// Every unspent output of the best chain.
    pub fn coins(&self) -> impl Iterator<Item = (&OutPoint, &Coin)> {
        self.coins.iter()
    }

    /// The times of the last eleven blocks up to and with this one, newest first.
    pub fn recent_times(&self, hash: &BlockHash) -> Vec<u32> {
        let mut times = Vec::with_capacity(MEDIAN_BLOCKS);
        let mut next = self.known.get(hash);
        while let Some(known) = next.filter(|_| times.len() < MEDIAN_BLOCKS) {
            times.push(known.block.header.time);
            next = self.known.get(&known.block.header.prev_blockhash);
        }
        times
    }

    /// The median time of the last eleven blocks up to and with this one.
    pub fn median_time(&self, hash: &BlockHash) -> u32 {
        median(self.recent_times(hash))
    }

    /// Takes in a block; says what became of the best chain.
    pub fn insert(&mut self, block: Block) -> Result<Switch, BlockError> {
        let (txids, height) = self.check(&block)?;
        let hash = block.block_hash();
        let extends_tip = block.header.prev_blockhash == self.tip();
        let arrival = self.known.len();
        let known = Known { block: Arc::new(block), txids, height, spent: vec![], arrival, invalid: false };
        self.known.insert(hash, known);
        if !extends_tip {
            return Ok(self.activate());
        }
        self.connect(hash)?;
        Ok(Switch { disconnected: vec![], connected: vec![hash] })
    }

    /// Everything that can be said of a block before its coins are looked at.
    pub fn check(&self, block: &Block) -> Result<(Vec<Txid>, u32), BlockError> {
        match self.known.get(&block.block_hash()) {
            Some(known) if known.invalid => return Err(BlockError::DuplicateInvalid),
            Some(_) => return Err(BlockError::Duplicate),
            None => {}
        }
        let height = self.check_header(&block.header)?;
        let coinbase = block.txdata.first().filter(|first| first.is_coinbase()).ok_or(BlockError::NoCoinbase)?;
        if block.txdata[1..].iter().any(Transaction::is_coinbase) {
            return Err(BlockError::ManyCoinbases);
        }
        if !coinbase.input[0].script_sig.as_bytes().starts_with(height_script(height).as_bytes()) {
            return Err(BlockError::WrongHeight);
        }
        let txids: Vec<Txid> = block.txdata.iter().map(Transaction::compute_txid).collect();
        let root = bitcoin::merkle_tree::calculate_root(txids.iter().map(|txid| txid.to_raw_hash()));
        if root != Some(block.header.merkle_root.to_raw_hash()) {
            return Err(BlockError::WrongMerkleRoot);
        }
        if !block.check_witness_commitment() {
            return Err(BlockError::WrongWitnessCommitment);
        }
        if block.weight() > Weight::MAX_BLOCK {
            return Err(BlockError::TooHeavy);
        }
        Ok((txids, height))
    }

    fn check_header(&self, header: &Header) -> Result<u32, BlockError> {
        let parent = self.known.get(&header.prev_blockhash).ok_or(BlockError::UnknownParent)?;
        if self.has_invalid_ancestor(&header.prev_blockhash) {
            return Err(BlockError::InvalidParent);
        }
        if header.bits != Target::MAX_ATTAINABLE_REGTEST.to_compact_lossy() {
            return Err(BlockError::WrongTarget);
        }
        header.validate_pow(Target::MAX_ATTAINABLE_REGTEST).map_err(|_| BlockError::NoWork)?;
        if header.time <= self.median_time(&header.prev_blockhash) {
            return Err(BlockError::TooOld);
        }
        Ok(parent.height + 1)
    }

    /// Walks back to the best chain at most: whatever is on it is valid.
    fn has_invalid_ancestor(&self, hash: &BlockHash) -> bool {
        let mut hash = *hash;
        while !self.is_best(&hash) {
            match self.known.get(&hash) {
                Some(known) if known.invalid => return true,
                Some(known) => hash = known.block.header.prev_blockhash,
                None => return true,
            }
        }
        false
    }

    /// Declares a block invalid and goes to the best chain without it. None when the block is unknown or the first.
    pub fn invalidate(&mut self, hash: &BlockHash) -> Option<Switch> {
        let known = self.known.get_mut(hash).filter(|known| known.height > 0)?;
        known.invalid = true;
        let height = known.height as usize;
        let mut left = Vec::new();
        if self.best.get(height) == Some(hash) {
            left = self.best[height..].to_vec();
            while self.best.len() > height {
                self.disconnect_tip();
            }
        }
        let after = self.activate();
        left.splice(..0, after.disconnected);
        Some(Switch { disconnected: left, connected: after.connected })
    }

    /// Takes back that a block, what it builds on and what builds on it is invalid. None when the block is unknown.
    pub fn reconsider(&mut self, hash: &BlockHash) -> Option<Switch> {
        self.known.get(hash)?;
        let mut ancestors = HashSet::new();
        let mut above = *hash;
        while let Some(known) = self.known.get(&above).filter(|known| known.height > 0) {
            ancestors.insert(above);
            above = known.block.header.prev_blockhash;
        }
        let mut descendants = HashSet::from([*hash]);
        for next in self.by_height() {
            let known = self.known.get_mut(&next).expect("listed a moment ago");
            if descendants.contains(&known.block.header.prev_blockhash) {
                descendants.insert(next);
            }
            if ancestors.contains(&next) || descendants.contains(&next) {
                known.invalid = false;
            }
        }
        Some(self.activate())
    }

    /// Goes to the highest valid branch, if one is higher than the best chain.
    fn activate(&mut self) -> Switch {
        let before = self.best.clone();
        while let Some(target) = self.higher_branch() {
            let mut path = vec![target];
            while let Some(parent) = path.last().map(|hash| self.known[hash].block.header.prev_blockhash)
                && !self.is_best(&parent)
            {
                path.push(parent);
            }
            let fork = self.known[&path[path.len() - 1]].height as usize;
            while self.best.len() > fork {
                self.disconnect_tip();
            }
            // A block that cannot be connected is now marked invalid, and the next round looks elsewhere.
            let _connected = path.into_iter().rev().try_for_each(|hash| self.connect(hash));
        }
        let common = before.iter().zip(&self.best).take_while(|(old, new)| old == new).count();
        Switch { disconnected: before[common..].to_vec(), connected: self.best[common..].to_vec() }
    }

    fn by_height(&self) -> Vec<BlockHash> {
        let mut hashes: Vec<_> = self.known.iter().map(|(hash, known)| (known.height, known.arrival, *hash)).collect();
        hashes.sort_unstable();
        hashes.into_iter().map(|(_, _, hash)| hash).collect()
    }

    fn higher_branch(&self) -> Option<BlockHash> {
        let mut invalid: HashSet<BlockHash> = HashSet::new();
        let mut best: Option<(u32, BlockHash)> = None;
        for hash in self.by_height() {
            let known = &self.known[&hash];
            if known.invalid || invalid.contains(&known.block.header.prev_blockhash) {
                invalid.insert(hash);
            } else if known.height > best.map_or(self.height(), |(height, _)| height) {
                best = Some((known.height, hash));
            }
        }
        best.map(|(_, hash)| hash)
    }

    /// Puts a block on the tip it builds on; one that does not fit is marked invalid and leaves no trace.
    fn connect(&mut self, hash: BlockHash) -> Result<(), BlockError> {
        let known = self.known.get_mut(&hash).expect("only known blocks are connected");
        match self.coins.connect(&known.block, &known.txids, known.height) {
            Ok(spent) => {
                known.spent = spent;
                self.best.push(hash);
                Ok(())
            }
            Err(error) => {
                known.invalid = true;
                Err(error.into())
            }
        }
    }

    fn disconnect_tip(&mut self) {
        let hash = self.best.pop().expect("the first block is never disconnected");
        let known = self.known.get_mut(&hash).expect("the best chain is known");
        let spent = std::mem::take(&mut known.spent);
        self.coins.disconnect(&known.block, &known.txids, spent);
    }
}

/// How a coinbase of this height begins (BIP34).
pub fn height_script(height: u32) -> bitcoin::ScriptBuf {
    bitcoin::script::Builder::new().push_int(i64::from(height)).into_script()
}

/// The middle one.
pub fn median(mut times: Vec<u32>) -> u32 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
