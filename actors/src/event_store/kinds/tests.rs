//! What a log notes of its kinds, and what follows from it.

use chrono::DateTime;
use millrace_model::address_book::AddressIssued;
use millrace_model::desk::{Setting, Switch, SwitchSet};
use millrace_model::ids::{CommandId, StreamName};
use tempfile::TempDir;

use super::super::poison::{damage, mend_hashes};
use super::super::{Append, AppendError, Expected, Log, OpenError, Reader, Write};
use super::*;

/// Stores three events: two of one kind and one of another between them.
fn folder_with_log() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let mut log = Log::open(&path).unwrap();
    let issue = |index: u32| Write::new(StreamName::AddressBook, Expected::Exactly(index.into()), vec![issued(index)]);
    for write in [issue(0), switched(0), issue(1)] {
        append(&mut log, write).unwrap();
    }
    (folder, path)
}

fn issued(index: u32) -> Event {
    Event::AddressBook(AddressIssued { index }.into())
}

fn switched(version: u64) -> Write {
    let set = SwitchSet { switch: Switch::Binds, setting: Setting::Off, note: "a test".to_owned() };
    Write::new(StreamName::Desk, Expected::Exactly(version), vec![Event::Desk(set.into())])
}

fn append(log: &mut Log, write: Write) -> Result<(), AppendError> {
    let command_id = CommandId::of_fact(&[&format!("{write:?}")]);
    let body = "{}".to_owned();
    let append = Append { command_id, command: "Test", body, causation: None, correlation: None, writes: vec![write] };
    log.commit(vec![append], DateTime::UNIX_EPOCH).0.pop().unwrap().map(drop)
}

fn noted(path: &std::path::Path) -> Vec<(Shape, Position)> {
    all(&Connection::open(path).unwrap()).unwrap().into_iter().collect()
}

fn shape(kind: &str, schema: u32) -> Shape {
    (kind.to_owned(), schema)
}

#[test]
fn each_kind_is_noted_once_with_its_first_position() {
    let (_folder, path) = folder_with_log();
    let expected = vec![(shape("AddressIssued", 1), 1), (shape("SwitchSet", 1), 2)];
    assert_eq!(noted(&path), expected);
    let mut log = Log::open(&path).unwrap();
    append(&mut log, switched(1)).unwrap();
    assert_eq!(noted(&path), expected);
}

#[test]
fn what_a_commit_noted_that_failed_is_noted_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let mut log = Log::open(&path).unwrap();
    let beside = Connection::open(&path).unwrap();
    let broken = "CREATE TRIGGER broken BEFORE INSERT ON commands BEGIN SELECT RAISE(ABORT, 'broken'); END";
    beside.execute_batch(broken).unwrap();
    assert!(matches!(append(&mut log, switched(0)), Err(AppendError::Unavailable(_))));
    assert_eq!(noted(&path), []);
    beside.execute_batch("DROP TRIGGER broken").unwrap();
    append(&mut log, switched(0)).unwrap();
    assert_eq!(noted(&path), [(shape("SwitchSet", 1), 1)]);
}

/// O8: a log in which a newer version stored a kind, or a schema, of its own is refused until that version runs again.
#[test]
fn a_log_with_a_newer_versions_event_is_refused() {
    for (change, kind, schema) in [("kind = 'Beamed'", "Beamed", 1), ("schema = 9", "SwitchSet", 9)] {
        let (_folder, path) = folder_with_log();
        damage(&path, &format!("UPDATE events SET {change} WHERE position = 2"));
        damage(&path, &format!("INSERT INTO kinds VALUES ('{kind}', {schema}, 2)"));
        mend_hashes(&path);
        let refused = Log::open(&path).unwrap_err();
        let event = NewerEvent { kind: kind.to_owned(), schema, position: 2 };
        assert!(matches!(&refused, OpenError::NewerEvent { event: found, .. } if *found == event), "{refused}");
        assert!(OpenError::tells_of_newer(&refused.to_string()), "{refused}");
        let told = format!("the event at position 2 is {kind} of schema {schema}");
        assert_eq!(OpenError::unknown_in(&refused.to_string()), Some(told.as_str()));
        assert!(Reader::look_at(&path).unwrap().refuse_newer().is_err());
        damage(&path, "UPDATE events SET kind = 'SwitchSet', schema = 1 WHERE position = 2");
        damage(&path, "DELETE FROM kinds WHERE kind = 'Beamed' OR schema = 9");
        mend_hashes(&path);
        append(&mut Log::open(&path).unwrap(), switched(1)).unwrap();
    }
}

/// O7: neither a kind that no desk noted nor a note of what is not there is a newer version's.
#[test]
fn damage_is_no_newer_version() {
    for change in [
        "UPDATE events SET kind = 'Beamed' WHERE position = 2",
        "INSERT INTO kinds VALUES ('Beamed', 1, 2)",
        "INSERT INTO kinds VALUES ('Beamed', 1, 99)",
    ] {
        let (_folder, path) = folder_with_log();
        damage(&path, change);
        let opened = Log::open(&path);
        assert!(opened.is_ok(), "{change}: {opened:?}");
    }
}

/// An event that is kept elsewhere may be what is noted of it.
#[test]
fn what_is_not_to_be_found_is_believed() {
    let (_folder, path) = folder_with_log();
    damage(&path, "DELETE FROM events WHERE position = 2; INSERT INTO kinds VALUES ('Beamed', 1, 2)");
    assert!(matches!(Log::open(&path), Err(OpenError::NewerEvent { .. })));
}

/// O7: a log from before kinds were noted was written by no newer version, whatever is in it.
#[test]
fn of_an_older_log_only_what_is_known_is_noted() {
    let (_folder, path) = folder_with_log();
    damage(&path, "UPDATE events SET kind = 'Beamed' WHERE position = 2");
    Connection::open(&path)
        .unwrap()
        .execute_batch("DROP TABLE kinds; DROP TABLE segments; PRAGMA user_version = 2")
        .unwrap();
    drop(Log::open(&path).unwrap());
    assert_eq!(noted(&path), [(shape("AddressIssued", 1), 1)]);
    drop(Log::open(&path).unwrap());
}
