//! What deposits are known by outside: the transactions that pay out or pay back, and their orders by both numbers. A row for every
//! event that gives one; rows are only ever added.

use millrace_model::deposit;
use millrace_model::event::Event;
use millrace_model::ids::Position;
use rusqlite::{Connection, params};

use super::notifications::numbers;
use crate::projection::catalog::{Index, Table};
use crate::projection::fold::{Changes, Cut, Fold, Seen, Shown};
use crate::projection::followed::Followed;
use crate::projection::views::ViewError;

pub(in crate::projection) const VERSION: i64 = 1;

pub(in crate::projection) static TABLE: Table = Table {
    name: "names",
    key: "position",
    columns: "
        -- The position of the event that gave it.
        position INTEGER NOT NULL PRIMARY KEY,
        -- The number of its text.
        number   INTEGER NOT NULL,
        -- Where its deposit began.
        deposit  INTEGER NOT NULL",
    indexes: &[Index { name: "number", is_unique: false, on: "(number)" }],
};

/// What an event says its deposit is known by from then on: a transaction or an order of either numbering, as text.
pub fn name_given(event: &deposit::Event) -> Option<String> {
    match event {
        deposit::Event::OrderIntended(intended) => Some(intended.order.cid.to_string()),
        deposit::Event::OrderPlaced(placed) => Some(placed.order_id.to_string()),
        deposit::Event::PayoutSigned(signed) => Some(signed.txid.to_string()),
        deposit::Event::RefundMarked(refund) => Some(refund.txid.to_string()),
        _ => None,
    }
}

/// The names that came since the last writing.
#[derive(Debug, Default)]
pub(in crate::projection) struct Rows(Vec<Row>);

/// A row as it is written.
#[derive(Debug)]
struct Row {
    position: Position,
    number: i64,
    deposit: Position,
}

impl Fold for Rows {
    fn load(&mut self, _: &Cut<'_>) -> Result<(), ViewError> {
        Ok(())
    }

    fn take_in(&mut self, seen: &Seen<'_>) {
        let Some(row) = seen.moved.as_ref().and_then(|moved| moved.row) else { return };
        let Event::Deposit(event) = &seen.recorded.event else { return };
        if let Some(name) = name_given(event) {
            let (position, number) = (seen.recorded.position, numbers::of_text(&name));
            self.0.push(Row { position, number, deposit: row.seq });
        }
    }

    fn rows_waiting(&self) -> usize {
        self.0.len()
    }

    fn changes(&mut self, _: &Followed) -> Result<Box<dyn Changes>, ViewError> {
        Ok(Box::new(New(std::mem::take(&mut self.0))))
    }

    fn show(&self, _: Position, _: &mut Shown) {}
}

/// Names that are to be written.
struct New(Vec<Row>);

impl Changes for New {
    fn write(&self, connection: &Connection, table: &str) -> Result<(), ViewError> {
        let mut insert = connection
            .prepare_cached(&format!("INSERT INTO {table} (position, number, deposit) VALUES (?1, ?2, ?3)"))?;
        for Row { position, number, deposit } in &self.0 {
            insert.execute(params![position, number, deposit])?;
        }
        Ok(())
    }
}
