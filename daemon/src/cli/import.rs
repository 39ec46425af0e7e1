//! `millrace import`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use millrace_actors::import;

use crate::escape::excerpt;

pub(super) const NOTES: &str = "\
Every line is checked first, and the log's hashes where the export has them; what is wrong is told with its line, and
nothing is left behind then. The folder gets its name only when all of it is on disk; an import that was killed leaves
FOLDER.importing, which can be removed.

The log is marked: only a desk with the sandbox opens it, and that one is halted. `millrace replay`, `why`, `redecide` and
`verify` read it with --log FOLDER/log.db. An export of one deposit, or of a range that does not begin at position 1, is no
log; `replay`, `why` and `redecide` read it as it is with --file.

Example:
  millrace import desk.jsonl --into past
  MILLRACE_DESK__DATA_DIR=past millrace          look at it on the page, in the sandbox";

/// What is wrong with a line quotes the line; so much of it is shown.
pub(super) const SENTENCE_CHARS_MAX: usize = 500;

/// Which export, and where to.
#[derive(Debug, Args)]
pub struct Import {
    /// The export.
    file: PathBuf,
    /// A folder that does not exist yet, or is empty.
    #[arg(long, value_name = "FOLDER")]
    into: PathBuf,
}

/// Makes a log of it.
pub fn run(wanted: &Import, out: &mut impl Write) -> anyhow::Result<()> {
    let imported = import::import(&wanted.file, &wanted.into)
        .map_err(|error| anyhow!("{}", excerpt(&error.to_string(), SENTENCE_CHARS_MAX)))?;
    let (events, commands) = (imported.end.events, imported.end.commands);
    Ok(writeln!(out, "{}: {events} events of {commands} commands", wanted.into.display())?)
}
