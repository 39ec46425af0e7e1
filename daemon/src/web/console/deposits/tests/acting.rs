//! What is done to a deposit by its page.

use super::*;

fn offers(page: &str) -> Vec<&str> {
    page.split("<details class=\"act\" id=\"act-").skip(1).filter_map(|act| act.split('"').next()).collect()
}

#[tokio::test]
async fn what_the_rules_allow_is_offered_and_nothing_else() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    for (number, events, expected) in [
        (1, received(), vec!["hold"]),
        (2, held(HoldReason::BelowMinimum), vec!["release", "refund-due"]),
        (3, paid(), vec![]),
    ] {
        let id = desk.deposit(number, Some("target"), events).await;
        let page = visitor.get(&format!("/console/deposits/{id}")).await.shown();
        assert_eq!(offers(&page), expected);
        assert!(page.contains(&format!("Not possible now ({})", 4 - expected.len())), "{page}");
    }
}

#[tokio::test]
async fn an_action_is_an_event_with_who_and_why_and_a_second_click_does_nothing() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let id = desk.deposit(1, Some("target"), held(HoldReason::BelowMinimum)).await;
    let page = format!("/console/deposits/{id}");
    let fields = [("version", "4"), ("note", "a friend")];
    for _ in 0..2 {
        let answer = visitor.post(1, &format!("{page}/release"), &fields).await;
        assert_eq!((answer.status.as_u16(), answer.to.as_deref()), (303, Some(&*page)), "{}", answer.text);
    }
    assert_eq!(desk.store.head(), 5);
    let shown = visitor.get(&page).await.shown();
    assert!(shown.contains("asked for by operator operator") && shown.contains("a friend"), "{shown}");
    assert!(shown.contains("wait decide"), "{shown}");
}

#[tokio::test]
async fn nothing_is_done_to_a_deposit_that_has_moved_on() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let id = desk.deposit(1, Some("target"), received()).await;
    let to = |word: &str| format!("/console/deposits/{id}/{word}");
    assert_eq!(visitor.post(1, &to("hold"), &[("version", "3"), ("note", "look")]).await.status, 303);
    // Somebody else's page is of before: the desk's rules would allow each of these by now, or not.
    for (form, word) in [(2, "hold"), (3, "release"), (4, "refund-due")] {
        let answer = visitor.post(form, &to(word), &[("version", "3"), ("note", "look")]).await;
        answer.refused(409, "It has moved on: you saw it after 3 events, and it has 4 by now. Nothing was done");
    }
    assert_eq!(desk.store.head(), 4);
    assert_eq!(visitor.post(5, &to("release"), &[("version", "4"), ("note", "fine")]).await.status, 303);
}

#[tokio::test]
async fn a_form_that_says_too_little_or_too_much_does_nothing_and_says_so() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let id = desk.deposit(1, None, quarantined()).await;
    let to = |word: &str| format!("/console/deposits/{id}/{word}");
    let long = "x".repeat(201);
    for (form, word, fields, status, says) in [
        (1, "refund-due", vec![("version", "3"), ("note", " ")], 422, "a note says why"),
        (2, "refund-due", vec![("version", "3"), ("note", &long)], 422, "a note has at most 200 characters"),
        (3, "refund-due", vec![("note", "theirs")], 422, "missing field"),
        (4, "hold", vec![("version", "3"), ("note", "look")], 409, "The desk's rules forbid it"),
        (5, "refunded", vec![("version", "3"), ("note", "paid"), ("txid", "ab")], 422, "64 hexadecimal digits"),
        (6, "burn", vec![("version", "3"), ("note", "look")], 404, "There is no such action."),
    ] {
        visitor.post(form, &to(word), &fields).await.refused(status, says);
    }
    assert_eq!(desk.store.head(), 3);
    assert_eq!(visitor.post(7, &to("refund-due"), &[("version", "3"), ("note", "theirs")]).await.status, 303);
    let txid = "ab".repeat(32);
    let paid = [("version", "4"), ("note", "by hand"), ("txid", &*txid)];
    assert_eq!(visitor.post(8, &to("refunded"), &paid).await.status, 303);
    let shown = visitor.get(&format!("/console/deposits/{id}")).await.shown();
    assert!(shown.contains("refunded") && shown.contains(&txid), "{shown}");
}
