//! Reading the attempts beside their writer: for pages, and to find what to send again.

use std::path::Path;

use millrace_protocols::delivery::cursor::Position;
use rusqlite::{Connection, OpenFlags, Row, params};
use uuid::Uuid;

use super::{OpenError, number_of};

/// The most rows that are read at once.
pub const ROWS_MAX: usize = 1_000;

/// An attempt as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its number in the file.
    pub number: i64,
    /// Of which notification.
    pub position: Position,
    /// That notification's id, where it was known.
    pub notification: Option<Uuid>,
    /// How many attempts it was with this one.
    pub attempt: u16,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// `delivered`; `status`; `refused` for now, `rejected` as this one message, `gone` as its receiver; or why there was no
    /// answer.
    pub class: String,
    /// The answer's status.
    pub status: Option<u16>,
    /// The answer's body, cut.
    pub answer: Option<Vec<u8>>,
    /// What went wrong, for a person.
    pub error: Option<String>,
    /// When it is made again, in milliseconds since 1970.
    pub next_ms: Option<u64>,
    /// The process that made it.
    pub epoch: i64,
    /// `given_up` or `aborted` where the notification was settled by it without having arrived.
    pub fate: Option<String>,
}

/// What was tried to deliver one notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Which.
    pub position: Position,
    /// The newest attempts, each with the endpoint that it was at.
    pub attempts: Vec<(Uuid, Attempt)>,
    /// How many there are before them.
    pub older: usize,
}

/// The newest attempts at everybody of one notification. The numbers are in the index: of those that are left out no row is read.
pub(super) const OF_NOTIFICATION: &str =
    "SELECT a.number, a.position, a.notification, a.attempt, a.started_ms, a.took_us, a.class, a.status, a.answer, a.error,
            a.next_ms, a.epoch, a.fate, s.id
     FROM attempts a JOIN subscriptions s ON s.number = a.subscription
     WHERE a.number IN (SELECT number FROM attempts WHERE position = ?1 ORDER BY number DESC LIMIT ?2)
     ORDER BY a.number DESC";
/// How many there are of them.
pub(super) const COUNT_OF_NOTIFICATION: &str = "SELECT count(*) FROM attempts WHERE position = ?1";
/// Whether there is one of a notification at an endpoint.
pub(super) const IS_TRIED: &str = "SELECT 1 FROM attempts WHERE position = ?1 AND subscription = ?2 LIMIT 1";

/// A reader of the file.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

