//! What customers and operators are told, a row for every event that is told. Rows are only ever added.

pub(in crate::projection) mod numbers;
pub(in crate::projection) mod packed;

use millrace_model::ids::Position;
use millrace_model::notification::{Notification, NotificationType, Resource, Telling};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::pieces::{Piece, Pieces};
use crate::projection::catalog::{Index, Table};
use crate::projection::fold::{Changes, Cut, Fold, Seen, Shown};
use crate::projection::followed::Followed;
use crate::projection::views::ViewError;

pub(in crate::projection) const VERSION: i64 = 7;

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
    new: New,
    newest: Position,
}

/// What is to be written. Of a notification, what is not in its columns is packed at once, since many wait.
#[derive(Debug, Default)]
struct New {
    rows: Vec<Row>,
    pieces: Pieces,
}

/// A row as it is written.
#[derive(Debug)]
struct Row {
    position: Position,
    id: Uuid,
    whose: Option<i64>,
    deposit: Option<Position>,
    row: Option<Position>,
    customer: Option<Piece>,
    address: Option<Piece>,
    kind: NotificationType,
    sequence: u32,
    packed: Piece,
}

impl New {
    fn add(&mut self, told: &Notification, telling: Option<Telling>) {
        let [deposit, row] = [telling.map(|it| it.deposit_began), telling.map(|it| it.row_began)];
        let Notification { id, kind, deposit: _, customer, sequence, position, resource, recorded_at: _ } = told;
        let (customer, address) = match resource {
            Resource::Transaction(transaction) => (customer.as_deref(), Some(transaction.row.from.as_str())),
            Resource::Subscription(_)
            | Resource::Desk(_)
            | Resource::Webhook(_)
            | Resource::Part(_)
            | Resource::Balance(_) => (customer.as_deref(), None),
        };
        let pieces = &mut self.pieces;
        self.rows.push(Row {
            position: *position,
            id: *id,
            whose: customer.or(address).map(numbers::of_text),
            deposit,
            row,
            customer: customer.map(|customer| pieces.add_text(customer)),
            address: address.map(|address| pieces.add_text(address)),
            kind: *kind,
            sequence: *sequence,
            packed: pieces.add_packed(|bytes| packed::pack(told, bytes)),
        });
    }
}

impl Fold for Rows {
    fn load(&mut self, cut: &Cut<'_>) -> Result<(), ViewError> {
        let sql = format!("SELECT position FROM {} ORDER BY position DESC LIMIT 1", cut.table);
        self.newest = cut.connection.query_row(&sql, [], |row| row.get(0)).optional()?.unwrap_or(0);
        Ok(())
    }

    fn take_in(&mut self, seen: &Seen<'_>) {
        let (told, telling) = match &seen.moved {
            Some(moved) => match (moved.told, moved.deposit) {
                (Some((told, telling)), Some(deposit)) => {
                    (Some(Notification::of_deposit(told, telling, deposit, seen.recorded)), Some(telling))
                }
                (_, _) => return,
            },
            None => {
                let of_subscription = || Notification::of_subscription(seen.earlier.iter(), seen.recorded);
                (Notification::of_desk(seen.recorded).or_else(of_subscription), None)
            }
        };
        told.iter().for_each(|told| self.new.add(told, telling));
    }

    fn rows_waiting(&self) -> usize {
        self.new.rows.len()
    }

    fn changes(&mut self, _: &Followed) -> Result<Box<dyn Changes>, ViewError> {
        self.newest = self.new.rows.last().map_or(self.newest, |row| row.position);
        Ok(Box::new(std::mem::take(&mut self.new)))
    }

    fn show(&self, _: Position, shown: &mut Shown) {
        shown.newest_notification = Some(self.newest);
    }
}

impl Changes for New {
    fn write(&self, connection: &Connection, table: &str) -> Result<(), ViewError> {
        let mut insert = connection.prepare_cached(&format!(
            "INSERT INTO {table}
                 (position, id_high, id_low, deposit, row, customer, address, whose, kind, sequence, packed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        ))?;
        let text = |piece| self.pieces.text(piece);
        for row in &self.rows {
            let (high, low) = numbers::of_id(row.id);
            insert.execute(params![
                row.position,
                high,
                low,
                row.deposit,
                row.row,
                row.customer.as_ref().map(text),
                row.address.as_ref().map(text),
                row.whose,
                row.kind.name(),
                row.sequence,
                self.pieces.blob(&row.packed),
            ])?;
        }
        Ok(())
    }
}
