//! Streams with the commands that their events came of, bodies included, for whoever decides them again.

use millrace_model::event::Recorded;
use millrace_model::ids::{Category, StreamName};
use millrace_model::redecision::{Asked, Happened};
use rusqlite::{Row, params};

use super::reader::{ReadError, Reader, query_on, recorded};
use super::sealed::Shelf;

/// The columns of an event.
macro_rules! with_commands {
    ($rest:literal) => {
        concat!(
            "SELECT e.position, s.name, e.version, e.kind, e.schema, e.payload, e.causation, e.correlation, ",
            "e.command_id, e.recorded_at, c.name, c.body FROM streams s JOIN events e ON e.stream = s.id ",
            "LEFT JOIN commands c ON c.id = e.command_id ",
            $rest
        )
    };
}

impl Reader {
    /// A stream's events with their commands, oldest first.
    pub fn with_commands(&self, stream: &StreamName) -> Result<Vec<Happened>, ReadError> {
        let read = {
            let connection = self.lock();
            let mut statement = connection.prepare_cached(with_commands!("WHERE s.name = ?1 ORDER BY e.version"))?;
            let (mut rows, shelf) = (statement.query([stream.to_string()])?, Shelf::of(&connection));
            let mut read = Vec::new();
            while let Some(row) = rows.next()? {
                read.push(happened(row, &shelf)?);
            }
            read
        };
        self.check_still_alone()?;
        Ok(read)
    }

    /// The events of one kind in a stream, oldest first.
    pub fn of_kind(&self, stream: &StreamName, kind: &str) -> Result<Vec<Recorded>, ReadError> {
        let sql = with_commands!("WHERE s.name = ?1 AND e.kind = ?2 ORDER BY e.version");
        query_on(&self.lock(), sql, params![stream.to_string(), kind])
    }

    /// The names of streams of a category by their numbers in this file, after a number: a page of them.
    pub fn streams_after(
        &self,
        category: Category,
        after: i64,
        streams_max: usize,
    ) -> Result<Vec<(i64, StreamName)>, ReadError> {
        let connection = self.lock();
        let sql = "SELECT id, name FROM streams WHERE category = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
        let mut statement = connection.prepare_cached(sql)?;
        let page = params![category.code(), after, streams_max as i64];
        let rows = statement.query_map(page, |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| row.map_err(ReadError::from).and_then(|(id, name)| Ok((id, name.parse()?)))).collect()
    }

    /// Whether it has every event from the first to its newest.
    pub fn is_whole(&self) -> Result<bool, ReadError> {
        let sql = "SELECT count(*) = coalesce(max(position), 0) FROM events";
        Ok(self.lock().query_row(sql, [], |row| row.get(0))?)
    }
}

fn happened(row: &Row<'_>, shelf: &Shelf<'_>) -> Result<Happened, ReadError> {
    let recorded = recorded(row, shelf)?;
    let body = row.get::<_, Option<String>>(11)?.map(|body| shelf.body(recorded.position, body)).transpose()?;
    let asked = row.get::<_, Option<String>>(10)?.zip(body).map(|(name, body)| Asked { name, body });
    let is_older = row.get::<_, u32>(4)? < recorded.event.schema();
    let older = is_older.then(|| shelf.payload(recorded.position, row.get(5)?)).transpose()?;
    // It was just read, so it is JSON.
    let older = older.and_then(|text| serde_json::from_str(&text).ok());
    Ok(Happened { recorded, older, asked })
}
