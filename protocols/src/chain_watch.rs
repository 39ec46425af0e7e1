//! Following the best chain of a Bitcoin node: an IO-free machine that says what to ask next and what came of it.
//!
//! It trusts no order of events at the node: every block must build on the one read before, and when the chain we read
//! is not the node's any more, the fork is found block by block. A node that is behind us is a node that is behind, not a
//! reorganisation.

use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash};
use millrace_model::chain::Chain;
use millrace_model::deposit::BlockRef;
use millrace_model::ids::Hash32;

use crate::wire::bitcoind::ChainInfo;

/// What to ask the node next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Which chain, and how far.
    ChainInfo,
    /// The hash at a height; the node may have none there.
    HashAt(u32),
    /// A block; the node may not have it.
    Block(BlockHash),
}

/// What the node answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To [`Ask::ChainInfo`].
    ChainInfo(ChainInfo),
    /// To [`Ask::HashAt`].
    HashAt(Option<BlockHash>),
    /// To [`Ask::Block`].
    Block(Option<Box<Block>>),
}

/// What came of the answers so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Nothing yet: ask on.
    AskOn,
    /// There is no block we have not read.
    AtTip {
        /// The tip's height.
        height: u64,
    },
    /// The next block.
    Block {
        /// Its name.
        block: BlockRef,
        /// Its content.
        content: Box<Block>,
    },
    /// Blocks we read have left the best chain.
    Reorged {
        /// The newest block that both branches share.
        fork: BlockRef,
        /// Where the branch we read ended.
        abandoned: BlockRef,
    },
    /// The fork lies deeper than the blocks at hand.
    TooDeep,
    /// The node has fewer blocks than we have read, or is still catching up.
    Behind,
}

/// One look at the chain, from the first question to the news. Begin another one after any news.
#[derive(Debug)]
pub struct ChainWatch<'c> {
    chain: &'c Chain,
    start_height: Option<u32>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Tip,
    /// Is the block we read at this height still on the best chain?
    Check {
        tip: ChainInfo,
        cursor: BlockRef,
        height: u64,
    },
    Next {
        height: u64,
    },
    Fetch {
        height: u64,
        hash: BlockHash,
    },
}

impl<'c> ChainWatch<'c> {
    /// A look from where `chain` ends. A chain without blocks begins at `start_height`, or at the node's tip.
    pub fn new(chain: &'c Chain, start_height: Option<u32>) -> Self {
        Self { chain, start_height, phase: Phase::Tip }
    }

    /// What to ask next.
    pub fn ask(&self) -> Ask {
        match self.phase {
            Phase::Tip => Ask::ChainInfo,
            Phase::Check { height, .. } | Phase::Next { height } => Ask::HashAt(narrow(height)),
            Phase::Fetch { hash, .. } => Ask::Block(hash),
        }
    }

    /// Takes the answer to [`ChainWatch::ask`]. One that fits another question starts over.
    pub fn hear(&mut self, answer: Answer) -> News {
        match (self.phase, answer) {
            (Phase::Tip, Answer::ChainInfo(tip)) => self.tip(tip),
            (Phase::Check { tip, cursor, height }, Answer::HashAt(Some(hash))) => self.check(tip, cursor, height, hash),
            (Phase::Next { height }, Answer::HashAt(Some(hash))) => self.go(Phase::Fetch { height, hash }),
            (Phase::Fetch { height, hash }, Answer::Block(Some(content))) => self.fetched(height, hash, content),
            _ => self.go(Phase::Tip),
        }
    }

    fn go(&mut self, phase: Phase) -> News {
        self.phase = phase;
        News::AskOn
    }

    fn tip(&mut self, tip: ChainInfo) -> News {
        let height = u64::from(tip.blocks);
        if tip.initial_block_download && tip.chain == bitcoin::Network::Bitcoin {
            return News::Behind;
        }
        let Some(cursor) = self.chain.cursor() else {
            let height = u64::from(self.start_height.unwrap_or(tip.blocks));
            return self.next(tip, height);
        };
        if cursor.hash == hash32(tip.best_hash) {
            return News::AtTip { height };
        }
        if height < cursor.height {
            return News::Behind;
        }
        self.go(Phase::Check { tip, cursor, height: cursor.height })
    }

    fn check(&mut self, tip: ChainInfo, cursor: BlockRef, height: u64, hash: BlockHash) -> News {
        match self.chain.hash_at(height) {
            None => News::TooDeep,
            Some(ours) if ours == hash32(hash) && height == cursor.height => self.next(tip, height + 1),
            Some(ours) if ours == hash32(hash) => {
                News::Reorged { fork: BlockRef { height, hash: ours }, abandoned: cursor }
            }
            Some(_) if height == 0 => News::TooDeep,
            Some(_) => self.go(Phase::Check { tip, cursor, height: height - 1 }),
        }
    }

    fn next(&mut self, tip: ChainInfo, height: u64) -> News {
        if height > u64::from(tip.blocks) {
            return News::AtTip { height: u64::from(tip.blocks) };
        }
        self.go(Phase::Next { height })
    }

    fn fetched(&mut self, height: u64, hash: BlockHash, content: Box<Block>) -> News {
        let follows = self.chain.cursor().is_none_or(|cursor| cursor.hash == hash32(content.header.prev_blockhash));
        if !follows || content.block_hash() != hash {
            return self.go(Phase::Tip);
        }
        News::Block { block: BlockRef { height, hash: hash32(hash) }, content }
    }
}

/// Heights come from a 32-bit number.
fn narrow(height: u64) -> u32 {
    u32::try_from(height).unwrap_or(u32::MAX)
}

/// A hash of Bitcoin in the order in which explorers write it.
pub fn hash32(hash: impl Hash<Bytes = [u8; 32]>) -> Hash32 {
    let mut bytes = hash.to_byte_array();
    bytes.reverse();
    Hash32(bytes)
}

/// The Bitcoin hash that explorers write so.
pub fn block_hash(hash: Hash32) -> BlockHash {
    let Hash32(mut bytes) = hash;
    bytes.reverse();
    BlockHash::from_byte_array(bytes)
}
