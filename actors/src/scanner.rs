//! Follows the Bitcoin chain and records what pays us. Owns the chain's stream: the cursor moves in the same append that
//! records a block's deposits, so a block is either read with all that is in it, or not read.
//!
//! One round: list the mempool, follow the best chain to its tip, mature what is deep enough, then look at what was
//! listed. In that order, since what left the mempool for a block is then known to be in that block. Everything in
//! memory can be read from the log again; when it can no longer be trusted the incarnation ends and the next one does
//! so. A node that cannot be followed is a condition for people to see, and the next round's business.
//!
//! It decides nothing about money: what follows from an observation is the deposit's own rule.

mod addresses;
mod aside;
mod block;
mod mempool;
mod reorganisation;
mod ripening;
mod sightings;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::{Network, Txid};
use chrono::{DateTime, Utc};
use millrace_model::binding;
use millrace_model::chain::{self, Chain};
use millrace_model::deposit::{self, BlockRef, Command, Deposit, Rejection, Sighting};
use millrace_model::desk::{self, HaltCause, Halted};
use millrace_model::event::Event;
use millrace_model::ids::{DepositId, Position, StreamName, Version};
use millrace_protocols::chain_watch::{Answer, Ask, Outcome, Rules, Start, Watch};
use tokio::sync::watch;

use crate::binder::AddressSource;
use crate::canary::{self, Canary};
use crate::deposits::{Deposits, Tracked, progress};
use crate::event_store::{Append, AppendError, Committed, Epoch, Expected, Origin, ReadError, Reader, Write};
use crate::past::Horizon;
use crate::ports::{BitcoinNode, Ids, PortError};
use crate::supervision::{Reporter, Tree, TreeError};
use addresses::Addresses;
use ripening::Ripening;
use sightings::Sightings;

/// The part's name in the tree.
pub const PART: &str = "scanner";

/// How many events are followed at once.
const PAGE_EVENTS_MAX: usize = 4_096;
/// How often an append is built afresh when a deposit has moved meanwhile.
const CONFLICTS_MAX: usize = 16;
/// A block's time may be this far ahead of the clock (a rule of the network).
const BLOCK_CLOCK_SKEW: Duration = Duration::from_secs(2 * 60 * 60);
/// How many deposits are looked at before others get their turn, at the start.
const AT_A_TIME: usize = 1_024;

/// What to follow and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The network.
    pub network: Network,
    /// Where the first run begins.
    pub start: Start,
    /// The pause between two rounds.
    pub poll: Duration,
    /// How many blocks deep a deposit must be, its own included.
    pub confirmations: u64,
    /// Where our addresses come from.
    pub source: Arc<AddressSource>,
    /// Whether deposits are shown before they are mined.
    pub mempool: Mempool,
    /// When the process began.
    pub began: DateTime<Utc>,
}

/// What becomes of the node's mempool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mempool {
    /// Deposits in it are shown, and never acted upon.
    Watched,
    /// Nobody looks at it.
    PassedOver,
}

/// Adds the scanner to the tree and starts it. The value it returns is the height of the newest block read, `None` until
/// one was.
pub fn start(
    tree: &Tree,
    settings: Settings,
    node: Arc<dyn BitcoinNode>,
    ids: Arc<dyn Ids>,
    deposits: Deposits,
) -> Result<watch::Receiver<Option<u64>>, TreeError> {
    let tip = Arc::new(watch::Sender::new(None));
    let seen = tip.subscribe();
    let outside = Outside { settings, node, ids, deposits, tip };
    tree.add_task(PART, move |report| {
        let outside = outside.clone();
        async move { Scanner::load(outside, report).await?.run().await.map(|never| match never {}) }
    })?;
    Ok(seen)
}

/// What every incarnation is given.
#[derive(Clone)]
struct Outside {
    settings: Settings,
    node: Arc<dyn BitcoinNode>,
    ids: Arc<dyn Ids>,
    deposits: Deposits,
    tip: Arc<watch::Sender<Option<u64>>>,
}

