//! The troubles, one by one.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::plan::Kind;
use super::proxy::Manner;
use super::scene::Scene;
use super::tools::{Strace, Tools};
use crate::desk::signal;
use crate::peers::http_client;
use crate::process;

/// Where a process is killed: what it writes and flushes, sends, hears, and opens.
const CALLS: [&str; 7] = ["pwrite64", "fsync", "sendto", "write", "writev", "recvfrom", "connect"];
const FLUSHES: &str = "fsync,fdatasync";
const CALLS_BEFORE_MAX: u32 = 40;
/// So long that system call is waited for; a desk that has nothing to do may never come to it.
const CALL_WITHIN: Duration = Duration::from_millis(1_500);
/// A second desk has to say no, not to wait.
const REFUSED_WITHIN: Duration = Duration::from_secs(10);
/// A disk's trouble is said as soon as somebody has to write, which the next block makes the desk do.
const SAID_WITHIN: Duration = Duration::from_secs(30);
/// One kill of so many is followed by a look at the books before the desk is started again.
const JUDGED_ONE_IN: u32 = 40;
const HEALTH: &str = "/api/health";
/// How far a clock jumps.
const JUMPS_S: [i64; 7] = [-400_000, -7_200, -30, 0, 30, 7_200, 400_000];

impl Tools {
    /// What a trouble cannot be made without, if that is missing.
    pub(super) fn missing_for(&self, kind: Kind) -> Option<&'static str> {
        let (is_there, what) = match kind {
            Kind::KillCall | Kind::Eio => (self.strace, "strace with the permission to trace"),
            Kind::Power | Kind::Full | Kind::ReadOnly => (self.disk, "root with loop devices, mkfs.ext4 and xfs_io"),
            Kind::Clock => (self.faketime.is_some(), "libfaketime"),
            Kind::Kill | Kind::KillCore | Kind::Stop | Kind::Second | Kind::Peers => (true, ""),
        };
        (!is_there).then_some(what)
    }
}

impl Scene {
    /// Brings one about. When this returns, the desk runs and its page has to answer.
    pub(super) async fn suffer(&mut self, kind: Kind) -> Result<()> {
        self.page.amid(kind);
        let suffered = match kind {
            Kind::Kill => self.kill_and_start().await,
            Kind::KillCore => self.kill_core().await,
            Kind::KillCall => self.kill_at_call().await,
            Kind::Stop => self.stop().await,
            Kind::Second => self.second_desk().await,
            Kind::Power => self.cut_power().await,
            Kind::Full => self.fill_disk().await,
            Kind::ReadOnly => self.forbid_writing().await,
            Kind::Eio => self.fail_flushes().await,
            Kind::Clock => self.jump_in_time().await,
            Kind::Peers => self.lose_peers().await,
        };
        suffered.with_context(|| format!("after trouble of the kind {kind}"))
    }

