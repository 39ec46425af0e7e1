//! The actors of this run, on a runtime and a thread of their own.
//!
//! ```text
//! desk (rest for one)
//! ├── event_store
//! └── followers (one for one): everybody who needs the log, each on his own
//! sandbox: on its own, if it is on
//! ```
//!
//! When the log's part fails, whoever follows it is stopped and started again once it is open. The listeners and the health
//! are outside the tree.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use millrace_actors::alerts::Gauges;
use millrace_actors::auditor;
use millrace_actors::binder::{self, BindRequest};
use millrace_actors::brakes;
use millrace_actors::buyer;
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::customer_keys::CustomerKeys;
use millrace_actors::decider::{self, TermsNow};
use millrace_actors::delivery::address::Reach;
use millrace_actors::delivery::attempts::Limits;
use millrace_actors::delivery::sinks::Sinks;
use millrace_actors::deposits::Deposits;
use millrace_actors::door::Door;
use millrace_actors::event_store::{Execution, Log, Opening, Reader, Settings as StoreSettings, Store};
use millrace_actors::exchange::{Exchange, RequestsPerMinute};
use millrace_actors::finality;
use millrace_actors::head_file::{self, Foreign, HeadFile, Settings as HeadSettings};
use millrace_actors::ids::TimeOrderedIds;
use millrace_actors::market::{self, Market, Watching};
use millrace_actors::operations::{self, Operations};
use millrace_actors::projection::{self, Views};
use millrace_actors::reconciler::{self, Compared, Openings};
use millrace_actors::relay::{self, Relay, kafka};
use millrace_actors::scanner::{self, Mempool};
use millrace_actors::sealer;
use millrace_actors::sender;
use millrace_actors::stations::{self, Stations};
use millrace_actors::stock::{self, Stock};
use millrace_actors::subscriptions::deliveries::Deliveries;
use millrace_actors::subscriptions::{self, Subscriptions, delivery, endings, ownership, questions};
use millrace_actors::supervision::{Group, Registry, Strategy, Tree};
use millrace_model::deposit::{DecisionTerms, Method, PayoutTerms, RemainderPolicy, Terms};
use millrace_model::desk::Switch;
use millrace_model::money::Amount;
use millrace_protocols::chain_watch::Start;
use millrace_protocols::purchase::Policy;
use millrace_protocols::wire::c2cx::BTC_SKY_RULES;
use tokio::runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::alerting;
use super::outside::{self, Outside};
use super::people;
use super::stand_ins;
use crate::config::Config;
use crate::quote::{Quotes, Source};
use crate::sandbox::info::Info;

/// The log's file in the data folder.
pub(crate) const LOG_FILE: &str = "log.db";
/// So much of a deposit that no order can spend goes to rounding; more is owed back. The price of a smallest order is
/// some two hundred times as much.
const ROUNDING_MAX_SATOSHI: u64 = 1_000;
/// The hot wallet is read once in so many looks at the Skycoin chain.
const STOCK_READ_EVERY_POLLS: u32 = 5;
/// The shortest pause between two readings of an open order, however often the exchange may be asked: whoever only reads
/// never comes to cancel.
const READ_EVERY_MS_MIN: u64 = 50;
/// The group of everything that needs the log, with the log's own part first.
const DESK: &str = "desk";
/// The group of those who follow the log.
const FOLLOWERS: &str = "followers";
/// While this file is in the data folder, no order and no payout goes out.
const HALT_FILE: &str = "HALT";
/// The pause between two audits of the whole log.
const AUDIT_EVERY: Duration = Duration::from_hours(24);
/// How long attempts are kept.
const ATTEMPTS_KEPT: Duration = Duration::from_hours(30 * 24);
/// The views' file in the data folder.
pub(crate) const VIEWS_FILE: &str = "views.db";

/// The running actors, as the rest of the process holds them.
pub(super) struct Actors {
    /// What is there from the first moment, whatever is dead outside.
    pub core: Core,
    /// What needs the outside world's addresses, once they are known.
    pub wired: watch::Receiver<Option<Wired>>,
    thread: JoinHandle<()>,
    finish: mpsc::SyncSender<Duration>,
}

