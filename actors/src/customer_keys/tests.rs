//! Sealing, opening and forgetting, on real files.

use std::fs;

use chrono::TimeZone;
use millrace_model::deposit::{self, HoldReason};
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

const PLACE: &str = "deposit/0199d6c1-3f0e-7aa2-9d51-7c1f0e6b2a44";

struct Desk {
    folder: TempDir,
    keys: CustomerKeys,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = CustomerKeys::at(folder.path().join(FILE));
        Self { folder, keys }
    }

    fn seal(&self, subject: &str, plain: &str) -> String {
        self.keys.seal(&of(subject), PLACE, plain).unwrap()
    }

    fn open(&self, text: &str) -> Opened {
        self.keys.reading().open(PLACE, text)
    }

    fn forget(&self, subject: &str) -> Forgot {
        self.keys.forget(&of(subject), day(1)).unwrap()
    }

    fn secrets(&self) -> Vec<(String, [u8; 32])> {
        let connection = Connection::open(self.keys.path()).unwrap();
        let mut select = connection.prepare("SELECT subject, secret FROM keys ORDER BY number").unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Whether any file of the folder holds these bytes.
    fn holds(&self, bytes: &[u8]) -> bool {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
        files.into_iter().any(|content| content.windows(bytes.len()).any(|window| window == bytes))
    }
}

fn of(subject: &str) -> Subject {
    subject.parse().unwrap()
}

fn day(day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, day, 12, 0, 0).unwrap()
}

fn text(plain: &str) -> Opened {
    Opened::Text(plain.to_owned())
}

#[test]
fn a_sealed_text_opens_where_it_was_sealed_and_nowhere_else() {
    let desk = Desk::new();
    let sealed = desk.seal("alice", "phone 1234");
    assert!(sealed.starts_with("sealed:1:") && !sealed.contains("1234"), "{sealed}");
    assert_eq!(desk.open(&sealed), text("phone 1234"));
    assert_ne!(desk.seal("alice", "phone 1234"), sealed, "nobody sees that the same was said twice");
    assert_eq!(desk.keys.reading().open("deposit/another", &sealed), Opened::Changed);
    assert_eq!(Desk::new().open(&sealed), Opened::Sealed);
    assert_eq!(Reading::without_keys().shown(PLACE, &sealed), "(sealed)");
}

