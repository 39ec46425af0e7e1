//! The file: one row a key, which never moves, so that to write over it is to destroy it.
//!
//! Rows are only added, and a key is written over by as many zeros where it lies: SQLite makes no second copy of it in
//! another page, as it does of rows that shrink or go. A rollback journal is kept only while something is written, so there
//! is no write-ahead log that would still hold the key; its folder is flushed with it (`synchronous = EXTRA`), so that no
//! power cut takes a new key back after its first use, or brings a destroyed one back.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::Forgot;
use super::text::{ID_BYTES, KeyId, SECRET_BYTES};

/// What SQLite keeps in the header of a file of keys.
const OURS: i32 = 0x4D52_4B59;
/// The form of the tables.
const FORM: i32 = 1;
/// How long to wait for somebody else who writes.
const WAIT: Duration = Duration::from_secs(5);
const TABLES: &str = "
    CREATE TABLE keys (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        subject TEXT NOT NULL,
        secret BLOB NOT NULL
    ) STRICT;
    CREATE INDEX keys_of ON keys (subject);
    CREATE TABLE forgotten (
        number INTEGER PRIMARY KEY REFERENCES keys,
        at_us INTEGER NOT NULL
    ) STRICT;";
const LIVE: &str = "
    SELECT number, id, secret FROM keys
    WHERE subject = ?1 AND number NOT IN (SELECT number FROM forgotten)";

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be made.
    #[error("{path} cannot be made: {cause}")]
    NotMade {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// SQLite says no.
    #[error("{path}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// It is damaged.
    #[error("{path} is damaged: {finding}; put its backup in its place")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        finding: String,
    },
    /// Another kind of file.
    #[error("{0} holds no customers' keys")]
    Foreign(PathBuf),
    /// A newer version of the desk wrote it.
    #[error("{path} has form {found}, this version knows {FORM}; start the newer version again")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: i32,
    },
    /// A setting did not take.
    #[error("{path}: {setting} did not take, and a key would not be safe without")]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
    },
    /// More than is sealed at once.
    #[error("a text of more than {} bytes is not sealed", super::PLAIN_BYTES_MAX)]
    TooLong,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for a key")]
    Random,
}

/// A key, and whose it is.
pub(super) struct Key {
    pub(super) id: KeyId,
    pub(super) subject: String,
    pub(super) secret: [u8; SECRET_BYTES],
}

/// What the file says of a key's id.
pub(super) enum Found {
    Key(Key),
    Forgotten(DateTime<Utc>),
}

/// The open file.
pub(super) struct KeyFile {
    path: PathBuf,
    connection: Connection,
}

/// Fills with numbers that nobody can guess.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), KeysError> {
    rustls::crypto::ring::default_provider().secure_random.fill(bytes).map_err(|_| KeysError::Random)
}

