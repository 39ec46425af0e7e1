//! The addresses that were given out, a row each.

use millrace_model::binding;
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::Position;
use rusqlite::{Connection, params};

use crate::projection::catalog::{Index, Table};
use crate::projection::fold::{Changes, Cut, Fold, Seen, Shown};
use crate::projection::followed::Followed;
use crate::projection::views::{BindingRow, ViewError};

pub(in crate::projection) const VERSION: i64 = 1;

pub(in crate::projection) static TABLE: Table = Table {
    name: "bindings",
    key: "seq",
    columns: "
        seq      INTEGER NOT NULL PRIMARY KEY,
        address  TEXT    NOT NULL,
        target   TEXT    NOT NULL,
        number   INTEGER NOT NULL,
        method   TEXT    NOT NULL,
        -- Microseconds since 1970-01-01 UTC.
        bound_at INTEGER NOT NULL",
    indexes: &[
        Index { name: "address", is_unique: true, on: "(address)" },
        Index { name: "target", is_unique: false, on: "(target, seq)" },
    ],
};

/// The addresses that came since the last writing.
#[derive(Debug, Default)]
pub(in crate::projection) struct Rows {
    new: Vec<BindingRow>,
    targets: Vec<String>,
}

impl Fold for Rows {
    fn load(&mut self, _: &Cut<'_>) -> Result<(), ViewError> {
        Ok(())
    }

    fn take_in(&mut self, seen: &Seen<'_>) {
        if let Event::Binding(binding::Event::Bound(bound)) = &seen.recorded.event {
            self.new.push(row(bound, seen.recorded));
        }
    }

    fn rows_waiting(&self) -> usize {
        self.new.len()
    }

    fn changes(&mut self, _: &Followed) -> Result<Box<dyn Changes>, ViewError> {
        self.targets = self.new.iter().map(|row| row.target.clone()).collect();
        Ok(Box::new(New(std::mem::take(&mut self.new))))
    }

    fn show(&self, _: Position, shown: &mut Shown) {
        shown.targets.extend_from_slice(&self.targets);
    }
}

/// Addresses that are to be written.
struct New(Vec<BindingRow>);

impl Changes for New {
    fn write(&self, connection: &Connection, table: &str) -> Result<(), ViewError> {
        let mut insert = connection.prepare_cached(&format!(
            "INSERT INTO {table} (seq, address, target, number, method, bound_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        ))?;
        for BindingRow { seq, address, target, number, method, bound_at } in &self.0 {
            insert.execute(params![seq, address, target, number, method, bound_at.timestamp_micros()])?;
        }
        Ok(())
    }
}

/// The row of an address.
pub(crate) fn row(bound: &binding::Bound, recorded: &Recorded) -> BindingRow {
    BindingRow {
        seq: recorded.position,
        address: bound.address.clone(),
        target: bound.customer.target.clone(),
        number: bound.index,
        method: bound.customer.bound_method.as_str().to_owned(),
        bound_at: recorded.recorded_at,
    }
}
