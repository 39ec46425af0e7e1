//! `millrace verify`.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Args;
use millrace_actors::proof::{self, Compared, Report, Subject};
use serde_json::json;

use crate::config::{Config, head_file_of};
use crate::escape::escaped;
use crate::run::{LOG_FILE, VIEWS_FILE};

pub(super) const NOTES: &str = "\
Looked at, event by event: the chain of hashes, the versions of every stream, whether this version can read the event,
whether it can follow what came before it in its deposit, and whether the ledger sums to zero. Then the head file, and
every row of the views against a fresh fold of the log. Nothing is written and nobody is in the way: the desk may run.
What happens after the beginning is not looked at.

A log of another name than log.db is taken for a copy: it has no views and no head file.
Exit codes: 0 everything is as it should be, 1 something is wrong, the first of it named first.";

/// The shortest pause between two words on how far it is.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// Which log, and how to say what was found.
#[derive(Debug, Args)]
pub struct Verify {
    /// The log, such as a backup; without it, that of the configured data folder.
    #[arg(long, value_name = "PATH")]
    log: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

impl Verify {
    /// Proves the log, and fails when something is wrong with it.
    pub fn run(&self, config: impl FnOnce() -> anyhow::Result<Config>, out: &mut impl Write) -> anyhow::Result<()> {
        let subject = match &self.log {
            Some(log) => beside(log),
            None => configured(&config()?),
        };
        if !subject.log.try_exists().with_context(|| format!("{} cannot be looked at", subject.log.display()))? {
            return Err(anyhow!("there is no log {}", subject.log.display()));
        }
        let mut progress = Progress::default();
        let report = proof::prove(&subject, &mut |position, end| progress.tell(position, end));
        progress.clear();
        let report = report?;
        if self.json {
            as_json(&subject, &report, out)?
        } else {
            as_text(&subject, &report, out)?
        }
        out.flush()?;
        match report.findings.len() as u64 + report.more_findings {
            0 => Ok(()),
            1 => Err(anyhow!("one thing is wrong")),
            many => Err(anyhow!("{many} things are wrong")),
        }
    }
}

fn configured(config: &Config) -> Subject {
    let folder = &config.desk.data_dir;
    let (views, head_file) = (Ok(folder.join(VIEWS_FILE)), Ok(config.desk.head_file.clone()));
    Subject { log: folder.join(LOG_FILE), views, head_file }
}

/// What belongs to a log lies where a desk has it by default.
fn beside(log: &Path) -> Subject {
    let folder = log.parent().filter(|_| log.file_name() == Some(LOG_FILE.as_ref()));
    let is_copy = || "this is a copy".to_owned();
    Subject {
        log: log.to_owned(),
        views: folder.map(|folder| folder.join(VIEWS_FILE)).ok_or_else(is_copy),
        head_file: folder.map(head_file_of).ok_or_else(is_copy),
    }
}

fn as_json(subject: &Subject, report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    let mut shown = json!({ "log": subject.log, "well": report.is_well() });
    let report = serde_json::to_value(report)?;
    if let (Some(shown), serde_json::Value::Object(report)) = (shown.as_object_mut(), report) {
        shown.extend(report);
    }
    Ok(writeln!(out, "{shown}")?)
}

fn as_text(subject: &Subject, report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    let Report { events, position, hash, deposits, .. } = report;
    for finding in &report.findings {
        writeln!(out, "wrong: {}", escaped(&finding.to_string()))?;
    }
    if report.more_findings > 0 {
        writeln!(out, "wrong: {} more", report.more_findings)?;
    }
    writeln!(out, "log        {}", subject.log.display())?;
    writeln!(out, "events     {events} ({deposits} deposits)")?;
    writeln!(out, "head       position {position}, hash {hash}")?;
    writeln!(out, "head file  {}", compared(&report.head_file))?;
    writeln!(out, "views      {}", compared(&report.views))?;
    if report.is_well() {
        writeln!(out, "everything is as it should be")?;
    }
    Ok(())
}

fn compared(compared: &Compared) -> String {
    match compared {
        Compared::UpTo(position) => format!("compared, up to position {position}"),
        Compared::LeftOut(why) => format!("left out: {}", escaped(why)),
    }
}

/// A line on a terminal that says how far it is.
struct Progress {
    is_terminal: bool,
    began: Instant,
    told: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), began: Instant::now(), told: None }
    }
}

