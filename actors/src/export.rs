//! A log, or a part of it, written down as text to take away ([`millrace_model::export`]).
//!
//! Read page by page up to an end that is taken at the beginning, so that a desk may go on meanwhile and no log is too large.

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use millrace_model::export::{
    End, ExportHead, FORMAT, Header, Holds, Line, StoredCommand, StoredEvent, TooLong, VERSION, Writing,
};
use millrace_model::ids::{CommandId, DepositId, Hash32, Position, StreamName};
use millrace_model::redaction::{self, Pseudonyms, Unclassified};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::event_store::{EventRow, ReadError, Reader};

/// How many events are read at once.
const PAGE_EVENTS_MAX: usize = 256;

/// What to write down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Everything from one position to another, or to the newest.
    Positions {
        /// The first.
        from: Position,
        /// The last.
        to: Option<Position>,
    },
    /// One deposit, with what belongs to it.
    Deposit(DepositId),
}

/// Why it cannot be written down.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nobody takes it.
    #[error("it cannot be written")]
    Write(#[from] io::Error),
    /// There is nothing of it.
    #[error("there is no deposit {0} in this log")]
    NoDeposit(DepositId),
    /// The log has no such positions.
    #[error("this log has no events from {from} to {to}: it reaches to {head}")]
    NoPositions {
        /// The first wanted.
        from: Position,
        /// The last wanted.
        to: Position,
        /// The newest there is.
        head: Position,
    },
    /// Something is not what a desk stores.
    #[error("position {position}: {what}; `millrace verify` says more")]
    Damaged {
        /// Where.
        position: Position,
        /// What is wrong.
        what: &'static str,
    },
    /// It may be personal.
    #[error("position {position} cannot be redacted: {source}")]
    Unclassified {
        /// Where.
        position: Position,
        /// What is not known.
        source: Unclassified,
    },
    /// Nobody would read it.
    #[error("position {position}: {source}")]
    TooLong {
        /// Where.
        position: Position,
        /// How long it is.
        source: TooLong,
    },
}

/// Writes it down. `program` is the version of the program that does.
pub fn export(
    reader: &Reader,
    wanted: Wanted,
    pseudonyms: Option<&Pseudonyms>,
    (program, out): (&str, &mut impl Write),
) -> Result<End, ExportError> {
    let header = header(reader, wanted, pseudonyms.is_some(), program)?;
    let holds = header.holds;
    let mut scribe = Scribe { writing: Writing::default(), pseudonyms, command: None, out };
    scribe.line(0, &Line::Export(header))?;
    match holds {
        Holds::Positions { from, to, .. } => {
            let mut reached = from - 1;
            while reached < to {
                let page = reader.stored_after(reached, PAGE_EVENTS_MAX)?;
                if page.is_empty() {
                    return Err(damaged(reached + 1, "it is missing"));
                }
                for stored in page.iter().take_while(|stored| stored.position <= to) {
                    if stored.position != reached + 1 {
                        return Err(damaged(reached + 1, "it is missing"));
                    }
                    scribe.event(stored)?;
                    reached = stored.position;
                }
            }
        }
        Holds::Deposit { id } => {
            for position in reader.positions_of(id)? {
                let stored = reader.stored_at(position)?;
                scribe.event(&stored.ok_or_else(|| damaged(position, "it is missing"))?)?;
            }
        }
    }
    let end = scribe.writing.end();
    scribe.line(0, &Line::End(end))?;
    scribe.out.flush()?;
    Ok(end)
}

fn header(reader: &Reader, wanted: Wanted, redacted: bool, program: &str) -> Result<Header, ExportError> {
    let position = reader.head()?;
    let hash =
        |position| -> Result<Option<Hash32>, ReadError> { if redacted { Ok(None) } else { reader.hash_at(position) } };
    let holds = match wanted {
        Wanted::Positions { from, to } => {
            let to = to.unwrap_or(position);
            if from == 0 || to > position || from > to && (from, to) != (1, 0) {
                return Err(ExportError::NoPositions { from, to, head: position });
            }
            Holds::Positions { from, to, before: hash(from - 1)? }
        }
        Wanted::Deposit(id) if reader.positions_of(id)?.is_empty() => return Err(ExportError::NoDeposit(id)),
        Wanted::Deposit(id) => Holds::Deposit { id },
    };
    let replaced = if redacted { redaction::REPLACED.map(str::to_owned).to_vec() } else { Vec::new() };
    Ok(Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        millrace: program.to_owned(),
        schema: reader.layout()?,
        head: ExportHead { position, hash: hash(position)? },
        holds,
        redacted: replaced,
    })
}

