//! Where the job keeps how far each sink is: SQLite or PostgreSQL, the same tables in both.
//!
//! A sink is served by whoever has its lease. Taking one, and every change of a sink afterwards, is one statement that names the
//! holder, so of two runs at once one gets it, and one whose lease ended changes nothing any more. A change is on the disk when
//! the call returns. A database that a newer version made is refused before anything in it is touched.

mod database;
mod location;
mod migrations;

use std::time::Duration;

use sqlx::Row;
use uuid::Uuid;

use super::feed::{Place, Told};
use super::progress::{Progress, Retry, Stopped};
use database::{Database, on};
pub use location::{Location, LocationError};

/// How long the database may take for one call.
const PATIENCE: Duration = Duration::from_secs(10);

/// A lease that ends later than this from now was taken by a clock that was ahead, in milliseconds, and is none.
const LEASE_AHEAD_MS_MAX: u64 = 600_000;

/// Why the database does not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It says no.
    #[error("the job's database: {0}")]
    Database(#[from] sqlx::Error),
    /// It does not answer in time.
    #[error("the job's database does not answer in time")]
    TooSlow,
    /// Written by a newer version.
    #[error(
        "the job's database was made by a newer version (its schema is {found}, this version knows {known}); run that one"
    )]
    Newer {
        /// The version in it.
        found: i64,
        /// The newest there is here.
        known: i64,
    },
    /// Somebody else's file.
    #[error("the job's database is another program's: it has tables, and none of the job's")]
    Foreign,
    /// A row in it cannot be read.
    #[error("the job's database is damaged: {0}")]
    Damaged(&'static str),
}

/// A sink as the job is asked to serve it.
#[derive(Debug, Clone, Copy)]
pub struct Known<'k> {
    /// Its name, by which it is found again.
    pub name: &'k str,
    /// What its address comes to: with another one, what is known of the receiver is forgotten, and its place stays.
    pub address_sha256: &'k str,
    /// When it is new: told from this time on (in milliseconds since 1970), or from the beginning.
    pub since_ms: Option<i64>,
}

/// The right to serve a sink for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The run that has it.
    pub owner: Uuid,
    /// From when on somebody else may, in milliseconds since 1970.
    pub until_ms: u64,
}

/// Whether a change took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is on the disk.
    Yes,
    /// Nothing was changed: the lease is somebody else's by now.
    Lost,
}

/// What a sink is not told.
#[derive(Debug, Clone, Copy)]
pub struct GivenUp<'g> {
    /// Which.
    pub told: &'g Told,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// After how many attempts.
    pub attempts: u16,
    /// What went wrong.
    pub error: Option<&'g str>,
}

/// The database.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

const INSERT: &str = "INSERT INTO millrace_job_sinks
    (name, address_sha256, page, since_ms, attempts, failures, not_before_ms, lease_until_ms)
    VALUES ($1, $2, '', $3, 0, 0, 0, 0) ON CONFLICT (name) DO NOTHING";
const TAKE: &str = "UPDATE millrace_job_sinks SET lease_owner = $1, lease_until_ms = $2
    WHERE name = $3 AND (lease_owner IS NULL OR lease_until_ms <= $4 OR lease_until_ms > $5)
    RETURNING address_sha256, page, last_id, since_ms, failing_id, attempts, failures, not_before_ms, error, stopped";
const KEEP: &str = "UPDATE millrace_job_sinks SET address_sha256 = $1, page = $2, last_id = $3, since_ms = $4,
    failing_id = $5, attempts = $6, failures = $7, not_before_ms = $8, error = $9, stopped = $10, lease_until_ms = $11
    WHERE name = $12 AND lease_owner = $13";
const GIVE_UP: &str = "INSERT INTO millrace_job_given_up (sink, notification, kind, given_up_ms, attempts, error)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (sink, notification) DO UPDATE SET given_up_ms = $4, attempts = $5, error = $6";
const RELEASE: &str =
    "UPDATE millrace_job_sinks SET lease_owner = NULL, lease_until_ms = 0 WHERE name = $1 AND lease_owner = $2";

/// One `UPDATE`, whatever executes it.
macro_rules! keep {
    ($sink:expr, $progress:expr, $lease:expr, $executor:expr) => {{
        let (sink, progress, lease) = ($sink, $progress, $lease);
        let retry = progress.retry.as_ref();
        let done = sqlx::query(KEEP)
            .bind(sink.address_sha256)
            .bind(progress.place.cursor.as_str())
            .bind(progress.last.map(text))
            .bind(progress.place.since_ms)
            .bind(retry.map(|retry| text(retry.id)))
            .bind(retry.map_or(0, |retry| i64::from(retry.attempts)))
            .bind(retry.map_or(0, |retry| i64::from(retry.failures)))
            .bind(retry.map_or(0, |retry| number(retry.not_before_ms)))
            .bind(retry.and_then(|retry| retry.error.as_deref()))
            .bind(progress.stopped.map(Stopped::word))
            .bind(number(lease.until_ms))
            .bind(sink.name)
            .bind(text(lease.owner))
            .execute($executor)
            .await?;
        Ok(if done.rows_affected() == 1 { Kept::Yes } else { Kept::Lost })
    }};
}

