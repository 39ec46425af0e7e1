//! The log's file with bytes changed and cut off: what is read is what was stored, or the damage is named.
//!
//! The chain of hashes cannot know of events missing at the end; everything before the end it must.

use std::path::Path;
use std::sync::LazyLock;

use chrono::DateTime;
use millrace_actors::event_store::{Append, Expected, Log, Reader, Verified, Write};
use millrace_model::address_book::AddressIssued;
use millrace_model::deposit::{BlockRef, Detected, Mined};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{Category, CommandId, DepositId, Hash32, Outpoint, StreamName};
use rusqlite::Connection;
use uuid::Uuid;

/// So that most bytes of the file mean something.
const PAGE_BYTES: u32 = 512;
/// What the deposit's stream stands for.
const KEY: &str = "key";

/// A log without damage.
struct Whole {
    bytes: Vec<u8>,
    verified: Verified,
    events: Vec<Recorded>,
}

static WHOLE: LazyLock<Whole> = LazyLock::new(whole);

/// The input is how many bytes are cut off (two bytes), then changes of four bytes each: where (three bytes, the lowest
/// first) and with what the byte there is combined by exclusive or.
pub fn run(input: &[u8]) {
    let Some((cut, changes)) = input.split_first_chunk::<2>() else { return };
    let mut bytes = WHOLE.bytes.clone();
    bytes.truncate(bytes.len().saturating_sub(usize::from(u16::from_le_bytes(*cut))));
    if bytes.is_empty() {
        return;
    }
    for change in changes.chunks_exact(4) {
        let place = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize % bytes.len();
        bytes[place] ^= change[3];
    }
    let folder = folder();
    let path = folder.path().join("log.db");
    std::fs::write(&path, &bytes).expect("the folder can be written to");
    reads(&path);
    writes(&path);
}

/// A folder in memory, where there is one: thousands of files a second.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("there is a folder for temporary files")
}

fn reads(path: &Path) {
    let reader = match Reader::open(path) {
        Ok(reader) => reader,
        Err(error) => return says_something(&error),
    };
    match reader.verify() {
        Ok(verified) => is_what_was_stored(&reader, verified),
        Err(error) => says_something(&error),
    }
    let _ = reader.head();
    let _ = reader.stream(&deposit(), 0);
    let _ = reader.open_streams(Category::Deposit);
    let _ = reader.stream_names(Category::Deposit);
    let _ = reader.stream_of_key(KEY);
    let _ = reader.payouts_signed(0, i64::MAX as u64);
    let _ = reader.outcome(CommandId::of_fact(&["0"]));
    let _ = reader.snapshot(&StreamName::AddressBook);
}

fn is_what_was_stored(reader: &Reader, verified: Verified) {
    let whole = &WHOLE;
    assert!(verified.head <= whole.verified.head, "events that nobody stored: {verified:?}");
    if verified.head == whole.verified.head {
        assert_eq!(verified, whole.verified);
    }
    // Through other pages than the verification reads, so this may fail where that did not.
    let Ok(events) = reader.after(0, whole.events.len() + 1) else { return };
    assert_eq!(events, whole.events[..events.len()], "what was read is not what was stored");
}

fn writes(path: &Path) {
    let mut log = match Log::open(path) {
        Ok(log) => log,
        Err(error) => return says_something(&error),
    };
    let other = StreamName::Deposit(DepositId(Uuid::from_u128(2)));
    let mut write = Write::new(other, Expected::Exactly(0), vec![detected(2)]);
    write.key = Some(KEY.to_owned());
    let (outcomes, _) = log.commit(vec![append(99, write)], DateTime::UNIX_EPOCH);
    for refused in outcomes.into_iter().filter_map(Result::err) {
        says_something(&refused);
    }
}

/// SQLite quotes what it cannot read, lines and all; it is the log of lines that makes one of it.
fn says_something(error: &dyn std::error::Error) {
    assert!(!error.to_string().trim().is_empty(), "an error without words");
}

fn deposit() -> StreamName {
    StreamName::Deposit(DepositId(Uuid::from_u128(1)))
}

fn detected(number: u8) -> Event {
    let detected = Detected {
        id: DepositId(Uuid::from_u128(u128::from(number))),
        outpoint: Outpoint { txid: Hash32([number; 32]), index: 0 },
        address: "bcrt1q".to_owned(),
        amount: "0.5".parse().expect("an amount"),
        customer: None,
        spends: vec![],
        coinbase: false,
    };
    Event::Deposit(detected.into())
}

fn append(number: u32, write: Write) -> Append {
    Append {
        command_id: CommandId::of_fact(&[&number.to_string()]),
        command: "Fuzz",
        body: "{}".to_owned(),
        causation: (number > 0).then_some(1),
        correlation: (number > 0).then(|| Uuid::from_u128(7)),
        writes: vec![write],
    }
}

fn whole() -> Whole {
    let folder = folder();
    let path = folder.path().join("log.db");
    let mut log = Log::open(&path).expect("a new log opens");
    let mut write = Write::new(deposit(), Expected::Exactly(0), vec![detected(1)]);
    write.key = Some(KEY.to_owned());
    let mined = Mined { block: BlockRef { height: 7, hash: Hash32([7; 32]) } };
    let mut book = Write::new(StreamName::AddressBook, Expected::Exactly(0), vec![]);
    book.events = (0..3).map(|index| Event::AddressBook(AddressIssued { index }.into())).collect();
    book.snapshot = Some("{}".to_owned());
    let then = Write::new(deposit(), Expected::Exactly(1), vec![Event::Deposit(mined.into())]);
    for (number, write) in (0..).zip([write, book, then]) {
        let (outcomes, _) = log.commit(vec![append(number, write)], DateTime::UNIX_EPOCH);
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }
    drop(log);
    let small = format!("PRAGMA journal_mode = DELETE; PRAGMA page_size = {PAGE_BYTES}; VACUUM;");
    Connection::open(&path).and_then(|log| log.execute_batch(&small)).expect("a log can be packed");
    let reader = Reader::open(&path).expect("a log opens");
    let (verified, events) = (reader.verify().expect("it is whole"), reader.after(0, 100).expect("it is read"));
    Whole { bytes: std::fs::read(&path).expect("its file is read"), verified, events }
}
