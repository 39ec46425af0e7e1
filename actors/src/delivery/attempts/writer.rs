//! The thread that commits: one batch after the other, again and again when the disk does not take it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use millrace_protocols::delivery::cursor::{OrderKey, Position};
use millrace_protocols::delivery::scheduler::Standing;
use millrace_protocols::delivery::verdict::Outcome;
use rusqlite::{Connection, params};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::{
    ANSWER_BYTES_MAX, Batch, DELIVERED, ERROR_BYTES_MAX, Limits, OpenError, Place, Row, Stored, Trouble, blob, class,
    disabled, epoch, load, open, word,
};

/// How many batches may wait: the next is made while one is written.
const WAITING_MAX: usize = 2;
/// How long a disk that does not take a batch is left alone.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How many rows that are too old are deleted after a commit.
const PRUNED_AT_ONCE: usize = 1_024;
/// How often the write-ahead log is brought into the file by a thread of its own, so that a commit seldom has to.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked whether any are.
const PRUNE_EVERY_MS: u64 = 60_000;

struct Request {
    batch: Batch,
    now_ms: u64,
    done: oneshot::Sender<()>,
}

/// Hands batches to the thread, which ends with it.
#[derive(Debug, Clone)]
pub(in super::super) struct Writer {
    requests: SyncSender<Request>,
    trouble: Trouble,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Request({} rows)", self.batch.rows.len())
    }
}

impl Writer {
    /// Opens the file, reads what is owed and begins an epoch.
    pub(in super::super) fn start(
        path: &Path,
        now_ms: u64,
        limits: Limits,
    ) -> Result<(Self, HashMap<Uuid, Stored>), OpenError> {
        let failed = |source| OpenError::Database { path: path.to_owned(), source };
        let connection = open(path)?;
        let stored = load(&connection, path)?;
        let epoch = epoch(&connection, now_ms).map_err(failed)?;
        let checkpoints = Checkpoints::start(path)?;
        let (path, numbers) = (path.to_owned(), HashMap::new());
        let (trouble, told) = watch::channel(None);
        let file = File { path, connection, epoch, limits, numbers, pruned_ms: 0, checkpoints, trouble };
        let (requests, receiver) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("attempts".to_owned());
        thread.spawn(move || file.run(&receiver)).map_err(OpenError::Thread)?;
        Ok((Self { requests, trouble: told }, stored))
    }

    /// Why nothing can be written, while that is so.
    pub(in super::super) fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }

    /// Commits a batch; the answer comes when it is durable. At most one is under way at a time.
    pub(in super::super) fn commit(&self, batch: Batch, now_ms: u64) -> oneshot::Receiver<()> {
        let (done, answer) = oneshot::channel();
        // A thread that is gone drops the request, which the answer tells.
        let _ = self.requests.try_send(Request { batch, now_ms, done });
        answer
    }
}

struct File {
    path: PathBuf,
    connection: Connection,
    epoch: i64,
    limits: Limits,
    numbers: HashMap<Uuid, i64>,
    pruned_ms: u64,
    checkpoints: Checkpoints,
    trouble: watch::Sender<Option<String>>,
}

/// A thread that brings the write-ahead log into the file beside the commits, which then seldom have to wait for that.
struct Checkpoints {
    asked: SyncSender<()>,
    asked_at: Instant,
}

impl Checkpoints {
    fn start(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Database { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(failed)?;
        let (asked, asking) = sync_channel::<()>(1);
        let thread = std::thread::Builder::new().name("attempts-checkpoint".to_owned());
        let work = move || {
            while asking.recv().is_ok() {
                // What is left is done by a commit.
                let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            }
        };
        thread.spawn(work).map_err(OpenError::Thread)?;
        Ok(Self { asked, asked_at: Instant::now() })
    }

    fn ask_now_and_then(&mut self) {
        if self.asked_at.elapsed() >= CHECKPOINT_EVERY {
            self.asked_at = Instant::now();
            // One that is still at it comes again.
            let _ = self.asked.try_send(());
        }
    }
}

impl File {
    fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(Request { batch, now_ms, done }) = requests.recv() {
            while let Err(error) = self.commit(&batch) {
                tracing::error!(%error, file = %self.path.display(), "attempts cannot be written; nothing is sent");
                self.trouble.send_replace(Some(format!("{}: {error}", self.path.display())));
                self.recover();
                if done.is_closed() {
                    return;
                }
            }
            self.trouble.send_if_modified(|trouble| trouble.take().is_some());
            // Whoever gave up starts again with what is stored.
            let _ = done.send(());
            self.checkpoints.ask_now_and_then();
            if let Err(error) = self.prune(now_ms).and_then(|()| self.make_room()) {
                tracing::warn!(%error, "old attempts cannot be deleted");
            }
        }
    }

    fn recover(&mut self) {
        self.numbers.clear();
        std::thread::park_timeout(AGAIN_AFTER);
        let _ = self.connection.execute_batch("ROLLBACK");
        if let Ok(connection) = open(&self.path) {
            self.connection = connection;
        }
    }

