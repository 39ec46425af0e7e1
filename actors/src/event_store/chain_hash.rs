//! The hash chain: every event's hash covers the one before it, so that a changed byte is found.

use millrace_model::event::Recorded;
use millrace_model::ids::{StreamName, Version};
use sha2::{Digest, Sha256};

/// A SHA-256 digest of the log up to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHash(pub [u8; 32]);

/// An event and what its hash covers besides.
pub struct Link<'a> {
    /// The event with its envelope.
    pub recorded: &'a Recorded,
    /// The schema of the payload as stored: an event that was read may have been raised to a newer one.
    pub schema: u32,
    /// Its payload as stored.
    pub payload: &'a str,
    /// The digest of the command that caused it.
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
        let Recorded { position, stream, version, event, causation, correlation, command_id, recorded_at } =
            self.recorded;
        let mut hash = Sha256::new();
        hash.update(before.0);
        number(&mut hash, *position);
        text(&mut hash, &stream.to_string());
        number(&mut hash, *version);
        text(&mut hash, event.kind());
        number(&mut hash, u64::from(self.schema));
        number(&mut hash, causation.unwrap_or(0));
        hash.update(correlation.unwrap_or_default().as_bytes());
        hash.update(command_id.0);
        hash.update(self.command.0);
        hash.update(recorded_at.timestamp_micros().to_be_bytes());
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
