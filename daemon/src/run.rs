//! The desk, wired once: listeners first, then the tree of actors on a runtime of its own.
//!
//! Whatever is dead outside, the pages answer: the listeners are open before anything else is touched, and a part that
//! cannot start is a line in the health, not an exit.

mod outside;
mod stand_ins;
mod tree;

use std::fs::{File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use millrace_actors::ids::TimeOrderedIds;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Loaded};
use crate::web::frame::{Frame, Transport, enclosed, framed};
use crate::web::late::late;
use crate::web::operator::{self, OperatorState, World};
use crate::web::public::Early;
use crate::web::server::{Limits, serve};
use crate::web::token::Token;
use crate::web::{address, public, tls};

/// How long the parts have to end in order; the listeners drain at the same time.
const STOP_WITHIN: Duration = Duration::from_secs(4);
/// Where hot backups are kept, in the data folder.
const BACKUPS: &str = "backups";
/// Threads that serve HTTP.
const HTTP_THREADS: usize = 2;

/// Runs the desk until it is told to stop.
pub fn run(loaded: Loaded) -> anyhow::Result<()> {
    let started = Instant::now();
    let config = Arc::new(loaded.config);
    let data_dir = &config.desk.data_dir;
    std::fs::create_dir_all(data_dir).with_context(|| format!("{} cannot be made", data_dir.display()))?;
    let _lock = lock(&config)?;
    let listeners = Listeners::open(&config)?;
    let token = Arc::new(Token::load_or_create(&config.operator.token_file)?);
    address::publish(data_dir, listeners.operator_address).context("the operator's address cannot be written")?;

    let stop = CancellationToken::new();
    let http = runtime::Builder::new_multi_thread().worker_threads(HTTP_THREADS).enable_all().build()?;
    let actors = tree::start(&config, stop.clone())?;
    announce(&config, &listeners);
    let served = http.block_on(async {
        let (public, face) = watch::channel(None);
        let early = Early { health: actors.core.health.clone(), method: config.desk.method, started };
        let routers = Routers {
            public: late(face, public::early(early)),
            operator: operator::routes(Arc::new(operator_state(&config, &actors)), token),
        };
        let showing = show(&config, &actors, started, public);
        let serving = listeners.serve(&config, routers, stop.clone());
        tokio::join!(stop_on_signal(stop.clone()), stop.run_until_cancelled(showing), serving).2
    });
    stop.cancel();
    actors.finish(STOP_WITHIN);
    address::withdraw(data_dir);
    served
}

fn operator_state(config: &Config, actors: &tree::Actors) -> OperatorState {
    let tree::Core { tree, store, views, operations, .. } = actors.core.clone();
    let data_dir = &config.desk.data_dir;
    let (log, backups) = (data_dir.join(tree::LOG_FILE), data_dir.join(BACKUPS));
    let world = if config.sandbox.enabled { World::Sandbox } else { World::Real };
    OperatorState::new(operations, views, store, tree, log, backups).within(world)
}

/// Puts the customers' face up as soon as there is somebody behind it.
async fn show(config: &Config, actors: &tree::Actors, started: Instant, face: watch::Sender<Option<Router>>) {
    let mut wired = actors.wired.clone();
    // The sender lives as long as the actors' thread.
    let Ok(customers) = wired.wait_for(Option::is_some).await.map(|wired| wired.clone()) else { return };
    let tree::Wired { binder, height, quotes, stock } = customers.expect("it was waited for");
    let desk = public::Desk {
        binder,
        views: actors.core.views.clone(),
        health: actors.core.health.clone(),
        height,
        quotes,
        stock,
        terms: public::Terms::of(config),
        ids: TimeOrderedIds(Arc::clone(&actors.core.clock)),
        started,
    };
    face.send_replace(Some(public::routes(Arc::new(desk))));
}

/// Two desks on one log would pay twice; the lock ends with the process, however it ends.
fn lock(config: &Config) -> anyhow::Result<File> {
    let path = config.desk.data_dir.join("lock");
    let file = File::create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => anyhow::bail!("another desk runs on {}", config.desk.data_dir.display()),
        Err(TryLockError::Error(error)) => Err(error).context("the lock cannot be taken"),
    }
}

/// The open sockets.
struct Listeners {
    public: TcpListener,
    public_address: SocketAddr,
    operator: TcpListener,
    operator_address: SocketAddr,
}

/// What is served where.
struct Routers {
    public: Router,
    operator: Router,
}

impl Listeners {
    fn open(config: &Config) -> anyhow::Result<Self> {
        let open = |address: SocketAddr, key: &str| {
            let listener = TcpListener::bind(address).with_context(|| format!("{key}: {address} cannot be opened"))?;
            let address = listener.local_addr()?;
            anyhow::Ok((listener, address))
        };
        let (public, public_address) = open(config.public.listen, "public.listen")?;
        let (operator, operator_address) = open(config.operator.listen, "operator.listen")?;
        Ok(Self { public, public_address, operator, operator_address })
    }

    async fn serve(self, config: &Config, routers: Routers, stop: CancellationToken) -> anyhow::Result<()> {
        let tls = config.public.tls().map(tls::server_config).transpose()?;
        let transport = if tls.is_some() { Transport::Tls } else { Transport::Plain };
        let public = enclosed(
            routers.public,
            Frame {
                proxies: config.public.proxies().to_vec(),
                cors: config.public.cors_allowed.clone(),
                transport,
                stop: stop.clone(),
            },
        );
        let own = Frame { proxies: vec![], cors: vec![], transport: Transport::Plain, stop: stop.clone() };
        let operator = framed(routers.operator, own);
        let limits = Limits { connections_max: config.public.max_connections, ..Limits::default() };
        let (public, operator) = tokio::join!(
            serve(self.public, tls, public, limits, stop.clone()),
            serve(self.operator, None, operator, Limits::default(), stop)
        );
        Ok(public.and(operator)?)
    }
}

fn announce(config: &Config, listeners: &Listeners) {
    let scheme = if config.public.tls().is_some() { "https" } else { "http" };
    let world = if config.sandbox.enabled { "the sandbox" } else { "real nodes" };
    tracing::info!(
        page = %format_args!("{scheme}://{}/", listeners.public_address),
        operator = %format_args!("http://{}/", listeners.operator_address),
        data = %config.desk.data_dir.display(),
        method = config.desk.method.as_str(),
        "Millrace is up, with {world}"
    );
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be received; only a kill will end the desk");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("told to stop (SIGTERM)"),
        _ = interrupt.recv() => tracing::info!("told to stop (SIGINT)"),
        () = stop.cancelled() => return,
    }
    stop.cancel();
}
