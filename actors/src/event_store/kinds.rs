//! Which kinds of events a log holds, each schema of them from which position on. A version that does not know one of them finds
//! that out when it opens the log, however long it is.
//!
//! Only what a desk stored is noted. A kind that is not is damage or somebody's doing, and no newer version's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use millrace_model::event::Event;
use millrace_model::ids::Position;
use rusqlite::{Connection, OptionalExtension, params};

/// The first layout of a log that has them.
pub(super) const SINCE_LAYOUT: usize = 3;
/// How much of a kind's name is told.
const TOLD_CHARS: usize = 60;

/// A kind and one schema of it.
pub(super) type Shape = (String, u32);

/// What is noted in the log that is written.
#[derive(Debug, Default)]
pub(super) struct Noted(HashMap<String, Vec<u32>>);

impl Noted {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut noted = Self::default();
        for (kind, schema) in all(connection)?.into_keys() {
            noted.0.entry(kind).or_default().push(schema);
        }
        Ok(noted)
    }

    /// Notes what an event at this position is, unless one before it was the same; in the commit of the event.
    pub(super) fn note(
        &mut self,
        connection: &Connection,
        (kind, schema): (&str, u32),
        position: Position,
    ) -> rusqlite::Result<()> {
        if self.0.get(kind).is_some_and(|schemas| schemas.contains(&schema)) {
            return Ok(());
        }
        insert(connection, (kind, schema), position)?;
        self.0.entry(kind.to_owned()).or_default().push(schema);
        Ok(())
    }
}

/// What a log says of its kinds.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<BTreeMap<Shape, Position>> {
    let mut kinds = connection.prepare("SELECT kind, schema, first_position FROM kinds")?;
    let mut rows = kinds.query([])?;
    let mut all = BTreeMap::new();
    while let Some(row) = rows.next()? {
        // A note that is none tells of nothing.
        if let (Ok(kind), Ok(schema), Ok(position)) = (row.get(0), row.get(1), row.get(2)) {
            all.insert((kind, schema), position);
        }
    }
    Ok(all)
}

/// Notes what a log holds that was not noted before. What this version does not know is left out: nobody newer wrote it, since
/// he would have noted it.
pub(super) fn note_what_is_there(connection: &Connection) -> rusqlite::Result<()> {
    let mut held = connection.prepare("SELECT kind, schema, min(position) FROM events GROUP BY kind, schema")?;
    let mut held = held.query([])?;
    while let Some(row) = held.next()? {
        let (kind, schema): Shape = (row.get(0)?, row.get(1)?);
        if Event::knows(&kind, schema) {
            insert(connection, (&kind, schema), row.get(2)?)?;
        }
    }
    Ok(())
}

fn insert(connection: &Connection, (kind, schema): (&str, u32), position: Position) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO kinds (kind, schema, first_position) VALUES (?1, ?2, ?3)")?
        .execute(params![kind, schema, position])
        .map(drop)
}

/// An event that only a newer version knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerEvent {
    /// Its kind.
    pub kind: String,
    /// The schema of its payload.
    pub schema: u32,
    /// Where the first of them is.
    pub position: Position,
}

impl fmt::Display for NewerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind: String = self.kind.chars().take(TOLD_CHARS).collect();
        write!(f, "the event at position {} is {kind} of schema {}", self.position, self.schema)
    }
}

/// The first event of a log that a newer version noted and this one does not know. What is noted and not so is damage of the
/// note, and for `verify` to find.
pub(super) fn first_newer(connection: &Connection) -> rusqlite::Result<Option<NewerEvent>> {
    let unknown = all(connection)?.into_iter().filter(|((kind, schema), _)| !Event::knows(kind, *schema));
    let mut unknown: Vec<_> = unknown.map(|((kind, schema), position)| NewerEvent { kind, schema, position }).collect();
    unknown.sort_by_key(|event| event.position);
    for event in unknown {
        if is_held(connection, &event)? {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

/// Whether the log has that event, as far as that can be told: one that is not to be found may have been.
fn is_held(connection: &Connection, event: &NewerEvent) -> rusqlite::Result<bool> {
    let there = "SELECT kind = ?2 AND schema = ?3 FROM events WHERE position = ?1";
    let there = connection.query_row(there, params![event.position, event.kind, event.schema], |row| row.get(0));
    match there.optional()? {
        Some(is_the_same) => Ok(is_the_same),
        None => connection
            .query_row("SELECT coalesce(max(position), 0) >= ?1 FROM events", [event.position], |row| row.get(0)),
    }
}

/// What is noted of a log, held against its events as they go by. Events that are not what was stored say nothing.
#[derive(Debug)]
pub(super) struct Tally {
    noted: BTreeMap<Shape, Position>,
    seen: HashMap<String, Vec<(u32, Position)>>,
    /// Where something is first by what is noted, and an event is that is what was stored.
    told: BTreeSet<Position>,
}

/// A kind of which the note is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongKind {
    /// The kind.
    pub kind: String,
    /// Its schema.
    pub schema: u32,
    /// Where it is first by what is noted.
    pub noted: Option<Position>,
    /// Where it is first.
    pub first: Option<Position>,
}

impl Tally {
    pub(super) fn begin(noted: BTreeMap<Shape, Position>) -> Self {
        Self { noted, seen: HashMap::new(), told: BTreeSet::new() }
    }

    pub(super) fn take_in(&mut self, (kind, schema): (&str, u32), position: Position) {
        if self.noted.values().any(|first| *first == position) {
            self.told.insert(position);
        }
        match self.seen.get_mut(kind) {
            Some(schemas) if schemas.iter().any(|(seen, _)| *seen == schema) => {}
            Some(schemas) => schemas.push((schema, position)),
            None => drop(self.seen.insert(kind.to_owned(), vec![(schema, position)])),
        }
    }

    /// What is wrong once everything up to this position went by.
    pub(super) fn wrong(&self, end: Position) -> Vec<WrongKind> {
        let seen = self
            .seen
            .iter()
            .flat_map(|(kind, schemas)| schemas.iter().map(move |(schema, first)| ((kind.clone(), *schema), *first)));
        let seen: BTreeMap<Shape, Position> = seen.collect();
        let shapes: BTreeSet<&Shape> = seen.keys().chain(self.noted.keys()).collect();
        let each = shapes.into_iter().map(|shape| WrongKind {
            kind: shape.0.clone(),
            schema: shape.1,
            noted: self.noted.get(shape).copied(),
            first: seen.get(shape).copied(),
        });
        each.filter(|kind| match (kind.noted, kind.first) {
            (Some(noted), first) if !self.told.contains(&noted) && noted <= end => {
                first.is_some_and(|first| first < noted)
            }
            (noted, first) => noted != first,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests;
