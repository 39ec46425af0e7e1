//! The whole desk at a moment of its past.

use super::*;
use crate::web::operator::overview::LOOKS_AT_ONCE_MAX;

const PATH: &str = "/operator/v1/overview";

fn count(overview: &Value, name: &str) -> u64 {
    overview[name].as_u64().unwrap_or_else(|| panic!("{name}: {overview}"))
}

#[tokio::test]
async fn the_desk_is_shown_as_it_was_after_a_position_or_at_a_time() {
    let desk = Desk::start().await;
    desk.bind(1).await;
    let id = desk.deposit(1, Some("target"), held(HoldReason::BelowMinimum)).await;
    let between = desk.got(PATH).await;
    let owed = desk.deposit(2, None, quarantined()).await;
    desk.post(&format!("/operator/v1/deposits/{owed}/refund-due"), r#"{"note":"theirs"}"#).await;
    desk.post("/operator/v1/switches/sends", r#"{"setting":"off","note":"wallet moves"}"#).await;
    desk.post("/operator/v1/halt", r#"{"note":"a look"}"#).await;
    let now = desk.got(PATH).await;

    assert_eq!(["position", "head", "open", "deposits", "addresses"].map(|name| count(&now, name)), [11, 11, 2, 2, 1]);
    assert_eq!(now["switches"]["sends"], "off");
    assert_eq!(now["switches"]["halted"], "by an operator: a look");
    let standing = serde_json::json!([
        { "status": "held", "outcome": null, "deposits": 1, "received_btc": "0.50000000", "payout_sky": "0.000000" },
        { "status": "refund_due", "outcome": null, "deposits": 1, "received_btc": "0.50000000", "payout_sky": "0.000000" },
    ]);
    assert_eq!(now["standing"], standing);
    let open = &now["open_deposits"];
    assert_eq!((open[0]["id"].as_str(), open[0]["reason"].as_str()), (Some(&*id.to_string()), Some("below_minimum")));
    assert_eq!((&open[0]["target"], &open[1]["target"]), (&Value::from("target"), &Value::Null));
    let owed = now["balances"].as_array().unwrap().iter().find(|row| row["account"] == "deposit_addresses").unwrap();
    assert_eq!(owed["amount"], "1.00000000", "{now}");

    assert_eq!(["position", "open", "deposits"].map(|name| count(&between, name)), [5, 1, 1]);
    assert_eq!((&between["switches"]["sends"], &between["switches"]["halted"]), (&Value::from("on"), &Value::Null));
    // What it was then does not change, but for how far the log reaches now.
    for query in ["position=5".to_owned(), format!("position=5&at={}", now["recorded_at"].as_str().unwrap())] {
        let mut then = desk.got(&format!("{PATH}?{query}")).await;
        assert_eq!(std::mem::replace(&mut then["head"], between["head"].clone()), 11);
        assert_eq!(then, between, "{query}");
    }
    let recorded_at = now["recorded_at"].as_str().unwrap();
    for query in [format!("at={recorded_at}"), "at=2999-01-01T00:00:00Z".to_owned(), "position=11".to_owned()] {
        assert_eq!(desk.got(&format!("{PATH}?{query}")).await, now, "{query}");
    }
    for query in ["position=0", "at=2000-01-01T00:00:00Z"] {
        let nothing = desk.got(&format!("{PATH}?{query}")).await;
        assert_eq!(["position", "open", "deposits", "addresses"].map(|name| count(&nothing, name)), [0; 4], "{query}");
        assert_eq!((&nothing["recorded_at"], &nothing["balances"]), (&Value::Null, &serde_json::json!([])));
    }
}

#[tokio::test]
async fn open_deposits_come_in_pages_that_tell_how_many_more_there_are() {
    let desk = Desk::start().await;
    for number in 1..=5 {
        desk.deposit(number, Some("target"), received()).await;
    }
    let position = desk.store.head();
    let (mut after, mut seen) = (String::new(), Vec::new());
    for (rows, more) in [(2, 3), (2, 1), (1, 0)] {
        let page = desk.got(&format!("{PATH}?position={position}&limit=2{after}")).await;
        let ids = page["open_deposits"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
        seen.extend(ids);
        assert_eq!((count(&page, "open"), count(&page, "more")), (5, more));
        assert_eq!(page["open_deposits"].as_array().unwrap().len(), rows);
        assert_eq!(page.get("next").is_some(), more > 0, "{page}");
        after = page.get("next").map_or_else(String::new, |next| format!("&after={}", next.as_str().unwrap()));
        // One more does not come into pages of a moment before it.
        desk.deposit(100 + u128::from(more), Some("target"), received()).await;
    }
    let expected: Vec<_> = (1..=5).map(|number| DepositId(Uuid::from_u128(number)).to_string()).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_moment_that_is_not_there_yet_is_a_404_and_nonsense_a_400() {
    let desk = Desk::start().await;
    desk.bind(1).await;
    for (query, status, code) in [
        ("position=2", 404, "unknown_moment"),
        ("position=9223372036854775807", 404, "unknown_moment"),
        ("position=9223372036854775808", 400, "invalid_query"),
        ("position=-1", 400, "invalid_query"),
        ("at=yesterday", 400, "invalid_query"),
        ("after=1", 400, "invalid_query"),
        ("limit=0", 400, "invalid_query"),
        ("version=1", 400, "invalid_query"),
    ] {
        let (found, problem) = desk.get(&format!("{PATH}?{query}")).await;
        assert_eq!((found.as_u16(), problem["code"].as_str()), (status, Some(code)), "{query}: {problem}");
    }
    let message = desk.get(&format!("{PATH}?position=2")).await.1["message"].as_str().unwrap().to_owned();
    assert!(message.contains("there is no position 2: the log ends at 1"), "{message}");
}

#[tokio::test]
async fn who_looks_while_as_many_look_as_may_is_told_to_come_again() {
    let desk = Desk::start().await;
    desk.bind(1).await;
    let looks = Arc::clone(&desk.state.looks).try_acquire_many_owned(LOOKS_AT_ONCE_MAX as u32).unwrap();
    let refused = desk.ask(Request::get(PATH), "").await;
    assert_eq!(refused.headers()["retry-after"], "1");
    let (status, problem) = answer(refused).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (503, Some("busy")));
    drop(looks);
    for _ in 0..=LOOKS_AT_ONCE_MAX {
        assert_eq!(count(&desk.got(PATH).await, "position"), 1, "a look gives its place back");
    }
}