/// Why the scanner starts afresh.
#[derive(Debug, thiserror::Error)]
pub enum ScannerError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log refused in a way that says that our memory is wrong, or does not say what it did.
    #[error(transparent)]
    Append(AppendError),
    /// The stored state of the chain cannot be read.
    #[error("the chain's snapshot: {0}")]
    Snapshot(#[from] serde_json::Error),
    /// The log had this already.
    #[error("this was recorded before: what is in memory is out of date")]
    Outdated,
    /// A rule of the deposit that should not come in here.
    #[error("{deposit}: {rejection}")]
    Rejected {
        /// The deposit.
        deposit: DepositId,
        /// Its rule.
        rejection: Rejection,
    },
}

/// Why a round ended early.
#[derive(Debug)]
enum Interruption {
    /// The node: shown, and tried again.
    Node(String),
    /// The log takes nothing now: shown, and tried again.
    Store(AppendError),
    /// What is in memory cannot be trusted.
    Fatal(ScannerError),
}

impl From<PortError> for Interruption {
    fn from(error: PortError) -> Self {
        Self::Node(error.to_string())
    }
}

impl<E: Into<ScannerError>> From<E> for Interruption {
    fn from(error: E) -> Self {
        Self::Fatal(error.into())
    }
}

/// How the chain was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// It only grew, if anything.
    Straight,
    /// Blocks were abandoned.
    Reorganised,
}

struct Scanner {
    outside: Outside,
    report: Reporter,
    reader: Arc<Reader>,
    epoch: Epoch,
    chain: Chain,
    version: Version,
    /// Up to where the log was followed.
    position: Position,
    addresses: Addresses,
    sightings: Sightings,
    ripening: Ripening,
    horizon: Horizon,
    /// What of the mempool was looked at.
    looked_at: HashSet<Txid>,
}

impl Scanner {
    async fn load(outside: Outside, report: Reporter) -> Result<Self, ScannerError> {
        let store = outside.deposits.store().clone();
        store.ready_for(&report).await;
        let owned = store.own(StreamName::Chain).await.map_err(ScannerError::Append)?;
        let reader = store.reader()?;
        let chain = load_chain(&reader)?;
        let (source, network) = (Arc::clone(&outside.settings.source), outside.settings.network);
        let (addresses, position) = Addresses::load(&reader, source, network).await?;
        let horizon = Horizon::new(outside.settings.began);
        let mut scanner = Self {
            outside,
            report,
            reader,
            epoch: owned.epoch,
            chain,
            version: owned.version,
            position,
            addresses,
            sightings: Sightings::default(),
            ripening: Ripening::default(),
            horizon,
            looked_at: HashSet::new(),
        };
        let (_, open) = scanner.outside.deposits.open()?;
        for ids in open.chunks(AT_A_TIME) {
            ids.iter().try_for_each(|id| scanner.track(*id))?;
            tokio::task::yield_now().await;
        }
        scanner.publish_tip();
        Ok(scanner)
    }

    async fn run(mut self) -> Result<Infallible, ScannerError> {
        let mut is_first = true;
        loop {
            match self.round(is_first).await {
                Ok(()) => {
                    is_first = false;
                    self.report.clear("bitcoin_node");
                    self.report.clear("event_store");
                }
                Err(Interruption::Node(problem)) => self.report.set("bitcoin_node", problem),
                Err(Interruption::Store(error)) => self.report.set("event_store", error.to_string()),
                Err(Interruption::Fatal(error)) => return Err(error),
            }
            tokio::time::sleep(self.outside.settings.poll).await;
        }
    }

    async fn round(&mut self, is_first: bool) -> Result<(), Interruption> {
        if is_first {
            self.take_up_set_aside().await?;
        }
        let waiting = match self.outside.settings.mempool {
            Mempool::Watched => Some(self.outside.node.mempool().await?),
            Mempool::PassedOver => None,
        };
        let course = self.follow_chain().await?;
        self.follow_log()?;
        self.mature().await?;
        match waiting {
            Some(waiting) => self.look_at_mempool(&waiting, course).await,
            None => Ok(()),
        }
    }

