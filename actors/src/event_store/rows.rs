//! Events and commands letter by letter as they are stored, for whoever copies them. None of them is read.

use std::collections::BTreeSet;

use millrace_model::ids::{DepositId, Position, StreamName, Version};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::reader::{ReadError, Reader};
use super::sealed::Shelf;
use super::verify::CHAIN;

/// An event as it is stored, with its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its place in the log.
    pub position: Position,
    /// The number of its stream in this file.
    pub stream_id: i64,
    /// The name of its stream.
    pub stream: String,
    /// Its place there.
    pub version: Version,
    /// What it is.
    pub kind: String,
    /// The schema of its payload.
    pub schema: u32,
    /// Its fields.
    pub payload: String,
    /// The position of what led to it.
    pub causation: Option<Position>,
    /// What it belongs to.
    pub correlation: Option<[u8; 16]>,
    /// The id of its command.
    pub command_id: [u8; 16],
    /// Microseconds since 1970-01-01 UTC.
    pub recorded_at: i64,
    /// The hash of the log up to it.
    pub hash: [u8; 32],
    /// Its command, if the log has it.
    pub command: Option<CommandRow>,
}

/// A command as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRow {
    /// Its name.
    pub name: String,
    /// What it rested on.
    pub body: String,
    /// The position of the first event that came of it.
    pub first: Position,
    /// The position of the last.
    pub last: Position,
}

/// The events of the streams of a deposit, of its address and of its customer, and what was recorded in its name.
const OF_DEPOSIT: &str = "
    SELECT e.position FROM streams s JOIN events e ON e.stream = s.id WHERE s.name IN (?1, ?3) OR s.label = ?4
    UNION SELECT position FROM events WHERE correlation = ?2";
/// What else came of the command of an event, in the streams that all share; nothing of other deposits.
const BESIDES: &str = "
    SELECT o.position FROM events e JOIN commands c ON c.id = e.command_id
           JOIN events o ON o.position BETWEEN c.first_position AND c.last_position
           JOIN streams s ON s.id = o.stream
    WHERE e.position = ?1 AND s.category > 2 AND json_valid(o.payload)
          AND coalesce(o.payload ->> 'deposit', ?2) = ?2";
/// What led to an event, unless it is another deposit's.
const CAUSE: &str = "
    SELECT o.position FROM events e JOIN events o ON o.position = e.causation JOIN streams s ON s.id = o.stream
    WHERE e.position = ?1 AND (s.category > 2 OR s.name = ?2)";

impl Reader {
    /// Events after a position, oldest first, at most `events_max`.
    pub fn stored_after(&self, position: Position, events_max: usize) -> Result<Vec<EventRow>, ReadError> {
        let stored = stored_on(&self.lock(), position, events_max)?;
        self.check_still_alone()?;
        Ok(stored)
    }

    /// The event at a position.
    pub fn stored_at(&self, position: Position) -> Result<Option<EventRow>, ReadError> {
        let next = self.stored_after(position.saturating_sub(1), 1)?.pop();
        Ok(next.filter(|stored| stored.position == position))
    }

    /// The positions of everything that belongs to a deposit: its events, the bindings of its customer, what came of the
    /// same commands and what led to them; nothing of other deposits. Nothing if there is no such deposit.
    pub fn positions_of(&self, deposit: DepositId) -> Result<BTreeSet<Position>, ReadError> {
        let name = StreamName::Deposit(deposit);
        let (stream, id) = (name.to_string(), deposit.to_string());
        let Some([address, target]) = self.beginning(&name)? else { return Ok(BTreeSet::new()) };
        let connection = self.lock();
        let mut found = BTreeSet::new();
        let mut seeds = connection.prepare(OF_DEPOSIT)?;
        let seeds = seeds.query_map(params![stream, deposit.0.into_bytes(), address, target], |row| row.get(0))?;
        let mut new: Vec<Position> = seeds.collect::<Result<_, _>>()?;
        while let Some(position) = new.pop() {
            if !found.insert(position) {
                continue;
            }
            for (sql, of) in [(BESIDES, &id), (CAUSE, &stream)] {
                let mut statement = connection.prepare_cached(sql)?;
                let more = statement.query_map(params![position, of], |row| row.get(0))?;
                new.extend(more.collect::<Result<Vec<Position>, _>>()?);
            }
        }
        Ok(found)
    }

    /// The stream of a deposit's address, and whose it is, as far as its first event can be read; nothing if there is none.
    fn beginning(&self, deposit: &StreamName) -> Result<Option<[Option<String>; 2]>, ReadError> {
        let connection = self.lock();
        let first = "SELECT e.position, e.payload FROM streams s JOIN events e ON e.stream = s.id
                     WHERE s.name = ?1 AND e.version = 1";
        let mut statement = connection.prepare_cached(first)?;
        let first = statement.query_row([deposit.to_string()], |row| Ok((row.get(0)?, row.get(1).ok())));
        let Some((position, payload)) = first.optional()? else { return Ok(None) };
        let fields = Shelf::of(&connection).fields(position, payload)?;
        let text = |at: &str| fields.pointer(at).and_then(Value::as_str);
        Ok(Some([text("/address").map(|at| format!("binding/{at}")), text("/customer/target").map(str::to_owned)]))
    }

    /// The layout of the log's tables.
    pub fn layout(&self) -> Result<u32, ReadError> {
        Ok(self.lock().pragma_query_value(None, "user_version", |row| row.get(0))?)
    }
}

/// The same on any connection.
pub(super) fn stored_on(
    connection: &Connection,
    position: Position,
    events_max: usize,
) -> Result<Vec<EventRow>, ReadError> {
    let (mut statement, shelf) = (connection.prepare_cached(CHAIN)?, Shelf::of(connection));
    let mut rows = statement.query(params![position, events_max as i64])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(stored(row, &shelf)?);
    }
    Ok(events)
}

fn stored(row: &Row<'_>, shelf: &Shelf<'_>) -> Result<EventRow, ReadError> {
    let position = row.get(0)?;
    let body = row.get::<_, Option<String>>(12)?.map(|body| shelf.body(position, body)).transpose()?;
    let command = row.get::<_, Option<String>>(11)?.zip(body).map(|(name, body)| -> rusqlite::Result<CommandRow> {
        Ok(CommandRow { name, body, first: row.get(14)?, last: row.get(15)? })
    });
    Ok(EventRow {
        position,
        stream_id: row.get(13)?,
        stream: row.get(1)?,
        version: row.get(2)?,
        kind: row.get(3)?,
        schema: row.get(4)?,
        payload: shelf.payload(position, row.get(5)?)?,
        causation: row.get::<_, Option<Position>>(6)?.filter(|position| *position > 0),
        correlation: row.get::<_, Option<[u8; 16]>>(7)?.filter(|id| *id != [0; 16]),
        command_id: row.get(8)?,
        recorded_at: row.get(9)?,
        hash: row.get(10)?,
        command: command.transpose()?,
    })
}
