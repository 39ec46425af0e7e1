//! How fast the desk was, minute by minute. A row begins with the event that is the first of its minute, or the first after a clock that
//! was set: so no minute has more than its own, whatever the clocks did, and several rows of one minute are added up when they are read.

use chrono::{DateTime, Utc};
use millrace_model::deposit::Event as DepositEvent;
use millrace_model::event::Event;
use millrace_model::ids::Position;
use rusqlite::{Connection, OptionalExtension, params};

use crate::projection::catalog::{Index, Table};
use crate::projection::fold::{Changes, Cut, Fold, Seen, Shown};
use crate::projection::followed::Followed;
use crate::projection::pace::Pace;
use crate::projection::views::ViewError;

pub(in crate::projection) const VERSION: i64 = 1;

pub(in crate::projection) static TABLE: Table = Table {
    name: "pace",
    key: "seq",
    columns: "
        -- The position of the first event that it counts.
        seq    INTEGER NOT NULL PRIMARY KEY,
        -- Minutes since 1970-01-01 UTC.
        minute INTEGER NOT NULL,
        body   TEXT    NOT NULL",
    indexes: &[Index { name: "minute", is_unique: false, on: "(minute)" }],
};

/// The minute that is under way, and those that ended since the last writing.
#[derive(Debug, Default)]
pub(in crate::projection) struct Minutes {
    current: Option<Minute>,
    is_changed: bool,
    ended: Vec<Minute>,
}

/// A row.
#[derive(Debug, Clone)]
struct Minute {
    seq: Position,
    minute: i64,
    pace: Pace,
}

impl Fold for Minutes {
    fn load(&mut self, cut: &Cut<'_>) -> Result<(), ViewError> {
        let sql = format!("SELECT seq, minute, body FROM {} ORDER BY seq DESC LIMIT 1", cut.table);
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?));
        let last = cut.connection.query_row(&sql, [], row).optional()?;
        let read = |(seq, minute, body): (Position, i64, String)| {
            Ok::<_, ViewError>(Minute { seq, minute, pace: serde_json::from_str(&body)? })
        };
        self.current = last.map(read).transpose()?;
        Ok(())
    }

    fn take_in(&mut self, seen: &Seen<'_>) {
        let (Event::Deposit(event), Some(moved)) = (&seen.recorded.event, &seen.moved) else { return };
        let at = seen.recorded.recorded_at;
        let seq = seen.recorded.position;
        match event {
            DepositEvent::StatusWaitDecide(_) => self.minute(seq, at).received += 1,
            DepositEvent::Confirmed(_) => self.minute(seq, at).confirmed += 1,
            DepositEvent::Sent(_) => {
                let received_at = moved.row.and_then(|row| row.milestones.received_at);
                let minute = self.minute(seq, at);
                minute.sent += 1;
                if let Some(wait) = received_at.and_then(|received| (at - received).to_std().ok()) {
                    minute.waits.note(wait);
                }
            }
            _ => {}
        }
    }

    fn rows_waiting(&self) -> usize {
        self.ended.len() + usize::from(self.is_changed)
    }

    fn changes(&mut self, _: &Followed) -> Result<Box<dyn Changes>, ViewError> {
        let mut changed = std::mem::take(&mut self.ended);
        if std::mem::take(&mut self.is_changed) {
            changed.extend(self.current.clone());
        }
        let row = |one: Minute| Ok((one.seq, one.minute, serde_json::to_string(&one.pace)?));
        Ok(Box::new(Rows(changed.into_iter().map(row).collect::<Result<_, ViewError>>()?)))
    }

    fn show(&self, _: Position, _: &mut Shown) {}
}

impl Minutes {
    /// The row that counts what happened then.
    fn minute(&mut self, seq: Position, at: DateTime<Utc>) -> &mut Pace {
        let minute = at.timestamp().div_euclid(60);
        if self.current.as_ref().is_none_or(|current| current.minute != minute) {
            let before = self.current.replace(Minute { seq, minute, pace: Pace::default() });
            self.ended.extend(before.filter(|_| self.is_changed));
        }
        self.is_changed = true;
        &mut self.current.as_mut().expect("it was just begun").pace
    }
}

/// Minutes that are to be written.
struct Rows(Vec<(Position, i64, String)>);

impl Changes for Rows {
    fn write(&self, connection: &Connection, table: &str) -> Result<(), ViewError> {
        let mut insert = connection.prepare_cached(&format!(
            "INSERT INTO {table} (seq, minute, body) VALUES (?1, ?2, ?3) ON CONFLICT (seq) DO UPDATE SET body = excluded.body"
        ))?;
        let mut write =
            |seq: &Position, minute: &i64, body: &String| insert.execute(params![seq, minute, body]).map(drop);
        self.0.iter().try_for_each(|(seq, minute, body)| Ok(write(seq, minute, body)?))
    }
}
