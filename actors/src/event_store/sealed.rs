//! The part of the log that is sealed: its segments, kept in its own file beside the rows that they repeat.
//!
//! Whoever goes through the log reads segments as far as they reach, and rows from there on. A segment is made of rows whose
//! hashes fit, and is proved before it is kept. Rows of deposits that have ended are lean from then on: what is bulky of them,
//! payload and command's body, is in the segment only. Their places, ids and hashes stay, so that everything that orders, finds
//! and tells twice from once goes by rows, sealed or not.

use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use millrace_model::ids::{Category, Position};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::append::AppendError;
use super::chain_hash::ChainHash;
use super::log::Log;
use super::reader::{ReadError, Reader, hash_on, head_on};
use super::rows::stored_on;
use super::segment::{
    FORMAT, Frame, Head, SEGMENT_EVENTS, Segment, SegmentError, SegmentProblem, Unpacked, Unpacker, first_of,
};

impl Reader {
    /// The segment that is to be made next, of events that were all recorded before a time; nothing while there are too few. The
    /// newest events are never among them.
    pub fn next_segment(&self, recorded_before: DateTime<Utc>) -> Result<Option<Segment>, ReadError> {
        let connection = self.another()?;
        let before = sealed_until(&connection)?;
        if head_on(&connection)? < before + 2 * SEGMENT_EVENTS {
            return Ok(None);
        }
        let events = stored_on(&connection, before, SEGMENT_EVENTS as usize)?;
        if events.iter().any(|event| event.recorded_at >= recorded_before.timestamp_micros()) {
            return Ok(None);
        }
        let segment = Segment::pack(&events)?;
        segment.prove(hash_on(&connection, before)?.unwrap_or(ChainHash::GENESIS))?;
        Ok(Some(segment))
    }

    /// Up to which position the log is sealed.
    pub fn sealed_until(&self) -> Result<Position, ReadError> {
        Ok(sealed_until(&self.lock())?)
    }
}

impl Log {
    /// Keeps a segment that is the next; one that is there already is left as it is.
    pub fn keep(&mut self, segment: &Segment) -> Result<(), AppendError> {
        self.in_transaction(|connection| {
            let unfit = |why: &str| AppendError::Unavailable(format!("the segment from {} on {why}", segment.first));
            let sealed = sealed_until(connection)?;
            if segment.last <= sealed {
                return Ok(Ok(()));
            }
            if segment.first != sealed + 1 {
                return Ok(Err(unfit("is not the next")));
            }
            if hash_on(connection, segment.last)? != Some(segment.tip) {
                return Ok(Err(unfit("is not of this log")));
            }
            insert(connection, segment)?;
            make_lean(connection, segment).map(Ok)
        })
    }

