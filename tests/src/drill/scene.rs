//! The desk, what it deals with, and who pays in and looks on.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use millrace_actors::event_store::Reader;
use millrace_daemon::sandbox::client::Client as SandboxClient;
use millrace_model::event::Event;
use millrace_model::ids::Position;
use millrace_model::money::{Amount, Btc};
use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Builder;

use super::page::Page;
use super::plan::{Kind, Plan};
use super::proxy::{Manner, Proxy};
use super::report::Report;
use super::tools::{Disk, Tools};
use crate::bench::customers::ADDRESSES_EACH;
use crate::bench::full_desk::fill::{Size, fill};
use crate::desk::{Desk, fresh_target};
use crate::judge::{Judgement, Outside, is_paid, judge, judge_amid};
use crate::operator::OperatorApi;
use crate::sandbox::{Sandbox, Timing};
use crate::seed;
use crate::world::settings_of;

/// Everybody has one address.
const CUSTOMERS: u8 = 24;
/// So many deposits may be under way: with more, a desk that is killed all the time only falls behind.
const OPEN_MAX: u64 = 12;
/// A deposit that is sold from stock takes about as long, so that troubles meet every moment of its life.
const LIFE_MS: u64 = 500;
/// Connections of a thousand that come to grief between other troubles.
const UNSOUND_PER_MILLE: u32 = 30;
/// The back-off of a part that failed again and again is half a minute.
pub(super) const AT_REST_WITHIN: Duration = Duration::from_secs(150);
const PROGRESS_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Events of a deposit that is sold from stock, its address and its blocks.
const EVENTS_EACH: usize = 13;
/// What SQLite says of a disk that fails.
const DISK_ERRORS: [&str; 3] = ["disk is full", "disk I/O error", "disk image is malformed"];
/// Where the desk is told how to come by the coins.
const METHOD: &str = "MILLRACE_DESK__METHOD";
/// Where it is told how old a part of the log has to be to be sealed.
const SEAL_AFTER: &str = "MILLRACE_DESK__SEAL_AFTER_HOURS";
/// The first desk seals nothing, so that all that is sealed is sealed amid troubles; each other one as it is drawn.
const NEVER: &str = "87600";
const AT_ONCE: &str = "0";
const DISK_MIB: u32 = 192;
const DISK_MIB_FILLED: u32 = 1_536;
const TIMING: Timing = Timing { bitcoin_block_ms: 100, skycoin_block_ms: 100, market_step_ms: 1_000 };

/// What is there before the desk: its folder, its disk, the sandbox, and the past.
#[derive(Debug)]
pub(super) struct Ground {
    folder: TempDir,
    /// Holds the disk's image and the sandbox.
    beside: TempDir,
    disk: Option<Disk>,
    sandbox: Sandbox,
    deposits: u64,
}

impl Ground {
    /// Makes it. (In a runtime of its own: the actors that fill a log want one with a single thread.)
    pub(super) fn prepare(plan: &Plan, tools: &Tools) -> Result<Self> {
        let (folder, beside) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        let mib = if plan.events > 0 { DISK_MIB_FILLED } else { DISK_MIB };
        let disk = tools.disk.then(|| Disk::mount(&beside.path().join("image"), &data, mib)).transpose()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (mut sandbox, deposits) = runtime.block_on(async {
            let arguments = ["--any-ports", "--peers", "2"];
            let sandbox = Sandbox::start_with(&beside.path().join("sandbox"), TIMING, &arguments).await?;
            let finished = (plan.events / EVENTS_EACH).next_multiple_of(ADDRESSES_EACH);
            if finished > 0 {
                fill(&data, &sandbox, Size { finished, held: 0, addresses_of_one: ADDRESSES_EACH }).await?;
            }
            anyhow::Ok((sandbox, finished as u64))
        })?;
        // The one before has connections in that runtime.
        sandbox.client = SandboxClient::new(&sandbox.info)?;
        Ok(Self { folder, beside, disk, sandbox, deposits })
    }
}