#[test]
fn a_ciphertext_of_one_customer_is_refused_under_the_key_of_another() {
    let desk = Desk::new();
    let (alice, bob) = (desk.seal("alice", "hers"), desk.seal("bob", "his"));
    let (alice, bob) = (Sealed::parse(&alice).unwrap(), Sealed::parse(&bob).unwrap());
    let swapped = Sealed { key: bob.key, ..alice };
    assert_eq!(desk.open(&swapped.to_string()), Opened::Changed);
    // Nor does it help to give the key to somebody else.
    let connection = Connection::open(desk.keys.path()).unwrap();
    connection.execute("UPDATE keys SET subject = 'mallory' WHERE subject = 'bob'", []).unwrap();
    assert_eq!(desk.open(&bob.to_string()), Opened::Changed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_letter_is_noticed(at in any::<prop::sample::Index>(), letter in "[A-Za-z0-9_:-]") {
        let desk = Desk::new();
        let sealed = desk.seal("alice", "as it was");
        let at = at.index(sealed.len());
        let mut changed = sealed.clone();
        changed.replace_range(at..=at, &letter);
        let opened = desk.open(&changed);
        prop_assert_eq!(opened == text("as it was"), changed == sealed, "{}", changed);
    }

    #[test]
    fn what_was_never_sealed_stays_what_it_is(written in ".{0,60}", prefixed in "(sealed:1?:?)?[0-9a-f:]{0,40}") {
        let reading = Reading::without_keys();
        prop_assert_eq!(reading.open(PLACE, &written), Opened::Plain);
        prop_assert_eq!(reading.shown(PLACE, &prefixed), prefixed.as_str());
    }
}

#[test]
fn who_writes_the_prefix_himself_forges_nothing() {
    let desk = Desk::new();
    let told = desk.seal("alice", "the truth");
    for written in [told.as_str(), "sealed:1:", "sealed:1:0000000000000000:AAAA", "sealed:2:x:y"] {
        assert_eq!(desk.open(&desk.seal("alice", written)), text(written), "sealed like any other note, opened once");
    }
}

#[test]
fn a_key_is_on_the_disk_before_its_first_use() {
    let desk = Desk::new();
    let sealed = desk.seal("alice", "kept");
    // What a crash at this very moment leaves: the file as it lies there.
    let copy = Desk::new();
    fs::copy(desk.keys.path(), copy.keys.path()).unwrap();
    assert_eq!(copy.open(&sealed), text("kept"));
    let files: Vec<_> = fs::read_dir(desk.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, [FILE], "no journal is waited for");
}

#[test]
fn nothing_is_sealed_when_the_key_cannot_be_kept() {
    let desk = Desk::new();
    desk.seal("alice", "kept");
    let full = "CREATE TRIGGER full BEFORE INSERT ON keys BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    Connection::open(desk.keys.path()).unwrap().execute_batch(full).unwrap();
    let error = desk.keys.seal(&of("bob"), PLACE, "lost").unwrap_err().to_string();
    assert!(error.ends_with("keys.db: the disk is full"), "{error}");
    assert_eq!(desk.open(&desk.seal("alice", "also kept")), text("also kept"), "who has a key needs no other");
}

#[test]
fn who_is_forgotten_stays_so_and_gets_another_key_when_he_comes_back() {
    let desk = Desk::new();
    assert_eq!(desk.forget("alice"), Forgot::NoFile, "there is no file yet, and none is made");
    assert!(!desk.keys.path().exists());
    let (before, bobs) = (desk.seal("alice", "before"), desk.seal("bob", "his"));
    assert_eq!((desk.forget("alice"), desk.forget("alice")), (Forgot::Now(day(1)), Forgot::Before(day(1))));
    assert_eq!(desk.open(&before), Opened::Forgotten(day(1)));
    assert_eq!(desk.keys.reading().shown(PLACE, &before), "(forgotten on 2026-03-01)");
    assert_eq!((desk.open(&bobs), desk.forget("carol")), (text("his"), Forgot::Nothing));

    let after = desk.seal("alice", "after");
    assert_eq!((desk.open(&after), desk.open(&before)), (text("after"), Opened::Forgotten(day(1))));
    assert_eq!(desk.keys.forget(&of("alice"), day(9)).unwrap(), Forgot::Now(day(9)));
    assert_eq!((desk.open(&after), desk.open(&before)), (Opened::Forgotten(day(9)), Opened::Forgotten(day(1))));
    assert_eq!(desk.forget("alice"), Forgot::Before(day(9)));
}

#[test]
fn a_destroyed_key_is_nowhere_in_the_file_however_many_there_are() {
    let desk = Desk::new();
    let mut file = KeyFile::open_or_create(desk.keys.path()).unwrap();
    // More than a page holds.
    (0..90).for_each(|number| drop(file.key_of(&format!("customer-{number}")).unwrap()));
    drop(file);
    let secrets = desk.secrets();
    assert!(secrets.iter().all(|(_, secret)| desk.holds(secret)), "this is how a key is searched for");
    let (gone, kept): (Vec<_>, Vec<_>) = secrets.into_iter().enumerate().partition(|(number, _)| number % 3 == 1);
    for (_, (subject, secret)) in &gone {
        assert_eq!(desk.forget(subject), Forgot::Now(day(1)));
        assert!(!desk.holds(secret), "{subject}");
    }
    assert!(gone.iter().all(|(_, (_, secret))| !desk.holds(secret)));
    assert!(kept.iter().all(|(_, (_, secret))| desk.holds(secret)));
}

#[test]
fn many_may_begin_at_once_and_a_customer_has_one_key() {
    let desk = Desk::new();
    let texts = std::thread::scope(|scope| {
        let sealing = || desk.seal("alice", "hers");
        let begun: Vec<_> = (0..8).map(|_| scope.spawn(sealing)).collect();
        begun.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(desk.secrets().len(), 1);
    assert!(texts.iter().all(|sealed| desk.open(sealed) == text("hers")));
}

#[test]
fn keys_are_for_nobody_elses_eyes() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.seal("alice", "hers");
    assert_eq!(fs::metadata(desk.keys.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_is_something_else_is_told_and_left_alone() {
    let desk = Desk::new();
    let refused = |desk: &Desk| {
        let content = fs::read(desk.keys.path()).unwrap();
        let error = desk.keys.seal(&of("alice"), PLACE, "lost").unwrap_err().to_string();
        assert_eq!(desk.keys.check().unwrap_err().to_string(), error);
        assert_eq!(fs::read(desk.keys.path()).unwrap(), content);
        error
    };
    fs::write(desk.keys.path(), "this is a diary, and no database at all".repeat(40)).unwrap();
    assert!(refused(&desk).ends_with("keys.db: file is not a database"), "{}", refused(&desk));
    fs::remove_file(desk.keys.path()).unwrap();
    Connection::open(desk.keys.path()).unwrap().execute_batch("CREATE TABLE diary (day)").unwrap();
    assert!(refused(&desk).ends_with("keys.db holds no customers' keys"));
    fs::remove_file(desk.keys.path()).unwrap();
    desk.seal("alice", "hers");
    Connection::open(desk.keys.path()).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    assert!(refused(&desk).contains("has form 2, this version knows 1"));
}

#[test]
fn a_damaged_file_is_found_and_opens_nothing_wrong() {
    let desk = Desk::new();
    let sealed = desk.seal("alice", "hers");
    assert!(desk.keys.check().unwrap());
    let mut content = fs::read(desk.keys.path()).unwrap();
    // Everything after the header's page.
    content[4_096..].fill(0x5a);
    fs::write(desk.keys.path(), content).unwrap();
    assert!(desk.keys.check().is_err());
    assert_eq!(desk.open(&sealed), Opened::Sealed);
}

#[test]
fn an_empty_file_is_begun_anew() {
    let desk = Desk::new();
    fs::write(desk.keys.path(), "").unwrap();
    assert!(!desk.keys.check().unwrap());
    let sealed = desk.seal("alice", "hers");
    assert_eq!(desk.open(&sealed), text("hers"));
}

#[test]
fn commands_and_events_are_shown_with_their_notes_opened() {
    let desk = Desk::new();
    let stream = StreamName::Deposit(PLACE["deposit/".len()..].parse().unwrap());
    let hold = |note: String| deposit::Command::Hold { reason: HoldReason::Operator { note } };
    let body = |command: &deposit::Command| serde_json::to_string(command).unwrap();
    let sealed = body(&hold(desk.seal("alice", "she said \"no\"")));
    assert_eq!(desk.keys.reading().body(&stream, sealed.clone()), body(&hold("she said \"no\"".to_owned())));
    assert_eq!(desk.keys.reading().body(&StreamName::Desk, sealed.clone()), sealed);
    assert_eq!(desk.keys.reading().body(&stream, "{}".to_owned()), "{}");
}

#[test]
fn a_subject_is_an_address_or_a_deposit() {
    let id = &PLACE["deposit/".len()..];
    assert_eq!((of(id).to_string(), of("2Gcustomer").to_string()), (PLACE.to_owned(), "2Gcustomer".to_owned()));
    for wrong in ["", "two words", "line\n", &"x".repeat(129)] {
        assert_eq!(wrong.parse::<Subject>(), Err(NoSubject), "{wrong:?}");
    }
    let long = "x".repeat(PLAIN_BYTES_MAX + 1);
    assert!(matches!(Desk::new().keys.seal(&of("alice"), PLACE, &long), Err(KeysError::TooLong)));
    let desk = Desk::new();
    assert_eq!(desk.open(&desk.seal("alice", &long[1..])), text(&long[1..]));
}
