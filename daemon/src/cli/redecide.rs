//! `millrace redecide`.

use std::io::Write;

use anyhow::{anyhow, bail};
use clap::Args;
use millrace_actors::event_store::Reader;
use millrace_actors::redecision::{Summary, run};
use millrace_model::ids::DepositId;
use millrace_model::redecision::{Difference, Outcome, Redecided, Shown};
use serde_json::json;

use super::log_file::Source;
use crate::escape::{escaped, excerpt};

/// How many characters of an event's fields a text shows; JSON has all.
const FIELDS_CHARS_MAX: usize = 200;

pub(super) const NOTES: &str = "\
Each command is decided on the deposit as the recorded events had left it, with the rules of this version of the program,
and what comes out is held against what is recorded. Nothing is written.

What was seen in the chain is a fact, and is not decided again; such commands are counted with the reason.

Exit codes: 0 nothing comes out otherwise, 1 something does.

Examples:
  millrace redecide --all                        before an update: does the new program decide as the old one did?
  millrace redecide --file fault.jsonl           the same for an export";

/// What to decide again.
#[derive(Debug, Args)]
pub struct Redecide {
    /// The deposits.
    #[arg(value_name = "DEPOSIT", required_unless_present_any = ["all", "file"], conflicts_with = "all")]
    deposits: Vec<DepositId>,
    /// All deposits.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    pub(super) source: Source,
    /// One JSON object a difference and one at the end instead of text.
    #[arg(long)]
    json: bool,
}

/// Decides again, tells every difference, and fails if there is one.
pub fn print(reader: &Reader, wanted: &Redecide, out: &mut impl Write) -> anyhow::Result<()> {
    let mut unknown = Vec::new();
    for id in &wanted.deposits {
        if reader.with_commands(&millrace_model::ids::StreamName::Deposit(*id))?.is_empty() {
            unknown.push(id.to_string());
        }
    }
    if !unknown.is_empty() {
        bail!("there is no deposit {} in this log", unknown.join(", "));
    }
    let summary = run(reader, &wanted.deposits, &mut |id, redecided| -> anyhow::Result<()> {
        match (&redecided.outcome, wanted.json) {
            (Outcome::Different(_), true) => {
                Ok(writeln!(out, "{}", json!({ "deposit": id, "difference": redecided }))?)
            }
            (Outcome::Different(difference), false) => different(id, redecided, difference, out),
            (Outcome::Same | Outcome::Undecidable { .. }, _) => Ok(()),
        }
    })?;
    match wanted.json {
        true => writeln!(out, "{}", json!({ "summary": summary }))?,
        false => total(&summary, out)?,
    }
    out.flush()?;
    match summary.different {
        0 => Ok(()),
        1 => Err(anyhow!("one command is decided otherwise")),
        many => Err(anyhow!("{many} commands are decided otherwise")),
    }
}

fn different(id: DepositId, redecided: &Redecided, how: &Difference, out: &mut impl Write) -> anyhow::Result<()> {
    let Redecided { version, position, command, .. } = redecided;
    let command = escaped(command.as_deref().unwrap_or("a command")).to_string();
    writeln!(out, "deposit {id}#{version}  position {position}  {command}")?;
    listed("recorded", &how.recorded, out)?;
    listed("decided", &how.decided, out)?;
    match (&how.forbidden, &how.field) {
        (Some(rule), _) => writeln!(out, "    forbidden today: {}", escaped(rule))?,
        (None, Some(field)) => {
            let value = |value: &Option<serde_json::Value>| {
                value.as_ref().map_or("nothing".to_owned(), |value| excerpt(&value.to_string(), FIELDS_CHARS_MAX))
            };
            let (index, path) = (how.index + 1, escaped(&field.path));
            writeln!(
                out,
                "    event {index}, field {path}: {} recorded, {} decided",
                value(&field.before),
                value(&field.after)
            )?;
        }
        (None, None) => writeln!(out, "    event {} is another", how.index + 1)?,
    }
    Ok(())
}

fn listed(what: &str, events: &[Shown], out: &mut impl Write) -> anyhow::Result<()> {
    if events.is_empty() {
        writeln!(out, "    {what:<8}  nothing")?;
    }
    for event in events {
        let fields = excerpt(&event.fields.to_string(), FIELDS_CHARS_MAX);
        writeln!(out, "    {what:<8}  {}  {fields}", escaped(&event.kind))?;
    }
    Ok(())
}

fn total(summary: &Summary, out: &mut impl Write) -> anyhow::Result<()> {
    let Summary { deposits, commands, same, different, undecidable } = summary;
    let left: u64 = undecidable.values().sum();
    for (why, count) in undecidable {
        writeln!(out, "cannot be decided again: {count} × {}", escaped(why))?;
    }
    writeln!(
        out,
        "{commands} commands on {deposits} deposits: {same} decided the same, {different} otherwise, {left} cannot be \
         decided again"
    )?;
    Ok(())
}
