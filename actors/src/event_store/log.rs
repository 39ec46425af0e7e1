//! The one writer of the log: many appends, one durable commit.
//!
//! Synchronous and single-threaded; [`super::writer`] gives it a thread, a simulation calls it directly.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, SubsecRound, Utc};
use millrace_model::event::{Batch, Event, PAYLOAD_MAX_BYTES, Recorded};
use millrace_model::ids::{CommandId, Position, StreamName, Version};
use rusqlite::{Connection, OptionalExtension, params};

use super::append::{Append, AppendError, Committed, Epoch, Expected, Origin, Progress, Write};
use super::chain_hash::{ChainHash, Link, snapshot_hash};
use super::disk::told;
use super::kinds::Noted;
use super::schema::{OpenError, open_writer};
use crate::canary::{self, Canary};

/// How many stream heads are remembered; beyond it all are forgotten and looked up again.
const HEADS_MAX: usize = 200_000;

/// The next epoch. One for all logs of the process: an owner from before the log was opened anew is never taken for one
/// from after it.
static OWNERS: AtomicU64 = AtomicU64::new(1);

/// The outcome of one append of a group, and the events of the whole group.
pub(super) type Outcome = Result<Committed, AppendError>;

/// Where a stream ends.
#[derive(Debug, Clone, Copy)]
struct Head {
    id: i64,
    version: Version,
    progress: Progress,
}

/// The log, opened for writing.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    connection: Connection,
    position: Position,
    tip: ChainHash,
    next_stream_id: i64,
    /// Whether the three above, and what is noted, are the log's; nothing is written before they are.
    is_end_known: bool,
    noted: Noted,
    /// Why the last attempt to write failed; nothing after one that did not.
    trouble: Option<String>,
    /// After a failed commit nothing is written by the same connection.
    is_trusted: bool,
    heads: HashMap<StreamName, Head>,
    epochs: HashMap<StreamName, Epoch>,
}

/// A stream as its owner takes it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// To be named in every append.
    pub epoch: Epoch,
    /// Where the stream stands.
    pub version: Version,
}

