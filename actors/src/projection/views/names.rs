//! Finding deposits by what they are known by outside.

use millrace_model::ids::DepositId;
use sqlx::Row;

use super::{PAGE_ROWS_MAX, ViewError, Views};
use crate::projection::catalog::Projection;
use crate::projection::read_models::notifications::numbers;

const NAMED: &str = "SELECT d.id FROM names n JOIN deposits d ON d.seq = n.deposit WHERE n.number = ?1
                     ORDER BY n.position DESC LIMIT ?2";
pub(super) const ON_ADDRESS: &str = "SELECT id FROM deposits WHERE address = ?1 ORDER BY seq DESC LIMIT ?2";
const VERSION_SHOWN: &str = "SELECT version FROM projections WHERE name = ?1 AND place = 'live'";

impl Views {
    /// The deposits that may be known by this transaction of a payout or refund, order of ours or number of an order, those that
    /// were named so last first; at most [`PAGE_ROWS_MAX`]. They are found by a number that is made of the text: whoever
    /// must be sure compares what their events say.
    pub async fn deposits_named(&self, name: &str) -> Result<Vec<DepositId>, ViewError> {
        self.ids(NAMED, numbers::of_text(name)).await
    }

    /// The deposits that came in on this address, whoever's or nobody's it is, newest first; at most [`PAGE_ROWS_MAX`]. Nothing while those
    /// of another version are shown: they may have no index of addresses, and all of them would be looked through.
    pub async fn deposits_on(&self, address: &str) -> Result<Option<Vec<DepositId>>, ViewError> {
        let of = Projection::Deposits;
        let version: Option<i64> = sqlx::query_scalar(VERSION_SHOWN).bind(of.name()).fetch_optional(&self.pool).await?;
        match version {
            Some(version) if version == of.version() => Ok(Some(self.ids(ON_ADDRESS, address.to_owned()).await?)),
            _ => Ok(None),
        }
    }

    async fn ids<'q, T>(&self, sql: &'static str, wanted: T) -> Result<Vec<DepositId>, ViewError>
    where
        T: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + 'q,
    {
        let rows = sqlx::query(sql).bind(wanted).bind(PAGE_ROWS_MAX).fetch_all(&self.pool).await?;
        // An id that is none is of a damaged row, and of no deposit.
        let mut ids: Vec<DepositId> = rows.iter().filter_map(|row| row.get::<String, _>(0).parse().ok()).collect();
        let mut seen = std::collections::HashSet::new();
        ids.retain(|id| seen.insert(*id));
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::*;
    use crate::projection::database::{self, Database, Place};

    #[test]
    fn nothing_is_looked_through() {
        let mut database = Database::scratch().unwrap();
        database
            .write(|transaction| {
                [Projection::Names, Projection::Deposits, Projection::Addresses].into_iter().try_for_each(|of| {
                    database::create(transaction, of, Place::Live)?;
                    database::index(transaction, of, Place::Live, 1)
                })
            })
            .unwrap();
        for sql in [NAMED, ON_ADDRESS] {
            let mut plan = database.connection().prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let lines = plan.query_map(params![None::<i64>, 1], |row| row.get::<_, String>(3)).unwrap();
            let lines: Vec<_> = lines.map(Result::unwrap).collect();
            assert!(lines.iter().all(|line| !line.starts_with("SCAN")), "{lines:?}");
        }
    }
}
