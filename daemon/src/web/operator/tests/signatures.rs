//! Whether what somebody received was signed for a webhook.

use millrace_actors::clock::Clock;
use millrace_protocols::webhook::sign::{Key, Signer};
use serde_json::json;

use super::*;

const WEBHOOKS: &str = "/operator/v1/notifications/webhooks";
const VERIFY: &str = "/operator/v1/notifications/verify-webhook-signature";
const BODY: &str = "{\"id\": 1,\u{20ac}}";

fn received(id: &Value, secret: &str, timestamp_s: i64) -> Value {
    let signer = Signer::new(&[Key::Symmetric(secret.parse().unwrap())], None).unwrap();
    let signature = signer.signature("msg", timestamp_s.try_into().unwrap(), BODY.as_bytes());
    json!({
        "webhook_id": id,
        "transmission_id": "msg",
        "transmission_time": timestamp_s.to_string(),
        "transmission_sig": signature,
        "webhook_event": BODY,
    })
}

impl Desk {
    /// The status, the reason, and whether the signature matches.
    async fn verified(&self, received: &Value) -> (String, String, bool) {
        let (status, found) = self.post(VERIFY, &received.to_string()).await;
        assert_eq!(status, 200, "{found}");
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        (text("verification_status"), text("reason"), found["signature_matches"].as_bool().unwrap())
    }
}

#[tokio::test]
async fn what_was_signed_for_a_webhook_is_told_from_everything_else() {
    let desk = Desk::start().await;
    let (_, made) = desk.post(WEBHOOKS, r#"{"url":"https://shop.example/","events":[{"name":"*"}]}"#).await;
    let (id, secret) = (&made["id"], made["secret"].as_str().unwrap());
    let now_s = SystemClock.now().timestamp();
    let right = received(id, secret, now_s);
    let success = ("SUCCESS".to_owned(), String::new(), true);
    assert_eq!(desk.verified(&right).await, success);
    let failure = |reason: &str, matches| ("FAILURE".to_owned(), reason.to_owned(), matches);
    for (field, value) in [("transmission_id", "other"), ("transmission_sig", "v1,"), ("webhook_event", "{}")] {
        let mut wrong = right.clone();
        wrong[field] = json!(value);
        assert_eq!(desk.verified(&wrong).await, failure("no signature matches", false), "{field}");
    }
    let old = received(id, secret, now_s - 400);
    assert_eq!(desk.verified(&old).await, failure("the timestamp is more than 300 s ago", true));
    let mut forged = old;
    forged["webhook_event"] = json!("{}");
    assert_eq!(desk.verified(&forged).await, failure("the timestamp is more than 300 s ago", false));
    let mut bare = right.clone();
    bare["transmission_time"] = Value::Null;
    assert_eq!(desk.verified(&bare).await, failure("the timestamp is no number of seconds", false));

    let (_, rotated) = desk.post(&format!("{WEBHOOKS}/{}/rotate", id.as_str().unwrap()), r#"{"keep_hours":1}"#).await;
    assert_eq!(desk.verified(&right).await, success, "a secret that goes on to sign goes on to verify");
    assert_eq!(desk.verified(&received(id, rotated["secret"].as_str().unwrap(), now_s)).await, success);
}

#[tokio::test]
async fn of_a_customers_webhook_it_is_the_other_header() {
    let desk = Desk::start().await;
    let customer = millrace_model::subscription::customer_hash("target");
    let url = "https://shop.example/".to_owned();
    let known = desk.state.subscriptions.subscribe_customer(customer, url).await.unwrap();
    let secret = known.endpoint.as_ref().unwrap().te_secret.clone().unwrap();
    let secret = millrace_protocols::webhook::te::Secret::from_hex(&secret).unwrap();
    let received = |signature: String| json!({ "webhook_id": known.subscription.id, "transmission_sig": signature, "webhook_event": BODY });
    assert_eq!(desk.verified(&received(secret.sign(BODY.as_bytes()))).await.0, "SUCCESS");
    assert_eq!(desk.verified(&received(secret.sign(b"{}"))).await.0, "FAILURE");
}

#[tokio::test]
async fn it_is_asked_within_limits_and_of_a_webhook_that_there_is() {
    let desk = Desk::start().await;
    let body = |event: String| {
        json!({ "webhook_id": Uuid::nil(), "transmission_sig": "v1,", "webhook_event": event }).to_string()
    };
    assert_eq!(desk.post(VERIFY, &body(String::new())).await.1["code"], "unknown_webhook");
    assert_eq!(desk.post(VERIFY, &body("x".repeat(17_000))).await.1["code"], "body_too_large");
}
