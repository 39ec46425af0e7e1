//! Checking the whole log against its chain of hashes: SQLite finds a torn page, not a changed digit.
//!
//! No event is read for this, only the columns that its hash covers, so that what this version cannot read is checked too.

use millrace_model::damage::Damage;
use millrace_model::ids::Position;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::chain_hash::{ChainHash, Link};
use super::reader::{ReadError, Reader, hash_on, text};
use super::sealed::{Shelf, sealed_until, segment_of};
use super::segment::{first_of, last_of};

/// Why the log was not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read to its end.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is not what was stored.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

impl From<rusqlite::Error> for VerifyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Read(error.into())
    }
}

/// What a log without damage comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The newest position.
    pub head: Position,
    /// The hash of the newest event, which covers everything before it.
    pub tip: ChainHash,
}

/// How many events are verified at once where nobody waits for a pause.
const PAGE_EVENTS: usize = 4_096;
/// What the hashes of some events cover.
pub(super) const CHAIN: &str =
    "SELECT e.position, s.name, e.version, e.kind, e.schema, e.payload, e.causation, e.correlation,
                            e.command_id, e.recorded_at, e.hash, c.name, c.body, e.stream,
                            c.first_position, c.last_position
                     FROM events e LEFT JOIN streams s ON s.id = e.stream LEFT JOIN commands c ON c.id = e.command_id
                     WHERE e.position > ?1 ORDER BY e.position LIMIT ?2";

impl Reader {
    /// Reads the whole log and computes every hash anew.
    pub fn verify(&self) -> Result<Verified, VerifyError> {
        let mut audit = self.audit()?;
        while audit.page(PAGE_EVENTS)? == Step::More {}
        Ok(audit.so_far())
    }

    /// Begins to verify the log, page by page; on a connection of its own, since it takes its time.
    pub fn audit(&self) -> Result<Audit, ReadError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.path(), flags)?;
        Ok(Audit { connection, course: Course::begin() })
    }
}

/// Whether the end was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There may be more.
    More,
    /// It was.
    End,
}

/// A log that is being verified. Between two pages nothing of it is held.
#[derive(Debug)]
pub struct Audit {
    connection: Connection,
    course: Course,
}

impl Audit {
    /// How far it is.
    pub fn so_far(&self) -> Verified {
        self.course.so_far()
    }

    /// Verifies the next events. It stops behind damage; whoever goes on learns of the next, by the hashes that are stored.
    pub fn page(&mut self, events_max: usize) -> Result<Step, VerifyError> {
        let mut statement = self.connection.prepare_cached(CHAIN)?;
        let mut rows = statement.query((self.course.so_far.head, events_max as i64))?;
        let (mut events, shelf) = (0, Shelf::of(&self.connection));
        while let Some(row) = rows.next()? {
            events += 1;
            let damage = match self.course.segment(&self.connection)? {
                None => self.course.follow(row, &shelf)?,
                damage => damage,
            };
            if let Some(damage) = damage {
                return Err(damage.into());
            }
        }
        Ok(if events < events_max { Step::End } else { Step::More })
    }
}

/// How far a log was followed.
#[derive(Debug)]
pub(super) struct Course {
    so_far: Verified,
    /// The first position of the segment that was proved last.
    proved: Position,
    /// Whether it was not what was sealed.
    is_broken: bool,
}

impl Course {
    pub(super) fn begin() -> Self {
        Self { so_far: Verified { head: 0, tip: ChainHash::GENESIS }, proved: 0, is_broken: false }
    }

    pub(super) fn so_far(&self) -> Verified {
        self.so_far
    }

    /// Proves the segment that begins with the next event, if one does, and says what is wrong with it; once.
    pub(super) fn segment(&mut self, connection: &Connection) -> Result<Option<Damage>, ReadError> {
        let position = self.so_far.head + 1;
        if position != first_of(position) || position == self.proved {
            return Ok(None);
        }
        (self.proved, self.is_broken) = (position, false);
        if position <= sealed_until(connection)? {
            self.is_broken = !self.is_sound(connection, position)?;
        }
        Ok(self.is_broken.then_some(Damage::Segment { position }))
    }

