//! Operators at work on a real log.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::DateTime;
use millrace_model::deposit::{self, BlockRef, Customer, Detected, HoldReason, Method, Mined, Stage, StatusWaitDecide};
use millrace_model::desk::Closed;
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, Outpoint, StreamName};
use millrace_model::operator::{Action, By, OperatorActed};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::clock::SystemClock;
use crate::customer_keys::Forgot;
use crate::event_store::{Append, Execution, Expected, Settings, Store, Write};
use crate::supervision::Registry;

struct Desks {
    tree: Tree,
    deposits: Deposits,
    operations: Operations,
    keys: CustomerKeys,
    folder: TempDir,
}

async fn desk() -> Desks {
    desk_with_keys(|folder| folder.join("keys.db")).await
}

async fn desk_with_keys(keys: impl FnOnce(&Path) -> PathBuf) -> Desks {
    let folder = tempfile::tempdir().unwrap();
    let tree = Tree::new(Registry::new(Arc::new(SystemClock)), 1);
    let path = folder.path().join("log.db");
    let keys = CustomerKeys::at(keys(folder.path()));
    let store =
        Store::start(&tree, Settings { path, execution: Execution::Inline, clock: Arc::new(SystemClock) }).unwrap();
    let deposits = Deposits::new(store.clone());
    let operations = start(&tree, deposits.clone(), keys.clone()).unwrap();
    store.ready().await;
    Desks { tree, deposits, operations, keys, folder }
}

fn note(text: &str) -> Note {
    Note::new(text).unwrap()
}

/// A deposit that waits for its decision.
async fn received(desk: &Desks, number: u8) -> DepositId {
    let id = DepositId(Uuid::from_u128(u128::from(number)));
    let customer = Customer { target: "target".to_owned(), bound_method: Method::Direct };
    let detected = Detected {
        id,
        outpoint: Outpoint { txid: Hash32([number; 32]), index: 0 },
        address: "address".to_owned(),
        amount: "1".parse().unwrap(),
        customer: Some(customer),
        spends: vec![],
        coinbase: false,
    };
    let mined = Mined { block: BlockRef { height: 7, hash: Hash32([7; 32]) } };
    let events: [deposit::Event; 3] = [detected.into(), mined.into(), StatusWaitDecide {}.into()];
    let events = events.into_iter().map(Event::Deposit).collect();
    let writes = vec![Write::new(StreamName::Deposit(id), Expected::Exactly(0), events)];
    let append = Append {
        command_id: CommandId([number; 16]),
        command: "Receive",
        body: "{}".to_owned(),
        causation: None,
        correlation: None,
        writes,
    };
    desk.deposits.store().append(append).await.unwrap();
    id
}

#[tokio::test]
async fn a_deposit_is_held_and_released_by_the_rules() {
    let desk = desk().await;
    let id = received(&desk, 1).await;
    let held = desk.operations.hold(id, note("look at it"), By::Token).await.unwrap();
    let Stage::Held { reason: HoldReason::Operator { note: sealed }, .. } = &held.deposit.stage else {
        panic!("{:?}", held.deposit.stage)
    };
    assert_eq!(desk.keys.reading().shown(&StreamName::Deposit(id).to_string(), sealed), "look at it");
    let again = desk.operations.hold(id, note("again"), By::Token).await.unwrap_err();
    assert!(matches!(again, OperateError::Rejected(_)), "{again}");
    let released = desk.operations.release(id, note("fine"), By::Token).await.unwrap();
    assert_eq!(released.deposit.stage, Stage::WaitDecide);
    let unknown = DepositId(Uuid::from_u128(99));
    assert_eq!(
        desk.operations.release(unknown, note("who"), By::Token).await.unwrap_err(),
        OperateError::NoSuchDeposit(unknown)
    );
}

