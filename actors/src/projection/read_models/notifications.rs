//! What customers and operators are told, a row for every event that is told. Rows are only ever added.

pub(in crate::projection) mod packed;

use millrace_model::ids::Position;
use millrace_model::notification::Notification;
use rusqlite::{OptionalExtension, params};

use crate::projection::catalog::{Index, Table};
use crate::projection::fold::{Cut, Fold, Seen, Shown};
use crate::projection::views::ViewError;

pub(in crate::projection) const VERSION: i64 = 2;

pub(in crate::projection) static TABLE: Table = Table {
    name: "notifications",
    key: "position",
    columns: "
        position INTEGER NOT NULL PRIMARY KEY,
        id       BLOB    NOT NULL,
        -- Nothing for what the desk itself tells.
        deposit  TEXT,
        -- Nothing for what belongs to nobody, too.
        customer TEXT,
        address  TEXT,
        kind     TEXT    NOT NULL,
        sequence INTEGER NOT NULL,
        type     TEXT    NOT NULL,
        coin     TEXT,
        -- Whether a row of the history begins with it: 1 or 0.
        begins   INTEGER NOT NULL,
        -- What else its body is made of.
        packed   BLOB    NOT NULL",
    indexes: &[
        Index { name: "id", is_unique: true, on: "(id)" },
        Index { name: "customer", is_unique: false, on: "(customer, position, begins) WHERE customer IS NOT NULL" },
        Index {
            name: "nobodys",
            is_unique: false,
            on: "(address, position) WHERE customer IS NULL AND address IS NOT NULL",
        },
        Index { name: "deposit", is_unique: false, on: "(deposit, type, position) WHERE deposit IS NOT NULL" },
    ],
};

/// What is to be told and not written yet.
#[derive(Debug, Default)]
pub(in crate::projection) struct Rows {
    new: Vec<(Notification, bool)>,
    newest: Position,
}

impl Fold for Rows {
    fn load(&mut self, cut: &Cut<'_>) -> Result<(), ViewError> {
        let sql = format!("SELECT position FROM {} ORDER BY position DESC LIMIT 1", cut.table);
        self.newest = cut.connection.query_row(&sql, [], |row| row.get(0)).optional()?.unwrap_or(0);
        Ok(())
    }

    fn take_in(&mut self, seen: &Seen<'_>) {
        let told = match &seen.moved {
            Some(moved) => moved.told.zip(moved.deposit).map(|((told, telling), deposit)| {
                (Notification::of_deposit(told, telling, deposit, seen.recorded), telling.is_first_of_row)
            }),
            None => Notification::of_desk(seen.recorded).map(|told| (told, false)),
        };
        self.new.extend(told);
    }

    fn rows_waiting(&self) -> usize {
        self.new.len()
    }

    fn write(&mut self, cut: &Cut<'_>) -> Result<(), ViewError> {
        let mut insert = cut.connection.prepare_cached(&format!(
            "INSERT INTO {} (position, id, deposit, customer, address, kind, sequence, type, coin, begins, packed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            cut.table
        ))?;
        for (told, begins) in self.new.drain(..) {
            let deposit = told.deposit.map(|id| id.to_string());
            let (row, kind) = (told.row(), told.kind);
            insert.execute(params![
                told.position,
                told.id.as_bytes(),
                deposit,
                told.customer,
                row.map(|row| &row.from),
                kind.name(),
                told.sequence,
                kind.resource().as_str(),
                row.map(|row| row.coin.as_str()),
                begins,
                packed::pack(&told),
            ])?;
            self.newest = told.position;
        }
        Ok(())
    }

    fn show(&self, _: Position, shown: &mut Shown) {
        shown.newest_notification = Some(self.newest);
    }
}
