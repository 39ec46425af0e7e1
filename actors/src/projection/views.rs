//! The views' database: what the projection writes and what pages and APIs read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_model::ids::{DepositId, Position};
use millrace_model::ledger::Balances;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::{Notify, broadcast, watch};

use super::row::{DepositRow, UnreadableFrom};
use super::totals::Totals;

/// The newest shape of what is derived. A database with another is thrown away and made again from the log.
pub(super) const VERSION: i64 = 4;
/// Rows on a page at most.
pub const PAGE_ROWS_MAX: u32 = 200;
/// How many rows one statement writes.
const CHUNK_SIZES: [usize; 4] = [64, 16, 4, 1];
/// How many changes a slow watcher may be behind before it is told to look at everything again.
const CHANGES_MAX: usize = 4_096;

/// Why the views cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// SQLite says no.
    #[error("the views: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration did not apply.
    #[error("the views: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row holds what it should not.
    #[error("the views hold a row that makes no sense: {0}")]
    Row(#[from] serde_json::Error),
    /// An old file cannot be put aside.
    #[error("the views' file: {0}")]
    File(#[from] std::io::Error),
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
    pool: SqlitePool,
    position: watch::Sender<Position>,
    totals: watch::Sender<Arc<Totals>>,
    ledger: watch::Sender<Arc<LedgerCut>>,
    changes: broadcast::Sender<Change>,
    /// Rings when somebody waits for the views to catch up.
    awaited: Arc<Notify>,
}

fn migrator() -> Migrator {
    let step = |number, name: &'static str, sql| {
        Migration::new(number, name.into(), MigrationType::Simple, sqlx::SqlStr::from_static(sql), false)
    };
    Migrator::with_migrations(vec![
        step(1, "views", include_str!("../../../migrations/sqlite/views/0001_views.sql")),
        step(2, "totals", include_str!("../../../migrations/sqlite/views/0002_totals.sql")),
    ])
}

impl Views {
    /// Opens the views lazily: nothing is read or written before [`Views::prepare`].
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
            pool,
            position: watch::Sender::new(0),
            totals: watch::Sender::default(),
            ledger: watch::Sender::default(),
            changes: broadcast::Sender::new(CHANGES_MAX),
            awaited: Arc::default(),
        }
    }

    /// Brings the database to the newest shape and answers how far it is. Views of another shape, or ahead of the log,
    /// are emptied and begin again.
    pub async fn prepare(&self, log_head: Position) -> Result<Position, ViewError> {
        migrator().run(&self.pool).await?;
        // A commit of the incarnation before may still be under way: it is through, or came to nothing, before anything is
        // read. Sums and position of two moments would count deposits twice.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let found = sqlx::query("SELECT version, position FROM checkpoint WHERE name = 'deposits'")
            .fetch_optional(&mut *transaction)
            .await?;
        let position = match found {
            Some(row) if row.get::<i64, _>(0) == VERSION && (row.get::<i64, _>(1) as Position) <= log_head => {
                row.get::<i64, _>(1) as Position
            }
            Some(_) | None => {
                clear(&mut transaction).await?;
                0
            }
        };
        self.begin_at(position, transaction).await
    }

    /// Empties the views, to be made again from the log's beginning.
    pub(super) async fn begin_again(&self) -> Result<Position, ViewError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        clear(&mut transaction).await?;
        self.begin_at(0, transaction).await
    }

    /// Shows the sums of this moment, once it is sure to have been.
    async fn begin_at(
        &self,
        position: Position,
        mut transaction: Transaction<'_, Sqlite>,
    ) -> Result<Position, ViewError> {
        let totals = read_sums(&mut transaction, "deposits").await?;
        let balances = read_sums(&mut transaction, "ledger").await?;
        let unreadable = read_sums(&mut transaction, "unreadable").await?;
        transaction.commit().await?;
        self.totals.send_replace(Arc::new(totals));
        self.ledger.send_replace(Arc::new(LedgerCut { position, balances, unreadable }));
        self.position.send_replace(position);
        Ok(position)
    }

    /// Writes rows and how far they go, in one transaction, and tells those who watch.
    pub(super) async fn write(
        &self,
        deposits: &[DepositRow],
        bindings: &[BindingRow],
        totals: &Totals,
        ledger: LedgerCut,
    ) -> Result<(), ViewError> {
        let position = ledger.position;
        let mut transaction = self.pool.begin().await?;
        for rows in chunks(deposits) {
            write_deposits(&mut transaction, rows).await?;
        }
        for rows in chunks(bindings) {
            write_bindings(&mut transaction, rows).await?;
        }
        if !deposits.is_empty() || !bindings.is_empty() {
            write_sums(&mut transaction, "deposits", totals).await?;
        }
        if self.ledger.borrow().balances != ledger.balances {
            write_sums(&mut transaction, "ledger", &ledger.balances).await?;
        }
        if self.ledger.borrow().unreadable != ledger.unreadable {
            write_sums(&mut transaction, "unreadable", &ledger.unreadable).await?;
        }
        sqlx::query(
            "INSERT INTO checkpoint (name, version, position) VALUES ('deposits', ?1, ?2)
             ON CONFLICT (name) DO UPDATE SET version = excluded.version, position = excluded.position",
        )
        .bind(VERSION)
        .bind(position as i64)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.totals.send_if_modified(|shown| {
            let changed = **shown != *totals;
            if changed {
                *shown = Arc::new(totals.clone());
            }
            changed
        });
        self.ledger.send_replace(Arc::new(ledger));
        self.position.send_replace(position);
        let targets = deposits.iter().filter_map(|row| row.target.as_deref());
        for target in targets.chain(bindings.iter().map(|row| row.target.as_str())) {
            // Nobody watching is fine.
            let _ = self.changes.send(Change { target: target.into() });
        }
        Ok(())
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

    /// The deposits with these ids, in no order; those that the views do not have are left out.
    pub(super) async fn deposits_by_id(&self, ids: &[DepositId]) -> Result<Vec<DepositRow>, ViewError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query("SELECT body FROM deposits WHERE id IN (SELECT value FROM json_each(?1))")
            .bind(serde_json::to_string(ids)?)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row.get(0))?)).collect()
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