#[tokio::test]
async fn nothing_is_done_for_somebody_who_saw_the_deposit_as_it_was_before() {
    let desk = desk().await;
    let id = received(&desk, 1).await;
    let ask = async |seen, wish, by| desk.operations.on_seen((id, seen), wish, note("look"), by).await;
    let held = ask(3, Wish::Hold, By::Token).await.unwrap();
    let head = desk.deposits.store().head();
    // What the rules would allow by now is not what was asked for then.
    for (seen, wish) in [(3, Wish::Hold), (3, Wish::Release), (2, Wish::RefundDue), (5, Wish::Release)] {
        let outcome = ask(seen, wish, By::Operator("anna".to_owned())).await;
        assert_eq!(outcome.unwrap_err(), OperateError::MovedOn { seen, version: 4 });
    }
    assert_eq!(desk.deposits.store().head(), head);
    assert_eq!(ask(held.version, Wish::Release, By::Token).await.unwrap().deposit.stage, Stage::WaitDecide);
}

/// Whether any file of the desk holds these bytes.
fn holds(desk: &Desks, bytes: &[u8]) -> bool {
    let files = fs::read_dir(desk.folder.path()).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|content| content.windows(bytes.len()).any(|window| window == bytes))
}

#[tokio::test]
async fn no_file_has_a_note_as_it_was_written() {
    let desk = desk().await;
    let id = received(&desk, 1).await;
    desk.operations.hold(id, note("his sister called"), By::Token).await.unwrap();
    desk.operations.mark_refund_due(id, note("his sister called"), By::Token).await.unwrap();
    desk.operations.mark_refunded(id, Hash32([3; 32]), note("his sister called"), By::Token).await.unwrap();
    assert!(holds(&desk, b"MarkRefundDue") && holds(&desk, b"sealed:1:"), "this is how the log is searched");
    assert!(!holds(&desk, b"his sister"));
}

#[tokio::test]
async fn nothing_is_sealed_for_what_is_not_done() {
    let desk = desk().await;
    let id = received(&desk, 1).await;
    desk.operations.release(id, note("it is not held"), By::Token).await.unwrap_err();
    let forgot = desk.keys.forget(&"target".parse().unwrap(), DateTime::UNIX_EPOCH).unwrap();
    assert!(matches!(forgot, Forgot::Nothing | Forgot::NoFile), "{forgot:?}");
}

#[tokio::test]
async fn the_same_request_again_is_no_second_one_although_its_ciphertext_is_another() {
    let desk = desk().await;
    let id = received(&desk, 1).await;
    let (one, other) = tokio::join!(
        desk.operations.hold(id, note("look"), By::Token),
        desk.operations.hold(id, note("look"), By::Token)
    );
    assert!(matches!(
        (&one, &other),
        (Ok(_), Err(OperateError::Rejected(_))) | (Err(OperateError::Rejected(_)), Ok(_))
    ));
    assert_eq!(desk.deposits.known(id).unwrap().version, 4);
}

#[tokio::test]
async fn without_a_place_for_keys_a_note_is_refused_with_the_reason_and_the_health_says_so() {
    let desk = desk_with_keys(|folder| folder.join("not mounted/keys.db")).await;
    let id = received(&desk, 1).await;
    let refused = desk.operations.hold(id, note("look"), By::Token).await.unwrap_err();
    assert!(matches!(&refused, OperateError::NotSealed(why) if why.contains("not mounted/keys.db cannot be made")));
    assert_eq!(desk.deposits.known(id).unwrap().deposit.stage, Stage::WaitDecide);
    condition(&desk, |told| told.is_some_and(|told| told.contains("not mounted/keys.db cannot be made"))).await;
}

