//! A stream with what led to its events: the commands by name, and the events that caused them.

use millrace_model::event::Recorded;
use millrace_model::ids::{Position, StreamName, Version};
use millrace_model::operator::By;
use rusqlite::{Row, params};

use super::reader::{ReadError, Reader, recorded};
use super::sealed::Shelf;

/// One event and what led to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The event.
    pub recorded: Recorded,
    /// The name of the command that it came of, if the log has that command.
    pub command: Option<String>,
    /// Which operator gave it, if it says.
    pub by: Option<By>,
    /// The event that led to the command.
    pub cause: Option<Cause>,
}

/// An event that led to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Its place in the log.
    pub position: Position,
    /// Its stream's name, its place there and its kind, if the log has it.
    pub event: Option<(String, Version, String)>,
}

/// The place of the event that led to the command of this one, if one did.
///
/// What the streams of the desk and of subscriptions say was done by people and the clock. Their events were once stored with the
/// stream's event before in place of a cause; that led to nothing.
pub fn cause_of(recorded: &Recorded) -> Option<Position> {
    recorded.causation.filter(|_| !matches!(recorded.stream, StreamName::Desk | StreamName::Subscription(_)))
}

impl Reader {
    /// The events of a stream after a version, oldest first, at most `events_max`. Each that cannot be read is an error of
    /// its own, so that those before it can be shown.
    pub fn history(
        &self,
        stream: &StreamName,
        after: Version,
        events_max: usize,
    ) -> Result<Vec<Result<Entry, ReadError>>, ReadError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT e.position, s.name, e.version, e.kind, e.schema, e.payload, e.causation, e.correlation,
                    e.command_id, e.recorded_at, c.name, cs.name, ce.version, ce.kind, c.body
             FROM streams s JOIN events e ON e.stream = s.id LEFT JOIN commands c ON c.id = e.command_id
                  LEFT JOIN events ce ON ce.position = e.causation LEFT JOIN streams cs ON cs.id = ce.stream
             WHERE s.name = ?1 AND e.version > ?2 ORDER BY e.version LIMIT ?3",
        )?;
        let events_max = i64::try_from(events_max).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![stream.to_string(), after, events_max])?;
        let (mut entries, shelf) = (Vec::new(), Shelf::of(&connection));
        while let Some(row) = rows.next()? {
            entries.push(entry(row, &shelf));
        }
        drop(rows);
        drop((statement, shelf));
        drop(connection);
        self.check_still_alone()?;
        Ok(entries)
    }
}

fn entry(row: &Row<'_>, shelf: &Shelf<'_>) -> Result<Entry, ReadError> {
    let recorded = recorded(row, shelf)?;
    let cause = cause_of(&recorded).map(|position| Ok::<_, ReadError>(Cause { position, event: caused_by(row)? }));
    let command: Option<String> = row.get(10)?;
    // Who gave it is not known where its body cannot be read, and the event is shown all the same.
    let body = row.get::<_, Option<String>>(14)?.and_then(|body| shelf.body(recorded.position, body).ok());
    let by = command.as_deref().zip(body).and_then(|(command, body)| By::of(command, &body));
    Ok(Entry { command, by, cause: cause.transpose()?, recorded })
}

