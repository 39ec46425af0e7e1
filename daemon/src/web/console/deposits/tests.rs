//! The pages of deposits over a real log and real views, as somebody sees them who has logged in.

mod acting;
mod book;
mod finding;
mod travelling;

use std::time::Duration;

use millrace_actors::event_store::{Append, Expected, Write};
use millrace_model::deposit::{
    Bought, Customer, Detected, Event, HoldReason, Method, OrderIntended, OrderObserved, OrderPlaced, PayoutBasis,
    PayoutIntended, PayoutSigned, Sent, StatusWaitBuy, StatusWaitSend,
};
use millrace_model::event;
use millrace_model::ids::{CommandId, DepositId, Hash32, Outpoint, StreamName};
use millrace_model::money::Amount;
use millrace_model::purchase::{ClientOrderId, OrderIntent, OrderObservation, OrderState};

use uuid::Uuid;

use crate::web::console::visitor::Visitor;
use crate::web::operator::tests::{Desk, held, quarantined, received};

const PAYOUT: Hash32 = Hash32([0xcd; 32]);

/// Bought with one order and paid out.
fn paid() -> Vec<Event> {
    let (price, amount) = ("0.002".parse().unwrap(), "250".parse().unwrap());
    let intent =
        OrderIntent { attempt: 1, cid: ClientOrderId::for_attempt("btc", 1), price, quantity: "250".parse().unwrap() };
    let observation = OrderObservation {
        completed: amount,
        avg_price: Some("0.0019".parse().unwrap()),
        fee: "0.0001".parse().unwrap(),
        state: OrderState::Filled,
    };
    let signed = PayoutSigned {
        txid: PAYOUT,
        inner_hash: Hash32([1; 32]),
        inputs: vec![Hash32([2; 32])],
        bytes: "dc00ff".into(),
    };
    let mut events = received();
    events.extend([
        StatusWaitBuy { budget: "0.5".parse().unwrap(), best_ask: price, book: None }.into(),
        OrderIntended { order: intent, book: None }.into(),
        OrderPlaced { order_id: 1_234_567 }.into(),
        OrderObserved { observation }.into(),
        Bought { bought: amount, spent: "0.475".parse().unwrap() }.into(),
        StatusWaitSend { basis: PayoutBasis::Bought, amount, rounding: Amount::ZERO }.into(),
        PayoutIntended { attempt: 1 }.into(),
        Event::PayoutSigned(signed),
        Sent {}.into(),
    ]);
    events
}

/// Stores a deposit by the key of its output, as the scanner does, with a command that may be taken away.
async fn seen(desk: &Desk, number: u128, outpoint: Outpoint) -> DepositId {
    let id = DepositId(Uuid::from_u128(number));
    let customer = Some(Customer { target: "customer".to_owned(), bound_method: Method::Direct });
    let (address, amount) = ("address 9".to_owned(), "1".parse().unwrap());
    let detected = Detected { id, outpoint, address, amount, customer, spends: vec![], coinbase: false };
    let events = vec![event::Event::Deposit(detected.into())];
    let key = Some(format!("btc:{outpoint}"));
    let writes = vec![Write { key, ..Write::new(StreamName::Deposit(id), Expected::Exactly(0), events) }];
    let (command_id, body) = (CommandId::of_fact(&[&id.to_string()]), "\"RecordSent\"".to_owned());
    let append = Append { command_id, command: "RecordSent", body, causation: None, correlation: None, writes };
    let committed = desk.store.append(append).await.unwrap();
    desk.views.caught_up(committed.last, Duration::from_secs(20)).await;
    id
}

#[tokio::test]
async fn deposits_are_listed_newest_first_by_where_they_stand_and_whose_they_are() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    assert!(visitor.get("/console/deposits").await.shown().contains("No deposit yet."));
    let mine = desk.deposit(1, Some("mine"), held(HoldReason::BelowMinimum)).await;
    let theirs = desk.deposit(2, Some("theirs"), received()).await;

    let all = visitor.get("/console/deposits").await.shown();
    let place = |id: &dyn ToString| all.find(&format!("/console/deposits/{}", id.to_string())).unwrap();
    assert!(place(&theirs) < place(&mine), "{all}");
    assert!(all.contains("below minimum") && all.contains("status=held"), "{all}");
    let held = visitor.get("/console/deposits?status=held&q=&target=").await.shown();
    assert!(held.contains(&mine.to_string()) && !held.contains(&theirs.to_string()), "{held}");
    let of_theirs = visitor.get("/console/deposits?target=theirs").await.shown();
    assert!(of_theirs.contains(&theirs.to_string()) && !of_theirs.contains(&mine.to_string()), "{of_theirs}");
    assert!(visitor.get("/console/deposits?status=done").await.shown().contains("None stands there."));
    visitor.get("/console/deposits?status=lost").await.refused(400, "A status is one of pending");
    visitor.get("/console/deposits?after=yesterday").await.refused(400, "is not what this page takes");
}

#[tokio::test]
async fn a_page_leads_to_the_next_one_and_no_deposit_is_lost_between() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    for number in 1..=51 {
        desk.deposit(number, Some("target"), received()).await;
    }
    let first = visitor.get("/console/deposits").await.shown();
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let second = visitor.get(&next.replace("&amp;", "&")).await.shown();
    let rows = |page: &str| page.matches("<th scope=\"row\">").count();
    assert_eq!((rows(&first), rows(&second)), (50, 1), "{second}");
    assert!(second.contains("Newest") && !second.contains("rel=\"next\""), "{second}");
}

#[tokio::test]
async fn one_deposit_is_told_with_its_postings_orders_and_bytes() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let id = desk.deposit(1, Some("target"), paid()).await;
    let page = visitor.get(&format!("/console/deposits/{id}")).await.shown();
    for said in [
        "A payment of 0.5",
        "0.001900000000",
        "1234567",
        "0.0001",
        "dc00ff",
        &PAYOUT.to_string(),
        "deposit addresses",
        "-0.50000000",
        "?version=3",
        "/console/notifications/told/",
        "target=target",
        "/console/log/",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let together = page.split("Together").nth(1).unwrap();
    assert!(together.starts_with("</th><td class=\"n\">0.00000000</td><td class=\"n\">0.000000</td>"), "{together}");
    visitor.get(&format!("/console/deposits/{}", Uuid::from_u128(9))).await.refused(404, "no such deposit");
}

#[tokio::test]
async fn whoever_is_not_logged_in_is_led_to_the_log_in() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await.without_cookie();
    for path in ["/console/deposits", "/console/past", "/console/deposits/x/replay.jsonl"] {
        let answer = visitor.get(path).await;
        assert!(answer.to.is_some_and(|to| to.starts_with("/console/login?")), "{path}");
    }
}
