//! A log, or a part of it, as text to take away: JSON Lines.
//!
//! The first line says what this is and what it holds. Then comes every command that something in it came of, each followed
//! by its events in the order of their positions. The last line counts them and has a SHA-256 of all bytes before it, so
//! that a file that was cut short is found out. Payloads and bodies are in it letter by letter as they are stored, so that
//! the log's own hashes can be made again.

mod reading;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::ids::{DepositId, Hash32, Position, Version};

pub use reading::{BadLine, Reading};

/// What every such file calls itself.
pub const FORMAT: &str = "millrace-export";
/// The newest version of the format that is known here, and the one that is written.
pub const VERSION: u32 = 1;
/// The longest line, its end not counted.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line<'a> {
    /// The first.
    Export(Header),
    /// What was asked.
    #[serde(borrow)]
    Command(StoredCommand<'a>),
    /// What came of it.
    #[serde(borrow)]
    Event(StoredEvent<'a>),
    /// The last.
    End(End),
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// The version of the program that wrote it.
    pub millrace: String,
    /// The layout of the log that it was made of.
    pub schema: u32,
    /// How far that log reached.
    pub head: ExportHead,
    /// What of it is here.
    pub holds: Holds,
    /// What was replaced by pseudonyms; nothing when it is all as it was.
    pub redacted: Vec<String>,
}

/// How far the log reached when this was made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportHead {
    /// Its newest position.
    pub position: Position,
    /// The hash of the event there; left out where hashes would tell what is left out.
    pub hash: Option<Hash32>,
}

/// What of a log is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Holds {
    /// Everything from one position to another.
    Positions {
        /// The first.
        from: Position,
        /// The last.
        to: Position,
        /// The hash of the event before the first.
        before: Option<Hash32>,
    },
    /// One deposit's stream, whole, with what belongs to it from others.
    Deposit {
        /// Which.
        id: DepositId,
    },
}

impl Holds {
    /// Whether nothing is missing before its end.
    pub fn is_from_the_beginning(&self) -> bool {
        matches!(self, Self::Positions { from: 1, .. })
    }
}

/// A command as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredCommand<'a> {
    /// Its id.
    #[serde(with = "sixteen")]
    pub id: [u8; 16],
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The position of the first event that came of it.
    pub first: Position,
    /// The position of the last.
    pub last: Position,
    /// What it rested on.
    #[serde(borrow)]
    pub body: &'a RawValue,
}

/// An event as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredEvent<'a> {
    /// Its place in the log.
    pub position: Position,
    /// The name of its stream.
    #[serde(borrow)]
    pub stream: Cow<'a, str>,
    /// Its place there.
    pub version: Version,
    /// What it is.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// The schema of its payload.
    pub schema: u32,
    /// Its fields.
    #[serde(borrow)]
    pub payload: &'a RawValue,
    /// The position of what led to it.
    pub causation: Option<Position>,
    /// What it belongs to.
    pub correlation: Option<Uuid>,
    /// The id of the command that it came of, which is the last one before it here.
    #[serde(with = "sixteen")]
    pub command: [u8; 16],
    /// When it was recorded, in microseconds.
    pub recorded_at: DateTime<Utc>,
    /// The hash of the log up to it; left out where hashes would tell what is left out.
    pub hash: Option<Hash32>,
}

/// What a file comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// How many events it has.
    pub events: u64,
    /// How many commands.
    pub commands: u64,
    /// Of all bytes before this line.
    pub sha256: Hash32,
}

/// Writes a file, line by line.
#[derive(Debug, Clone, Default)]
pub struct Writing {
    events: u64,
    commands: u64,
    digest: Sha256,
}

/// A line that nobody would read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line of {bytes} bytes is longer than the {LINE_BYTES_MAX} that a line may have")]
pub struct TooLong {
    bytes: usize,
}

impl Writing {
    /// The text of the next line, with its end.
    pub fn line(&mut self, line: &Line<'_>) -> Result<String, TooLong> {
        match line {
            Line::Event(_) => self.events += 1,
            Line::Command(_) => self.commands += 1,
            Line::Export(_) | Line::End(_) => {}
        }
        let mut text = serde_json::to_string(line).expect("lines have text keys");
        if text.len() > LINE_BYTES_MAX {
            return Err(TooLong { bytes: text.len() });
        }
        text.push('\n');
        self.digest.update(&text);
        Ok(text)
    }

    /// What the last line says.
    pub fn end(&self) -> End {
        let sha256 = Hash32(self.digest.clone().finalize().into());
        End { events: self.events, commands: self.commands, sha256 }
    }
}

/// Sixteen bytes as hexadecimal digits.
mod sixteen {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let mut bytes = [0; 16];
        hex::decode_to_slice(text.as_bytes(), &mut bytes)
            .map_err(|_| de::Error::custom("not 32 hexadecimal digits"))?;
        Ok(bytes)
    }
}
