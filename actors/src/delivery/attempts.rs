//! The file of attempts: every subscription's cursor, what waits to be sent again, and a row for every attempt.
//!
//! It is no part of the event log: a desk that loses it delivers from where its subscriptions begin. What is claimed and what
//! came of it are committed together by one thread, many at a time, and are durable when that says so.

mod blob;
mod reader;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_protocols::delivery::cursor::{Cursor, Open, OrderKey, Pending, Position, Tries};
use millrace_protocols::delivery::scheduler::{Change, Standing};
use millrace_protocols::delivery::verdict::{Fate, Outcome, Reason, Refusal, Trouble as NoAnswer};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow};
use tokio::sync::watch;
use uuid::Uuid;

pub use reader::{Attempt, ROWS_MAX, Reader, Tried};
pub(super) use writer::Writer;

/// How much of an answer is kept, in bytes.
pub const ANSWER_BYTES_MAX: usize = 4 * 1_024;
/// How much of an error is kept, in bytes.
const ERROR_BYTES_MAX: usize = 512;

const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/attempts/0001_attempts.sql"),
    include_str!("../../../migrations/sqlite/attempts/0002_given_up.sql"),
    include_str!("../../../migrations/sqlite/attempts/0003_applied.sql"),
];

/// How much of what was attempted is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For how long.
    pub kept: Duration,
    /// How large the file may become before the oldest attempts go, in bytes; its write-ahead log comes on top, with some
    /// 64 MiB. Cursors never go.
    pub bytes_max: u64,
}

/// Why the file takes nothing, while that is so.
pub(super) type Trouble = watch::Receiver<Option<String>>;

/// What is committed at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Endpoints' states as they are now.
    pub(super) changes: Vec<Place>,
    /// Attempts that ended.
    pub(super) rows: Vec<Row>,
}

/// Where an endpoint stands.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) endpoint: Uuid,
    /// The position of the subscription's newest event that is in it.
    pub(super) applied: Position,
    pub(super) change: Change,
}

/// An attempt that ended, to be stored.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) endpoint: Uuid,
    pub(super) position: Position,
    pub(super) notification: Option<Uuid>,
    pub(super) attempt: u16,
    pub(super) started_ms: u64,
    pub(super) took_us: u64,
    pub(super) outcome: Outcome,
    /// What became of the notification; of an attempt of which nothing is known, nothing did.
    pub(super) fate: Option<Fate>,
    pub(super) answer: Vec<u8>,
    pub(super) error: Option<String>,
    pub(super) next_ms: Option<u64>,
}

/// What the file knows of a subscription.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) cursor: Cursor,
    pub(super) disabled: Option<Reason>,
    pub(super) closed_until_ms: u64,
    /// See [`Place::applied`]; nothing where an earlier version wrote it.
    pub(super) applied: Option<Position>,
}

impl Stored {
    /// Of one that the file does not know.
    pub(super) fn beginning_after(position: Position) -> Self {
        let cursor = Cursor::restore(position, [], []);
        Self { cursor, disabled: None, closed_until_ms: 0, applied: Some(position) }
    }

    /// Without what lies beyond the log's end: that was of a log that was put back since.
    pub(super) fn within(self, head: Position) -> Self {
        let applied = self.applied.map(|applied| applied.min(head));
        Self { cursor: self.cursor.within(head), applied, ..self }
    }
}

/// Why the file does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite says no.
    #[error("{path}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A setting that durability rests on did not take.
    #[error("{0}: attempts cannot be made durable there")]
    Unsafe(PathBuf),
    /// Written by a newer version of the desk.
    #[error("{0} was written by a newer version; start that one again")]
    Newer(PathBuf),
    /// A cursor in it cannot be read.
    #[error("{0}: a subscription's cursor in it is damaged")]
    Damaged(PathBuf),
    /// No thread for it.
    #[error("no thread writes the attempts: {0}")]
    Thread(std::io::Error),
}

/// Opens the file for its one writer.
fn open(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(failed)?;
    let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;
                    PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 16000;";
    connection.execute_batch(settings).map_err(failed)?;
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(failed)?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).map_err(failed)?;
    if (mode.as_str(), synchronous) != ("wal", 2) {
        return Err(OpenError::Unsafe(path.to_owned()));
    }
    connection.set_prepared_statement_cache_capacity(32);
    migrate(&mut connection, path)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let found: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let missing = MIGRATIONS.get(found..).ok_or_else(|| OpenError::Newer(path.to_owned()))?;
    for (number, migration) in (found + 1..).zip(missing) {
        let migrated = connection.transaction().and_then(|transaction| {
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()
        });
        migrated.map_err(failed)?;
    }
    Ok(())
}

