//! What came of holding the places against the books, on its pages.

use millrace_actors::operations::{Note, Transfer};
use millrace_model::desk::{
    Coins, Difference, Event as DeskEvent, HaltCause, Halted, Place, Resumed, Setting, SpendsMatched, Switch,
    TransferDeclared, TransferKind,
};
use millrace_model::event::Event;
use millrace_model::ids::{Hash32, StreamName};
use millrace_model::ledger::Ticker;
use millrace_model::operator::{Action, By, OperatorActed};
use millrace_model::spend::Spend;

use super::super::visitor::Visitor;
use crate::web::operator::tests::Desk;

async fn desk_of(events: Vec<DeskEvent>) -> (Desk, Visitor) {
    let desk = Desk::start().await;
    desk.append(StreamName::Desk, events.into_iter().map(Event::Desk).collect()).await;
    let visitor = Visitor::of(&desk).await;
    (desk, visitor)
}

fn halted(cause: HaltCause) -> DeskEvent {
    Halted { cause }.into()
}

fn matched(block_seq: u64) -> DeskEvent {
    SpendsMatched { block_seq }.into()
}

/// Nothing of the places.
fn acted() -> DeskEvent {
    OperatorActed { by: By::Token, action: Action::RestartPart, subject: None, note: None }.into()
}

#[tokio::test]
async fn before_anything_was_found_the_page_says_so_and_how_often_it_looks() {
    let desk = Desk::start().await;
    let page = Visitor::of(&desk).await.get("/console/money").await.shown();
    for said in [
        "since it was started no look was compared",
        "Nothing has come of them yet",
        "looks at each place again and again",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
}

#[tokio::test]
async fn what_was_found_is_shown_with_its_numbers_and_its_event() {
    let difference = Difference {
        place: Place::HotWallet,
        coin: Ticker::Sky,
        booked: 9_000_000,
        in_flight: 1_000_000,
        found: 5_000_000,
    };
    let spend = Spend { txid: Hash32([7; 32]), block_seq: 512, coins: "2".parse().unwrap() };
    let opening = TransferDeclared {
        kind: TransferKind::Opening,
        place: Place::Exchange,
        coins: Coins::Btc("1.5".parse().unwrap()),
        note: "what <i>was</i> there".to_owned(),
    };
    let (_desk, visitor) = desk_of(vec![
        opening.into(),
        halted(HaltCause::Missing { differences: vec![difference] }),
        Resumed { note: "found".to_owned() }.into(),
        halted(HaltCause::StraySpends { spends: vec![spend] }),
        halted(HaltCause::Operator { note: "by hand".to_owned() }),
        matched(768),
    ])
    .await;
    let page = visitor.get("/console/money/rounds").await.shown();
    let rows: Vec<_> = page.split("<tr>").filter(|row| row.contains("href=\"/console/log/")).collect();
    let told: [(&str, &[&str]); 4] = [
        ("6", &["fits", "every spend up to block 768"]),
        ("4", &["no payout", "-2.000000", "block 512"]),
        ("2", &["less than booked", "9.000000", "1.000000", "5.000000", "-3.000000"]),
        ("1", &["exchange", "1.50000000", "declared as found", "what &lt;i&gt;was&lt;/i&gt; there"]),
    ];
    assert_eq!(rows.len(), told.len(), "the newest first, and nothing else: {page}");
    for (row, (position, said)) in rows.iter().zip(told) {
        assert!(row.contains(&format!("/console/log/{position}\"")), "{position}: {row}");
        said.iter().for_each(|said| assert!(row.contains(said), "{said}: {row}"));
    }
    assert!(visitor.get("/console/money").await.shown().contains("-3.000000"));
}

#[tokio::test]
async fn older_ones_are_a_page_further_whatever_else_is_between() {
    // Longer ago than one page looks at.
    let mut events: Vec<_> = (1..=5).map(matched).collect();
    events.extend((0..2_100).map(|_| acted()));
    events.extend((101..=140).map(matched));
    let (_desk, visitor) = desk_of(events).await;
    let (mut path, mut seen) = ("/console/money/rounds".to_owned(), Vec::new());
    loop {
        let page = visitor.get(&path).await.shown();
        let rows: Vec<_> =
            page.split("up to block ").skip(1).map(|rest| rest.split(' ').next().unwrap().to_owned()).collect();
        seen.push(rows.len());
        let Some((_, next)) = page.split_once("rel=\"next\" href=\"") else { break };
        path = next.split('"').next().unwrap().to_owned();
    }
    assert_eq!(seen, [30, 10, 5], "each once, of which the middle page gave up looking");
    let books = visitor.get("/console/money").await.shown();
    assert_eq!(books.matches("up to block ").count(), 10, "the books' page begins with a few: {books}");
    assert!(books.contains("/console/money/rounds?before=2136\""), "and leads on behind them: {books}");
    let far = visitor.get(&format!("/console/money/rounds?before={}", u64::MAX)).await.shown();
    assert!(far.contains("up to block 140"), "{far}");
    assert!(visitor.get("/console/money/rounds?before=1").await.shown().contains("There is nothing older"));
}

#[tokio::test]
async fn each_brake_says_by_whom_since_when_and_why_it_stands_so() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let posts = [("halt", "a strange order"), ("switches/sends/off", "the wallet moves")];
    for (form, (path, note)) in (1..).zip(posts) {
        let answer = visitor.post(form, &format!("/console/money/{path}"), &[("note", note)]).await;
        assert_eq!(answer.to.as_deref(), Some("/console/money"), "{}", answer.text);
    }
    let coins = Coins::Sky("5".parse().unwrap());
    let transfer = Transfer { kind: TransferKind::Refill, place: Place::HotWallet, coins };
    let note = Note::new("from the vault").unwrap();
    desk.state.operations.declare(transfer, note, None, Some(By::Token)).await.unwrap();
    let mut switches = desk.state.operations.switches();
    switches.wait_for(|desk| desk.setting(Switch::Sends) == Setting::Off).await.unwrap();
    let page = visitor.get("/console/money").await.shown();
    let (brakes, listed) = page.split_once("Who set what, and why").unwrap();
    let listed = listed.split_once("</ul>").unwrap().0;
    for (row, why, position) in
        [("Halt of all orders and payouts", "a strange order", 1), ("Payouts", "the wallet moves", 2)]
    {
        let row = brakes.split("<tr>").find(|part| part.contains(&format!(">{row}</th>"))).unwrap();
        for said in [why, "operator operator", &format!("/console/log/{position}\"")] {
            assert!(row.contains(said), "{said}: {row}");
        }
    }
    assert!(listed.contains("operator operator: Halted: a strange order"), "{listed}");
    assert!(listed.contains("operator operator: Payouts turned off: the wallet moves"), "{listed}");
    assert!(!listed.contains("vault"), "a transfer is no brake: {listed}");
}
