//! What is asked of the log and what it answers.

use millrace_model::event::Event;
use millrace_model::ids::{CommandId, Position, StreamName, Version};
use uuid::Uuid;

/// A command's outcome, to be stored as one: all of it or nothing.
#[derive(Debug, Clone)]
pub struct Append {
    /// Recognises the command when it is repeated.
    pub command_id: CommandId,
    /// The command's name.
    pub command: &'static str,
    /// The command with everything the decision rested on, as JSON.
    pub body: String,
    /// The event that led to the command.
    pub causation: Option<Position>,
    /// What everything of one story shares.
    pub correlation: Option<Uuid>,
    /// The events, by stream. A stream appears once.
    pub writes: Vec<Write>,
}

/// Events for one stream.
#[derive(Debug, Clone)]
pub struct Write {
    /// The stream.
    pub stream: StreamName,
    /// Where the writer believes the stream stands.
    pub expected: Expected,
    /// The events, oldest first; at least one.
    pub events: Vec<Event>,
    /// What of the outside world a new stream stands for; refused when another stream stands for it already.
    pub key: Option<String>,
    /// What a new stream shares with others.
    pub label: Option<String>,
    /// Whether more is expected after these events.
    pub progress: Progress,
    /// The stream's state after these events, to be stored beside them.
    pub snapshot: Option<String>,
}

impl Write {
    /// Events for a stream that has neither key, label nor snapshot.
    pub fn new(stream: StreamName, expected: Expected, events: Vec<Event>) -> Self {
        Self { stream, expected, events, key: None, label: None, progress: Progress::Open, snapshot: None }
    }
}

/// Where a writer believes a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// At exactly this version; 0 for a stream that does not exist.
    Exactly(Version),
    /// Anywhere: the writer owns the stream, as of this epoch.
    Owner(Epoch),
}

/// Whether a stream is among the ones to be looked at when the desk starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Something more is expected.
    Open,
    /// Nothing more is expected.
    Finished,
}

/// Counts the owners of streams since the process started; only a stream's newest may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// The place where a command's events lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The first event's position.
    pub first: Position,
    /// The last event's position.
    pub last: Position,
    /// Whether these events are from now or from an earlier time the same command was given.
    pub origin: Origin,
}

/// When a command's events were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// By this append.
    New,
    /// By an earlier append of the same command.
    Repeated,
}

/// Why nothing was stored, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The stream is elsewhere; load it and decide again.
    #[error("{stream} is at version {actual}, not {expected}")]
    Conflict {
        /// Which.
        stream: StreamName,
        /// Where the writer believed it to be.
        expected: Version,
        /// Where it is.
        actual: Version,
    },
    /// Another stream stands for the same thing of the outside world.
    #[error("{key} is {stream} already")]
    KeyTaken {
        /// The thing.
        key: String,
        /// That stream.
        stream: StreamName,
    },
    /// Somebody else owns the stream now.
    #[error("{stream} has another owner now")]
    Fenced {
        /// Which.
        stream: StreamName,
    },
    /// A payload is too large for the log.
    #[error("a {kind} of {bytes} bytes is over the limit of {limit}", limit = millrace_model::event::PAYLOAD_MAX_BYTES)]
    TooLarge {
        /// The event's kind.
        kind: String,
        /// Its size.
        bytes: usize,
    },
    /// More is waiting than the log takes.
    #[error("the log has more waiting than it takes")]
    Busy,
    /// The database refused; nothing of this append is stored.
    #[error("the log cannot write: {0}")]
    Unavailable(String),
    /// No answer in time, or the writer died: stored or not, only the log can tell.
    #[error("the log did not answer; the outcome is unknown")]
    Unknown,
}
