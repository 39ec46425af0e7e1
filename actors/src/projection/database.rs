//! The views' file as its writers see it: which tables are shown, which are being made beside them, and how far each goes.
//!
//! Every projection has one table that is shown. What is made anew lies in another one until it takes its place, in one
//! transaction; what was shown until then goes afterwards.

use std::path::Path;

use millrace_model::ids::Position;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::catalog::Projection;
use super::views::ViewError;

/// How far which table goes. Of an older shape of this file the tables stay, to be shown until they are made anew, and what
/// was noted about them goes.
const LAYOUT: &str = "
    DROP TABLE IF EXISTS _sqlx_migrations;
    DROP TABLE IF EXISTS checkpoint;
    DROP TABLE IF EXISTS totals;
    CREATE TABLE IF NOT EXISTS projections (
        name       TEXT    NOT NULL,
        -- 'live' is shown, 'next' is being made.
        place      TEXT    NOT NULL,
        version    INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        position   INTEGER NOT NULL,
        PRIMARY KEY (name, place)
    ) STRICT, WITHOUT ROWID;";

/// Which of a projection's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The one that is shown.
    Live,
    /// The one that is being made.
    Next,
    /// The one that was shown before.
    Old,
}

impl Place {
    pub(super) fn table_of(self, projection: Projection) -> String {
        let name = projection.table().name;
        match self {
            Self::Live => name.to_owned(),
            Self::Next => format!("{name}_next"),
            Self::Old => format!("{name}_old"),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Next => "next",
            Self::Old => "old",
        }
    }
}

/// What is noted about a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The projection's version that made it.
    pub(super) version: i64,
    /// How often the projection was made.
    pub(super) generation: i64,
    /// The event up to which it goes.
    pub(super) position: Position,
}

/// The file, open for writing.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
}

impl Database {
    /// Opens the file, or makes it. `cache_kib` is what may be kept in memory of it.
    pub(super) fn open(path: &Path, cache_kib: u32) -> Result<Self, ViewError> {
        let connection = Connection::open(path)?;
        connection.execute_batch(&format!(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             PRAGMA cache_size = -{cache_kib};"
        ))?;
        Self::prepare(connection)
    }

    /// A database that nobody else sees and that leaves nothing behind.
    pub(super) fn scratch() -> Result<Self, ViewError> {
        Self::prepare(Connection::open("")?)
    }

    /// The same in a new file of this name, which whoever asks takes away. What a transaction changes is kept in memory until it ends,
    /// so that nothing but this file takes room.
    pub(super) fn scratch_in(path: &Path) -> Result<Self, ViewError> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;",
        )?;
        Self::prepare(connection)
    }

    /// Lets the file not grow beyond this; what would is an error, as where a disk is full.
    pub(super) fn limit(&self, bytes_max: u64) -> Result<(), ViewError> {
        let page_bytes: u64 = self.connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        // SQLite has no number for more pages.
        let pages_max = (bytes_max / page_bytes.max(1)).min(u64::from(u32::MAX - 1));
        let sql = format!("PRAGMA max_page_count = {pages_max}");
        Ok(self.connection.query_row(&sql, [], |_| Ok(()))?)
    }

    fn prepare(connection: Connection) -> Result<Self, ViewError> {
        connection.set_prepared_statement_cache_capacity(32);
        let mut database = Self { connection };
        database.write(|transaction| Ok(transaction.execute_batch(LAYOUT)?))?;
        Ok(database)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Does all of this or nothing. It begins when whoever writes now has ended.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, ViewError>,
    ) -> Result<T, ViewError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// The same, and on the disk when this returns, with everything that was written before.
    pub(super) fn write_durably<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, ViewError>,
    ) -> Result<T, ViewError> {
        self.connection.execute_batch("PRAGMA synchronous = FULL")?;
        let done = self.write(work);
        self.connection.execute_batch("PRAGMA synchronous = NORMAL")?;
        done
    }
}

/// What is noted about a table, if anything is.
pub(super) fn mark(connection: &Connection, of: Projection, place: Place) -> Result<Option<Mark>, rusqlite::Error> {
    let sql = "SELECT version, generation, position FROM projections WHERE name = ?1 AND place = ?2";
    let read =
        |row: &rusqlite::Row<'_>| Ok(Mark { version: row.get(0)?, generation: row.get(1)?, position: row.get(2)? });
    connection.query_row(sql, params![of.name(), place.as_str()], read).optional()
}

pub(super) fn set_mark(connection: &Connection, of: Projection, place: Place, mark: Mark) -> Result<(), ViewError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO projections (name, place, version, generation, position) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (name, place) DO UPDATE SET version = excluded.version, generation = excluded.generation,
             position = excluded.position",
    )?;
    insert.execute(params![of.name(), place.as_str(), mark.version, mark.generation, mark.position])?;
    Ok(())
}

pub(super) fn is_there(connection: &Connection, of: Projection, place: Place) -> Result<bool, rusqlite::Error> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    connection.query_row(sql, [place.table_of(of)], |row| row.get(0))
}

/// Makes an empty table, in place of one that may be there.
pub(super) fn create(connection: &Connection, of: Projection, place: Place) -> Result<(), ViewError> {
    remove(connection, of, place)?;
    let (table, columns) = (place.table_of(of), of.table().columns);
    Ok(connection.execute_batch(&format!("CREATE TABLE {table} ({columns}\n) STRICT"))?)
}

/// Makes the table's indexes, as far as they are not there.
pub(super) fn index(connection: &Connection, of: Projection, place: Place, generation: i64) -> Result<(), ViewError> {
    let table = place.table_of(of);
    for index in of.table().indexes {
        // An index keeps its name when its table is renamed.
        let name = format!("{}_{}_g{generation}", of.table().name, index.name);
        let unique = if index.is_unique { "UNIQUE " } else { "" };
        connection.execute_batch(&format!("CREATE {unique}INDEX IF NOT EXISTS {name} ON {table} {}", index.on))?;
    }
    Ok(())
}

/// Removes a table and what is noted about it.
pub(super) fn remove(connection: &Connection, of: Projection, place: Place) -> Result<(), ViewError> {
    connection.execute_batch(&format!("DROP TABLE IF EXISTS {}", place.table_of(of)))?;
    connection.execute("DELETE FROM projections WHERE name = ?1 AND place = ?2", params![of.name(), place.as_str()])?;
    Ok(())
}

/// Shows the table that was being made. The one that was shown until now is kept aside, to be removed.
pub(super) fn swap(connection: &Connection, of: Projection, mark: Mark) -> Result<(), ViewError> {
    remove(connection, of, Place::Old)?;
    let [live, next, old] = [Place::Live, Place::Next, Place::Old].map(|place| place.table_of(of));
    if is_there(connection, of, Place::Live)? {
        connection.execute_batch(&format!("ALTER TABLE {live} RENAME TO {old}"))?;
    }
    connection.execute_batch(&format!("ALTER TABLE {next} RENAME TO {live}"))?;
    remove(connection, of, Place::Next)?;
    set_mark(connection, of, Place::Live, mark)
}