/// Everything that subscriptions are owed.
fn load(connection: &Connection, path: &Path) -> Result<HashMap<Uuid, Stored>, OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let mut retries = load_retries(connection).map_err(failed)?;
    let mut statement = connection
        .prepare(
            "SELECT s.number, s.id, c.dispatched_through, c.open, c.disabled, c.closed_until_ms, c.arrivals, c.applied
             FROM cursors c JOIN subscriptions s ON s.number = c.subscription",
        )
        .map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut stored = HashMap::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let (number, id, through, open, disabled, closed_until_ms, arrivals, applied) =
            cursor_row(row).map_err(failed)?;
        let open: Vec<(Position, Open)> = blob::decode(&open).ok_or_else(|| OpenError::Damaged(path.to_owned()))?;
        let cursor =
            Cursor::restore(through, open, retries.remove(&number).unwrap_or_default()).with_arrivals(arrivals);
        let disabled = disabled.as_deref().and_then(reason);
        stored.insert(id, Stored { cursor, disabled, closed_until_ms, applied });
    }
    Ok(stored)
}

type CursorRow = (i64, Uuid, Position, Vec<u8>, Option<String>, u64, u64, Option<Position>);

fn cursor_row(row: &SqlRow<'_>) -> rusqlite::Result<CursorRow> {
    let id = Uuid::from_bytes(row.get(1)?);
    Ok((row.get(0)?, id, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?))
}

fn load_retries(connection: &Connection) -> rusqlite::Result<HashMap<i64, Vec<(Position, Pending)>>> {
    let mut statement = connection.prepare(
        "SELECT subscription, position, not_before_ms, attempts, failures, order_key, arrivals FROM retries
         ORDER BY subscription, position",
    )?;
    let mut rows = statement.query([])?;
    let mut retries: HashMap<i64, Vec<_>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let tries = Tries { attempts: row.get(3)?, failures: row.get(4)?, arrivals: row.get(6)? };
        let key = row.get::<_, Option<i64>>(5)?.and_then(|key| OrderKey::new(key.cast_unsigned()));
        let pending = Pending { not_before_ms: row.get(2)?, tries, key };
        retries.entry(row.get(0)?).or_default().push((row.get(1)?, pending));
    }
    Ok(retries)
}

fn disabled(standing: Standing) -> Option<&'static str> {
    match standing {
        Standing::Disabled(Reason::Gone) => Some("gone"),
        Standing::Disabled(Reason::Asked) => Some("asked"),
        Standing::Disabled(Reason::Exhausted) => Some("exhausted"),
        Standing::Running | Standing::Paused | Standing::Removed => None,
    }
}

fn reason(stored: &str) -> Option<Reason> {
    let all = [Reason::Gone, Reason::Asked, Reason::Exhausted];
    all.into_iter().find(|reason| disabled(Standing::Disabled(*reason)) == Some(stored))
}

/// The word of a delivery in the file.
const DELIVERED: &str = "delivered";

/// The word of an outcome in the file.
pub fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered { status: 200..=299, .. } | Outcome::Accepted => DELIVERED,
        Outcome::Answered { .. } => "status",
        Outcome::Refused(Refusal::ForNow { .. }) => "refused",
        Outcome::Refused(Refusal::Message) => "rejected",
        Outcome::Refused(Refusal::Receiver) => "gone",
        Outcome::Failed(NoAnswer::Forbidden) => "forbidden",
        Outcome::Failed(NoAnswer::Resolve) => "resolve",
        Outcome::Failed(NoAnswer::Connect) => "connect",
        Outcome::Failed(NoAnswer::Tls) => "tls",
        Outcome::Failed(NoAnswer::Broken) => "broken",
        Outcome::Failed(NoAnswer::Stale) => "stale",
        Outcome::Failed(NoAnswer::Timeout) => "timeout",
        Outcome::Failed(NoAnswer::Protocol) => "protocol",
        Outcome::Failed(NoAnswer::Unknown) => "unknown",
        Outcome::Failed(NoAnswer::Unread) => "unread",
        Outcome::Failed(NoAnswer::Missing) => "missing",
    }
}

/// The word of what became of a notification, where the outcome does not say it.
fn word(fate: Fate) -> Option<&'static str> {
    match fate {
        Fate::GivenUp => Some("given_up"),
        Fate::Aborted => Some("aborted"),
        Fate::Delivered | Fate::Retry { .. } | Fate::Disable(_) => None,
    }
}

fn epoch(connection: &Connection, now_ms: u64) -> rusqlite::Result<i64> {
    connection.execute("INSERT INTO epochs (started_ms) VALUES (?1)", [now_ms])?;
    Ok(connection.last_insert_rowid())
}

fn number_of(connection: &Connection, endpoint: Uuid) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT number FROM subscriptions WHERE id = ?1")?;
    statement.query_row([endpoint.as_bytes()], |row| row.get(0)).optional()
}

#[cfg(test)]
mod tests;
