//! Fills a desk's data folder with deposits that went their whole way, through the desk's own actors.
//!
//! Both chains are a real sandbox's, so that the desk that is started on the folder afterwards goes on where this one
//! stopped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, ensure};
use chrono::DateTime;
use futures::StreamExt;
use futures::stream::iter;
use millrace_actors::binder::{self, AddressSource, Bind, BindRequest};
use millrace_actors::bitcoin_node::{HttpBitcoinNode, Settings as BitcoinSettings};
use millrace_actors::clock::SystemClock;
use millrace_actors::deposits::Deposits;
use millrace_actors::door::Door;
use millrace_actors::event_store::{Execution, Store};
use millrace_actors::ids::TimeOrderedIds;
use millrace_actors::projection::{self, Views};
use millrace_actors::scanner::{self, Mempool};
use millrace_actors::skycoin_node::HttpSkycoinNode;
use millrace_actors::stock::Stock;
use millrace_actors::supervision::{Registry, Tree};
use millrace_actors::{decider, sender};
use millrace_model::deposit::{DecisionTerms, Method, PayoutTerms, Terms};
use millrace_model::desk::Desk;
use millrace_model::ids::Category;
use millrace_model::money::Amount;
use millrace_model::outflow::Limits;
use millrace_protocols::chain_watch::Start;
use millrace_protocols::receive::AccountKey;
use millrace_protocols::wire::skycoin::rest::Broadcast;
use serde_json::json;
use tokio::sync::watch;

use crate::bench::customers::{ADDRESSES_EACH, target};
use crate::bench::kept_log;
use crate::sandbox::Sandbox;

/// How much there is to be in the end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Deposits that are finished.
    pub finished: usize,
    /// Deposits too small to deal in: they are held, and so stay open.
    pub held: usize,
    /// Addresses of the one customer who has many; each other customer has [`ADDRESSES_EACH`].
    pub addresses_of_one: usize,
}

/// Deposits in a block.
const BLOCK: usize = 500;
/// Blocks that are mined before what is in them is waited for.
const BLOCKS_AHEAD: usize = 20;
/// How often the hot wallet gets 400 further outputs.
const REFILLS: usize = 10;
/// Coin hours of each further output of the hot wallet.
const HOURS: u64 = 1_000_000_000;
const BINDS_AT_ONCE: usize = 256;
const POLL: Duration = Duration::from_millis(20);
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// What the folder holds.
pub(crate) struct Filled {
    /// The customers, the one with many addresses first.
    pub customers: Vec<String>,
}

/// Fills the folder and closes it.
pub(crate) async fn fill(data_dir: &Path, sandbox: &Sandbox, size: Size) -> anyhow::Result<Filled> {
    ensure!(
        size.finished >= size.addresses_of_one
            && (size.finished - size.addresses_of_one).is_multiple_of(ADDRESSES_EACH),
        "{size:?}: everybody but one has {ADDRESSES_EACH} addresses"
    );
    let filler = Filler::start(data_dir, sandbox)?;
    let customers = customers(size);
    let addresses = filler.bind(&customers, size.addresses_of_one).await?;
    // An output and its change burn half of their hours with each payout: the usual ones last for 70 000.
    for _ in 0..REFILLS {
        sandbox.client.post("/skycoin/refill", &json!({ "outputs": 400, "coins": "100", "hours": HOURS })).await?;
    }
    let mut settled = 0;
    for blocks in addresses.chunks(BLOCK * BLOCKS_AHEAD) {
        for block in blocks.chunks(BLOCK) {
            filler.pay(sandbox, block, "0.002").await?;
        }
        settled += blocks.len();
        filler.settled(settled, 0).await?;
    }
    if size.held > 0 {
        filler.pay(sandbox, &addresses[..size.held], "0.00005").await?;
        filler.settled(size.finished, size.held as u64).await?;
    }
    filler.tree.shutdown(Duration::from_secs(30)).await;
    Ok(Filled { customers })
}

/// A customer for each address to be bound, in the order of the binds.
fn customers(size: Size) -> Vec<String> {
    let others = (size.finished - size.addresses_of_one) / ADDRESSES_EACH;
    (0..=others).map(target).collect()
}

/// The desk that fills the folder.
struct Filler {
    tree: Tree,
    store: Store,
    views: Views,
    binder: Door<BindRequest>,
}

