//! The log as it is stored, event by event, for whoever proves it: on a connection that writes nothing, not even beside the
//! file, and without being in the way of a desk that runs.
//!
//! The end is taken once, at the beginning; an event is never changed, so pages that are read one after the other up to that
//! end are the log of that moment.

use std::collections::BTreeMap;
use std::path::Path;

use millrace_model::damage::Damage;
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{Hash32, Position, StreamName, Version};
use rusqlite::{Connection, OptionalExtension, Row};

use super::chain_hash::snapshot_hash;
use super::kinds::{self, Shape, Tally, WrongKind};
use super::onlooker::Onlooker;
use super::reader::{ReadError, STREAM_BEFORE, query_on, recorded, text};
use super::schema::{OpenError, check_known};
use super::sealed::Shelf;
use super::verify::{CHAIN, Course, Step, Verified};

/// What the log says of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRow {
    /// Its number in this file.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The number of its category.
    pub category: i64,
    /// What of the outside world it stands for.
    pub key: Option<String>,
    /// What it shares with others.
    pub label: Option<String>,
    /// 1 while something is expected to happen in it.
    pub open: i64,
    /// Its newest version.
    pub version: Option<Version>,
}

/// A stream's stored state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// The number of its stream in this file.
    pub stream_id: i64,
    /// The version that it stands for.
    pub version: Version,
    /// The state.
    pub state: String,
    /// Whether it is what was stored.
    pub is_intact: bool,
}

/// What is said of streams.
macro_rules! streams {
    ($which:literal) => {
        concat!(
            "SELECT id, name, category, key, label, open, (SELECT max(version) FROM events WHERE stream = streams.id) ",
            "FROM streams ",
            $which
        )
    };
}

/// What stands at a position of the log.
#[derive(Debug)]
pub struct Examined {
    /// The position.
    pub position: Position,
    /// What its hash says.
    pub damage: Option<Damage>,
    /// What is wrong with the segment that begins with it.
    pub segment: Option<Damage>,
    /// The hash that is stored with it.
    pub hash: Option<Hash32>,
    /// The number of its stream in this file.
    pub stream_id: i64,
    /// From which to which position the events of its command are said to go.
    pub command: Option<(Position, Position)>,
    /// The event. A deposit's or a subscription's that is not understood is [`Event::Unreadable`].
    pub event: Result<Recorded, Illegible>,
}

/// What can be said of an event that is not to be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Illegible {
    /// Its stream's name.
    pub stream: Option<String>,
    /// Its place there.
    pub version: Option<Version>,
    /// What it is.
    pub kind: Option<String>,
    /// What is wrong with it.
    pub why: String,
}

/// A log that is being examined up to an end that was taken at the beginning.
#[derive(Debug)]
pub struct Examination {
    log: Onlooker,
    course: Course,
    end: Position,
    kinds: Option<Tally>,
}

impl Examination {
    /// Opens the log, which must exist, and takes its end. `may_be_alone` as for [`Onlooker::open`].
    pub fn begin(path: &Path, may_be_alone: bool) -> Result<Self, OpenError> {
        let log = Onlooker::open(path, may_be_alone)?;
        check_known(log.connection(), path)?;
        let (end, kinds) =
            end_and_kinds(log.connection()).map_err(|source| OpenError::Database { path: path.to_owned(), source })?;
        let kinds = kinds.map(Tally::begin);
        Ok(Self { log, course: Course::begin(), end, kinds })
    }

    /// The newest position when it began.
    pub fn end(&self) -> Position {
        self.end
    }

    /// How far it is.
    pub fn so_far(&self) -> Verified {
        self.course.so_far()
    }

    /// Whether somebody began to write to the log although nobody seemed to.
    pub fn was_overtaken(&self) -> bool {
        self.log.was_overtaken()
    }

    /// The next events up to the end.
    pub fn page(&mut self, events_max: usize, each: &mut dyn FnMut(Examined)) -> Result<Step, ReadError> {
        let (mut statement, shelf) = (self.log.connection().prepare_cached(CHAIN)?, Shelf::of(self.log.connection()));
        let mut rows = statement.query((self.course.so_far().head, events_max as i64))?;
        for _ in 0..events_max {
            let Some(row) = rows.next()? else { return Ok(Step::End) };
            if row.get::<_, Position>(0)? > self.end {
                return Ok(Step::End);
            }
            let segment = self.course.segment(self.log.connection())?;
            let damage = self.course.follow(row, &shelf)?;
            if let (None, Some(kinds)) = (damage, &mut self.kinds) {
                kinds.take_in((text(row, 3)?, row.get(4)?), self.course.so_far().head);
            }
            each(Examined { segment, ..examined(row, &shelf, damage)? });
        }
        Ok(Step::More)
    }

