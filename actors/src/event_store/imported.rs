//! A log that is made of an export, line by line: everything in it is held against the rest before it is believed.
//!
//! It is marked, so that no desk acts upon it. Nothing of it is durable before [`ImportedLog::keep`].

use std::path::Path;

use chrono::{DateTime, Utc};
use millrace_model::deposit::{self, Deposit};
use millrace_model::event::{DecodeError, Event};
use millrace_model::export::{Header, Holds, StoredCommand, StoredEvent};
use millrace_model::ids::{Category, Hash32, Position, StreamName, UnknownStream, Version};
use rusqlite::{Connection, OptionalExtension, params};

use super::append::Progress;
use super::chain_hash::{ChainHash, Link};
use super::kinds;
use super::reader::{ReadError, Reader, query_on};
use super::schema::lay_out_imported;
use crate::deposits::{fold, key_of, progress};

/// All events of a deposit's stream, by its number.
const STREAM: &str = "SELECT e.position, s.name, e.version, e.kind, e.schema, e.payload, e.causation, e.correlation,
                             e.command_id, e.recorded_at
                      FROM events e JOIN streams s ON s.id = e.stream WHERE e.stream = ?1 ORDER BY e.version";

/// Why something does not belong into a log.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It cannot be stored.
    #[error("it cannot be stored: {0}")]
    Store(#[from] rusqlite::Error),
    /// It cannot be read back.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event that cannot be read.
    #[error(transparent)]
    Event(#[from] DecodeError),
    /// A stream that this version does not know.
    #[error(transparent)]
    Stream(#[from] UnknownStream),
    /// A place in a stream that cannot be next.
    #[error("version {found} of {stream} is not the next after {before}")]
    Version {
        /// The stream.
        stream: String,
        /// The version found.
        found: Version,
        /// The one before it.
        before: Version,
    },
    /// The hash does not cover what is here.
    #[error("position {0} is not what was stored there: its hash is another")]
    Hash(Position),
    /// There is no hash although nothing was left out.
    #[error("position {0} has no hash")]
    NoHash(Position),
    /// The first line knows of another log.
    #[error("the log's head has another hash than the first line says")]
    Head,
    /// An event that begins a stream of another name.
    #[error("{kind} does not begin {stream}")]
    Beginning {
        /// What it is.
        kind: String,
        /// Where it stands.
        stream: String,
    },
    /// A command comes twice.
    #[error("the command has come before")]
    CommandTwice,
    /// Two deposits of one output.
    #[error("{0} is a deposit already")]
    KeyTwice(String),
}

/// A log that is being made.
#[derive(Debug)]
pub struct ImportedLog {
    connection: Connection,
    holds: Holds,
    head: (Position, Option<Hash32>),
    is_redacted: bool,
    /// The hash up to the last event; `None` where something between is missing.
    tip: Option<ChainHash>,
    position: Position,
    command: ChainHash,
}

impl ImportedLog {
    /// In a new file.
    pub fn in_file(path: &Path, header: &Header) -> Result<Self, Unfit> {
        Self::on(Connection::open(path)?, header)
    }

    /// In a file without a name, which is gone with the value.
    pub fn without_name(header: &Header) -> Result<Self, Unfit> {
        Self::on(Connection::open("")?, header)
    }

    fn on(connection: Connection, header: &Header) -> Result<Self, Unfit> {
        // What is interrupted is thrown away.
        connection.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768; PRAGMA foreign_keys = ON;",
        )?;
        connection.set_prepared_statement_cache_capacity(32);
        lay_out_imported(&connection)?;
        connection.execute_batch("BEGIN")?;
        let (is_redacted, hash) = (!header.redacted.is_empty(), |hash: Hash32| ChainHash(hash.0));
        let tip = match header.holds {
            Holds::Positions { from: 1, .. } => Some(ChainHash::GENESIS),
            Holds::Positions { before, .. } => before.map(hash),
            Holds::Deposit { .. } => None,
        };
        Ok(Self {
            connection,
            holds: header.holds,
            head: (header.head.position, header.head.hash),
            is_redacted,
            tip,
            position: 0,
            command: ChainHash::GENESIS,
        })
    }

    /// Takes the command that the next events came of.
    pub fn command(&mut self, command: &StoredCommand<'_>) -> Result<(), Unfit> {
        let body = command.body.get();
        let known: Option<i64> = self
            .connection
            .prepare_cached("SELECT first_position FROM commands WHERE id = ?1")?
            .query_row([command.id], |row| row.get(0))
            .optional()?;
        if known.is_some() {
            return Err(Unfit::CommandTwice);
        }
        self.connection
            .prepare_cached(
                "INSERT INTO commands (id, first_position, last_position, name, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![command.id, command.first, command.last, command.name, body])?;
        self.command = ChainHash::of_command(&command.name, body);
        Ok(())
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &StoredEvent<'_>) -> Result<(), Unfit> {
        let name: StreamName = event.stream.parse()?;
        let read = Event::decode(name.category(), &event.kind, event.schema, event.payload.get())?;
        let hash = self.hash(event)?;
        let stream = match self.newest_of(&event.stream)? {
            Some((stream, before)) => {
                self.check_version(event, before, &name)?;
                stream
            }
            None => {
                self.check_version(event, 0, &name)?;
                self.begin_stream(event, &name, &read)?
            }
        };
        self.connection
            .prepare_cached(
                "INSERT INTO events (position, stream, version, kind, schema, payload, causation, correlation,
                                     command_id, recorded_at, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                event.position,
                stream,
                event.version,
                event.kind,
                event.schema,
                event.payload.get(),
                event.causation,
                event.correlation.map(uuid::Uuid::into_bytes),
                event.command,
                micros(event.recorded_at),
                hash.0
            ])?;
        self.position = event.position;
        Ok(())
    }

    /// After the last line: says of every stream whether something is still expected in it, as its events have it.
    pub fn complete(&mut self) -> Result<(), Unfit> {
        let is_head = self.position == self.head.0 && !matches!(self.holds, Holds::Deposit { .. });
        if is_head && self.position > 0 && !self.is_redacted && self.tip.map(|tip| Hash32(tip.0)) != self.head.1 {
            return Err(Unfit::Head);
        }
        let mut after = 0;
        let next = "SELECT id FROM streams WHERE category = ?1 AND id > ?2 ORDER BY id LIMIT 1";
        let category = Category::Deposit.code();
        while let Some(stream) = self
            .connection
            .prepare_cached(next)?
            .query_row(params![category, after], |row| row.get::<_, i64>(0))
            .optional()?
        {
            let deposit: Option<Deposit> = fold(&query_on(&self.connection, STREAM, [stream])?).map(|it| it.deposit);
            if progress(deposit.as_ref()) == Progress::Finished {
                self.connection.prepare_cached("UPDATE streams SET open = 0 WHERE id = ?1")?.execute([stream])?;
            }
            after = stream;
        }
        kinds::note_what_is_there(&self.connection)?;
        self.connection.execute_batch("COMMIT")?;
        Ok(())
    }

    /// Makes the file a log as a desk leaves one when it is stopped.
    pub fn keep(self) -> Result<(), Unfit> {
        self.connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL;")?;
        self.connection.close().map_err(|(_, error)| error.into())
    }

    /// What is in it, for reading; `path` is the file that it came of.
    pub fn into_reader(self, path: &Path) -> Reader {
        Reader::on(self.connection, path)
    }

    /// The hash that is stored with an event: the one it had, or one of a chain of its own where texts were replaced.
    fn hash(&mut self, event: &StoredEvent<'_>) -> Result<ChainHash, Unfit> {
        let link = Link {
            position: event.position,
            stream: &event.stream,
            version: event.version,
            kind: &event.kind,
            schema: event.schema,
            payload: event.payload.get(),
            causation: event.causation,
            correlation: event.correlation.map(uuid::Uuid::into_bytes),
            command_id: event.command,
            recorded_at: micros(event.recorded_at),
            command: &self.command,
        };
        let computed = self.tip.map(|tip| link.after(&tip));
        let stored = event.hash.map(|hash| ChainHash(hash.0));
        let hash = match (stored, computed) {
            (None, _) if !self.is_redacted => return Err(Unfit::NoHash(event.position)),
            (Some(stored), Some(computed)) if stored != computed => return Err(Unfit::Hash(event.position)),
            (Some(stored), _) => stored,
            (None, computed) => computed.unwrap_or_else(|| link.after(&ChainHash::GENESIS)),
        };
        let is_chain = !matches!(self.holds, Holds::Deposit { .. });
        self.tip = is_chain.then_some(hash);
        Ok(hash)
    }

    fn newest_of(&self, stream: &str) -> Result<Option<(i64, Version)>, Unfit> {
        let newest =
            "SELECT s.id, (SELECT max(version) FROM events WHERE stream = s.id) FROM streams s WHERE s.name = ?1";
        let mut newest = self.connection.prepare_cached(newest)?;
        Ok(newest.query_row([stream], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// Only of streams that are here in part a version may be missing: before the first, or between.
    fn check_version(&self, event: &StoredEvent<'_>, before: Version, name: &StreamName) -> Result<(), Unfit> {
        let found = event.version;
        let fits = match self.holds {
            Holds::Positions { from, .. } if from > 1 && before == 0 => found > 0,
            Holds::Positions { .. } => found == before + 1,
            Holds::Deposit { id } if *name == StreamName::Deposit(id) => found == before + 1,
            Holds::Deposit { .. } => found > before,
        };
        if fits { Ok(()) } else { Err(Unfit::Version { stream: event.stream.clone().into_owned(), found, before }) }
    }

    /// The row of a stream that begins, with what its first event says of it.
    fn begin_stream(&self, event: &StoredEvent<'_>, name: &StreamName, read: &Event) -> Result<i64, Unfit> {
        let wrong = || Unfit::Beginning { kind: event.kind.to_string(), stream: event.stream.to_string() };
        let is_whole = event.version == 1;
        let (key, label, open) = match (name, read) {
            (StreamName::Deposit(id), Event::Deposit(deposit::Event::Detected(it))) if is_whole && it.id == *id => {
                (Some(key_of(it.outpoint)), None, 1)
            }
            (StreamName::Binding(address), Event::Binding(it)) if is_whole => {
                let millrace_model::binding::Event::Bound(bound) = it;
                if *bound.address != **address {
                    return Err(wrong());
                }
                (None, Some(bound.customer.target.clone()), 0)
            }
            (StreamName::Deposit(_) | StreamName::Binding(_), _) if is_whole => return Err(wrong()),
            _ => (None, None, 1),
        };
        if let Some(key) = &key {
            let mut taken = self.connection.prepare_cached("SELECT 1 FROM streams WHERE key = ?1")?;
            if taken.exists([key])? {
                return Err(Unfit::KeyTwice(key.clone()));
            }
        }
        let row = "INSERT INTO streams (name, category, key, label, open) VALUES (?1, ?2, ?3, ?4, ?5)";
        let row = self.connection.prepare_cached(row)?.insert(params![
            event.stream,
            name.category().code(),
            key,
            label,
            open
        ])?;
        Ok(row)
    }
}

fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}