    /// Whether the segment that begins here goes on from this hash to that of its last row, with streams of this log.
    fn is_sound(&self, connection: &Connection, first: Position) -> Result<bool, ReadError> {
        let Some(tip) = readable(hash_on(connection, last_of(first)))?.flatten() else { return Ok(false) };
        let Some(segment) = readable(segment_of(connection, first))?.flatten() else { return Ok(false) };
        if segment.tip != tip || segment.prove(self.so_far.tip).is_err() {
            return Ok(false);
        }
        let Ok(streams) = segment.streams() else { return Ok(false) };
        let mut name = connection.prepare_cached("SELECT name FROM streams WHERE id = ?1")?;
        for (id, expected) in streams {
            let found: Option<String> = readable(name.query_row([id], |row| row.get(0)).optional())?.flatten();
            if found != Some(expected) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Goes on to the next event, and says what is wrong with it.
    pub(super) fn follow(&mut self, row: &Row<'_>, shelf: &Shelf<'_>) -> Result<Option<Damage>, ReadError> {
        let (before, position) = (self.so_far, row.get::<_, Position>(0)?);
        // What cannot even be read is not what was stored, unless it is SQLite that cannot.
        let computed = match tip_after(before.tip, row, shelf) {
            Ok(tip) => Some(tip),
            Err(ReadError::Database(error)) => readable(Err(error))?,
            Err(_) => None,
        };
        let stored = row.get(10).map(ChainHash).ok();
        self.so_far = Verified { head: position, tip: stored.or(computed).unwrap_or(before.tip) };
        Ok(match position {
            _ if position != before.head + 1 => Some(Damage::Missing { position: before.head + 1 }),
            // What it has in its segment is said of the segment.
            _ if self.is_broken && is_lean(row) => None,
            _ if computed.is_none() || computed != stored => Some(Damage::Changed { position }),
            _ => None,
        })
    }
}

/// What was read; nothing where it is of another shape than what is stored. That SQLite cannot read is no damage of the log.
fn readable<T>(read: rusqlite::Result<T>) -> Result<Option<T>, ReadError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error @ (rusqlite::Error::SqliteFailure(..) | rusqlite::Error::SqlInputError { .. })) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

fn is_lean(row: &Row<'_>) -> bool {
    [5, 12].iter().any(|column| text(row, *column).is_ok_and(str::is_empty))
}

pub(super) fn tip_after(before: ChainHash, row: &Row<'_>, shelf: &Shelf<'_>) -> Result<ChainHash, ReadError> {
    let (position, payload, body) = (row.get(0)?, text(row, 5)?, text(row, 12)?);
    if !payload.is_empty() && !body.is_empty() {
        return Ok(tip_of(before, row, payload, body)?);
    }
    let payload = shelf.payload(position, payload.to_owned())?;
    let body = shelf.body(position, body.to_owned())?;
    Ok(tip_of(before, row, &payload, &body)?)
}

fn tip_of(before: ChainHash, row: &Row<'_>, payload: &str, body: &str) -> rusqlite::Result<ChainHash> {
    let link = Link {
        position: row.get(0)?,
        stream: text(row, 1)?,
        version: row.get(2)?,
        kind: text(row, 3)?,
        schema: row.get(4)?,
        payload,
        causation: row.get(6)?,
        correlation: row.get(7)?,
        command_id: row.get(8)?,
        recorded_at: row.get(9)?,
        command: &ChainHash::of_command(text(row, 11)?, body),
    };
    Ok(link.after(&before))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chrono::DateTime;
    use millrace_model::address_book::AddressIssued;
    use millrace_model::event::Event;
    use millrace_model::ids::{CommandId, StreamName};

    use super::*;
    use crate::event_store::poison::{self, damage, mend_hashes, set_kind};
    use crate::event_store::{Append, Expected, Log, Write};

    fn issue(log: &mut Log, index: u32) {
        let event = Event::AddressBook(AddressIssued { index }.into());
        let expected = Expected::Exactly(u64::from(index));
        let append = Append {
            command_id: CommandId::of_fact(&[&index.to_string()]),
            command: "Test",
            body: format!("{{\"amount\":{index}}}"),
            causation: None,
            correlation: None,
            writes: vec![Write::new(StreamName::AddressBook, expected, vec![event])],
        };
        log.commit(vec![append], DateTime::UNIX_EPOCH).0.pop().unwrap().unwrap();
    }

    fn verified_after(path: &Path, damage: &str) -> Result<Verified, VerifyError> {
        let damaged = path.with_extension("damaged");
        let reader = Reader::open(path).unwrap();
        let _ = std::fs::remove_file(&damaged);
        reader.back_up(&damaged).unwrap();
        poison::damage(&damaged, damage);
        Reader::open(&damaged).unwrap().verify()
    }

    /// O4: the first event that is not what was stored is named.
    #[test]
    fn a_changed_digit_is_found_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let mut log = Log::open(&path).unwrap();
        (0..5).for_each(|index| issue(&mut log, index));
        let whole = Reader::open(&path).unwrap().verify().unwrap();
        assert_eq!(whole.head, 5);
        assert_eq!(verified_after(&path, "").unwrap(), whole);
        for damage in [
            "UPDATE events SET payload = replace(payload, '2', '7') WHERE position = 3",
            "UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 3",
            "UPDATE events SET causation = 1 WHERE position = 3",
            "UPDATE commands SET body = '{}' WHERE first_position = 3",
            "DELETE FROM commands WHERE first_position = 3",
        ] {
            let found = verified_after(&path, damage);
            assert!(matches!(found, Err(VerifyError::Damaged(Damage::Changed { position: 3 }))), "{damage}: {found:?}");
        }
        let cut = verified_after(&path, "DELETE FROM events WHERE position = 3");
        assert!(matches!(cut, Err(VerifyError::Damaged(Damage::Missing { position: 3 }))), "{cut:?}");
    }

