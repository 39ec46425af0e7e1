//! What is committed is read back, as it stands, by the next process.

use millrace_protocols::delivery::scheduler::EndpointNo;

use super::*;

const NOW: u64 = 1_700_000_000_000;
const DAY_MS: u64 = 24 * 3_600_000;
const LIMITS: Limits = Limits { kept: Duration::from_millis(DAY_MS), bytes_max: 1 << 30 };

fn change(through: Position, open: Vec<(Position, Open)>, retries: &[(Position, Option<Pending>)]) -> Change {
    Change {
        endpoint: EndpointNo(0),
        dispatched_through: through,
        open,
        retries: retries.iter().copied().collect(),
        standing: Standing::Running,
        closed_until_ms: NOW,
        arrivals: 8,
    }
}

fn row(endpoint: Uuid, position: Position, status: u16, started_ms: u64) -> Row {
    let outcome = Outcome::Answered { status, retry_after_ms: None, directive: None };
    let (answer, error) = (vec![b'x'; 10_000], Some("é".repeat(1_000)));
    let (notification, attempt) = (Some(Uuid::from_u128(9)), 1);
    let (took_us, fate, next_ms) = (5, None, None);
    Row { endpoint, position, notification, attempt, started_ms, took_us, outcome, fate, answer, error, next_ms }
}

fn committed(writer: &Writer, changes: Vec<(Uuid, Change)>, rows: Vec<Row>, now_ms: u64) {
    let place = |(endpoint, change)| Place { endpoint, applied: 3, change };
    let changes = changes.into_iter().map(place).collect();
    writer.commit(Batch { changes, rows }, now_ms).blocking_recv().expect("it is committed");
}

#[test]
fn a_cursor_comes_back_with_all_that_is_owed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attempts.db");
    let (one, key) = (Uuid::from_u128(1), OrderKey::new(u64::MAX));
    let open = vec![(3, Open { tries: Tries { attempts: 2, failures: 1, arrivals: 5 }, key })];
    let pending = Pending { not_before_ms: NOW, tries: Tries { attempts: 1, failures: 1, arrivals: 6 }, key };
    let (writer, stored) = Writer::start(&path, NOW, LIMITS).unwrap();
    assert!(stored.is_empty());
    committed(&writer, vec![(one, change(9, open.clone(), &[(2, Some(pending)), (4, Some(pending))]))], vec![], NOW);
    let disabled = Change { standing: Standing::Disabled(Reason::Gone), ..change(10, open.clone(), &[(4, None)]) };
    committed(&writer, vec![(one, disabled)], vec![], NOW);
    drop(writer);
    let (_writer, stored) = Writer::start(&path, NOW, LIMITS).unwrap();
    let Stored { cursor, disabled, closed_until_ms, applied } = &stored[&one];
    assert_eq!((cursor.dispatched_through(), *disabled, *closed_until_ms), (10, Some(Reason::Gone), NOW));
    assert_eq!((cursor.arrivals(), *applied), (8, Some(3)));
    assert_eq!(cursor.open().iter().map(|(position, open)| (*position, *open)).collect::<Vec<_>>(), open);
    assert_eq!(cursor.retries().iter().collect::<Vec<_>>(), [(&2, &pending)]);
}

#[test]
fn attempts_are_read_back_cut_to_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attempts.db");
    let one = Uuid::from_u128(1);
    let (writer, _) = Writer::start(&path, NOW, LIMITS).unwrap();
    committed(&writer, vec![], vec![row(one, 7, 500, NOW), row(one, 7, 204, NOW), row(one, 8, 500, NOW)], NOW);
    let reader = Reader::open(&path).unwrap();
    let attempts = reader.attempts(one, 7, 7).unwrap();
    let classes: Vec<_> = attempts.iter().map(|attempt| (attempt.class.as_str(), attempt.status)).collect();
    assert_eq!(classes, [("status", Some(500)), ("delivered", Some(204))]);
    assert_eq!(attempts[0].answer.as_ref().map(Vec::len), Some(ANSWER_BYTES_MAX));
    assert_eq!(attempts[0].error.as_ref().map(String::len), Some(ERROR_BYTES_MAX));
    assert_eq!(reader.undelivered(one, 0, 100).unwrap(), [8]);
    assert_eq!(reader.undelivered(Uuid::nil(), 0, 100).unwrap(), [0; 0]);
}

