//! The views as they are stored, for whoever holds them against the log: all of one moment, and nothing is written.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::DateTime;
use millrace_model::ids::{DepositId, Position};
use millrace_model::ledger::Balances;
use rusqlite::{OptionalExtension, Row};
use serde::de::DeserializeOwned;

use super::catalog::Projection;
use super::database::{self, Mark, Place};
use super::on_a_thread;
use super::read_models::{ledger, statistics};
use super::row::UnreadableFrom;
use super::totals::Totals;
use super::views::{BindingRow, LedgerCut, Views};
use crate::event_store::{Onlooker, OpenError};

/// Why the stored views cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The file does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite says no.
    #[error("they cannot be read: {0}")]
    Database(#[from] rusqlite::Error),
    /// A document in them is none.
    #[error("{name} cannot be read: {cause}")]
    Document {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
}

/// The views at one moment.
#[derive(Debug)]
pub struct StoredViews {
    file: Onlooker,
}

/// A deposit's row, with the columns that it is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDeposit {
    /// The position of its first event.
    pub seq: Position,
    /// `id`
    pub id: String,
    /// `target`
    pub target: Option<String>,
    /// `address`
    pub address: String,
    /// `status`
    pub status: String,
    /// The row as JSON.
    pub body: String,
}

impl StoredViews {
    /// Takes the views as they are now. `may_be_alone` as for [`Onlooker::open`].
    pub fn open(path: &Path, may_be_alone: bool) -> Result<Self, StoredError> {
        let file = Onlooker::open(path, may_be_alone)?;
        // From the first statement on, everything that is read is of that moment.
        file.connection().execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")?;
        Ok(Self { file })
    }

    /// How far all of them go; nothing where one is of another version or goes further than another, or none was ever begun.
    pub fn position(&self) -> Result<Option<Position>, StoredError> {
        let marks =
            Projection::ALL.into_iter().map(|of| Ok((of, self.mark(of)?))).collect::<Result<Vec<_>, StoredError>>()?;
        let mut positions = marks.into_iter().map(|(of, mark)| mark.filter(|mark| mark.version == of.version()));
        let first = positions.next().flatten().map(|mark| mark.position);
        let is_of_all = positions.all(|mark| mark.map(|mark| mark.position) == first);
        Ok(first.filter(|_| is_of_all))
    }

    /// What is noted about a projection that is shown.
    pub(super) fn mark(&self, of: Projection) -> Result<Option<Mark>, StoredError> {
        let connection = self.file.connection();
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'projections'";
        match connection.query_row(sql, [], |row| row.get::<_, bool>(0))? {
            true => Ok(database::mark(connection, of, Place::Live)?),
            false => Ok(None),
        }
    }

    pub(super) fn connection(&self) -> &rusqlite::Connection {
        self.file.connection()
    }

    /// What all deposits add up to.
    pub fn totals(&self) -> Result<Totals, StoredError> {
        self.document(Projection::Statistics, statistics::TOTALS)
    }

    /// What stands on the ledger's accounts.
    pub fn balances(&self) -> Result<Balances, StoredError> {
        self.document(Projection::Ledger, ledger::BALANCES)
    }

    /// The deposits that cannot be read.
    pub fn unreadable(&self) -> Result<BTreeMap<DepositId, UnreadableFrom>, StoredError> {
        self.document(Projection::Ledger, ledger::UNREADABLE)
    }

    fn document<T: Default + DeserializeOwned>(&self, of: Projection, name: &'static str) -> Result<T, StoredError> {
        let sql = format!("SELECT body FROM {} WHERE name = ?1", Place::Live.table_of(of));
        let body: Option<String> = self.file.connection().query_row(&sql, [name], |row| row.get(0)).optional()?;
        let read = |body: String| serde_json::from_str(&body).map_err(|cause| StoredError::Document { name, cause });
        Ok(body.map(read).transpose()?.unwrap_or_default())
    }

    /// Looks at every deposit's row, in the order in which they came.
    pub fn each_deposit(&self, each: &mut dyn FnMut(StoredDeposit)) -> Result<(), StoredError> {
        let sql = "SELECT seq, id, target, address, status, body FROM deposits ORDER BY seq";
        let mut statement = self.file.connection().prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(StoredDeposit {
                seq: row.get(0)?,
                id: row.get(1)?,
                target: row.get(2)?,
                address: row.get(3)?,
                status: row.get(4)?,
                body: row.get(5)?,
            });
        }
        Ok(())
    }

    /// The deposit address whose binding is at this position.
    pub fn binding(&self, seq: Position) -> Result<Option<BindingRow>, StoredError> {
        let sql = "SELECT seq, address, target, number, method, bound_at FROM bindings WHERE seq = ?1";
        let mut statement = self.file.connection().prepare_cached(sql)?;
        Ok(statement.query_row([seq], binding).optional()?)
    }

    /// How many deposit addresses there are.
    pub fn count_bindings(&self) -> Result<u64, StoredError> {
        Ok(self.file.connection().query_row("SELECT count(*) FROM bindings", [], |row| row.get(0))?)
    }

    /// Whether somebody began to write to them although nobody seemed to.
    pub fn were_overtaken(&self) -> bool {
        self.file.was_overtaken()
    }
}

/// What the views add up to, as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredSums {
    /// What all deposits add up to.
    pub totals: Totals,
    /// The books, and up to which event all of this goes.
    pub ledger: LedgerCut,
}

impl Views {
    /// What the views added up to when they were last written: for whoever asks before the log is open. Nothing where they are of
    /// another version, of several moments, or where there are none.
    pub async fn stored_sums(&self) -> Result<Option<StoredSums>, StoredError> {
        let path = self.path().to_owned();
        on_a_thread(move || {
            if !path.exists() {
                return Ok(None);
            }
            let stored = StoredViews::open(&path, false)?;
            let Some(position) = stored.position()? else { return Ok(None) };
            let (balances, unreadable) = (stored.balances()?, stored.unreadable()?);
            Ok(Some(StoredSums { totals: stored.totals()?, ledger: LedgerCut { position, balances, unreadable } }))
        })
        .await
    }
}

fn binding(row: &Row<'_>) -> rusqlite::Result<BindingRow> {
    Ok(BindingRow {
        seq: row.get(0)?,
        address: row.get(1)?,
        target: row.get(2)?,
        number: row.get(3)?,
        method: row.get(4)?,
        bound_at: DateTime::from_timestamp_micros(row.get(5)?).unwrap_or_default(),
    })
}
