//! Our reading of the Bitcoin chain: the cursor, the blocks behind it, and coins to recognise again.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};
use sha2::{Digest, Sha256};

use crate::deposit::BlockRef;
use crate::hexadecimal;
use crate::ids::{DepositId, Hash32, Outpoint};

crate::event::events! {
    /// An event of the chain we read.
    pub enum Event {
        /// A block was read to its end; all deposits in it are recorded in the same append.
        BlockScanned = 1,
        /// Blocks we had read left the best chain.
        ChainReorged = 1,
        /// Coins of a deposit that was decided upon and then orphaned: held against whoever brings them again.
        CoinsRemembered = 1,
        /// Something was seen of a deposit whose stream cannot be read: kept here until it can.
        SightingSetAside = 1,
        /// The deposit can be read again, and was told what had been set aside, in the same append.
        SightingsTakenUp = 1,
    }
}

/// See [`Event::BlockScanned`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockScanned {
    /// The block.
    pub block: BlockRef,
}

/// See [`Event::ChainReorged`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainReorged {
    /// The newest block that both branches share.
    pub fork: BlockRef,
    /// Where the abandoned branch ended.
    pub abandoned: BlockRef,
}

/// See [`Event::CoinsRemembered`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoinsRemembered {
    /// The deposit that was decided upon.
    pub deposit: DepositId,
    /// What its transaction spent.
    pub spends: Vec<SpentCoin>,
}

/// See [`Event::SightingSetAside`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SightingSetAside {
    /// The deposit.
    pub deposit: DepositId,
    /// What was seen of it.
    pub seen: Seen,
}

/// What the chain shows of a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// It is in this block.
    Mined {
        /// The block.
        block: BlockRef,
    },
    /// Blocks above this height left the chain.
    Orphaned {
        /// The height of the newest block that stayed.
        above: u64,
    },
}

/// See [`Event::SightingsTakenUp`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SightingsTakenUp {
    /// The deposit.
    pub deposit: DepositId,
}

/// Recognises an output that a transaction spends: the first eight bytes of SHA-256 over `txid:index`.
///
/// Two transactions that spend the same coins share at least one. Short, because an event holds all of a transaction's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct SpentCoin([u8; 8]);

/// A text that recognises no output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 16 hexadecimal digits")]
pub struct NoSpentCoin;

impl From<Outpoint> for SpentCoin {
    fn from(spent: Outpoint) -> Self {
        let digest = Sha256::digest(spent.to_string());
        Self(digest[..8].try_into().expect("a digest has 32 bytes"))
    }
}

impl FromStr for SpentCoin {
    type Err = NoSpentCoin;
    fn from_str(text: &str) -> Result<Self, NoSpentCoin> {
        hexadecimal::bytes(text).map(Self).ok_or(NoSpentCoin)
    }
}

impl<'de> Deserialize<'de> for SpentCoin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = SpentCoin;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("16 hexadecimal digits")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<SpentCoin, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl From<SpentCoin> for String {
    fn from(coin: SpentCoin) -> String {
        hex::encode(coin.0)
    }
}

/// How many blocks behind the cursor are kept at hand; a deeper reorganisation is looked up in the log.
pub const RECENT_BLOCKS_MAX: usize = 500;

/// What the scanner knows of the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    recent: VecDeque<BlockRef>,
    remembered: BTreeMap<String, DepositId>,
    #[serde(default)]
    set_aside: BTreeMap<DepositId, Vec<Seen>>,
}

impl Chain {
    /// The newest block read, or `None` before the first.
    pub fn cursor(&self) -> Option<BlockRef> {
        self.recent.back().copied()
    }

