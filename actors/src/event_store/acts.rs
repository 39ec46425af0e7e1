//! Events of some kinds, the newest first: what operators did is a few lines in a long log.

use millrace_model::event::Recorded;
use millrace_model::ids::Position;
use rusqlite::params;

use super::reader::{ReadError, Reader, head_on, recorded};
use super::sealed::Shelf;
use super::together::StoredCommand;

/// A look back at the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// The events, the newest first, each with its command if the log has it.
    pub found: Vec<(Recorded, Option<StoredCommand>)>,
    /// What lies before this was not looked at; nothing does at 1.
    pub before: Position,
}

impl Reader {
    /// Looks at `look` positions before `before` (at the newest without one), for at most `events_max` events of these
    /// kinds.
    pub fn look_back(
        &self,
        kinds: &[&str],
        before: Option<Position>,
        look: u64,
        events_max: usize,
    ) -> Result<Looked, ReadError> {
        let connection = self.lock();
        let end = before.unwrap_or(Position::MAX).min(head_on(&connection)?.saturating_add(1));
        let begin = end.saturating_sub(look).max(1);
        let mut statement = connection.prepare_cached(
            "SELECT e.position, s.name, e.version, e.kind, e.schema, e.payload, e.causation, e.correlation,
                    e.command_id, e.recorded_at, c.name, c.body, c.first_position, c.last_position
             FROM events e JOIN streams s ON s.id = e.stream LEFT JOIN commands c ON c.id = e.command_id
             WHERE e.position >= ?1 AND e.position < ?2 AND e.kind IN (SELECT value FROM json_each(?3))
             ORDER BY e.position DESC LIMIT ?4",
        )?;
        let kinds = serde_json::to_string(kinds).expect("words are JSON");
        let events_max = i64::try_from(events_max).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![begin, end, kinds, events_max])?;
        let (mut found, shelf) = (Vec::new(), Shelf::of(&connection));
        while let Some(row) = rows.next()? {
            let recorded = recorded(row, &shelf)?;
            let command = match row.get::<_, Option<String>>(10)? {
                Some(name) => {
                    let positions = (row.get(12)?, row.get(13)?);
                    // One that cannot be read names nobody.
                    let body = shelf.body(positions.0, row.get(11)?).unwrap_or_default();
                    Some(StoredCommand { name, body, positions })
                }
                None => None,
            };
            found.push((recorded, command));
        }
        let is_full = i64::try_from(found.len()).is_ok_and(|count| count >= events_max);
        let before = found.last().filter(|_| is_full).map_or(begin, |(last, _)| last.position);
        drop(rows);
        drop((statement, shelf));
        drop(connection);
        self.check_still_alone()?;
        Ok(Looked { found, before })
    }
}