impl Log {
    /// Opens the log, creating or migrating it as needed.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let mut log = Self {
            path: path.to_owned(),
            connection: open_writer(path)?,
            position: 0,
            tip: ChainHash::GENESIS,
            next_stream_id: 1,
            is_end_known: false,
            noted: Noted::default(),
            trouble: None,
            is_trusted: true,
            heads: HashMap::new(),
            epochs: HashMap::new(),
        };
        log.read_tip().map_err(|source| OpenError::Database { path: path.to_owned(), source })?;
        Ok(log)
    }

    /// The newest position.
    pub fn head(&self) -> Position {
        self.position
    }

    /// Makes the caller the stream's owner; whoever owned it before is refused from now on.
    pub fn own(&mut self, stream: &StreamName) -> Result<Ownership, AppendError> {
        let version = self.head_of(stream).map_err(unavailable)?.map_or(0, |head| head.version);
        let epoch = Epoch(OWNERS.fetch_add(1, Ordering::Relaxed));
        self.epochs.insert(stream.clone(), epoch);
        Ok(Ownership { epoch, version })
    }

    /// Stores a group of appends in one durable commit; it ends when no append comes any more. Each has its own outcome:
    /// one that conflicts does not hold up the others. When the commit itself fails, all fail and nothing is stored.
    pub fn commit(
        &mut self,
        group: impl IntoIterator<Item = Append>,
        now: DateTime<Utc>,
    ) -> (Vec<Outcome>, Option<Batch>) {
        let mut size = 0;
        let mut group = group.into_iter().inspect(|_| size += 1);
        let end = (self.position, self.tip);
        let committed = self.know_end().and_then(|()| {
            self.try_commit(&mut group, now.trunc_subsecs(6)).map_err(|error| {
                (self.position, self.tip) = end;
                self.recover();
                told(&error, &self.path)
            })
        });
        self.trouble = committed.as_ref().err().cloned();
        match committed {
            Ok((outcomes, events)) => (outcomes, (!events.is_empty()).then(|| Arc::from(events))),
            Err(problem) => {
                group.for_each(drop);
                (vec![Err(AppendError::Unavailable(problem)); size], None)
            }
        }
    }

    /// Writes something besides events, all of it or nothing.
    pub(super) fn in_transaction<T>(
        &mut self,
        write: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, AppendError>>,
    ) -> Result<T, AppendError> {
        self.know_end().map_err(AppendError::Unavailable)?;
        let written = self.connection.execute_batch("BEGIN IMMEDIATE").and_then(|()| {
            let written = write(&self.connection)?;
            self.connection.execute_batch(if written.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
            Ok(written)
        });
        written.unwrap_or_else(|error| {
            self.recover();
            Err(AppendError::Unavailable(told(&error, &self.path)))
        })
    }

    /// Does what cannot be done within a transaction.
    pub(super) fn alone(&mut self, sql: &str) -> Result<(), AppendError> {
        self.know_end().map_err(AppendError::Unavailable)?;
        self.connection.execute_batch(sql).map_err(|error| AppendError::Unavailable(told(&error, &self.path)))
    }

    /// Why nothing could be written the last time; `None` when something could.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// After a failure, finds out whether the log can be written again, without waiting for somebody who has to: a commit
    /// that changes nothing.
    pub(super) fn probe(&mut self) {
        let probed = self.know_end().and_then(|()| {
            self.try_probe().map_err(|error| {
                self.recover();
                told(&error, &self.path)
            })
        });
        self.trouble = probed.err();
    }

    fn try_probe(&self) -> rusqlite::Result<()> {
        let schema: u32 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.connection.pragma_update(None, "user_version", schema)?;
        self.connection.execute_batch("COMMIT")
    }

    /// After a failed commit whose outcome could not be read. What it stored after all is for the followers to take in before
    /// anything comes after it.
    fn know_end(&mut self) -> Result<(), String> {
        if !self.is_trusted {
            self.connection = open_writer(&self.path).map_err(|error| error.to_string())?;
            (self.is_trusted, self.is_end_known) = (true, false);
        }
        if self.is_end_known {
            return Ok(());
        }
        let before = self.position;
        self.read_tip().map_err(|error| told(&error, &self.path))?;
        if self.position == before { Ok(()) } else { Err("an earlier commit was found to be stored".to_owned()) }
    }

    fn try_commit(
        &mut self,
        group: impl Iterator<Item = Append>,
        now: DateTime<Utc>,
    ) -> rusqlite::Result<(Vec<Outcome>, Vec<Recorded>)> {
        if !canary::lives(Canary::Autocommit) {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
        }
        let (mut events, mut outcomes) = (Vec::new(), Vec::new());
        for append in group {
            outcomes.push(self.store(append, now, &mut events)?);
        }
        match self.connection.execute_batch("COMMIT") {
            Err(_) if canary::lives(Canary::CommitUnchecked) => self.connection.execute_batch("ROLLBACK")?,
            Err(_) if canary::lives(Canary::Autocommit) => {}
            committed => committed?,
        }
        if self.heads.len() > HEADS_MAX {
            self.heads.clear();
        }
        Ok((outcomes, events))
    }

    /// After a failed commit nothing in memory can be trusted, and after a failed flush not even the connection.
    fn recover(&mut self) {
        self.heads.clear();
        self.is_end_known = false;
        let _ = self.connection.execute_batch("ROLLBACK");
        self.is_trusted = false;
        if let Ok(connection) = open_writer(&self.path) {
            (self.connection, self.is_trusted) = (connection, true);
        }
        if let Err(error) = self.read_tip() {
            tracing::error!(%error, "the log's end cannot be read");
        }
    }

    fn read_tip(&mut self) -> rusqlite::Result<()> {
        let tip = self
            .connection
            .query_row("SELECT position, hash FROM events ORDER BY position DESC LIMIT 1", [], |row| {
                Ok((row.get::<_, Position>(0)?, row.get::<_, [u8; 32]>(1)?))
            })
            .optional()?;
        (self.position, self.tip) = tip.map_or((0, ChainHash::GENESIS), |(position, hash)| (position, ChainHash(hash)));
        self.next_stream_id =
            self.connection.query_row("SELECT coalesce(max(id), 0) + 1 FROM streams", [], |row| row.get(0))?;
        self.noted = Noted::read(&self.connection)?;
        self.is_end_known = true;
        Ok(())
    }

    /// Checks everything before it writes anything, so that a refused append leaves no trace in the group.
    fn store(&mut self, append: Append, now: DateTime<Utc>, stored: &mut Vec<Recorded>) -> rusqlite::Result<Outcome> {
        if let Some(committed) = self.earlier_outcome(append.command_id)?
            && !canary::lives(Canary::NoDedup)
        {
            return Ok(Ok(committed));
        }
        if let Some(refusal) = self.refusal(&append)? {
            return Ok(Err(refusal));
        }
        let payloads: Vec<String> = append.writes.iter().flat_map(|write| &write.events).map(Event::payload).collect();
        if let Some(refusal) = too_large(&append, &payloads) {
            return Ok(Err(refusal));
        }
        let mut payloads = payloads.into_iter();
        let first = self.position + 1;
        let Append { command_id, command, body, causation, correlation, writes } = append;
        let command_hash = ChainHash::of_command(command, &body);
        for write in writes {
            let mut head = self.prepare_stream(&write)?;
            for event in write.events {
                head.version += 1;
                self.position += 1;
                let recorded = Recorded {
                    position: self.position,
                    stream: write.stream.clone(),
                    version: head.version,
                    event,
                    causation,
                    correlation,
                    command_id,
                    recorded_at: now,
                };
                let payload = payloads.next().expect("every event has its payload");
                self.insert_event(head.id, &recorded, &payload, &command_hash)?;
                stored.push(recorded);
            }
            if let Some(state) = &write.snapshot {
                self.insert_snapshot(head, &write.stream, state)?;
            }
            self.heads.insert(write.stream, head);
        }
        if canary::lives(Canary::NoDedup) && self.earlier_outcome(command_id)?.is_some() {
            return Ok(Ok(Committed { first, last: self.position, origin: Origin::New }));
        }
        self.connection
            .prepare_cached(
                "INSERT INTO commands (id, first_position, last_position, name, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![command_id.0, first, self.position, command, body])?;
        Ok(Ok(Committed { first, last: self.position, origin: Origin::New }))
    }

    fn earlier_outcome(&self, command_id: CommandId) -> rusqlite::Result<Option<Committed>> {
        self.connection
            .prepare_cached("SELECT first_position, last_position FROM commands WHERE id = ?1")?
            .query_row([command_id.0], |row| {
                Ok(Committed { first: row.get(0)?, last: row.get(1)?, origin: Origin::Repeated })
            })
            .optional()
    }

    fn refusal(&mut self, append: &Append) -> rusqlite::Result<Option<AppendError>> {
        for write in &append.writes {
            assert!(!write.events.is_empty(), "a write has events");
            let actual = self.head_of(&write.stream)?.map_or(0, |head| head.version);
            match write.expected {
                Expected::Exactly(expected) if expected != actual => {
                    return Ok(Some(AppendError::Conflict { stream: write.stream.clone(), expected, actual }));
                }
                Expected::Owner(epoch) if self.epochs.get(&write.stream) != Some(&epoch) => {
                    return Ok(Some(AppendError::Fenced { stream: write.stream.clone() }));
                }
                Expected::Exactly(_) | Expected::Owner(_) => {}
            }
            if let Some(refusal) = self.key_taken(write)? {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }

    fn key_taken(&self, write: &Write) -> rusqlite::Result<Option<AppendError>> {
        let Some(key) = &write.key else { return Ok(None) };
        let name: Option<String> = self
            .connection
            .prepare_cached("SELECT name FROM streams WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        Ok(name.filter(|name| *name != write.stream.to_string()).map(|name| match name.parse() {
            Ok(stream) => AppendError::KeyTaken { key: key.clone(), stream },
            Err(damaged) => AppendError::Unavailable(format!("{key}: {damaged}")),
        }))
    }

    fn head_of(&mut self, stream: &StreamName) -> rusqlite::Result<Option<Head>> {
        if let Some(head) = self.heads.get(stream) {
            return Ok(Some(*head));
        }
        let found = self
            .connection
            .prepare_cached(
                "SELECT s.id, s.open, (SELECT max(version) FROM events WHERE stream = s.id)
                 FROM streams s WHERE s.name = ?1",
            )?
            .query_row([stream.to_string()], |row| {
                let progress = if row.get::<_, i64>(1)? == 1 { Progress::Open } else { Progress::Finished };
                Ok(Head { id: row.get(0)?, version: row.get(2)?, progress })
            })
            .optional()?;
        if let Some(head) = found {
            self.heads.insert(stream.clone(), head);
        }
        Ok(found)
    }

    /// The stream's head, with its row as the write leaves it.
    fn prepare_stream(&mut self, write: &Write) -> rusqlite::Result<Head> {
        let open = i64::from(write.progress == Progress::Open);
        if let Some(head) = self.head_of(&write.stream)? {
            if head.progress != write.progress {
                self.connection
                    .prepare_cached("UPDATE streams SET open = ?2 WHERE id = ?1")?
                    .execute([head.id, open])?;
            }
            return Ok(Head { progress: write.progress, ..head });
        }
        let id = self.next_stream_id;
        self.next_stream_id += 1;
        self.connection
            .prepare_cached(
                "INSERT INTO streams (id, name, category, key, label, open) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                id,
                write.stream.to_string(),
                write.stream.category().code(),
                write.key,
                write.label,
                open
            ])?;
        Ok(Head { id, version: 0, progress: write.progress })
    }

    fn insert_event(
        &mut self,
        stream_id: i64,
        recorded: &Recorded,
        payload: &str,
        command: &ChainHash,
    ) -> rusqlite::Result<()> {
        let recorded_at = recorded.recorded_at.timestamp_micros();
        let link = Link {
            position: recorded.position,
            stream: &recorded.stream.to_string(),
            version: recorded.version,
            kind: recorded.event.kind(),
            schema: recorded.event.schema(),
            payload,
            causation: recorded.causation,
            correlation: recorded.correlation.map(uuid::Uuid::into_bytes),
            command_id: recorded.command_id.0,
            recorded_at,
            command,
        };
        self.tip = link.after(&self.tip);
        self.connection
            .prepare_cached(
                "INSERT INTO events (position, stream, version, kind, schema, payload, causation, correlation,
                                     command_id, recorded_at, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                link.position,
                stream_id,
                link.version,
                link.kind,
                link.schema,
                payload,
                link.causation,
                link.correlation,
                link.command_id,
                recorded_at,
                self.tip.0
            ])?;
        self.noted.note(&self.connection, (link.kind, link.schema), link.position)
    }

    fn insert_snapshot(&self, head: Head, stream: &StreamName, state: &str) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO snapshots (stream, version, state, hash) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (stream) DO UPDATE SET version = excluded.version, state = excluded.state,
                                                    hash = excluded.hash",
            )?
            .execute(params![head.id, head.version, state, snapshot_hash(stream, head.version, state).0])?;
        Ok(())
    }
}

/// The first event whose payload the log does not take.
fn too_large(append: &Append, payloads: &[String]) -> Option<AppendError> {
    let events = append.writes.iter().flat_map(|write| &write.events).zip(payloads);
    let mut large = events.filter(|(_, payload)| payload.len() > PAYLOAD_MAX_BYTES);
    large.next().map(|(event, payload)| AppendError::TooLarge { kind: event.kind().to_owned(), bytes: payload.len() })
}

fn unavailable(error: rusqlite::Error) -> AppendError {
    AppendError::Unavailable(error.to_string())
}
