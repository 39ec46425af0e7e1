//! The history of everybody.

use super::*;
use millrace_model::desk::{HaltCause, Halted};

#[tokio::test]
async fn an_operator_reads_the_history_of_all_and_of_one() {
    let desk = Desk::start().await;
    desk.bind(1).await;
    desk.deposit(1, Some("target"), received()).await;
    desk.deposit(2, None, quarantined()).await;
    let cause = HaltCause::Operator { note: String::new() };
    desk.append(StreamName::Desk, vec![Event::Desk(Halted { cause }.into())]).await;
    let states = |rows: &Value| {
        let states = rows.as_array().unwrap().iter().map(|row| row["SubmitState"].as_str().unwrap().to_owned());
        states.collect::<Vec<_>>()
    };
    assert_eq!(states(&desk.got("/operator/v1/history").await), ["pending_manual", "success"]);
    let all = desk.got("/operator/v1/history?cursor=").await;
    assert_eq!(all.as_array().unwrap().len(), 6, "what is about the desk is no row of it: {all}");
    assert_eq!(states(&desk.got("/operator/v1/history?user=target").await), ["success"]);
    let (status, problem) = desk.get("/operator/v1/history?event=Desk.*").await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (400, Some("invalid_query")));

    let types = desk.got("/operator/v1/event-types").await;
    assert_eq!(types["event_types"].as_array().unwrap().len(), 17);
    assert_eq!(desk.got("/operator/v1/event-types/Desk.Halted").await["resource_versions"], serde_json::json!(["1.0"]));
    assert_eq!(desk.get("/operator/v1/event-types/Desk.Part_Late").await.0, 404);
}

/// Whoever reads on with a cursor of a log that is not there any more is told so, and does not miss what came instead.
#[tokio::test]
async fn a_cursor_of_a_log_that_was_put_back_is_refused() {
    let (one, other) = (Desk::start().await, Desk::start().await);
    for (desk, number) in [(&one, 1), (&other, 2)] {
        desk.deposit(number, Some("target"), received()).await;
    }
    let next = |response: http::Response<Body>| response.headers()["x-next-cursor"].to_str().unwrap().to_owned();
    let of_one = next(one.ask(Request::get("/operator/v1/history?cursor="), "").await);
    assert_eq!(one.get(&format!("/operator/v1/history?cursor={of_one}")).await.0, 200);
    let (status, problem) = other.get(&format!("/operator/v1/history?cursor={of_one}")).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (400, Some("foreign_cursor")), "{problem}");
}
