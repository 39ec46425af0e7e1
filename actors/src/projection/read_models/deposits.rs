//! Deposits as customers and operators see them, a row each.

use std::collections::BTreeMap;

use millrace_model::ids::{DepositId, Position};
use rusqlite::{Connection, params};

use crate::projection::catalog::{Index, Table};
use crate::projection::fold::{Changes, Cut, Fold, Seen, Shown};
use crate::projection::followed::Followed;
use crate::projection::row::DepositRow;
use crate::projection::views::ViewError;

pub(in crate::projection) const VERSION: i64 = 6;

pub(in crate::projection) static TABLE: Table = Table {
    name: "deposits",
    key: "seq",
    columns: "
        -- The position of the deposit's first event: the order in which deposits came.
        seq     INTEGER NOT NULL PRIMARY KEY,
        id      TEXT    NOT NULL,
        target  TEXT,
        address TEXT    NOT NULL,
        status  TEXT    NOT NULL,
        body    TEXT    NOT NULL",
    indexes: &[
        Index { name: "id", is_unique: true, on: "(id)" },
        Index { name: "target", is_unique: false, on: "(target, seq) WHERE target IS NOT NULL" },
        Index { name: "status", is_unique: false, on: "(status, seq)" },
    ],
};

/// The deposits that changed since the last writing, in the order in which they came.
#[derive(Debug, Default)]
pub(in crate::projection) struct Rows {
    changed: BTreeMap<Position, DepositId>,
    targets: Vec<String>,
}

impl Fold for Rows {
    fn load(&mut self, _: &Cut<'_>) -> Result<(), ViewError> {
        Ok(())
    }

    fn take_in(&mut self, seen: &Seen<'_>) {
        if let Some(row) = seen.moved.as_ref().and_then(|moved| moved.row) {
            self.changed.insert(row.seq, row.id);
        }
    }

    fn rows_waiting(&self) -> usize {
        self.changed.len()
    }

    fn changes(&mut self, followed: &Followed) -> Result<Box<dyn Changes>, ViewError> {
        let changed = std::mem::take(&mut self.changed).into_values();
        let row = |id| followed.row(id).expect("what was moved is in memory until it is settled");
        let rows = changed.map(|id| Row::of(row(id))).collect::<Result<Vec<_>, _>>()?;
        self.targets = rows.iter().filter_map(|row| row.target.clone()).collect();
        Ok(Box::new(Changed(rows)))
    }

    fn show(&self, _: Position, shown: &mut Shown) {
        shown.targets.extend_from_slice(&self.targets);
    }
}

/// A row as it is written.
struct Row {
    seq: Position,
    id: String,
    target: Option<String>,
    address: String,
    status: String,
    body: String,
}

impl Row {
    fn of(row: &DepositRow) -> Result<Self, ViewError> {
        let body = serde_json::to_string(row)?;
        let DepositRow { seq, id, target, address, status, .. } = row;
        let (target, address, status) = (target.clone(), address.clone(), status.clone());
        Ok(Self { seq: *seq, id: id.to_string(), target, address, status, body })
    }
}

/// Deposits that are to be written.
struct Changed(Vec<Row>);

impl Changes for Changed {
    fn write(&self, connection: &Connection, table: &str) -> Result<(), ViewError> {
        let mut insert = connection.prepare_cached(&format!(
            "INSERT INTO {table} (seq, id, target, address, status, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (seq) DO UPDATE SET status = excluded.status, body = excluded.body"
        ))?;
        for Row { seq, id, target, address, status, body } in &self.0 {
            insert.execute(params![seq, id, target, address, status, body])?;
        }
        Ok(())
    }
}
