//! `replay_fold`, `replay_fold_2`, `replay_lens`: a log of a million events read, decoded and folded.
//!
//! The log is sealed but for its newest events, as a desk has it. Beside them, turn by turn, the same log before it was sealed: its
//! rows read by SQLite alone, with a loop that does nothing but look at each payload's length, and folded the same way.

use std::collections::HashMap;
use std::path::Path;

use anyhow::ensure;
use millrace_actors::event_store::{Names, ReadError, Reader, Stored};
use millrace_actors::projection::DepositRow;
use millrace_model::ids::{DepositId, Position, StreamName};
use millrace_model::money::{Amount, Btc, Sky};
use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;

use super::timed::Timed;
use super::{Figure, kept_log};

/// The median of so many turns counts.
const TURNS: usize = 3;

pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let (rows, sealed) = (kept_log::of_a_million()?, kept_log::of_a_million_sealed()?);
    let payload_bytes = payload_bytes(&rows)?;
    let turns = (0..TURNS).map(|_| turn(&rows, &sealed)).collect::<anyhow::Result<Vec<_>>>()?;
    let [raw, unsealed, fold, fold_2, lens] =
        [0, 1, 2, 3, 4].map(|which| Timed::median(turns.iter().map(|turn| turn[which]).collect()));
    let figure = |name, timed: Timed, what: &str| Figure {
        name,
        value: timed.rate(),
        unit: "events/s",
        note: format!(
            "{what}; {:.0} ns of CPU an event; {:.2} of SQLite alone ({:.0}/s, {:.0} ns); unsealed, one thread folds {:.0}/s, \
             {:.0} ns; payloads of {payload_bytes} bytes",
            timed.cpu_ns(),
            timed.rate() / raw.rate(),
            raw.rate(),
            raw.cpu_ns(),
            unsealed.rate(),
            unsealed.cpu_ns(),
        ),
    };
    Ok(vec![
        figure("replay_fold", fold, "one thread, decoded and folded to DepositRow"),
        figure("replay_fold_2", fold_2, "decoded by two threads, folded to DepositRow by a third"),
        figure("replay_lens", lens, "one thread, amount and payout and kind of each deposit"),
    ])
}

fn turn(rows: &Path, sealed: &Path) -> anyhow::Result<[Timed; 5]> {
    Ok([
        Timed::of(|| raw(rows))?,
        Timed::of(|| fold(rows, 1))?,
        Timed::of(|| fold(sealed, 1))?,
        Timed::of(|| fold(sealed, 2))?,
        Timed::of(|| through_lens(sealed, 1))?,
    ])
}

fn connection(log: &Path) -> anyhow::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(log, flags)?)
}

fn payload_bytes(log: &Path) -> anyhow::Result<u64> {
    let mean = "SELECT CAST(avg(octet_length(payload)) AS INTEGER) FROM events";
    Ok(connection(log)?.query_row(mean, [], |row| row.get(0))?)
}

/// A statement stepped through.
fn raw(log: &Path) -> anyhow::Result<u64> {
    let connection = connection(log)?;
    let mut statement = connection.prepare("SELECT position, stream, version, kind, schema, payload FROM events")?;
    let (mut rows, mut events, mut bytes) = (statement.query([])?, 0, 0);
    while let Some(row) = rows.next()? {
        events += 1;
        bytes += row.get_ref(5)?.as_str()?.len();
    }
    ensure!(bytes > 0, "the log is empty");
    Ok(events)
}

/// Every event decoded, and those of deposits folded to their rows; one that has come to its end is counted and let go.
fn fold(log: &Path, threads: usize) -> anyhow::Result<u64> {
    let mut rows: HashMap<DepositId, Option<DepositRow>> = HashMap::new();
    let (mut events, mut done) = (0, 0);
    Reader::open(log)?.scan(1, Position::MAX, threads)?.each::<ReadError>(|recorded| {
        events += 1;
        let StreamName::Deposit(id) = recorded.stream else { return Ok(()) };
        let row = rows.entry(id).or_default();
        DepositRow::take_in(row, recorded);
        if row.as_ref().is_some_and(|row| row.outcome.is_some()) {
            done += 1;
            rows.remove(&id);
        }
        Ok(())
    })?;
    ensure!(done > 0 && !rows.is_empty(), "{done} deposits came to their end and {} did not", rows.len());
    Ok(events)
}

/// What a view needs that shows the amounts and whether they were paid. Most events say nothing of that.
#[derive(Default)]
struct Seen {
    amount: Option<Amount<Btc>>,
    payout: Option<Amount<Sky>>,
    is_done: bool,
}

fn see(stored: &Stored<'_>) -> Result<Option<(i64, Seen)>, ReadError> {
    #[derive(Deserialize)]
    struct Detected {
        amount: Amount<Btc>,
    }
    #[derive(Deserialize)]
    struct Owed {
        amount: Amount<Sky>,
    }
    let mut seen = Seen::default();
    match stored.kind()? {
        "Detected" => seen.amount = Some(stored.fields::<Detected>("Detected")?.amount),
        "StatusWaitSend" => seen.payout = Some(stored.fields::<Owed>("StatusWaitSend")?.amount),
        "Confirmed" => seen.is_done = true,
        _ => return Ok(None),
    }
    Ok(Some((stored.stream_id()?, seen)))
}

/// Amount, payout and whether it ended of each deposit; one that has come to its end is counted and let go.
fn through_lens(log: &Path, threads: usize) -> anyhow::Result<u64> {
    let mut rows: HashMap<i64, Seen> = HashMap::new();
    let mut paid = 0;
    let reader = Reader::open(log)?;
    let lens = |stored: &Stored<'_>, _: &mut Names<'_>| see(stored);
    reader.scan_through(1, Position::MAX, threads, lens)?.each::<ReadError>(|(stream, seen)| {
        let row = rows.entry(*stream).or_default();
        row.amount = seen.amount.or(row.amount);
        row.payout = seen.payout.or(row.payout);
        if seen.is_done {
            paid += usize::from(row.amount.is_some() && row.payout.is_some());
            rows.remove(stream);
        }
        Ok(())
    })?;
    ensure!(paid > 0 && !rows.is_empty(), "{paid} deposits came to their end and {} did not", rows.len());
    Ok(reader.head()?)
}
