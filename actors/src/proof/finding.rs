//! What a proof finds, and what it comes to.

use std::fmt;

use millrace_model::ids::{Hash32, Position, Version};
use serde::Serialize;

use crate::event_store::Examined;

/// How many findings are kept; the others are counted.
pub const FINDINGS_MAX: usize = 100;

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "where", rename_all = "snake_case")]
pub enum Finding {
    /// An event, or the place of one.
    Event {
        /// Where in the log.
        position: Position,
        /// Its stream.
        #[serde(skip_serializing_if = "Option::is_none")]
        stream: Option<String>,
        /// Where in its stream.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<Version>,
        /// What it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
        /// What is wrong with it.
        problem: String,
    },
    /// What the log keeps beside its events.
    Stream {
        /// Of this stream.
        stream: String,
        /// The part of it that differs.
        field: String,
        /// What it says.
        shown: String,
        /// What the events say.
        expected: String,
    },
    /// What the log notes of a kind of events.
    Kind {
        /// The kind.
        kind: String,
        /// Its schema.
        schema: u32,
        /// Where it is first by what is noted.
        #[serde(skip_serializing_if = "Option::is_none")]
        shown: Option<Position>,
        /// Where it is first.
        #[serde(skip_serializing_if = "Option::is_none")]
        expected: Option<Position>,
    },
    /// The log's end.
    Head {
        /// What is wrong with it.
        problem: String,
    },
    /// A row of the views.
    View {
        /// The table.
        table: &'static str,
        /// The row, by what the table is ordered by.
        row: String,
        /// The part of it that differs.
        field: String,
        /// What it says.
        shown: String,
        /// What a fresh fold of the log says.
        expected: String,
    },
    /// The views as a whole.
    Views {
        /// What is wrong with them.
        problem: String,
    },
}

impl Finding {
    pub(super) fn of(event: &Examined, problem: String) -> Self {
        let (stream, version, kind) = event.name();
        Self::Event { position: event.position, stream, version, kind, problem }
    }

    /// Where nothing can be said of an event.
    pub(super) fn at(position: Position, problem: String) -> Self {
        Self::Event { position, stream: None, version: None, kind: None, problem }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { position, stream, version, kind, problem } => {
                write!(f, "position {position}")?;
                if let Some(stream) = stream {
                    write!(f, ", {stream}")?;
                }
                if let Some(version) = version {
                    write!(f, " version {version}")?;
                }
                if let Some(kind) = kind {
                    write!(f, ", {kind}")?;
                }
                write!(f, ": {problem}")
            }
            Self::Stream { stream, field, shown, expected } => {
                write!(f, "{stream}: {field} is {shown}, and by the events it is {expected}")
            }
            Self::Kind { kind, schema, shown, expected } => {
                let at = |first: &Option<Position>| match first {
                    Some(first) => format!("first at position {first}"),
                    None => "nowhere".to_owned(),
                };
                write!(f, "{kind} of schema {schema}: noted as {}, and by the events it is {}", at(shown), at(expected))
            }
            Self::Head { problem } => write!(f, "the log's end: {problem}"),
            Self::View { table, row, field, shown, expected } => {
                write!(f, "views, {table} {row}: {field} is {shown}, and by the log it is {expected}")
            }
            Self::Views { problem } => write!(f, "views: {problem}"),
        }
    }
}

/// What was held against something else, or why that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// It was, up to this position.
    UpTo(Position),
    /// It was not.
    LeftOut(String),
}

/// What a proof comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many events were looked at.
    pub events: u64,
    /// The newest position when it began.
    pub position: Position,
    /// The hash of the newest event, which covers everything before it.
    pub hash: Hash32,
    /// How many deposits there are.
    pub deposits: u64,
    /// Whether the head file fits.
    pub head_file: Compared,
    /// Whether the views fit.
    pub views: Compared,
    /// What is wrong, in the order in which it was found; at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How much more is.
    pub more_findings: u64,
}

impl Report {
    /// Whether everything is as it should be.
    pub fn is_well(&self) -> bool {
        self.findings.is_empty()
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) kept: Vec<Finding>,
    pub(super) more: u64,
}

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(finding);
        } else {
            self.more += 1;
        }
    }
}
