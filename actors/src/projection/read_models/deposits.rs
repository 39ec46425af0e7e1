//! Deposits as customers and operators see them, a row each.

use std::collections::BTreeMap;

use millrace_model::ids::{DepositId, Position};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::pieces::{Piece, Pieces};
use crate::projection::catalog::{Index, Table};
use crate::projection::fold::{Changes, Cut, Fold, Seen, Shown};
use crate::projection::followed::Followed;
use crate::projection::row::DepositRow;
use crate::projection::views::ViewError;

pub(in crate::projection) const VERSION: i64 = 9;

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
        // With where they stand, so that those of one customer are told apart without looking at each row.
        Index { name: "target", is_unique: false, on: "(target, seq, status) WHERE target IS NOT NULL" },
        // What an index has last is where the row is: the order in which deposits came.
        Index { name: "address", is_unique: false, on: "(address)" },
        Index { name: "status", is_unique: false, on: "(status, seq)" },
        // The few that wait for the desk, the one that waits longest first. The sign keeps other indexes of `status` from being chosen.
        Index {
            name: "waiting",
            is_unique: false,
            on: "(json_extract(body, '$.stands_since')) WHERE +status IN ('wait_decide', 'wait_buy', 'wait_send')",
        },
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
        self.targets.clear();
        let mut changed = Changed::default();
        for id in std::mem::take(&mut self.changed).into_values() {
            let row = followed.row(id).expect("what was moved is in memory until it is settled");
            self.targets.extend(row.target.clone());
            changed.add(row)?;
        }
        Ok(Box::new(changed))
    }

    fn show(&self, _: Position, shown: &mut Shown) {
        shown.targets.extend_from_slice(&self.targets);
    }
}

/// Deposits that are to be written.
#[derive(Default)]
struct Changed {
    rows: Vec<Row>,
    pieces: Pieces,
}

/// A row as it is written.
struct Row {
    seq: Position,
    id: Piece,
    target: Option<Piece>,
    address: Piece,
    status: Piece,
    body: Piece,
}

impl Changed {
    fn add(&mut self, row: &DepositRow) -> Result<(), ViewError> {
        let pieces = &mut self.pieces;
        let DepositRow { seq, id, target, address, status, .. } = row;
        self.rows.push(Row {
            seq: *seq,
            id: pieces.add_text(id.0.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
            target: target.as_deref().map(|target| pieces.add_text(target)),
            address: pieces.add_text(address),
            status: pieces.add_text(status),
            body: pieces.add_document(row)?,
        });
        Ok(())
    }
}

impl Changes for Changed {
    fn write(&self, connection: &Connection, table: &str) -> Result<(), ViewError> {
        let mut insert = connection.prepare_cached(&format!(
            "INSERT INTO {table} (seq, id, target, address, status, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (seq) DO UPDATE SET status = excluded.status, body = excluded.body"
        ))?;
        let text = |piece| self.pieces.text(piece);
        for Row { seq, id, target, address, status, body } in &self.rows {
            let target = target.as_ref().map(text);
            insert.execute(params![seq, text(id), target, text(address), text(status), text(body)])?;
        }
        Ok(())
    }
}
