//! The sandbox as one process: all servers on loopback ports, blocks on timers, one folder, one lock.
//!
//! Whoever wants to use it reads [`Info`] from the folder; see [`super::find`].

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::bitcoin_node::{self, BitcoinNode};
use super::control;
use super::faults::{Faults, Server};
use super::info::{BitcoinInfo, Info, SkycoinInfo};
use super::listener::{self, Service};
use super::secrets::Secrets;
use super::skycoin_node::{self, HOT_WALLET_ID, SkycoinNode};

const LOCK_FILE: &str = "sandbox.lock";
/// After the last transaction so many more blocks come, so that everything is confirmed deep enough; then the timer
/// rests, or the chain of an idle sandbox would grow for ever.
const BLOCKS_AFTER_LAST_TRANSACTION: u32 = 12;

/// The ports that are tried first; each falls back to any free one. Zero is any free one at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The control API.
    pub control: u16,
    /// The Bitcoin node.
    pub bitcoin: u16,
    /// The Skycoin node.
    pub skycoin: u16,
    /// The exchange.
    pub c2cx: u16,
}

impl Ports {
    /// Below the range from which the system gives ports to clients.
    pub const DEFAULT: Self = Self { control: 21_800, bitcoin: 21_801, skycoin: 21_802, c2cx: 21_803 };
    /// Any free ports.
    pub const ANY: Self = Self { control: 0, bitcoin: 0, skycoin: 0, c2cx: 0 };
}

/// When blocks come by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two Bitcoin blocks, while there is something to confirm; `None` for blocks on demand only.
    pub bitcoin_block: Option<Duration>,
    /// Between two Skycoin blocks; `None` for blocks on demand only.
    pub skycoin_block: Option<Duration>,
}

impl Timing {
    /// Blocks on demand only.
    pub const ON_DEMAND: Self = Self { bitcoin_block: None, skycoin_block: None };
}

/// How a sandbox is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its folder.
    pub dir: PathBuf,
    /// Where it listens.
    pub ports: Ports,
    /// When blocks come.
    pub timing: Timing,
    /// The Skycoin node. A new folder gets a seed of its own instead of this one.
    pub skycoin: skycoin_node::Config,
}

impl Config {
    /// The usual sandbox: the real networks' pace would try anybody's patience, so Bitcoin's blocks come every five
    /// seconds.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            ports: Ports::DEFAULT,
            timing: Timing {
                bitcoin_block: Some(Duration::from_secs(5)),
                skycoin_block: Some(skycoin_node::BLOCK_INTERVAL),
            },
            skycoin: skycoin_node::Config::default(),
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
    /// The faults on the wire.
    pub faults: Arc<Faults>,
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
    let running = start(config).await?;
    tracing::info!(control = %running.info.control, dir = %running.dir.display(), "the sandbox is ready");
    tokio::select! {
        () = shutdown => (),
        () = running.stop.cancelled() => (),
    }
    running.stop().await;
    Ok(())
}

/// Opens all servers; when this returns they answer.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let system = |what: &Path| {
        let what = what.display().to_string();
        move |cause| StartError::System { what, cause }
    };
    fs::create_dir_all(&config.dir).map_err(system(&config.dir))?;
    let lock = lock(&config.dir)?;
    let secrets = Secrets::load_or_create(&config.dir).map_err(system(&config.dir))?;
    let skycoin_config = skycoin_node::Config { seed: secrets.seed.clone(), ..config.skycoin };
    let bitcoin_dir = config.dir.join("bitcoin");
    let servers = Servers {
        bitcoin: Arc::new(BitcoinNode::open(&bitcoin_dir).map_err(system(&bitcoin_dir))?),
        skycoin: Arc::new(SkycoinNode::open(&config.dir.join("skycoin"), &skycoin_config)?),
        faults: Arc::new(Faults::new(secrets.seed_for("faults"))),
    };

    let mut house = House { stop: CancellationToken::new(), tasks: JoinSet::new() };
    let bitcoin = bitcoin_node::router(Arc::clone(&servers.bitcoin), &secrets.bitcoin_user, &secrets.bitcoin_password);
    let faulty = |server| Some((server, Arc::clone(&servers.faults)));
    let bitcoin_url = house.open(config.ports.bitcoin, bitcoin, faulty(Server::Bitcoin))?;
    let skycoin = skycoin_node::router(Arc::clone(&servers.skycoin));
    let skycoin_url = house.open(config.ports.skycoin, skycoin, faulty(Server::Skycoin))?;
    let steering = listener::bind(config.ports.control);
    let steering = steering.map_err(|cause| StartError::System { what: "a loopback port".to_owned(), cause })?;
    let info = Info {
        pid: std::process::id(),
        control: url(&steering).map_err(|cause| StartError::System { what: "a loopback port".to_owned(), cause })?,
        bitcoin: BitcoinInfo {
            url: bitcoin_url,
            user: secrets.bitcoin_user.clone(),
            password: secrets.bitcoin_password.clone(),
            network: "regtest".to_owned(),
            xpub: secrets.xpub(),
        },
        skycoin: SkycoinInfo {
            url: skycoin_url,
            wallet_id: HOT_WALLET_ID.to_owned(),
            hot_address: servers.skycoin.hot_address(),
            peers: skycoin_config.peers,
        },
    };
    house.serve(steering, control::router(servers.clone(), info.clone(), house.stop.clone()), None);
    house.tick(config.timing.bitcoin_block, bitcoin_blocks(Arc::clone(&servers.bitcoin)));
    house.tick(config.timing.skycoin_block, skycoin_blocks(Arc::clone(&servers.skycoin)));
    info.publish(&config.dir).map_err(system(&config.dir))?;
    let House { stop, tasks } = house;
    let guard = stop.clone().drop_guard();
    Ok(Running { info, servers, dir: config.dir, stop, tasks, _stops_when_dropped: guard, _lock: lock })
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

fn url(listener: &std::net::TcpListener) -> io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// What runs in the background, and what ends it.
struct House {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl House {
    fn open(&mut self, port: u16, router: Router, faults: Option<(Server, Arc<Faults>)>) -> Result<String, StartError> {
        let system = |cause| StartError::System { what: "a loopback port".to_owned(), cause };
        let listener = listener::bind(port).map_err(system)?;
        let url = url(&listener).map_err(system)?;
        self.serve(listener, router, faults);
        Ok(url)
    }

    fn serve(&mut self, listener: std::net::TcpListener, router: Router, faults: Option<(Server, Arc<Faults>)>) {
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
    let mut owed = 0;
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

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
