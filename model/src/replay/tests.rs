//! Tests of stepping through a stream.

use serde_json::json;

use super::*;
use crate::address_book::AddressIssued;
use crate::binding::Bound;
use crate::chain::BlockScanned;
use crate::deposit::{BlockRef, Customer, Held, Method};
use crate::desk::{Halted, Setting, Switch, SwitchSet};
use crate::event::Unreadable;
use crate::ids::{DepositId, Hash32};
use crate::wallet::InputsReserved;

fn changes(before: &Value, after: &Value) -> Vec<(String, Option<Value>, Option<Value>)> {
    let changed = fields(before, after).into_iter().filter(Field::is_changed);
    changed.map(|field| (field.path, field.before, field.after)).collect()
}

#[test]
fn a_difference_names_each_field_that_came_went_or_changed() {
    let before = json!({ "stage": "wait_buy", "payout": null, "limits": "kept", "inputs": ["a", "b"], "left": {} });
    let after = json!({
        "stage": { "held": { "reason": "operator" } }, "payout": { "amount": "1.5" }, "limits": "kept",
        "inputs": ["a"], "left": {},
    });
    let expected = [
        ("inputs.1".to_owned(), Some(json!("b")), None),
        ("payout.amount".to_owned(), None, Some(json!("1.5"))),
        ("stage".to_owned(), Some(json!("wait_buy")), None),
        ("stage.held.reason".to_owned(), None, Some(json!("operator"))),
    ];
    assert_eq!(changes(&before, &after), expected);
    assert_eq!(changes(&after, &after), []);
    let paths: Vec<_> = fields(&after, &after).into_iter().map(|field| field.path).collect();
    assert_eq!(paths, ["inputs.0", "left", "limits", "payout.amount", "stage.held.reason"]);
}

fn step(category: Category, event: impl Into<Event>) -> Vec<(String, Option<Value>, Option<Value>)> {
    let before = State::before_all(category);
    let after = before.clone().after(&event.into()).unwrap();
    changes(&before.to_json(), &after.to_json())
}

#[test]
fn every_kind_of_stream_has_the_state_its_events_fold_to() {
    let issued = Event::AddressBook(AddressIssued { index: 4 }.into());
    let one = |path: &str, before, after| vec![(path.to_owned(), before, after)];
    assert_eq!(step(Category::AddressBook, issued), one("next_index", Some(json!(0)), Some(json!(5))));

    let off = SwitchSet { switch: Switch::Sends, setting: Setting::Off, note: "look".into() };
    assert_eq!(step(Category::Desk, Event::Desk(off.into())), one("sends", Some(json!("on")), Some(json!("off"))));

    let deposit = DepositId(uuid::Uuid::from_u128(5));
    let reserved = InputsReserved { deposit, inputs: vec![Hash32([1; 32])] };
    let path = format!("reserved.{deposit}.0");
    let wallet = step(Category::Wallet, Event::Wallet(reserved.into()));
    assert!(wallet.contains(&(path, None, Some(json!("01".repeat(32))))), "{wallet:?}");

    let scanned = BlockScanned { block: BlockRef { height: 7, hash: Hash32([2; 32]) } };
    let chain = step(Category::Chain, Event::Chain(scanned.into()));
    assert!(chain.contains(&("cursor.height".to_owned(), None, Some(json!(7)))), "{chain:?}");

    let customer = Customer { target: "target".into(), bound_method: Method::Direct };
    let bound = Bound { address: "bcrt1q".into(), index: 0, customer };
    assert_eq!(step(Category::Binding, Event::Binding(bound.into())), []);
}

#[test]
fn what_cannot_be_read_or_is_not_of_the_stream_stops_the_fold() {
    let issued = Event::AddressBook(AddressIssued { index: 4 }.into());
    let wrong = State::before_all(Category::Desk).after(&issued);
    assert_eq!(wrong, Err(Stuck::Foreign("AddressIssued".into())));
    let unreadable = Unreadable { kind: "Beamed".into(), schema: 1, payload: "{}".into(), why: "is unknown".into() };
    let stuck = State::before_all(Category::Deposit).after(&Event::Unreadable(unreadable));
    assert_eq!(stuck, Err(Stuck::Unreadable("is unknown".into())));
    let held = Event::Deposit(Held { reason: HoldReason::BelowMinimum }.into());
    assert_eq!(State::before_all(Category::Deposit).after(&held), Err(Stuck::Foreign("Held".into())));
}

#[test]
fn who_asked_follows_from_the_command_and_from_the_reason() {
    let held = |reason| Event::Deposit(Held { reason }.into());
    let noted = || HoldReason::Operator { note: "look".into() };
    let halted = |cause| Event::Desk(Halted { cause }.into());
    assert_eq!(Asker::of(Some("Hold"), &held(noted())), Asker::Operator);
    assert_eq!(Asker::of(Some("Decide"), &held(HoldReason::BelowMinimum)), Asker::Desk);
    assert_eq!(Asker::of(Some("Halt"), &halted(HaltCause::Operator { note: "stop".into() })), Asker::Operator);
    assert_eq!(Asker::of(Some("Halt"), &halted(HaltCause::Missing { differences: vec![] })), Asker::Desk);
    assert_eq!(Asker::of(Some("Release"), &held(noted())), Asker::Operator);
    let issued = Event::AddressBook(AddressIssued { index: 4 }.into());
    assert_eq!((Asker::of(Some("BindAddress"), &issued), Asker::of(None, &issued)), (Asker::Customer, Asker::Desk));
}