    /// At the end: the kinds of which the log notes something else than its events say.
    pub fn wrong_kinds(&self) -> Vec<WrongKind> {
        self.kinds.as_ref().map(|kinds| kinds.wrong(self.end)).unwrap_or_default()
    }

    /// The events of a stream, by its number, before a version.
    pub fn stream_before(&self, stream_id: i64, version: Version) -> Result<Vec<Recorded>, ReadError> {
        query_on(self.log.connection(), STREAM_BEFORE, (stream_id, version))
    }

    /// What is said of one stream.
    pub fn stream_row(&self, stream_id: i64) -> Result<Option<StreamRow>, ReadError> {
        let mut statement = self.log.connection().prepare_cached(streams!("WHERE id = ?1"))?;
        Ok(statement.query_row([stream_id], stream_row).optional()?)
    }

    /// What is said of all streams, at one moment.
    pub fn each_stream(&self, each: &mut dyn FnMut(StreamRow)) -> Result<(), ReadError> {
        let mut statement = self.log.connection().prepare_cached(streams!("ORDER BY id"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(stream_row(row)?);
        }
        Ok(())
    }

    /// The stored states: few, since most streams have none.
    pub fn snapshots(&self) -> Result<Vec<StoredSnapshot>, ReadError> {
        let sql =
            "SELECT p.stream, p.version, p.state, p.hash, s.name FROM snapshots p JOIN streams s ON s.id = p.stream";
        let mut statement = self.log.connection().prepare(sql)?;
        let snapshots = statement.query_map([], |row| {
            let (stream_id, version, state): (i64, Version, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (hash, name): (Vec<u8>, String) = (row.get(3)?, row.get(4)?);
            let name = name.parse::<StreamName>();
            let is_intact = name.is_ok_and(|name| snapshot_hash(&name, version, &state).0[..] == hash[..]);
            Ok(StoredSnapshot { stream_id, version, state, is_intact })
        })?;
        Ok(snapshots.collect::<Result<_, _>>()?)
    }
}

/// The newest position and what is noted of kinds, at one moment; a log of an older layout notes nothing.
fn end_and_kinds(log: &Connection) -> rusqlite::Result<(Position, Option<BTreeMap<Shape, Position>>)> {
    let moment = log.unchecked_transaction()?;
    let end = moment.query_row("SELECT coalesce(max(position), 0) FROM events", [], |row| row.get(0))?;
    let layout: usize = moment.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let kinds = if layout < kinds::SINCE_LAYOUT { None } else { Some(kinds::all(&moment)?) };
    moment.finish()?;
    Ok((end, kinds))
}

fn stream_row(row: &Row<'_>) -> rusqlite::Result<StreamRow> {
    Ok(StreamRow {
        id: row.get(0)?,
        name: row.get(1)?,
        category: row.get(2)?,
        key: row.get(3)?,
        label: row.get(4)?,
        open: row.get(5)?,
        version: row.get(6)?,
    })
}

fn examined(row: &Row<'_>, shelf: &Shelf<'_>, damage: Option<Damage>) -> Result<Examined, ReadError> {
    let command = row.get(14).and_then(|first| Ok((first, row.get(15)?))).ok();
    let event = recorded(row, shelf).map_err(|error| Illegible {
        stream: row.get(1).ok(),
        version: row.get(2).ok(),
        kind: row.get(3).ok(),
        why: match error {
            // The position is said anyway.
            ReadError::Decode { source, .. } => source.to_string(),
            ReadError::Row { source, .. } => source.to_string(),
            ReadError::StreamAt { source, .. } => source.to_string(),
            error => error.to_string(),
        },
    });
    let hash = row.get(10).map(Hash32).ok();
    Ok(Examined { position: row.get(0)?, damage, segment: None, hash, stream_id: row.get(13)?, command, event })
}

impl Examined {
    /// Its stream's name, its place there and what it is, as far as that can be told.
    pub fn name(&self) -> (Option<String>, Option<Version>, Option<String>) {
        match &self.event {
            Ok(recorded) => {
                let (stream, kind) = (recorded.stream.to_string(), recorded.event.kind().to_owned());
                (Some(stream), Some(recorded.version), Some(kind))
            }
            Err(unread) => (unread.stream.clone(), unread.version, unread.kind.clone()),
        }
    }

    /// Its place in its stream.
    pub fn version(&self) -> Option<Version> {
        match &self.event {
            Ok(recorded) => Some(recorded.version),
            Err(unread) => unread.version,
        }
    }

    /// Why it cannot be understood.
    pub fn unreadable(&self) -> Option<&str> {
        match &self.event {
            Ok(recorded) => match &recorded.event {
                Event::Unreadable(what) => Some(&what.why),
                _ => None,
            },
            Err(unread) => Some(&unread.why),
        }
    }
}