/// Cuts rows into pieces of a few sizes, so that a few statements, prepared once, write any number.
fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = CHUNK_SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (chunk, rest) = rows.split_at(size);
        rows = rest;
        Some(chunk)
    })
}

async fn read_sums<T: Default + DeserializeOwned>(views: &mut SqliteConnection, name: &str) -> Result<T, ViewError> {
    let body: Option<String> =
        sqlx::query_scalar("SELECT body FROM totals WHERE name = ?1").bind(name).fetch_optional(views).await?;
    Ok(body.map(|body| serde_json::from_str(&body)).transpose()?.unwrap_or_default())
}

async fn clear(views: &mut SqliteConnection) -> Result<(), ViewError> {
    for emptied in ["DELETE FROM deposits", "DELETE FROM bindings", "DELETE FROM totals", "DELETE FROM checkpoint"] {
        sqlx::query(emptied).execute(&mut *views).await?;
    }
    Ok(())
}

async fn write_sums(connection: &mut SqliteConnection, name: &str, sums: &impl Serialize) -> Result<(), ViewError> {
    sqlx::query(
        "INSERT INTO totals (name, body) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
    )
    .bind(name)
    .bind(serde_json::to_string(sums)?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_deposits(connection: &mut SqliteConnection, rows: &[DepositRow]) -> Result<(), ViewError> {
    let bodies: Vec<String> = rows.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    let mut query = QueryBuilder::new("INSERT INTO deposits (seq, id, target, address, status, body) ");
    query.push_values(rows.iter().zip(bodies), |mut values, (row, body)| {
        values
            .push_bind(row.seq as i64)
            .push_bind(row.id.to_string())
            .push_bind(row.target.as_deref())
            .push_bind(&row.address)
            .push_bind(&row.status)
            .push_bind(body);
    });
    query.push(" ON CONFLICT (seq) DO UPDATE SET status = excluded.status, body = excluded.body");
    query.build().execute(connection).await?;
    Ok(())
}

async fn write_bindings(connection: &mut SqliteConnection, rows: &[BindingRow]) -> Result<(), ViewError> {
    let mut query = QueryBuilder::new("INSERT INTO bindings (seq, address, target, number, method, bound_at) ");
    query.push_values(rows, |mut values, row| {
        values
            .push_bind(row.seq as i64)
            .push_bind(&row.address)
            .push_bind(&row.target)
            .push_bind(row.number)
            .push_bind(&row.method)
            .push_bind(row.bound_at.timestamp_micros());
    });
    query.push(" ON CONFLICT (seq) DO NOTHING");
    query.build().execute(connection).await?;
    Ok(())
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
    use super::*;

    /// A commit of the incarnation before, still under way when the next one begins.
    #[tokio::test]
    async fn sums_and_position_are_of_one_moment_whatever_is_still_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let views = Views::new(&folder.path().join("views.db"));
        assert_eq!(views.prepare(9).await.unwrap(), 0);
        let mut straggler = views.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let cut = format!("INSERT INTO checkpoint (name, version, position) VALUES ('deposits', {VERSION}, 7)");
        sqlx::raw_sql(sqlx::AssertSqlSafe(cut)).execute(&mut *straggler).await.unwrap();
        // Nothing is concluded from what stood there before; the wait may end early and proves nothing then.
        assert!(tokio::time::timeout(Duration::from_millis(200), views.prepare(9)).await.is_err());
        straggler.commit().await.unwrap();
        assert_eq!(views.prepare(9).await.unwrap(), 7);
    }
}
