//! A look at a log's file, or its views', that leaves it as it is: of a desk that runs, of one that was stopped or killed, and of a copy.
//!
//! Whoever opens a log for writing, even if he writes nothing, moves what its write-ahead log holds into the file when he is
//! the last to close it. An onlooker opens it for reading: beside a log that somebody has open, or that has a write-ahead
//! log, he reads as every reader does (SQLite may make its index of that write-ahead log, `-shm`, anew); and a file that is
//! alone is read as one that nobody changes, without any lock or file beside it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, OpenFlags};

use super::schema::OpenError;

/// What SQLite keeps beside a file that somebody has open.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A database that is looked at and not touched.
#[derive(Debug)]
pub struct Onlooker {
    connection: Connection,
    watch: Watch,
}

/// A file, and how it was if nobody had it open.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    alone: Option<Stamp>,
}

/// By which a file is known to be as it was.
type Stamp = (u64, Option<SystemTime>);

impl Onlooker {
    /// Opens a database that exists. One that looks as if nobody had it open is taken for such if `may_be_alone`.
    pub fn open(path: &Path, may_be_alone: bool) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Database { path: path.to_owned(), source };
        let alone = if may_be_alone && is_alone(path) { stamp(path) } else { None };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri(path, alone.is_some()), flags).map_err(failed)?;
        connection
            .execute_batch("PRAGMA query_only = ON; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -4096;")
            .map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(Self { connection, watch: Watch { path: path.to_owned(), alone } })
    }

    /// Its connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether somebody began to write to it although it looked as if nobody did: what was read of it is worth nothing.
    pub fn was_overtaken(&self) -> bool {
        self.watch.was_overtaken()
    }

    pub(super) fn into_parts(self) -> (Connection, Watch) {
        (self.connection, self.watch)
    }
}

impl Watch {
    /// Whether nobody seemed to have it open.
    pub(super) fn is_alone(&self) -> bool {
        self.alone.is_some()
    }

    pub(super) fn was_overtaken(&self) -> bool {
        self.alone.is_some_and(|before| !is_alone(&self.path) || stamp(&self.path) != Some(before))
    }
}

/// Whether nobody has the file open and nothing of it is in another one.
fn is_alone(path: &Path) -> bool {
    // What cannot be looked for may be there.
    BESIDE.iter().all(|ending| beside(path, ending).try_exists().is_ok_and(|there| !there))
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some((found.len(), found.modified().ok()))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The file as SQLite's URI; every byte that may mean something in one is written as `%XX`.
fn uri(path: &Path, alone: bool) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let bytes = path.as_os_str().as_bytes().iter();
    let path: String =
        bytes.map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }).collect();
    // `file://` takes an authority; a path that begins with a slash follows it, one that does not would be one.
    let (authority, immutable) =
        (if path.starts_with('/') { "//" } else { "" }, if alone { "&immutable=1" } else { "" });
    format!("file:{authority}{path}?mode=ro{immutable}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_comes_through_whatever_is_in_it() {
        assert_eq!(uri(Path::new("/a b/c?d#e%.db"), false), "file:///a%20b/c%3Fd%23e%25.db?mode=ro");
        assert_eq!(uri(Path::new("data/log.db"), true), "file:data/log.db?mode=ro&immutable=1");
    }
}
