//! The desk of a story: every actor that moves deposits, on one thread, over the real log, its ports answered by the world.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context, Result};
use bitcoin::Network;
use chrono::DateTime;
use millrace_actors::binder::{self, AddressSource, Bind, BindRequest};
use millrace_actors::clock::Clock;
use millrace_actors::deposits::Deposits;
use millrace_actors::door::Door;
use millrace_actors::event_store::{Execution, Settings as StoreSettings, Store};
use millrace_actors::head_file::HeadFile;
use millrace_actors::market::{self, Watching};
use millrace_actors::ports::Ids;
use millrace_actors::scanner::{self, Mempool};
use millrace_actors::stock;
use millrace_actors::supervision::{Group, Registry, Strategy, Tree};
use millrace_actors::{buyer, decider, finality, sealer, sender};
use millrace_model::deposit::{DecisionTerms, Method, PayoutTerms, RemainderPolicy, Terms};
use millrace_model::desk::Desk as Switches;
use millrace_model::ids::{CommandId, DepositId};
use millrace_model::money::Amount;
use millrace_model::outflow::Limits;
use millrace_protocols::chain_watch::Start;
use millrace_protocols::purchase::Policy;
use millrace_protocols::receive::AccountKey;
use millrace_protocols::wire::c2cx::BTC_SKY_RULES;
use tokio::sync::watch;

use super::World;

/// An account key of nobody's (BIP84's test vector).
const ACCOUNT: &str =
    "tpubDC8msFGeGuwnKG9Upg7DM2b4DaRqg3CUZa5g8v2SRQ6K4NSkxUgd7HsL2XVWbVm39yBA4LAxysQAm397zwQSQoQgewGiYZqrA9DsP4zbQ1M";
/// How deep a deposit must be.
pub const CONFIRMATIONS: u64 = 2;
/// How deep a payout must be.
pub const PAYOUT_CONFIRMATIONS: u64 = 2;
/// How often the Skycoin chain is looked at.
const POLL: Duration = Duration::from_millis(500);
/// With fewer coin hours than this the desk does not pay out.
const HOURS_MINIMUM: u64 = 200;
/// How many addresses a list has.
const LISTED: u32 = 64;
/// How many decimals a payout has.
const PAYOUTS: PayoutTerms = PayoutTerms { decimals: 3, maximum: Amount::MAX };

/// A desk that runs.
pub struct Desk {
    tree: Tree,
    /// Its log.
    pub store: Store,
    binder: Door<BindRequest>,
    tip: watch::Receiver<Option<u64>>,
}

/// Ids in the order of their making; the world has them, so that a desk that starts anew makes others.
#[derive(Default)]
pub struct CountingIds(AtomicU64);

impl Ids for CountingIds {
    fn deposit_id(&self) -> DepositId {
        DepositId(uuid::Uuid::from_u128(1 + u128::from(self.0.fetch_add(1, Ordering::Relaxed))))
    }
}

/// Where a desk has its addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// An account's public key.
    Account,
    /// A list made elsewhere.
    Listed,
}

/// The desk's addresses. Deriving one takes longer than most of what a desk does in its life, so all desks of the process
/// share them.
pub fn addresses(kind: Addresses) -> Arc<AddressSource> {
    static KEY: LazyLock<AccountKey> =
        LazyLock::new(|| AccountKey::parse(ACCOUNT, Network::Regtest).expect("a test vector is a key"));
    static ACCOUNTS: LazyLock<Arc<AddressSource>> = LazyLock::new(|| Arc::new(AddressSource::account((*KEY).clone())));
    static LISTS: LazyLock<Arc<AddressSource>> = LazyLock::new(|| {
        let listed = (0..LISTED).map(|index| KEY.address(index).expect("almost every number has an address"));
        Arc::new(AddressSource::list(listed.collect()))
    });
    Arc::clone(match kind {
        Addresses::Account => &ACCOUNTS,
        Addresses::Listed => &LISTS,
    })
}

