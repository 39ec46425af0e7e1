//! Logs that are whole, and ones that are not: with the real projection's views, and a head file.

use std::fs;

use chrono::DateTime;
use millrace_model::address_book::AddressIssued;
use millrace_model::binding::Bound;
use millrace_model::deposit::{Command, Customer, DecisionTerms, HoldReason, Method, PayoutTerms, SignedPayout, Terms};
use millrace_model::desk::{Coins, Place, TransferDeclared, TransferKind};
use millrace_model::ids::CommandId;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::event_store::poison::{damage, mend_hashes};
use crate::event_store::{Append, Expected, Log, Progress, Reader, Write};
use crate::projection::Views as LiveViews;
use crate::sender::tests::rig::Rig;

/// A desk that has stopped: its log, its views, its head file.
struct Stopped {
    folder: TempDir,
}

impl Stopped {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A copy of it in a folder of its own.
    fn copy(&self) -> Self {
        let copy = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["log.db", "views.db", "head"] {
            fs::copy(self.path(name), copy.path(name)).unwrap();
        }
        copy
    }

    /// The same, and something is done to the copy's log.
    fn damaged(&self, how: &str) -> Self {
        let copy = self.copy();
        damage(&copy.path("log.db"), how);
        copy
    }

    /// The same as if it had been stored like this.
    fn stored_as(&self, how: &str) -> Self {
        let copy = self.damaged(how);
        mend_hashes(&copy.path("log.db"));
        fs::remove_file(copy.path("head")).unwrap();
        copy
    }

    fn subject(&self) -> Subject {
        Subject { log: self.path("log.db"), views: Ok(self.path("views.db")), head_file: Ok(self.path("head")) }
    }

    fn prove(&self) -> Report {
        prove(&self.subject(), &mut |_, _| {}).unwrap()
    }

    /// What is found, as text.
    fn found(&self) -> Vec<String> {
        self.prove().findings.iter().map(ToString::to_string).collect()
    }
}

fn decide() -> Command {
    let payout = PayoutTerms { decimals: 3, maximum: "1000".parse().unwrap() };
    let (minimum, maximum) = ("0.1".parse().unwrap(), "10".parse().unwrap());
    Command::Decide(DecisionTerms { terms: Terms::Direct { rate: "3".parse().unwrap() }, minimum, maximum, payout })
}

fn sign() -> Command {
    let [txid, inner_hash] = [5, 6].map(|byte| Hash32([byte; 32]));
    Command::RecordSigned(SignedPayout { txid, inner_hash, inputs: vec![Hash32([4; 32])], bytes: "00".into() })
}

async fn append(rig: &Rig, command: &'static str, writes: Vec<Write>) {
    let command_id = CommandId::of_fact(&[command, &rig.deposits.store().head().to_string()]);
    let append =
        Append { command_id, command, body: "{\"asked\":1}".into(), causation: None, correlation: None, writes };
    rig.deposits.store().append(append).await.unwrap();
}

/// An address is given out, a deposit is paid out (positions 3 to 10), one is held (11 to 15), one paid back (16 to
/// 21), and coins are declared.
async fn live(rig: &Rig) {
    let customer = Customer { target: "target".into(), bound_method: Method::Direct };
    let bound = Bound { address: "bcrt1q".into(), index: 0, customer };
    let stream = StreamName::Binding("bcrt1q".into());
    let bound = Write {
        label: Some("target".to_owned()),
        progress: Progress::Finished,
        ..Write::new(stream, Expected::Exactly(0), vec![Event::Binding(bound.into())])
    };
    let issued = vec![Event::AddressBook(AddressIssued { index: 0 }.into())];
    append(rig, "Bind", vec![Write::new(StreamName::AddressBook, Expected::Exactly(0), issued), bound]).await;
    let paid = rig.received(9, vec![]).await;
    for command in [decide(), sign(), Command::RecordSent, Command::RecordConfirmed { block_seq: 5, confirmations: 1 }]
    {
        rig.deposits.execute(paid, &command).await.unwrap();
    }
    let held = rig.received(10, vec![]).await;
    let hold = Command::Hold { reason: HoldReason::Operator { note: "look".into() } };
    for command in [decide(), hold.clone()] {
        rig.deposits.execute(held, &command).await.unwrap();
    }
    let paid_back = rig.received(11, vec![]).await;
    let note = || "by mistake".to_owned();
    let refunded = Command::MarkRefunded { txid: Hash32([8; 32]), note: note() };
    for command in [hold, Command::MarkRefundDue { note: note() }, refunded] {
        rig.deposits.execute(paid_back, &command).await.unwrap();
    }
    let coins = Coins::Sky("100".parse().unwrap());
    let (kind, place) = (TransferKind::Opening, Place::HotWallet);
    let declared = TransferDeclared { kind, place, coins, note: String::new() };
    let declared = vec![Event::Desk(declared.into())];
    append(rig, "Declare", vec![Write::new(StreamName::Desk, Expected::Exactly(0), declared)]).await;
}

