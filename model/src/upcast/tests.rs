//! What older versions stored is still read, and what is stored today stays as it is.

use crate::deposit::{Command, Event, Held, HoldReason, OrderIntended, RefundDue, StatusWaitBuy};

fn read(kind: &str, schema: u32, payload: &str) -> Event {
    Event::decode(kind, schema, payload).unwrap()
}

/// The same with a book that nobody could trade on.
fn crossed(stored: &str) -> String {
    let crossed = stored.replace("\"best_bid\":\"0.00188\"", "\"best_bid\":\"0.00189\"");
    assert_ne!(crossed, stored);
    crossed
}

/// O8: an event of the first schema is read.
#[test]
fn a_refund_of_the_first_schema_has_no_note() {
    let old = read("RefundDue", 1, include_str!("golden/RefundDue.1.json"));
    assert_eq!(old, RefundDue { amount: "0.4".parse().unwrap(), note: String::new() }.into());
    let golden = include_str!("golden/RefundDue.2.json");
    let new = read("RefundDue", 2, golden);
    assert_eq!(new, RefundDue { amount: "0.4".parse().unwrap(), note: "sent by mistake".into() }.into());
    assert_eq!((new.schema(), new.payload().as_str()), (2, golden.trim_end()));
}

/// O8: its words mean what they meant.
#[test]
fn the_reasons_of_the_first_schema_mean_what_they_meant() {
    let old = read("Held", 1, include_str!("golden/Held.1.json"));
    assert_eq!(old, Held { reason: HoldReason::Operator { note: "look".into() } }.into());
    let golden = include_str!("golden/Held.2.json");
    let new = read("Held", 2, golden);
    assert_eq!(new, Held { reason: HoldReason::PayoutAboveMaximum }.into());
    assert_eq!((new.schema(), new.payload().as_str()), (2, golden.trim_end()));
}

/// A decision that was stored without the order book has none, and one with it keeps it to the letter.
#[test]
fn a_decision_to_buy_is_read_with_and_without_the_book_it_rested_on() {
    let old = include_str!("golden/StatusWaitBuy.1.json").trim_end();
    let new = include_str!("golden/StatusWaitBuy.1.book.json").trim_end();
    let (without, with) = (read("StatusWaitBuy", 1, old), read("StatusWaitBuy", 1, new));
    let (Event::StatusWaitBuy(without), Event::StatusWaitBuy(with)) = (without, with) else { panic!("they are") };
    let book = with.book.clone().unwrap();
    assert_eq!((book.at_ms(), book.asks().len(), book.levels()), (1_767_225_600_123, 2, 7));
    assert_eq!(StatusWaitBuy { book: Some(book), ..without.clone() }, with);
    assert_eq!(read("StatusWaitBuy", 1, &crossed(new)), without.clone().into(), "the decision stands without it");
    assert_eq!([Event::from(without), Event::from(with)].map(|event| event.payload()), [old, new]);
}

/// The same of an order.
#[test]
fn an_order_is_read_with_and_without_the_book_it_was_chosen_from() {
    let old = include_str!("golden/OrderIntended.1.json").trim_end();
    let new = include_str!("golden/OrderIntended.1.book.json").trim_end();
    let (without, with) = (read("OrderIntended", 1, old), read("OrderIntended", 1, new));
    let (Event::OrderIntended(without), Event::OrderIntended(with)) = (without, with) else { panic!("they are") };
    let book = with.book.clone().unwrap();
    assert_eq!((book.best_ask(), book.levels()), ("0.00189".parse().unwrap(), 7));
    assert_eq!(OrderIntended { book: Some(book), ..without.clone() }, with);
    assert_eq!(read("OrderIntended", 1, &crossed(new)), without.clone().into(), "the order stands without it");
    assert_eq!([Event::from(without), Event::from(with)].map(|event| event.payload()), [old, new]);
}

/// The commands that they come of are stored as well.
#[test]
fn commands_that_keep_a_book_are_read_to_the_letter() {
    for golden in [include_str!("golden/Decide.command.json"), include_str!("golden/IntendOrder.command.json")] {
        let command: Command = serde_json::from_str(golden).unwrap();
        assert_eq!(serde_json::to_string(&command).unwrap(), golden.trim_end());
        let without: Command = serde_json::from_str(&crossed(golden)).unwrap();
        assert!(!serde_json::to_string(&without).unwrap().contains("asks") && without.name() == command.name());
    }
}

/// O8: an event of a newer schema is refused.
#[test]
fn a_schema_of_the_future_is_refused() {
    let refused = Event::decode("RefundDue", 3, include_str!("golden/RefundDue.2.json")).unwrap_err();
    assert!(refused.to_string().contains("schema 3"), "{refused}");
}
