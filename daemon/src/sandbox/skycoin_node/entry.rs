//! What the node writes to its journal: everything that changed it, enough to come to the same chain again.

use millrace_model::money::{Amount, Sky};
use millrace_protocols::wire::skycoin::hash::{BlockHash, Txid};
use serde::{Deserialize, Serialize};

use super::ledger::{Growth, Orphans};
use super::wallet::Recipe;

/// One change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// The chain began; always the first line.
    Genesis(Genesis),
    /// A wallet was made.
    Wallet(Recipe),
    /// A wallet got more addresses.
    WalletGrown {
        /// Which wallet.
        id: String,
        /// How many more.
        count: usize,
    },
    /// A transaction came into the pool.
    Injected {
        /// Its bytes, in hexadecimal.
        raw: String,
        /// When, in seconds since 1970.
        time_s: u64,
    },
    /// A block was made of the pool.
    Block {
        /// When.
        time_s: u64,
        /// The name it got; a replay that comes to another one stops.
        hash: BlockHash,
    },
    /// A block was made of these transactions, past the pool.
    ForcedBlock {
        /// Their bytes, in hexadecimal.
        raws: Vec<String>,
        /// When.
        time_s: u64,
        /// The name it got.
        hash: BlockHash,
    },
    /// A waiting transaction was dropped.
    Dropped {
        /// Which.
        txid: Txid,
    },
    /// Blocks were taken back.
    Reorganised {
        /// How many.
        depth: u64,
        /// What became of their transactions.
        orphans: Orphans,
    },
    /// Hours were stopped or set running.
    Growth {
        /// What holds from here.
        growth: Growth,
    },
}

/// What a new chain begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// What every key of the sandbox's own wallets derives from.
    pub seed: String,
    /// How many outputs the hot wallet begins with; as many payouts can wait for a block at once.
    pub hot_outputs: u32,
    /// The coins in each.
    pub hot_output_coins: Amount<Sky>,
    /// The hours in each. A payout leaves a quarter of them to the change.
    pub hot_output_hours: u64,
    /// When the chain begins, in seconds since 1970.
    pub time_s: u64,
}