/// How many events that is.
const EVENTS: u64 = 22;

async fn stopped() -> Stopped {
    let (rig, stopped) = (Rig::new().await, Stopped { folder: tempfile::tempdir().unwrap() });
    live(&rig).await;
    let live_views = rig.folder().join("views.db");
    let views = LiveViews::new(&live_views);
    projection::start(&rig.tree, rig.deposits.store().clone(), views.clone()).unwrap();
    let head = rig.deposits.store().head();
    assert_eq!(head, EVENTS);
    views.caught_up(head, std::time::Duration::from_secs(60)).await;
    assert_eq!(views.position(), head);
    let reader = rig.deposits.store().reader().unwrap();
    reader.back_up(&stopped.path("log.db")).unwrap();
    let copied = Connection::open(&live_views).unwrap();
    copied.execute("VACUUM INTO ?1", [stopped.path("views.db").to_str().unwrap()]).unwrap();
    let [log, hash] = [1, head].map(|position| reader.hash_at(position).unwrap());
    let known = Head { log, position: head, hash: hash.unwrap(), next_index: 100 };
    head_file::place(&stopped.path("head"), &known);
    // As a desk leaves it.
    drop(Log::open(&stopped.path("log.db")).unwrap());
    stopped
}

/// O4: nothing is found where nothing is wrong.
#[tokio::test]
async fn a_whole_log_is_well_and_nothing_is_left_beside_it() {
    let desk = stopped().await;
    let files = || fs::read_dir(desk.folder.path()).unwrap().count();
    let before = files();
    let report = desk.prove();
    assert_eq!(report.findings, []);
    assert_eq!((report.events, report.position, report.deposits), (EVENTS, EVENTS, 3));
    assert_eq!((report.views, report.head_file), (Compared::UpTo(EVENTS), Compared::UpTo(EVENTS)));
    assert_eq!(files(), before);
    assert_eq!(Reader::open(&desk.path("log.db")).unwrap().hash_at(EVENTS).unwrap(), Some(report.hash));
}

/// O4: a changed byte is found with its event, wherever it is.
#[tokio::test]
async fn a_changed_byte_is_found_with_its_event_wherever_it_is() {
    let desk = stopped().await;
    let deposit = "deposit/00000000-0000-0000-0000-000000000009";
    for (how, first) in [
        ("UPDATE events SET payload = replace(payload, '\"3.000', '\"4.000') WHERE position = 6", "StatusWaitSend"),
        ("UPDATE events SET hash = zeroblob(32) WHERE position = 6", "StatusWaitSend"),
        ("UPDATE events SET version = 13 WHERE position = 6", "StatusWaitSend"),
        ("UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 6", "StatusWaitSend"),
        ("UPDATE commands SET body = replace(body, 'Direct', 'direkt') WHERE first_position = 6", "StatusWaitSend"),
        ("UPDATE commands SET body = body || ' ' WHERE first_position = 6", "StatusWaitSend"),
        ("UPDATE commands SET name = 'Guess' WHERE first_position = 6", "StatusWaitSend"),
        ("UPDATE events SET kind = 'Sent' WHERE position = 6", "Sent"),
        ("UPDATE events SET causation = 2 WHERE position = 6", "StatusWaitSend"),
    ] {
        let found = desk.damaged(how).found();
        let first_found = found.first().unwrap_or_else(|| panic!("nothing is found: {how}"));
        let version = if how.contains("version") { 13 } else { 4 };
        let expected = format!("position 6, {deposit} version {version}, {first}: it is not what was stored");
        assert!(first_found.starts_with(&expected), "{how}: {found:?}");
    }
}

/// O4: what is missing is found, at the end by the head file.
#[tokio::test]
async fn a_log_that_was_cut_is_found_out() {
    let desk = stopped().await;
    let found = desk.damaged("DELETE FROM events WHERE position IN (5, 6)").found();
    assert_eq!(found[0], "position 5: it is missing, and so is everything up to 6");
    let cut = desk.damaged("DELETE FROM events WHERE position > 14").found();
    let problem = "it ends at 14, and the head file knows of 22: what came after is missing";
    assert!(cut.contains(&format!("the log's end: {problem}")), "{cut:?}");
    assert!(cut.contains(&"views: they show the log up to position 22, and it ends at 14".to_owned()), "{cut:?}");
}