    async fn follow_chain(&mut self) -> Result<Course, Interruption> {
        let mut watch = Watch::new(Rules { network: self.outside.settings.network, start: self.beginning()? });
        let mut course = Course::Straight;
        loop {
            let answer = self.asked(watch.ask(&self.chain)).await?;
            match watch.answer(&self.chain, answer) {
                Outcome::AskOn => {}
                Outcome::Block { at, block } => {
                    self.record_block(at, &block).await?;
                    self.mature().await?;
                }
                Outcome::Reorged { fork, abandoned } => {
                    course = Course::Reorganised;
                    self.record_reorganisation(fork, abandoned).await?;
                }
                Outcome::TooDeep => watch.deepen(self.history()?),
                Outcome::AtTip => {
                    let end = self.chain.cursor().and_then(|cursor| self.horizon.at_tip(cursor.height));
                    end.into_iter().for_each(|height| self.outside.deposits.past().ended_at(height));
                    return Ok(course);
                }
                Outcome::Trouble(trouble) => return Err(Interruption::Node(trouble.to_string())),
            }
        }
    }

    /// Where reading begins when nothing was read yet. An address may have been given out before the node could first be
    /// reached: then not at the tip, but at a block that is older than the oldest address.
    fn beginning(&self) -> Result<Start, ScannerError> {
        let start = self.outside.settings.start;
        if self.chain.cursor().is_some() || start != Start::Tip {
            return Ok(start);
        }
        let bound_at = addresses::first_bound_at(&self.reader)?;
        let since = bound_at.map(|at| at.timestamp() - BLOCK_CLOCK_SKEW.as_secs().cast_signed());
        Ok(since.map_or(start, |since| Start::Since(u32::try_from(since).unwrap_or_default())))
    }

    async fn asked(&self, ask: Ask) -> Result<Answer, PortError> {
        let node = &self.outside.node;
        Ok(match ask {
            Ask::ChainInfo => Answer::ChainInfo(node.chain_info().await?),
            Ask::HashAt(height) => Answer::Hash(node.hash_at(height).await?),
            Ask::Block(hash) => Answer::Block(node.block(hash).await?),
        })
    }

    /// Takes in the addresses given out meanwhile.
    fn follow_log(&mut self) -> Result<(), ScannerError> {
        let store = self.outside.deposits.store().clone();
        while self.position < store.head() {
            let page = store.after(self.position, PAGE_EVENTS_MAX)?;
            let Some(last) = page.last() else { break };
            for recorded in page.events() {
                match &recorded.event {
                    Event::Binding(binding::Event::Bound(bound)) => self.addresses.bound(bound),
                    Event::Desk(desk::Event::Halted(Halted { cause: HaltCause::Restored(lost) })) => {
                        self.addresses.lost(lost);
                    }
                    Event::Deposit(_)
                    | Event::AddressBook(_)
                    | Event::Chain(_)
                    | Event::Wallet(_)
                    | Event::Desk(_)
                    | Event::Subscription(_)
                    | Event::Unreadable(_) => {}
                }
            }
            self.position = last;
        }
        self.addresses.look_ahead();
        Ok(())
    }

    /// Files a deposit where it belongs as it stands now.
    fn track(&mut self, id: DepositId) -> Result<(), ScannerError> {
        let Some(tracked) = self.outside.deposits.get(id)? else { return Ok(()) };
        let Deposit { receipt, sighting, .. } = &tracked.deposit;
        match sighting {
            Sighting::Unconfirmed | Sighting::Orphaned => self.sightings.insert(receipt),
            Sighting::Mined(_) | Sighting::Vanished { .. } => self.sightings.remove(receipt),
        }
        if let Some(block) = tracked.deposit.ripens_in() {
            self.ripening.insert(self.due(&tracked.deposit, block), id);
        }
        Ok(())
    }

    /// The height at which a deposit mined in this block is deep enough.
    fn due(&self, deposit: &Deposit, block: BlockRef) -> u64 {
        if canary::lives(Canary::NoDepth) {
            return block.height;
        }
        block.height + deposit.confirmations_required(self.outside.settings.confirmations).max(1) - 1
    }

    /// The events that follow from what was observed, as a write; `None` when there is nothing new in it.
    fn observed(&self, tracked: &Tracked, command: &Command) -> Result<Option<Write>, ScannerError> {
        let deposit = tracked.deposit.receipt.id;
        match tracked.deposit.decide(command) {
            Ok(events) => {
                let after = events.iter().fold(Some(tracked.deposit.clone()), deposit::evolve);
                let events = events.into_iter().map(Event::Deposit).collect();
                let stream = StreamName::Deposit(deposit);
                let write = Write::new(stream, Expected::Exactly(tracked.version), events);
                Ok(Some(Write { progress: progress(after.as_ref()), ..write }))
            }
            Err(Rejection::NothingNew) => Ok(None),
            Err(rejection) => Err(ScannerError::Rejected { deposit, rejection }),
        }
    }

