//! The sandbox as one process: all servers on loopback ports, blocks on timers, one folder, one lock.
//!
//! Whoever wants to use it reads [`Info`] from the folder; see [`super::find`].

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::net::TcpListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use millrace_protocols::wire::c2cx::Credentials;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::bitcoin_node::{self, BitcoinNode};
use super::c2cx_venue::{self, Venue};
use super::clock;
use super::control;
use super::faults::{Faults, Server};
use super::info::{BitcoinInfo, C2cxInfo, Info, SkycoinInfo};
use super::listener::{self, Service};
pub use super::ports::{Elsewhere, Ports};
use super::receiver::Receiver;
use super::secrets::Secrets;
use super::skycoin_node::{self, HOT_WALLET_ID, SkycoinNode};

const LOCK_FILE: &str = "sandbox.lock";
/// After the last transaction so many more blocks come, so that everything is confirmed deep enough; then the timer
/// rests, or the chain of an idle sandbox would grow for ever.
const BLOCKS_AFTER_LAST_TRANSACTION: u32 = 12;
/// A sandbox that was just told to stop keeps its folder for a moment.
const HANDOVER: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// When things happen by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two Bitcoin blocks, while there is something to confirm; `None` for blocks on demand only.
    pub bitcoin_block: Option<Duration>,
    /// Between two Skycoin blocks; `None` for blocks on demand only.
    pub skycoin_block: Option<Duration>,
    /// Between two movements of the exchange's market; `None` for movements on demand only.
    pub market_step: Option<Duration>,
}

impl Timing {
    /// Everything on demand only.
    pub const ON_DEMAND: Self = Self { bitcoin_block: None, skycoin_block: None, market_step: None };
}

/// How a sandbox is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its folder.
    pub dir: PathBuf,
    /// Where it listens, unless one ran in the folder before: then where that one did.
    pub ports: Ports,
    /// Whether it may listen elsewhere when that is taken.
    pub elsewhere: Elsewhere,
    /// When blocks come and the market moves.
    pub timing: Timing,
    /// The Skycoin node. A new folder gets a seed of its own instead of this one.
    pub skycoin: skycoin_node::Config,
    /// The exchange. A new folder gets credentials of its own instead of these.
    pub c2cx: c2cx_venue::Config,
}

impl Config {
    /// The usual sandbox: the real networks' pace would try anybody's patience, so Bitcoin's blocks come every five
    /// seconds.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            ports: Ports::DEFAULT,
            elsewhere: Elsewhere::Allowed,
            timing: Timing {
                bitcoin_block: Some(Duration::from_secs(5)),
                skycoin_block: Some(skycoin_node::BLOCK_INTERVAL),
                market_step: Some(Duration::from_secs(5)),
            },
            skycoin: skycoin_node::Config::default(),
            c2cx: c2cx_venue::Config::default(),
        }
    }
}

/// Why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has the folder.
    #[error("another sandbox runs in {0}")]
    Taken(PathBuf),
    /// The folder or a port cannot be used.
    #[error("the sandbox cannot use {what}: {cause}")]
    System {
        /// What it was about.
        what: String,
        /// What the system says.
        cause: io::Error,
    },
    /// The Skycoin node does not open.
    #[error(transparent)]
    Skycoin(#[from] skycoin_node::OpenError),
}

/// The servers, to be steered from inside the process.
#[derive(Debug, Clone)]
pub struct Servers {
    /// The Bitcoin node.
    pub bitcoin: Arc<BitcoinNode>,
    /// The Skycoin node.
    pub skycoin: Arc<SkycoinNode>,
    /// The exchange.
    pub venue: Arc<Venue>,
    /// The faults on the wire.
    pub faults: Arc<Faults>,
    /// Whoever a webhook is pointed at.
    pub receiver: Arc<Receiver>,
}

/// A sandbox that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it is.
    pub info: Info,
    /// What it is.
    pub servers: Servers,
    dir: PathBuf,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    // Dropped after the tasks were told to stop; the lock goes last.
    _stops_when_dropped: DropGuard,
    _lock: File,
}

