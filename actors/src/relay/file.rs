//! `relay.db`: how far the queue was read, what of it is to be delivered, and the keys that tell repetitions.
//!
//! All of a batch is committed at once: the offset after it, its messages and their keys. So whatever ends the process, a record
//! was taken with all that follows from it or not at all, and is read again in the second case alone. It is no part of the event
//! log: these messages are other people's, large, and of no interest after a day.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_model::ids::Hash32;
use millrace_protocols::delivery::cursor::Position;
use millrace_protocols::relay::{KEY_BYTES_MAX, Relayed};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use uuid::Uuid;

/// How much waits to be delivered or to be forgotten, in bytes of messages; while there is more, nothing is read.
pub const BYTES_MAX: u64 = 1_024 * 1_024 * 1_024;
/// What a message counts for besides its body: the rows and the longest of keys.
const ROWS_BYTES: u64 = 128 + KEY_BYTES_MAX as u64;
/// How often what is too old is deleted.
const PRUNE_EVERY_MS: u64 = 10_000;
/// How many rows of each kind at once.
const PRUNED_AT_ONCE: usize = 4_096;

/// What was seen so much later than now was seen by a clock that was wrong, and is forgotten.
const SET_BACK_MS_MAX: u64 = 8 * 86_400_000;

const MIGRATIONS: &[&str] = &[include_str!("../../../migrations/sqlite/relay/0001_relay.sql")];

/// How long things are remembered.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// For how long after it was last seen a key tells a repetition.
    pub window: Duration,
    /// How long messages are kept: who is paused for longer does not get them.
    pub kept: Duration,
    /// [`BYTES_MAX`], or fewer.
    pub bytes_max: u64,
}

/// What is read: a topic, under a reader's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The reader's name; under another one it reads from the queue's end.
    pub reader: String,
    /// The topic.
    pub topic: String,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// SQLite says no.
    #[error("{path}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A setting that durability rests on did not take.
    #[error("{0}: what was read cannot be made durable there")]
    Unsafe(PathBuf),
    /// Written by a newer version of the desk.
    #[error("{0} was written by a newer version; start that one again")]
    Newer(PathBuf),
    /// Somebody else read on meanwhile: nothing is taken twice.
    #[error("partition {partition} was read on by somebody else")]
    Moved {
        /// Which one.
        partition: i32,
    },
    /// There is too much in it.
    #[error("as much waits to be delivered as may; nothing is read until some of it is too old")]
    Full,
}

/// What was read of a partition.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Which one.
    pub partition: i32,
    /// Where that began.
    pub from: i64,
    /// Where the next one begins.
    pub next: i64,
    /// The records that are notifications, each with its offset.
    pub messages: Vec<(i64, Relayed)>,
}

/// What a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// To be delivered.
    pub accepted: u64,
    /// Seen before.
    pub repeated: u64,
    /// Nobody wants to hear of them.
    pub undeliverable: u64,
}

/// The file, for its one writer.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    connection: Connection,
    memory: Memory,
    head: watch::Sender<Position>,
    bytes: u64,
    pruned_ms: u64,
}

