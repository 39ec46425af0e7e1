//! What is written here is read as it is written, and what is read at all is what anybody would have read.

use proptest::prelude::*;

use super::super::Event;
use crate::ids::Category;
use crate::redaction::samples;
use crate::{address_book, binding, chain, deposit, desk, subscription, wallet};

/// What is made of a payload here, and what `serde_json` makes of it.
fn read_twice(category: Category, kind: &str, payload: &str) -> [Option<Event>; 2] {
    match category {
        Category::Deposit => deposit::Event::read_twice(kind, payload).map(|read| read.map(Event::Deposit)),
        Category::Binding => binding::Event::read_twice(kind, payload).map(|read| read.map(Event::Binding)),
        Category::AddressBook => {
            address_book::Event::read_twice(kind, payload).map(|read| read.map(Event::AddressBook))
        }
        Category::Chain => chain::Event::read_twice(kind, payload).map(|read| read.map(Event::Chain)),
        Category::Wallet => wallet::Event::read_twice(kind, payload).map(|read| read.map(Event::Wallet)),
        Category::Desk => desk::Event::read_twice(kind, payload).map(|read| read.map(Event::Desk)),
        Category::Subscription => {
            subscription::Event::read_twice(kind, payload).map(|read| read.map(Event::Subscription))
        }
    }
}

#[test]
fn every_event_of_a_deposit_and_of_the_wallet_is_read_as_it_is_written() {
    for event in samples::events() {
        let [as_written, as_json] = read_twice(event.category(), event.kind(), &event.payload());
        assert_eq!(as_json.as_ref(), Some(&event));
        match event.category() {
            Category::Deposit | Category::Binding | Category::AddressBook | Category::Chain | Category::Wallet => {
                assert_eq!(as_written, Some(event));
            }
            // They are few, and some have more shapes.
            Category::Desk | Category::Subscription => assert!(as_written.is_none_or(|read| read == event)),
        }
    }
}

/// A part of a payload, or what may stand in its place.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "",
            "\"",
            "\\\"",
            "\\u0041",
            ",",
            ":",
            "{",
            "}",
            "[",
            "]",
            "{}",
            "[]",
            "null",
            "true",
            "false",
            "0",
            "00",
            "7",
            "-0",
            "-1",
            "1.0",
            "1e2",
            " ",
            "\n",
            "\u{1}",
            "\u{7f}",
            "é",
            "18446744073709551616",
            "\"id\":",
            "\"amount\":\"1\",",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    /// Whatever is done to a payload: what is read here, `serde_json` reads as the same.
    #[test]
    fn what_is_read_is_what_anybody_would_have_read(
        which in any::<prop::sample::Index>(),
        (at, end) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        length in 0_usize..12,
        put in piece(),
    ) {
        let events = samples::events();
        let event = which.get(&events);
        let chars: Vec<char> = event.payload().chars().collect();
        let at = at.index(chars.len() + 1);
        let end = if length == 11 { end.index(chars.len() + 1).max(at) } else { (at + length / 2).min(chars.len()) };
        let payload: String = chars[..at].iter().copied().chain(put.chars()).chain(chars[end..].iter().copied()).collect();
        let [as_written, as_json] = read_twice(event.category(), event.kind(), &payload);
        prop_assert!(as_written.is_none() || as_written == as_json, "{payload}: {as_written:?}, {as_json:?}");
    }
}
