//! Examples sent to a receiver, and to whom none is.

use axum::routing::post;
use tokio::task::JoinSet;

use super::*;

const WEBHOOKS: &str = "/operator/v1/notifications/webhooks";
const SIMULATE: &str = "/operator/v1/notifications/simulate-event";

/// Somebody who answers 418 with what he was sent.
async fn echo() -> (String, JoinSet<()>) {
    let router = Router::new().route("/hook", post(async |body: String| (StatusCode::IM_A_TEAPOT, body)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, tasks)
}

#[tokio::test]
async fn an_example_is_sent_once_and_cannot_be_taken_for_a_notification() {
    let (desk, (url, _server)) = (Desk::start().await, echo().await);
    let body = format!(r#"{{"url":"{url}","events":[{{"name":"Desk.*"}}]}}"#);
    let id = desk.post(WEBHOOKS, &body).await.1["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.post(&format!("{WEBHOOKS}/{id}/pause"), "").await.0, 200);
    let wanted = format!(r#"{{"webhook_id":"{id}","event_type":"Deposit.Confirmed","resource_version":"1.0"}}"#);
    let (status, sent) = desk.post(SIMULATE, &wanted).await;
    assert_eq!(
        (status.as_u16(), sent["outcome"].as_str()),
        (202, Some("status")),
        "a paused one is tried, too: {sent}"
    );
    assert_eq!((sent["status"].as_u64(), sent["recorded"].as_bool()), (Some(418), Some(false)));
    let arrived: Value = serde_json::from_str(sent["answer"].as_str().unwrap()).unwrap();
    assert_eq!((&arrived, &arrived["simulation"]), (&sent["event"], &Value::Bool(true)));
    assert_eq!((&arrived["id"], arrived["event_type"].as_str()), (&sent["id"], Some("Deposit.Confirmed")));
    let of = |path: String| async move { desk.get(&path).await.1 };
    let shown = of(format!("/operator/v1/notifications/webhooks-events/{}", sent["id"].as_str().unwrap())).await;
    assert_eq!(shown["code"], "unknown_notification", "{shown}");
}

#[tokio::test]
async fn an_address_is_tried_without_a_webhook_and_what_went_wrong_is_said() {
    let desk = Desk::start().await;
    let wanted = r#"{"url":"http://127.0.0.1:1/","event_type":"Desk.Halted"}"#;
    let (status, sent) = desk.post(SIMULATE, wanted).await;
    assert_eq!((status.as_u16(), sent["outcome"].as_str()), (202, Some("connect")), "{sent}");
    assert!(sent["error"].as_str().unwrap().contains("refused"), "{sent}");
    assert_eq!((&sent["webhook_id"], &sent["links"]), (&Value::Null, &serde_json::json!([])));
}

#[tokio::test]
async fn nothing_is_sent_to_who_proved_nothing_or_where_nothing_may_be_sent() {
    let desk = Desk::start().await;
    let customer = millrace_model::subscription::customer_hash("target");
    let url = "https://shop.example/".to_owned();
    let known = desk.state.subscriptions.subscribe_customer(customer, url).await.unwrap();
    let unproved = format!(r#""webhook_id":"{}""#, known.subscription.id);
    let stranger = format!(r#""webhook_id":"{}""#, Uuid::nil());
    for (what, kind, code) in [
        (unproved.as_str(), "Desk.Halted", "not_proved"),
        (&stranger, "Desk.Halted", "unknown_webhook"),
        (r#""url":"http://10.0.0.1/""#, "Desk.Halted", "invalid_url"),
        (r#""url":"https://me:x@shop.example/""#, "Desk.Halted", "invalid_url"),
        (r#""url":"https://shop.example/""#, "Desk.*", "unknown_event_type"),
        (r#""url":"https://shop.example/","resource_version":"2.0""#, "Desk.Halted", "invalid_simulation"),
        (&format!(r#"{stranger},"url":"https://shop.example/""#), "Desk.Halted", "invalid_simulation"),
        (r#""url":null"#, "Desk.Halted", "invalid_simulation"),
    ] {
        let (_, problem) = desk.post(SIMULATE, &format!(r#"{{{what},"event_type":"{kind}"}}"#)).await;
        assert_eq!(problem["code"], code, "{what}: {problem}");
    }
}
