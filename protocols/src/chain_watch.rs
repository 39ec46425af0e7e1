//! Following the best chain, one question at a time.
//!
//! The caller holds what was read so far (a [`Chain`]) and asks the node what a [`Watch`] wants to know; the watch says
//! what that means: the next block, a reorganisation, or that all is read. One watch serves one round: after trouble,
//! or when an outcome could not be recorded, the next round begins with a new one. What it does not do: keep the chain,
//! which changes by recorded events alone, and judge a block's proof of work, which is the node's business.

use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash, Network, Txid};
use millrace_model::chain::Chain;
use millrace_model::deposit::BlockRef;
use millrace_model::ids::Hash32;

use crate::wire::bitcoind::ChainInfo;

/// How often a round may find the chain moving under it before it gives up until the next.
const RESTARTS_MAX: u32 = 4;

/// How young our reading must be for its very first block to be given up: a node that disagrees with all of a longer
/// history is another chain's, not this one reorganised.
pub const YOUNG_HISTORY_BLOCKS: usize = 100;

/// What to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The network the node must be on.
    pub network: Network,
    /// The first block to read when none was read yet.
    pub start: Start,
}

/// Where the first run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the newest block.
    Tip,
    /// At this height.
    Height(u32),
    /// At a block that is not younger than this (seconds since 1970), or at the oldest there is.
    Since(u32),
}

/// A question for the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Which chain, and how far.
    ChainInfo,
    /// The hash of the best chain's block at a height.
    HashAt(u32),
    /// A block.
    Block(BlockHash),
}

/// What the node answered. `None` means that it does not know.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Ask::ChainInfo`].
    ChainInfo(ChainInfo),
    /// To [`Ask::HashAt`].
    Hash(Option<BlockHash>),
    /// To [`Ask::Block`].
    Block(Option<Block>),
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing yet; ask on.
    AskOn,
    /// This block comes next. Record it, then ask on with the chain as that leaves it.
    Block {
        /// Which it is.
        at: BlockRef,
        /// What is in it.
        block: Box<Block>,
    },
    /// Everything above `fork` left the best chain. Record it, then ask on.
    Reorged {
        /// The newest block that both branches share.
        fork: BlockRef,
        /// Where the abandoned branch ended.
        abandoned: BlockRef,
    },
    /// The fork lies deeper than the chain remembers: hand in everything read with [`Watch::deepen`], then ask on.
    TooDeep,
    /// All is read; the round is over.
    AtTip,
    /// The node cannot be followed now; the round is over.
    Trouble(Trouble),
}

/// Why a node cannot be followed. None of these is a reorganisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It is on another network.
    #[error("the Bitcoin node is on {found}, not on {wanted}")]
    WrongNetwork {
        /// Which.
        found: Network,
        /// Which it should be.
        wanted: Network,
    },
    /// It does not know the newest blocks yet.
    #[error("the Bitcoin node is still catching up with the network (at block {0})")]
    InitialDownload(u32),
    /// It knows less than we have read.
    #[error("the Bitcoin node is at block {tip}, and block {cursor} was read already")]
    BehindUs {
        /// Its newest block.
        tip: u32,
        /// Ours.
        cursor: u64,
    },
    /// The first block to read does not exist yet.
    #[error("the Bitcoin node is at block {tip}; reading begins at block {start}")]
    NotYetThere {
        /// Its newest block.
        tip: u32,
        /// Where reading is to begin.
        start: u32,
    },
    /// Its chain and ours have no block in common.
    #[error("the Bitcoin node's chain has no block in common with what was read, back to block {0}")]
    NothingInCommon(u64),
    /// Its answers contradict each other, again and again.
    #[error("the Bitcoin node's best chain changes faster than it can be read")]
    Unsettled,
    /// It answered something else than it was asked.
    #[error("the Bitcoin node's answer is to another question")]
    Mismatched,
}

