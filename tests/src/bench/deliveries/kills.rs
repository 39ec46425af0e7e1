//! An engine that is killed in full flow, again and again: what it sent is in its file, and everything arrives.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rand::Rng as _;
use rusqlite::Connection;

use super::desk::{Receivers, Sender, first_arrival};
use super::receiver::now_us;

/// To so many endpoints.
pub const ENDPOINTS: u64 = 10;
/// How long it lives after it began to deliver, in milliseconds.
const ALIVE_MS: std::ops::Range<u64> = 20..400;
/// How long what is on its way takes to arrive after a kill.
const LANDS_WITHIN: Duration = Duration::from_millis(200);
/// When nothing comes for so long, all came.
const QUIET: Duration = Duration::from_secs(2);

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Killed {
    /// Notifications that arrived, those that arrived again among them.
    pub sent: u64,
    /// Attempts in the file.
    pub rows: u64,
    /// Arrivals that no attempt in the file stands for.
    pub unlogged: u64,
    /// Notifications that never arrived at an endpoint.
    pub never_sent: u64,
    /// The longest time from a start to the first arrival.
    pub first_after: Duration,
}

type Counts = HashMap<(u64, u64), u64>;

/// Delivers `count` notifications to each of [`ENDPOINTS`], with so many kills on the way. `program` is the benchmarks'.
pub async fn kill(program: &Path, kills: u32, count: u64) -> anyhow::Result<Killed> {
    let (receivers, folder) = (Receivers::start(program)?, tempfile::tempdir()?);
    let (mut came, mut first_us) = (Counts::new(), 0);
    for life in 0..=kills {
        receivers.reset().await?;
        let begun_us = now_us();
        let sender = Sender::start(program, folder.path(), receivers.address, ENDPOINTS, count)?;
        if life < kills {
            let first = first_arrival(&receivers).await.context("nothing is left to be killed")?;
            first_us = first_us.max(first.first_us - begun_us);
            let alive_ms = rand::rng().random_range(ALIVE_MS);
            tokio::time::sleep(Duration::from_millis(alive_ms)).await;
        } else {
            until_quiet(&receivers).await?;
        }
        sender.kill()?;
        tokio::time::sleep(LANDS_WITHIN).await;
        for (endpoint, position, arrivals) in receivers.counts().await? {
            *came.entry((endpoint, position)).or_insert(0) += u64::from(arrivals);
        }
    }
    let rows = rows(&folder.path().join("attempts.db"))?;
    Ok(judge(&came, &rows, count, Duration::from_micros(first_us)))
}

async fn until_quiet(receivers: &Receivers) -> anyhow::Result<()> {
    let mut before = receivers.stats().await?.count;
    loop {
        tokio::time::sleep(QUIET).await;
        let now = receivers.stats().await?.count;
        if now == before {
            return Ok(());
        }
        before = now;
    }
}

/// How many rows there are for each notification at each endpoint.
fn rows(path: &Path) -> anyhow::Result<Counts> {
    let connection = Connection::open(path)?;
    let mut statement = connection.prepare(
        "SELECT s.id, a.position, count(*) FROM attempts a JOIN subscriptions s ON s.number = a.subscription
         GROUP BY s.id, a.position",
    )?;
    let rows = statement.query_map([], |row| {
        let id = u128::from_be_bytes(row.get(0)?);
        Ok(((id as u64, row.get(1)?), row.get(2)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn judge(came: &Counts, rows: &Counts, count: u64, first_after: Duration) -> Killed {
    let row_count = |what: &(u64, u64)| rows.get(what).copied().unwrap_or(0);
    let all = (1..=ENDPOINTS).flat_map(|endpoint| (1..=count).map(move |position| (endpoint, position)));
    Killed {
        sent: came.values().sum(),
        rows: rows.values().sum(),
        unlogged: came.iter().map(|(what, arrivals)| arrivals.saturating_sub(row_count(what))).sum(),
        never_sent: all.filter(|what| !came.contains_key(what)).count() as u64,
        first_after,
    }
}