impl Desk {
    /// Starts a desk on a log, new or old.
    pub async fn start(log: &Path, world: &World) -> Result<Self> {
        let clock: Arc<dyn Clock> = world.clock.clone();
        let tree = Tree::new(Registry::new(Arc::clone(&clock)), world.seed);
        let settings = StoreSettings { path: log.to_owned(), execution: Execution::Inline, clock: Arc::clone(&clock) };
        let desk = tree.group("desk", Group::new(Strategy::RestForOne))?;
        let store = Store::start(&desk, settings)?;
        let followers = desk.group("followers", Group::new(Strategy::OneForOne))?;
        store.ready().await;
        world.leaving.begin(store.reader()?)?;
        let deposits = Deposits::new(store.clone());
        let source = Arc::clone(&world.addresses);
        let switches = watch::Sender::new(Switches::default()).subscribe();
        let binding = binder::Settings {
            source: Arc::clone(&source),
            addresses_max_per_target: 5,
            low_pool: 0,
            switches,
            head_file: HeadFile::unkept(),
        };
        let binder = binder::start(&followers, binding, store.clone())?;
        let scanning = scanner::Settings {
            network: Network::Regtest,
            start: Start::Tip,
            poll: Duration::from_millis(700),
            confirmations: CONFIRMATIONS,
            source,
            mempool: Mempool::Watched,
            // All blocks of this chain are younger.
            began: DateTime::UNIX_EPOCH,
        };
        let tip = scanner::start(&followers, scanning, world.bitcoin.clone(), world.ids.clone(), deposits.clone())?;
        let market = buying(&followers, world, &deposits, Arc::clone(&clock))?;
        decider::start(&followers, deposits.clone(), terms(&world.buys, market)?)?;
        let holdings = stock::Settings {
            every: Duration::from_millis(2_500),
            low_balance: "100".parse()?,
            low_hours: 1_000,
            minimum_hours: HOURS_MINIMUM,
        };
        let stock = stock::start(&followers, world.skycoin.clone(), clock, holdings)?;
        let watched = finality::Settings { confirmations: PAYOUT_CONFIRMATIONS, poll: POLL };
        finality::start(&followers, deposits.clone(), world.skycoin.clone(), watched)?;
        let sending = sender::Settings {
            wallet_id: "hot.wlt".to_owned(),
            password: None,
            confirmations: PAYOUT_CONFIRMATIONS,
            poll: POLL,
            resend_after: Duration::from_secs(30),
            outer: Arc::new(|_| None),
            stock,
            limits: Limits::default(),
            clock: world.clock.clone(),
            execution: Execution::Inline,
        };
        sender::start(&followers, deposits, world.skycoin.clone(), sending)?;
        if let Some(past) = &world.past {
            let (clock, after, execution) = (world.clock.clone(), past.sealed_after, Execution::Inline);
            sealer::start(&followers, store.clone(), sealer::Settings { clock, after, execution })?;
        }
        Ok(Self { tree, store, binder, tip })
    }

    /// The process is gone, in the middle of whatever it did.
    pub async fn crash(&self) {
        self.tree.cut_off().await;
    }

    /// Waits until the chain was read for the first time.
    pub async fn follows_the_chain(&mut self) -> Result<()> {
        self.tip.wait_for(Option::is_some).await.map(drop).context("the scanner is gone")
    }

    /// Binds an address; the number tells this customer's wishes apart.
    pub async fn bind(&self, target: &str, number: u32) -> Result<String> {
        let command_id = CommandId::of_fact(&["bind", target, &number.to_string()]);
        let bind = Bind { target: target.to_owned(), method: Method::Direct, command_id };
        let bound = self.binder.call(|reply| BindRequest { bind, reply }, Duration::from_secs(60)).await??;
        Ok(bound.address)
    }

    /// What the parts of the desk that are not well have to say of themselves.
    pub fn health(&self) -> String {
        let parts = self.tree.health().subscribe().borrow().clone();
        parts.iter().filter(|part| !part.is_well()).map(|part| format!("{part:?}\n")).collect()
    }
}

fn buying(tree: &Tree, world: &World, deposits: &Deposits, clock: Arc<dyn Clock>) -> Result<market::Market> {
    let watching = market::Settings {
        watching: Watching::Always,
        poll: Duration::from_secs(1),
        fresh_for: Duration::from_secs(2),
        ..market::Settings::default()
    };
    let market = market::start(tree, world.venue.clone(), watching, Arc::clone(&clock))?;
    let remainder = RemainderPolicy { rounding_maximum: "0.00001".parse()?, payout: PAYOUTS };
    let settings = buyer::Settings { policy: Policy::new(BTC_SKY_RULES), remainder, outer: Arc::new(|_| None) };
    buyer::start(tree, deposits.clone(), world.venue.clone(), market.clone(), settings, clock)?;
    Ok(market)
}

/// The terms of every decision; which of the two ways is the world's wish at that moment.
fn terms(buys: &Arc<AtomicBool>, market: market::Market) -> Result<decider::TermsNow> {
    let (buys, rate) = (Arc::clone(buys), "500".parse()?);
    let (minimum, maximum) = ("0.001".parse()?, "1".parse()?);
    let slippage = Policy::new(BTC_SKY_RULES).band_percent;
    Ok(Arc::new(move |amount| {
        let terms = match buys.load(Ordering::Relaxed) {
            true => Terms::upon(market.book()?.seen_for(amount, slippage)?),
            false => Terms::Direct { rate },
        };
        Some(DecisionTerms { terms, minimum, maximum, payout: PAYOUTS })
    }))
}