/// One round of following the best chain.
#[derive(Debug)]
pub struct Watch {
    rules: Rules,
    state: State,
    restarts: u32,
    /// Everything read on our branch, oldest first, once the caller had to look it up.
    history: Option<Vec<BlockRef>>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing is known of the node.
    Begin,
    /// Nothing was read yet; is the block at this height old enough to begin at?
    Search { height: u32, tip: u32, step: u32 },
    /// The same, with its hash known.
    Weigh { height: u32, hash: BlockHash, tip: u32, step: u32 },
    /// The block after the cursor comes next, if there is one.
    Onward { tip: u32 },
    /// The hash of the next block is wanted.
    Next { height: u32, tip: u32 },
    /// The next block is wanted.
    Fetch { height: u32, hash: BlockHash, tip: u32 },
    /// Is this block of ours still on the best chain?
    Back { ours: BlockRef },
    /// Nothing of ours is; what is below the first block we read?
    Below { height: u32 },
}

impl Watch {
    /// Begins a round.
    pub fn new(rules: Rules) -> Self {
        Self { rules, state: State::Begin, restarts: 0, history: None }
    }

    /// What to ask the node.
    pub fn ask(&mut self, chain: &Chain) -> Ask {
        if let State::Onward { tip } = self.state {
            self.state = match next_height(chain).filter(|next| *next <= tip) {
                Some(height) => State::Next { height, tip },
                None => State::Begin,
            };
        }
        match self.state {
            State::Begin | State::Onward { .. } => Ask::ChainInfo,
            State::Next { height, .. } | State::Below { height } | State::Search { height, .. } => Ask::HashAt(height),
            State::Fetch { hash, .. } | State::Weigh { hash, .. } => Ask::Block(hash),
            State::Back { ours } => Ask::HashAt(narrow(ours.height)),
        }
    }

    /// What the node's answer to [`Watch::ask`] means.
    pub fn answer(&mut self, chain: &Chain, answer: Answer) -> Outcome {
        match (self.state, answer) {
            (State::Begin, Answer::ChainInfo(info)) => self.begin(chain, &info),
            (State::Next { height, tip }, Answer::Hash(Some(hash))) => {
                self.state = State::Fetch { height, hash, tip };
                Outcome::AskOn
            }
            (State::Search { height, tip, step }, Answer::Hash(Some(hash))) => {
                self.state = State::Weigh { height, hash, tip, step };
                Outcome::AskOn
            }
            (State::Weigh { height, tip, step, .. }, Answer::Block(Some(block))) => {
                self.weighed(height, tip, step, block.header.time)
            }
            (State::Fetch { height, hash, tip }, Answer::Block(Some(block))) => {
                self.fetched(chain, height, hash, tip, block)
            }
            (State::Back { ours }, Answer::Hash(Some(hash))) => self.compared(chain, ours, hash32(hash)),
            (State::Below { height }, Answer::Hash(Some(hash))) => match chain.cursor() {
                Some(abandoned) => self.reorged(BlockRef { height: height.into(), hash: hash32(hash) }, abandoned),
                None => self.start_over(),
            },
            // What it has just named is gone: its best chain changed between two questions.
            (
                State::Next { .. } | State::Back { .. } | State::Below { .. } | State::Search { .. },
                Answer::Hash(None),
            )
            | (State::Fetch { .. } | State::Weigh { .. }, Answer::Block(None)) => self.start_over(),
            (_, Answer::ChainInfo(_) | Answer::Hash(_) | Answer::Block(_)) => Outcome::Trouble(Trouble::Mismatched),
        }
    }

    /// Hands in every block that was read on our branch, oldest first, after [`Outcome::TooDeep`].
    pub fn deepen(&mut self, history: Vec<BlockRef>) {
        self.history = Some(history);
    }

    fn begin(&mut self, chain: &Chain, info: &ChainInfo) -> Outcome {
        let Rules { network, start } = self.rules;
        let tip = info.blocks;
        if info.chain != network {
            return Outcome::Trouble(Trouble::WrongNetwork { found: info.chain, wanted: network });
        }
        if info.initial_block_download {
            return Outcome::Trouble(Trouble::InitialDownload(tip));
        }
        let Some(cursor) = chain.cursor() else {
            let height = match start {
                Start::Tip => tip,
                Start::Height(start) if start > tip => {
                    return Outcome::Trouble(Trouble::NotYetThere { tip, start });
                }
                Start::Height(start) => start,
                Start::Since(_) => {
                    self.state = State::Search { height: tip, tip, step: 1 };
                    return Outcome::AskOn;
                }
            };
            self.state = State::Next { height, tip };
            return Outcome::AskOn;
        };
        if u64::from(tip) < cursor.height {
            return Outcome::Trouble(Trouble::BehindUs { tip, cursor: cursor.height });
        }
        if u64::from(tip) > cursor.height {
            self.state = State::Onward { tip };
            return Outcome::AskOn;
        }
        if hash32(info.best_hash) == cursor.hash {
            return Outcome::AtTip;
        }
        self.state = State::Back { ours: cursor };
        Outcome::AskOn
    }