#[test]
fn attempts_at_everybody_of_one_notification_are_the_newest_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attempts.db");
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let (writer, _) = Writer::start(&path, NOW, LIMITS).unwrap();
    let rows = vec![row(one, 7, 500, NOW), row(other, 7, 204, NOW), row(one, 8, 500, NOW), row(one, 7, 204, NOW)];
    committed(&writer, vec![], rows, NOW);
    let reader = Reader::open(&path).unwrap();
    let of = |positions: &[Position], rows_max| {
        let tried = reader.of_notifications(positions, rows_max).unwrap();
        let shown = |(endpoint, attempt): (Uuid, Attempt)| (endpoint, attempt.status);
        tried
            .into_iter()
            .map(|tried| (tried.position, tried.attempts.into_iter().map(shown).collect::<Vec<_>>(), tried.older))
            .collect::<Vec<_>>()
    };
    let of_7 = vec![(one, Some(204)), (other, Some(204)), (one, Some(500))];
    assert_eq!(of(&[7, 9], (9, 9)), [(7, of_7.clone(), 0), (9, vec![], 0)]);
    assert_eq!(of(&[8, 7], (2, 9)), [(8, vec![(one, Some(500))], 0), (7, of_7[..2].to_vec(), 1)]);
    assert_eq!(of(&[7, 8], (9, 3)), [(7, of_7, 0), (8, vec![], 1)]);
    let is_tried = |endpoint, position| reader.is_tried(endpoint, position).unwrap();
    assert!(is_tried(one, 7) && is_tried(other, 7) && is_tried(one, 8));
    assert!(!is_tried(other, 8) && !is_tried(one, 9) && !is_tried(Uuid::from_u128(9), 7));
}

/// One among millions is found by the index: nothing is looked through.
#[test]
fn attempts_of_one_notification_are_found_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open(&folder.path().join("attempts.db")).unwrap();
    for sql in [reader::OF_NOTIFICATION, reader::COUNT_OF_NOTIFICATION, reader::IS_TRIED] {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let values = rusqlite::params_from_iter(0..plan.parameter_count());
        let steps = plan.query_map(values, |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<_> = steps.map(Result::unwrap).collect();
        let by_index = "SEARCH attempts USING COVERING INDEX attempts_of (position=?";
        let begins = |with: &str| steps.iter().any(|step| step.starts_with(with));
        assert!(begins(by_index) && !begins("SCAN"), "{steps:?}");
    }
}

#[test]
fn what_was_given_up_is_found_until_it_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attempts.db");
    let one = Uuid::from_u128(1);
    let (writer, _) = Writer::start(&path, NOW, LIMITS).unwrap();
    let given_up = |position| Row { fate: Some(Fate::GivenUp), ..row(one, position, 400, NOW) };
    committed(&writer, vec![], vec![row(one, 6, 204, NOW), given_up(7), given_up(8)], NOW);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.given_up(one).unwrap(), [7, 8]);
    assert_eq!(reader.attempts(one, 7, 7).unwrap()[0].fate.as_deref(), Some("given_up"));
    committed(&writer, vec![], vec![row(one, 7, 204, NOW)], NOW);
    assert_eq!(reader.given_up(one).unwrap(), [8]);
}

