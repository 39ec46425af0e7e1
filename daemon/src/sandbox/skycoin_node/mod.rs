//! A Skycoin node that answers as the real one was measured to, on a chain of its own.
//!
//! It makes a block only when something waits for one, signs with real keys, burns hours, and forgets nothing: every
//! change goes through a journal, so that a restart continues the same chain. It has no peers and no network.
//! Not its business: timers (whoever runs it calls [`SkycoinNode::produce_block`]) and faults on the wire.

mod books;
mod control;
mod entry;
mod genesis;
mod ledger;
mod payments;
mod rules;
mod server;
mod spend;
mod view;
mod wallet;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millrace_model::money::{Amount, Sky};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::transaction::Transaction;

pub use books::{Books, Payment, PaymentStanding};
pub use control::{BlockMade, ControlError};
pub use genesis::GenesisError;
pub use ledger::Orphans;
pub use server::router;

use self::entry::{Entry, Genesis};
use self::ledger::Ledger;
use self::wallet::{Key, Kind, Recipe, Wallet};
use super::clock;
use super::journal::Journal;

/// The hot wallet's name.
pub const HOT_WALLET_ID: &str = "hot.wlt";
/// How often the real network makes a block, when there is something to put in.
pub const BLOCK_INTERVAL: Duration = Duration::from_secs(10);

const JOURNAL_FILE: &str = "skycoin.journal";

/// How the node is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// What a new chain's keys derive from. An existing chain keeps its own.
    pub seed: String,
    /// How many outputs a new chain's hot wallet begins with.
    pub hot_outputs: u32,
    /// The coins in each of them.
    pub hot_output_coins: Amount<Sky>,
    /// The hours in each of them.
    pub hot_output_hours: u64,
    /// Whether a POST needs a token.
    pub csrf: Csrf,
    /// How many peers the node pretends to have; without any it broadcasts nothing (503).
    pub peers: u32,
}

/// Whether a POST needs a CSRF token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Csrf {
    /// As a node does out of the box.
    Required,
    /// As a node started with `-disable-csrf`.
    Off,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: "millrace sandbox".to_owned(),
            hot_outputs: 4_000,
            hot_output_coins: Amount::from_units(1_000_000_000).expect("a thousand coins are an amount"),
            // Enough for about eighteen payouts from each output and its change.
            hot_output_hours: 100_000_000_000,
            csrf: Csrf::Required,
            peers: 0,
        }
    }
}

