//! The hash chain: every event's hash covers the one before it, so that a changed byte is found.

use millrace_model::ids::{Position, StreamName, Version};
use sha2::{Digest, Sha256};

/// A SHA-256 digest of the log up to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHash(pub [u8; 32]);

/// What an event's hash covers, as it is stored: whether it fits can be told of an event that nobody can read.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// Its place in the log.
    pub position: Position,
    /// The name of its stream.
    pub stream: &'a str,
    /// Its place in the stream.
    pub version: Version,
    /// What it is.
    pub kind: &'a str,
    /// The schema of the payload.
    pub schema: u32,
    /// Its payload.
    pub payload: &'a str,
    /// The position of what led to it; nothing stands at 0, which counts as none.
    pub causation: Option<Position>,
    /// What it belongs to; the nil id counts as none.
    pub correlation: Option<[u8; 16]>,
    /// The command that caused it.
    pub command_id: [u8; 16],
    /// Microseconds since 1970-01-01 UTC.
    pub recorded_at: i64,
    /// The digest of the command.
    pub command: &'a ChainHash,
}

impl ChainHash {
    /// What stands before the first event.
    pub const GENESIS: Self = Self([0; 32]);

    /// The digest of a command's name and body.
    pub fn of_command(name: &str, body: &str) -> Self {
        let mut hash = Sha256::new();
        text(&mut hash, name);
        text(&mut hash, body);
        Self(hash.finalize().into())
    }
}

impl Link<'_> {
    /// The hash of this event when it follows `before`. Texts are preceded by their length, numbers are eight bytes.
    pub fn after(&self, before: &ChainHash) -> ChainHash {
        let mut hash = Sha256::new();
        hash.update(before.0);
        number(&mut hash, self.position);
        text(&mut hash, self.stream);
        number(&mut hash, self.version);
        text(&mut hash, self.kind);
        number(&mut hash, u64::from(self.schema));
        number(&mut hash, self.causation.unwrap_or(0));
        hash.update(self.correlation.unwrap_or_default());
        hash.update(self.command_id);
        hash.update(self.command.0);
        hash.update(self.recorded_at.to_be_bytes());
        text(&mut hash, self.payload);
        ChainHash(hash.finalize().into())
    }
}

/// The digest that guards a snapshot.
pub(super) fn snapshot_hash(stream: &StreamName, version: Version, state: &str) -> ChainHash {
    let mut hash = Sha256::new();
    text(&mut hash, &stream.to_string());
    number(&mut hash, version);
    text(&mut hash, state);
    ChainHash(hash.finalize().into())
}

fn number(hash: &mut Sha256, number: u64) {
    hash.update(number.to_be_bytes());
}

fn text(hash: &mut Sha256, text: &str) {
    number(hash, text.len() as u64);
    hash.update(text.as_bytes());
}