/// What needs nothing from outside.
#[derive(Clone)]
pub(super) struct Core {
    pub tree: Tree,
    /// Where parts are added that need the log.
    pub followers: Tree,
    pub store: Store,
    pub head_file: HeadFile,
    pub views: Views,
    pub operations: Operations,
    pub subscriptions: Subscriptions,
    /// How they get there.
    pub deliveries: Deliveries,
    /// Others' notifications, if any are passed on.
    pub relay: Option<Relay>,
    pub health: Registry,
    pub clock: Arc<dyn Clock>,
    /// The balances of which operators are told when they are low.
    pub gauges: Gauges,
    /// The places outside, as they were last compared with the books.
    pub reconciliation: watch::Sender<Vec<Compared>>,
    /// Where the sandbox is, once that is known; `None` with real nodes.
    pub sandbox: Option<watch::Receiver<Option<Info>>>,
}

/// What customers need.
#[derive(Clone)]
pub(super) struct Wired {
    pub binder: Door<BindRequest>,
    pub height: watch::Receiver<Option<u64>>,
    pub quotes: Quotes,
    pub stock: Stock,
}

/// Starts the actors. Returns as soon as the core exists; the outside is waited for on the actors' own thread. What posts to
/// many endpoints runs on `http`.
pub(super) fn start(config: &Arc<Config>, stop: CancellationToken, http: runtime::Handle) -> anyhow::Result<Actors> {
    let (core, cores) = mpsc::sync_channel(1);
    let (wired, wired_seen) = watch::channel(None);
    let (finish, finishes) = mpsc::sync_channel(1);
    let config = Arc::clone(config);
    let thread = std::thread::Builder::new().name("actors".to_owned()).spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let started = runtime.context("no runtime for the actors").and_then(|runtime| {
            let entered = runtime.enter();
            let started = start_core(&config, http)?;
            drop(entered);
            Ok((runtime, started))
        });
        let (runtime, started) = match started {
            Ok((runtime, started)) => {
                let _ = core.send(Ok(started.clone()));
                (runtime, started)
            }
            Err(error) => return drop(core.send(Err(error))),
        };
        runtime.block_on(live(&config, &started, wired, stop));
        let within = finishes.recv().unwrap_or_default();
        runtime.block_on(started.tree.shutdown(within));
    })?;
    let core = cores.recv().context("the actors' thread ended")??;
    Ok(Actors { core, wired: wired_seen, thread, finish })
}

impl Actors {
    /// Ends all parts in order, the last started first.
    pub(super) fn finish(self, within: Duration) {
        // The thread ends either way.
        let _ = self.finish.send(within);
        if self.thread.join().is_err() {
            tracing::error!("the actors' thread panicked");
        }
    }
}

fn start_core(config: &Config, http: runtime::Handle) -> anyhow::Result<Core> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let health = Registry::new(Arc::clone(&clock));
    let jitter_seed = u64::from(std::process::id());
    let tree = Tree::new(health.clone(), jitter_seed);
    let desk = tree.group(DESK, Group::new(Strategy::RestForOne))?;
    let data_dir = &config.desk.data_dir;
    let settings =
        StoreSettings { path: data_dir.join(LOG_FILE), execution: Execution::Thread, clock: Arc::clone(&clock) };
    let head_file = head_file(config, &clock);
    let store = Store::start_after(&desk, settings, opening(config, &head_file))?;
    let followers = desk.group(FOLLOWERS, Group::new(Strategy::OneForOne))?;
    head_file::start(&followers, &head_file, store.clone())?;
    let views = Views::new(&data_dir.join(VIEWS_FILE));
    projection::start(&followers, store.clone(), views.clone())?;
    let keys = CustomerKeys::at(&config.desk.keys_file);
    let operations = operations::start(&followers, Deposits::new(store.clone()), keys.clone())?;
    let (subscriptions, deliveries) = notifying(config, &followers, (&store, &views), (keys, &clock, http.clone()))?;
    let relay = relaying(config, &followers, (&store, &subscriptions), (&clock, http))?;
    auditor::start(&followers, store.clone(), operations.clone(), AUDIT_EVERY)?;
    let sealing =
        sealer::Settings { clock: clock.clone(), after: config.desk.seal_after, execution: Execution::Thread };
    sealer::start(&followers, store.clone(), sealing)?;
    stations::keeper::start(&followers, store.clone(), Stations::beside(&data_dir.join(LOG_FILE)))?;
    let gauges = alerting::start(&followers, config, (&store, &operations), &clock)?;
    let sandbox = config.sandbox.enabled.then(|| stand_ins::start(&tree, &config.sandbox)).transpose()?;
    let reconciliation = watch::Sender::default();
    Ok(Core {
        tree,
        followers,
        store,
        head_file,
        views,
        operations,
        subscriptions,
        deliveries,
        relay,
        health,
        clock,
        gauges,
        reconciliation,
        sandbox,
    })
}

