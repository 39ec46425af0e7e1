//! Tests of the event store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeZone, Utc};
use millrace_model::address_book::AddressIssued;
use millrace_model::desk::{Setting, Switch, SwitchSet};
use millrace_model::event::Event;
use millrace_model::ids::{Category, CommandId, DepositId, StreamName};
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::supervision::{PartHealth, Registry, Tree};

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Utc.with_ymd_and_hms(2030, 1, 1, 0, 0, 0).unwrap()))
}

fn folder() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    (folder, path)
}

fn issued(index: u32) -> Event {
    Event::AddressBook(AddressIssued { index }.into())
}

fn set(note: &str) -> Event {
    let set = SwitchSet { switch: Switch::Binds, setting: Setting::Off, note: note.to_owned() };
    Event::Desk(set.into())
}

fn command(id: u8, writes: Vec<Write>) -> Append {
    let command_id = CommandId([id; 16]);
    Append { command_id, command: "Test", body: "{}".to_owned(), causation: None, correlation: None, writes }
}

fn write(stream: StreamName, version: u64, events: Vec<Event>) -> Write {
    Write::new(stream, Expected::Exactly(version), events)
}

fn commit(log: &mut Log, group: Vec<Append>) -> Vec<Result<Committed, AppendError>> {
    log.commit(group, clock().now()).0
}

#[test]
fn a_group_is_stored_in_order_and_comes_back_the_same() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    let (outcomes, batch) = log.commit(
        vec![
            command(1, vec![write(StreamName::AddressBook, 0, vec![issued(0), issued(1)])]),
            command(
                2,
                vec![write(StreamName::Desk, 0, vec![set("a")]), write(StreamName::AddressBook, 2, vec![issued(2)])],
            ),
        ],
        clock().now(),
    );
    assert_eq!(outcomes[0], Ok(Committed { first: 1, last: 2, origin: Origin::New }));
    assert_eq!(outcomes[1], Ok(Committed { first: 3, last: 4, origin: Origin::New }));
    let read = Reader::open(&path).unwrap().after(0, 100).unwrap();
    assert_eq!(&read[..], &batch.unwrap()[..]);
    assert_eq!(read.iter().map(|recorded| recorded.version).collect::<Vec<_>>(), [1, 2, 1, 3]);
}

#[test]
fn an_append_over_several_streams_is_all_or_nothing() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    let conflict = command(
        1,
        vec![write(StreamName::Desk, 0, vec![set("a")]), write(StreamName::AddressBook, 7, vec![issued(0)])],
    );
    let fine = command(2, vec![write(StreamName::Desk, 0, vec![set("b")])]);
    let outcomes = commit(&mut log, vec![conflict, fine]);
    assert!(matches!(outcomes[0], Err(AppendError::Conflict { expected: 7, actual: 0, .. })));
    assert!(outcomes[1].is_ok());
    assert_eq!(Reader::open(&path).unwrap().after(0, 10).unwrap().len(), 1);
}

#[test]
fn a_log_whose_end_could_not_be_read_takes_nothing_until_it_can_be() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    let append =
        |number: u8| vec![command(number, vec![write(StreamName::Desk, u64::from(number) - 1, vec![set("a")])])];
    assert!(commit(&mut log, append(1))[0].is_ok());
    let meddler = Connection::open(&path).unwrap();
    meddler.execute_batch("ALTER TABLE events RENAME TO away").unwrap();
    assert!(matches!(commit(&mut log, append(2))[0], Err(AppendError::Unavailable(_))));
    assert_eq!(log.head(), 1);
    meddler.execute_batch("ALTER TABLE away RENAME TO events").unwrap();
    assert_eq!(commit(&mut log, append(2))[0], Ok(Committed { first: 2, last: 2, origin: Origin::New }));
    assert!(Reader::open(&path).unwrap().verify().is_ok());
}

