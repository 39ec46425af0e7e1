//! How fast the desk was, a row for each minute in which something moved.

use std::collections::BTreeMap;

use millrace_model::deposit::Event as DepositEvent;
use millrace_model::event::Event;
use millrace_model::ids::Position;
use rusqlite::{Connection, OptionalExtension, params};

use crate::projection::catalog::Table;
use crate::projection::fold::{Changes, Cut, Fold, Seen, Shown};
use crate::projection::followed::Followed;
use crate::projection::pace::Pace;
use crate::projection::views::ViewError;

pub(in crate::projection) const VERSION: i64 = 1;

pub(in crate::projection) static TABLE: Table = Table {
    name: "pace",
    key: "minute",
    columns: "
        -- Minutes since 1970-01-01 UTC.
        minute INTEGER NOT NULL PRIMARY KEY,
        body   TEXT    NOT NULL",
    indexes: &[],
};

/// The minute that is under way, and those that were since the last writing.
#[derive(Debug, Default)]
pub(in crate::projection) struct Minutes {
    /// Events whose clock went back count for the newest minute there was.
    newest: i64,
    changed: BTreeMap<i64, Pace>,
    /// What the newest minute came to when it was written last.
    written: Pace,
}

impl Fold for Minutes {
    fn load(&mut self, cut: &Cut<'_>) -> Result<(), ViewError> {
        let sql = format!("SELECT minute, body FROM {} ORDER BY minute DESC LIMIT 1", cut.table);
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        if let Some((minute, body)) = cut.connection.query_row(&sql, [], row).optional()? {
            (self.newest, self.written) = (minute, serde_json::from_str(&body)?);
        }
        Ok(())
    }

    fn take_in(&mut self, seen: &Seen<'_>) {
        let (Event::Deposit(event), Some(moved)) = (&seen.recorded.event, &seen.moved) else { return };
        let at = seen.recorded.recorded_at;
        match event {
            DepositEvent::StatusWaitDecide(_) => self.minute(at).received += 1,
            DepositEvent::Confirmed(_) => self.minute(at).confirmed += 1,
            DepositEvent::Sent(_) => {
                let received_at = moved.row.and_then(|row| row.milestones.received_at);
                let minute = self.minute(at);
                minute.sent += 1;
                if let Some(wait) = received_at.and_then(|received| (at - received).to_std().ok()) {
                    minute.waits.note(wait);
                }
            }
            _ => {}
        }
    }

    fn rows_waiting(&self) -> usize {
        self.changed.len()
    }

    fn changes(&mut self, _: &Followed) -> Result<Box<dyn Changes>, ViewError> {
        let changed = std::mem::take(&mut self.changed);
        if let Some(newest) = changed.get(&self.newest) {
            self.written.clone_from(newest);
        }
        let texts = changed.into_iter().map(|(minute, pace)| Ok((minute, serde_json::to_string(&pace)?)));
        Ok(Box::new(Rows(texts.collect::<Result<_, ViewError>>()?)))
    }

    fn show(&self, _: Position, _: &mut Shown) {}
}

impl Minutes {
    fn minute(&mut self, at: chrono::DateTime<chrono::Utc>) -> &mut Pace {
        let minute = at.timestamp().div_euclid(60);
        if minute > self.newest {
            (self.newest, self.written) = (minute, Pace::default());
        }
        let written = &self.written;
        self.changed.entry(self.newest).or_insert_with(|| written.clone())
    }
}

/// Minutes that are to be written.
struct Rows(Vec<(i64, String)>);

impl Changes for Rows {
    fn write(&self, connection: &Connection, table: &str) -> Result<(), ViewError> {
        let mut insert = connection.prepare_cached(&format!(
            "INSERT INTO {table} (minute, body) VALUES (?1, ?2) ON CONFLICT (minute) DO UPDATE SET body = excluded.body"
        ))?;
        self.0.iter().try_for_each(|(minute, body)| Ok(insert.execute(params![minute, body]).map(drop)?))
    }
}
