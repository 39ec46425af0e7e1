//! `pipeline_direct`: from a block with deposits to their confirmed payouts, through the real actors, store and protocols
//! with ports answered in memory. `bind_rate`: addresses given out, durably, to 64 clients at once.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Network, ScriptBuf};
use chrono::DateTime;
use millrace_actors::binder::{self, AddressSource, Bind, BindRequest, Bound};
use millrace_actors::clock::SystemClock;
use millrace_actors::deposits::Deposits;
use millrace_actors::door::Door;
use millrace_actors::event_store::{Execution, Store};
use millrace_actors::ids::TimeOrderedIds;
use millrace_actors::projection::{self, Views};
use millrace_actors::scanner::{self, Mempool};
use millrace_actors::stock::Stock;
use millrace_actors::supervision::{Registry, Tree};
use millrace_actors::{decider, sender};
use millrace_model::deposit::{DecisionTerms, Event as DepositEvent, Method, PayoutTerms, Terms};
use millrace_model::desk::Desk;
use millrace_model::event::Event;
use millrace_model::ids::{Position, StreamName};
use millrace_model::money::Amount;
use millrace_model::outflow::Limits;
use millrace_protocols::chain_watch::Start;
use millrace_protocols::receive::AccountKey;
use tokio::sync::watch;

use super::outside::{Chain, Wallet};
use super::{Figure, kept_log};

/// An account key of nobody's (BIP84's test vector).
const ACCOUNT: &str =
    "tpubDC8msFGeGuwnKG9Upg7DM2b4DaRqg3CUZa5g8v2SRQ6K4NSkxUgd7HsL2XVWbVm39yBA4LAxysQAm397zwQSQoQgewGiYZqrA9DsP4zbQ1M";
const TARGET: &str = "2GgFvqoyk9RjwVzj8tqfcXVXB4orBwoc9qv";
/// What each deposit is paid: 0.01 BTC at 500 SKY a bitcoin.
const PAYOUT: &str = "5";
pub(super) const ADDRESSES: usize = 500;
const BLOCKS: u32 = 40;
/// Deposits one after the other, for the latency of an unloaded desk.
const SINGLE: u32 = 200;
const POLL: Duration = Duration::from_millis(1);
/// After its first block the desk sees that there is no other.
const AT_TIP_WITHIN: Duration = Duration::from_millis(100);
/// What the payments of the first measured block are kept apart by.
pub(super) const FIRST: u32 = 2;

pub(super) fn direct() -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir()?;
        let desk = Running::start(folder.path(), 30_000)?;
        let scripts = desk.bind_all().await?;
        let mut paid = desk.begin(&scripts[..1]).await?;
        let deposits = ADDRESSES * BLOCKS as usize;
        let rate = desk.rate(&scripts, FIRST..FIRST + BLOCKS, &mut paid).await?;
        let p99_ms = desk.unloaded_p99_ms(&scripts[..1]).await?;
        ensure!(
            desk.wallet.payouts() == 1 + deposits + SINGLE as usize,
            "the wallet made {} payouts",
            desk.wallet.payouts()
        );
        desk.tree.shutdown(Duration::from_secs(5)).await;
        Ok(vec![Figure {
            name: "pipeline_direct",
            value: rate,
            unit: "deposits/s",
            note: format!(
                "{deposits} deposits in {BLOCKS} blocks, durable, one payout each, signed \
                 beforehand by the wallet and checked by the desk; unloaded p99 {p99_ms:.1} ms"
            ),
        }])
    })
}

pub(super) fn bind() -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir()?;
        let desk = Running::start(folder.path(), 1)?;
        let empty = desk.bind_rate(20_000).await?;
        desk.bind_rate(80_000).await?;
        let full = desk.bind_rate(20_000).await?;
        desk.tree.shutdown(Duration::from_secs(5)).await;
        let figure = |name, value, note: &str| Figure { name, value, unit: "binds/s", note: note.to_owned() };
        Ok(vec![
            figure("bind_rate", empty, "64 clients at the binder's door, durable, empty desk"),
            figure("bind_rate_100k", full, "the same with 100 000 bound"),
        ])
    })
}

/// A desk in this process.
pub(super) struct Running {
    pub(super) tree: Tree,
    pub(super) store: Store,
    pub(super) views: Views,
    binder: Door<BindRequest>,
    chain: Arc<Chain>,
    pub(super) wallet: Arc<Wallet>,
}

/// How many payouts are confirmed, and up to where the log was looked at for them.
#[derive(Debug, Default)]
pub(super) struct Paid {
    deposits: usize,
    position: Position,
}