/// Who is told what, and the telling.
fn notifying(
    config: &Config,
    followers: &Tree,
    (store, views): (&Store, &Views),
    (keys, clock, http): (CustomerKeys, &Arc<dyn Clock>, runtime::Handle),
) -> anyhow::Result<(Subscriptions, Deliveries)> {
    let settings = subscriptions::Settings { keys, sinks: sinks(config)?, clock: Arc::clone(clock) };
    let subscriptions = subscriptions::start(followers, store.clone(), settings)?;
    let settings = delivery::Settings {
        path: config.desk.data_dir.join(delivery::FILE),
        limits: Limits { kept: ATTEMPTS_KEPT, bytes_max: config.subscriptions.attempts_bytes_max },
        runtime: http.clone(),
        clock: Arc::clone(clock),
    };
    let deliveries = delivery::start(followers, store.clone(), views.clone(), subscriptions.clone(), settings)?;
    let settings = ownership::Settings { runtime: http.clone(), clock: Arc::clone(clock) };
    ownership::start(followers, store.clone(), subscriptions.clone(), settings)?;
    let settings = questions::Settings { runtime: http, clock: Arc::clone(clock) };
    questions::start(followers, store.clone(), subscriptions.clone(), settings)?;
    endings::start(followers, store.clone(), subscriptions.clone(), config.subscriptions.kept)?;
    Ok((subscriptions, deliveries))
}

/// Passing on what others' queue hands out, if that is configured.
fn relaying(
    config: &Config,
    followers: &Tree,
    (store, subscriptions): (&Store, &Subscriptions),
    (clock, http): (&Arc<dyn Clock>, runtime::Handle),
) -> anyhow::Result<Option<Relay>> {
    let Some((place, queue)) = config.relay.settings() else { return Ok(None) };
    let queue = kafka::queue(queue).context("the program was built without Kafka")?;
    let data_dir = &config.desk.data_dir;
    let settings = relay::Settings {
        queue,
        place,
        path: data_dir.join(relay::FILE),
        attempts_path: data_dir.join(relay::ATTEMPTS_FILE),
        memory: config.relay.memory(),
        schedule: config.relay.schedule.clone(),
        limits: Limits { kept: ATTEMPTS_KEPT, bytes_max: config.subscriptions.attempts_bytes_max },
        runtime: http,
        clock: Arc::clone(clock),
    };
    Ok(Some(relay::start(followers, store.clone(), subscriptions.clone(), settings)?))
}

/// Where notifications may lead.
pub(crate) fn sinks(config: &Config) -> anyhow::Result<Sinks> {
    let reach = if config.sandbox.enabled { Reach::Sandbox } else { Reach::Public };
    let sinks = people::add(Sinks::webhooks(reach), config)?;
    config.notify.brokers().into_iter().try_fold(sinks, |sinks, (kind, broker)| match broker.settings(kind)? {
        Some(settings) => Ok(sinks.with_broker(kind, settings)?),
        None => Ok(sinks),
    })
}

/// What is done with the log before anybody has it. One that was made of an export is another desk's: outside the sandbox
/// nobody gets it.
fn opening(config: &Config, head_file: &HeadFile) -> Option<Opening> {
    let (is_sandbox, compare) = (config.sandbox.enabled, head_file.opening());
    Some(Arc::new(move |log: &mut Log, reader: &Reader| {
        if !is_sandbox && reader.is_imported().map_err(|error| error.to_string())? {
            return Err("it was imported, to be looked at in the sandbox; no desk pays or buys by it".to_owned());
        }
        compare.as_ref().map_or(Ok(()), |compare| compare(log, reader))
    }))
}

