//! What the system knows of processes.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// A killed process is gone at once, unless it hangs in its disk.
const GONE_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Where the times are in `/proc/ID/stat` after the name, and in what they are told: see proc(5).
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const TICK_MS: u64 = 10;

/// The processes that this one started and that have not ended.
pub fn children_of(parent: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        if stat(id).is_some_and(|stat| stat.parent == parent && !stat.has_ended) {
            children.push(id);
        }
    }
    Ok(children)
}

/// Waits until a process that was killed is gone, whoever started it.
pub fn wait_for_end(id: u32) -> Result<()> {
    let deadline = Instant::now() + GONE_WITHIN;
    while !has_ended(id) {
        ensure!(Instant::now() < deadline, "process {id} does not end");
        pause();
    }
    Ok(())
}

/// Whether a process is gone.
pub fn has_ended(id: u32) -> bool {
    // The first thread may have ended while others still hold the files.
    let threads = fs::read_dir(format!("/proc/{id}/task")).map_or(0, Iterator::count);
    threads <= 1 && stat(id).is_none_or(|stat| stat.has_ended)
}

/// The memory of a process that is in use, in MiB: `VmRSS`.
pub fn resident_mib(id: u32) -> Result<f64> {
    let line = status(&format!("/proc/{id}"), "VmRSS:").context("there is no VmRSS")?;
    let kib: u32 = line.trim_end_matches(" kB").parse()?;
    Ok(f64::from(kib) / 1_024.0)
}

/// What a process and its threads have used of the processors so far.
pub fn processor_time(id: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, after_name) = text.rsplit_once(')').context("a process has a name")?;
    let fields: Vec<_> = after_name.split_whitespace().collect();
    let ticks = |field: usize| -> Result<u64> { Ok(fields.get(field).context("a process has its times")?.parse()?) };
    Ok(Duration::from_millis((ticks(USER_TIME)? + ticks(SYSTEM_TIME)?) * TICK_MS))
}

/// Whether somebody traces every thread of a process.
pub fn is_traced(id: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return false };
    let is_traced = |thread: PathBuf| status(&thread.to_string_lossy(), "TracerPid:").is_none_or(|by| by != "0");
    threads.flatten().all(|thread| is_traced(thread.path()))
}

fn status(folder: &str, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("{folder}/status")).ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix(field)?.trim().to_owned()))
}

/// A moment between two looks.
#[expect(clippy::disallowed_methods, reason = "milliseconds, in a test's own thread")]
pub(crate) fn pause() {
    std::thread::sleep(LOOK_EVERY);
}

struct Stat {
    parent: u32,
    /// It may still wait for somebody to ask how it ended.
    has_ended: bool,
}

/// `None` when there is no such process.
fn stat(id: u32) -> Option<Stat> {
    let path: PathBuf = ["/proc", &id.to_string(), "stat"].iter().collect();
    let text = fs::read_to_string(path).ok()?;
    // The name may hold anything, parentheses too.
    let (_, after_name) = text.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    Some(Stat { has_ended: matches!(state, "Z" | "X"), parent: fields.next()?.parse().ok()? })
}