    /// Stores what `build` makes of the present state; builds it again when a deposit has moved meanwhile. The deposits
    /// concerned are filed anew. `build` comes back with nothing when there is nothing to store.
    async fn commit(
        &mut self,
        mut build: impl FnMut(&mut Self) -> Result<Option<Append>, ScannerError>,
    ) -> Result<(), Interruption> {
        let mut conflicts = 0;
        loop {
            let Some(append) = build(self)? else { return Ok(()) };
            let streams: Vec<StreamName> = append.writes.iter().map(|write| write.stream.clone()).collect();
            let chain_events = chain_events(&append);
            match self.outside.deposits.store().append(append).await {
                Ok(Committed { origin: Origin::New, .. }) => {
                    self.version += chain_events.len() as Version;
                    self.chain = chain_events.iter().fold(std::mem::take(&mut self.chain), Chain::evolve);
                    self.publish_tip();
                    return Ok(streams.iter().filter_map(deposit_of).try_for_each(|id| self.track(id))?);
                }
                Ok(Committed { origin: Origin::Repeated, .. }) => {
                    return Err(Interruption::Fatal(ScannerError::Outdated));
                }
                Err(AppendError::Conflict { stream: StreamName::Deposit(_), .. } | AppendError::KeyTaken { .. })
                    if conflicts < CONFLICTS_MAX =>
                {
                    conflicts += 1;
                }
                Err(error @ (AppendError::Busy | AppendError::Unavailable(_))) => {
                    return Err(Interruption::Store(error));
                }
                Err(error) => return Err(Interruption::Fatal(ScannerError::Append(error))),
            }
        }
    }

    fn chain_write(&self, events: Vec<chain::Event>) -> Write {
        let events = events.into_iter().map(Event::Chain).collect();
        Write::new(StreamName::Chain, Expected::Owner(self.epoch), events)
    }

    fn publish_tip(&self) {
        let height = self.chain.cursor().map(|cursor| cursor.height);
        self.outside.tip.send_if_modified(|tip| std::mem::replace(tip, height) != height);
    }
}

fn load_chain(reader: &Reader) -> Result<Chain, ScannerError> {
    let snapshot = reader.snapshot(&StreamName::Chain)?;
    let (version, chain) = match snapshot {
        Some(snapshot) => (snapshot.version, serde_json::from_str(&snapshot.state)?),
        None => (0, Chain::default()),
    };
    let events = reader.stream(&StreamName::Chain, version)?;
    Ok(events.iter().fold(chain, |chain, recorded| match &recorded.event {
        Event::Chain(event) => chain.evolve(event),
        Event::Deposit(_)
        | Event::Binding(_)
        | Event::AddressBook(_)
        | Event::Wallet(_)
        | Event::Desk(_)
        | Event::Subscription(_)
        | Event::Unreadable(_) => chain,
    }))
}

/// A command's body.
fn body(facts: &impl serde::Serialize) -> String {
    serde_json::to_string(facts).expect("facts have text keys")
}

fn chain_events(append: &Append) -> Vec<chain::Event> {
    let events = append.writes.iter().flat_map(|write| &write.events);
    let chain = events.filter_map(|event| match event {
        Event::Chain(event) => Some(event.clone()),
        Event::Deposit(_)
        | Event::Binding(_)
        | Event::AddressBook(_)
        | Event::Wallet(_)
        | Event::Desk(_)
        | Event::Subscription(_)
        | Event::Unreadable(_) => None,
    });
    chain.collect()
}

fn deposit_of(stream: &StreamName) -> Option<DepositId> {
    match stream {
        StreamName::Deposit(id) => Some(*id),
        StreamName::Binding(_)
        | StreamName::AddressBook
        | StreamName::Chain
        | StreamName::Wallet
        | StreamName::Desk
        | StreamName::Subscription(_) => None,
    }
}
