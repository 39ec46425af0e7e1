//! `millrace compact`: seals what is old of a stopped desk's log, and gives the room back that was gained.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::event_store::{Log, Reader};

use crate::config::Config;
use crate::escape::escaped;
use crate::lock;
use crate::run::LOG_FILE;

pub(super) const NOTES: &str = "\
A running desk seals what is older than desk.seal_after_hours by itself: it packs finished parts of the log, and empties rows of
deposits that have ended, which are in the packed part from then on. Its file does not become smaller by that. This
command seals what is left to be sealed, then writes the file anew without the gaps. Every event stays: `why`, `replay`,
`export` and `verify` read sealed parts as they read the rest.

The desk must not run, and for a while the disk must have room for the log twice more. What is interrupted changes
nothing. A backup has no gaps to begin with.";

/// There is nothing to choose.
#[derive(Debug, Args)]
pub struct Compact {}

impl Compact {
    /// Does it.
    pub fn run(&self, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
        let path = config.desk.data_dir.join(LOG_FILE);
        if !path.try_exists().with_context(|| format!("{} cannot be looked at", path.display()))? {
            bail!("there is no log {}", path.display());
        }
        let _front = lock::front(&config.desk.data_dir)?;
        let _core = lock::core(&config.desk.data_dir)?;
        let before = bytes(&path)?;
        let (mut log, reader) = (Log::open(&path)?, Reader::open(&path)?);
        let old = SystemClock.now() - config.desk.seal_after;
        if let Err(error) = seal(&mut log, &reader, old) {
            writeln!(out, "{}", escaped(&format!("not everything is sealed: {error:#}")))?;
        }
        log.compact()?;
        let (sealed, head) = (reader.sealed_until()?, log.head());
        drop((reader, log));
        let after = bytes(&path)?;
        Ok(writeln!(out, "sealed up to position {sealed} of {head}; {before} bytes before, {after} bytes now")?)
    }
}

fn seal(log: &mut Log, reader: &Reader, old: DateTime<Utc>) -> anyhow::Result<()> {
    while let Some(segment) = reader.next_segment(old)? {
        log.keep(&segment)?;
    }
    Ok(())
}

fn bytes(path: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(path).with_context(|| format!("{} cannot be looked at", path.display()))?.len())
}