/// A row of [`TAKE`], of either database.
macro_rules! stored {
    ($row:expr) => {{
        let row = $row;
        Stored {
            address_sha256: row.try_get(0)?,
            page: row.try_get(1)?,
            last_id: row.try_get(2)?,
            since_ms: row.try_get(3)?,
            failing_id: row.try_get(4)?,
            attempts: row.try_get(5)?,
            failures: row.try_get(6)?,
            not_before_ms: row.try_get(7)?,
            error: row.try_get(8)?,
            stopped: row.try_get(9)?,
        }
    }};
}

impl Store {
    /// Opens it and brings it forward; makes it where it is not there yet.
    pub async fn open(location: &Location) -> Result<Self, StoreError> {
        let database = in_time(Database::open(location)).await?;
        in_time(migrations::run(&database)).await?;
        Ok(Self { database })
    }

    /// Takes a sink's lease; nothing when somebody else has it now.
    pub async fn take(&self, sink: &Known<'_>, lease: Lease, now_ms: u64) -> Result<Option<Progress>, StoreError> {
        let taking = async {
            on!(&self.database, |pool| {
                let made = sqlx::query(INSERT).bind(sink.name).bind(sink.address_sha256).bind(sink.since_ms);
                made.execute(pool).await?;
                let taken = sqlx::query(TAKE).bind(text(lease.owner)).bind(number(lease.until_ms)).bind(sink.name);
                // All of it is read, so that it is committed when it ends.
                let taken = taken.bind(number(now_ms)).bind(number(now_ms.saturating_add(LEASE_AHEAD_MS_MAX)));
                let mut rows = taken.fetch_all(pool).await?;
                rows.pop()
                    .map(|row| -> Result<_, StoreError> {
                        let stored: Stored = stored!(row);
                        stored.progress(sink.address_sha256)
                    })
                    .transpose()
            })
        };
        in_time(taking).await
    }

    /// Stores how far a sink is, and that its lease goes on.
    pub async fn keep(&self, sink: &Known<'_>, progress: &Progress, lease: Lease) -> Result<Kept, StoreError> {
        let keeping = async { on!(&self.database, |pool| keep!(sink, progress, lease, pool)) };
        in_time(keeping).await
    }

    /// The same, with a notification that is given up by it: both or neither.
    pub async fn give_up(
        &self,
        sink: &Known<'_>,
        progress: &Progress,
        lease: Lease,
        given_up: GivenUp<'_>,
    ) -> Result<Kept, StoreError> {
        let giving_up = async {
            on!(&self.database, |pool| {
                let mut transaction = pool.begin().await?;
                // First, so that it has the row, and SQLite's one writer, before anything else.
                let kept: Result<Kept, StoreError> = keep!(sink, progress, lease, &mut *transaction);
                if kept? == Kept::Lost {
                    return Ok(Kept::Lost);
                }
                sqlx::query(GIVE_UP)
                    .bind(sink.name)
                    .bind(text(given_up.told.outgoing.id))
                    .bind(given_up.told.outgoing.kind.to_string())
                    .bind(number(given_up.at_ms))
                    .bind(i64::from(given_up.attempts))
                    .bind(given_up.error)
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
                Ok(Kept::Yes)
            })
        };
        in_time(giving_up).await
    }

    /// Gives the lease back.
    pub async fn release(&self, name: &str, owner: Uuid) -> Result<(), StoreError> {
        let releasing = async {
            on!(&self.database, |pool| {
                sqlx::query(RELEASE).bind(name).bind(text(owner)).execute(pool).await?;
                Ok(())
            })
        };
        in_time(releasing).await
    }

    /// Closes its connection.
    pub async fn close(self) {
        on!(&self.database, |pool| pool.close().await);
    }
}

struct Stored {
    address_sha256: String,
    page: String,
    last_id: Option<String>,
    since_ms: Option<i64>,
    failing_id: Option<String>,
    attempts: i64,
    failures: i64,
    not_before_ms: i64,
    error: Option<String>,
    stopped: Option<String>,
}

impl Stored {
    fn progress(self, address_sha256: &str) -> Result<Progress, StoreError> {
        let is_same_receiver = self.address_sha256 == address_sha256;
        let last = self.last_id.as_deref().map(id).transpose()?;
        let retry = self.failing_id.as_deref().map(id).transpose()?.map(|id| Retry {
            id,
            attempts: u16::try_from(self.attempts).unwrap_or(u16::MAX),
            failures: u32::try_from(self.failures).unwrap_or(u32::MAX),
            not_before_ms: u64::try_from(self.not_before_ms).unwrap_or(0),
            error: self.error,
        });
        let word = |word: String| Stopped::of(&word).ok_or(StoreError::Damaged("why a sink is stopped is no reason"));
        let stopped = self.stopped.map(word).transpose()?;
        let place = Place { cursor: self.page, since_ms: self.since_ms };
        let mut progress = Progress { place, last, retry, stopped };
        if !is_same_receiver {
            progress.resume();
        }
        Ok(progress)
    }
}

fn id(text: &str) -> Result<Uuid, StoreError> {
    text.parse().map_err(|_| StoreError::Damaged("a notification's id is none"))
}

fn text(id: Uuid) -> String {
    id.hyphenated().to_string()
}

fn number(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(StoreError::TooSlow))
}
