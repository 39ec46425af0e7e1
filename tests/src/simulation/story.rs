//! One desk's life: payments, blocks, mishaps and crashes as the seed draws them, then peace, then judgement.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bitcoin::{Network, ScriptBuf};
use chrono::TimeDelta;
use millrace_actors::event_store::{Reader, Verified};
use millrace_model::deposit::{HoldReason, Outcome, Sighting, Stage};
use millrace_protocols::receive::parse_address;
use rand::Rng;
use rand::rngs::SmallRng;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::World;
use super::desk::{CONFIRMATIONS, Desk};
use crate::desk::fresh_target;
use crate::judge::{Account, Judgement, judge};
use crate::seed::chance;

const CUSTOMERS: u8 = 4;
/// Things that happen before peace.
const CHAPTERS: u32 = 80;
/// After so long without trouble everything must have come to its end.
const PEACE: Duration = Duration::from_secs(900);
/// How long it takes to restore a backup, at least.
const RESTORED_AFTER: Duration = Duration::from_secs(20);
/// How soon a crash comes at the latest, once it is decided.
const CRASH_WITHIN: Duration = Duration::from_secs(20);

/// How a story ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The log's last word: the same for the same seed.
    pub verified: Verified,
    /// How often the desk crashed.
    pub crashes: u32,
    /// How often its log was lost besides, and restored from a backup.
    pub restored: u32,
    /// How many deposits there were, by how they ended.
    pub endings: BTreeMap<String, usize>,
    /// How many orders the exchange took.
    pub orders: usize,
}

/// Tells the story of this seed.
pub async fn tell(seed: u64) -> Result<Ending> {
    let mut story = Story::begin(seed).await?;
    story.bind_all().await?;
    let per_mille = story.chance.random_range(0..150);
    story.world.turn_foul(per_mille);
    for _ in 0..CHAPTERS {
        let pause_ms = story.chance.random_range(0..3_000);
        sleep(Duration::from_millis(pause_ms)).await;
        story.go_on().await?;
    }
    story.world.turn_fair()?;
    story.come_to_rest().await?;
    story.end().await
}

struct Story {
    chance: SmallRng,
    world: World,
    folder: TempDir,
    desk: Desk,
    /// Our addresses' scripts, by whom they were bound to.
    scripts: Vec<ScriptBuf>,
    disaster: Disaster,
    crashes: u32,
    restored: u32,
}

/// What may become of the log in a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disaster {
    /// Nothing.
    None,
    /// It is lost, and the last backup takes its place.
    LogLost,
}

impl Story {
    async fn begin(seed: u64) -> Result<Self> {
        let (world, folder) = (World::new(seed)?, tempfile::tempdir()?);
        let desk = Desk::start(&folder.path().join("log.db"), &world).await?;
        let mut chance = chance(seed, "story");
        let disaster = if chance.random_ratio(1, 2) { Disaster::LogLost } else { Disaster::None };
        // What a lost log decided is decided in the same way again; otherwise what was bought might be sold from stock.
        world.buys.store(chance.random_ratio(2, 3), Ordering::Relaxed);
        Ok(Self { chance, world, folder, desk, scripts: Vec::new(), disaster, crashes: 0, restored: 0 })
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log.db")
    }

    async fn bind_all(&mut self) -> Result<()> {
        self.desk.follows_the_chain().await?;
        for customer in 0..CUSTOMERS {
            let address = self.desk.bind(&fresh_target(10 + customer), 1).await?;
            self.scripts.push(parse_address(&address, Network::Regtest)?.script_pubkey());
        }
        Ok(())
    }

    /// The next thing that happens.
    async fn go_on(&mut self) -> Result<()> {
        let chance = &mut self.chance;
        self.world.venue.step();
        match chance.random_range(0..100) {
            0..15 => self.pay(),
            15..45 => self.world.bitcoin.mine(Some(chance)),
            45..70 => self.world.skycoin.mine(),
            70..74 => self.world.skycoin.forget(chance),
            74..77 => self.world.skycoin.reorganise(chance),
            77..81 => {
                // No deeper than what the desk waits for: what it acted upon stays.
                let depth = chance.random_range(1..CONFIRMATIONS as usize);
                self.world.bitcoin.reorganise(depth, chance);
            }
            81..83 => self.world.bitcoin.double_spend(),
            83..85 => self.world.bitcoin.evict(),
            85..87 => self.world.bitcoin.send_again(),
            87..89 => match self.disaster {
                Disaster::None => self.world.buys.store(chance.random_ratio(2, 3), Ordering::Relaxed),
                Disaster::LogLost => self.back_up()?,
            },
            89..91 => self.world.clock.set_wrong_by(TimeDelta::minutes(chance.random_range(-60..60))),
            91..93 => self.world.clock.set_wrong_by(TimeDelta::zero()),
            _ => return self.crash().await,
        }
        Ok(())
    }

    fn pay(&mut self) {
        let script = &self.scripts[self.chance.random_range(0..self.scripts.len())];
        // A few are too small to deal in.
        let satoshis = self.chance.random_range(80_000..6_000_000);
        self.world.bitcoin.pay(script, satoshis);
    }

    /// The desk dies at some point of its work (a request just sent, one just carried out, or events just committed), and
    /// after a while lives again.
    async fn crash(&mut self) -> Result<()> {
        let steps = self.chance.random_range(0..12);
        let mut passed = self.world.wire.passed();
        let mut bell = self.desk.store.bell();
        let (until_passed, until_head) = (*passed.borrow() + steps, bell.head() + steps);
        let far_enough = async { while bell.head() < until_head && bell.changed().await.is_ok() {} };
        // Nothing of the kind may happen for a long time; it dies then too.
        let _ = match self.chance.random_ratio(1, 2) {
            true => timeout(CRASH_WITHIN, passed.wait_for(|now| *now >= until_passed)).await.map(|_| ()),
            false => timeout(CRASH_WITHIN, far_enough).await,
        };
        let down = Duration::from_millis(self.chance.random_range(0..5_000));
        self.desk.crash().await;
        sleep(down).await;
        if self.backup().exists() && self.chance.random_ratio(1, 3) {
            self.restore().await?;
        }
        self.desk = Desk::start(&self.log(), &self.world).await?;
        self.crashes += 1;
        Ok(())
    }