    /// The newest blocks read, oldest first, at most [`RECENT_BLOCKS_MAX`].
    pub fn recent(&self) -> impl DoubleEndedIterator<Item = BlockRef> + ExactSizeIterator + '_ {
        self.recent.iter().copied()
    }

    /// The hash we read at a height, while it is among the recent ones.
    pub fn hash_at(&self, height: u64) -> Option<Hash32> {
        let first = self.recent.front()?.height;
        self.recent.get(usize::try_from(height.checked_sub(first)?).ok()?).map(|block| block.hash)
    }

    /// The decided and orphaned deposit whose coins are among `spends`.
    pub fn seen_before(&self, spends: &[SpentCoin]) -> Option<DepositId> {
        spends.iter().find_map(|coin| self.remembered.get(&String::from(*coin)).copied())
    }

    /// The coins that are remembered, each with the decided and orphaned deposit they were brought by.
    pub fn remembered(&self) -> &BTreeMap<String, DepositId> {
        &self.remembered
    }

    /// What was seen of deposits that could not be read, oldest first.
    pub fn set_aside(&self) -> &BTreeMap<DepositId, Vec<Seen>> {
        &self.set_aside
    }

    /// The state after one more event.
    pub fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::BlockScanned(scanned) => {
                self.recent.push_back(scanned.block);
                if self.recent.len() > RECENT_BLOCKS_MAX {
                    self.recent.pop_front();
                }
            }
            Event::ChainReorged(reorged) => {
                self.recent.retain(|block| block.height <= reorged.fork.height);
                if self.recent.is_empty() {
                    self.recent.push_back(reorged.fork);
                }
            }
            Event::CoinsRemembered(coins) => {
                self.remembered.extend(coins.spends.iter().map(|coin| (String::from(*coin), coins.deposit)));
            }
            Event::SightingSetAside(aside) => self.set_aside.entry(aside.deposit).or_default().push(aside.seen),
            Event::SightingsTakenUp(taken) => drop(self.set_aside.remove(&taken.deposit)),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(height: u64, branch: u8) -> BlockRef {
        BlockRef { height, hash: Hash32([branch; 32]) }
    }

    #[test]
    fn a_reorganisation_takes_the_cursor_back_to_the_fork() {
        let chain = (10..20)
            .map(|height| Event::from(BlockScanned { block: block(height, 1) }))
            .fold(Chain::default(), |chain, event| chain.evolve(&event));
        assert_eq!(chain.hash_at(12), Some(Hash32([1; 32])));
        let chain = chain.evolve(&ChainReorged { fork: block(15, 1), abandoned: block(19, 1) }.into());
        assert_eq!(chain.cursor(), Some(block(15, 1)));
        assert_eq!(chain.hash_at(16), None);
    }

    #[test]
    fn what_is_set_aside_stays_in_its_order_until_it_is_taken_up() {
        let deposit = DepositId(uuid::Uuid::from_u128(5));
        let seen = [Seen::Mined { block: block(7, 1) }, Seen::Orphaned { above: 6 }];
        let chain = seen
            .iter()
            .fold(Chain::default(), |chain, seen| chain.evolve(&SightingSetAside { deposit, seen: *seen }.into()));
        assert_eq!(chain.set_aside()[&deposit], seen);
        let stored: Chain = serde_json::from_str(&serde_json::to_string(&chain).unwrap()).unwrap();
        assert_eq!(stored, chain);
        assert!(stored.evolve(&SightingsTakenUp { deposit }.into()).set_aside().is_empty());
        let older = r#"{"recent":[],"remembered":{}}"#;
        assert_eq!(serde_json::from_str::<Chain>(older).unwrap(), Chain::default());
    }

    #[test]
    fn remembered_coins_are_recognised_in_another_transaction() {
        let spent = |index| SpentCoin::from(Outpoint { txid: Hash32([9; 32]), index });
        let deposit = DepositId(uuid::Uuid::from_u128(5));
        let chain = Chain::default().evolve(&CoinsRemembered { deposit, spends: vec![spent(0), spent(1)] }.into());
        assert_eq!(chain.seen_before(&[spent(7), spent(1)]), Some(deposit));
        assert_eq!(chain.seen_before(&[spent(7)]), None);
    }
}