    fn commit(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        for place in &batch.changes {
            let number = self.number(place.endpoint)?;
            self.store(number, place)?;
        }
        for row in &batch.rows {
            let number = self.number(row.endpoint)?;
            self.insert(number, row)?;
        }
        self.connection.execute_batch("COMMIT")
    }

    fn number(&mut self, endpoint: Uuid) -> rusqlite::Result<i64> {
        if let Some(number) = self.numbers.get(&endpoint) {
            return Ok(*number);
        }
        self.connection
            .prepare_cached("INSERT INTO subscriptions (id) VALUES (?1) ON CONFLICT (id) DO NOTHING")?
            .execute([endpoint.as_bytes()])?;
        let number = super::number_of(&self.connection, endpoint)?.expect("it was inserted in this transaction");
        self.numbers.insert(endpoint, number);
        Ok(number)
    }

    fn store(&self, number: i64, Place { applied, change, .. }: &Place) -> rusqlite::Result<()> {
        if change.standing == Standing::Removed {
            for sql in ["DELETE FROM cursors WHERE subscription = ?1", "DELETE FROM retries WHERE subscription = ?1"] {
                self.connection.prepare_cached(sql)?.execute([number])?;
            }
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "INSERT INTO cursors (subscription, dispatched_through, open, disabled, closed_until_ms, arrivals, applied)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (subscription) DO UPDATE
                 SET dispatched_through = excluded.dispatched_through, open = excluded.open,
                     disabled = excluded.disabled, closed_until_ms = excluded.closed_until_ms,
                     arrivals = excluded.arrivals, applied = excluded.applied",
            )?
            .execute(params![
                number,
                change.dispatched_through,
                blob::encode(&change.open),
                disabled(change.standing),
                change.closed_until_ms,
                change.arrivals,
                applied
            ])?;
        for (position, pending) in &change.retries {
            match pending {
                Some(pending) => self
                    .connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO retries
                         (subscription, position, not_before_ms, attempts, failures, order_key, arrivals)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        number,
                        position,
                        pending.not_before_ms,
                        pending.tries.attempts,
                        pending.tries.failures,
                        pending.key.map(OrderKey::number).map(u64::cast_signed),
                        pending.tries.arrivals
                    ])?,
                None => self.forget(number, *position)?,
            };
        }
        Ok(())
    }

    fn forget(&self, number: i64, position: Position) -> rusqlite::Result<usize> {
        self.connection
            .prepare_cached("DELETE FROM retries WHERE subscription = ?1 AND position = ?2")?
            .execute(params![number, position])
    }

    fn insert(&self, number: i64, row: &Row) -> rusqlite::Result<()> {
        let status = match row.outcome {
            Outcome::Answered { status, .. } => Some(status),
            Outcome::Accepted | Outcome::Refused(_) | Outcome::Failed(_) => None,
        };
        // Of what arrived, nobody asks what was answered.
        let is_refused = class(row.outcome) != DELIVERED;
        let answer = if is_refused { &row.answer[..row.answer.len().min(ANSWER_BYTES_MAX)] } else { &[] };
        let error = row.error.as_deref().map(|error| &error[..error.floor_char_boundary(ERROR_BYTES_MAX)]);
        self.connection
            .prepare_cached(
                "INSERT INTO attempts (subscription, position, notification, attempt, started_ms, took_us, class, status,
                                       answer, error, next_ms, epoch, fate)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                number,
                row.position,
                row.notification.as_ref().map(Uuid::as_bytes),
                row.attempt,
                row.started_ms,
                row.took_us,
                class(row.outcome),
                status,
                (!answer.is_empty()).then_some(answer),
                error,
                row.next_ms,
                self.epoch,
                row.fate.and_then(word)
            ])?;
        Ok(())
    }

    /// Deletes some of what is too old; the rows stand in the order in which they were made.
    fn prune(&mut self, now_ms: u64) -> rusqlite::Result<()> {
        if now_ms < self.pruned_ms + PRUNE_EVERY_MS {
            return Ok(());
        }
        let kept_ms = u64::try_from(self.limits.kept.as_millis()).unwrap_or(u64::MAX);
        let before_ms = now_ms.saturating_sub(kept_ms);
        let deleted = self
            .connection
            .prepare_cached(
                "DELETE FROM attempts WHERE number IN (SELECT number FROM attempts ORDER BY number LIMIT ?1)
                 AND started_ms < ?2",
            )?
            .execute(params![PRUNED_AT_ONCE, before_ms])?;
        if deleted < PRUNED_AT_ONCE {
            self.pruned_ms = now_ms;
        }
        Ok(())
    }

    /// Deletes some of the oldest while the file is too large. Their pages are used again, so it does not grow.
    fn make_room(&self) -> rusqlite::Result<()> {
        let number = |what| self.connection.pragma_query_value(None, what, |row| row.get::<_, u64>(0));
        let used_bytes = (number("page_count")? - number("freelist_count")?) * number("page_size")?;
        if used_bytes > self.limits.bytes_max {
            let oldest = "DELETE FROM attempts WHERE number IN (SELECT number FROM attempts ORDER BY number LIMIT ?1)";
            self.connection.prepare_cached(oldest)?.execute([PRUNED_AT_ONCE])?;
        }
        Ok(())
    }
}
