//! One desk's life: payments, blocks, mishaps and crashes as the seed draws them, then peace, then judgement.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bitcoin::{Network, ScriptBuf};
use chrono::TimeDelta;
use millrace_actors::clock::Clock;
use millrace_actors::event_store::Reader;
use millrace_protocols::receive::parse_address;
use rand::Rng;
use rand::rngs::SmallRng;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::desk::{CONFIRMATIONS, Desk, PAYOUT_CONFIRMATIONS};
use super::rest::Ending;
use super::{World, depth, voids};
use crate::desk::fresh_target;
use crate::judge::judge_amid;
use crate::seed::chance;

const CUSTOMERS: u8 = 3;
/// Things that happen before peace: at least, at most. A short life finds what a long one finds, and many of them more.
const CHAPTERS: (u32, u32) = (5, 45);
/// How long it takes to restore a backup, at least.
const RESTORED_AFTER: Duration = Duration::from_secs(20);
/// How soon a crash comes at the latest, once it is decided.
const CRASH_WITHIN: Duration = Duration::from_secs(20);
/// Memory that looks like a folder, where there is any: the log's settings are the real ones, and a flush costs nothing.
const MEMORY: &str = "/dev/shm";

/// Tells the story of this seed.
pub async fn tell(seed: u64) -> Result<Ending> {
    let mut story = Story::begin(seed).await?;
    story.bind_all().await?;
    story.live_in_trouble().await.context("while things went wrong")?;
    story.world.turn_fair()?;
    story.let_it_go_on().await?;
    story.come_to_rest().await.context("after everything worked again")
}

pub(super) struct Story {
    chance: SmallRng,
    pub(super) world: World,
    folder: TempDir,
    pub(super) desk: Desk,
    /// Our addresses' scripts, by whom they were bound to.
    pub(super) scripts: Vec<ScriptBuf>,
    disaster: Disaster,
    pub(super) crashes: u32,
    pub(super) restored: u32,
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
        let mut world = World::new(seed)?;
        let folder = match Path::new(MEMORY).is_dir() {
            true => tempfile::tempdir_in(MEMORY)?,
            false => tempfile::tempdir()?,
        };
        let log = folder.path().join("log.db");
        if let Some(past) = &mut world.past {
            past.begin(&log, world.clock.now())?;
        }
        let desk = Desk::start(&log, &world).await?;
        let mut chance = chance(seed, "story");
        let disaster = if chance.random_ratio(1, 2) { Disaster::LogLost } else { Disaster::None };
        // What a lost log decided is decided in the same way again; otherwise what was bought might be sold from stock.
        world.buys.store(chance.random_ratio(2, 3), Ordering::Relaxed);
        Ok(Self { chance, world, folder, desk, scripts: Vec::new(), disaster, crashes: 0, restored: 0 })
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join("log.db")
    }

    async fn bind_all(&mut self) -> Result<()> {
        self.desk.follows_the_chain().await?;
        for customer in 0..CUSTOMERS {
            let address = self.desk.bind(&fresh_target(10 + customer), 1).await?;
            self.scripts.push(parse_address(&address, Network::Regtest)?.script_pubkey());
        }
        self.ask_again().await?;
        self.back_up_early()
    }

    /// A customer who asks again, as for want of an answer, has the address that he had.
    pub(super) async fn ask_again(&self) -> Result<()> {
        for (customer, script) in (0..).zip(&self.scripts) {
            let address = self.desk.bind(&fresh_target(10 + customer), 1).await?;
            let again = parse_address(&address, Network::Regtest)?.script_pubkey();
            ensure!(again == *script, "a customer asked again and was given another address, {address}");
        }
        Ok(())
    }

    fn back_up_early(&self) -> Result<()> {
        // A backup from before the first deposit knows the least.
        let is_backed_up = self.disaster == Disaster::LogLost && chance(self.world.seed, "backup").random_ratio(1, 2);
        if is_backed_up { self.back_up() } else { Ok(()) }
    }

    /// Who was halted is let go.
    async fn let_it_go_on(&self) -> Result<()> {
        while self.world.leaving.is_halted() {
            self.world.leaving.turn(&self.desk.store).await?;
        }
        Ok(())
    }

    /// The first phase: nothing has to be finished, and nothing may ever be wrong.
    async fn live_in_trouble(&mut self) -> Result<()> {
        // What follows from an answer that was lost is seldom seen where few are.
        let worst = if chance(self.world.seed, "weather").random_ratio(1, 4) { 600 } else { 150 };
        let per_mille = self.chance.random_range(0..worst);
        self.world.turn_foul(per_mille);
        for _ in 0..self.chance.random_range(CHAPTERS.0..=CHAPTERS.1) {
            let pause_ms = self.chance.random_range(0..3_000);
            sleep(Duration::from_millis(pause_ms)).await;
            self.go_on().await?;
        }
        self.is_safe()
    }

    /// The next thing that happens.
    async fn go_on(&mut self) -> Result<()> {
        let chance = &mut self.chance;
        self.world.venue.step();
        match chance.random_range(0..100) {
            0..16 => self.pay(),
            16..40 => self.world.bitcoin.mine(Some(chance)),
            40..62 => self.world.skycoin.mine(),
            62..66 => self.world.skycoin.forget(chance),
            66..72 => {
                // Deeper than what was final, now and then.
                let deepest = if chance.random_ratio(1, 2) { PAYOUT_CONFIRMATIONS as usize + 2 } else { 1 };
                let depth = chance.random_range(1..=deepest);
                self.world.skycoin.reorganise(depth, chance);
            }
            72..76 => {
                // No deeper than what the desk waits for: what it acted upon stays.
                let depth = chance.random_range(1..CONFIRMATIONS as usize);
                self.world.bitcoin.reorganise(depth, chance);
            }
            76..78 => self.world.bitcoin.double_spend(),
            78..80 => self.world.bitcoin.evict(),
            80..82 => self.world.bitcoin.send_again(),
            82..86 => match self.disaster {
                Disaster::None => self.world.buys.store(chance.random_ratio(2, 3), Ordering::Relaxed),
                Disaster::LogLost => self.back_up()?,
            },
            86..88 => self.world.set_clock(TimeDelta::minutes(chance.random_range(-60..60))),
            88 => self.world.set_clock(TimeDelta::zero()),
            89 => self.world.leaving.turn(&self.desk.store).await?,
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
        self.is_safe()?;
        sleep(down).await;
        if self.backup().exists() && self.chance.random_ratio(1, 3) {
            self.restore().await?;
        }
        let log = self.log();
        if let Some(past) = &mut self.world.past {
            past.go_on(&log, self.world.clock.now())?;
        }
        self.desk = Desk::start(&log, &self.world).await?;
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

    /// Whether all that must hold at every moment holds now. A log that was restored has to find out first what it has
    /// forgotten; it is judged at its end.
    pub(super) fn is_safe(&self) -> Result<()> {
        self.world.leaving.was_right()?;
        let log = Reader::open(&self.log())?;
        depth::was_waited_for(&log)?;
        voids::had_a_reason(&log, &self.world.skycoin)?;
        if self.restored > 0 {
            return Ok(());
        }
        judge_amid(&log, &self.world.books())
    }
}