impl KeyFile {
    /// `None` when there is no file, or an empty one.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, KeysError> {
        if !path.try_exists().map_err(|cause| KeysError::NotMade { path: path.to_owned(), cause })? {
            return Ok(None);
        }
        let (file, is_made) = Self::look(path)?;
        Ok(is_made.then_some(file))
    }

    /// Makes it where there is none; for nobody else's eyes. Its folder has to be there: one that is not mounted is not
    /// made up for.
    pub(super) fn open_or_create(path: &Path) -> Result<Self, KeysError> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(_) => tracing::info!(path = %path.display(), "a new file for the customers' keys is made"),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(KeysError::NotMade { path: path.to_owned(), cause }),
        }
        let (mut file, is_made) = Self::look(path)?;
        if !is_made {
            file.make()?;
        }
        Ok(file)
    }

    /// The key of a subject; a new one is on the disk when this returns.
    pub(super) fn key_of(&mut self, subject: &str) -> Result<Key, KeysError> {
        let path = self.path.clone();
        let failed = |source| database(&path, source);
        let writing = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let live = writing.query_row(LIVE, [subject], |row| Ok((row.get(1)?, row.get(2)?))).optional();
        let (id, secret) = match live.map_err(failed)? {
            Some(live) => live,
            None => {
                let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
                random(&mut id)?;
                random(&mut secret)?;
                let insert = "INSERT INTO keys (id, subject, secret) VALUES (?1, ?2, ?3)";
                writing.execute(insert, params![id, subject, secret]).map_err(failed)?;
                (id, secret)
            }
        };
        writing.commit().map_err(failed)?;
        Ok(Key { id: KeyId(id), subject: subject.to_owned(), secret })
    }

    pub(super) fn find(&self, id: KeyId) -> Result<Option<Found>, KeysError> {
        let select = "SELECT subject, secret, at_us FROM keys LEFT JOIN forgotten USING (number) WHERE id = ?1";
        let found = self.connection.query_row(select, [&id.0[..]], |row| {
            let (subject, secret, at): (_, _, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let forgotten = at.map(|at| Found::Forgotten(time(at)));
            Ok(forgotten.unwrap_or(Found::Key(Key { id, subject, secret })))
        });
        found.optional().map_err(|source| database(&self.path, source))
    }

    pub(super) fn forget(&mut self, subject: &str, at: DateTime<Utc>) -> Result<Forgot, KeysError> {
        let path = self.path.clone();
        let failed = |source| database(&path, source);
        let writing = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let live: Option<i64> = writing.query_row(LIVE, [subject], |row| row.get(0)).optional().map_err(failed)?;
        let Some(number) = live else {
            let select = "SELECT max(at_us) FROM forgotten JOIN keys USING (number) WHERE subject = ?1";
            let before: Option<i64> = writing.query_row(select, [subject], |row| row.get(0)).map_err(failed)?;
            return Ok(before.map_or(Forgot::Nothing, |at| Forgot::Before(time(at))));
        };
        let destroy = "UPDATE keys SET secret = zeroblob(length(secret)) WHERE number = ?1";
        writing.execute(destroy, [number]).map_err(failed)?;
        let at_us = at.timestamp_micros();
        let remember = "INSERT INTO forgotten (number, at_us) VALUES (?1, ?2)";
        writing.execute(remember, params![number, at_us]).map_err(failed)?;
        writing.commit().map_err(failed)?;
        Ok(Forgot::Now(time(at_us)))
    }

    /// Whose keys are there and were not destroyed, among subjects that begin so.
    pub(super) fn live(&self, beginning: &str) -> Result<Vec<String>, KeysError> {
        let failed = |source| database(&self.path, source);
        let select = "SELECT subject FROM keys
                      WHERE substr(subject, 1, length(?1)) = ?1 AND number NOT IN (SELECT number FROM forgotten)";
        let mut statement = self.connection.prepare(select).map_err(failed)?;
        let subjects = statement.query_map([beginning], |row| row.get(0)).map_err(failed)?;
        subjects.collect::<Result<_, _>>().map_err(failed)
    }

    /// Whether it is whole.
    pub(super) fn check(&self) -> Result<(), KeysError> {
        let found = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        match found.map_err(|source| database(&self.path, source))? {
            finding if finding == "ok" => Ok(()),
            finding => Err(KeysError::Damaged { path: self.path.clone(), finding }),
        }
    }

    /// Opens a file that is there; says whether it has its tables.
    fn look(path: &Path) -> Result<(Self, bool), KeysError> {
        let failed = |source| database(path, source);
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                .map_err(failed)?;
        connection.busy_timeout(WAIT).map_err(failed)?;
        let number = |what| connection.query_row(what, [], |row| row.get::<_, i32>(0)).map_err(failed);
        // All of one moment: somebody else may be making it.
        connection.execute_batch("BEGIN").map_err(failed)?;
        let of = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
        let tables = number("SELECT count(*) FROM sqlite_schema")?;
        connection.execute_batch("COMMIT").map_err(failed)?;
        let is_made = match (of, tables) {
            ((0, 0), 0) => false,
            ((OURS, FORM), _) => true,
            ((OURS, found), _) => return Err(KeysError::Newer { path: path.to_owned(), found }),
            (_, _) => return Err(KeysError::Foreign(path.to_owned())),
        };
        let settings = "PRAGMA synchronous = EXTRA; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;";
        connection.execute_batch(settings).map_err(failed)?;
        let kept = |setting| KeysError::Unsafe { path: path.to_owned(), setting };
        if number("PRAGMA synchronous")? != 3 {
            return Err(kept("synchronous"));
        }
        if number("PRAGMA secure_delete")? != 1 {
            return Err(kept("secure_delete"));
        }
        let journal = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0));
        if journal.map_err(failed)? != "delete" {
            return Err(kept("journal_mode"));
        }
        Ok((Self { path: path.to_owned(), connection }, is_made))
    }

    fn make(&mut self) -> Result<(), KeysError> {
        let failed = |source| database(&self.path, source);
        let making = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let is_made: bool =
            making.query_row("SELECT count(*) > 0 FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
        // Somebody else may have been faster.
        if !is_made {
            making.execute_batch(TABLES).map_err(failed)?;
            making.pragma_update(None, "application_id", OURS).map_err(failed)?;
            making.pragma_update(None, "user_version", FORM).map_err(failed)?;
        }
        making.commit().map_err(failed)
    }
}

fn database(path: &Path, source: rusqlite::Error) -> KeysError {
    KeysError::Database { path: path.to_owned(), source }
}

fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