    /// Writes the file anew, without the gaps that emptied rows left.
    pub fn compact(&mut self) -> Result<(), AppendError> {
        self.alone("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
    }
}

fn insert(connection: &Connection, segment: &Segment) -> rusqlite::Result<()> {
    let Segment { first, last, format, tip, events, commands } = segment;
    let (event_bytes, command_bytes) = (events.bytes as i64, commands.bytes as i64);
    connection
        .prepare_cached(
            "INSERT INTO segments (first, last, format, tip, event_bytes, events, command_bytes, commands)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![first, last, format, tip.0, event_bytes, events.packed, command_bytes, commands.packed])
        .map(drop)
}

/// Empties what the segment, or one before it, has of deposits that have ended. What a segment does not have any more, since it was
/// damaged, stays in its row.
fn make_lean(connection: &Connection, segment: &Segment) -> rusqlite::Result<()> {
    let mut bulky = connection.prepare_cached(
        "SELECT e.position, e.payload, e.command_id, c.body
         FROM events e JOIN commands c ON c.id = e.command_id
         WHERE e.payload <> '' AND e.position <= ?2 AND e.stream IN (
             SELECT DISTINCT e.stream FROM events e JOIN streams s ON s.id = e.stream
             WHERE e.position BETWEEN ?1 AND ?2 AND s.category = ?3 AND s.open = 0)
         ORDER BY e.position",
    )?;
    let range = params![segment.first, segment.last, Category::Deposit.code()];
    let bulky = bulky.query_map(range, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let bulky: Vec<(Position, String, [u8; 16], String)> = bulky.collect::<rusqlite::Result<_>>()?;
    let shelf = Shelf::of(connection);
    for (position, payload, command_id, body) in bulky {
        if shelf.payload(position, String::new()).is_ok_and(|sealed| sealed == payload) {
            let lean = "UPDATE events SET payload = '' WHERE position = ?1";
            connection.prepare_cached(lean)?.execute([position])?;
        }
        if shelf.body(position, String::new()).is_ok_and(|sealed| sealed == body) {
            // A command goes on behind the segment where the next event is its too.
            let lean = "UPDATE commands SET body = '' WHERE id = ?1 AND body <> '' AND last_position <= ?2
                        AND NOT EXISTS (SELECT 1 FROM events WHERE position = ?2 + 1 AND command_id = ?1)";
            connection.prepare_cached(lean)?.execute(params![command_id, segment.last])?;
        }
    }
    Ok(())
}

/// Up to which position the log is sealed. A log of an older layout, which is only looked at, is not sealed at all.
pub(super) fn sealed_until(connection: &Connection) -> rusqlite::Result<Position> {
    let layout = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'segments'";
    if connection.prepare_cached(layout)?.query_row([], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    let newest = "SELECT last FROM segments ORDER BY first DESC LIMIT 1";
    Ok(connection.prepare_cached(newest)?.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// A segment that only a newer version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewerSegment {
    /// Where it begins.
    pub first: Position,
    /// How it is packed.
    pub format: u32,
}

impl fmt::Display for NewerSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the segment from position {} on is of format {}", self.first, self.format)
    }
}

/// The first segment of a log that a newer version packed.
pub(super) fn first_newer(connection: &Connection) -> rusqlite::Result<Option<NewerSegment>> {
    // A larger number is of no format that there will ever be.
    let mut unknown = connection.prepare("SELECT first FROM segments WHERE format BETWEEN ?1 AND ?2 ORDER BY first")?;
    let mut unknown = unknown.query([FORMAT + 1, u32::MAX])?;
    while let Some(row) = unknown.next()? {
        let Some(segment) = segment_of(connection, row.get(0)?)? else { continue };
        let before = hash_on(connection, segment.first.saturating_sub(1))?.unwrap_or(ChainHash::GENESIS);
        if segment.is_newer(before) {
            return Ok(Some(NewerSegment { first: segment.first, format: segment.format }));
        }
    }
    Ok(None)
}

/// The segment that has a position, if it is there.
pub(super) fn segment_of(connection: &Connection, position: Position) -> rusqlite::Result<Option<Segment>> {
    let whole = "SELECT first, last, format, tip, event_bytes, events, command_bytes, commands
                 FROM segments WHERE first = ?1";
    connection.prepare_cached(whole)?.query_row([first_of(position)], segment).optional()
}

/// The events of the segment that has a position, which must be there.
pub(super) fn events_at(
    connection: &Connection,
    position: Position,
    unpacker: &mut Unpacker,
) -> Result<Unpacked, ReadError> {
    let in_part = "SELECT first, last, format, event_bytes, events FROM segments WHERE first = ?1";
    let unpacked = connection.prepare_cached(in_part)?.query_row([first_of(position)], |row| {
        let head = Head { first: row.get(0)?, last: row.get(1)?, format: row.get(2)? };
        // Where SQLite has it: it is large, and there are many.
        let frame = Frame { bytes: row.get::<_, u64>(3)? as usize, packed: row.get_ref(4)?.as_blob()? };
        Ok(head.unpack(frame, unpacker))
    });
    Ok(unpacked.optional()?.ok_or(missing(position))??)
}

fn missing(position: Position) -> SegmentError {
    SegmentError { first: first_of(position), problem: SegmentProblem::Missing }
}

fn segment(row: &Row<'_>) -> rusqlite::Result<Segment> {
    Ok(Segment {
        first: row.get(0)?,
        last: row.get(1)?,
        format: row.get(2)?,
        tip: ChainHash(row.get(3)?),
        events: Frame { bytes: row.get::<_, u64>(4)? as usize, packed: row.get(5)? },
        commands: Frame { bytes: row.get::<_, u64>(6)? as usize, packed: row.get(7)? },
    })
}

/// Knows what lean rows lack; the segment that was asked last stays open, as a stream's events lie close together.
#[derive(Debug)]
pub(super) struct Shelf<'c> {
    connection: &'c Connection,
    open: RefCell<Option<Opened>>,
}

/// What is bulky of a segment.
#[derive(Debug)]
struct Opened {
    segment: Segment,
    /// The payload of each event, and the place of its command.
    events: Vec<(String, usize)>,
    /// The bodies of the commands, once somebody asked for one.
    bodies: Option<Vec<String>>,
}

impl<'c> Shelf<'c> {
    pub(super) fn of(connection: &'c Connection) -> Self {
        Self { connection, open: RefCell::new(None) }
    }

    /// The payload of the event at a position, of which its row has this.
    pub(super) fn payload(&self, position: Position, in_row: String) -> Result<String, ReadError> {
        if !in_row.is_empty() {
            return Ok(in_row);
        }
        self.at(position, |opened, place| Ok(opened.events.get(place).map(|(payload, _)| payload.clone())))
    }

    /// The fields of the event at a position, of which its row has this; nothing of one that cannot be read.
    pub(super) fn fields(&self, position: Position, in_row: Option<String>) -> Result<Value, ReadError> {
        let payload = in_row.map(|payload| self.payload(position, payload)).transpose()?;
        Ok(payload.and_then(|payload| serde_json::from_str(&payload).ok()).unwrap_or_default())
    }

    /// The body of the command of the event at a position, of which its row has this.
    pub(super) fn body(&self, position: Position, in_row: String) -> Result<String, ReadError> {
        if !in_row.is_empty() {
            return Ok(in_row);
        }
        self.at(position, |opened, place| {
            let Some((_, command)) = opened.events.get(place) else { return Ok(None) };
            let bodies = match opened.bodies.take() {
                Some(bodies) => opened.bodies.insert(bodies),
                None => opened.bodies.insert(opened.segment.bodies()?),
            };
            Ok(bodies.get(*command).cloned())
        })
    }

    fn at(
        &self,
        position: Position,
        look: impl FnOnce(&mut Opened, usize) -> Result<Option<String>, SegmentError>,
    ) -> Result<String, ReadError> {
        let mut open = self.open.borrow_mut();
        let opened = match open.take() {
            Some(opened) if opened.segment.first == first_of(position) => open.insert(opened),
            _ => open.insert(self.opened(position)?),
        };
        let first = opened.segment.first;
        let found = look(opened, (position - first) as usize)?;
        Ok(found.ok_or(SegmentError { first, problem: SegmentProblem::Reference(position) })?)
    }

    fn opened(&self, position: Position) -> Result<Opened, ReadError> {
        let segment = segment_of(self.connection, position)?.ok_or(missing(position))?;
        let mut events = Vec::new();
        segment.unpack()?.each::<SegmentError>(segment.first, &mut |packed| {
            events.push((packed.payload()?.to_owned(), packed.command));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Opened { segment, events, bodies: None })
    }
}