impl Progress {
    fn tell(&mut self, position: u64, end: u64) {
        let is_due = self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY);
        if !self.is_terminal || !is_due || end == 0 {
            return;
        }
        self.told = Some(Instant::now());
        // Nobody to tell it is nobody's loss.
        let _ = write!(io::stderr(), "\r\x1b[K{}", how_far(position, end, self.began.elapsed()));
    }

    fn clear(&self) {
        if self.told.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn how_far(position: u64, end: u64, since: Duration) -> String {
    let per_second = u128::from(position) * 1_000 / since.as_millis().max(1);
    format!("{} %, {position} of {end} events, {per_second} a second", position * 100 / end)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use chrono::DateTime;
    use millrace_actors::event_store::{Append, Expected, Log, Write as Written};
    use millrace_model::address_book::AddressIssued;
    use millrace_model::event::Event;
    use millrace_model::ids::{CommandId, StreamName};
    use serde_json::Value;

    use super::*;

    /// A log with one event.
    fn log(path: &Path) {
        let event = Event::AddressBook(AddressIssued { index: 0 }.into());
        let append = Append {
            command_id: CommandId::of_fact(&["issue"]),
            command: "Issue",
            body: "{}".into(),
            causation: None,
            correlation: None,
            writes: vec![Written::new(StreamName::AddressBook, Expected::Exactly(0), vec![event])],
        };
        Log::open(path).unwrap().commit(vec![append], DateTime::UNIX_EPOCH).0.pop().unwrap().unwrap();
    }

    fn verified(log: &Path, json: bool) -> (String, anyhow::Result<()>) {
        let mut out = Vec::new();
        let verify = Verify { log: Some(log.to_owned()), json };
        let outcome = verify.run(|| panic!("no configuration is needed for a file that is named"), &mut out);
        (String::from_utf8(out).unwrap(), outcome)
    }

    #[test]
    fn a_log_is_proved_in_words_and_for_programs_and_by_the_exit_code() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        assert!(verified(&path, false).1.unwrap_err().to_string().starts_with("there is no log "));
        log(&path);
        let (said, outcome) = verified(&path, false);
        outcome.unwrap();
        assert!(said.contains("events     1 (0 deposits)\nhead       position 1, hash "), "{said}");
        assert!(said.contains("views      left out: there are none\neverything is as it should be\n"), "{said}");
        let (said, outcome) = verified(&path, true);
        outcome.unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&said["well"], &said["position"], &said["findings"]), (&json!(true), &json!(1), &json!([])));

        fs::write(head_file_of(folder.path()), "no head").unwrap();
        let (said, outcome) = verified(&path, false);
        assert_eq!(outcome.unwrap_err().to_string(), "one thing is wrong");
        assert!(said.starts_with("wrong: the log's end: ") && !said.contains("as it should be"), "{said}");
    }

    #[test]
    fn a_log_of_another_name_is_a_copy_that_stands_alone() {
        let subject = beside(Path::new("/data/copy.db"));
        assert_eq!((subject.views.as_deref(), subject.head_file.is_err()), (Err(&"this is a copy".to_owned()), true));
        let subject = beside(Path::new("/data/log.db"));
        assert_eq!(subject.views, Ok(PathBuf::from("/data/views.db")));
        assert_eq!(subject.head_file, Ok(PathBuf::from("/data.head")));
    }

    #[test]
    fn how_far_it_is_is_told_with_its_speed() {
        assert_eq!(how_far(500, 2_000, Duration::from_millis(250)), "25 %, 500 of 2000 events, 2000 a second");
    }
}