    /// Steps back in doubling steps until a block is old enough: a few questions, however long ago that is.
    fn weighed(&mut self, height: u32, tip: u32, step: u32, time: u32) -> Outcome {
        let old_enough = matches!(self.rules.start, Start::Since(since) if time <= since);
        self.state = if old_enough || height == 0 {
            State::Next { height, tip }
        } else {
            State::Search { height: height.saturating_sub(step), tip, step: step.saturating_mul(2) }
        };
        Outcome::AskOn
    }

    fn fetched(&mut self, chain: &Chain, height: u32, hash: BlockHash, tip: u32, block: Block) -> Outcome {
        let at = BlockRef { height: height.into(), hash: hash32(hash) };
        match chain.cursor() {
            Some(cursor) if cursor.height + 1 != at.height => self.start_over(),
            Some(cursor) if hash32(block.header.prev_blockhash) != cursor.hash => {
                self.state = State::Back { ours: cursor };
                Outcome::AskOn
            }
            Some(_) | None => {
                self.state = State::Onward { tip };
                Outcome::Block { at, block: Box::new(block) }
            }
        }
    }

    fn compared(&mut self, chain: &Chain, ours: BlockRef, best: Hash32) -> Outcome {
        let Some(cursor) = chain.cursor() else { return self.start_over() };
        if best == ours.hash && ours == cursor {
            return self.start_over();
        }
        if best == ours.hash {
            return self.reorged(ours, cursor);
        }
        if let Some(older) = self.before(chain, ours) {
            self.state = State::Back { ours: older };
            return Outcome::AskOn;
        }
        let Some(history) = &self.history else { return Outcome::TooDeep };
        if history.len() > YOUNG_HISTORY_BLOCKS || ours.height == 0 {
            return Outcome::Trouble(Trouble::NothingInCommon(ours.height));
        }
        self.state = State::Below { height: narrow(ours.height - 1) };
        Outcome::AskOn
    }

    /// The block of ours below this one, as far as it is known.
    fn before(&self, chain: &Chain, ours: BlockRef) -> Option<BlockRef> {
        let height = ours.height.checked_sub(1)?;
        if let Some(hash) = chain.hash_at(height) {
            return Some(BlockRef { height, hash });
        }
        let history = self.history.as_ref()?;
        let index = history.binary_search_by_key(&height, |block| block.height).ok()?;
        Some(history[index])
    }

    fn reorged(&mut self, fork: BlockRef, abandoned: BlockRef) -> Outcome {
        self.state = State::Begin;
        Outcome::Reorged { fork, abandoned }
    }

    fn start_over(&mut self) -> Outcome {
        self.state = State::Begin;
        self.restarts += 1;
        if self.restarts > RESTARTS_MAX { Outcome::Trouble(Trouble::Unsettled) } else { Outcome::AskOn }
    }
}

fn next_height(chain: &Chain) -> Option<u32> {
    u32::try_from(chain.cursor()?.height + 1).ok()
}

/// A height we have read came from the node as 32 bits.
fn narrow(height: u64) -> u32 {
    u32::try_from(height).unwrap_or(u32::MAX)
}

/// A block's hash in the order in which explorers write it.
pub fn hash32(hash: BlockHash) -> Hash32 {
    explorers_order(hash.to_byte_array())
}

/// A txid in the order in which explorers write it.
pub fn txid32(txid: Txid) -> Hash32 {
    explorers_order(txid.to_byte_array())
}

/// The block hash that is written like this.
pub fn block_hash(hash: Hash32) -> BlockHash {
    BlockHash::from_byte_array(explorers_order(hash.0).0)
}

/// The txid that is written like this.
pub fn txid(hash: Hash32) -> Txid {
    Txid::from_byte_array(explorers_order(hash.0).0)
}

/// Bitcoin computes its hashes little end first and shows them the other way round.
fn explorers_order(mut bytes: [u8; 32]) -> Hash32 {
    bytes.reverse();
    Hash32(bytes)
}

#[cfg(test)]
mod tests;
