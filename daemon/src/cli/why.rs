//! `millrace why`.

use std::io::Write;

use anyhow::{anyhow, bail};
use clap::Args;
use millrace_actors::customer_keys::Reading;
use millrace_actors::event_store::Reader;
use millrace_model::ids::{DepositId, StreamName};
use millrace_model::story::{Elapsed, Story};

use super::log_file::{Keys, Source};
use crate::escape::escaped;

pub(super) const NOTES: &str = "\
The log's file is read, and nothing else: the desk may run, be stopped, or be elsewhere (--log COPY, or --file EXPORT).

Example:
  millrace why 0199d6c1-3f0e-7aa2-9d51-7c1f0e6b2a44";

/// Whose story to tell.
#[derive(Debug, Args)]
pub struct Why {
    /// The deposit's id, as `millrace deposits` prints it.
    deposit: uuid::Uuid,
    #[command(flatten)]
    pub(super) source: Source,
    #[command(flatten)]
    pub(super) keys: Keys,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Tells what happened to a deposit, and why.
pub fn tell((reader, notes): (&Reader, &Reading), why: &Why, out: &mut impl Write) -> anyhow::Result<()> {
    let id = DepositId(why.deposit);
    let entries = reader.history(&StreamName::Deposit(id), 0, usize::MAX)?;
    let events =
        entries.into_iter().map(|entry| Ok(notes.event(entry?.recorded))).collect::<anyhow::Result<Vec<_>>>()?;
    let story = Story::of(&events).map_err(|untold| anyhow!("{}", escaped(&format!("deposit {id}: {untold}"))))?;
    if why.json {
        writeln!(out, "{}", serde_json::to_string(&story)?)?;
    } else {
        text(&story, out)?;
    }
    out.flush()?;
    match story.broken_off {
        Some(broken) => bail!("position {} cannot be read: {}", broken.position, escaped(&broken.why)),
        None => Ok(()),
    }
}

fn text(story: &Story, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "deposit {}\n", story.deposit)?;
    for step in &story.steps {
        let at = step.at.format("%Y-%m-%dT%H:%M:%S%.6fZ");
        let since = step.since_previous.map(|since| format!("+{}", Elapsed(since))).unwrap_or_default();
        writeln!(out, "{at}  {since:>12}  {}", escaped(&step.sentence))?;
    }
    writeln!(out, "\n{}", escaped(&story.stands.sentence))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::log_file::sample::{self, Sample};
    use clap::Parser;
    use serde_json::Value;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        why: Why,
    }

    fn told(sample: &Sample, arguments: &str) -> anyhow::Result<String> {
        let why = Line::parse_from(format!("why {arguments}").split_whitespace()).why;
        let mut out = Vec::new();
        tell((&sample.reader(), &sample.notes()), &why, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_deposit_is_explained_in_sentences_with_times() {
        let sample = Sample::new();
        let text = told(&sample, &sample::ID.to_string()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2 + 6 + 2, "{text}");
        assert!(
            lines[2].starts_with("2030-01-01T00:00:00.000123Z                A payment of 0.05000000 BTC"),
            "{text}"
        );
        let held = "2030-01-01T00:01:01.600123Z    +1 min 0 s  It was held: an operator asked for it: look\\u{1b}[2J. It \
                    was interrupted in wait_decide.";
        assert_eq!(lines[6], held);
        assert!(lines[9].starts_with("It is received and waits for the decision. From the first "), "{text}");
    }

    #[test]
    fn a_program_gets_the_same_as_an_object() {
        let sample = Sample::new();
        let text = told(&sample, &format!("{} --json", sample::ID)).unwrap();
        let story: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&story["steps"][4]["kind"], &story["stands"]["status"]), (&"Held".into(), &"wait_decide".into()));
        assert_eq!(story["steps"][1]["since_previous_us"], 100_000);
    }

    #[test]
    fn an_unknown_deposit_is_told() {
        let unknown = DepositId(uuid::Uuid::from_u128(8));
        let error = told(&Sample::new(), &unknown.to_string()).unwrap_err();
        assert_eq!(error.to_string(), format!("deposit {unknown}: there is no such deposit"));
    }
}