    fn some_ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.chance.random_range(from..to))
    }

    async fn kill_and_start(&mut self) -> Result<()> {
        self.kill()?;
        if self.chance.random_ratio(1, JUDGED_ONE_IN) {
            self.judge_while_down().await?;
        }
        if self.chance.random_ratio(1, 4) {
            self.start_unseen()?;
            let moment = self.some_ms(0, 120);
            tokio::time::sleep(moment).await;
            self.kill()?;
        }
        self.start().await
    }

    async fn kill_core(&mut self) -> Result<()> {
        let core = self.core().await?;
        signal("KILL", core)?;
        self.report.kills += 1;
        process::wait_for_end(core)
    }

    async fn kill_at_call(&mut self) -> Result<()> {
        let call = CALLS.choose(&mut self.chance).context("there are calls")?;
        let when = self.chance.random_range(1..CALLS_BEFORE_MAX);
        self.kill_core_at(call, when).await
    }

    /// Kills it instead of its n-th of these system calls, with a fresh deposit on its way.
    async fn kill_core_at(&mut self, calls: &str, when: u32) -> Result<()> {
        let core = self.core().await?;
        let strace = Strace::inject(core, calls, &format!("signal=KILL:when={when}"))?;
        self.pay().await?;
        let deadline = Instant::now() + CALL_WITHIN;
        while !process::has_ended(core) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.report.kills += u32::from(process::has_ended(core));
        drop(strace);
        Ok(())
    }

    /// The front alone may stand still without anybody seeing it.
    async fn stop(&mut self) -> Result<()> {
        let (core, front) = (self.core().await?, self.desk.front());
        let stopped = match self.chance.random_range(0..3) {
            0 => vec![front],
            1 => vec![core],
            _ => vec![front, core],
        };
        if stopped.contains(&core) {
            self.page.expect(None);
        }
        stopped.iter().try_for_each(|process| signal("STOP", *process))?;
        self.pay().await?;
        let still = self.some_ms(0, 800);
        tokio::time::sleep(still).await;
        stopped.iter().try_for_each(|process| signal("CONT", *process))?;
        self.page.expect(Some(self.desk.page()));
        Ok(())
    }

    async fn second_desk(&mut self) -> Result<()> {
        let (core, front) = (self.core().await?, self.desk.front());
        let stopped = self.chance.random_ratio(1, 2);
        if stopped {
            self.page.expect(None);
            signal("STOP", front)?;
            signal("STOP", core)?;
        }
        let second = tokio::time::timeout(REFUSED_WITHIN, self.desk.command(&["run"])).await;
        if stopped {
            signal("CONT", core)?;
            signal("CONT", front)?;
            self.page.expect(Some(self.desk.page()));
        }
        let said = second.context("a second desk was not refused")?.err().context("a second desk ran to its end")?;
        ensure!(said.to_string().contains("another desk runs on"), "a second desk said {said}");
        Ok(())
    }

    /// Half of the time what the core before had written and not flushed is there when the next one starts.
    async fn cut_power(&mut self) -> Result<()> {
        if self.tools.strace && self.chance.random_ratio(1, 2) {
            self.kill_core_at(FLUSHES, 1).await?;
        }
        self.pay().await?;
        let moment = self.some_ms(0, 300);
        tokio::time::sleep(moment).await;
        self.disk.as_ref().context("there is a disk")?.cut_power()?;
        // A machine without power does not run; one whose disk is gone does, for a while.
        let moment = if self.chance.random_ratio(1, 2) { Duration::ZERO } else { self.some_ms(1, 600) };
        tokio::time::sleep(moment).await;
        self.kill()?;
        self.disk.as_ref().context("there is a disk")?.power_up()?;
        self.start().await
    }

    async fn fill_disk(&mut self) -> Result<()> {
        let front = self.desk.front();
        self.disk.as_ref().context("there is a disk")?.fill()?;
        self.pay().await?;
        if self.suffers("the disk is full").await? {
            self.says("the disk is full", "/").await?;
        }
        let moment = self.some_ms(0, 1_500);
        tokio::time::sleep(moment).await;
        self.disk.as_ref().context("there is a disk")?.make_room()?;
        ensure!(!process::has_ended(front), "the desk ended of a full disk");
        Ok(())
    }

    /// A disk becomes read-only in the gap between two cores, as no file is open for writing then; and well again under one
    /// that runs.
    async fn forbid_writing(&mut self) -> Result<()> {
        let (core, front) = (self.core().await?, self.desk.front());
        self.page.expect(None);
        signal("STOP", front)?;
        signal("KILL", core)?;
        self.report.kills += 1;
        process::wait_for_end(core)?;
        let remounted = self.disk.as_ref().context("there is a disk")?.remount("ro");
        signal("CONT", front)?;
        remounted?;
        self.page.expect(Some(self.desk.page()));
        self.pay().await?;
        self.say("the disk is read-only").await?;
        let moment = self.some_ms(0, 1_500);
        tokio::time::sleep(moment).await;
        self.disk.as_ref().context("there is a disk")?.remount("rw")?;
        ensure!(!process::has_ended(front), "the desk ended of a disk that is read-only");
        Ok(())
    }

    async fn fail_flushes(&mut self) -> Result<()> {
        let strace = Strace::inject(self.core().await?, FLUSHES, "error=EIO")?;
        self.pay().await?;
        let said = self.say("the disk fails (input/output error)").await;
        let moment = self.some_ms(0, 900);
        tokio::time::sleep(moment).await;
        drop(strace);
        said
    }

    /// Waits until health and page say what the disk suffers from.
    async fn say(&self, what: &str) -> Result<()> {
        self.says(what, HEALTH).await?;
        self.says(what, "/").await
    }

    async fn says(&self, what: &str, path: &str) -> Result<()> {
        let look = async || Ok(self.shows(what, path).await.then_some(()));
        self.desk.until(SAID_WITHIN, &format!("{path} says that {what}"), look).await
    }

    /// Waits until health says it, or everything that was paid in is known: a write-ahead log that begins again from its
    /// front needs no room.
    async fn suffers(&self, what: &str) -> Result<bool> {
        let look = async || {
            if self.shows(what, HEALTH).await {
                return Ok(Some(true));
            }
            Ok(self.knows_all().await.then_some(false))
        };
        self.desk.until(SAID_WITHIN, &format!("health says that {what}, or all goes on"), look).await
    }

    async fn shows(&self, what: &str, path: &str) -> bool {
        let answer = http_client().get(format!("{}{path}", self.desk.page())).send().await;
        async { answer?.text().await }.await.is_ok_and(|text| text.contains(what))
    }

    async fn jump_in_time(&mut self) -> Result<()> {
        let library = self.tools.faketime.clone().context("there is libfaketime")?;
        let file = self.beside("faketime");
        write_jump(&file, 0)?;
        for (name, value) in [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ] {
            self.desk.set(name, Some(&value));
        }
        self.kill()?;
        self.start().await?;
        for _ in 0..4 {
            write_jump(&file, *JUMPS_S.choose(&mut self.chance).context("there are jumps")?)?;
            self.pay().await?;
            let moment = self.some_ms(100, 700);
            tokio::time::sleep(moment).await;
        }
        for name in ["LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE", "FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC"] {
            self.desk.set(name, None);
        }
        self.kill()?;
        self.start().await
    }

    async fn lose_peers(&mut self) -> Result<()> {
        for proxy in &self.proxies {
            match self.chance.random_range(0..4) {
                0 => proxy.behave(Manner::Dead),
                1 | 2 => proxy.behave(Manner::Unsound(self.chance.random_range(200..900))),
                _ => {}
            }
        }
        self.pay().await?;
        let moment = self.some_ms(200, 1_500);
        tokio::time::sleep(moment).await;
        self.misbehave();
        Ok(())
    }
}

fn write_jump(file: &Path, seconds: i64) -> Result<()> {
    // Renamed, so that nobody reads half a number.
    let beside = file.with_extension("new");
    std::fs::write(&beside, format!("{seconds:+}\n"))?;
    Ok(std::fs::rename(beside, file)?)
}