#[tokio::test]
async fn keys_that_are_gone_are_missed_and_made_anew_for_the_next_note() {
    let desk = desk().await;
    let id = received(&desk, 1).await;
    desk.operations.hold(id, note("before"), By::Token).await.unwrap();
    desk.tree.stop(PART).await.unwrap();
    fs::remove_file(desk.keys.path()).unwrap();
    desk.tree.start(PART).await.unwrap();
    condition(&desk, |told| told.is_some_and(|told| told.contains("keys.db is not there"))).await;
    let released = desk.operations.release(id, note("after"), By::Token).await.unwrap();
    assert_eq!(released.deposit.stage, Stage::WaitDecide);

    let events = desk.deposits.store().reader().unwrap().stream(&StreamName::Deposit(id), 3).unwrap();
    let shown = events.into_iter().map(|recorded| desk.keys.reading().event(recorded).event.payload());
    assert_eq!(shown.collect::<Vec<_>>(), [r#"{"reason":{"operator":{"note":"(sealed)"}}}"#, r#"{"note":"after"}"#]);
}

/// Waits until what the health says of the keys is such.
async fn condition(desk: &Desks, is_such: impl Fn(Option<&str>) -> bool) {
    let look = async {
        loop {
            let part = desk.tree.health().part(PART).unwrap();
            let told = part.conditions.iter().find(|condition| condition.kind == "customer_keys");
            if is_such(told.map(|condition| condition.text.as_str())) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.unwrap();
}

#[tokio::test]
async fn a_refund_is_declared_before_it_is_marked() {
    let desk = desk().await;
    let id = received(&desk, 1).await;
    let early = desk.operations.mark_refunded(id, Hash32([3; 32]), note("paid"), By::Token).await.unwrap_err();
    assert!(matches!(early, OperateError::Rejected(_)), "{early}");
    desk.operations.hold(id, note("pay it back"), By::Token).await.unwrap();
    desk.operations.mark_refund_due(id, note("pay it back"), By::Token).await.unwrap();
    let done = desk.operations.mark_refunded(id, Hash32([3; 32]), note("paid"), By::Token).await.unwrap();
    assert!(done.deposit.is_finished());
}

#[tokio::test]
async fn a_switch_is_seen_by_those_who_watch_and_outlives_a_restart() {
    let desk = desk().await;
    let mut seen = desk.operations.switches();
    seen.wait_for(|desk| desk.setting(Switch::Sends) == Setting::On).await.unwrap();
    let first =
        desk.operations.set_switch(Switch::Sends, Setting::Off, note("the wallet moves"), By::Token).await.unwrap();
    seen.wait_for(|desk| desk.setting(Switch::Sends) == Setting::Off).await.unwrap();
    assert_eq!(seen.borrow().setting(Switch::Binds), Setting::On);
    let again = desk.operations.set_switch(Switch::Sends, Setting::Off, note("still"), By::Token).await.unwrap();
    assert_eq!(again, first, "nothing new is stored");

    desk.tree.restart(PART).await.unwrap();
    desk.operations.set_switch(Switch::Sends, Setting::On, note("moved"), By::Token).await.unwrap();
    seen.wait_for(|desk| desk.setting(Switch::Sends) == Setting::On).await.unwrap();
}

#[tokio::test]
async fn everything_is_off_until_the_log_was_read() {
    let tree = Tree::new(Registry::new(Arc::new(SystemClock)), 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no such folder/log.db");
    let settings = Settings { path, execution: Execution::Inline, clock: Arc::new(SystemClock) };
    let store = Store::start(&tree, settings).unwrap();
    let operations = start(&tree, Deposits::new(store), CustomerKeys::at("/nowhere/keys.db")).unwrap();
    let switches = operations.switches();
    assert_eq!(switches.borrow().setting(Switch::Sends), Setting::Off);
    assert_eq!(switches.borrow().setting(Switch::Binds), Setting::Off);
    let refused = operations.set_switch(Switch::Sends, Setting::On, note("go"), By::Token).await.unwrap_err();
    assert!(matches!(refused, OperateError::Unavailable(_)), "{refused}");
}

/// P7: a refill is an event, once.
#[tokio::test]
async fn a_transfer_with_a_key_is_declared_once() {
    let desk = desk().await;
    let coins = Coins::Sky("1000".parse().unwrap());
    let transfer = Transfer { kind: TransferKind::Refill, place: Place::HotWallet, coins };
    let declare = |key: Option<&str>| {
        desk.operations.declare(transfer, note("from the vault"), key.map(str::to_owned), Some(By::Token))
    };
    let first = declare(Some("one")).await.unwrap();
    assert_eq!(declare(Some("one")).await.unwrap(), first);
    assert_ne!(declare(Some("two")).await.unwrap(), first);
    let without = declare(None).await.unwrap();
    assert_ne!(declare(None).await.unwrap(), without);
    let reader = desk.deposits.store().reader().unwrap();
    assert_eq!(reader.stream(&StreamName::Desk, 0).unwrap().len(), 4);
}

#[test]
fn a_note_is_short_plain_text() {
    assert_eq!(Note::new("  why not ").unwrap().as_str(), "why not");
    assert_eq!(Note::new(&"ü".repeat(200)).unwrap().as_str().chars().count(), 200);
    assert_eq!(Note::new(&"ü".repeat(201)), Err(NoteError::TooLong));
    assert_eq!(Note::new(" \n"), Err(NoteError::Empty));
    assert_eq!(Note::new("a\u{1b}[2J"), Err(NoteError::Unprintable));
}

#[tokio::test]
async fn a_halt_is_stored_once_and_only_a_reason_lifts_it() {
    let desk = desk().await;
    let halt = || HaltCause::Operator { note: "look".to_owned() };
    let first = desk.operations.halt(halt()).await.unwrap();
    assert_eq!(desk.operations.halt(halt()).await.unwrap(), first, "nothing new is stored");
    let mut seen = desk.operations.switches();
    seen.wait_for(|desk| desk.closed(Switch::Sends) == Some(Closed::Halted)).await.unwrap();

    desk.tree.restart(PART).await.unwrap();
    assert_eq!(desk.operations.halt(halt()).await.unwrap(), first, "it outlives a restart");
    desk.operations.resume(note("seen"), By::Token).await.unwrap();
    seen.wait_for(|desk| desk.closed(Switch::Sends).is_none()).await.unwrap();
}

#[tokio::test]
async fn what_an_operator_does_came_of_no_event_before_it() {
    let desk = desk().await;
    desk.operations.set_switch(Switch::Sends, Setting::Off, note("the wallet moves"), By::Token).await.unwrap();
    desk.operations.halt(HaltCause::Operator { note: "look".to_owned() }).await.unwrap();
    desk.operations.resume(note("seen"), By::Token).await.unwrap();
    let events = desk.deposits.store().reader().unwrap().stream(&StreamName::Desk, 0).unwrap();
    assert_eq!(events.iter().map(|event| event.causation).collect::<Vec<_>>(), [None, None, None]);
}

#[tokio::test]
async fn what_is_done_while_the_log_is_stopped_is_in_it_once_it_runs_again() {
    let desk = desk().await;
    let deed = |number, note: Option<&str>| {
        let (subject, note) = (Some("event_store".to_owned()), note.map(str::to_owned));
        let acted = OperatorActed { by: By::Token, action: Action::StartPart, subject, note };
        Deed { id: CommandId([number; 16]), at: DateTime::UNIX_EPOCH, acted }
    };
    let stored = deed(1, Some("before"));
    desk.operations.acted(stored.clone()).await.unwrap();
    desk.tree.stop(Store::PART).await.unwrap();
    desk.operations.acted(deed(2, None)).await.unwrap_err();
    desk.operations.keep(deed(2, None));
    // Nobody knew whether the log had taken this one.
    desk.operations.keep(stored);
    assert_eq!(desk.operations.waiting().deeds.len(), 2);
    let mut bell = desk.deposits.store().bell();
    desk.tree.start(Store::PART).await.unwrap();
    while !desk.operations.waiting().deeds.is_empty() {
        let _ = tokio::time::timeout(Duration::from_millis(50), bell.changed()).await;
    }
    let events = desk.deposits.store().reader().unwrap().stream(&StreamName::Desk, 0).unwrap();
    let notes: Vec<_> = events.into_iter().map(|recorded| recorded.event.payload()).collect();
    assert_eq!(notes.len(), 2, "each once: {notes:?}");
    assert!(notes[1].contains("done at 1970-01-01T00:00:00Z, stored after that"), "{notes:?}");
}
