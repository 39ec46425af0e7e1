//! Messages to a bot server that answers as Telegram's does.

use chrono::DateTime;
use millrace_model::notification::NotificationType;
use millrace_protocols::delivery::verdict::Outcome;
use serde_json::{Value, json};

use super::super::super::sink::{Reply, Sink};
use super::super::people::tell;
use super::*;
use crate::clock::ManualClock;

const NOW_S: i64 = 1_790_000_000;
const TOKEN: &str = "42:secret-of-the-bot";

fn says(status: u16, body: &Value) -> Reply {
    let body = body.to_string();
    Reply::Bytes(format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

async fn told(reply: Reply) -> (Outcome, String, Sink) {
    let server = Sink::start(move |_| reply.clone()).await;
    let telegram = Telegram::new(&format!("http://{}", server.address), TOKEN).unwrap();
    let body = NotificationType::DepositConfirmed.example().to_string();
    let words = Words::read(body.as_bytes(), None).unwrap();
    let clock = ManualClock::new(DateTime::from_timestamp(NOW_S, 0).unwrap());
    let to = Destination::Telegram { chat: Chat::Id(-100) };
    let ended = tell(&telegram, &to, &words, &clock).await;
    (ended.outcome, ended.error.unwrap_or_default(), server)
}

#[tokio::test]
async fn a_message_is_the_words_to_the_chat() {
    let (outcome, _, mut server) = told(says(200, &json!({ "ok": true, "result": { "message_id": 1 } }))).await;
    assert_eq!(outcome, Outcome::Accepted);
    let received = server.next().await;
    assert_eq!(received.line, format!("POST /bot{TOKEN}/sendMessage HTTP/1.1"));
    let body: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!(body["chat_id"], json!(-100));
    assert!(body["text"].as_str().unwrap().starts_with("Your deposit of 0.50000000 BTC is received.\n"));
}

#[tokio::test]
async fn who_is_asked_to_wait_waits_that_long() {
    let body = json!({ "ok": false, "description": "Too Many Requests", "parameters": { "retry_after": 7 } });
    let (outcome, ..) = told(says(429, &body)).await;
    let retry_at_ms = u64::try_from((NOW_S + 7) * 1_000).ok();
    assert_eq!(outcome, Outcome::Refused(Refusal::ForNow { retry_at_ms }));
}

#[tokio::test]
async fn a_chat_that_does_not_want_the_bot_is_gone() {
    for (status, description) in [(403, "Forbidden: bot was blocked by the user"), (400, "Bad Request: chat not found")]
    {
        let (outcome, error, _) = told(says(status, &json!({ "ok": false, "description": description }))).await;
        assert_eq!((outcome, error.as_str()), (Outcome::Refused(Refusal::Receiver), description));
    }
}

#[tokio::test]
async fn other_trouble_is_tried_again_and_never_says_the_token() {
    let unauthorized = says(401, &json!({ "ok": false, "description": "Unauthorized" }));
    for reply in [unauthorized, says(502, &json!("x")), Reply::Close, Reply::Bytes("nonsense\r\n\r\n".to_owned())] {
        let (outcome, error, _) = told(reply.clone()).await;
        let is_retried = matches!(outcome, Outcome::Failed(_) | Outcome::Refused(Refusal::ForNow { .. }));
        assert!(is_retried, "{reply:?} {outcome:?}");
        assert!(!error.is_empty() && !error.contains("secret"), "{error}");
    }
}
