//! A log that is sealed as it grows old.

use chrono::{DateTime, TimeDelta};
use millrace_model::address_book::AddressIssued;
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, StreamName};

use super::*;
use crate::clock::ManualClock;
use crate::event_store::{self, Append, Expected, Write};
use crate::supervision::Registry;

/// How many events a segment has.
const SEGMENT: u32 = 512;
const AFTER: Duration = Duration::from_hours(1);
const WITHIN: Duration = Duration::from_secs(3_600);

/// Issues so many addresses.
async fn grow(store: &Store, events: u32) {
    let first = u32::try_from(store.head()).unwrap();
    let append = Append {
        command_id: CommandId::of_fact(&[&first.to_string()]),
        command: "Test",
        body: "{}".to_owned(),
        causation: None,
        correlation: None,
        writes: vec![Write::new(
            StreamName::AddressBook,
            Expected::Exactly(first.into()),
            (first..first + events).map(|index| Event::AddressBook(AddressIssued { index }.into())).collect(),
        )],
    };
    store.append(append).await.unwrap();
}

async fn until_sealed(store: &Store, until: u32) {
    let sealed = async {
        while store.reader().unwrap().sealed_until().unwrap() < until.into() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(WITHIN, sealed).await.expect("it is sealed");
}

#[tokio::test(start_paused = true)]
async fn a_part_of_the_log_is_sealed_once_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let tree = Tree::new(Registry::new(clock.clone()), 7);
    let execution = Execution::Inline;
    let settings = event_store::Settings { path: folder.path().join("log.db"), execution, clock: clock.clone() };
    let store = Store::start(&tree, settings).unwrap();
    store.ready().await;
    start(&tree, store.clone(), Settings { clock: clock.clone(), after: AFTER, execution: Execution::Thread }).unwrap();
    grow(&store, SEGMENT).await;
    clock.advance(TimeDelta::minutes(30));
    grow(&store, 2 * SEGMENT).await;
    tokio::time::sleep(3 * LOOK_EVERY).await;
    assert_eq!(store.reader().unwrap().sealed_until().unwrap(), 0, "nothing is an hour old");
    clock.advance(TimeDelta::minutes(31));
    until_sealed(&store, SEGMENT).await;
    tokio::time::sleep(3 * LOOK_EVERY).await;
    assert_eq!(store.reader().unwrap().sealed_until().unwrap(), u64::from(SEGMENT), "the second is half an hour old");
    clock.advance(TimeDelta::minutes(30));
    until_sealed(&store, 2 * SEGMENT).await;
    assert_eq!(store.reader().unwrap().verify().unwrap().head, u64::from(3 * SEGMENT));
    tree.shutdown(Duration::from_secs(5)).await;
}