/// P2: a command that comes twice has the first one's outcome.
#[test]
fn a_repeated_command_answers_its_first_committed_outcome() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    let once = command(1, vec![write(StreamName::Desk, 0, vec![set("a")])]);
    let first = commit(&mut log, vec![once.clone()]).remove(0).unwrap();
    let again = commit(&mut log, vec![once.clone(), once.clone()]);
    for outcome in again {
        assert_eq!(outcome, Ok(Committed { origin: Origin::Repeated, ..first }));
    }
    drop(log);
    let outcome = commit(&mut Log::open(&path).unwrap(), vec![once]).remove(0);
    assert_eq!(outcome, Ok(Committed { origin: Origin::Repeated, ..first }));
}

#[test]
fn a_rejected_command_stores_nothing_and_is_decided_afresh() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    let early = command(1, vec![write(StreamName::Desk, 1, vec![set("second")])]);
    assert!(commit(&mut log, vec![early.clone()]).remove(0).is_err());
    commit(&mut log, vec![command(2, vec![write(StreamName::Desk, 0, vec![set("first")])])]).remove(0).unwrap();
    assert_eq!(commit(&mut log, vec![early]).remove(0).map(|done| done.origin), Ok(Origin::New));
}

/// P2: the owner before writes nothing any more.
#[test]
fn only_the_newest_owner_of_a_stream_may_write() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    let old = log.own(&StreamName::AddressBook).unwrap();
    let owned = |epoch, id| {
        command(id, vec![Write::new(StreamName::AddressBook, Expected::Owner(epoch), vec![issued(u32::from(id))])])
    };
    assert!(commit(&mut log, vec![owned(old.epoch, 1)])[0].is_ok());
    let new = log.own(&StreamName::AddressBook).unwrap();
    assert_eq!(new.version, 1);
    let outcomes = commit(&mut log, vec![owned(old.epoch, 2), owned(new.epoch, 3)]);
    assert!(matches!(outcomes[0], Err(AppendError::Fenced { .. })));
    assert!(outcomes[1].is_ok());
}

/// D1: the log refuses a second deposit for an output, whoever reports it.
#[test]
fn two_streams_never_stand_for_the_same_thing() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    let keyed = |id: u8| {
        let stream = StreamName::Binding(format!("address-{id}").into());
        let customer = millrace_model::deposit::Customer {
            target: "t".into(),
            bound_method: millrace_model::deposit::Method::Direct,
        };
        let bound = millrace_model::binding::Bound { address: format!("address-{id}"), index: 0, customer };
        let write = Write { key: Some("the same".into()), ..write(stream, 0, vec![Event::Binding(bound.into())]) };
        command(id, vec![write])
    };
    let outcomes = commit(&mut log, vec![keyed(1), keyed(2)]);
    assert!(outcomes[0].is_ok());
    let taken = AppendError::KeyTaken { key: "the same".into(), stream: StreamName::Binding("address-1".into()) };
    assert_eq!(outcomes[1], Err(taken));
}

#[test]
fn a_payload_over_the_limit_is_refused_and_changes_nothing() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    let large = set(&"x".repeat(17_000));
    let outcome = commit(&mut log, vec![command(1, vec![write(StreamName::Desk, 0, vec![large])])]).remove(0);
    assert!(matches!(outcome, Err(AppendError::TooLarge { kind, .. }) if kind == "SwitchSet"));
    assert_eq!(log.head(), 0);
}

#[test]
fn open_streams_are_those_not_finished() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    let stream = |n: u128| StreamName::Deposit(DepositId(Uuid::from_u128(n)));
    let vanish = || Event::Deposit(millrace_model::deposit::Vanished { replaced_by: None }.into());
    let finished = |n| Write { progress: Progress::Finished, ..write(stream(n), 0, vec![vanish()]) };
    commit(&mut log, vec![command(1, vec![finished(1)]), command(2, vec![write(stream(2), 0, vec![vanish()])])]);
    let reader = Reader::open(&path).unwrap();
    let open = |reader: &Reader| {
        let (_, events) = reader.open_streams(Category::Deposit).unwrap();
        events.into_iter().map(|recorded| recorded.stream).collect::<Vec<_>>()
    };
    assert_eq!(open(&reader), [stream(2)]);
    commit(&mut log, vec![command(3, vec![write(stream(1), 1, vec![vanish()])])]);
    assert_eq!(open(&reader), [stream(1), stream(1), stream(2)], "an event reopens a finished stream");
}

