//! The views' database: what the projection writes and what pages and APIs read.

mod names;
mod notifications;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_model::ids::{DepositId, Position};
use millrace_model::ledger::Balances;
use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqlitePool};
use tokio::sync::{Notify, broadcast, watch};

use super::board::{Asked, Board, ProjectionStatus, Turns};
use super::catalog::Projection;
use super::fold::Shown;
use super::pace::Pace;
use super::row::{DepositRow, UnreadableFrom};
use super::totals::Totals;
pub use notifications::{
    HistoryEntry, NOTIFICATIONS_MAX, NotificationFilter, NotificationPage, OFFSET_MAX, StoredNotification, Whose,
};

use crate::event_store::{Ailment, disk};

/// Rows on a page at most.
pub const PAGE_ROWS_MAX: u32 = 200;
/// A week has 10 080 minutes; there are more rows only where clocks were set again and again.
const PACE_ROWS_MAX: u32 = 20_000;
/// How many changes a slow watcher may be behind before it is told to look at everything again.
const CHANGES_MAX: usize = 4_096;

/// Why the views cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// SQLite says no.
    #[error("the views: {}", told(.0))]
    Database(#[from] sqlx::Error),
    /// SQLite says no to whoever writes them.
    #[error("the views: {}", disk::told_of(.0.sqlite_error().and_then(|error| Ailment::of_code(error.extended_code)), .0))]
    Written(#[from] rusqlite::Error),
    /// A row holds what it should not.
    #[error("the views hold a row that makes no sense: {0}")]
    Row(#[from] serde_json::Error),
    /// So does a notification.
    #[error("the views hold {text:?} as {of} of a notification")]
    Notification {
        /// What it ought to be.
        of: String,
        /// What it is.
        text: String,
    },
}

/// The error, and what the disk suffers from if it is the disk.
fn told(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code()?.parse().ok());
    disk::told_of(code.and_then(Ailment::of_code), error)
}

/// A deposit address of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BindingRow {
    /// The position of the binding's event.
    pub seq: Position,
    /// The deposit address.
    pub address: String,
    /// The Skycoin address it is bound to.
    pub target: String,
    /// Its number in the pool.
    pub number: u32,
    /// The method configured when it was bound.
    pub method: String,
    /// When it was bound.
    pub bound_at: DateTime<Utc>,
}

/// The ledger as all events up to a position leave it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerCut {
    /// That position.
    pub position: Position,
    /// What stands on each account.
    pub balances: Balances,
    /// The deposits whose later events cannot be read: what these post is missing from the balances.
    pub unreadable: BTreeMap<DepositId, UnreadableFrom>,
}

/// Whose deposits changed in a commit of the views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The Skycoin address.
    pub target: Arc<str>,
}

/// What a deposit suffers from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Held because something went wrong: not for its size, and not by an operator.
    Errored,
}

/// Which deposits to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only these.
    pub status: Option<String>,
    /// Only those to be paid to this address.
    pub target: Option<String>,
    /// Only those of this kind.
    pub trouble: Option<Trouble>,
    /// Older than this one; the newest come first.
    pub before: Option<Position>,
    /// At most this many, and never more than [`PAGE_ROWS_MAX`].
    pub rows_max: u32,
}

/// The views. Cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct Views {
    path: PathBuf,
    pool: SqlitePool,
    board: Arc<Board>,
    turns: Turns,
    position: watch::Sender<Position>,
    totals: watch::Sender<Arc<Totals>>,
    ledger: watch::Sender<Arc<LedgerCut>>,
    changes: broadcast::Sender<Change>,
    newest_notification: watch::Sender<Position>,
    /// Rings when somebody waits for the views to catch up.
    awaited: Arc<Notify>,
}