/// Why the node does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its folder or journal cannot be read or written, or the journal is broken.
    #[error("the Skycoin node's journal: {0}")]
    Journal(#[from] io::Error),
    /// A new chain cannot begin like this.
    #[error("the Skycoin chain cannot begin: {0}")]
    Genesis(#[from] GenesisError),
    /// The journal does not lead to the chain it says it leads to.
    #[error("line {line} of the Skycoin node's journal does not fit what is before it: {reason}")]
    Replay {
        /// The line, counted from 1.
        line: usize,
        /// What does not fit.
        reason: &'static str,
    },
}

/// The node.
#[derive(Debug)]
pub struct SkycoinNode {
    state: Mutex<State>,
    csrf: Csrf,
    csrf_secret: [u8; 32],
    peers: u32,
    started_s: u64,
}

/// Everything that changes.
#[derive(Debug)]
struct State {
    ledger: Ledger,
    wallets: BTreeMap<String, Wallet>,
    treasury: Key,
    journal: Journal,
}

impl SkycoinNode {
    /// Opens the node whose journal is in `dir`, or begins a new chain there.
    pub fn open(dir: &Path, config: &Config) -> Result<Self, OpenError> {
        fs::create_dir_all(dir)?;
        let mut replay = Replay::default();
        let mut journal = Journal::open(&dir.join(JOURNAL_FILE), |entry| replay.take(entry))?;
        if replay.line == 0 {
            let genesis = config.genesis();
            replay.begin(&genesis)?;
            journal.append(&Entry::Genesis(genesis))?;
        }
        let (ledger, wallets, treasury) = replay.finish()?;
        Ok(Self {
            state: Mutex::new(State { ledger, wallets, treasury, journal }),
            csrf: config.csrf,
            csrf_secret: rand::random(),
            peers: config.peers,
            started_s: clock::now_s(),
        })
    }

    /// The one address of the hot wallet, called [`HOT_WALLET_ID`].
    pub fn hot_address(&self) -> SkyAddress {
        self.lock().hot_address()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A handler that panicked has changed nothing that the next one could not read.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hot_address(&self) -> SkyAddress {
        self.wallets[HOT_WALLET_ID].keys()[0].address
    }
}

impl Config {
    fn genesis(&self) -> Genesis {
        Genesis {
            seed: self.seed.clone(),
            hot_outputs: self.hot_outputs,
            hot_output_coins: self.hot_output_coins,
            hot_output_hours: self.hot_output_hours,
            time_s: clock::now_s(),
        }
    }
}

/// A chain on its way back from the journal.
#[derive(Default)]
struct Replay {
    line: usize,
    chain: Option<(Ledger, Key)>,
    wallets: BTreeMap<String, Wallet>,
    failure: Option<OpenError>,
}

impl Replay {
    fn take(&mut self, entry: Entry) {
        self.line += 1;
        if self.failure.is_none()
            && let Err(failure) = self.apply(entry)
        {
            self.failure = Some(failure);
        }
    }

    fn begin(&mut self, genesis: &Genesis) -> Result<(), OpenError> {
        let treasury = Key::derive(&format!("{} treasury", genesis.seed), 0);
        let recipe = Recipe {
            id: HOT_WALLET_ID.to_owned(),
            label: "hot".to_owned(),
            kind: Kind::Deterministic,
            seed: format!("{} hot wallet", genesis.seed),
            secrets: Vec::new(),
            time_s: genesis.time_s,
        };
        let hot = Wallet::of(&recipe).expect("a deterministic wallet has no secrets that could be wrong");
        self.chain = Some((genesis::begin(genesis, &treasury, &hot.keys()[0].address)?, treasury));
        self.wallets.insert(recipe.id, hot);
        Ok(())
    }

    fn misfit(&self, reason: &'static str) -> OpenError {
        OpenError::Replay { line: self.line, reason }
    }

    fn decode(&self, raw: &str) -> Result<Transaction, OpenError> {
        Transaction::from_hex(raw).map_err(|_| self.misfit("its transaction cannot be read"))
    }

    fn apply(&mut self, entry: Entry) -> Result<(), OpenError> {
        let raws = match &entry {
            Entry::Genesis(genesis) if self.line == 1 => return self.begin(genesis),
            Entry::Injected { raw, .. } => std::slice::from_ref(raw),
            Entry::ForcedBlock { raws, .. } => raws,
            _ => &[],
        };
        let mut transactions = raws.iter().map(|raw| self.decode(raw)).collect::<Result<Vec<_>, _>>()?;
        let line = self.line;
        let misfit = |reason| OpenError::Replay { line, reason };
        let Some((ledger, _)) = &mut self.chain else { return Err(misfit("the chain has not begun")) };
        match entry {
            Entry::Genesis(_) => return Err(misfit("the chain begins twice")),
            Entry::Wallet(recipe) => {
                let wallet = Wallet::of(&recipe).ok_or(misfit("a key is no key"))?;
                self.wallets.insert(recipe.id, wallet);
            }
            Entry::WalletGrown { id, count } => {
                self.wallets.get_mut(&id).ok_or(misfit("there is no such wallet"))?.grow(count);
            }
            Entry::Injected { time_s, .. } => {
                let transaction = transactions.pop().ok_or(misfit("it has no transaction"))?;
                ledger.accept(transaction, time_s);
            }
            Entry::Block { time_s, hash } => {
                let made = ledger.make_block(time_s).map(|block| block.hash);
                if made != Some(hash) {
                    return Err(misfit("the block is another one"));
                }
            }
            Entry::ForcedBlock { time_s, hash, .. } => {
                let spendable = |transaction: &Transaction| {
                    transaction.inputs().iter().all(|input| ledger.unspent(input).is_some())
                };
                if !transactions.iter().all(spendable) || ledger.force_block(transactions, time_s).hash != hash {
                    return Err(misfit("the block is another one"));
                }
            }
            Entry::Dropped { txid } => {
                ledger.forget_pending(&txid);
            }
            Entry::Reorganised { depth, orphans } => {
                if depth > control::depth_max(ledger) {
                    return Err(misfit("there are not so many blocks"));
                }
                ledger.take_back(depth, orphans);
            }
            Entry::Growth { growth } => ledger.set_growth(growth),
        }
        Ok(())
    }

    fn finish(self) -> Result<(Ledger, BTreeMap<String, Wallet>, Key), OpenError> {
        match (self.failure, self.chain) {
            (Some(failure), _) => Err(failure),
            (None, Some((ledger, treasury))) => Ok((ledger, self.wallets, treasury)),
            (None, None) => Err(OpenError::Replay { line: self.line, reason: "the chain has not begun" }),
        }
    }
}
