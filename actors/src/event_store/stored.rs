//! An event as its row or its segment holds it, and the one way from there to the event itself.

use chrono::{DateTime, Utc};
use millrace_model::event::{DecodeError, Event, Recorded};
use millrace_model::ids::{CommandId, Position, StreamName, Version};
use rusqlite::Row;
use serde::Deserialize;

use super::reader::{ReadError, text};
use super::segment::Packed;

/// An event as it is stored. Nothing of it is decoded, and of a row nothing is looked at, before it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'r> {
    source: Source<'r>,
    position: Position,
}

#[derive(Debug, Clone, Copy)]
enum Source<'r> {
    Row(&'r Row<'r>),
    Packed(&'r Packed<'r>),
}

impl<'r> Stored<'r> {
    pub(super) fn new(row: &'r Row<'r>) -> Result<Self, ReadError> {
        Ok(Self { source: Source::Row(row), position: row.get(0)? })
    }

    pub(super) fn packed(packed: &'r Packed<'r>) -> Self {
        Self { source: Source::Packed(packed), position: packed.position }
    }

    /// Its place in the log.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The number of its stream in this file; as long as one reads the same file, one stream has one number.
    pub fn stream_id(&self) -> Result<i64, ReadError> {
        match self.source {
            Source::Row(row) => self.at(row.get(1)),
            Source::Packed(packed) => Ok(packed.stream_id),
        }
    }

    /// The name of its stream, where it stands with the event.
    pub(super) fn stream(&self) -> Option<&'r str> {
        match self.source {
            Source::Row(_) => None,
            Source::Packed(packed) => Some(packed.stream),
        }
    }

    /// Its place in its stream.
    pub fn version(&self) -> Result<Version, ReadError> {
        match self.source {
            Source::Row(row) => self.at(row.get(2)),
            Source::Packed(packed) => Ok(packed.version),
        }
    }

    /// What it is.
    pub fn kind(&self) -> Result<&'r str, ReadError> {
        match self.source {
            Source::Row(row) => self.at(text(row, 3)),
            Source::Packed(packed) => Ok(packed.kind),
        }
    }

    /// The schema of its payload.
    pub fn schema(&self) -> Result<u32, ReadError> {
        match self.source {
            Source::Row(row) => self.at(row.get(4)),
            Source::Packed(packed) => Ok(packed.schema),
        }
    }

    /// Its payload.
    pub fn payload(&self) -> Result<&'r str, ReadError> {
        match self.source {
            Source::Row(row) => self.at(text(row, 5)),
            Source::Packed(packed) => Ok(packed.payload()?),
        }
    }

    /// Those fields of the payload that `F` names. `kind` is what it is; its schema must be one in which these fields are as they are now.
    pub fn fields<F: Deserialize<'r>>(&self, kind: &'static str) -> Result<F, ReadError> {
        serde_json::from_str(self.payload()?).map_err(|source| ReadError::Decode {
            position: self.position,
            source: DecodeError::Payload { kind, source },
        })
    }

    /// The event, which belongs to this stream; of a row that was read whole.
    #[inline]
    pub(super) fn recorded(&self, stream: StreamName) -> Result<Recorded, ReadError> {
        self.recorded_of(stream, self.payload()?)
    }

    /// The same of a row that has its payload elsewhere.
    #[inline]
    pub(super) fn recorded_of(&self, stream: StreamName, payload: &str) -> Result<Recorded, ReadError> {
        let event = Event::read(stream.category(), self.kind()?, self.schema()?, payload)
            .map_err(|source| ReadError::Decode { position: self.position, source })?;
        let (causation, correlation, command_id, recorded_at) = match self.source {
            Source::Row(row) => self.at((|| Ok((row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?)))())?,
            Source::Packed(packed) => (packed.causation, packed.correlation, packed.command_id, packed.recorded_at),
        };
        Ok(Recorded {
            position: self.position,
            version: self.version()?,
            event,
            // Nothing stands at position 0 and nothing has the nil id: the chain of hashes takes both for none, and so do we.
            causation: causation.filter(|position: &Position| *position > 0),
            correlation: correlation.map(uuid::Uuid::from_bytes).filter(|id| !id.is_nil()),
            command_id: CommandId(command_id),
            recorded_at: DateTime::<Utc>::from_timestamp_micros(recorded_at).unwrap_or_default(),
            stream,
        })
    }

    fn at<T>(&self, read: rusqlite::Result<T>) -> Result<T, ReadError> {
        read.map_err(|source| ReadError::Row { position: self.position, source })
    }
}