impl Views {
    /// Opens the views lazily: the projection makes what is to be read.
    pub fn new(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(5))
            // Each commit makes what other connections hold stale, so more would be memory and little else.
            .pragma("cache_size", "-4096");
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(2))
            .connect_lazy_with(options);
        Self {
            path: path.to_owned(),
            pool,
            board: Arc::default(),
            turns: Turns::default(),
            position: watch::Sender::new(0),
            totals: watch::Sender::default(),
            ledger: watch::Sender::default(),
            changes: broadcast::Sender::new(CHANGES_MAX),
            newest_notification: watch::Sender::new(0),
            awaited: Arc::default(),
        }
    }

    /// The file they are in.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// The projections, against a log that ends here.
    pub fn projections(&self, head: Position) -> Vec<ProjectionStatus> {
        self.board.statuses(head)
    }

    /// Asks for a projection to be made anew from the log. What is shown stays until then.
    pub fn rebuild(&self, projection: Projection) -> Asked {
        self.board.ask(projection)
    }

    /// The same for several, which are made together; says which of them nobody had asked for yet.
    pub fn rebuild_together(&self, projections: &[Projection]) -> Vec<Projection> {
        self.board.ask_together(projections)
    }

    /// Tells what is in the tables now, and those who watch.
    pub(super) fn show(&self, shown: Shown) {
        if let Some(totals) = shown.totals {
            self.totals.send_if_modified(|before| {
                let changed = **before != totals;
                if changed {
                    *before = Arc::new(totals);
                }
                changed
            });
        }
        if let Some(ledger) = shown.ledger {
            self.ledger.send_replace(Arc::new(ledger));
        }
        if let Some(newest) = shown.newest_notification {
            self.newest_notification.send_if_modified(|before| std::mem::replace(before, newest) != newest);
        }
        self.position.send_replace(self.board.position());
        for target in shown.targets {
            // Nobody watching is fine.
            let _ = self.changes.send(Change { target: target.into() });
        }
    }

    /// What all deposits add up to.
    pub fn totals(&self) -> Arc<Totals> {
        Arc::clone(&self.totals.borrow())
    }

    /// What stands on the ledger's accounts.
    pub fn ledger(&self) -> Arc<LedgerCut> {
        Arc::clone(&self.ledger.borrow())
    }

    /// How many deposits stand where, from memory.
    pub fn counts_now(&self) -> Vec<(String, u64)> {
        self.totals.borrow().counts()
    }

    /// How many deposits are held, from memory.
    pub fn held_now(&self) -> u64 {
        self.totals.borrow().lines().iter().filter(|line| line.status == "held").map(|line| line.deposits).sum()
    }

    /// How far the views are.
    pub fn position(&self) -> Position {
        *self.position.borrow()
    }

    /// Waits until the views show what is at `position`, at most `within`. Afterwards they may still be behind.
    pub async fn caught_up(&self, position: Position, within: Duration) {
        let mut seen = self.position.subscribe();
        if *seen.borrow_and_update() < position {
            self.awaited.notify_one();
        }
        // Too late is no error: the reader sees what there is.
        let _ = tokio::time::timeout(within, seen.wait_for(|shown| *shown >= position)).await;
    }

    /// Rests for a while, or until somebody waits for the views to catch up.
    pub(super) async fn rest(&self, at_most: Duration) {
        // Whoever came before the rest began has left a permit, and ends it at once.
        let _ = tokio::time::timeout(at_most, self.awaited.notified()).await;
    }

    /// Hears of every change from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// One deposit.
    pub async fn deposit(&self, id: DepositId) -> Result<Option<DepositRow>, ViewError> {
        let found = sqlx::query("SELECT body FROM deposits WHERE id = ?1")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.map(|row| serde_json::from_str(row.get(0))).transpose()?)
    }

    /// A customer's deposits, oldest first, at most [`PAGE_ROWS_MAX`] of the newest.
    pub async fn deposits_of(&self, target: &str) -> Result<Vec<DepositRow>, ViewError> {
        let rows = sqlx::query("SELECT body FROM deposits WHERE target = ?1 ORDER BY seq DESC LIMIT ?2")
            .bind(target)
            .bind(PAGE_ROWS_MAX)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().rev().map(|row| Ok(serde_json::from_str(row.get(0))?)).collect()
    }

    /// The deposit that was seen first of those that stand there; `status` is the word of its stage.
    pub async fn oldest(&self, status: &str) -> Result<Option<DepositRow>, ViewError> {
        let found = sqlx::query("SELECT body FROM deposits WHERE status = ?1 ORDER BY seq LIMIT 1")
            .bind(status)
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.map(|row| serde_json::from_str(row.get(0))).transpose()?)
    }

    /// Of the deposits that wait for the desk to act, the one that has stood longest where it stands, to the second.
    pub async fn waits_longest(&self) -> Result<Option<DepositRow>, ViewError> {
        let found = sqlx::query(WAITS_LONGEST).fetch_optional(&self.pool).await?;
        Ok(found.map(|row| serde_json::from_str(row.get(0))).transpose()?)
    }

    /// Deposits, newest first.
    pub async fn deposits(&self, filter: &Filter) -> Result<Vec<DepositRow>, ViewError> {
        let before = filter.before.map_or(i64::MAX, |before| before as i64);
        let rows = sqlx::query(listing(filter))
            .bind(before)
            .bind(filter.rows_max.min(PAGE_ROWS_MAX))
            .bind(filter.status.as_deref())
            .bind(filter.target.as_deref())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row.get(0))?)).collect()
    }

    /// The minutes from this one on in which something moved, so many of them, each with its number since 1970-01-01 UTC. One may
    /// come in several pieces.
    pub async fn pace(&self, from_minute: i64, minutes: u32) -> Result<Vec<(i64, Pace)>, ViewError> {
        let rows =
            sqlx::query("SELECT minute, body FROM pace WHERE minute >= ?1 AND minute < ?2 ORDER BY minute LIMIT ?3")
                .bind(from_minute)
                .bind(from_minute + i64::from(minutes))
                .bind(PACE_ROWS_MAX)
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(|row| Ok((row.get(0), serde_json::from_str(row.get(1))?))).collect()
    }

    /// A customer's deposit addresses, oldest first.
    pub async fn bindings_of(&self, target: &str) -> Result<Vec<BindingRow>, ViewError> {
        let rows = sqlx::query(
            "SELECT seq, address, target, number, method, bound_at FROM bindings WHERE target = ?1 ORDER BY seq LIMIT ?2",
        )
        .bind(target)
        .bind(PAGE_ROWS_MAX)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(binding).collect())
    }

    /// All deposit addresses, newest first.
    pub async fn bindings(&self, before: Option<Position>, rows_max: u32) -> Result<Vec<BindingRow>, ViewError> {
        let rows = sqlx::query(
            "SELECT seq, address, target, number, method, bound_at FROM bindings WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
        )
        .bind(before.map_or(i64::MAX, |before| before as i64))
        .bind(rows_max.min(PAGE_ROWS_MAX))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(binding).collect())
    }
}

