//! Deposits as customers and operators see them, a row each.

use std::collections::BTreeMap;

use millrace_model::ids::{DepositId, Position};
use rusqlite::params;

use crate::projection::catalog::{Index, Table};
use crate::projection::fold::{Cut, Fold, Seen, Shown};
use crate::projection::row::DepositRow;
use crate::projection::views::ViewError;

pub(in crate::projection) const VERSION: i64 = 5;

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

    fn write(&mut self, cut: &Cut<'_>) -> Result<(), ViewError> {
        self.targets.clear();
        let mut insert = cut.connection.prepare_cached(&format!(
            "INSERT INTO {} (seq, id, target, address, status, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (seq) DO UPDATE SET status = excluded.status, body = excluded.body",
            cut.table
        ))?;
        for id in std::mem::take(&mut self.changed).into_values() {
            let row = cut.followed.row(id).expect("what was moved is in memory until it is written");
            let DepositRow { seq, target, address, status, .. } = row;
            insert.execute(params![seq, id.to_string(), target, address, status, serde_json::to_string(row)?])?;
            self.targets.extend(target.clone());
        }
        Ok(())
    }

    fn show(&self, _: Position, shown: &mut Shown) {
        shown.targets.extend_from_slice(&self.targets);
    }
}
