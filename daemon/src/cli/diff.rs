//! `millrace diff`.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use anyhow::ensure;
use chrono::{DateTime, Utc};
use clap::Args;
use millrace_actors::event_store::Reader;
use millrace_actors::moments::{compare, position_at};
use millrace_actors::stations::Stations;
use millrace_model::comparison::{Comparison, Moment, Moved, Place};
use millrace_model::ids::Position;

use super::exit::Usage;
use super::log_file::LogFile;
use crate::escape::escaped;

pub(super) const NOTES: &str = "\
What stands on the accounts, how many deposits stand where, which of them came, ended or moved, switches and halt: what of
this is another at the second moment than at the first. The log's file is read, and what the desk keeps beside it to be
quick at this (`stations`); nothing is written.

Examples:
  millrace diff --from 2026-11-21T20:00:00Z --to 2026-11-21T21:00:00Z      what happened in that hour
  millrace diff --from 4711                                                what has happened since";

/// Which moments.
#[derive(Debug, Args)]
pub struct Diff {
    /// The first moment: a position of the log (0 for before everything), or a time (such as 2026-11-21T20:00:00Z).
    #[arg(long, value_name = "POSITION|TIME")]
    from: At,
    /// The second; now when left out.
    #[arg(long, value_name = "POSITION|TIME")]
    to: Option<At>,
    #[command(flatten)]
    pub(super) log: LogFile,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// A moment as somebody names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Position(Position),
    Time(DateTime<Utc>),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(position) = text.parse() {
            return Ok(Self::Position(position));
        }
        let at = DateTime::parse_from_rfc3339(text);
        let wrong = "neither a position nor a time; a time is written as 2026-11-21T20:00:00Z";
        Ok(Self::Time(at.map_err(|_| wrong.to_owned())?.to_utc()))
    }
}

impl At {
    fn position(self, reader: &Reader, head: Position) -> anyhow::Result<Position> {
        match self {
            Self::Position(position) => {
                ensure!(position <= head, "there is no position {position}: the log reaches to {head}");
                Ok(position)
            }
            Self::Time(at) => Ok(position_at(reader, at)?),
        }
    }
}

/// Holds the two against each other.
pub fn print(reader: &Reader, wanted: &Diff, out: &mut impl Write) -> anyhow::Result<()> {
    let head = reader.head()?;
    let from = wanted.from.position(reader, head)?;
    let to = wanted.to.map_or(Ok(head), |to| to.position(reader, head))?;
    if from > to {
        return Err(Usage(format!("position {from} comes after position {to}")).into());
    }
    // The desk makes its stations itself; nobody else writes into its folder.
    let stations = Stations::beside(reader.path()).only_read();
    let comparison = compare(reader, Some(&stations), from, to)?;
    match wanted.json {
        true => writeln!(out, "{}", serde_json::to_string(&comparison)?)?,
        false => text(&comparison, out)?,
    }
    Ok(out.flush()?)
}

fn text(comparison: &Comparison, out: &mut impl Write) -> anyhow::Result<()> {
    let Comparison { from, to, balances, deposits, moved, more_moved, addresses, switches, halt } = comparison;
    writeln!(out, "from {}\nto   {}", Shown(from), Shown(to))?;
    if from.position == to.position {
        return Ok(writeln!(out, "\nthese are the same moment")?);
    }
    if !balances.is_empty() {
        let [before, after, change] = ["BEFORE", "AFTER", "CHANGE"];
        writeln!(out, "\n{:<18}  {:<4}  {before:>20}  {after:>20}  {change:>20}", "ACCOUNT", "")?;
    }
    for row in balances {
        let (account, coin) = (row.account.as_str(), row.coin.as_str());
        writeln!(out, "{account:<18}  {coin:<4}  {:>20}  {:>20}  {:>20}", row.before, row.after, row.change)?;
    }
    if !deposits.is_empty() {
        writeln!(out, "\n{:<18}  {:>10}  {:>10}", "DEPOSITS", "BEFORE", "AFTER")?;
    }
    for row in deposits {
        writeln!(out, "{:<18}  {:>10}  {:>10}", row.place.as_str(), row.before, row.after)?;
    }
    if !moved.is_empty() {
        writeln!(out, "\n{:<36}  {:<14}  {:<14}", "DEPOSIT", "BEFORE", "AFTER")?;
    }
    for Moved { deposit, before, after } in moved {
        let place = |place: &Option<Place>, none| place.map_or(none, Place::as_str);
        writeln!(out, "{deposit}  {:<14}  {:<14}", place(before, "-"), place(after, "unreadable"))?;
    }
    if *more_moved > 0 {
        writeln!(out, "and {more_moved} more to which something happened")?;
    }
    writeln!(out)?;
    if addresses.0 != addresses.1 {
        writeln!(out, "addresses given out: {}, then {}", addresses.0, addresses.1)?;
    }
    for row in switches {
        let [switch, before, after] =
            [serde_json::to_value(row.switch)?, serde_json::to_value(row.before)?, serde_json::to_value(row.after)?];
        let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        writeln!(out, "switch {}: {}, then {}", word(&switch), word(&before), word(&after))?;
    }
    if let Some((before, after)) = halt {
        let said = |why: &Option<String>| {
            why.as_ref().map_or("not halted".to_owned(), |why| format!("halted {}", escaped(why)))
        };
        writeln!(out, "{}, then {}", said(before), said(after))?;
    }
    Ok(())
}

struct Shown<'a>(&'a Moment);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.recorded_at {
            Some(at) => write!(f, "position {} ({})", self.0.position, at.format("%Y-%m-%dT%H:%M:%S%.6fZ")),
            None => f.write_str("before everything"),
        }
    }
}