impl Running {
    pub(super) fn start(folder: &Path, outputs: u32) -> anyhow::Result<Self> {
        let clock = Arc::new(SystemClock);
        let tree = Tree::new(Registry::new(clock.clone()), 1);
        let folder = folder.join("data");
        std::fs::create_dir(&folder)?;
        let (store, head_file) = kept_log::start(&tree, &folder)?;
        let views = Views::new(&folder.join("views.db"));
        projection::start(&tree, store.clone(), views.clone())?;
        let deposits = Deposits::new(store.clone());
        let source = Arc::new(AddressSource::account(AccountKey::parse(ACCOUNT, Network::Regtest)?));
        let switches = watch::Sender::new(Desk::default()).subscribe();
        let settings = binder::Settings {
            source: source.clone(),
            addresses_max_per_target: u64::MAX,
            low_pool: 0,
            switches,
            head_file,
        };
        let binder = binder::start(&tree, settings, store.clone())?;
        let (chain, wallet) =
            (Arc::new(Chain::new()), Arc::new(Wallet::new(outputs).sign_beforehand(TARGET.parse()?, PAYOUT.parse()?)));
        let settings = scanner::Settings {
            network: Network::Regtest,
            start: Start::Tip,
            poll: POLL,
            confirmations: 1,
            source,
            mempool: Mempool::PassedOver,
            // All blocks of this chain are younger.
            began: DateTime::UNIX_EPOCH,
        };
        scanner::start(&tree, settings, chain.clone(), Arc::new(TimeOrderedIds(clock)), deposits.clone())?;
        let terms = DecisionTerms {
            terms: Terms::Direct { rate: "500".parse()? },
            minimum: "0.0001".parse()?,
            maximum: "10".parse()?,
            payout: PayoutTerms { decimals: 3, maximum: Amount::MAX },
        };
        decider::start(&tree, deposits.clone(), Arc::new(move |_| Some(terms.clone())))?;
        let settings = sender::Settings {
            wallet_id: "hot.wlt".to_owned(),
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
        sender::start(&tree, deposits, wallet.clone(), settings)?;
        Ok(Self { tree, store, views, binder, chain, wallet })
    }

    pub(super) async fn bind_all(&self) -> anyhow::Result<Vec<ScriptBuf>> {
        let binds = (0..ADDRESSES).map(|_| self.bind(TARGET.to_owned()));
        let bound = futures::future::try_join_all(binds).await?;
        bound
            .iter()
            .map(|bound| {
                let address: Address<NetworkUnchecked> = bound.address.parse()?;
                Ok(address.require_network(Network::Regtest)?.script_pubkey())
            })
            .collect()
    }

    async fn bind(&self, target: String) -> anyhow::Result<Bound> {
        let bind =
            Bind { target, method: Method::Direct, command_id: TimeOrderedIds(Arc::new(SystemClock)).command_id() };
        Ok(self.binder.call(|reply| BindRequest { bind, reply }, Duration::from_secs(30)).await??)
    }

    async fn bind_rate(&self, binds: usize) -> anyhow::Result<f64> {
        let begin = Instant::now();
        let clients = (0..64).map(|client| async move {
            for _ in 0..binds / 64 {
                self.bind(format!("{TARGET}{client}")).await?;
            }
            anyhow::Ok(())
        });
        futures::future::try_join_all(clients).await?;
        Ok(binds as f64 / begin.elapsed().as_secs_f64())
    }

    /// Has one deposit paid out in a block after the first tip: what was mined before the desk began would be looked for in
    /// the wallet's history.
    pub(super) async fn begin(&self, script: &[ScriptBuf]) -> anyhow::Result<Paid> {
        let mut bell = self.store.bell();
        let reader = self.store.reader()?;
        while reader.stream(&StreamName::Chain, 0)?.is_empty() {
            tokio::time::timeout(Duration::from_secs(30), bell.changed()).await??;
        }
        tokio::time::sleep(AT_TIP_WITHIN).await;
        self.chain.mine(script, FIRST - 1);
        let mut paid = Paid::default();
        self.until_paid(&mut paid, 1).await?;
        Ok(paid)
    }

    /// Deposits a second, from blocks of one for each script to the payouts of all.
    pub(super) async fn rate(&self, scripts: &[ScriptBuf], blocks: Range<u32>, paid: &mut Paid) -> anyhow::Result<f64> {
        let deposits = scripts.len() * blocks.len();
        let begin = Instant::now();
        for block in blocks {
            self.chain.mine(scripts, block);
        }
        self.until_paid(paid, paid.deposits + deposits).await?;
        Ok(deposits as f64 / begin.elapsed().as_secs_f64())
    }

    /// Waits until so many payouts are confirmed, by the log.
    async fn until_paid(&self, paid: &mut Paid, deposits: usize) -> anyhow::Result<()> {
        let mut bell = self.store.bell();
        while paid.deposits < deposits {
            while paid.position < self.store.head() {
                let page = self.store.after(paid.position, 4_096)?;
                let Some(last) = page.last() else { break };
                let done = |event: &Event| matches!(event, Event::Deposit(DepositEvent::Confirmed(_)));
                paid.deposits += page.events().filter(|recorded| done(&recorded.event)).count();
                paid.position = last;
                tokio::task::yield_now().await;
            }
            if paid.deposits < deposits {
                tokio::time::timeout(Duration::from_secs(30), bell.changed()).await??;
            }
        }
        Ok(())
    }

    async fn unloaded_p99_ms(&self, script: &[ScriptBuf]) -> anyhow::Result<f64> {
        let mut latencies_ms = Vec::new();
        let mut bell = self.store.bell();
        let already = self.wallet.payouts();
        for number in 0..SINGLE {
            let begin = Instant::now();
            self.chain.mine(script, FIRST + BLOCKS + number);
            while self.wallet.payouts() < already + number as usize + 1 {
                bell.changed().await?;
            }
            latencies_ms.push(begin.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        latencies_ms.sort_by(f64::total_cmp);
        Ok(latencies_ms[latencies_ms.len() * 99 / 100])
    }
}