/// Starts a sandbox and runs it until `shutdown`, or until it is told to stop through its control API.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    let begin = Instant::now();
    let running = loop {
        match start(config.clone()).await {
            Err(StartError::Taken(_)) if begin.elapsed() < HANDOVER => tokio::time::sleep(LOOK_EVERY).await,
            started => break started?,
        }
    };
    tracing::info!(control = %running.info.control, dir = %running.dir.display(), "the sandbox is ready");
    tokio::select! {
        () = shutdown => (),
        () = running.stop.cancelled() => (),
    }
    running.stop().await;
    Ok(())
}

/// Opens all servers; when this returns they answer.
pub async fn start(mut config: Config) -> Result<Running, StartError> {
    let system = |cause| StartError::System { what: config.dir.display().to_string(), cause };
    fs::create_dir_all(&config.dir).map_err(system)?;
    let lock = lock(&config.dir)?;
    config.ports = Ports::of_before(&config.dir).unwrap_or(config.ports);
    let secrets = Secrets::load_or_create(&config.dir).map_err(system)?;
    let servers = Servers::open(&config, &secrets)?;
    let mut house = House { stop: CancellationToken::new(), tasks: JoinSet::new() };
    let steering = bind(config.ports.control, config.elsewhere)?;
    let info = house.open(&config, &servers, &secrets, steering.url.clone())?;
    house.serve(steering.listener, control::router(servers.clone(), info.clone(), house.stop.clone()), None);
    house.tick(config.timing.bitcoin_block, bitcoin_blocks(Arc::clone(&servers.bitcoin)));
    house.tick(config.timing.skycoin_block, skycoin_blocks(Arc::clone(&servers.skycoin)));
    house.tick(config.timing.market_step, market_steps(Arc::clone(&servers.venue)));
    Ports::remember(&info, &config.dir).map_err(system)?;
    info.publish(&config.dir).map_err(system)?;
    let House { stop, tasks } = house;
    let guard = stop.clone().drop_guard();
    Ok(Running { info, servers, dir: config.dir, stop, tasks, _stops_when_dropped: guard, _lock: lock })
}

impl Servers {
    fn open(config: &Config, secrets: &Secrets) -> Result<Self, StartError> {
        let system = |what: &Path, cause| StartError::System { what: what.display().to_string(), cause };
        let skycoin = skycoin_node::Config { seed: secrets.seed.clone(), ..config.skycoin.clone() };
        let credentials = Credentials { key: secrets.c2cx_key.clone(), secret: secrets.c2cx_secret.clone() };
        let c2cx = c2cx_venue::Config { credentials, ..config.c2cx.clone() };
        let bitcoin_dir = config.dir.join("bitcoin");
        let journal = config.dir.join("c2cx.journal");
        Ok(Self {
            bitcoin: Arc::new(BitcoinNode::open(&bitcoin_dir).map_err(|cause| system(&bitcoin_dir, cause))?),
            skycoin: Arc::new(SkycoinNode::open(&config.dir.join("skycoin"), &skycoin)?),
            venue: Arc::new(Venue::open(c2cx, &journal, clock::now_ms()).map_err(|cause| system(&journal, cause))?),
            faults: Arc::new(Faults::new(secrets.seed_for("faults"))),
            receiver: Arc::default(),
        })
    }
}

impl Running {
    /// Stops everything in order; the folder can be opened again when this returns.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        Info::withdraw(&self.dir);
    }
}

fn lock(dir: &Path) -> Result<File, StartError> {
    let path = dir.join(LOCK_FILE);
    let system = |cause| StartError::System { what: path.display().to_string(), cause };
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(system)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::Taken(dir.to_owned())),
        Err(TryLockError::Error(cause)) => Err(system(cause)),
    }
}

/// A port that nobody serves yet.
struct Bound {
    listener: StdListener,
    url: String,
}

fn bind(port: u16, elsewhere: Elsewhere) -> Result<Bound, StartError> {
    let system = |cause| StartError::System { what: format!("the loopback port {port}"), cause };
    let listener = match elsewhere {
        Elsewhere::Allowed => listener::bind(port),
        Elsewhere::Refused => listener::bind_exactly(port),
    };
    let listener = listener.map_err(system)?;
    let url = format!("http://{}", listener.local_addr().map_err(system)?);
    Ok(Bound { listener, url })
}