#[test]
fn events_cannot_be_changed_or_removed() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    commit(&mut log, vec![command(1, vec![write(StreamName::Desk, 0, vec![set("a")])])]);
    let vandal = Connection::open(&path).unwrap();
    assert!(vandal.execute("UPDATE events SET payload = '{}'", []).is_err());
    assert!(vandal.execute("DELETE FROM events", []).is_err());
    assert!(vandal.execute("DELETE FROM commands", []).is_err());
}

/// A log as the first version wrote it, with one command.
fn log_of_the_first_version(path: &Path) {
    let first = include_str!("../../../migrations/sqlite/log/0001_log.sql");
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(first).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection.execute("INSERT INTO commands VALUES (?1, 7, 9, 'Test', '{}')", [[1; 16]]).unwrap();
}

/// O8: an older log is copied, migrated and knows its commands.
#[test]
fn an_older_log_is_copied_and_migrated_and_knows_its_commands() {
    let (folder, path) = folder();
    log_of_the_first_version(&path);
    let copies = ["log.before-3.partial", "log.before-3.db"].map(|name| folder.path().join(name));
    std::fs::write(&copies[0], "of a start that was interrupted").unwrap();
    let mut log = Log::open(&path).unwrap();
    let repeated = commit(&mut log, vec![command(1, vec![write(StreamName::AddressBook, 0, vec![issued(0)])])]);
    assert_eq!(repeated, [Ok(Committed { first: 7, last: 9, origin: Origin::Repeated })]);
    let of_command = |verb| Connection::open(&path).unwrap().execute(verb, []).unwrap_err().to_string();
    assert!(of_command("UPDATE commands SET name = 'Other'").contains("never changed"));
    assert!(of_command("DELETE FROM commands").contains("never removed"));
    assert!(!copies[0].exists());
    let copy = Connection::open(&copies[1]).unwrap();
    assert_eq!(copy.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)), Ok(1));
}

/// O8: a newer log is refused.
#[test]
fn a_log_of_a_newer_version_is_refused() {
    let (_folder, path) = folder();
    drop(Log::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Log::open(&path), Err(OpenError::Newer { found: 99, .. })));
}

#[test]
fn a_snapshot_comes_back_unless_it_was_tampered_with() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    let with_snapshot = Write { snapshot: Some("state".into()), ..write(StreamName::AddressBook, 0, vec![issued(0)]) };
    commit(&mut log, vec![command(1, vec![with_snapshot])]);
    let reader = Reader::open(&path).unwrap();
    let expected = Snapshot { version: 1, state: "state".into() };
    assert_eq!(reader.snapshot(&StreamName::AddressBook).unwrap(), Some(expected));
    Connection::open(&path).unwrap().execute("UPDATE snapshots SET state = 'other'", []).unwrap();
    assert_eq!(reader.snapshot(&StreamName::AddressBook).unwrap(), None);
}