impl File {
    /// Opens it, or makes it.
    pub fn open(path: &Path, memory: Memory) -> Result<Self, FileError> {
        let failed = |source| FileError::Database { path: path.to_owned(), source };
        let mut connection = Connection::open(path).map_err(failed)?;
        let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;";
        connection.execute_batch(settings).map_err(failed)?;
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(failed)?;
        let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).map_err(failed)?;
        if (mode.as_str(), synchronous) != ("wal", 2) {
            return Err(FileError::Unsafe(path.to_owned()));
        }
        migrate(&mut connection, path)?;
        let head = watch::Sender::new(head(&connection).map_err(failed)?);
        let bytes = bytes(&connection).map_err(failed)?;
        Ok(Self { path: path.to_owned(), connection, memory, head, bytes, pruned_ms: 0 })
    }

    /// The last position there is, as it changes.
    pub fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    /// Which record is next, of each partition that was begun. What a commit of an incarnation before came to is known with it:
    /// the head is read after the offsets.
    pub fn offsets(&self, place: &Place) -> Result<BTreeMap<i32, i64>, FileError> {
        let read = || {
            let mut statement = self
                .connection
                .prepare_cached("SELECT partition, next FROM offsets WHERE reader = ?1 AND topic = ?2")?;
            let rows = statement.query_map([&place.reader, &place.topic], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<BTreeMap<i32, i64>>>()
        };
        let offsets = read().map_err(|source| self.failed(source))?;
        let newest = head(&self.connection).map_err(|source| self.failed(source))?;
        self.head.send_if_modified(|head| std::mem::replace(head, newest) != newest);
        Ok(offsets)
    }

    /// Begins partitions at these offsets, those that were begun before excepted.
    pub fn begin(&mut self, place: &Place, partitions: &BTreeMap<i32, i64>) -> Result<(), FileError> {
        self.write(|transaction, _| {
            for (partition, next) in partitions {
                transaction
                    .prepare_cached(
                        "INSERT INTO offsets (reader, topic, partition, next) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![place.reader, place.topic, partition, next])?;
            }
            Ok(())
        })
    }

    /// Goes on elsewhere than where it was: nothing of what is in between is taken.
    pub fn skip(&mut self, place: &Place, partition: i32, (from, next): (i64, i64)) -> Result<(), FileError> {
        let skipped = Batch { partition, from, next, messages: Vec::new() };
        match self.write(|transaction, _| advance(transaction, place, &skipped))? {
            0 => Err(FileError::Moved { partition }),
            _ => Ok(()),
        }
    }

    /// Takes a batch: whole and for good when this returns, or not at all.
    pub fn take(
        &mut self,
        place: &Place,
        batch: &Batch,
        wanted: &HashSet<Hash32>,
        now_ms: u64,
    ) -> Result<Taken, FileError> {
        self.prune(now_ms)?;
        let more: u64 = batch.messages.iter().map(|(_, relayed)| bytes_of(relayed)).sum();
        if self.bytes > 0 && self.bytes + more > self.memory.bytes_max {
            return Err(FileError::Full);
        }
        let took = self.write(|transaction, memory| {
            if advance(transaction, place, batch)? == 0 {
                return Ok(None);
            }
            let mut took = Took::default();
            for (offset, relayed) in &batch.messages {
                let id = id(place, (batch.partition, *offset), relayed);
                took.one(transaction, (id, relayed), wanted, (memory.window_ms(), now_ms))?;
            }
            Ok(Some(took))
        })?;
        let Took { taken, bytes, last } = took.ok_or(FileError::Moved { partition: batch.partition })?;
        self.bytes += bytes;
        if let Some(last) = last {
            self.head.send_replace(last);
        }
        Ok(taken)
    }

    /// After which position each of these subscriptions is told: the same for as long as it is asked for. Others' are forgotten.
    pub fn beginnings(&mut self, subscriptions: &[Uuid]) -> Result<BTreeMap<Uuid, Position>, FileError> {
        let after = *self.head.borrow();
        self.write(|transaction, _| {
            let mut known = beginnings(transaction)?;
            let wanted: HashSet<&Uuid> = subscriptions.iter().collect();
            for over in known.keys().filter(|id| !wanted.contains(id)) {
                transaction
                    .prepare_cached("DELETE FROM beginnings WHERE subscription = ?1")?
                    .execute([over.as_bytes()])?;
            }
            known.retain(|id, _| wanted.contains(id));
            for new in subscriptions {
                if known.contains_key(new) {
                    continue;
                }
                transaction
                    .prepare_cached("INSERT INTO beginnings (subscription, after) VALUES (?1, ?2)")?
                    .execute(params![new.as_bytes(), after])?;
                known.insert(*new, after);
            }
            Ok(known)
        })
    }

    /// Deletes some of what is too old, now and then; at once again while there was more of it, or is too much.
    fn prune(&mut self, now_ms: u64) -> Result<(), FileError> {
        let is_full = self.bytes > self.memory.bytes_max / 2;
        if now_ms < self.pruned_ms + PRUNE_EVERY_MS && now_ms >= self.pruned_ms && !is_full {
            return Ok(());
        }
        let (keys, messages) = self.write(|transaction, memory| {
            let keys = transaction
                .prepare_cached(
                    "DELETE FROM keys WHERE (customer, key) IN
                     (SELECT customer, key FROM keys WHERE seen_ms <= ?2 OR seen_ms > ?3 LIMIT ?1)",
                )?
                .execute(params![
                    PRUNED_AT_ONCE,
                    now_ms.saturating_sub(memory.window_ms()),
                    now_ms + SET_BACK_MS_MAX
                ])?;
            let kept = now_ms.saturating_sub(memory.kept_ms())..=now_ms + SET_BACK_MS_MAX;
            Ok((keys, forget(transaction, &kept)?))
        })?;
        self.bytes = self.bytes.saturating_sub(messages.iter().sum());
        if keys < PRUNED_AT_ONCE && messages.len() < PRUNED_AT_ONCE {
            self.pruned_ms = now_ms;
        }
        Ok(())
    }

    fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &Memory) -> rusqlite::Result<T>,
    ) -> Result<T, FileError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let written = transaction.and_then(|transaction| {
            let done = work(&transaction, &self.memory)?;
            transaction.commit()?;
            Ok(done)
        });
        written.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: rusqlite::Error) -> FileError {
        FileError::Database { path: self.path.clone(), source }
    }
}

impl Memory {
    fn window_ms(&self) -> u64 {
        u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX)
    }

    fn kept_ms(&self) -> u64 {
        u64::try_from(self.kept.as_millis()).unwrap_or(u64::MAX)
    }
}