/// What runs in the background, and what ends it.
struct House {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl House {
    /// Serves nodes and exchange, and tells how to reach them.
    fn open(
        &mut self,
        config: &Config,
        servers: &Servers,
        secrets: &Secrets,
        control: String,
    ) -> Result<Info, StartError> {
        let Servers { bitcoin, skycoin, venue, faults, .. } = servers.clone();
        let Secrets { bitcoin_user: user, bitcoin_password: password, .. } = secrets.clone();
        let faulty = |server| Some((server, Arc::clone(&faults)));
        let hot_address = skycoin.hot_address();
        let bitcoin = bitcoin_node::router(bitcoin, &user, &password);
        let bitcoin = self.open_one((config.ports.bitcoin, config.elsewhere), bitcoin, faulty(Server::Bitcoin))?;
        let skycoin = self.open_one(
            (config.ports.skycoin, config.elsewhere),
            skycoin_node::router(skycoin),
            faulty(Server::Skycoin),
        )?;
        let c2cx =
            self.open_one((config.ports.c2cx, config.elsewhere), c2cx_venue::router(venue), faulty(Server::C2cx))?;
        let (network, xpub) = ("regtest".to_owned(), secrets.xpub());
        let (wallet_id, peers) = (HOT_WALLET_ID.to_owned(), config.skycoin.peers);
        Ok(Info {
            pid: std::process::id(),
            control,
            bitcoin: BitcoinInfo { url: bitcoin, user, password, network, xpub },
            skycoin: SkycoinInfo { url: skycoin, wallet_id, hot_address, peers },
            c2cx: C2cxInfo { url: c2cx, key: secrets.c2cx_key.clone(), secret: secrets.c2cx_secret.clone() },
        })
    }

    fn open_one(
        &mut self,
        (port, elsewhere): (u16, Elsewhere),
        router: Router,
        faults: Option<(Server, Arc<Faults>)>,
    ) -> Result<String, StartError> {
        let Bound { listener, url } = bind(port, elsewhere)?;
        self.serve(listener, router, faults);
        Ok(url)
    }

    fn serve(&mut self, listener: StdListener, router: Router, faults: Option<(Server, Arc<Faults>)>) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            if let Err(cause) = listener::serve(listener, Service { router, faults }, stop).await {
                tracing::error!(%cause, "a server of the sandbox cannot listen");
            }
        });
    }

    fn tick(&mut self, every: Option<Duration>, mut step: impl FnMut() + Send + 'static) {
        let Some(every) = every else { return };
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                step();
            }
        });
    }
}

fn bitcoin_blocks(node: Arc<BitcoinNode>) -> impl FnMut() + Send + 'static {
    // A sandbox that was ended soon after a transaction owes the blocks that make it deep.
    let above = node.blocks_since_transaction();
    let mut owed = above.map_or(0, |blocks| BLOCKS_AFTER_LAST_TRANSACTION.saturating_sub(blocks));
    move || {
        let mined = match node.mine_if_pending() {
            Ok(Some(_)) => {
                owed = BLOCKS_AFTER_LAST_TRANSACTION;
                Ok(())
            }
            Ok(None) if owed > 0 => {
                owed -= 1;
                node.mine(1).map(drop)
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = mined {
            tracing::error!(%error, "the sandbox could not mine a Bitcoin block");
        }
    }
}

fn skycoin_blocks(node: Arc<SkycoinNode>) -> impl FnMut() + Send + 'static {
    move || {
        if let Err(error) = node.produce_block() {
            tracing::error!(%error, "the sandbox could not make a Skycoin block");
        }
    }
}

fn market_steps(venue: Arc<Venue>) -> impl FnMut() + Send + 'static {
    move || {
        if let Err(error) = venue.step_market(clock::now_ms()) {
            tracing::error!(%error, "the sandbox could not move the market");
        }
    }
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