#[test]
fn a_backup_taken_while_the_log_is_in_use_opens_as_a_log() {
    let (folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    commit(&mut log, vec![command(1, vec![write(StreamName::Desk, 0, vec![set("a")])])]);
    let copy = folder.path().join("copy.db");
    Reader::open(&path).unwrap().back_up(&copy).unwrap();
    assert_eq!(Log::open(&copy).unwrap().head(), 1);
}

/// O3: a commit that fails acknowledges nothing, and the log goes on.
#[test]
fn a_commit_that_fails_fails_all_and_the_log_goes_on_where_it_was() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    commit(&mut log, vec![command(1, vec![write(StreamName::Desk, 0, vec![set("a")])])]);
    let blocker = Blocker::new(&path);
    let outcomes = commit(&mut log, vec![command(2, vec![write(StreamName::Desk, 1, vec![set("b")])])]);
    assert!(matches!(outcomes[0], Err(AppendError::Unavailable(_))));
    drop(blocker);
    let outcome = commit(&mut log, vec![command(2, vec![write(StreamName::Desk, 1, vec![set("b")])])]).remove(0);
    assert_eq!(outcome, Ok(Committed { first: 2, last: 2, origin: Origin::New }));
}

/// Makes every commit fail while it lives: no event fits any more.
struct Blocker(Connection);

impl Blocker {
    fn new(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        let refuse = "CREATE TRIGGER no_room BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'disk full'); END";
        connection.execute_batch(refuse).unwrap();
        Self(connection)
    }
}

impl Drop for Blocker {
    fn drop(&mut self) {
        self.0.execute_batch("DROP TRIGGER no_room").unwrap();
    }
}

#[test]
fn the_feed_answers_from_memory_and_knows_when_it_cannot() {
    let (_folder, path) = folder();
    let mut log = Log::open(&path).unwrap();
    let feed = Feed::new(0);
    let bell = feed.bell();
    for id in 0..3u8 {
        let (_, batch) = log.commit(
            vec![command(id, vec![write(StreamName::AddressBook, u64::from(id), vec![issued(u32::from(id))])])],
            clock().now(),
        );
        feed.publish(batch.unwrap());
    }
    let positions = |page: Page| page.events().map(|recorded| recorded.position).collect::<Vec<_>>();
    assert_eq!(positions(feed.after(0, 100).unwrap()), [1, 2, 3]);
    assert_eq!(positions(feed.after(1, 1).unwrap()), [2]);
    assert_eq!(feed.after(3, 100).unwrap().last(), None);
    assert_eq!(bell.head(), 3);
    feed.reset(3);
    assert!(feed.after(1, 100).is_none(), "what is not in memory is read from the database");
    assert!(feed.after(3, 100).is_some());
}

/// O3: that nothing can be written is a condition of the part, which ends by itself once something can, though nobody asks.
#[tokio::test]
async fn a_log_that_cannot_be_written_says_so_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let clock: Arc<dyn Clock> = clock();
    let tree = Tree::new(Registry::new(Arc::clone(&clock)), 7);
    let store = Store::start(&tree, Settings { path: path.clone(), execution: Execution::Thread, clock }).unwrap();
    store.ready().await;
    let mut health = tree.health().subscribe();
    let mut told = async |wanted: bool| {
        let told = |parts: &[PartHealth]| {
            let part = parts.iter().find(|part| part.name == Store::PART).unwrap();
            part.conditions.iter().find(|condition| condition.kind == "disk").map(|condition| condition.text.clone())
        };
        let found = health.wait_for(|parts| told(parts).is_some() == wanted);
        told(&tokio::time::timeout(Duration::from_secs(60), found).await.expect("it is so").unwrap())
    };
    // Unlike the blocker it stops whoever only tries as well.
    let rename = |from, to| {
        Connection::open(&path).unwrap().execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}")).unwrap();
    };
    rename("streams", "elsewhere");
    let append = || command(1, vec![write(StreamName::Desk, 0, vec![set("a")])]);
    assert!(matches!(store.append(append()).await, Err(AppendError::Unavailable(_))));
    let said = told(true).await.unwrap();
    assert!(said.starts_with("nothing is promised or sent while the log cannot be written: no such table"), "{said}");
    rename("elsewhere", "streams");
    told(false).await;
    assert_eq!(store.append(append()).await.unwrap().last, 1, "what was tried in between has left nothing in the log");
}
