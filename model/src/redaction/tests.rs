//! Every field of everything that is stored is in the table, and what is personal does not come through.

pub(crate) mod samples;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::deposit::BlockRef;
use crate::ids::{Category, DepositId, Hash32, Outpoint};
use crate::observation::{CameBefore, Gone, Maturity, Replaced, SeenOutput, Sightings};

fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new([7; 32])
}

fn fields(event: &Event) -> Value {
    serde_json::from_str(&event.payload()).unwrap()
}

fn redacted(event: &Event) -> Value {
    let mut redacted = fields(event);
    super::event(event.kind(), &mut redacted, &pseudonyms()).unwrap();
    redacted
}

#[test]
fn every_field_of_every_event_is_in_the_table() {
    let events = samples::events();
    let all: BTreeSet<&str> = Event::kinds().map(|(kind, _)| kind).collect();
    let sampled: BTreeSet<&str> = events.iter().map(Event::kind).collect();
    assert_eq!(sampled, all, "a kind of event has no sample");
    assert!(knows_every_kind());
    for event in &events {
        super::event(event.kind(), &mut fields(event), &pseudonyms()).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn every_field_of_every_command_on_a_deposit_is_in_the_table() {
    for sample in samples::commands() {
        let mut body = serde_json::to_value(&sample).unwrap();
        command(sample.name(), &mut body, &pseudonyms()).unwrap_or_else(|error| panic!("{error}"));
        serde_json::from_value::<crate::deposit::Command>(body).unwrap();
    }
}

#[test]
fn who_gave_a_command_is_in_the_table_and_not_named() {
    use crate::operator::By;
    for (name, body) in
        [("Release", r#"{"Release":{"note":"x"}}"#), ("Resume", r#"{"note":"x"}"#), ("PauseDelivery", "{}")]
    {
        for by in [By::Token, By::Stranger, By::Operator("alice".to_owned())] {
            let mut body = serde_json::from_str(&by.sign(name, body.to_owned())).unwrap();
            command(name, &mut body, &pseudonyms()).unwrap_or_else(|error| panic!("{error}"));
            let text = body.to_string();
            assert!(!text.contains("alice") && By::of(name, &text).is_some(), "{text}");
        }
    }
    let mut paused = json!({ "PauseDelivery": { "note": "her sister called" } });
    command("PauseDelivery", &mut paused, &pseudonyms()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!paused.to_string().contains("sister"), "{paused}");
    assert!(super::event("Sent", &mut json!({ "by": "token" }), &pseudonyms()).is_err(), "events have their own");
}

/// Whoever writes a personal text into a sample finds nothing of it in what is given away.
#[test]
fn nothing_personal_comes_through_and_the_rest_is_readable_as_before() {
    for event in samples::events() {
        let redacted = redacted(&event);
        let text = redacted.to_string();
        for personal in samples::PERSONAL {
            assert!(!text.contains(personal), "{}: {personal} in {text}", event.kind());
        }
        let read = Event::decode(event.category(), event.kind(), event.schema(), &text).unwrap();
        assert_eq!(read.kind(), event.kind());
    }
    for sample in samples::commands() {
        let mut body = serde_json::to_value(&sample).unwrap();
        command(sample.name(), &mut body, &pseudonyms()).unwrap();
        let text = body.to_string();
        assert!(samples::PERSONAL.iter().all(|personal| !text.contains(personal)), "{text}");
    }
}

/// What is called a note is what is sealed on its way into the log: a new one that is not does not get past this.
#[test]
fn every_note_on_a_deposit_is_one_that_is_sealed() {
    let mut notes = 0;
    for event in samples::events() {
        let Event::Deposit(mut event) = event else { continue };
        let has_note = event.payload().contains(r#""note":"#);
        assert_eq!(event.note_mut().is_some(), has_note, "{}", event.kind());
        notes += usize::from(has_note);
    }
    for mut sample in samples::commands() {
        let has_note = serde_json::to_string(&sample).unwrap().contains(r#""note":"#);
        assert_eq!(sample.note_mut().is_some(), has_note, "{}", sample.name());
        notes += usize::from(has_note);
    }
    assert!(notes >= 9, "five kinds of events and four commands have one, and {notes} samples");
}

#[test]
fn what_the_scanner_saw_is_in_the_table_and_names_nobody() {
    let (deposit, by) = (DepositId(uuid::Uuid::from_u128(7)), Hash32([0xab; 32]));
    let block = BlockRef { height: 7, hash: Hash32([7; 32]) };
    let output = Outpoint { txid: by, index: 1 };
    for (name, body) in [
        ("RecordSightings", json!(Sightings::of(vec![SeenOutput { output, satoshis: 7 }]))),
        ("RecordGone", json!(Gone::of(1, vec![Replaced { deposit, by }]))),
        ("RecordMaturity", json!(Maturity::of((block, block), vec![CameBefore { deposit, earlier: deposit }]))),
        ("RecordSightings", json!(Sightings::of(vec![]))),
    ] {
        let mut redacted = body.clone();
        command(name, &mut redacted, &pseudonyms()).unwrap_or_else(|error| panic!("{error}"));
        assert!(!redacted.to_string().contains(&by.to_string()), "{redacted}");
        assert_eq!(redacted.as_object().map(|it| it.len()), body.as_object().map(|it| it.len()));
    }
}

#[test]
fn a_field_that_nobody_has_classified_is_refused() {
    let refused = |kind: &str, fields: Value| super::event(kind, &mut fields.clone(), &pseudonyms()).unwrap_err();
    assert_eq!(refused("Sent", json!({ "to": "somebody" })), unclassified("Sent", "to"));
    assert_eq!(
        refused("Held", json!({ "reason": { "moon": { "phase": 3 } } })),
        unclassified("Held", "reason.moon.phase")
    );
    assert_eq!(refused("Beamed", json!({})), unclassified("Beamed", ""));
    assert_eq!(refused("Released", json!({ "note": 5 })), unclassified("Released", "note"), "a number has no shape");
    assert_eq!(command("Dance", &mut json!({}), &pseudonyms()).unwrap_err(), unclassified("Dance", ""));
}

#[test]
fn a_pseudonym_has_the_shape_of_what_it_stands_for() {
    let made = pseudonyms();
    let bech32 = "bcrt1qu27s686mfq0epqs6fwv2zw6qj8p83apckp6s52";
    let address = made.of(Shape::Address, bech32);
    assert!(address.starts_with("bcrt1q") && address.len() == bech32.len() && address != bech32, "{address}");
    let sky = made.of(Shape::Address, "2GgFvqoyk9RjwVzj8tqfcXVXB4orBwoc9qv");
    assert!(sky.starts_with('2') && sky.len() == 35, "{sky}");
    let hash = "ab".repeat(32);
    let hex = made.of(Shape::Hex, &hash);
    assert!(hex.parse::<crate::ids::Hash32>().is_ok() && hex != hash, "{hex}");
    let orders = ["97dbaf6896dfa7f85c742689-1", "97dbaf6896dfa7f85c742689-12"].map(|id| made.of(Shape::OrderId, id));
    let [first, twelfth] = orders.each_ref().map(|id| id.rsplit_once('-').unwrap());
    assert_eq!((first.0, first.1, twelfth.1), (twelfth.0, "1", "12"), "the orders of one deposit stay together");
    assert_eq!(first.0.len(), 24);
    assert_eq!(made.of(Shape::Address, ""), "");
    assert_eq!(made.of(Shape::Address, "ä1ß").chars().count(), 3, "whatever somebody stored there");
    assert!(made.of(Shape::Text, "call Ann").starts_with("redacted-"));
    for own in ["", "mined again", "its coins were spent elsewhere", "PurchaseStopped"] {
        assert_eq!(made.of(Shape::Text, own), own, "the desk's own words");
    }
}

#[test]
fn what_is_equal_stays_equal_under_one_key_and_differs_under_another() {
    let other = Pseudonyms::new([8; 32]);
    for shape in [Shape::Address, Shape::Hex, Shape::OrderId, Shape::Text] {
        let text = "0123456789abcdef0123456789abcdef-3";
        assert_eq!(pseudonyms().of(shape, text), pseudonyms().of(shape, text), "{shape:?}");
        assert_ne!(pseudonyms().of(shape, text), other.of(shape, text), "{shape:?}");
        assert_ne!(pseudonyms().of(shape, text), pseudonyms().of(shape, "fedcba9876543210fedcba9876543210-3"));
    }
    assert_eq!(format!("{:?}", pseudonyms()), "Pseudonyms", "a key is not printed");
}

#[test]
fn an_address_has_one_pseudonym_in_a_stream_an_event_and_a_command() {
    let bound = samples::events().into_iter().find(|event| event.category() == Category::Binding).unwrap();
    let address = fields(&bound)["address"].as_str().unwrap().to_owned();
    let shown = redacted(&bound);
    let name = stream(&StreamName::Binding(address.as_str().into()), &pseudonyms());
    assert_eq!(name.to_string(), format!("binding/{}", shown["address"].as_str().unwrap()));
    let mut body = fields(&bound);
    command("BindAddress", &mut body, &pseudonyms()).unwrap();
    assert_eq!(body, shown);
    assert_eq!(stream(&StreamName::Desk, &pseudonyms()), StreamName::Desk);
}