/// In the words of the index of those that wait, without which it is not used.
const WAITS_LONGEST: &str = "SELECT body FROM deposits WHERE +status IN ('wait_decide', 'wait_buy', 'wait_send')
     ORDER BY json_extract(body, '$.stands_since') LIMIT 1";

/// The query that walks the index which fits best; a unary plus keeps SQLite from choosing the other one.
fn listing(filter: &Filter) -> &'static str {
    match (&filter.trouble, &filter.target, &filter.status) {
        (Some(Trouble::Errored), _, _) => {
            "SELECT body FROM deposits WHERE status = 'held' AND seq < ?1
             AND body ->> 'held' NOT IN ('below_minimum', 'above_maximum', 'nothing_to_send', 'payout_above_maximum')
             AND body ->> '$.held.operator' IS NULL
             AND (?3 IS NULL OR status = ?3) AND (?4 IS NULL OR target = ?4) ORDER BY seq DESC LIMIT ?2"
        }
        (None, Some(_), Some(_)) => {
            "SELECT body FROM deposits WHERE target = ?4 AND +status = ?3 AND seq < ?1 ORDER BY seq DESC LIMIT ?2"
        }
        (None, Some(_), None) => "SELECT body FROM deposits WHERE target = ?4 AND seq < ?1 ORDER BY seq DESC LIMIT ?2",
        (None, None, Some(_)) => "SELECT body FROM deposits WHERE status = ?3 AND seq < ?1 ORDER BY seq DESC LIMIT ?2",
        (None, None, None) => "SELECT body FROM deposits WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
    }
}

