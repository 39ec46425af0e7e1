//! An event as its row holds it, and the one way from there to the event itself.

use chrono::{DateTime, Utc};
use millrace_model::event::{DecodeError, Event, Recorded};
use millrace_model::ids::{CommandId, Position, StreamName, Version};
use rusqlite::Row;
use serde::Deserialize;

use super::reader::{ReadError, text};

/// A row of events. Nothing of it is decoded, nor even looked at, before it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'r> {
    row: &'r Row<'r>,
    position: Position,
}

impl<'r> Stored<'r> {
    pub(super) fn new(row: &'r Row<'r>) -> Result<Self, ReadError> {
        Ok(Self { row, position: row.get(0)? })
    }

    /// Its place in the log.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The number of its stream in this file; as long as one reads the same file, one stream has one number.
    pub fn stream_id(&self) -> Result<i64, ReadError> {
        self.at(self.row.get(1))
    }

    /// Its place in its stream.
    pub fn version(&self) -> Result<Version, ReadError> {
        self.at(self.row.get(2))
    }

    /// What it is.
    pub fn kind(&self) -> Result<&'r str, ReadError> {
        self.at(text(self.row, 3))
    }

    /// The schema of its payload.
    pub fn schema(&self) -> Result<u32, ReadError> {
        self.at(self.row.get(4))
    }

    /// Its payload.
    pub fn payload(&self) -> Result<&'r str, ReadError> {
        self.at(text(self.row, 5))
    }

    /// Those fields of the payload that `F` names. `kind` is what it is; its schema must be one in which these fields are as they are now.
    pub fn fields<F: Deserialize<'r>>(&self, kind: &'static str) -> Result<F, ReadError> {
        serde_json::from_str(self.payload()?).map_err(|source| ReadError::Decode {
            position: self.position,
            source: DecodeError::Payload { kind, source },
        })
    }

    /// The event, which belongs to this stream; of a row that was read whole.
    pub(super) fn recorded(&self, stream: StreamName) -> Result<Recorded, ReadError> {
        let event = Event::read(stream.category(), self.kind()?, self.schema()?, self.payload()?)
            .map_err(|source| ReadError::Decode { position: self.position, source })?;
        // Nothing stands at position 0 and nothing has the nil id: the chain of hashes takes both for none, and so do we.
        let causation = self.at(self.row.get::<_, Option<Position>>(6))?.filter(|position| *position > 0);
        let correlation = self.at(self.row.get::<_, Option<[u8; 16]>>(7))?.map(uuid::Uuid::from_bytes);
        Ok(Recorded {
            position: self.position,
            version: self.version()?,
            event,
            causation,
            correlation: correlation.filter(|id| !id.is_nil()),
            command_id: CommandId(self.at(self.row.get(8))?),
            recorded_at: DateTime::<Utc>::from_timestamp_micros(self.at(self.row.get(9))?).unwrap_or_default(),
            stream,
        })
    }

    fn at<T>(&self, read: rusqlite::Result<T>) -> Result<T, ReadError> {
        read.map_err(|source| ReadError::Row { position: self.position, source })
    }
}