fn caused_by(row: &Row<'_>) -> Result<Option<(String, Version, String)>, ReadError> {
    let event: (Option<String>, Option<Version>, Option<String>) = (row.get(11)?, row.get(12)?, row.get(13)?);
    Ok(match event {
        (Some(stream), Some(version), Some(kind)) => Some((stream, version, kind)),
        (_, _, _) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use chrono::DateTime;
    use millrace_model::address_book::AddressIssued;
    use millrace_model::event::Event;
    use millrace_model::ids::CommandId;

    use super::super::poison::set_kind;
    use super::super::{Append, Expected, Log, OpenError, Write};
    use super::*;

    fn issue(log: &mut Log, index: u32) {
        let append = Append {
            command_id: CommandId::of_fact(&[&index.to_string()]),
            command: "Issue",
            body: "{}".to_owned(),
            causation: (index > 0).then_some(u64::from(index)),
            correlation: None,
            writes: vec![Write::new(
                StreamName::AddressBook,
                Expected::Exactly(index.into()),
                vec![Event::AddressBook(AddressIssued { index }.into())],
            )],
        };
        log.commit(vec![append], DateTime::UNIX_EPOCH).0.pop().unwrap().unwrap();
    }

    fn history(path: &Path, after: Version, events_max: usize) -> Vec<Result<Entry, ReadError>> {
        Reader::look_at(path).unwrap().history(&StreamName::AddressBook, after, events_max).unwrap()
    }

    fn versions(path: &Path, after: Version, events_max: usize) -> Vec<Version> {
        history(path, after, events_max).into_iter().map(|entry| entry.unwrap().recorded.version).collect()
    }

    /// Every file in a folder with what is in it, but for the index that readers share.
    fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
        let named = files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()));
        named.filter(|(name, _)| !name.ends_with("-shm")).collect()
    }

    #[test]
    fn an_event_comes_with_its_command_and_its_cause() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let mut log = Log::open(&path).unwrap();
        (0..3).for_each(|index| issue(&mut log, index));
        let [first, second] = &history(&path, 0, 2)[..] else { panic!("two of three") };
        let (first, second) = (first.as_ref().unwrap(), second.as_ref().unwrap());
        assert_eq!((first.command.as_deref(), &first.cause), (Some("Issue"), &None));
        let event = Some(("address_book".to_owned(), 1, "AddressIssued".to_owned()));
        assert_eq!(second.cause, Some(Cause { position: 1, event }));
        assert_eq!((versions(&path, 2, 10), versions(&path, 3, 10)), (vec![3], vec![]));
        assert_eq!(Reader::look_at(&path).unwrap().history(&StreamName::Desk, 0, 10).unwrap().len(), 0);
    }

    /// A running desk's log, a killed one's, a stopped one's and a copy are read alike, and none is changed by it.
    #[test]
    fn looking_at_a_log_changes_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let mut log = Log::open(&path).unwrap();
        (0..3).for_each(|index| issue(&mut log, index));
        let running = files(folder.path());
        assert!(!running["log.db-wal"].is_empty(), "what was stored is not in the log's file yet");
        assert_eq!((versions(&path, 0, 10), files(folder.path())), (vec![1, 2, 3], running));

        let killed = tempfile::tempdir().unwrap();
        for name in ["log.db", "log.db-wal"] {
            std::fs::copy(folder.path().join(name), killed.path().join(name)).unwrap();
        }
        let before = files(killed.path());
        assert_eq!((versions(&killed.path().join("log.db"), 0, 10), files(killed.path())), (vec![1, 2, 3], before));

        drop(log);
        let stopped = files(folder.path());
        assert_eq!(stopped.keys().collect::<Vec<_>>(), ["log.db"]);
        assert_eq!((versions(&path, 0, 10), files(folder.path())), (vec![1, 2, 3], stopped));
        assert!(!folder.path().join("log.db-shm").exists());
    }

    #[test]
    fn a_log_that_a_desk_takes_up_meanwhile_has_to_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        issue(&mut Log::open(&path).unwrap(), 0);
        let reader = Reader::look_at(&path).unwrap();
        assert_eq!(reader.history(&StreamName::AddressBook, 0, 10).unwrap().len(), 1);
        let mut log = Log::open(&path).unwrap();
        issue(&mut log, 1);
        assert!(matches!(reader.history(&StreamName::AddressBook, 0, 10), Err(ReadError::TakenUp(_))));
        assert_eq!(versions(&path, 0, 10), [1, 2]);
    }

    #[test]
    fn what_cannot_be_read_is_told_after_what_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let mut log = Log::open(&path).unwrap();
        (0..3).for_each(|index| issue(&mut log, index));
        drop(log);
        set_kind(&path, &StreamName::AddressBook, 2, "Beamed");
        let read = history(&path, 0, 10);
        assert!(matches!(&read[..], [Ok(_), Err(ReadError::Decode { position: 2, .. }), Ok(_)]), "{read:?}");
    }

    #[test]
    fn what_is_no_log_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("odd #1?.db");
        let refused = |path: &Path| Reader::look_at(path).map(drop).unwrap_err().to_string();
        let missing = refused(&path);
        assert!(
            missing.starts_with(&format!("{}: ", path.display())) && missing.contains("unable to open"),
            "{missing}"
        );
        std::fs::write(&path, "this is a text, and no database of any kind").unwrap();
        assert!(refused(&path).contains("not a database"), "{}", refused(&path));
        std::fs::write(&path, "").unwrap();
        assert!(refused(&path).ends_with("is no event log"), "{}", refused(&path));
        std::fs::remove_file(&path).unwrap();
        issue(&mut Log::open(&path).unwrap(), 0);
        assert_eq!(versions(&path, 0, 10), [1]);
        let newer = rusqlite::Connection::open(&path).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        drop(newer);
        assert!(matches!(Reader::look_at(&path), Err(OpenError::Newer { found: 99, .. })));
    }
}