#[test]
fn what_does_not_speak_http_has_its_words_and_no_status() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attempts.db");
    let one = Uuid::from_u128(1);
    let (writer, _) = Writer::start(&path, NOW, LIMITS).unwrap();
    let for_now = Refusal::ForNow { retry_at_ms: None };
    let refused = [for_now, Refusal::Message, Refusal::Receiver].map(Outcome::Refused);
    let rows = (1..).zip(refused.into_iter().chain([Outcome::Accepted]));
    let rows = rows.map(|(position, outcome)| Row { outcome, ..row(one, position, 0, NOW) }).collect();
    committed(&writer, vec![], rows, NOW);
    let reader = Reader::open(&path).unwrap();
    let attempts = reader.attempts(one, 1, 4).unwrap();
    let classes: Vec<_> = attempts.iter().map(|attempt| (attempt.class.as_str(), attempt.status)).collect();
    assert_eq!(classes, [("refused", None), ("rejected", None), ("gone", None), ("delivered", None)]);
    assert_eq!(reader.undelivered(one, 0, 100).unwrap(), [1, 2, 3]);
}

#[test]
fn old_attempts_go_and_young_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attempts.db");
    let one = Uuid::from_u128(1);
    let (writer, _) = Writer::start(&path, NOW, LIMITS).unwrap();
    let rows = vec![row(one, 1, 204, NOW), row(one, 2, 204, NOW + DAY_MS)];
    committed(&writer, vec![], rows, NOW + DAY_MS + 1);
    // The next commit is answered after what the last one left to do.
    committed(&writer, vec![], vec![], NOW + DAY_MS + 1);
    let left = Reader::open(&path).unwrap().attempts(one, 0, 100).unwrap();
    assert_eq!(left.iter().map(|attempt| attempt.position).collect::<Vec<_>>(), [2]);
}

#[test]
fn what_was_answered_is_kept_of_refusals_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attempts.db");
    let one = Uuid::from_u128(1);
    let (writer, _) = Writer::start(&path, NOW, LIMITS).unwrap();
    committed(&writer, vec![], vec![row(one, 7, 204, NOW), row(one, 8, 500, NOW)], NOW);
    let kept = Reader::open(&path).unwrap().attempts(one, 7, 8).unwrap();
    assert_eq!(kept.iter().map(|attempt| attempt.answer.is_some()).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn the_oldest_attempts_go_when_the_file_is_full_and_cursors_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attempts.db");
    let (one, bytes_max) = (Uuid::from_u128(1), 4 << 20);
    let (writer, _) = Writer::start(&path, NOW, Limits { bytes_max, ..LIMITS }).unwrap();
    committed(&writer, vec![(one, change(9, vec![], &[]))], vec![], NOW);
    for number in 0..40 {
        let rows = (0..100).map(|row_of| row(one, number * 100 + row_of, 500, NOW)).collect();
        committed(&writer, vec![], rows, NOW);
    }
    committed(&writer, vec![], vec![], NOW);
    let left = Reader::open(&path).unwrap().attempts(one, 0, 100_000).unwrap();
    assert!(left.first().is_some_and(|oldest| oldest.position > 1_000), "the oldest are gone");
    assert!(Reader::open(&path).unwrap().attempts(one, 3_999, 3_999).unwrap().len() == 1, "the newest is there");
    drop(writer);
    let (_writer, stored) = Writer::start(&path, NOW, LIMITS).unwrap();
    assert_eq!(stored[&one].cursor.dispatched_through(), 9);
    let checked = Connection::open(&path).unwrap();
    checked.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 2 * bytes_max);
}

#[test]
fn while_the_file_takes_nothing_that_is_said_and_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attempts.db");
    let (writer, _) = Writer::start(&path, NOW, LIMITS).unwrap();
    let trouble = writer.trouble();
    let somebody = Connection::open(&path).unwrap();
    somebody.execute_batch("BEGIN IMMEDIATE").unwrap();
    let rows = vec![row(Uuid::from_u128(1), 1, 204, NOW)];
    let answer = writer.commit(Batch { changes: vec![], rows }, NOW);
    while trouble.borrow().is_none() {
        std::thread::yield_now();
    }
    assert!(trouble.borrow().as_ref().is_some_and(|why| why.contains("attempts.db")));
    somebody.execute_batch("ROLLBACK").unwrap();
    answer.blocking_recv().expect("it is committed");
    assert_eq!(*trouble.borrow(), None);
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attempts.db");
    drop(open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Writer::start(&path, NOW, LIMITS), Err(OpenError::Newer(_))));
}