fn damaged(position: Position, what: &'static str) -> ExportError {
    ExportError::Damaged { position, what }
}

/// Who writes the lines.
struct Scribe<'a, W> {
    writing: Writing,
    pseudonyms: Option<&'a Pseudonyms>,
    /// The command that was written last.
    command: Option<[u8; 16]>,
    out: &'a mut W,
}

impl<W: Write> Scribe<'_, W> {
    fn line(&mut self, position: Position, line: &Line<'_>) -> Result<(), ExportError> {
        let text = self.writing.line(line).map_err(|source| ExportError::TooLong { position, source })?;
        Ok(self.out.write_all(text.as_bytes())?)
    }

    fn event(&mut self, stored: &EventRow) -> Result<(), ExportError> {
        if self.command != Some(stored.command_id) {
            self.asked(stored)?;
            self.command = Some(stored.command_id);
        }
        let position = stored.position;
        let name: StreamName = stored.stream.parse().map_err(ReadError::from)?;
        let redact = |fields: &mut Value, made: &Pseudonyms| redaction::event(&stored.kind, fields, made);
        let payload = self.text(position, &stored.payload, "its payload is not as a desk stores it", redact)?;
        let recorded_at = DateTime::<Utc>::from_timestamp_micros(stored.recorded_at);
        let line = StoredEvent {
            position,
            stream: self.pseudonyms.map_or(name.clone(), |made| redaction::stream(&name, made)).to_string().into(),
            version: stored.version,
            kind: stored.kind.as_str().into(),
            schema: stored.schema,
            payload: &payload,
            causation: stored.causation,
            correlation: stored.correlation.map(uuid::Uuid::from_bytes),
            command: self.command_id(stored.command_id),
            recorded_at: recorded_at.ok_or_else(|| damaged(position, "its time is none"))?,
            hash: self.pseudonyms.is_none().then_some(Hash32(stored.hash)),
        };
        self.line(position, &Line::Event(line))
    }

    fn asked(&mut self, stored: &EventRow) -> Result<(), ExportError> {
        let position = stored.position;
        let asked = stored.command.as_ref().ok_or_else(|| damaged(position, "its command is missing"))?;
        let redact = |fields: &mut Value, made: &Pseudonyms| redaction::command(&asked.name, fields, made);
        let body = self.text(position, &asked.body, "its command's body is not as a desk stores it", redact)?;
        let line = StoredCommand {
            id: self.command_id(stored.command_id),
            name: asked.name.as_str().into(),
            first: asked.first,
            last: asked.last,
            body: &body,
        };
        self.line(position, &Line::Command(line))
    }

    fn command_id(&self, id: [u8; 16]) -> [u8; 16] {
        self.pseudonyms.map_or(id, |made| redaction::command_id(CommandId(id), made).0)
    }

    /// A stored text as it goes into a line: as it is, or without what is personal.
    fn text(
        &self,
        position: Position,
        text: &str,
        else_what: &'static str,
        redact: impl Fn(&mut Value, &Pseudonyms) -> Result<(), Unclassified>,
    ) -> Result<Box<RawValue>, ExportError> {
        let broken = || damaged(position, else_what);
        let Some(made) = self.pseudonyms else {
            let raw: Box<RawValue> = serde_json::from_str(text).map_err(|_| broken())?;
            // What would come back as another text, or break the line.
            let is_like = raw.get() == text && !text.contains('\n');
            return if is_like { Ok(raw) } else { Err(broken()) };
        };
        let mut value: Value = serde_json::from_str(text).map_err(|_| broken())?;
        redact(&mut value, made).map_err(|source| ExportError::Unclassified { position, source })?;
        serde_json::value::to_raw_value(&value).map_err(|_| broken())
    }
}
