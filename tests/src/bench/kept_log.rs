//! Logs for benchmarks: one with its head file beside its folder, as the real desk has it, and one of a million events that is
//! drawn once and kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::event_store::{Execution, Settings as StoreSettings, Store};
use millrace_actors::head_file::{self, Foreign, HeadFile, Settings};
use millrace_actors::projection::{Projection, rebuild};
use millrace_actors::supervision::Tree;
use millrace_daemon::config::head_file_of;

use crate::drawn_log;

/// How many events the kept log has, and a few more.
pub(super) const MILLION: u64 = 1_000_000;

/// Starts the store and what keeps its head file.
pub(super) fn start(tree: &Tree, data_dir: &Path) -> anyhow::Result<(Store, HeadFile)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (path, execution) = (head_file_of(data_dir), Execution::Thread);
    let head_file = HeadFile::new(Settings { path, foreign: Foreign::Refused, execution, clock: Arc::clone(&clock) });
    let settings = StoreSettings { path: data_dir.join("log.db"), execution, clock };
    let store = Store::start_after(tree, settings, head_file.opening())?;
    head_file::start(tree, &head_file, store.clone())?;
    Ok((store, head_file))
}

/// A log of a million drawn events, kept in the target folder for the next run; it is not to be written to.
pub(super) fn of_a_million() -> anyhow::Result<PathBuf> {
    drawn_log::kept(&folder()?, MILLION)
}

/// The same log sealed, as a desk has it of which all but the newest is old.
pub(super) fn of_a_million_sealed() -> anyhow::Result<PathBuf> {
    drawn_log::kept_sealed(&folder()?, MILLION)
}

/// The data folder of a desk with so many deposits, most of which vanished, and their views: drawn once and kept for the next run.
/// A desk may go on there. Not to be called within a runtime.
pub(super) fn of_deposits(deposits: u64) -> anyhow::Result<PathBuf> {
    let log = drawn_log::kept_deposits(&folder()?, deposits)?;
    let [views, partial] = ["views.db", "views.partial"].map(|name| log.with_file_name(name));
    if !views.try_exists()? {
        rebuild((&log, &partial), &Projection::ALL, &mut |_| {})?;
        std::fs::rename(partial, &views)?;
    }
    Ok(log.parent().context("a log lies in a folder")?.to_owned())
}

fn folder() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).context("the benchmarks run from a target folder")?;
    Ok(target.join("drawn-logs"))
}