/// By which a restored or copied log is told from the desk's own. A sandbox may be thrown away, a desk may not.
fn head_file(config: &Config, clock: &Arc<dyn Clock>) -> HeadFile {
    let foreign = if config.sandbox.enabled { Foreign::TakenOver } else { Foreign::Refused };
    let (path, execution, clock) = (config.desk.head_file.clone(), Execution::Thread, Arc::clone(clock));
    HeadFile::new(HeadSettings { path, foreign, execution, clock })
}

/// The outside as configured; with the sandbox, waits until one runs.
async fn outside(config: &Config, core: &Core) -> anyhow::Result<Outside> {
    let Some(mut sandbox) = core.sandbox.clone() else { return outside::real(config) };
    let found = sandbox.wait_for(Option::is_some).await.context("the sandbox's part is gone")?.clone();
    outside::sandbox(&found.expect("it was waited for"))
}

/// Wires what needs the outside, then lets everything run until the stop.
async fn live(config: &Config, core: &Core, wired: watch::Sender<Option<Wired>>, stop: CancellationToken) {
    let wiring = async {
        match outside(config, core).await.and_then(|outside| wire(config, core, outside)) {
            Ok(customers) => drop(wired.send_replace(Some(customers))),
            Err(error) => tracing::error!("the desk cannot be wired: {error:#}"),
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = wiring => {}
        () = stop.cancelled() => {}
    }
}

fn wire(config: &Config, core: &Core, outside: Outside) -> anyhow::Result<Wired> {
    let deposits = Deposits::new(core.store.clone());
    let switches = core.operations.switches();
    let binder = binder::start(
        &core.followers,
        binder::Settings {
            source: Arc::clone(&outside.addresses),
            addresses_max_per_target: u64::from(config.desk.max_addresses_per_target),
            low_pool: config.bitcoin.low_pool_warning,
            switches,
            head_file: core.head_file.clone(),
        },
        core.store.clone(),
    )?;
    let height = scanner::start(
        &core.followers,
        scanner::Settings {
            network: outside.network,
            start: config.bitcoin.start_height.map_or(Start::Tip, Start::Height),
            poll: config.bitcoin.poll,
            confirmations: u64::from(config.bitcoin.confirmations),
            source: outside.addresses,
            mempool: if config.bitcoin.watch_mempool { Mempool::Watched } else { Mempool::PassedOver },
            began: core.clock.now(),
        },
        outside.bitcoin,
        Arc::new(TimeOrderedIds(Arc::clone(&core.clock))),
        deposits.clone(),
    )?;
    reconciler::start(
        &core.followers,
        reconciler::Inside {
            deposits: deposits.clone(),
            views: core.views.clone(),
            operations: core.operations.clone(),
            clock: Arc::clone(&core.clock),
        },
        reconciler::Outside { skycoin: outside.skycoin.clone(), exchange: outside.exchange.clone() },
        reconciler::Settings {
            every: config.desk.reconcile_every,
            confirmations: u64::from(config.skycoin.confirmations),
            openings: if config.sandbox.enabled { Openings::AsFound } else { Openings::ByOperator },
        },
        core.reconciliation.clone(),
    )?;
    let market = outside.exchange.map(|exchange| buying(config, core, &deposits, exchange)).transpose()?;
    decider::start(&core.followers, deposits.clone(), terms(config, market.clone()))?;
    let stock =
        stock::start(&core.followers, outside.skycoin.clone(), Arc::clone(&core.clock), stock_settings(config))?;
    core.gauges.set(alerting::gauges(config, &stock, market.as_ref()));
    let watched =
        finality::Settings { confirmations: u64::from(config.skycoin.confirmations), poll: config.skycoin.poll };
    finality::start(&core.followers, deposits.clone(), outside.skycoin.clone(), watched)?;
    sender::start(
        &core.followers,
        deposits,
        outside.skycoin,
        sender::Settings {
            wallet_id: outside.wallet.id,
            password: outside.wallet.password,
            confirmations: u64::from(config.skycoin.confirmations),
            poll: config.skycoin.poll,
            resend_after: config.skycoin.resend_after,
            outer: outer_brakes(config, core),
            stock: stock.clone(),
            limits: config.desk.payout_limits,
            clock: Arc::clone(&core.clock),
            execution: Execution::Thread,
        },
    )?;
    let quotes = Quotes {
        source: match config.desk.method {
            Method::Direct => Source::Direct(config.desk.rate.context("desk.rate is missing")?, stock.clone()),
            Method::Passthrough => Source::Passthrough(market.context("no exchange is configured")?),
        },
        minimum: config.desk.minimum_deposit,
        maximum: config.desk.maximum_deposit,
        payout_maximum: config.desk.maximum_payout,
        payout_decimals: config.desk.payout_decimals,
        confirmations: config.bitcoin.confirmations,
        clock: Arc::clone(&core.clock),
    };
    Ok(Wired { binder, height, quotes, stock })
}

/// What stops effects besides the log: the configuration, the halt file for as long as it is there, and a log that was not
/// compared with its head file.
pub(super) fn outer_brakes(config: &Config, core: &Core) -> brakes::Outer {
    let head_file = core.head_file.clone();
    let (send_enabled, halt_file) = (config.desk.send_enabled, config.desk.data_dir.join(HALT_FILE));
    Arc::new(move |switch| match switch {
        Switch::Sends if !send_enabled => Some("they are off in the configuration"),
        // What cannot be looked for may be there.
        Switch::Sends | Switch::Purchases if halt_file.try_exists().unwrap_or(true) => {
            Some("there is a file HALT in the data folder")
        }
        Switch::Binds | Switch::Sends | Switch::Purchases => head_file.closed(),
    })
}

fn stock_settings(config: &Config) -> stock::Settings {
    let skycoin = &config.skycoin;
    stock::Settings {
        every: skycoin.poll * STOCK_READ_EVERY_POLLS,
        low_balance: skycoin.low_balance_warning,
        low_hours: skycoin.low_hours_warning,
        minimum_hours: skycoin.minimum_hours,
    }
}

/// The exchange's part of the desk. It runs in either mode: what was begun is finished.
fn buying(config: &Config, core: &Core, deposits: &Deposits, exchange: Arc<dyn Exchange>) -> anyhow::Result<Market> {
    let c2cx = &config.c2cx;
    let (watching, low_balance) = match config.desk.method {
        // Nothing new is bought, and nobody need fill the account for it.
        Method::Direct => (Watching::WhenAsked, Amount::ZERO),
        Method::Passthrough => (Watching::Always, c2cx.low_balance_warning),
    };
    // The sandbox's exchange may be asked as often as one likes.
    let per_minute = if config.sandbox.enabled { 0 } else { c2cx.requests_per_minute };
    let usual = market::Settings::for_pace(RequestsPerMinute::new(per_minute));
    let settings = market::Settings { watching, stale_after: c2cx.quote_stale_after, low_balance, ..usual };
    let market = market::start(&core.followers, Arc::clone(&exchange), settings, Arc::clone(&core.clock))?;
    let policy = Policy {
        band_percent: c2cx.max_slippage_percent,
        patience_ms: u64::try_from(c2cx.order_wait.as_millis())?,
        read_every_ms: 60_000u64.checked_div(u64::from(per_minute)).unwrap_or(0).max(READ_EVERY_MS_MIN),
        ..Policy::new(BTC_SKY_RULES)
    };
    let remainder = RemainderPolicy {
        rounding_maximum: Amount::from_units(ROUNDING_MAX_SATOSHI).expect("a few satoshi are an amount"),
        payout: payout_terms(config),
    };
    let settings = buyer::Settings { policy, remainder, outer: outer_brakes(config, core) };
    buyer::start(&core.followers, deposits.clone(), exchange, market.clone(), settings, Arc::clone(&core.clock))?;
    Ok(market)
}

/// The terms of every decision: the configuration's, with the order book of the moment where one is needed.
fn terms(config: &Config, market: Option<Market>) -> TermsNow {
    let (method, rate) = (config.desk.method, config.desk.rate);
    let (minimum, maximum) = (config.desk.minimum_deposit, config.desk.maximum_deposit);
    let (payout, slippage) = (payout_terms(config), config.c2cx.max_slippage_percent);
    Arc::new(move |amount| {
        let terms = match method {
            Method::Direct => Terms::Direct { rate: rate? },
            Method::Passthrough => Terms::upon(market.as_ref()?.book()?.seen_for(amount, slippage)?),
        };
        Some(DecisionTerms { terms, minimum, maximum, payout })
    })
}

fn payout_terms(config: &Config) -> PayoutTerms {
    PayoutTerms { decimals: config.desk.payout_decimals, maximum: config.desk.maximum_payout }
}
