//! What customers and operators are told, a row for every event that is told. Rows are only ever added.

pub(in crate::projection) mod numbers;
pub(in crate::projection) mod packed;

use millrace_model::ids::Position;
use millrace_model::notification::{Notification, NotificationType, Resource, Telling};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::projection::catalog::{Index, Table};
use crate::projection::fold::{Changes, Cut, Fold, Seen, Shown};
use crate::projection::followed::Followed;
use crate::projection::views::ViewError;

pub(in crate::projection) const VERSION: i64 = 5;

pub(in crate::projection) static TABLE: Table = Table {
    name: "notifications",
    key: "position",
    columns: "
        position INTEGER NOT NULL PRIMARY KEY,
        -- The id's bytes, as two numbers with the first bytes the highest.
        id_high  INTEGER NOT NULL,
        id_low   INTEGER NOT NULL,
        -- Where its deposit began, and where its row of the history did; nothing for what the desk itself tells.
        deposit  INTEGER,
        row      INTEGER,
        -- Nothing for what belongs to nobody, too.
        customer TEXT,
        address  TEXT,
        -- The number of the customer or, of what belongs to nobody, of the address.
        whose    INTEGER,
        kind     TEXT    NOT NULL,
        sequence INTEGER NOT NULL,
        -- What else its body is made of.
        packed   BLOB    NOT NULL",
    indexes: &[
        // Numbers are sorted in half the time that texts and blobs take, and there are many. What an index has last is where the
        // row is: its position.
        Index { name: "id", is_unique: false, on: "(id_high)" },
        Index { name: "whose", is_unique: false, on: "(whose) WHERE whose IS NOT NULL" },
        Index { name: "row", is_unique: false, on: "(row) WHERE row IS NOT NULL" },
    ],
};

/// What is to be told and not written yet.
#[derive(Debug, Default)]
pub(in crate::projection) struct Rows {
    new: Vec<Row>,
    newest: Position,
}

/// A row as it is written: of a notification, what is not in its columns is packed at once, since many wait.
#[derive(Debug)]
struct Row {
    position: Position,
    id: Uuid,
    whose: Option<i64>,
    deposit: Option<Position>,
    row: Option<Position>,
    customer: Option<String>,
    address: Option<String>,
    kind: NotificationType,
    sequence: u32,
    packed: Vec<u8>,
}

impl Row {
    fn of(told: Notification, telling: Option<Telling>) -> Self {
        let packed = packed::pack(&told);
        let [deposit, row] = [telling.map(|it| it.deposit_began), telling.map(|it| it.row_began)];
        let Notification { id, kind, deposit: _, customer, sequence, position, resource, recorded_at: _ } = told;
        let address = match resource {
            Resource::Transaction(transaction) => Some(transaction.row.from),
            Resource::Desk(_) | Resource::Webhook(_) => None,
        };
        let whose = customer.as_deref().or(address.as_deref()).map(numbers::of_text);
        Self { position, id, whose, deposit, row, customer, address, kind, sequence, packed }
    }
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
                let notification = Notification::of_deposit(told, telling, deposit, seen.recorded);
                Row::of(notification, Some(telling))
            }),
            None => Notification::of_desk(seen.recorded).map(|told| Row::of(told, None)),
        };
        self.new.extend(told);
    }

    fn rows_waiting(&self) -> usize {
        self.new.len()
    }

    fn changes(&mut self, _: &Followed) -> Result<Box<dyn Changes>, ViewError> {
        self.newest = self.new.last().map_or(self.newest, |row| row.position);
        Ok(Box::new(New(std::mem::take(&mut self.new))))
    }

    fn show(&self, _: Position, shown: &mut Shown) {
        shown.newest_notification = Some(self.newest);
    }
}

/// What is to be written.
struct New(Vec<Row>);

impl Changes for New {
    fn write(&self, connection: &Connection, table: &str) -> Result<(), ViewError> {
        let mut insert = connection.prepare_cached(&format!(
            "INSERT INTO {table}
                 (position, id_high, id_low, deposit, row, customer, address, whose, kind, sequence, packed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        ))?;
        for row in &self.0 {
            let (high, low) = numbers::of_id(row.id);
            insert.execute(params![
                row.position,
                high,
                low,
                row.deposit,
                row.row,
                row.customer,
                row.address,
                row.whose,
                row.kind.name(),
                row.sequence,
                row.packed,
            ])?;
        }
        Ok(())
    }
}
