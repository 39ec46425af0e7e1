//! Opening a SQLite file: the settings durability rests on, read back, and migrations forward.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, MAIN_DB, OpenFlags};

use super::disk::{Ailment, told, told_io};
use super::kinds::{self, NewerEvent};
use super::sealed::{self, NewerSegment};
use crate::canary::{self, Canary};

/// The log's migrations; the database's `user_version` counts those applied.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/log/0001_log.sql"),
    include_str!("../../../migrations/sqlite/log/0002_commands_in_order.sql"),
    include_str!("../../../migrations/sqlite/log/0003_kinds.sql"),
    include_str!("../../../migrations/sqlite/log/0004_segments.sql"),
];

/// The first layout of a log that has segments.
const SEGMENTS_SINCE_LAYOUT: usize = 4;

/// What SQLite keeps in the header of a log that was made of an export; a backup of it has it too.
const IMPORTED: i32 = 0x4D52_494D;

/// Why the log does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite says no.
    #[error("{path}: {}", told(source, path))]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The copy that is made before a migration cannot be put in place.
    #[error("{path}: {}", told_io(source))]
    Copy {
        /// The copy.
        path: PathBuf,
        /// What the file system says.
        source: std::io::Error,
    },
    /// What a process before left unflushed stays so.
    #[error("{path} cannot be flushed: {}", told_io(source))]
    Unflushed {
        /// The write-ahead log.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// It can be read, and nothing more.
    #[error("{path} can only be read: {}", Ailment::ReadOnly.as_str())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// A setting did not take.
    #[error("{path}: {setting} is {found}, and the log is not safe without {wanted}")]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// Written by a newer version of the desk.
    #[error("{path} has schema {found}, this version knows up to {known}; {}", OpenError::NEWER)]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: usize,
        /// The newest schema known.
        known: usize,
    },
    /// Of a layout that is known, with events that a newer version of the desk wrote.
    #[error("{path} {}{event}{}; {}", OpenError::WRITTEN_BY_NEWER, OpenError::UNKNOWN, OpenError::NEWER)]
    NewerEvent {
        /// The file.
        path: PathBuf,
        /// The first of them.
        event: NewerEvent,
    },
    /// Of a layout that is known, with a segment that a newer version of the desk packed.
    #[error("{path} {}{segment}{}; {}", OpenError::WRITTEN_BY_NEWER, OpenError::UNKNOWN, OpenError::NEWER)]
    NewerSegment {
        /// The file.
        path: PathBuf,
        /// The first of them.
        segment: NewerSegment,
    },
    /// The end of the log does not fit together.
    #[error("{path}: {problem}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl OpenError {
    const NEWER: &str = "start the newer version again";
    const WRITTEN_BY_NEWER: &str = "was written by a newer version: ";
    const UNKNOWN: &str = ", which this version does not know";

    /// Whether a text, or one around it, speaks of a log that a newer version wrote.
    pub fn tells_of_newer(text: &str) -> bool {
        text.contains(Self::NEWER)
    }

    /// What such a text says of the first event or segment that this version does not know.
    pub fn unknown_in(text: &str) -> Option<&str> {
        let (_, unknown) = text.split_once(Self::WRITTEN_BY_NEWER)?;
        unknown.split_once(Self::UNKNOWN).map(|(unknown, _)| unknown)
    }
}

/// Opens the log for its one writer: WAL with FULL, migrated forward.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    flush_what_was_left(path)?;
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(failed)?;
    // SQLite opens what it may not write for reading, and says so at the first write only.
    if connection.is_readonly(MAIN_DB).map_err(failed)? {
        return Err(OpenError::ReadOnly { path: path.to_owned() });
    }
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA busy_timeout = 5000; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 4000;",
        )
        .map_err(failed)?;
    if canary::lives(Canary::SyncNormal) {
        connection.execute_batch("PRAGMA synchronous = NORMAL").map_err(failed)?;
    }
    require(&connection, path, "journal_mode", "wal")?;
    require(&connection, path, "synchronous", "2")?;
    connection.set_prepared_statement_cache_capacity(32);
    refuse_newer(&connection, path)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// A process that was killed between a commit's write and its flush left a commit that SQLite shows from now on and flushes
