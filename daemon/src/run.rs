//! The desk's core, wired once: the faces on the sockets that the front gave it, and the tree of actors on a runtime of
//! its own.
//!
//! Whatever is dead outside, the pages answer: the listeners are open before anything else is touched, and a part that
//! cannot start is a line in the health, not an exit. Should the core itself end, the front answers ([`crate::front`]).

mod alerting;
mod outside;
mod people;
mod stand_ins;
mod tree;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use millrace_actors::ids::TimeOrderedIds;
use millrace_model::deposit::Method;
use millrace_model::desk::Place;
use millrace_model::ledger::Ticker;
use tokio::runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::bounded_file::read_text;
use crate::config::{Config, Loaded};
use crate::front::handover::Front;
use crate::listeners::{Listeners, Routers};
use crate::lock;
use crate::signals::told_to_stop;
use crate::web::console;
use crate::web::frame::with_refusals;
use crate::web::late::late;
use crate::web::operator::{self, OperatorState, Parts, Threshold, World};
use crate::web::public::Early;
use crate::web::session::{self, Gate};
use crate::web::token::Token;
use crate::web::{address, public};

pub(crate) use tree::{LOG_FILE, VIEWS_FILE, sinks};

/// How long the parts have to end in order; the listeners drain at the same time.
const STOP_WITHIN: Duration = Duration::from_secs(4);
/// Where hot backups are kept, in the data folder.
const BACKUPS: &str = "backups";
/// A password made by the desk, with room for a line's end.
const PASSWORD_BYTES_MAX: u64 = 64;
/// Threads that serve HTTP.
const HTTP_THREADS: usize = 2;

/// Runs the core until it is told to stop.
pub fn core(loaded: Loaded) -> anyhow::Result<()> {
    let started = Instant::now();
    let (front, sockets) = Front::take()?;
    let (config, settings) = (Arc::new(loaded.config), loaded.entries);
    let data_dir = &config.desk.data_dir;
    let _lock = lock::core(data_dir)?;
    let listeners = Listeners::given(&config, sockets)?;
    let token = Arc::new(Token::load_or_create(&config.operator.token_file)?);
    if let Err(error) = address::publish(data_dir, listeners.operator.address) {
        // A disk that is full or read-only is told of in the health, and that takes a desk.
        tracing::warn!(%error, "the operator's address cannot be written; the command line does not find this desk");
    }

    let stop = CancellationToken::new();
    let http = runtime::Builder::new_multi_thread().worker_threads(HTTP_THREADS).enable_all().build()?;
    let actors = tree::start(&config, stop.clone(), http.handle().clone())?;
    let operations = actors.core.operations.clone();
    let gate = Gate::open(data_dir, Arc::clone(&actors.core.clock), config.operator.transport(), Some(operations));
    announce(&config, &listeners, &gate);
    let served = http.block_on(async {
        let (public, face) = watch::channel(None);
        let early = Early { health: actors.core.health.clone(), method: config.desk.method, started };
        let desk = Arc::new(operator_state(&config, &actors).configured(settings, thresholds(&config)));
        let pages = console::routes(Arc::clone(&desk), Arc::clone(&gate)).merge(session::routes(gate));
        let operator = operator::routes(desk, token).merge(pages);
        let routers = Routers { public: late(face, public::early(early)), operator: with_refusals(operator) };
        let showing = show(&config, &actors, started, public);
        let serving = listeners.serve(&config, routers, stop.clone());
        // A front that does not hear this is gone, and this process with it.
        let _ = front.serving();
        tokio::join!(stop_on_signal(stop.clone()), stop.run_until_cancelled(showing), serving).2
    });
    stop.cancel();
    actors.finish(STOP_WITHIN);
    address::withdraw(data_dir);
    served
}

fn operator_state(config: &Config, actors: &tree::Actors) -> OperatorState {
    let tree::Core { tree, store, views, operations, subscriptions, deliveries, relay, reconciliation, .. } =
        actors.core.clone();
    let data_dir = &config.desk.data_dir;
    let (log, backups) = (data_dir.join(LOG_FILE), data_dir.join(BACKUPS));
    let world = if config.sandbox.enabled { World::Sandbox } else { World::Real };
    let reconciliation = reconciliation.subscribe();
    let parts = Parts { operations, subscriptions, deliveries, views, store, tree, reconciliation };
    let (views, head_file) = (data_dir.join(VIEWS_FILE), config.desk.head_file.clone());
    let state = OperatorState::new(parts, log, backups).within(world).relaying(relay).proving(views, head_file);
    state.reconciling(config.desk.reconcile_every)
}

/// Below what operators are told, as pages show it.
fn thresholds(config: &Config) -> Vec<Threshold> {
    let wallet =
        Threshold { place: Place::HotWallet, coin: Ticker::Sky, units: config.skycoin.low_balance_warning.units() };
    let is_bought = config.desk.method == Method::Passthrough;
    let account = Threshold {
        place: Place::Exchange,
        coin: Ticker::Btc,
        units: if is_bought { config.c2cx.low_balance_warning.units() } else { 0 },
    };
    vec![wallet, account]
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
        switches: actors.core.operations.switches(),
        outer: tree::outer_brakes(config, &actors.core),
        quotes,
        stock,
        subscriptions: actors.core.subscriptions.clone(),
        terms: public::Terms::of(config),
        ids: TimeOrderedIds(Arc::clone(&actors.core.clock)),
        started,
    };
    face.send_replace(Some(public::routes(Arc::new(desk))));
}

fn announce(config: &Config, listeners: &Listeners, gate: &Gate) {
    let scheme = if config.public.tls().is_some() { "https" } else { "http" };
    let world = if config.sandbox.enabled { "the sandbox" } else { "real nodes" };
    tracing::info!(
        page = %format_args!("{scheme}://{}/", listeners.public.address),
        operator = %format_args!("http://{}/", listeners.operator.address),
        data = %config.desk.data_dir.display(),
        method = config.desk.method.as_str(),
        "Millrace is up, with {world}"
    );
    if let Some(password) = gate.first_password_file() {
        if config.sandbox.enabled {
            print_password(&password);
        }
        let console = format_args!("http://{}/console", listeners.operator.address);
        tracing::info!(%console, name = "operator", password = %password.display(), "log in with the password of this file");
    }
}

/// In the sandbox there is nothing to protect, and somebody who is in a hurry to see the console.
fn print_password(file: &Path) {
    if let Ok(password) = read_text(file, PASSWORD_BYTES_MAX) {
        tracing::info!(name = "operator", password = password.trim(), "the sandbox's console can be entered with");
    }
}

async fn stop_on_signal(stop: CancellationToken) {
    tokio::select! {
        () = told_to_stop() => stop.cancel(),
        () = stop.cancelled() => {}
    }
}
