//! Hears of deposits: follows the Bitcoin chain and the mempool, and owns the stream that says how far.
//!
//! A block's deposits and the cursor that passes it are one append, so nothing is missed or taken twice whenever the
//! process dies. Each output is a deposit of its own and the log's key of it is the output, whatever reports it how often.
//! What is in the mempool is shown and never acted upon.

mod addresses;
mod block;
mod mempool;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::Network;
use millrace_model::chain::Chain;
use millrace_model::event::Event;
use millrace_model::ids::StreamName;
use millrace_protocols::chain_watch::{Answer, Ask, ChainWatch, News};
use tokio::sync::watch;
use xtra::Mailbox;

use crate::binder::AddressSource;
use crate::deposits::{Deposits, ExecuteError};
use crate::event_store::{AppendError, Epoch, ReadError};
use crate::ports::{BitcoinNode, Ids, PortError};
use crate::supervision::{Incarnation, Policy, Reporter, Scope, Tree, TreeError};
use addresses::Addresses;
use block::Pending;
use mempool::Mempool;

/// The part's name in the tree.
pub const PART: &str = "scanner";
/// The name under which trouble with the node is reported.
const NODE: &str = "bitcoin_node";
/// A snapshot of the chain every so many blocks.
const SNAPSHOT_EVERY: u64 = 100;

/// How the scanner is set up.
#[derive(Clone)]
pub struct Settings {
    /// The network; a node on another one is not listened to.
    pub network: Network,
    /// The addresses that are ours.
    pub addresses: AddressSource,
    /// How deep a deposit must be, its own block included.
    pub confirmations: u64,
    /// How long between two looks at the node.
    pub poll: Duration,
    /// Whether deposits are shown before they are mined.
    pub mempool: Watch,
    /// Where an empty log begins; at the node's tip when `None`.
    pub start_height: Option<u32>,
}

/// Whether the mempool is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// It is.
    Yes,
    /// Only blocks are.
    No,
}

/// Adds the scanner to the tree. The height of the newest block is published as soon as it is known.
pub fn start(
    tree: &Tree,
    deposits: Deposits,
    node: Arc<dyn BitcoinNode>,
    ids: Arc<dyn Ids>,
    settings: Settings,
) -> Result<watch::Receiver<Option<u64>>, TreeError> {
    let (height, published) = watch::channel(None);
    tree.add(PART, Policy::permanent(), move |incarnation: Incarnation<Actor>| Actor {
        parts: Some(Parts {
            deposits: deposits.clone(),
            node: Arc::clone(&node),
            ids: Arc::clone(&ids),
            settings: settings.clone(),
            height: height.clone(),
            report: incarnation.report,
        }),
        scope: incarnation.scope,
    })?;
    Ok(published)
}

/// The actor: its work is one task of its incarnation, and ends with it.
pub struct Actor {
    parts: Option<Parts>,
    scope: Scope,
}

struct Parts {
    deposits: Deposits,
    node: Arc<dyn BitcoinNode>,
    ids: Arc<dyn Ids>,
    settings: Settings,
    height: watch::Sender<Option<u64>>,
    report: Reporter,
}

/// Why the scanner starts afresh.
#[derive(Debug, thiserror::Error)]
pub enum ScannerError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log does not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A deposit does not take it.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The stored chain is not one.
    #[error("the snapshot of the chain makes no sense: {0}")]
    Snapshot(#[from] serde_json::Error),
}

impl xtra::Actor for Actor {
    type Stop = Result<(), ScannerError>;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        let parts = self.parts.take().expect("an incarnation starts once");
        self.scope.spawn(async move { parts.run().await.map(|never| match never {}) });
        Ok(())
    }

    async fn stopped(self) -> Self::Stop {
        Ok(())
    }
}

impl Parts {
    async fn run(self) -> Result<Infallible, ScannerError> {
        let mut scanner = Scanner::load(self).await?;
        loop {
            match scanner.round().await {
                Ok(()) => scanner.parts.report.clear(NODE),
                Err(Trouble::Node(error)) => scanner.parts.report.set(NODE, error.to_string()),
                Err(Trouble::Ours(error)) => return Err(error),
            }
            tokio::time::sleep(scanner.parts.settings.poll).await;
        }
    }
}

/// What ends a round early.
enum Trouble {
    /// The node's; the next round tries again.
    Node(PortError),
    /// Ours; the next incarnation reads everything anew.
    Ours(ScannerError),
}

impl From<PortError> for Trouble {
    fn from(error: PortError) -> Self {
        Self::Node(error)
    }
}

impl<E: Into<ScannerError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Ours(error.into())
    }
}

/// One incarnation's knowledge.
struct Scanner {
    parts: Parts,
    epoch: Epoch,
    chain: Chain,
    addresses: Addresses,
    pending: Pending,
    mempool: Mempool,
}

impl Scanner {
    async fn load(parts: Parts) -> Result<Self, ScannerError> {
        let store = parts.deposits.store().clone();
        store.ready().await;
        let epoch = store.own(StreamName::Chain).await?.epoch;
        let chain = load_chain(&parts.deposits)?;
        let settings = &parts.settings;
        let addresses = Addresses::load(store, settings.addresses.clone(), settings.network)?;
        let (pending, mempool) = Pending::load(&parts.deposits)?;
        Ok(Self { parts, epoch, chain, addresses, pending, mempool })
    }

    /// Reads everything there is to read now.
    async fn round(&mut self) -> Result<(), Trouble> {
        loop {
            match self.look().await? {
                News::AskOn => {}
                News::AtTip { height } => {
                    self.parts.height.send_replace(Some(height));
                    break;
                }
                News::Block { block, content } => self.scan(block, &content).await?,
                News::Reorged { fork, abandoned } => self.reorganise(fork, abandoned).await?,
                News::TooDeep => {
                    let problem = "the best chain leaves ours deeper than the blocks kept at hand".to_owned();
                    return Err(PortError::Refused(problem).into());
                }
                News::Behind => {
                    return Err(PortError::Refused("the node is behind what we have read".to_owned()).into());
                }
            }
        }
        self.mature().await?;
        match self.parts.settings.mempool {
            Watch::Yes => self.watch_mempool().await,
            Watch::No => Ok(()),
        }
    }

    /// One look at the chain, up to the next news.
    async fn look(&self) -> Result<News, PortError> {
        let mut watch = ChainWatch::new(&self.chain, self.parts.settings.start_height);
        loop {
            let node = &self.parts.node;
            let answer = match watch.ask() {
                Ask::ChainInfo => {
                    let info = node.chain_info().await?;
                    if info.chain != self.parts.settings.network {
                        let problem = format!("the node is on {}, not on {}", info.chain, self.parts.settings.network);
                        return Err(PortError::Refused(problem));
                    }
                    Answer::ChainInfo(info)
                }
                Ask::HashAt(height) => Answer::HashAt(node.hash_at(height).await?),
                Ask::Block(hash) => Answer::Block(node.block(hash).await?.map(Box::new)),
            };
            match watch.hear(answer) {
                News::AskOn => {}
                news => return Ok(news),
            }
        }
    }
}

fn load_chain(deposits: &Deposits) -> Result<Chain, ScannerError> {
    let reader = deposits.store().reader()?;
    let (mut chain, version) = match reader.snapshot(&StreamName::Chain)? {
        Some(snapshot) => (serde_json::from_str(&snapshot.state)?, snapshot.version),
        None => (Chain::default(), 0),
    };
    for recorded in reader.stream(&StreamName::Chain, version)? {
        if let Event::Chain(event) = &recorded.event {
            chain = chain.evolve(event);
        }
    }
    Ok(chain)
}
