//! Checking the whole log against its chain of hashes: SQLite finds a torn page, not a changed digit.

use millrace_model::ids::Position;
use rusqlite::{Connection, OpenFlags, Row};

use super::chain_hash::{ChainHash, Link};
use super::reader::{ReadError, Reader, recorded, text};

/// What is wrong with the log, and where it is seen first.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read to its end.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event is missing.
    #[error("position {missing} is missing")]
    Gap {
        /// The first position that is not there.
        missing: Position,
    },
    /// An event or its command is not what was stored.
    #[error("position {position} is not what was stored there")]
    Changed {
        /// The first event whose hash does not fit.
        position: Position,
    },
}

/// What a log without damage comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The newest position.
    pub head: Position,
    /// The hash of the newest event, which covers everything before it.
    pub tip: ChainHash,
}

/// Every event with its hash and the command it came of.
const CHAIN: &str = "SELECT e.position, s.name, e.version, e.kind, e.schema, e.payload, e.causation, e.correlation,
                            e.command_id, e.recorded_at, e.hash, c.name, c.body
                     FROM events e LEFT JOIN streams s ON s.id = e.stream LEFT JOIN commands c ON c.id = e.command_id
                     ORDER BY e.position";

impl Reader {
    /// Reads the whole log and computes every hash anew; on a connection of its own, since it takes its time.
    pub fn verify(&self) -> Result<Verified, VerifyError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.path(), flags).map_err(ReadError::from)?;
        let mut statement = connection.prepare(CHAIN).map_err(ReadError::from)?;
        let mut rows = statement.query([]).map_err(ReadError::from)?;
        let mut verified = Verified { head: 0, tip: ChainHash::GENESIS };
        while let Some(row) = rows.next().map_err(ReadError::from)? {
            verified = follow(verified, row)?;
        }
        Ok(verified)
    }
}

fn follow(before: Verified, row: &Row<'_>) -> Result<Verified, VerifyError> {
    let position: Position = row.get(0).map_err(ReadError::from)?;
    let expected = before.head + 1;
    if position != expected {
        return Err(VerifyError::Gap { missing: expected });
    }
    let changed = VerifyError::Changed { position };
    // What cannot even be read is not what was stored.
    let Ok(tip) = tip_after(before.tip, row) else { return Err(changed) };
    let stored: [u8; 32] = row.get(10).map_err(ReadError::from)?;
    if tip.0 == stored { Ok(Verified { head: position, tip }) } else { Err(changed) }
}

fn tip_after(before: ChainHash, row: &Row<'_>) -> Result<ChainHash, ReadError> {
    let recorded = recorded(row)?;
    let command = ChainHash::of_command(text(row, 11)?, text(row, 12)?);
    Ok(Link { recorded: &recorded, schema: row.get(4)?, payload: text(row, 5)?, command: &command }.after(&before))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chrono::DateTime;
    use millrace_model::address_book::AddressIssued;
    use millrace_model::event::Event;
    use millrace_model::ids::{CommandId, StreamName};

    use super::*;
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
        let connection = Connection::open(&damaged).unwrap();
        for table in ["events", "commands"] {
            let allow = format!("DROP TRIGGER {table}_are_never_changed; DROP TRIGGER {table}_are_never_removed");
            connection.execute_batch(&allow).unwrap();
        }
        connection.execute_batch(damage).unwrap();
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
            assert!(matches!(found, Err(VerifyError::Changed { position: 3 })), "{damage}: {found:?}");
        }
        let cut = verified_after(&path, "DELETE FROM events WHERE position = 3");
        assert!(matches!(cut, Err(VerifyError::Gap { missing: 3 })), "{cut:?}");
    }
}
