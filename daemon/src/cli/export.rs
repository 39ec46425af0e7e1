//! `millrace export`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use millrace_actors::export::{Wanted, export};
use millrace_model::export::End;
use millrace_model::ids::{DepositId, Position};
use millrace_model::redaction::Pseudonyms;

use super::log_file::LogFile;
use crate::config::Config;
use crate::new_file::{self, NewFile};

pub(super) const NOTES: &str = "\
JSON Lines: the first line says what it holds, then every command with its events, the last line counts them and has a
digest of all before it. The log's file is read, and nothing else: the desk may run, be stopped, or be elsewhere.

--redact replaces addresses, transactions, order ids, notes and reasons by pseudonyms of the same shape: what is equal
stays equal within the file, and the key that they are made with is forgotten. Amounts, times, blocks and the desk's own
ids stay, so somebody who reads a public chain beside it may still find a transaction.

Examples:
  millrace export --deposit ID --redact > fault.jsonl     one deposit, with what belongs to it
  millrace export --out desk.jsonl                        the whole log
  millrace export --to 5000 --out until.jsonl             its first 5000 events";

/// What to write down, and where.
#[derive(Debug, Args)]
pub struct Export {
    /// Only this deposit, with its customer's bindings, the commands and what led to them.
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "to"])]
    deposit: Option<DepositId>,
    /// The first position; 1 when left out.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<Position>,
    /// The last position; the newest when left out.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(u64).range(1..))]
    to: Option<Position>,
    /// Without what tells of a person.
    #[arg(long)]
    redact: bool,
    /// A file that does not exist yet; left out, standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    log: LogFile,
}

impl Export {
    /// Writes it down.
    pub fn run(&self, config: impl FnOnce() -> anyhow::Result<Config>, out: &mut impl Write) -> anyhow::Result<()> {
        self.out.as_deref().map(new_file::check_free).transpose()?;
        let reader = self.log.open(config)?;
        let wanted = match self.deposit {
            Some(deposit) => Wanted::Deposit(deposit),
            None => Wanted::Positions { from: self.from.unwrap_or(1), to: self.to },
        };
        let pseudonyms = self.redact.then(|| Pseudonyms::new(rand::random()));
        let program = env!("CARGO_PKG_VERSION");
        let Some(path) = &self.out else {
            export(&reader, wanted, pseudonyms.as_ref(), (program, out))?;
            return Ok(());
        };
        let mut file = NewFile::create(path)?;
        let End { events, commands, .. } = export(&reader, wanted, pseudonyms.as_ref(), (program, &mut file))?;
        let bytes = file.finish()?;
        Ok(writeln!(out, "{}: {events} events of {commands} commands, {bytes} bytes", path.display())?)
    }
}