    /// O4: an event that this version cannot read is what was stored, or is not, like any other.
    #[test]
    fn what_nobody_can_read_is_checked_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let mut log = Log::open(&path).unwrap();
        (0..5).for_each(|index| issue(&mut log, index));
        drop(log);
        set_kind(&path, &StreamName::AddressBook, 3, "Beamed");
        let reader = Reader::open(&path).unwrap();
        let found = reader.verify();
        assert!(matches!(found, Err(VerifyError::Damaged(Damage::Changed { position: 3 }))), "{found:?}");
        mend_hashes(&path);
        assert!(matches!(reader.after(0, 10), Err(ReadError::Decode { position: 3, .. })));
        assert_eq!(reader.verify().unwrap().head, 5);
    }

    #[test]
    fn whoever_goes_on_behind_damage_learns_of_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let mut log = Log::open(&path).unwrap();
        (0..8).for_each(|index| issue(&mut log, index));
        drop(log);
        set_kind(&path, &StreamName::AddressBook, 2, "Beamed");
        damage(&path, "DELETE FROM events WHERE position IN (4, 5); UPDATE events SET version = 9 WHERE position = 7");
        let mut audit = Reader::open(&path).unwrap().audit().unwrap();
        let mut found = Vec::new();
        loop {
            match audit.page(3) {
                Ok(Step::More) => {}
                Ok(Step::End) => break,
                Err(VerifyError::Damaged(damage)) => found.push(damage),
                Err(error) => panic!("{error}"),
            }
        }
        let [changed, gap, other] =
            [Damage::Changed { position: 2 }, Damage::Missing { position: 4 }, Damage::Changed { position: 7 }];
        assert_eq!((found, audit.so_far().head), (vec![changed, gap, other], 8));
    }
}