/// with the next one only. What we do upon it would outlive it in a power cut, and so would the views.
fn flush_what_was_left(path: &Path) -> Result<(), OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    let path = PathBuf::from(name);
    match File::open(&path).and_then(|file| file.sync_all()) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(OpenError::Unflushed { path, source }),
        _ => Ok(()),
    }
}

/// Opens the log for reading only.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    // Each commit makes what is cached here stale, so more would be memory and little else.
    connection
        .execute_batch("PRAGMA query_only = ON; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -4096;")
        .map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Whether a database is a log, and one that this version knows.
pub(super) fn check_known(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let found: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    match found {
        0 => Err(OpenError::Damaged { path: path.to_owned(), problem: "is no event log".to_owned() }),
        _ if found > MIGRATIONS.len() => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: MIGRATIONS.len() })
        }
        _ => refuse_newer_segments(connection, found, path),
    }
}

/// Not even to be looked at: what only such a segment has would be taken for lost.
fn refuse_newer_segments(connection: &Connection, layout: usize, path: &Path) -> Result<(), OpenError> {
    if layout < SEGMENTS_SINCE_LAYOUT {
        return Ok(());
    }
    let newer = sealed::first_newer(connection);
    match newer.map_err(|source| OpenError::Database { path: path.to_owned(), source })? {
        Some(segment) => Err(OpenError::NewerSegment { path: path.to_owned(), segment }),
        None => Ok(()),
    }
}

/// Refuses a log of a newer version.
pub(super) fn refuse_newer(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let found: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if found > MIGRATIONS.len() {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: MIGRATIONS.len() });
    }
    if found < kinds::SINCE_LAYOUT {
        return Ok(());
    }
    refuse_newer_segments(connection, found, path)?;
    match kinds::first_newer(connection).map_err(failed)? {
        Some(event) => Err(OpenError::NewerEvent { path: path.to_owned(), event }),
        None => Ok(()),
    }
}

/// The newest layout of a log that is known.
pub const NEWEST_LAYOUT: usize = MIGRATIONS.len();

/// Lays out an empty database as a log that was made of an export.
pub(super) fn lay_out_imported(connection: &Connection) -> Result<(), rusqlite::Error> {
    MIGRATIONS.iter().try_for_each(|migration| connection.execute_batch(migration))?;
    connection.pragma_update(None, "application_id", IMPORTED)?;
    connection.pragma_update(None, "user_version", MIGRATIONS.len())
}

/// Whether a log was made of an export.
pub(super) fn is_imported(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok(id == IMPORTED)
}

fn require(connection: &Connection, path: &Path, setting: &'static str, wanted: &'static str) -> Result<(), OpenError> {
    let found = connection
        .pragma_query_value(None, setting, |row| row.get::<_, rusqlite::types::Value>(0))
        .map_err(|source| OpenError::Database { path: path.to_owned(), source })?;
    let found = match found {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    };
    if found == wanted { Ok(()) } else { Err(OpenError::Unsafe { path: path.to_owned(), setting, found, wanted }) }
}

/// Applies what is missing, after a copy of what was there.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let applied: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if applied > 0 && applied < MIGRATIONS.len() {
        back_up_before_migrating(connection, path)?;
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(applied) {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(migration).map_err(failed)?;
        if index + 1 == kinds::SINCE_LAYOUT {
            kinds::note_what_is_there(&transaction).map_err(failed)?;
        }
        transaction.pragma_update(None, "user_version", index + 1).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

/// Under its name the copy is whole: a start that was interrupted here makes it anew.
fn back_up_before_migrating(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let whole = path.with_extension(format!("before-{}.db", MIGRATIONS.len()));
    let partial = whole.with_extension("partial");
    let failed = |source| OpenError::Copy { path: partial.clone(), source };
    if partial.try_exists().map_err(failed)? {
        std::fs::remove_file(&partial).map_err(failed)?;
    }
    back_up(connection, &partial).map_err(|source| OpenError::Database { path: path.to_owned(), source })?;
    std::fs::rename(&partial, &whole).map_err(failed)
}

/// Writes a consistent copy of the database to a new file while it is in use.
pub(super) fn back_up(connection: &Connection, to: &Path) -> Result<(), rusqlite::Error> {
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map(|_| ())
}
