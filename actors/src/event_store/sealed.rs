//! The part of the log that is sealed: its segments, kept in its own file beside the rows that they repeat.
//!
//! Whoever goes through the log reads segments as far as they reach, and rows from there on. A segment is made of rows whose
//! hashes fit, and is proved before it is kept.

use chrono::{DateTime, Utc};
use millrace_model::ids::Position;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::append::AppendError;
use super::chain_hash::ChainHash;
use super::log::Log;
use super::reader::{ReadError, Reader, hash_on, head_on};
use super::rows::stored_on;
use super::segment::{SEGMENT_EVENTS, Segment, SegmentError, SegmentProblem, Unpacked, first_of};

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
            insert(connection, segment).map(Ok)
        })
    }
}

fn insert(connection: &Connection, segment: &Segment) -> rusqlite::Result<()> {
    let Segment { first, last, format, bytes, tip, body } = segment;
    connection
        .prepare_cached("INSERT INTO segments (first, last, format, bytes, tip, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![first, last, format, *bytes as i64, tip.0, body])
        .map(drop)
}

/// Up to which position the log is sealed. A log of an older layout, which is only looked at, is not sealed at all.
pub(super) fn sealed_until(connection: &Connection) -> rusqlite::Result<Position> {
    let layout = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'segments'";
    if connection.prepare_cached(layout)?.query_row([], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    connection.prepare_cached("SELECT coalesce(max(last), 0) FROM segments")?.query_row([], |row| row.get(0))
}

/// The segment that has a position which is sealed.
pub(super) fn segment_of(connection: &Connection, position: Position) -> rusqlite::Result<Option<Segment>> {
    connection
        .prepare_cached("SELECT first, last, format, bytes, tip, body FROM segments WHERE first = ?1")?
        .query_row([first_of(position)], segment)
        .optional()
}

/// The contents of the segment that has a position which is sealed.
pub(super) fn unpacked(connection: &Connection, position: Position) -> Result<Unpacked, ReadError> {
    let missing = || SegmentError { first: first_of(position), problem: SegmentProblem::Missing };
    Ok(segment_of(connection, position)?.ok_or_else(missing)?.unpack()?)
}

fn segment(row: &Row<'_>) -> rusqlite::Result<Segment> {
    Ok(Segment {
        first: row.get(0)?,
        last: row.get(1)?,
        format: row.get(2)?,
        bytes: row.get::<_, u64>(3)? as usize,
        tip: ChainHash(row.get(4)?),
        body: row.get(5)?,
    })
}
