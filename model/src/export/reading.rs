//! Reading such a file, line by line, and saying what is wrong with it. Nothing of what went before is kept but where it was.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{End, FORMAT, Header, Holds, LINE_BYTES_MAX, Line, StoredCommand, StoredEvent, VERSION};
use crate::event::{DecodeError, Event};
use crate::ids::{Hash32, Position, StreamName, UnknownStream};

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum BadLine {
    /// It is no line of such a file.
    #[error("this is no line of an export: {0}")]
    Broken(serde_json::Error),
    /// It is longer than a line may be.
    #[error("the line is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// It is no text.
    #[error("the line is no UTF-8 text")]
    NoText,
    /// The file is something else.
    #[error("this is no export of a Millrace log")]
    Foreign,
    /// A newer version of the program wrote it.
    #[error("the export has format {found}, this version knows up to {VERSION}")]
    NewerFormat {
        /// The version found.
        found: u32,
    },
    /// A newer version of the program stored it.
    #[error("the export is of a log with schema {found}, this version knows up to {known}")]
    NewerSchema {
        /// The schema found.
        found: u32,
        /// The newest one known.
        known: u32,
    },
    /// Something else belongs here.
    #[error("{expected} is expected here")]
    Misplaced {
        /// What.
        expected: &'static str,
    },
    /// A position that cannot be here.
    #[error("position {found} is not {expected}")]
    Position {
        /// The position found.
        found: Position,
        /// Where it would have to be.
        expected: String,
    },
    /// An event of another command.
    #[error("the event is not of the command before it")]
    Command,
    /// A cause that comes later.
    #[error("position {0} cannot have led to it: it comes later")]
    Causation(Position),
    /// A time that is not stored like this.
    #[error("a time is stored in whole microseconds")]
    Time,
    /// A stream that this version does not know.
    #[error(transparent)]
    Stream(#[from] UnknownStream),
    /// An event that cannot be read.
    #[error(transparent)]
    Event(#[from] DecodeError),
    /// Not what was written.
    #[error("the file is not what was written: {0}")]
    NotWhole(&'static str),
}

/// Only what has to be known before the rest can be understood.
#[derive(Deserialize)]
struct FirstLine {
    export: FirstWords,
}

#[derive(Deserialize)]
struct FirstWords {
    format: String,
    version: u32,
}

/// The command whose events come.
#[derive(Debug, Clone, Copy)]
struct Open {
    id: [u8; 16],
    first: Position,
    last: Position,
    has_events: bool,
}

/// A file that is being read.
#[derive(Debug, Clone)]
pub struct Reading {
    schema_known: u32,
    header: Option<Header>,
    open: Option<Open>,
    position: Position,
    events: u64,
    commands: u64,
    digest: Sha256,
    end: Option<End>,
}

impl Reading {
    /// Before the first line; `schema_known` is the newest layout of a log that is known.
    pub fn begin(schema_known: u32) -> Self {
        Self {
            schema_known,
            header: None,
            open: None,
            position: 0,
            events: 0,
            commands: 0,
            digest: Sha256::new(),
            end: None,
        }
    }

    /// The first line, once it was read.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The next line, without its end.
    pub fn line<'a>(&mut self, text: &'a str) -> Result<Line<'a>, BadLine> {
        if text.len() > LINE_BYTES_MAX {
            return Err(BadLine::TooLong);
        }
        if self.header.is_none() {
            check_first(text)?;
        }
        let line: Line<'a> = serde_json::from_str(text).map_err(BadLine::Broken)?;
        match (&line, &self.header, &self.end) {
            (_, _, Some(_)) => return Err(BadLine::Misplaced { expected: "nothing more" }),
            (Line::Export(header), None, None) => self.begin_with(header)?,
            (_, None, None) => return Err(BadLine::Foreign),
            (Line::Export(_), Some(_), None) => return Err(BadLine::Misplaced { expected: "a command or an event" }),
            (Line::Command(command), Some(header), None) => self.command(command, header.holds)?,
            (Line::Event(event), Some(header), None) => self.event(event, header.holds)?,
            (Line::End(end), Some(header), None) => self.ended(end, &header.clone())?,
        }
        self.digest.update(text);
        self.digest.update("\n");
        Ok(line)
    }

    /// After the last line: what the file comes to.
    pub fn finish(self) -> Result<(Header, End), BadLine> {
        match (self.header, self.end) {
            (Some(header), Some(end)) => Ok((header, end)),
            (None, _) => Err(BadLine::Foreign),
            (Some(_), None) => Err(BadLine::NotWhole("it breaks off before its last line")),
        }
    }

    fn begin_with(&mut self, header: &Header) -> Result<(), BadLine> {
        if header.schema > self.schema_known {
            return Err(BadLine::NewerSchema { found: header.schema, known: self.schema_known });
        }
        if let Holds::Positions { from, to, .. } = header.holds {
            if from == 0 || to > header.head.position || from > to.saturating_add(1) {
                return Err(BadLine::Position { found: to, expected: format!("after {from} and in the log") });
            }
            self.position = from - 1;
        }
        self.header = Some(header.clone());
        Ok(())
    }

    fn command(&mut self, command: &StoredCommand<'_>, holds: Holds) -> Result<(), BadLine> {
        if self.open.is_some_and(|open| !open.has_events) {
            return Err(BadLine::Misplaced { expected: "an event of the command before" });
        }
        let StoredCommand { id, first, last, .. } = *command;
        let is_whole_before = self.open.is_none_or(|open| self.position >= open.last);
        if matches!(holds, Holds::Positions { .. }) && !is_whole_before {
            return Err(BadLine::Misplaced { expected: "another event of the command before" });
        }
        // Of the command around the first position, earlier events may be missing.
        let is_next = self.events == 0 && first <= self.position + 1 || first == self.position + 1;
        let fits = match holds {
            Holds::Positions { .. } => is_next && last > self.position,
            Holds::Deposit { .. } => self.open.is_none_or(|open| first > open.last),
        };
        if !fits || first == 0 || last < first {
            return Err(BadLine::Position { found: first, expected: format!("the next after {}", self.position) });
        }
        self.open = Some(Open { id, first, last, has_events: false });
        self.commands += 1;
        Ok(())
    }

    fn event(&mut self, event: &StoredEvent<'_>, holds: Holds) -> Result<(), BadLine> {
        let Some(open) = &mut self.open else { return Err(BadLine::Misplaced { expected: "a command" }) };
        let found = event.position;
        let follows = match holds {
            Holds::Positions { to, .. } => found == self.position + 1 && found <= to,
            Holds::Deposit { .. } => found > self.position,
        };
        if !follows {
            return Err(BadLine::Position { found, expected: format!("the next after {}", self.position) });
        }
        if event.command != open.id || !(open.first..=open.last).contains(&found) {
            return Err(BadLine::Command);
        }
        if let Some(later) = event.causation.filter(|cause| *cause >= found) {
            return Err(BadLine::Causation(later));
        }
        if !event.recorded_at.timestamp_subsec_nanos().is_multiple_of(1_000) {
            return Err(BadLine::Time);
        }
        let stream: StreamName = event.stream.parse()?;
        Event::decode(stream.category(), &event.kind, event.schema, event.payload.get())?;
        open.has_events = true;
        self.position = found;
        self.events += 1;
        Ok(())
    }

    fn ended(&mut self, end: &End, header: &Header) -> Result<(), BadLine> {
        if self.open.is_some_and(|open| !open.has_events) {
            return Err(BadLine::Misplaced { expected: "an event of the command before" });
        }
        if (end.events, end.commands) != (self.events, self.commands) {
            return Err(BadLine::NotWhole("its last line counts other lines"));
        }
        if end.sha256 != Hash32(self.digest.clone().finalize().into()) {
            return Err(BadLine::NotWhole("its last line has the digest of other lines"));
        }
        if matches!(header.holds, Holds::Positions { to, .. } if to != self.position) {
            return Err(BadLine::NotWhole("it does not reach the position that its first line names"));
        }
        self.end = Some(*end);
        Ok(())
    }
}

/// Whether this is such a file at all, and of a version that is known: a newer one may have fields that are not.
fn check_first(text: &str) -> Result<(), BadLine> {
    let first: FirstLine = serde_json::from_str(text).map_err(|_| BadLine::Foreign)?;
    match first.export {
        FirstWords { format, .. } if format != FORMAT => Err(BadLine::Foreign),
        FirstWords { version, .. } if version > VERSION => Err(BadLine::NewerFormat { found: version }),
        FirstWords { .. } => Ok(()),
    }
}