impl Filler {
    fn start(data_dir: &Path, sandbox: &Sandbox) -> anyhow::Result<Self> {
        let clock = Arc::new(SystemClock);
        let tree = Tree::new(Registry::new(clock.clone()), 1);
        let (store, head_file) = kept_log::start(&tree, data_dir)?;
        let views = Views::new(&data_dir.join("views.db"));
        projection::start(&tree, store.clone(), views.clone())?;
        let deposits = Deposits::new(store.clone());
        let bitcoin = &sandbox.info.bitcoin;
        let network = bitcoin::Network::Regtest;
        let source = Arc::new(AddressSource::account(AccountKey::parse(&bitcoin.xpub.to_string(), network)?));
        let switches = watch::Sender::new(Desk::default()).subscribe();
        let settings = binder::Settings {
            source: source.clone(),
            addresses_max_per_target: u64::MAX,
            low_pool: 0,
            switches,
            head_file,
        };
        let binder = binder::start(&tree, settings, store.clone())?;
        let settings = BitcoinSettings {
            url: bitcoin.url.clone(),
            user: bitcoin.user.clone(),
            password: bitcoin.password.clone(),
        };
        let node = Arc::new(HttpBitcoinNode::new(settings)?);
        let settings = scanner::Settings {
            network,
            start: Start::Tip,
            poll: POLL,
            confirmations: 1,
            source,
            mempool: Mempool::PassedOver,
            // All blocks of this chain are younger.
            began: DateTime::UNIX_EPOCH,
        };
        scanner::start(&tree, settings, node, Arc::new(TimeOrderedIds(clock)), deposits.clone())?;
        pay_out(&tree, deposits, sandbox)?;
        Ok(Self { tree, store, views, binder })
    }

    /// Gives each customer his addresses.
    async fn bind(&self, customers: &[String], addresses_of_one: usize) -> anyhow::Result<Vec<String>> {
        let (one, others) = customers.split_at(1);
        let wanted = std::iter::repeat_n(&one[0], addresses_of_one)
            .chain(others.iter().flat_map(|target| std::iter::repeat_n(target, ADDRESSES_EACH)));
        let binds = iter(wanted).map(|target| async move {
            let bind = Bind {
                target: target.clone(),
                method: Method::Direct,
                command_id: TimeOrderedIds(Arc::new(SystemClock)).command_id(),
            };
            let bound = self.binder.call(|reply| BindRequest { bind, reply }, Duration::from_secs(30)).await??;
            anyhow::Ok(bound.address)
        });
        binds.buffered(BINDS_AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
    }

    /// A block in which each address is paid once.
    async fn pay(&self, sandbox: &Sandbox, addresses: &[String], amount: &str) -> anyhow::Result<()> {
        let payments: Vec<_> =
            addresses.iter().map(|address| json!({ "address": address, "amount": amount })).collect();
        sandbox.client.post("/pay/many", &json!({ "payments": payments })).await?;
        sandbox.client.post("/mine", &json!({})).await?;
        Ok(())
    }

    /// Waits until so many deposits are paid out and so many held, and the views show all there is.
    async fn settled(&self, paid: usize, held: u64) -> anyhow::Result<()> {
        let settled = async {
            let mut bell = self.store.bell();
            loop {
                let head = self.store.head();
                self.views.caught_up(head, SETTLED_WITHIN).await;
                let counts = self.views.counts_now();
                let count = |status: &str| counts.iter().find(|(known, _)| known == status).map_or(0, |(_, n)| *n);
                if count("done") == paid as u64 && count("held") == held && self.store.head() == head {
                    return anyhow::Ok(());
                }
                bell.changed().await?;
            }
        };
        match tokio::time::timeout(SETTLED_WITHIN, settled).await {
            Ok(settled) => settled,
            Err(_) => bail!(
                "{paid} done and {held} held were expected, not {:?}; the open ones: {:?}; parts: {:?}",
                self.views.counts_now(),
                self.stories()?,
                self.tree.health().snapshot()
            ),
        }
    }

    /// What happened to a few of the deposits that are open.
    fn stories(&self) -> anyhow::Result<Vec<String>> {
        let (_, events) = self.store.reader()?.open_streams(Category::Deposit)?;
        let streams = events.chunk_by(|one, next| one.stream == next.stream).take(3);
        Ok(streams
            .map(|events| {
                let kinds = events.iter().map(|recorded| format!("{}@{}", recorded.event.kind(), recorded.position));
                format!("{}: {}", events[0].stream, kinds.collect::<Vec<_>>().join(" "))
            })
            .collect())
    }
}

/// The parts that sell from stock and pay out.
fn pay_out(tree: &Tree, deposits: Deposits, sandbox: &Sandbox) -> anyhow::Result<()> {
    let skycoin = &sandbox.info.skycoin;
    let node = Arc::new(HttpSkycoinNode::new(&skycoin.url, &skycoin.wallet_id, Broadcast::Quiet)?);
    let terms = DecisionTerms {
        terms: Terms::Direct { rate: "500".parse()? },
        minimum: "0.0001".parse()?,
        maximum: "10".parse()?,
        payout: PayoutTerms { decimals: 3, maximum: Amount::MAX },
    };
    decider::start(tree, deposits.clone(), Arc::new(move |_| Some(terms.clone())))?;
    let settings = sender::Settings {
        wallet_id: skycoin.wallet_id.clone(),
        password: None,
        confirmations: 1,
        poll: POLL,
        resend_after: Duration::from_secs(60),
        outer: Arc::new(|_| None),
        stock: Stock::unwatched(),
        limits: Limits::default(),
        clock: Arc::new(SystemClock),
        execution: Execution::Thread,
    };
    Ok(sender::start(tree, deposits, node, settings)?)
}