/// Everything.
pub(super) struct Scene {
    pub(super) desk: Desk,
    pub(super) disk: Option<Disk>,
    pub(super) tools: Tools,
    pub(super) proxies: [Proxy; 3],
    pub(super) page: Page,
    pub(super) chance: SmallRng,
    pub(super) report: Report,
    sandbox: Sandbox,
    addresses: Vec<String>,
    /// Deposits that were there before.
    before: u64,
    /// Where the log ended before the first trouble.
    pub(super) events_before: Position,
    paid_in: u64,
    satoshi: u64,
    open: u64,
    beside: TempDir,
}

impl Scene {
    /// Starts the desk and gives the customers their addresses.
    pub(super) async fn begin(plan: &Plan, tools: Tools, ground: Ground) -> Result<Self> {
        let Ground { folder, beside, disk, sandbox, deposits } = ground;
        let mut info = sandbox.info.clone();
        let mut proxies = Vec::new();
        for (name, url) in
            [("bitcoin", &mut info.bitcoin.url), ("skycoin", &mut info.skycoin.url), ("c2cx", &mut info.c2cx.url)]
        {
            let proxy = Proxy::before(url, seed::chance(plan.seed, name)).await?;
            *url = proxy.url();
            proxies.push(proxy);
        }
        let proxies = proxies.try_into().ok().context("there are three")?;
        let settings = settings_of(&info);
        let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // Otherwise thousands of starts fill the disk with lines.
        settings.push(("MILLRACE_DESK__LOG", "warn,millrace_daemon::run=info"));
        let mut chance = seed::chance(plan.seed, "scene");
        settings.extend([(METHOD, some_method(&mut chance)), (SEAL_AFTER, NEVER)]);
        sandbox.client.post("/market/balance", &json!({"btc": "10000", "sky": "0"})).await?;
        let mut scene = Self {
            desk: Desk::launch_in(folder, &settings)?,
            disk,
            tools,
            proxies,
            page: Page::watch(plan.page_within)?,
            chance,
            report: Report::default(),
            sandbox,
            addresses: Vec::new(),
            before: deposits,
            events_before: 0,
            paid_in: 0,
            satoshi: 0,
            open: 0,
            beside,
        };
        for kind in Kind::ALL {
            scene.report.left_out.extend(scene.tools.missing_for(kind).map(|what| format!("{kind} ({what})")));
        }
        scene.desk.ready().await?;
        scene.page.expect(Some(scene.desk.page()));
        for number in 0..CUSTOMERS {
            let address = scene.desk.bind(&fresh_target(100 + number)).await?;
            scene.addresses.push(address);
        }
        scene.events_before = scene.desk.log()?.head()?;
        scene.misbehave();
        Ok(scene)
    }

    pub(super) fn paid_in(&self) -> u64 {
        self.paid_in
    }

    pub(super) fn page_broken(&self) -> Option<String> {
        self.page.broken()
    }

