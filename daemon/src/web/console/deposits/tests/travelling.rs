//! A deposit, and the whole desk, as they were.

use super::*;

#[tokio::test]
async fn a_deposit_is_shown_as_any_of_its_events_left_it() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let id = desk.deposit(1, Some("target"), paid()).await;
    let path = format!("/console/deposits/{id}");
    let early = visitor.get(&format!("{path}?version=2")).await.shown();
    for said in [
        "as it was",
        "data-follows=\"\"",
        "rel=\"prev\"",
        "rel=\"next\"",
        "max=\"12\"",
        "value=\"2\"",
        "<del>unconfirmed",
        "<ins>7",
        "sighting.mined.height",
        "pending",
        "Nothing is posted yet",
    ] {
        assert!(early.contains(said), "{said}: {early}");
    }
    assert!(!early.contains("class=\"act\""), "the past is not acted upon");
    let first = visitor.get(&format!("{path}?version=1")).await.shown();
    assert!(!first.contains("rel=\"prev\"") && first.contains("rel=\"next\""), "{first}");
    let last = visitor.get(&format!("{path}?at=2999-01-01T00:00")).await.shown();
    assert!(last.contains("rel=\"prev\"") && !last.contains("rel=\"next\""), "{last}");
    visitor.get(&format!("{path}?version=13")).await.refused(404, "it ends at version 12");
    visitor.get(&format!("{path}?at=2000-01-01T00:00")).await.refused(404, "it begins with version 1");
    visitor.get(&format!("{path}?at=yesterday")).await.refused(400, "A time is written as");
    visitor.get(&format!("{path}?version=-1")).await.refused(400, "is not what this page takes");
}

#[tokio::test]
async fn a_deposit_is_taken_away_as_a_replay_file_with_and_without_what_tells_of_a_person() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let id = seen(&desk, 1, Outpoint { txid: PAYOUT, index: 0 }).await;
    let path = format!("/console/deposits/{id}/replay.jsonl");
    let whole = visitor.get(&path).await.shown();
    assert!(whole.contains("millrace-export") && whole.contains("\"target\":\"customer\""), "{whole}");
    assert_eq!(whole.lines().filter(|line| line.starts_with("{\"event\"")).count(), 1, "{whole}");
    let redacted = visitor.get(&format!("{path}?redact=true")).await.shown();
    assert!(!redacted.contains("customer\"}") && !redacted.contains("address 9"), "{redacted}");
    assert!(redacted.contains(&id.to_string()) && !redacted.contains(&PAYOUT.to_string()), "{redacted}");
}

#[tokio::test]
async fn what_cannot_be_taken_away_is_a_sentence() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let path = |id: DepositId| format!("/console/deposits/{id}/replay.jsonl");
    visitor.get(&path(DepositId(Uuid::from_u128(9)))).await.refused(404, "no such deposit");
    // The tests' own command is none that anybody has classified.
    let id = desk.deposit(1, Some("target"), received()).await;
    let answer = visitor.get(&format!("{}?redact=true", path(id))).await;
    answer.refused(409, "It cannot be written down: position 1 cannot be redacted");
    visitor.get(&format!("{}?redact=maybe", path(id))).await.refused(400, "is not what this page takes");
}

#[tokio::test]
async fn the_whole_desk_is_shown_as_it_was_and_what_is_another_now() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let id = desk.deposit(1, Some("target"), held(HoldReason::BelowMinimum)).await;
    desk.deposit(2, Some("target"), received()).await;
    let release = [("version", "4"), ("note", "go")];
    assert_eq!(visitor.post(1, &format!("/console/deposits/{id}/release"), &release).await.status, 303);

    let then = visitor.get("/console/past?position=4").await.shown();
    for said in ["position 4", "of 8 now", "1 deposit, 1 of them open", "below minimum", "0.50000000", "max=\"8\""] {
        assert!(then.contains(said), "{said}: {then}");
    }
    let since = then.split("What is another now").nth(1).unwrap();
    assert!(since.contains("0.50000000</span>") && since.contains("1.00000000</span>"), "{since}");
    assert!(
        !since.contains("<del>") && !since.contains("<ins>"),
        "a mark of a change reads as a sign of money: {since}"
    );
    assert!(since.contains("not seen yet") && since.contains(&id.to_string()), "{since}");
    assert!(visitor.get("/console/past?position=0").await.shown().contains("Before the first event."));
    assert!(visitor.get("/console/past").await.shown().contains("Nothing: this is now."));
    assert!(visitor.get("/console/past?at=2999-01-01T00:00").await.shown().contains("this is now"));
    visitor.get("/console/past?position=9").await.refused(404, "the log ends at 8");
    visitor.get("/console/past?at=never").await.refused(400, "A time is written as");
}
