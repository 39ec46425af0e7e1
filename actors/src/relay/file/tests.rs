//! The file alone: what a batch leaves behind, what a repetition is, and what is forgotten.

use tempfile::TempDir;

use super::*;

const MINUTE_MS: u64 = 60_000;
const CUSTOMER: Hash32 = Hash32([7; 32]);
const OTHER: Hash32 = Hash32([8; 32]);

fn memory() -> Memory {
    Memory { window: Duration::from_secs(3_600), kept: Duration::from_secs(86_400), bytes_max: BYTES_MAX }
}

fn place() -> Place {
    Place { reader: "ton.events".to_owned(), topic: "notifications-1".to_owned() }
}

fn relayed(customer: Hash32, key: &str) -> Relayed {
    Relayed { key: key.to_owned(), customer, body: format!("body of {key}") }
}

fn open(folder: &TempDir, memory: Memory) -> File {
    let mut file = File::open(&folder.path().join("relay.db"), memory).unwrap();
    file.begin(&place(), &BTreeMap::from([(0, 0)])).unwrap();
    file
}

fn wanted() -> HashSet<Hash32> {
    HashSet::from([CUSTOMER])
}

/// Takes these keys of the customer's from where the file is.
fn take(file: &mut File, keys: &[&str], now_ms: u64) -> Result<Taken, FileError> {
    let from = file.offsets(&place()).unwrap()[&0];
    let messages: Vec<_> = (from..).zip(keys.iter().map(|key| relayed(CUSTOMER, key))).collect();
    let batch = Batch { partition: 0, from, next: from + keys.len() as i64, messages };
    file.take(&place(), &batch, &wanted(), now_ms)
}

fn count(file: &File, table: &str) -> u64 {
    file.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn a_key_is_a_repetition_until_it_was_not_seen_for_as_long_as_the_window() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(&folder, memory());
    let taken = take(&mut file, &["a", "b", "a"], MINUTE_MS).unwrap();
    assert_eq!(taken, Taken { accepted: 2, repeated: 1, undeliverable: 0 });
    for (minute, accepted) in [(60, 0), (119, 0), (178, 0), (238, 1), (239, 0)] {
        let taken = take(&mut file, &["a"], minute * MINUTE_MS).unwrap();
        assert_eq!((taken.accepted, taken.repeated), (accepted, 1 - accepted), "minute {minute}");
    }
}

#[test]
fn a_clock_that_was_set_back_shortens_no_window() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(&folder, memory());
    take(&mut file, &["a"], 200 * MINUTE_MS).unwrap();
    assert_eq!(take(&mut file, &["a"], 10 * MINUTE_MS).unwrap().repeated, 1);
    assert_eq!(take(&mut file, &["a"], 259 * MINUTE_MS).unwrap().repeated, 1);
}

#[test]
fn what_a_clock_that_was_wrong_saw_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(&folder, memory());
    let year_2100_ms = 4_102_444_800_000;
    take(&mut file, &["a"], year_2100_ms).unwrap();
    assert_eq!(take(&mut file, &["a"], MINUTE_MS).unwrap().accepted, 1);
    assert_eq!(take(&mut file, &["a"], 2 * MINUTE_MS).unwrap().repeated, 1);
    assert_eq!(count(&file, "messages"), 1);
}

#[test]
fn the_same_key_of_somebody_else_is_another_message() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(&folder, memory());
    let messages = vec![(0, relayed(CUSTOMER, "a")), (1, relayed(OTHER, "a"))];
    let batch = Batch { partition: 0, from: 0, next: 2, messages };
    let taken = file.take(&place(), &batch, &HashSet::from([CUSTOMER, OTHER]), 1).unwrap();
    assert_eq!(taken.accepted, 2);
}

#[test]
fn what_nobody_subscribed_to_is_not_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(&folder, memory());
    let batch = |from| Batch { partition: 0, from, next: from + 1, messages: vec![(from, relayed(OTHER, "a"))] };
    let taken = file.take(&place(), &batch(0), &wanted(), 1).unwrap();
    assert_eq!((taken, count(&file, "keys"), count(&file, "messages")), (Taken { undeliverable: 1, ..taken }, 0, 0));
    let taken = file.take(&place(), &batch(1), &HashSet::from([OTHER]), 2).unwrap();
    assert_eq!(taken.accepted, 1, "from then on he is told");
}