/// By these a version knows whether it can read a log.
#[tokio::test]
async fn what_is_noted_of_kinds_is_held_against_the_events() {
    let desk = stopped().await;
    for (how, expected) in [
        (
            "DELETE FROM kinds WHERE kind = 'Bound'",
            "Bound of schema 1: noted as nowhere, and by the events it is first at position 2",
        ),
        (
            "UPDATE kinds SET first_position = 4 WHERE kind = 'Bound'",
            "Bound of schema 1: noted as first at position 4, and by the events it is first at position 2",
        ),
        (
            "INSERT INTO kinds VALUES ('Beamed', 1, 3)",
            "Beamed of schema 1: noted as first at position 3, and by the events it is nowhere",
        ),
    ] {
        assert_eq!(desk.damaged(how).found(), [expected], "{how}");
    }
    let found = desk.damaged("UPDATE events SET kind = 'Beamed' WHERE position = 2").found();
    assert!(found.iter().all(|finding| !finding.contains("noted as")), "{found:?}");
}

/// A log whose hashes all fit, as a fault of the desk itself would leave it.
#[tokio::test]
async fn what_is_stored_whole_and_makes_no_sense_is_found() {
    let desk = stopped().await;
    for (how, expected) in [
        ("UPDATE events SET version = 17 WHERE position = 9", "version 7 of its stream is due"),
        ("UPDATE events SET kind = 'Beamed' WHERE position = 6", "this version cannot read it: event kind \"Beamed\""),
        ("UPDATE events SET kind = 'Beamed' WHERE position = 1", "this version cannot read it: event kind \"Beamed\""),
        ("UPDATE events SET kind = 'PayoutReorged', payload = '{}' WHERE position = 9", "an impossible step"),
        (
            "UPDATE events SET payload = replace(payload, '\"3.000000\"', '\"2.000000\"') WHERE position = 6",
            "an impossible step: its amounts do not follow",
        ),
        (
            "UPDATE events SET payload = replace(payload, '\"1.0', '\"0.9') WHERE position = 20",
            "RefundMarked: it ends, and by the ledger customer in BTC is still -0.10000000",
        ),
        ("UPDATE commands SET last_position = 5 WHERE first_position = 6", "the events of its command are said to be"),
        (
            "UPDATE events SET payload = replace(payload, '000000000009', '000000000008') WHERE position = 3",
            "it detects deposit 00000000-0000-0000-0000-000000000008",
        ),
        (
            "UPDATE events SET payload = replace(payload, 'bcrt1q', 'bcrt1r') WHERE position = 2",
            "it belongs to binding",
        ),
    ] {
        let found = desk.stored_as(how).found();
        assert!(found.first().is_some_and(|first| first.contains(expected)), "{how}: {found:?}");
    }
}

/// By these the desk finds what to look at when it starts, and whether it has seen an output before.
#[tokio::test]
async fn what_is_kept_beside_the_events_has_to_follow_from_them() {
    let desk = stopped().await;
    let (paid, held) = ("deposit/00000000-0000-0000-0000-000000000009", "deposit/00000000-0000-0000-0000-00000000000a");
    for (how, expected) in [
        (format!("UPDATE streams SET open = 0 WHERE name = '{held}'"), "open is 0, and by the events it is 1"),
        (format!("UPDATE streams SET open = 1 WHERE name = '{paid}'"), "open is 1, and by the events it is 0"),
        (format!("UPDATE streams SET key = 'btc:other' WHERE name = '{paid}'"), "key is btc:other"),
        ("UPDATE streams SET category = 3 WHERE name = 'desk'".to_owned(), "desk: category is 3"),
        ("UPDATE streams SET label = NULL".to_owned(), "binding/bcrt1q: label is none, and by the events it is target"),
        ("INSERT INTO streams VALUES (99, 'wallet/sky', 5, NULL, NULL, 1)".to_owned(), "its newest version is none"),
        (snapshot("{\"index\":7}", 1), "address_book: the stored state is not what was stored"),
    ] {
        let found = desk.damaged(&how).found();
        assert!(found.len() == 1 && found[0].contains(expected), "{how}: {found:?}");
    }
}

/// A stored state of the first stream, with a hash that does not fit.
fn snapshot(state: &str, version: u64) -> String {
    format!("INSERT INTO snapshots VALUES (1, {version}, '{state}', zeroblob(32))")
}

fn change_views(desk: &Stopped, change: &str) {
    let changed = Connection::open(desk.path("views.db")).unwrap().execute(change, []).unwrap();
    assert_eq!(changed, 1, "{change}");
}

