//! The order book as it was seen at a decision to buy.

use millrace_model::purchase::{Level, SeenBook};

use super::*;

const CAPTION: &str = "The order book as it was seen";

/// Bought upon a book of three levels within its limit, of which the budget reaches two.
fn bought_upon_a_book() -> Vec<Event> {
    let budget = "0.5".parse().unwrap();
    let level =
        |(price, volume): (&str, &str)| Level { price: price.parse().unwrap(), volume: volume.parse().unwrap() };
    let asks = [("0.0018", "100"), ("0.002", "300"), ("0.0021", "12000"), ("0.003", "7")].map(level);
    let limit = "0.00216".parse().unwrap();
    let book = SeenBook::of(1_500, (&asks, "0.00175".parse().ok()), limit, budget).unwrap();
    let mut events = paid();
    for event in &mut events {
        if let Event::StatusWaitBuy(decided) = event {
            *decided = StatusWaitBuy { budget, best_ask: book.best_ask(), book: Some(book.clone()) };
        }
        if let Event::OrderIntended(intended) = event {
            intended.book = Some(book.clone());
        }
    }
    events
}

fn says(page: &str, all: &[&str]) {
    for said in all {
        assert!(page.contains(said), "{said}: {page}");
    }
}

#[tokio::test]
async fn the_book_of_a_decision_is_shown_with_what_the_budget_would_take_and_what_came_of_it() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let id = desk.deposit(1, Some("target"), bought_upon_a_book()).await;
    let path = format!("/console/deposits/{id}");
    let before = visitor.get(&format!("{path}?version=3")).await.shown();
    assert!(!before.contains(CAPTION), "{before}");

    let decided = visitor.get(&format!("{path}?version=4")).await.shown();
    says(
        &decided,
        &[
            CAPTION,
            "1970-01-01 00:00:01.500 UTC",
            "old at the decision",
            "0.00175",
            "0.00005</span> <span class=\"unit\">BTC/SKY</span>, 2.778 % of the cheapest ask",
            "12\u{202f}400.000000</span> <span class=\"unit\">SKY</span> in 3 levels",
            "1 level, <span class=\"num\">12\u{202f}000.000000",
            "for which there was enough in 2 levels",
            "<b><span class=\"num\">160.000000",
            "400.000000",
            "260.000000",
            "+6.838 %",
            "Fills by now",
            "+5.556 %",
            "The book offered 12400.000000 SKY up to 0.00216 BTC, in 3 levels",
        ],
    );
    assert!(!decided.contains("chosen from"), "no order was put down yet: {decided}");
    assert!(!decided.contains("Fills until then") && !decided.contains("0.0021<"), "{decided}");

    let last = visitor.get(&format!("{path}?version=12")).await.shown();
    says(&last, &[CAPTION, "Fills until then", "old when it was put down"]);
    let ordered = visitor.get(&format!("{path}?version=5")).await.shown();
    says(&ordered, &["It was chosen from a book that offered 12400.000000 SKY", "The books that its orders were"]);
    assert!(!last.contains("Fills by now"), "the same is not said twice: {last}");
}

#[tokio::test]
async fn a_decision_of_an_earlier_version_has_no_book_to_show() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let id = desk.deposit(1, Some("target"), paid()).await;
    let page = visitor.get(&format!("/console/deposits/{id}?version=4")).await.shown();
    assert!(page.contains("StatusWaitBuy") && !page.contains(CAPTION), "{page}");
}