impl Reader {
    /// Opens a file that a writer made.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |source| OpenError::Database { path: path.to_owned(), source };
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA busy_timeout = 5000;").map_err(failed)?;
        Ok(Self { connection })
    }

    /// The attempts at an endpoint of notifications in a range of positions, at most [`ROWS_MAX`].
    pub fn attempts(&self, endpoint: Uuid, from: Position, through: Position) -> rusqlite::Result<Vec<Attempt>> {
        let Some(number) = number_of(&self.connection, endpoint)? else { return Ok(Vec::new()) };
        let mut statement = self.connection.prepare_cached(
            "SELECT number, position, notification, attempt, started_ms, took_us, class, status, answer, error, next_ms,
                    epoch, fate
             FROM attempts WHERE subscription = ?1 AND position BETWEEN ?2 AND ?3
             ORDER BY position, number LIMIT ?4",
        )?;
        statement.query_map(params![number, from, through, ROWS_MAX], attempt)?.collect()
    }

    /// The attempts at an endpoint of notifications before a position, the newest first, at most `rows_max`.
    pub fn newest(&self, endpoint: Uuid, before: Position, rows_max: usize) -> rusqlite::Result<Vec<Attempt>> {
        let Some(number) = number_of(&self.connection, endpoint)? else { return Ok(Vec::new()) };
        let mut statement = self.connection.prepare_cached(
            "SELECT number, position, notification, attempt, started_ms, took_us, class, status, answer, error, next_ms,
                    epoch, fate
             FROM attempts WHERE subscription = ?1 AND position < ?2
             ORDER BY position DESC, number DESC LIMIT ?3",
        )?;
        statement.query_map(params![number, before, rows_max.min(ROWS_MAX)], attempt)?.collect()
    }

    /// The attempts at anybody of the notifications of these positions, the newest of each first: at most so many of each, and at
    /// most so many together, of which the positions that come first get theirs.
    pub fn of_notifications(
        &self,
        positions: &[Position],
        (of_each_max, rows_max): (usize, usize),
    ) -> rusqlite::Result<Vec<Tried>> {
        let mut left = rows_max.min(ROWS_MAX);
        let of_one = |position: &Position| {
            let tried = self.of_notification(*position, left.min(of_each_max))?;
            left -= tried.attempts.len();
            Ok(tried)
        };
        positions.iter().map(of_one).collect()
    }

    fn of_notification(&self, position: Position, rows_max: usize) -> rusqlite::Result<Tried> {
        let mut statement = self.connection.prepare_cached(OF_NOTIFICATION)?;
        let endpoint = |row: &Row<'_>| Ok((Uuid::from_bytes(row.get(13)?), attempt(row)?));
        let attempts = statement.query_map(params![position, rows_max], endpoint)?;
        let attempts = attempts.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut statement = self.connection.prepare_cached(COUNT_OF_NOTIFICATION)?;
        let count: usize = statement.query_row([position], |row| row.get(0))?;
        Ok(Tried { position, older: count.saturating_sub(attempts.len()), attempts })
    }

    /// Whether an attempt at an endpoint of the notification of this position is kept.
    pub fn is_tried(&self, endpoint: Uuid, position: Position) -> rusqlite::Result<bool> {
        let Some(number) = number_of(&self.connection, endpoint)? else { return Ok(false) };
        self.connection.prepare_cached(IS_TRIED)?.exists(params![position, number])
    }

    /// Positions that were given up while others arrived and did not arrive afterwards, the first ones, at most [`ROWS_MAX`].
    pub fn given_up(&self, endpoint: Uuid) -> rusqlite::Result<Vec<Position>> {
        let Some(number) = number_of(&self.connection, endpoint)? else { return Ok(Vec::new()) };
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT position FROM attempts AS given_up
             WHERE subscription = ?1 AND fate = 'given_up' AND NOT EXISTS (
                 SELECT 1 FROM attempts AS later WHERE later.position = given_up.position
                 AND later.subscription = ?1 AND later.class = 'delivered' AND later.number > given_up.number)
             ORDER BY position LIMIT ?2",
        )?;
        statement.query_map(params![number, ROWS_MAX], |row| row.get(0))?.collect()
    }

    /// Positions in a range of which no attempt arrived, at most [`ROWS_MAX`]: what to send to recover it.
    pub fn undelivered(&self, endpoint: Uuid, from: Position, through: Position) -> rusqlite::Result<Vec<Position>> {
        let Some(number) = number_of(&self.connection, endpoint)? else { return Ok(Vec::new()) };
        let mut statement = self.connection.prepare_cached(
            "SELECT position FROM attempts WHERE subscription = ?1 AND position BETWEEN ?2 AND ?3
             GROUP BY position HAVING sum(class = 'delivered') = 0 ORDER BY position LIMIT ?4",
        )?;
        statement.query_map(params![number, from, through, ROWS_MAX], |row| row.get(0))?.collect()
    }
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        number: row.get(0)?,
        position: row.get(1)?,
        notification: row.get::<_, Option<[u8; 16]>>(2)?.map(Uuid::from_bytes),
        attempt: row.get(3)?,
        started_ms: row.get(4)?,
        took_us: row.get(5)?,
        class: row.get(6)?,
        status: row.get(7)?,
        answer: row.get(8)?,
        error: row.get(9)?,
        next_ms: row.get(10)?,
        epoch: row.get(11)?,
        fate: row.get(12)?,
    })
}
