//! Reading the log: streams, pages, open streams, look-ups. On a connection that cannot write.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use chrono::{DateTime, Utc};
use millrace_model::event::{DecodeError, Recorded};
use millrace_model::ids::{Category, CommandId, Hash32, Position, StreamName, UnknownStream, Version};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use serde::Deserialize;
use serde_json::Value;

use super::chain_hash::{ChainHash, snapshot_hash};
use super::onlooker::{Onlooker, Watch};
use super::scan::Names;
use super::schema::{OpenError, back_up, check_known, is_imported, open_reader, refuse_newer};
use super::sealed::Shelf;
use super::segment::SegmentError;
use super::stored::Stored;

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store has not opened the log yet.
    #[error("the log is not open yet")]
    NotOpen,
    /// SQLite says no.
    #[error("the log cannot be read: {0}")]
    Database(#[from] rusqlite::Error),
    /// An event this version does not understand.
    #[error("position {position}: {source}")]
    Decode {
        /// Where.
        position: Position,
        /// What.
        source: DecodeError,
    },
    /// A row that is not as rows are.
    #[error("position {position}: {source}")]
    Row {
        /// Where.
        position: Position,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A stream this version does not know.
    #[error(transparent)]
    Stream(#[from] UnknownStream),
    /// An event of a stream this version does not know.
    #[error("position {position}: {source}")]
    StreamAt {
        /// Where.
        position: Position,
        /// What is said to be its stream's name.
        source: UnknownStream,
    },
    /// An event of a stream of which the log says nothing.
    #[error("position {position}: the log does not know of stream {stream}")]
    NoStream {
        /// Where.
        position: Position,
        /// The number of its stream.
        stream: i64,
    },
    /// A sealed part of the log is not to be read.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The log cannot be opened once more.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Somebody began to write to a file that nobody had open.
    #[error("a desk began to use {} while it was read; ask once more", .0.display())]
    TakenUp(PathBuf),
}

/// The log, opened for reading.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Mutex<Connection>,
    /// What was looked at as it is.
    watch: Option<Watch>,
}

/// A stream's stored state and the version it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The version.
    pub version: Version,
    /// The state as its owner wrote it.
    pub state: String,
}

/// A query for events, with the columns in the order in which [`recorded`] reads them.
macro_rules! events {
    ($from:literal) => {
        concat!(
            "SELECT e.position, s.name, e.version, e.kind, e.schema, e.payload, e.causation, e.correlation, ",
            "e.command_id, e.recorded_at ",
            $from
        )
    };
}

/// The events of a stream, by its number, before a version.
pub(super) const STREAM_BEFORE: &str = events!(
    "FROM events e JOIN streams s ON s.id = e.stream WHERE e.stream = ?1 AND e.version < ?2 ORDER BY e.version"
);