/// What a batch came to so far.
#[derive(Default)]
struct Took {
    taken: Taken,
    bytes: u64,
    last: Option<Position>,
}

impl Took {
    fn one(
        &mut self,
        transaction: &Transaction<'_>,
        (id, relayed): (Uuid, &Relayed),
        wanted: &HashSet<Hash32>,
        (window_ms, now_ms): (u64, u64),
    ) -> rusqlite::Result<()> {
        if !wanted.contains(&relayed.customer) {
            self.taken.undeliverable += 1;
            return Ok(());
        }
        if is_repeated(transaction, relayed, window_ms, now_ms)? {
            self.taken.repeated += 1;
            return Ok(());
        }
        transaction
            .prepare_cached("INSERT INTO messages (id, customer, body, taken_ms) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![id.as_bytes(), relayed.customer.0, relayed.body.as_bytes(), now_ms])?;
        self.taken.accepted += 1;
        self.bytes += bytes_of(relayed);
        self.last = Some(transaction.last_insert_rowid().unsigned_abs());
        Ok(())
    }
}

/// Whether its key was seen lately; it is from now on. A clock that was set back shortens nothing.
fn is_repeated(
    transaction: &Transaction<'_>,
    relayed: &Relayed,
    window_ms: u64,
    now_ms: u64,
) -> rusqlite::Result<bool> {
    let seen_ms: Option<u64> = transaction
        .prepare_cached("SELECT seen_ms FROM keys WHERE customer = ?1 AND key = ?2")?
        .query_row(params![relayed.customer.0, relayed.key], |row| row.get(0))
        .optional()?;
    transaction
        .prepare_cached(
            "INSERT INTO keys (customer, key, seen_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET seen_ms = max(seen_ms, excluded.seen_ms)",
        )?
        .execute(params![relayed.customer.0, relayed.key, now_ms])?;
    Ok(seen_ms.is_some_and(|seen_ms| now_ms.saturating_sub(seen_ms) < window_ms))
}

/// How many rows say that the batch begins where the last one ended: one or none.
fn advance(transaction: &Transaction<'_>, place: &Place, batch: &Batch) -> rusqlite::Result<usize> {
    transaction
        .prepare_cached(
            "UPDATE offsets SET next = ?5 WHERE reader = ?1 AND topic = ?2 AND partition = ?3 AND next = ?4",
        )?
        .execute(params![place.reader, place.topic, batch.partition, batch.from, batch.next])
}

/// The same for the same record, whoever reads it how often; another one for another record, also in a topic that was made anew.
fn id(place: &Place, (partition, offset): (i32, i64), relayed: &Relayed) -> Uuid {
    let text = |text: &str| Sha256::digest(text.as_bytes());
    let hash = Sha256::new()
        .chain_update(text(&place.topic))
        .chain_update(partition.to_be_bytes())
        .chain_update(offset.to_be_bytes())
        .chain_update(text(&relayed.key))
        .chain_update(text(&relayed.body))
        .finalize();
    let bytes: [u8; 16] = hash[..16].try_into().expect("a hash has 32 bytes");
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn beginnings(transaction: &Transaction<'_>) -> rusqlite::Result<BTreeMap<Uuid, Position>> {
    let mut statement = transaction.prepare_cached("SELECT subscription, after FROM beginnings")?;
    let rows = statement.query_map([], |row| Ok((Uuid::from_bytes(row.get(0)?), row.get(1)?)))?;
    rows.collect()
}

/// The highest position ever given.
fn head(connection: &Connection) -> rusqlite::Result<Position> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'messages'";
    Ok(connection.query_row(sql, [], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// What a message counts for: its row and that of its key have something around them.
fn bytes_of(relayed: &Relayed) -> u64 {
    relayed.body.len() as u64 + ROWS_BYTES
}

fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT coalesce(sum(length(body)), 0) + count(*) * ?1 FROM messages";
    connection.query_row(sql, [ROWS_BYTES], |row| row.get(0))
}

/// Deletes some of the messages that were taken at another time than this; says what each of them counted for.
fn forget(transaction: &Transaction<'_>, kept: &RangeInclusive<u64>) -> rusqlite::Result<Vec<u64>> {
    let mut statement = transaction.prepare_cached(
        "DELETE FROM messages WHERE position IN (SELECT position FROM messages ORDER BY position LIMIT ?1)
         AND (taken_ms < ?2 OR taken_ms > ?3) RETURNING length(body) + ?4",
    )?;
    let given = params![PRUNED_AT_ONCE, kept.start(), kept.end(), ROWS_BYTES];
    let forgotten = statement.query_map(given, |row| row.get(0))?;
    forgotten.collect()
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), FileError> {
    let failed = |source| FileError::Database { path: path.to_owned(), source };
    let found: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let missing = MIGRATIONS.get(found..).ok_or_else(|| FileError::Newer(path.to_owned()))?;
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

#[cfg(test)]
mod tests;
