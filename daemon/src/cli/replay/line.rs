//! How one event, and the state at a moment, are printed.

use std::io::Write;

use chrono::{DateTime, Utc};
use millrace_actors::event_store::{Cause, Entry};
use millrace_model::ids::{Position, StreamName, Version};
use millrace_model::operator::By;
use millrace_model::replay::{Asker, Field, fields};
use millrace_model::story::Elapsed;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::escape::{escaped, excerpt};

/// Times, as exact as they are stored.
pub(super) const TIME: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";
/// How many characters of a value a text shows; JSON has all.
const VALUE_CHARS_MAX: usize = 100;
/// How many characters of a payload.
const PAYLOAD_CHARS_MAX: usize = 2_000;

/// In which shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Text,
    Json,
}

/// An event between two states.
pub(super) struct Moment<'a> {
    pub(super) entry: &'a Entry,
    /// When the event before it was recorded.
    pub(super) previous_at: Option<DateTime<Utc>>,
    pub(super) before: &'a Value,
    pub(super) after: &'a Value,
}

/// The same for a program.
#[derive(Serialize)]
struct Line<'a> {
    stream: String,
    version: Version,
    position: Position,
    recorded_at: DateTime<Utc>,
    since_previous_us: Option<i64>,
    kind: &'a str,
    schema: u32,
    command: Option<&'a str>,
    command_id: String,
    asked_by: Asker,
    /// By name, if the command says.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    cause: Option<CauseLine<'a>>,
    correlation: Option<String>,
    payload: Box<RawValue>,
    #[serde(flatten)]
    shown: Shown<'a>,
}

#[derive(Serialize)]
struct CauseLine<'a> {
    position: Position,
    stream: Option<&'a str>,
    version: Option<Version>,
    kind: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Changes { changes: Vec<Field> },
    States { before: &'a Value, after: &'a Value },
}

impl Moment<'_> {
    /// Prints it; of the states only what changed when `diff` says so.
    pub(super) fn print(&self, style: Style, diff: bool, out: &mut impl Write) -> anyhow::Result<()> {
        match style {
            Style::Json => Ok(writeln!(out, "{}", serde_json::to_string(&self.line(diff)?)?)?),
            Style::Text => self.text(diff, out),
        }
    }

    fn line(&self, diff: bool) -> anyhow::Result<Line<'_>> {
        let (entry, recorded) = (self.entry, &self.entry.recorded);
        let payload = recorded.event.payload();
        let shown = if diff {
            Shown::Changes { changes: fields(self.before, self.after).into_iter().filter(Field::is_changed).collect() }
        } else {
            Shown::States { before: self.before, after: self.after }
        };
        Ok(Line {
            stream: recorded.stream.to_string(),
            version: recorded.version,
            position: recorded.position,
            recorded_at: recorded.recorded_at,
            since_previous_us: self.previous_at.and_then(|at| (recorded.recorded_at - at).num_microseconds()),
            kind: recorded.event.kind(),
            schema: recorded.event.schema(),
            command: entry.command.as_deref(),
            command_id: recorded.command_id.to_string(),
            asked_by: Asker::of(entry.command.as_deref(), &recorded.event),
            by: entry.by.as_ref().map(By::to_string),
            cause: entry.cause.as_ref().map(CauseLine::from),
            correlation: recorded.correlation.map(|id| id.to_string()),
            payload: RawValue::from_string(payload.clone()).or_else(|_| to_raw_value(&payload))?,
            shown,
        })
    }

    fn text(&self, diff: bool, out: &mut impl Write) -> anyhow::Result<()> {
        let recorded = &self.entry.recorded;
        let since = self.previous_at.map(|at| format!("  +{}", Elapsed(recorded.recorded_at - at)));
        writeln!(
            out,
            "#{}  {}  {}{}",
            recorded.version,
            escaped(recorded.event.kind()),
            recorded.recorded_at.format(TIME),
            since.unwrap_or_default(),
        )?;
        let command = self.entry.command.as_deref().unwrap_or("an unknown command");
        let asker = Asker::of(self.entry.command.as_deref(), &recorded.event).words(self.entry.by.as_ref());
        let cause = self.entry.cause.as_ref().map(cause_text).unwrap_or_default();
        writeln!(out, "    position {}, by {} of {}{cause}", recorded.position, escaped(command), escaped(&asker))?;
        writeln!(out, "    {}", excerpt(&recorded.event.payload(), PAYLOAD_CHARS_MAX))?;
        for field in fields(self.before, self.after) {
            if field.is_changed() || !diff {
                writeln!(out, "    {}", field_text(&field))?;
            }
        }
        Ok(writeln!(out)?)
    }
}

impl<'a> From<&'a Cause> for CauseLine<'a> {
    fn from(cause: &'a Cause) -> Self {
        let event = cause.event.as_ref();
        Self {
            position: cause.position,
            stream: event.map(|(stream, _, _)| stream.as_str()),
            version: event.map(|(_, version, _)| *version),
            kind: event.map(|(_, _, kind)| kind.as_str()),
        }
    }
}

fn cause_text(cause: &Cause) -> String {
    match &cause.event {
        Some((stream, version, kind)) => {
            format!(", upon {} ({}#{version}, position {})", escaped(kind), escaped(stream), cause.position)
        }
        None => format!(", upon position {}, which is not in this log", cause.position),
    }
}

/// A field with a mark: `+` it came, `-` it went, `*` it changed, and none where it stayed as it was.
fn field_text(field: &Field) -> String {
    let path = escaped(&field.path);
    match (&field.before, &field.after) {
        (Some(before), Some(after)) if before == after => format!("  {path}: {}", text_of(after)),
        (Some(before), Some(after)) => format!("* {path}: {} -> {}", text_of(before), text_of(after)),
        (None, Some(after)) => format!("+ {path}: {}", text_of(after)),
        (Some(before), None) => format!("- {path}: {}", text_of(before)),
        (None, None) => format!("  {path}"),
    }
}

/// A value without a text's quotation marks.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => excerpt(text, VALUE_CHARS_MAX),
        value => excerpt(&value.to_string(), VALUE_CHARS_MAX),
    }
}

/// Prints the state after the last event that was shown.
pub(super) fn state(
    style: Style,
    stream: &StreamName,
    (version, at): (Version, Option<DateTime<Utc>>),
    state: &Value,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    if style == Style::Json {
        let line = json!({ "stream": stream.to_string(), "version": version, "recorded_at": at, "state": state });
        return Ok(writeln!(out, "{line}")?);
    }
    let since = at.map(|at| format!(", which is of {}", at.format(TIME))).unwrap_or_default();
    writeln!(out, "state of {} after version {version}{since}", escaped(&stream.to_string()))?;
    for field in fields(state, state) {
        writeln!(out, "    {}", field_text(&field))?;
    }
    Ok(())
}