#[test]
fn what_was_committed_is_there_after_a_crash_and_is_not_taken_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(&folder, memory());
    take(&mut file, &["a", "b"], MINUTE_MS).unwrap();
    // Nothing is closed in order.
    std::mem::forget(file);
    let mut file = open(&folder, memory());
    assert_eq!((file.offsets(&place()).unwrap()[&0], *file.head().borrow()), (2, 2));
    let again = Batch { partition: 0, from: 0, next: 1, messages: vec![(0, relayed(CUSTOMER, "c"))] };
    let refused = file.take(&place(), &again, &wanted(), MINUTE_MS);
    assert!(matches!(refused, Err(FileError::Moved { partition: 0 })), "{refused:?}");
    assert_eq!((take(&mut file, &["a"], 2 * MINUTE_MS).unwrap().repeated, count(&file, "messages")), (1, 2));
}

#[test]
fn positions_are_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(&folder, memory());
    take(&mut file, &["a", "b"], 1).unwrap();
    take(&mut file, &["c"], 2 * 86_400_000).unwrap();
    assert_eq!(count(&file, "messages"), 1, "the old ones are deleted, and so are their keys");
    assert_eq!(count(&file, "keys"), 1);
    take(&mut file, &[], 4 * 86_400_000).unwrap();
    assert_eq!(count(&file, "messages"), 0);
    drop(file);
    let mut file = open(&folder, memory());
    assert_eq!(*file.head().borrow(), 3);
    take(&mut file, &["d"], 5 * 86_400_000).unwrap();
    assert_eq!(*file.head().borrow(), 4);
}

#[test]
fn when_there_is_too_much_nothing_is_taken_until_some_is_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(&folder, Memory { bytes_max: 2 * (ROWS_BYTES + 10), ..memory() });
    take(&mut file, &["a", "b"], 1).unwrap();
    assert!(matches!(take(&mut file, &["c"], 2), Err(FileError::Full)));
    assert_eq!(file.offsets(&place()).unwrap()[&0], 2, "it is read again");
    assert_eq!(take(&mut file, &["c"], 2 + 86_400_000).unwrap().accepted, 1);
}

#[test]
fn a_subscription_begins_where_the_file_was_when_it_was_first_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(&folder, memory());
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    assert_eq!(file.beginnings(&[one]).unwrap(), BTreeMap::from([(one, 0)]));
    take(&mut file, &["a", "b"], 1).unwrap();
    let begun = BTreeMap::from([(one, 0), (two, 2)]);
    assert_eq!(file.beginnings(&[one, two]).unwrap(), begun);
    drop(file);
    let mut file = open(&folder, memory());
    assert_eq!(file.beginnings(&[one, two]).unwrap(), begun);
    assert_eq!(file.beginnings(&[two]).unwrap(), BTreeMap::from([(two, 2)]));
    assert_eq!(file.beginnings(&[one]).unwrap(), BTreeMap::from([(one, 2)]), "others were forgotten");
}

#[test]
fn readers_of_other_names_have_their_own_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(&folder, memory());
    take(&mut file, &["a"], 1).unwrap();
    let other = Place { reader: "other".to_owned(), ..place() };
    assert!(file.offsets(&other).unwrap().is_empty());
    file.begin(&other, &BTreeMap::from([(0, 9)])).unwrap();
    file.begin(&other, &BTreeMap::from([(0, 4), (1, 5)])).unwrap();
    assert_eq!(file.offsets(&other).unwrap(), BTreeMap::from([(0, 9), (1, 5)]));
    assert_eq!(file.offsets(&place()).unwrap()[&0], 1);
}

#[test]
fn what_is_passed_over_is_passed_over_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(&folder, memory());
    file.skip(&place(), 0, (0, 1)).unwrap();
    assert!(matches!(file.skip(&place(), 0, (0, 1)), Err(FileError::Moved { partition: 0 })));
    assert_eq!(file.offsets(&place()).unwrap()[&0], 1);
}

#[test]
fn more_than_is_deleted_at_once_is_deleted_with_the_next_batches() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(&folder, memory());
    let keys: Vec<String> = (0..2 * PRUNED_AT_ONCE + 1).map(|number| number.to_string()).collect();
    take(&mut file, &keys.iter().map(String::as_str).collect::<Vec<_>>(), 1).unwrap();
    for left in [PRUNED_AT_ONCE + 1, 1, 0] {
        take(&mut file, &[], 2 * 86_400_000).unwrap();
        assert_eq!((count(&file, "messages"), count(&file, "keys")), (left as u64, left as u64));
    }
    assert_eq!((file.bytes, bytes(&file.connection).unwrap()), (0, 0));
}

#[test]
fn an_id_is_that_of_its_record_alone() {
    let at = |offset, key| id(&place(), (0, offset), &relayed(CUSTOMER, key));
    assert_eq!(at(1, "a"), at(1, "a"));
    assert!(at(1, "a") != at(2, "a") && at(1, "a") != at(1, "b"), "another record, or another topic of this name");
}