/// O4: a row of the views that the log does not bear out is found.
#[tokio::test]
async fn a_changed_row_of_the_views_is_found() {
    let desk = stopped().await;
    for (change, expected) in [
        ("UPDATE deposits SET body = replace(body, 'paid', 'maid') WHERE seq = 3", "deposits 3: outcome is \"maid\""),
        ("UPDATE deposits SET body = replace(body, 'held', 'sold') WHERE seq = 11", "deposits 11: "),
        ("UPDATE deposits SET status = 'held' WHERE seq = 3", "deposits 3: column status is held"),
        ("DELETE FROM deposits WHERE seq = 3", "deposits 3: the row is nothing, and by the log it is a deposit"),
        (
            "INSERT INTO deposits SELECT 5, 'x', target, address, status, body FROM deposits WHERE seq = 3",
            "deposits 5: the row is x, and by the log it is nothing",
        ),
        ("UPDATE bindings SET target = 'thief'", "bindings 2: target is \"thief\", and by the log it is \"target\""),
        ("DELETE FROM bindings", "bindings 2: the row is nothing"),
        (
            "UPDATE statistics SET body = replace(body, '100000000,', '100000001,') WHERE name = 'totals'",
            "totals deposits",
        ),
        ("UPDATE ledger SET body = replace(body, '100000000', '100000001') WHERE name = 'balances'", "totals ledger"),
        ("UPDATE ledger SET body = '{' WHERE name = 'balances'", "views: balances cannot be read"),
    ] {
        let copy = desk.copy();
        change_views(&copy, change);
        let found = copy.found();
        assert!(found.first().is_some_and(|first| first.contains(expected)), "{change}: {found:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_to_compare_is_said_to_be_left_out() {
    let desk = stopped().await;
    let [views, head_file] = ["views.db", "head"].map(|name| desk.path(name));
    fs::remove_file(&views).unwrap();
    fs::remove_file(&head_file).unwrap();
    let report = desk.prove();
    let left_out = |why: &str| Compared::LeftOut(why.to_owned());
    assert_eq!((report.is_well(), report.views), (true, left_out("there are none")));
    assert_eq!(report.head_file, left_out("there is none"));
    let of_old = desk.copy_without_views();
    assert!(matches!(of_old.prove().views, Compared::LeftOut(why) if why.starts_with("another version made them")));
}

impl Stopped {
    /// With views that nobody has begun.
    fn copy_without_views(&self) -> Self {
        let copy = Self { folder: tempfile::tempdir().unwrap() };
        fs::copy(self.path("log.db"), copy.path("log.db")).unwrap();
        Connection::open(copy.path("views.db")).unwrap().execute_batch("CREATE TABLE deposits (seq)").unwrap();
        copy
    }
}

fn issue(log: &mut Log, index: u32) {
    let event = Event::AddressBook(AddressIssued { index }.into());
    let append = Append {
        command_id: CommandId::of_fact(&["more", &index.to_string()]),
        command: "Issue",
        body: "{}".into(),
        causation: None,
        correlation: None,
        writes: vec![Write::new(StreamName::AddressBook, Expected::Exactly(u64::from(index)), vec![event])],
    };
    log.commit(vec![append], DateTime::UNIX_EPOCH).0.pop().unwrap().unwrap();
}

/// The end is taken at the beginning, whatever is written meanwhile.
#[tokio::test]
async fn beside_a_desk_that_writes_the_log_of_the_beginning_is_proved() {
    let desk = stopped().await;
    let mut log = Log::open(&desk.path("log.db")).unwrap();
    let proof = Proof::begin(&desk.subject(), true).unwrap();
    issue(&mut log, 1);
    let report = proof.run(&mut |_, _| {}).expect("it was in use from the beginning");
    assert_eq!((report.is_well(), report.events, report.position), (true, EVENTS, EVENTS));
    let report = desk.prove();
    assert_eq!((report.is_well(), report.events, report.views), (true, EVENTS + 1, Compared::UpTo(EVENTS)));
}

/// A desk that starts in the middle changes a file that was believed not to change.
#[tokio::test]
async fn a_desk_that_starts_meanwhile_is_noticed_and_the_proof_begins_again() {
    let desk = stopped().await;
    let proof = Proof::begin(&desk.subject(), true).unwrap();
    let mut log = Log::open(&desk.path("log.db")).unwrap();
    issue(&mut log, 1);
    assert_eq!(proof.run(&mut |_, _| {}), None);
    assert_eq!(desk.prove().events, EVENTS + 1);
}

#[test]
fn what_is_no_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let none = || "none".to_owned();
    let subject = Subject { log: path.clone(), views: Err(none()), head_file: Err(none()) };
    let refused = || prove(&subject, &mut |_, _| {}).unwrap_err().to_string();
    assert!(refused().contains("unable to open"), "{}", refused());
    fs::write(&path, "no database at all, whatever its name says").unwrap();
    assert!(refused().contains("not a database"), "{}", refused());
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (a)").unwrap();
    assert!(refused().contains("is no event log"), "{}", refused());
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(refused().contains("start the newer version"), "{}", refused());
}
