//! What was stored together with an event: its command, and the other events that came of it.

use millrace_model::event::Recorded;
use millrace_model::ids::{CommandId, Position};
use millrace_model::operator::{By, note_of};
use rusqlite::OptionalExtension;

use super::reader::{ReadError, Reader};
use super::sealed::Shelf;

/// A command as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCommand {
    /// What was asked.
    pub name: String,
    /// All that the decision rested on, as JSON.
    pub body: String,
    /// The first and the last of the events that came of it; all between are its too.
    pub positions: (Position, Position),
}

impl StoredCommand {
    /// Which operator gave it, if it says.
    pub fn by(&self) -> Option<By> {
        By::of(&self.name, &self.body)
    }

    /// Why, if the command itself says.
    pub fn note(&self) -> Option<String> {
        note_of(&self.name, &self.body)
    }
}

impl Reader {
    /// A command; nothing when the log does not have it.
    pub fn command(&self, id: CommandId) -> Result<Option<StoredCommand>, ReadError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT name, body, first_position, last_position FROM commands WHERE id = ?1")?;
        let command = statement.query_row([id.0], |row| {
            Ok(StoredCommand { name: row.get(0)?, body: row.get(1)?, positions: (row.get(2)?, row.get(3)?) })
        });
        let Some(mut command) = command.optional()? else { return Ok(None) };
        command.body = Shelf::of(&connection).body(command.positions.0, command.body)?;
        Ok(Some(command))
    }

    /// The event at a position; nothing behind the log's end.
    pub fn event_at(&self, position: Position) -> Result<Option<Recorded>, ReadError> {
        Ok(self.range(position, position)?.pop())
    }
}