fn binding(row: &sqlx::sqlite::SqliteRow) -> BindingRow {
    BindingRow {
        seq: row.get::<i64, _>(0) as Position,
        address: row.get(1),
        target: row.get(2),
        number: row.get(3),
        method: row.get(4),
        bound_at: DateTime::from_timestamp_micros(row.get(5)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::super::database::{self, Database, Place};
    use super::*;
    use crate::projection::views::names::ON_ADDRESS;

    /// How SQLite goes about it.
    fn plan(database: &Database, sql: &str) -> Vec<String> {
        let mut statement = database.connection().prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let bound = params![None::<i64>, 10, None::<String>, None::<String>];
        let bound = &bound[..statement.parameter_count()];
        let lines = statement.query_map(bound, |row| row.get(3)).unwrap();
        lines.map(Result::unwrap).collect()
    }

    /// A page costs what is on it, however many deposits there are; what a customer has that stands elsewhere is passed over in
    /// the index.
    #[test]
    fn every_list_walks_an_index_in_its_order() {
        let mut database = Database::scratch().unwrap();
        database
            .write(|transaction| {
                database::create(transaction, Projection::Deposits, Place::Live)?;
                database::index(transaction, Projection::Deposits, Place::Live, 1)
            })
            .unwrap();
        let word = || Some(String::new());
        let filter = |status, target| Filter { status, target, ..Filter::default() };
        for (sql, expected) in [
            (listing(&filter(None, None)), "INTEGER PRIMARY KEY (rowid<?)"),
            (listing(&filter(word(), None)), "INDEX deposits_status_g1 (status=? AND seq<?)"),
            (listing(&filter(None, word())), "INDEX deposits_target_g1 (target=? AND seq<?)"),
            (listing(&filter(word(), word())), "INDEX deposits_target_g1 (target=? AND seq<?)"),
            (ON_ADDRESS, "INDEX deposits_address_g1 (address=?)"),
        ] {
            assert_eq!(plan(&database, sql), [format!("SEARCH deposits USING {expected}")], "{sql}");
        }
        assert_eq!(plan(&database, WAITS_LONGEST), ["SCAN deposits USING INDEX deposits_waiting_g1"]);
        let of_target: String = database
            .connection()
            .query_row("SELECT sql FROM sqlite_schema WHERE name = 'deposits_target_g1'", [], |row| row.get(0))
            .unwrap();
        assert!(of_target.contains("(target, seq, status)"), "{of_target}");
    }
    #[test]
    fn who_waits_longest_is_not_who_was_seen_first_nor_who_waits_for_somebody_else() {
        let mut database = Database::scratch().unwrap();
        let rows = "INSERT INTO deposits VALUES
            (1, 'a', NULL, '', 'wait_send', '{\"stands_since\":\"2026-11-22T12:00:00.5Z\"}'),
            (2, 'b', NULL, '', 'held', '{\"stands_since\":\"2026-11-20T12:00:00Z\"}'),
            (3, 'c', NULL, '', 'wait_buy', '{\"stands_since\":\"2026-11-22T08:00:00Z\"}')";
        database
            .write(|transaction| {
                database::create(transaction, Projection::Deposits, Place::Live)?;
                transaction.execute_batch(rows)?;
                database::index(transaction, Projection::Deposits, Place::Live, 1)
            })
            .unwrap();
        let found: String = database.connection().query_row(WAITS_LONGEST, [], |row| row.get(0)).unwrap();
        assert!(found.contains("T08:00:00Z"), "{found}");
    }
}
