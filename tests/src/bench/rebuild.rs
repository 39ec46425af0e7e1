//! `rebuild_all`: all projections made anew from a log of a million events, to tables that are shown and on the disk.
//!
//! The log is sealed, as a desk has it. Beside it in the note, what only reading the rows of the same log takes that is not, in the
//! same turn.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use millrace_actors::projection::{Projection, compare, rebuild};
use rusqlite::{Connection, OpenFlags};

use super::Figure;
use super::kept_log::{of_a_million, of_a_million_sealed};

const TURNS: usize = 3;

pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let (rows, sealed) = (of_a_million()?, of_a_million_sealed()?);
    let mut turns = (0..TURNS).map(|_| turn(&rows, &sealed)).collect::<anyhow::Result<Vec<_>>>()?;
    turns.sort_by(|one, other| one.made.total_cmp(&other.made));
    let median = &turns[TURNS / 2];
    Ok(vec![Figure {
        name: "rebuild_all",
        value: median.made,
        unit: "events/s",
        note: format!(
            "{} events, {} deposits, views of {} MiB; {:.0} to {:.0}; a raw scan of the same rows {:.0}/s: {:.2} of it",
            median.events,
            median.deposits,
            median.bytes / (1 << 20),
            turns[0].made,
            turns[TURNS - 1].made,
            median.scanned,
            median.made / median.scanned,
        ),
    }])
}

/// How many events a second.
struct Turn {
    made: f64,
    scanned: f64,
    events: u64,
    deposits: u64,
    bytes: u64,
}

fn turn(rows: &Path, log: &Path) -> anyhow::Result<Turn> {
    let scanned = scan(rows)?;
    let folder = tempfile::tempdir()?;
    let views = folder.path().join("views.db");
    let began = Instant::now();
    let events = rebuild((log, &views), &Projection::ALL, &mut |_| {})?;
    let made = events as f64 / began.elapsed().as_secs_f64();
    let connection = Connection::open(&views)?;
    let deposits = connection.query_row("SELECT count(*) FROM deposits", [], |row| row.get(0))?;
    let pages: u64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let bytes: u64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    drop(connection);
    let compared = compare((log, &views), &[Projection::Ledger], &mut |_| {})?;
    ensure!(compared == Ok(events), "{compared:?}");
    Ok(Turn { made, scanned, events, deposits, bytes: pages * bytes })
}

/// Every row of the log, and every column that is read of it, looked at and nothing more.
fn scan(log: &Path) -> anyhow::Result<f64> {
    let connection = Connection::open_with_flags(log, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let began = Instant::now();
    let mut statement = connection.prepare(
        "SELECT position, stream, version, kind, schema, payload, causation, correlation, command_id, recorded_at
         FROM events ORDER BY position",
    )?;
    let (mut rows, mut events, mut bytes) = (statement.query([])?, 0u64, 0);
    while let Some(row) = rows.next()? {
        events += 1;
        bytes += row.get_ref(3)?.as_str()?.len() + row.get_ref(5)?.as_str()?.len();
    }
    ensure!(bytes > 0, "the log is empty");
    Ok(events as f64 / began.elapsed().as_secs_f64())
}
