//! The logs of every schema there ever was, as they were stored then (`tests/golden`).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::Connection;

/// The logs, the oldest first.
pub const LOGS: [&str; 5] = ["schema-1", "schema-2", "schema-3", "schema-4", "schema-5"];

/// What is kept of a log under this ending.
pub fn text(name: &str, ending: &str) -> Result<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.{ending}"));
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The log as it was stored, in this folder.
pub fn restore(name: &str, folder: &Path) -> Result<PathBuf> {
    let log = folder.join("log.db");
    Connection::open(&log)?.execute_batch(&text(name, "sql")?)?;
    Ok(log)
}