    fn backup(&self) -> PathBuf {
        self.folder.path().join("backup.db")
    }

    fn back_up(&self) -> Result<()> {
        let backup = self.backup();
        if backup.exists() {
            std::fs::remove_file(&backup)?;
        }
        Ok(self.desk.store.back_up(&backup)?)
    }

    /// The log is gone, and what it knew since the last backup with it.
    async fn restore(&mut self) -> Result<()> {
        // Nobody is so quick that what was on its way when the desk died is still on its way.
        sleep(RESTORED_AFTER).await;
        for name in ["log.db", "log.db-wal", "log.db-shm"] {
            let file = self.folder.path().join(name);
            if file.exists() {
                std::fs::remove_file(file)?;
            }
        }
        std::fs::copy(self.backup(), self.log())?;
        self.restored += 1;
        Ok(())
    }

    /// Blocks come, nothing goes wrong, and everything has to come to its end.
    async fn come_to_rest(&mut self) -> Result<()> {
        let rests = async {
            loop {
                for _ in 0..4 {
                    self.world.bitcoin.mine(None);
                    self.world.skycoin.mine();
                    self.world.venue.step();
                    sleep(Duration::from_secs(2)).await;
                }
                if self.unsettled()?.is_empty() {
                    return anyhow::Ok(());
                }
            }
        };
        match timeout(PEACE, rests).await {
            Ok(rests) => rests,
            Err(_) => bail!("still open: {:#?}\nthe desk: {}", self.unsettled()?, self.desk.health()),
        }
    }

    fn judged(&self) -> Result<Judgement> {
        judge(&Reader::open(&self.log())?, &self.world.books())
    }

    /// What is open: a payment without a deposit, or a deposit that neither ended nor is held for a reason.
    fn unsettled(&self) -> Result<Vec<String>> {
        let accounts = match self.judged() {
            Ok(judgement) => judgement.accounts,
            // A log that was restored has to find out first.
            Err(error) if self.restored > 0 => return Ok(vec![format!("{error:#}")]),
            Err(error) => return Err(error),
        };
        let mut open: Vec<String> = Vec::new();
        for (txid, index, satoshis) in self.world.bitcoin.paid_to(|script| self.scripts.contains(script)) {
            let is_known = |account: &&Account| {
                let receipt = &account.deposit.receipt;
                receipt.outpoint.to_string() == format!("{txid}:{index}") && receipt.amount.units() == satoshis
            };
            if accounts.values().filter(is_known).count() != 1 {
                open.push(format!("{txid}:{index} of {satoshis} has not exactly one deposit"));
            }
        }
        let is_open = |account: &&Account| ending(account).is_none();
        open.extend(accounts.values().filter(is_open).map(|account| format!("{:?}", account.deposit)));
        Ok(open)
    }

    async fn end(self) -> Result<Ending> {
        let paid_outside = self.world.bitcoin.paid_to(|script| self.scripts.contains(script));
        let judgement = self.judged()?;
        let log = self.log();
        self.desk.crash().await;
        let verified = Reader::open(&log)?.verify()?;
        let mut endings: BTreeMap<String, usize> = BTreeMap::new();
        for account in judgement.accounts.values() {
            let ending = ending(account).context("everything is at rest")?;
            let outpoint = account.deposit.receipt.outpoint.to_string();
            let is_there = paid_outside.iter().any(|(txid, index, _)| format!("{txid}:{index}") == outpoint);
            let vanished = account.deposit.stage == Stage::Done(Outcome::Vanished);
            ensure!(is_there != vanished, "{outpoint} ended as {ending}, and in the chain it is: {is_there}");
            *endings.entry(ending).or_default() += 1;
        }
        let orders = self.world.venue.orders().len();
        Ok(Ending { verified, crashes: self.crashes, restored: self.restored, endings, orders })
    }
}

/// How a deposit ended, or for what reason it is held; `None` while it is under way.
fn ending(account: &Account) -> Option<String> {
    let deposit = &account.deposit;
    match &deposit.stage {
        Stage::Done(Outcome::Paid) => Some("paid".to_owned()),
        Stage::Done(Outcome::Vanished) if deposit.sighting == Sighting::Vanished => Some("vanished".to_owned()),
        Stage::Held { reason, .. } => {
            let order_is_open = deposit.purchase.as_ref().is_some_and(|purchase| purchase.open_order().is_some());
            let is_expected = match reason {
                // The last: after a log was lost, paying this customer more than once is a matter for a person.
                HoldReason::BelowMinimum | HoldReason::NothingToSend | HoldReason::PaidBefore { .. } => true,
                // What was ordered is seen to its end all the same.
                HoldReason::PurchaseStopped => !order_is_open,
                HoldReason::AboveMaximum
                | HoldReason::DepositOrphaned
                | HoldReason::CoinsSeenBefore { .. }
                | HoldReason::PayoutAboveMaximum
                | HoldReason::OrderUnaccounted
                | HoldReason::PayoutTooManyInputs
                | HoldReason::InvalidTarget
                | HoldReason::WalletMisbehaved
                | HoldReason::Operator { .. } => false,
            };
            is_expected.then(|| format!("held: {reason:?}"))
        }
        _ => None,
    }
}
