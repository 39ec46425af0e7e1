//! `millrace replay`.

mod line;
mod pause;
#[cfg(test)]
mod tests;

use std::io::Write;

use anyhow::{Context, anyhow, bail, ensure};
use chrono::{DateTime, Utc};
use clap::Args;
use millrace_actors::customer_keys::Reading;
use millrace_actors::event_store::{Entry, Reader};
use millrace_model::ids::{StreamName, Version};
use millrace_model::replay::{State, Until};
use serde_json::Value;

use super::log_file::{self, Keys, Source};
use crate::escape::escaped;
use line::{Moment, Style};

pub use pause::{Enter, Pause};

pub(super) const EXAMPLES: &str = "\
The log's file is read, and nothing else: the desk may run, be stopped, or be elsewhere (--log COPY, or --file EXPORT).

Examples:
  millrace replay deposit/ID --diff              what each event of a deposit changed
  millrace replay ID --to 5                      the first five events, and the state after them
  millrace replay desk --at 2026-11-21T20:00:00Z --json | tail -n 1
                                                 where switches and halt stood at that time";

/// How many events are read at once.
const PAGE_EVENTS_MAX: usize = 1_000;

/// What to step through.
#[derive(Debug, Args)]
pub struct Replay {
    /// The stream, as `millrace events` prints it; of a deposit, its id is enough.
    #[arg(value_parser = log_file::stream)]
    stream: StreamName,
    #[command(flatten)]
    pub(super) source: Source,
    #[command(flatten)]
    pub(super) keys: Keys,
    /// Stop after this version of the stream, and show the state there.
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    to: Option<Version>,
    /// Stop at this time (such as 2026-11-21T20:00:00Z), and show the state as it was then.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "to")]
    at: Option<DateTime<Utc>>,
    /// Only what each event changed: `+` came, `-` went, `*` is another.
    #[arg(long)]
    diff: bool,
    /// On a terminal, wait for Enter after each event.
    #[arg(long, conflicts_with = "json")]
    step: bool,
    /// One JSON object a line instead of text.
    #[arg(long)]
    json: bool,
}

impl Replay {
    /// Whether to wait after each event.
    pub fn steps(&self) -> bool {
        self.step
    }

    fn until(&self) -> Until {
        Until { version: self.to, at: self.at.map(Until::time) }
    }
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let at = DateTime::parse_from_rfc3339(text);
    Ok(at.map_err(|error| format!("{error}; a time is written as 2026-11-21T20:00:00Z"))?.to_utc())
}

/// Where the stream is after the events so far.
struct Walk {
    state: State,
    json: Value,
    version: Version,
    at: Option<DateTime<Utc>>,
}

impl Walk {
    fn new(stream: &StreamName) -> Self {
        let state = State::before_all(stream.category());
        Self { json: state.to_json(), state, version: 0, at: None }
    }

    /// Takes one event in; gives back the state before it.
    fn step(&mut self, entry: &Entry) -> anyhow::Result<Value> {
        let recorded = &entry.recorded;
        let place = || format!("{}#{} at position {}", recorded.stream, recorded.version, recorded.position);
        ensure!(recorded.version == self.version + 1, "{}: version {} is missing", place(), self.version + 1);
        let state = std::mem::replace(&mut self.state, State::Binding);
        self.state = state.after(&recorded.event).map_err(|stuck| told(&stuck)).with_context(place)?;
        (self.version, self.at) = (recorded.version, Some(recorded.recorded_at));
        Ok(std::mem::replace(&mut self.json, self.state.to_json()))
    }
}

/// What is wrong with an event quotes what is stored.
fn told(error: &dyn std::error::Error) -> anyhow::Error {
    anyhow!("{}", escaped(&error.to_string()))
}

/// Steps through a stream.
pub fn print(
    (reader, notes): (&Reader, &Reading),
    wanted: &Replay,
    pause: &mut impl Pause,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let style = if wanted.json { Style::Json } else { Style::Text };
    let mut walk = Walk::new(&wanted.stream);
    let mut next = None;
    'pages: loop {
        let page = reader.history(&wanted.stream, walk.version, PAGE_EVENTS_MAX)?;
        let is_last = page.len() < PAGE_EVENTS_MAX;
        for entry in page {
            let mut entry = entry.map_err(|error| told(&error))?;
            entry.recorded = notes.event(entry.recorded);
            if !wanted.until().includes(&entry.recorded) {
                next = Some(entry.recorded);
                break 'pages;
            }
            let previous_at = walk.at;
            let before = walk.step(&entry)?;
            let moment = Moment { entry: &entry, previous_at, before: &before, after: &walk.json };
            moment.print(style, wanted.diff, out)?;
            pause.after_event(out)?;
        }
        if is_last {
            break;
        }
    }
    match (wanted.to, wanted.at, &next) {
        (_, _, None) if walk.version == 0 => bail!("there is no stream {} in this log", wanted.stream),
        (Some(to), _, _) if walk.version < to => {
            bail!("{} has no version {to}: it ends at {}", wanted.stream, walk.version)
        }
        (_, Some(at), Some(first)) if walk.version == 0 => {
            let first = first.recorded_at.format(line::TIME);
            bail!("{} was not there at {}: it begins at {first}", wanted.stream, at.format(line::TIME))
        }
        (None, None, _) => {}
        (_, _, _) => line::state(style, &wanted.stream, (walk.version, walk.at), &walk.json, out)?,
    }
    Ok(out.flush()?)
}
