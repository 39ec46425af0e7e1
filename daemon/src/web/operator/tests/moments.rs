//! A deposit at a moment of its past.

use super::*;

#[tokio::test]
async fn a_deposit_is_shown_as_it_was_after_a_version_or_at_a_time() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, Some("target"), held(HoldReason::BelowMinimum)).await;
    let path = format!("/operator/v1/deposits/{id}/state");
    let newest = desk.got(&path).await;
    assert_eq!((newest["version"].as_u64(), newest["position"].as_u64()), (Some(4), Some(4)));
    assert_eq!(newest["id"], id.to_string());
    assert_eq!(newest["state"]["stage"]["held"]["reason"], "below_minimum");
    assert_eq!(newest["state"]["stage"]["held"]["interrupted"], "wait_decide");

    let early = desk.got(&format!("{path}?version=2")).await;
    assert_eq!((early["version"].as_u64(), early["state"]["stage"].as_str()), (Some(2), Some("pending")));
    assert_eq!(early["state"]["sighting"]["mined"]["height"], 7);
    let recorded_at = newest["recorded_at"].as_str().unwrap();
    for query in [format!("at={recorded_at}"), "at=2999-01-01T00:00:00Z".to_owned(), "version=4".to_owned()] {
        assert_eq!(desk.got(&format!("{path}?{query}")).await, newest, "{query}");
    }
    assert_eq!(desk.got(&format!("{path}?at=2999-01-01T00:00:00Z&version=2")).await, early);
}

#[tokio::test]
async fn a_moment_that_never_was_is_a_404_and_nonsense_a_400() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, Some("target"), received()).await;
    for (path, status, code) in [
        (format!("{id}/state?version=4"), 404, "unknown_moment"),
        (format!("{id}/state?version=0"), 404, "unknown_moment"),
        (format!("{id}/state?at=2000-01-01T00:00:00Z"), 404, "unknown_moment"),
        (format!("{}/state", Uuid::from_u128(9)), 404, "unknown_deposit"),
        ("nonsense/state".to_owned(), 404, "not_found"),
        (format!("{id}/state?version=-1"), 400, "invalid_query"),
        (format!("{id}/state?at=yesterday"), 400, "invalid_query"),
        (format!("{id}/state?when=now"), 400, "invalid_query"),
    ] {
        let (found, problem) = desk.get(&format!("/operator/v1/deposits/{path}")).await;
        assert_eq!((found.as_u16(), problem["code"].as_str()), (status, Some(code)), "{path}: {problem}");
    }
}