    /// A folder that is none of the desk's.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.beside.path().join(name)
    }

    /// A part of a deposit's life passes, sometimes with a payment at its beginning.
    pub(super) async fn a_while(&mut self) -> Result<()> {
        if let Ok(totals) = self.totals().await {
            self.open = totals.open;
        }
        if self.open < OPEN_MAX {
            self.pay().await?;
        }
        let moment = Duration::from_millis(self.chance.random_range(0..LIFE_MS));
        tokio::time::sleep(moment).await;
        Ok(())
    }

    /// A customer pays.
    pub(super) async fn pay(&mut self) -> Result<()> {
        let customer = self.chance.random_range(0..self.addresses.len());
        let satoshi = self.chance.random_range(500_000..1_000_000);
        let amount: Amount<Btc> = Amount::from_units(satoshi).context("a small amount")?;
        let payment = json!({"address": self.addresses[customer], "amount": amount.to_string()});
        self.sandbox.client.post("/pay", &payment).await?;
        (self.paid_in, self.satoshi, self.open) = (self.paid_in + 1, self.satoshi + satoshi, self.open + 1);
        Ok(())
    }

    /// Peers as they are between other troubles.
    pub(super) fn misbehave(&self) {
        self.proxies.iter().for_each(|proxy| proxy.behave(Manner::Unsound(UNSOUND_PER_MILLE)));
    }

    fn behave(&self) {
        self.proxies.iter().for_each(|proxy| proxy.behave(Manner::Honest));
    }

    /// Starts a desk that is down, to sell from stock or to buy, and waits until its page has to answer.
    pub(super) async fn start(&mut self) -> Result<()> {
        self.start_unseen()?;
        self.up().await
    }

    pub(super) fn start_unseen(&mut self) -> Result<()> {
        self.desk.set(METHOD, Some(some_method(&mut self.chance)));
        self.desk.set(SEAL_AFTER, Some(some_age(&mut self.chance)));
        self.desk.start_again()
    }

    pub(super) async fn up(&mut self) -> Result<()> {
        self.desk.up().await?;
        self.page.expect(Some(self.desk.page()));
        Ok(())
    }

    /// Kills the desk as a whole.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.page.expect(None);
        self.report.kills += 1;
        self.notice();
        self.desk.kill()
    }

    /// Called once in each life of a front, at its end.
    fn notice(&mut self) {
        self.report.kills_amid_sealing += u32::from(self.is_sealed_in_part());
        self.report.bus_errors += self.desk.count_said("SIGBUS");
        self.report.disk_errors += DISK_ERRORS.map(|error| self.desk.count_said(error)).iter().sum::<u32>();
    }

    /// The core's process, as soon as there is one.
    pub(super) async fn core(&self) -> Result<u32> {
        self.desk.until(PROGRESS_WITHIN, "there is a core", async || Ok(self.desk.core().ok())).await
    }

    /// What must hold at every moment, judged while the desk is down.
    pub(super) async fn judge_while_down(&mut self) -> Result<()> {
        let outside = self.outside().await?;
        judge_amid(&self.desk.log()?, &outside).context("judged while the desk was down")?;
        self.report.judged += 1;
        Ok(())
    }

    /// All troubles stop; everybody is paid, once; then they begin again.
    pub(super) async fn rest_and_judge(&mut self) -> Result<()> {
        self.rest().await?;
        let judgement = judge_at_rest_alone(&self.desk.log()?, &self.outside().await?)?;
        self.judged(judgement)?;
        self.misbehave();
        Ok(())
    }

    /// The same once more, with every hash of the log computed anew, once all is sealed that can be.
    pub(super) async fn judge_to_the_last_hash(&mut self) -> Result<()> {
        self.rest().await?;
        self.sealed().await?;
        let outside = self.outside().await?;
        let Judgement { verified, accounts, .. } = judge(&self.desk.log()?, &outside)?;
        (self.report.events, self.report.orders) = (verified.head, outside.orders.len());
        self.judged(accounts.into_values().collect())
    }

    fn judged(&mut self, accounts: Vec<crate::judge::Account>) -> Result<()> {
        let expected = self.before + self.paid_in;
        ensure!(
            accounts.len() as u64 == expected,
            "{} deposits are in the log, {expected} were paid in",
            accounts.len()
        );
        for account in &accounts {
            ensure!(is_paid(&account.deposit), "{account:?}");
        }
        self.report.judged += 1;
        self.report.deposits = self.paid_in;
        Ok(())
    }

    async fn rest(&mut self) -> Result<()> {
        self.behave();
        self.sandbox
            .client
            .post("/skycoin/refill", &json!({"outputs": 20, "coins": "100", "hours": 1_000_000_000}))
            .await?;
        let expected = self.before + self.paid_in;
        let deadline = Instant::now() + AT_REST_WITHIN;
        loop {
            let totals = self.totals().await;
            if totals.as_ref().is_ok_and(|totals| totals.deposits == expected && totals.open == 0) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let open = self.open_deposits().await;
                bail!("{expected} deposits were paid in and do not come to rest: {totals:?}; open: {open:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn totals(&self) -> Result<Totals> {
        let totals = OperatorApi::of(&self.desk)?.get("/totals").await?;
        let number = |name: &str| totals[name].as_u64().with_context(|| format!("{name} in {totals}"));
        Ok(Totals { deposits: number("deposits")?, open: number("open")? })
    }

    /// Whether the desk shows every deposit that was paid in.
    pub(super) async fn knows_all(&self) -> bool {
        self.totals().await.is_ok_and(|totals| totals.deposits == self.before + self.paid_in)
    }

    async fn open_deposits(&self) -> Result<Vec<Value>> {
        let operator = OperatorApi::of(&self.desk)?;
        let shown = operator.get("/deposits?limit=200").await?;
        let deposits = shown["deposits"].as_array().context("a list of deposits")?;
        let parts = operator.get("/parts").await?;
        Ok(deposits.iter().filter(|it| it["status"] != "done").take(5).cloned().chain([parts]).collect())
    }

    /// What the sandbox's books say, without what filled the hot wallet.
    async fn outside(&self) -> Result<Outside> {
        let mut outside = Outside::of_sandbox(&self.sandbox.books().await?)?;
        let hot = self.sandbox.info.skycoin.hot_address.to_string();
        outside.payouts.retain(|payout| payout.target != hot);
        Ok(outside)
    }

    /// From a kill with a fresh deposit to the first event of it or another, with honest peers.
    pub(super) async fn measure_recovery(&mut self, times: u32) -> Result<()> {
        self.behave();
        for _ in 0..times {
            self.pay().await?;
            self.kill()?;
            let log = self.desk.log()?;
            let head = self.report.events_at_recovery.max(head(&log, self.report.events_at_recovery)?);
            self.report.events_at_recovery = head;
            let began = Instant::now();
            self.desk.set(METHOD, Some("direct"));
            self.desk.set(SEAL_AFTER, Some(AT_ONCE));
            self.desk.start_again()?;
            while !progressed(&log, head)? {
                ensure!(began.elapsed() < PROGRESS_WITHIN, "no progress {:?} after a kill", began.elapsed());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            self.report.recoveries.push(began.elapsed());
            self.up().await?;
        }
        self.report.recoveries.sort();
        Ok(())
    }

    /// Copies what the desk has to a folder that stays, with the sandbox's books: for whoever looks for the cause.
    pub(super) async fn keep(&self) -> Result<PathBuf> {
        let kept = tempfile::Builder::new().prefix("millrace-drill-").tempdir()?.keep();
        let data = std::fs::read_dir(self.desk.data_dir())?.map(|entry| Ok(entry?.path()));
        let files: Vec<PathBuf> = data.chain([Ok(self.desk.log_file())]).collect::<Result<_>>()?;
        for file in files.iter().filter(|file| file.is_file()) {
            std::fs::copy(file, kept.join(file.file_name().context("a file has a name")?))?;
        }
        std::fs::write(kept.join("books.json"), self.sandbox.books().await?.to_string())?;
        Ok(kept)
    }

    /// Takes everything down.
    pub(super) fn end(mut self) -> Result<Report> {
        self.report.looks = Some(self.page.looks());
        self.page.expect(None);
        self.notice();
        Ok(std::mem::take(&mut self.report))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // The disk can only be taken down when nobody uses it, and its folder only after it.
        let _ = self.desk.kill();
        self.disk = None;
    }
}

fn some_method(chance: &mut SmallRng) -> &'static str {
    if chance.random_ratio(1, 2) { "direct" } else { "passthrough" }
}

fn some_age(chance: &mut SmallRng) -> &'static str {
    if chance.random_ratio(1, 2) { AT_ONCE } else { NEVER }
}

#[derive(Debug)]
struct Totals {
    deposits: u64,
    open: u64,
}

fn judge_at_rest_alone(log: &Reader, outside: &Outside) -> Result<Vec<crate::judge::Account>> {
    Ok(crate::judge::judge_at_rest(log, outside)?.into_values().collect())
}

/// Where the log ends, which is at `from` or later.
fn head(log: &Reader, mut from: u64) -> Result<u64> {
    while let Some(last) = log.after(from, 4_096)?.last() {
        from = last.position;
    }
    Ok(from)
}

/// Whether anything happened to a deposit after a position.
fn progressed(log: &Reader, head: u64) -> Result<bool> {
    Ok(log.after(head, 64)?.iter().any(|recorded| matches!(recorded.event, Event::Deposit(_))))
}