impl Reader {
    /// Opens the log, which must exist.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self { path: path.to_owned(), connection: Mutex::new(open_reader(path)?), watch: None })
    }

    /// Opens a log that may be anybody's: of a running desk, of a stopped one, or a copy. The log is left as it is.
    pub fn look_at(path: &Path) -> Result<Self, OpenError> {
        let (connection, watch) = Onlooker::open(path, true)?.into_parts();
        check_known(&connection, path)?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection), watch: Some(watch) })
    }

    /// Refuses a log of a newer version, for whoever would make something wrong of what he cannot read.
    pub fn refuse_newer(&self) -> Result<(), OpenError> {
        refuse_newer(&self.lock(), &self.path)
    }

    /// A log that nobody else has, on its one connection.
    pub(super) fn on(connection: Connection, path: &Path) -> Self {
        Self { path: path.to_owned(), connection: Mutex::new(connection), watch: None }
    }

    /// Whether the log was made of an export: nobody acts upon it.
    pub fn is_imported(&self) -> Result<bool, ReadError> {
        Ok(is_imported(&self.lock())?)
    }

    /// What was read of a file that nobody had open is worth nothing if somebody has begun to write to it.
    pub(crate) fn check_still_alone(&self) -> Result<(), ReadError> {
        if self.watch.as_ref().is_some_and(Watch::was_overtaken) {
            return Err(ReadError::TakenUp(self.path.clone()));
        }
        Ok(())
    }

    /// The newest position.
    pub fn head(&self) -> Result<Position, ReadError> {
        Ok(head_on(&self.lock())?)
    }

    /// The hash of the event at a position, which covers everything before it.
    pub fn hash_at(&self, position: Position) -> Result<Option<Hash32>, ReadError> {
        Ok(hash_on(&self.lock(), position)?.map(|hash| Hash32(hash.0)))
    }

    /// The events of a stream after a version, oldest first.
    pub fn stream(&self, stream: &StreamName, after: Version) -> Result<Vec<Recorded>, ReadError> {
        let name = stream.to_string();
        self.query(
            events!(
                "FROM streams s JOIN events e ON e.stream = s.id
                 WHERE s.name = ?1 AND e.version > ?2 ORDER BY e.version"
            ),
            params![name, after],
        )
    }

    /// The newest events of a stream, oldest first, at most `events_max`.
    pub fn last_of(&self, stream: &StreamName, events_max: u64) -> Result<Vec<Recorded>, ReadError> {
        let name = stream.to_string();
        let mut events = self.query(
            events!(
                "FROM streams s JOIN events e ON e.stream = s.id WHERE s.name = ?1 ORDER BY e.version DESC LIMIT ?2"
            ),
            params![name, events_max],
        )?;
        events.reverse();
        Ok(events)
    }

    /// The events of a stream before a version, or its newest, the newest first, at most `events_max`.
    pub fn before_in(
        &self,
        stream: &StreamName,
        before: Option<Version>,
        events_max: u64,
    ) -> Result<Vec<Recorded>, ReadError> {
        // There are no more versions than a signed 64-bit column holds.
        let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
        self.query(
            events!(
                "FROM streams s JOIN events e ON e.stream = s.id
                 WHERE s.name = ?1 AND e.version < ?2 ORDER BY e.version DESC LIMIT ?3"
            ),
            params![stream.to_string(), before, events_max],
        )
    }

    /// The events of a stream after a version, oldest first, at most `events_max`.
    pub fn after_in(&self, stream: &StreamName, after: Version, events_max: usize) -> Result<Vec<Recorded>, ReadError> {
        self.query(
            events!(
                "FROM streams s JOIN events e ON e.stream = s.id
                 WHERE s.name = ?1 AND e.version > ?2 ORDER BY e.version LIMIT ?3"
            ),
            params![stream.to_string(), after, events_max as i64],
        )
    }

    /// Events after a position, oldest first, at most `events_max`.
    pub fn after(&self, position: Position, events_max: usize) -> Result<Vec<Recorded>, ReadError> {
        self.query(
            events!(
                "FROM events e JOIN streams s ON s.id = e.stream WHERE e.position > ?1 ORDER BY e.position LIMIT ?2"
            ),
            params![position, events_max as i64],
        )
    }

    /// Events from one position to another, both included.
    pub fn range(&self, first: Position, last: Position) -> Result<Vec<Recorded>, ReadError> {
        self.query(
            events!(
                "FROM events e JOIN streams s ON s.id = e.stream
                 WHERE e.position BETWEEN ?1 AND ?2 ORDER BY e.position"
            ),
            params![first, last],
        )
    }

    /// All events of the open streams of a category, stream by stream, and the position they are complete up to.
    pub fn open_streams(&self, category: Category) -> Result<(Position, Vec<Recorded>), ReadError> {
        let mut connection = self.lock();
        let view = connection.transaction()?;
        let head = head_on(&view)?;
        let events = query_on(
            &view,
            events!(
                "FROM streams s JOIN events e ON e.stream = s.id
                 WHERE s.category = ?1 AND s.open = 1 ORDER BY s.id, e.version"
            ),
            params![category.code()],
        )?;
        Ok((head, events))
    }

    /// The names of all streams of a category, with the position they are complete up to.
    pub fn stream_names(&self, category: Category) -> Result<(Position, Vec<StreamName>), ReadError> {
        let mut connection = self.lock();
        let view = connection.transaction()?;
        let head = head_on(&view)?;
        let mut statement = view.prepare_cached("SELECT name FROM streams WHERE category = ?1 ORDER BY id")?;
        let names = statement
            .query_map([category.code()], |row| row.get::<_, String>(0))?
            .map(|name| Ok(name?.parse()?))
            .collect::<Result<_, ReadError>>()?;
        Ok((head, names))
    }

    /// What the streams of a category stand for whose numbers lie between these two, newest first: a page of them.
    pub fn keys_between(
        &self,
        category: Category,
        (above, below): (i64, i64),
        keys_max: usize,
    ) -> Result<Vec<(i64, String)>, ReadError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, key FROM streams WHERE id > ?1 AND id < ?2 AND category = ?3 AND key IS NOT NULL
             ORDER BY id DESC LIMIT ?4",
        )?;
        let range = params![above, below, category.code(), i64::try_from(keys_max).unwrap_or(i64::MAX)];
        let keys = statement.query_map(range, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    /// The stream that stands for a thing of the outside world.
    pub fn stream_of_key(&self, key: &str) -> Result<Option<StreamName>, ReadError> {
        let name: Option<String> = self
            .lock()
            .prepare_cached("SELECT name FROM streams WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        Ok(name.map(|name| name.parse()).transpose()?)
    }

    /// The streams that stand for things whose keys begin so, in the order of their keys; at most `streams_max`.
    pub fn streams_of_keys(&self, beginning: &str, streams_max: usize) -> Result<Vec<StreamName>, ReadError> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT name FROM streams WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3")?;
        // The last of all characters: whatever follows the beginning sorts before it.
        let end = format!("{beginning}\u{10ffff}");
        let range = params![beginning, end, i64::try_from(streams_max).unwrap_or(i64::MAX)];
        let names = statement.query_map(range, |row| row.get::<_, String>(0))?;
        names.map(|name| Ok(name?.parse()?)).collect()
    }

    /// How many streams share a label.
    pub fn count_of_label(&self, label: &str) -> Result<u64, ReadError> {
        Ok(self
            .lock()
            .prepare_cached("SELECT count(*) FROM streams WHERE label = ?1")?
            .query_row([label], |row| row.get(0))?)
    }

    /// The positions of the events a command caused, if it was ever committed.
    pub fn outcome(&self, command_id: CommandId) -> Result<Option<(Position, Position)>, ReadError> {
        Ok(self
            .lock()
            .prepare_cached("SELECT first_position, last_position FROM commands WHERE id = ?1")?
            .query_row([command_id.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?)
    }

    /// The payouts signed after a position and up to another. Looks at every event between.
    pub fn payouts_signed(&self, after: Position, to: Position) -> Result<Vec<Hash32>, ReadError> {
        #[derive(Deserialize)]
        struct Signed {
            txid: Hash32,
        }
        let signed = |stored: &Stored<'_>, _: &mut Names<'_>| {
            // One that cannot be read names nothing.
            let is_signed = stored.kind().is_ok_and(|kind| kind == "PayoutSigned");
            Ok(if is_signed { stored.fields::<Signed>("PayoutSigned").ok().map(|signed| signed.txid) } else { None })
        };
        let mut txids = Vec::new();
        self.scan_through(after + 1, to, 1, signed)?.each::<ReadError>(|txid| {
            txids.push(*txid);
            Ok(())
        })?;
        Ok(txids)
    }

    /// What was signed and what was found void of payouts after a position, oldest first, and the position this is complete
    /// up to. Looks at every event between.
    pub fn payouts_after(&self, position: Position) -> Result<(Position, Vec<Recorded>), ReadError> {
        let mut connection = self.lock();
        let view = connection.transaction()?;
        let head = head_on(&view)?;
        let events = query_on(
            &view,
            events!(
                "FROM events e JOIN streams s ON s.id = e.stream
                 WHERE e.position > ?1 AND e.kind IN ('PayoutSigned', 'PayoutVoided') ORDER BY e.position"
            ),
            params![position],
        )?;
        Ok((head, events))
    }

    /// The position up to which events were recorded before this time, found by halving: the log is as good as sorted by
    /// time. Where a clock was turned back it is off by what was recorded meanwhile.
    pub fn position_before(&self, at: DateTime<Utc>) -> Result<Position, ReadError> {
        let (mut before, mut after) = (0, self.head()? + 1);
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT recorded_at FROM events WHERE position >= ?1 ORDER BY position LIMIT 1")?;
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            let recorded_at: i64 = statement.query_row([middle], |row| row.get(0))?;
            if recorded_at < at.timestamp_micros() { before = middle } else { after = middle }
        }
        Ok(before)
    }

    /// The bytes of the payouts that were found void after a position, each with the transaction that made it so, and the
    /// position this is complete up to. Looks at every event between.
    pub fn payouts_voided_after(&self, position: Position) -> Result<(Position, Vec<(String, Hash32)>), ReadError> {
        let mut connection = self.lock();
        let view = connection.transaction()?;
        let head = head_on(&view)?;
        let mut statement = view.prepare_cached(
            "SELECT v.position, v.payload, s.position, s.payload
             FROM events v JOIN events s ON s.stream = v.stream AND s.version = (
                 SELECT max(version) FROM events
                 WHERE stream = v.stream AND kind = 'PayoutSigned' AND version < v.version)
             WHERE v.position > ?1 AND v.kind = 'PayoutVoided'",
        )?;
        let (mut rows, shelf, mut voided) = (statement.query([position])?, Shelf::of(&view), Vec::new());
        while let Some(row) = rows.next()? {
            let void: Value = shelf.fields(row.get(0)?, row.get(1).ok())?;
            let signed: Value = shelf.fields(row.get(2)?, row.get(3).ok())?;
            // Here too, one that cannot be read names nothing.
            let conflicting = void["conflicting_txid"].as_str().and_then(|txid| txid.parse().ok());
            voided.extend(signed["bytes"].as_str().map(str::to_owned).zip(conflicting));
        }
        Ok((head, voided))
    }

    /// The stored state of a stream; a damaged one is passed over, since the events hold everything.
    pub fn snapshot(&self, stream: &StreamName) -> Result<Option<Snapshot>, ReadError> {
        let found = self
            .lock()
            .prepare_cached(
                "SELECT p.version, p.state, p.hash FROM snapshots p JOIN streams s ON s.id = p.stream WHERE s.name = ?1",
            )?
            .query_row([stream.to_string()], |row| {
                Ok((row.get::<_, Version>(0)?, row.get::<_, String>(1)?, row.get::<_, [u8; 32]>(2)?))
            })
            .optional()?;
        Ok(found.and_then(|(version, state, hash)| {
            let intact = snapshot_hash(stream, version, &state).0 == hash;
            if !intact {
                tracing::error!(%stream, version, "a snapshot is damaged; its events are read instead");
            }
            intact.then_some(Snapshot { version, state })
        }))
    }

    /// Writes a consistent copy of the log to a new file while it is in use; on a connection of its own, since it takes
    /// its time.
    pub fn back_up(&self, to: &Path) -> Result<(), ReadError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(back_up(&Connection::open_with_flags(&self.path, flags)?, to)?)
    }

    /// The log's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One more connection to the same file, opened the same way.
    pub(super) fn another(&self) -> Result<Connection, ReadError> {
        Ok(match &self.watch {
            Some(watch) => Onlooker::open(&self.path, watch.is_alone())?.into_parts().0,
            None => open_reader(&self.path)?,
        })
    }

    fn query(&self, sql: &'static str, params: impl rusqlite::Params) -> Result<Vec<Recorded>, ReadError> {
        query_on(&self.lock(), sql, params)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The hash of the event at a position.
pub(super) fn hash_on(connection: &Connection, position: Position) -> rusqlite::Result<Option<ChainHash>> {
    connection
        .prepare_cached("SELECT hash FROM events WHERE position = ?1")?
        .query_row([position], |row| row.get(0).map(ChainHash))
        .optional()
}

/// The newest position as this connection sees it.
pub(super) fn head_on(connection: &Connection) -> rusqlite::Result<Position> {
    connection.query_row("SELECT coalesce(max(position), 0) FROM events", [], |row| row.get(0))
}

pub(super) fn query_on(
    connection: &Connection,
    sql: &'static str,
    params: impl rusqlite::Params,
) -> Result<Vec<Recorded>, ReadError> {
    let (mut statement, shelf) = (connection.prepare_cached(sql)?, Shelf::of(connection));
    let mut rows = statement.query(params)?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(recorded(row, &shelf)?);
    }
    Ok(events)
}

/// The event of a row that has its stream's name in place of its number.
pub(super) fn recorded(row: &Row<'_>, shelf: &Shelf<'_>) -> Result<Recorded, ReadError> {
    let stored = Stored::new(row)?;
    let position = stored.position();
    let name = text(row, 1).map_err(|source| ReadError::Row { position, source })?;
    let stream: StreamName = name.parse().map_err(|source| ReadError::StreamAt { position, source })?;
    match stored.payload()? {
        "" => match shelf.payload(position, String::new()) {
            // One deposit of which an event is lost is set aside like one of which an event cannot be read.
            Err(ReadError::Segment(_)) if stream.category() == Category::Deposit => stored.recorded_of(stream, ""),
            payload => stored.recorded_of(stream, &payload?),
        },
        payload => stored.recorded_of(stream, payload),
    }
}

pub(super) fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, rusqlite::Error> {
    Ok(row.get_ref(column)?.as_str()?)
}
