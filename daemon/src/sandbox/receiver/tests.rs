//! The receiver by itself: what it keeps, what it finds of signatures, and how it answers.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use millrace_protocols::webhook::sign::{self, Signer};
use serde_json::json;
use tower::ServiceExt;

use super::*;

const BODY: &str = r#"{"event_type":"Deposit.Confirmed","summary":"<b>"}"#;

fn secret(byte: u8) -> HmacSecret {
    HmacSecret::new(vec![byte; 24]).unwrap()
}

/// A notification signed with a secret, now.
fn signed(id: &str, byte: u8) -> Request<Body> {
    let now_s = clock::now_s();
    let signer = Signer::new(&[sign::Key::Symmetric(secret(byte))], None).unwrap();
    Request::post(HOOK)
        .header("webhook-id", id)
        .header("webhook-timestamp", now_s)
        .header("webhook-signature", signer.signature(id, now_s, BODY.as_bytes()))
        .body(Body::from(BODY))
        .unwrap()
}

async fn status(receiver: &Arc<Receiver>, request: Request<Body>) -> StatusCode {
    router(Arc::clone(receiver), "http://control".to_owned()).oneshot(request).await.unwrap().status()
}

fn shown(receiver: &Receiver) -> Value {
    serde_json::to_value(receiver.show("http://control")).unwrap()
}

#[tokio::test]
async fn what_comes_is_kept_with_what_its_signature_is_worth() {
    let receiver = Arc::new(Receiver::default());
    assert_eq!(status(&receiver, signed("a", 1)).await, 204);
    receiver.learn(&secret(1).reveal()).unwrap();
    for (id, byte) in [("a", 1), ("b", 2)] {
        assert_eq!(status(&receiver, signed(id, byte)).await, 204);
    }
    let shown = shown(&receiver);
    let of =
        |field: &str| shown["received"].as_array().unwrap().iter().map(|one| one[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("signature"), ["unchecked", "right", "wrong: no signature matches"]);
    assert_eq!(of("repeated"), [json!(false), json!(true), json!(false)]);
    assert_eq!((&of("event_type")[0], &of("body")[0]["summary"]), (&json!("Deposit.Confirmed"), &json!("<b>")));
    assert_eq!(shown["url"], "http://control/receiver/hook");
    assert_eq!(receiver.learn("guess"), Err(NoSecret));
}

#[tokio::test]
async fn it_answers_as_it_is_told_for_as_long_as_it_is_told() {
    let receiver = Arc::new(Receiver::default());
    for (with, code) in [(Answer::Error, 500), (Answer::Gone, 410), (Answer::Busy, 429)] {
        receiver.answer(Order { with, times: Some(2) });
        let mut codes = Vec::new();
        for _ in 0..3 {
            codes.push(status(&receiver, signed("a", 1)).await.as_u16());
        }
        assert_eq!(codes, [code, code, 204]);
    }
    receiver.answer(Order { with: Answer::Gone, times: None });
    assert_eq!(receiver.clear(), 9);
    assert_eq!(status(&receiver, signed("a", 1)).await, 204);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_answers_nobody_who_waits_no_longer_than_a_desk() {
    let receiver = Arc::new(Receiver::default());
    receiver.answer(Order { with: Answer::Hang, times: None });
    let waiting = std::time::Duration::from_secs(20);
    assert!(tokio::time::timeout(waiting, status(&receiver, signed("a", 1))).await.is_err());
    assert_eq!(shown(&receiver)["received"][0]["answered"], "hang");
}

#[tokio::test]
async fn a_customers_receiver_proves_that_it_holds_its_secret() {
    let receiver = Arc::new(Receiver::default());
    let question = || Request::get(format!("{HOOK}?crc_token=abc")).body(Body::empty()).unwrap();
    assert_eq!(status(&receiver, question()).await, 404);
    let secret = te::Secret::derive(&[1; 32], b"salt");
    receiver.learn(&secret.reveal()).unwrap();
    let answer = router(Arc::clone(&receiver), String::new()).oneshot(question()).await.unwrap();
    let answer = to_bytes(answer.into_body(), 1_000).await.unwrap();
    assert_eq!(answer, secret.answer("abc").as_bytes());
    let told =
        Request::post(HOOK).header("x-te-signature", secret.sign(BODY.as_bytes())).body(Body::from(BODY)).unwrap();
    assert_eq!(status(&receiver, told).await, 204);
    assert_eq!(shown(&receiver)["received"][0]["signature"], "right");
}

#[tokio::test]
async fn there_is_a_limit_to_what_is_kept_and_taken() {
    let receiver = Arc::new(Receiver::default());
    for _ in 0..=KEPT_MAX {
        receiver.take_in(&Coming { id: None, timestamp: None, signature: None, te_signature: None, body: b"x" });
    }
    let shown = shown(&receiver);
    assert_eq!((shown["received"].as_array().unwrap().len(), &shown["forgotten"]), (KEPT_MAX, &json!(1)));
    assert_eq!((&shown["received"][0]["number"], &shown["received"][0]["body"]), (&json!(2), &json!("x")));
    let large = Request::post(HOOK).body(Body::from(vec![b' '; 65 * 1_024])).unwrap();
    assert_eq!(status(&receiver, large).await, 413);
}

#[tokio::test]
async fn the_page_shows_it_without_running_what_was_sent() {
    let receiver = Arc::new(Receiver::default());
    let told = Request::post(HOOK).body(Body::from(r#"{"event_type":"<script>","simulation":true}"#)).unwrap();
    assert_eq!(status(&receiver, told).await, 204);
    let request = Request::get("/receiver/page").body(Body::empty()).unwrap();
    let answer = router(receiver, String::new()).oneshot(request).await.unwrap();
    let page = String::from_utf8(to_bytes(answer.into_body(), 100_000).await.unwrap().to_vec()).unwrap();
    assert!(page.contains("&lt;script&gt; (simulated)") && !page.contains("<script>"), "{page}");
}
