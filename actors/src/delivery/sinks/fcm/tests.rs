//! Messages to a stand-in of Google's two servers, which looks at the signature with the account's public key.

use std::collections::VecDeque;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta};
use millrace_model::notification::NotificationType;
use millrace_protocols::delivery::verdict::Outcome;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::super::super::sink::Reply as Said;
use super::super::super::sink::{Received, Sink};
use super::super::people::tell;
use super::*;
use crate::clock::ManualClock;

/// Of nobody: made for these tests.
const KEY: &str = include_str!("test_key.pem");
const PUBLIC_KEY: &str = include_str!("test_key_public.pem");
const NOW_S: i64 = 1_790_000_000;

fn says(status: u16, headers: &str, body: &Value) -> Said {
    let body = body.to_string();
    Said::Bytes(format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()))
}

/// Google, both of it.
struct Google {
    server: Sink,
    fcm: Fcm,
    clock: ManualClock,
}

impl Google {
    /// Grants what is rightly asked for, and answers each message with the next of these, then with 200.
    async fn start(answers: Vec<Said>) -> Self {
        let (answers, grants) = (Mutex::new(VecDeque::from(answers)), Mutex::new(0));
        let server = Sink::start(move |received| match received.line.starts_with("POST /token ") {
            true => {
                let mut number = grants.lock().unwrap();
                *number += 1;
                granted_if_sound(received, *number)
            }
            false => answers.lock().unwrap().pop_front().unwrap_or_else(|| says(200, "", &json!({ "name": "1" }))),
        })
        .await;
        let account = account(&format!("http://{}/token", server.address));
        let fcm = Fcm::new(&format!("http://{}", server.address), account).unwrap();
        Self { server, fcm, clock: ManualClock::new(DateTime::from_timestamp(NOW_S, 0).unwrap()) }
    }

    async fn told(&self) -> (Outcome, String) {
        let body = NotificationType::DepositConfirmed.example().to_string();
        let words = Words::read(body.as_bytes(), None).unwrap();
        let to = Destination::Push { token: "device-1".to_owned() };
        let ended = tell(&self.fcm, &to, &words, &self.clock).await;
        (ended.outcome, ended.error.unwrap_or_default())
    }

    /// What it was asked, by the path.
    async fn asked(&mut self) -> (String, Received) {
        let received = self.server.next().await;
        (received.line.split(' ').nth(1).unwrap().to_owned(), received)
    }
}

fn account(token_uri: &str) -> ServiceAccount {
    let text = json!({
        "project_id": "coin-desk",
        "private_key_id": "key-1",
        "private_key": KEY,
        "client_email": "desk@coin-desk.iam.gserviceaccount.com",
        "token_uri": token_uri,
    });
    serde_json::from_value(text).unwrap()
}

fn granted_if_sound(received: &Received, number: u32) -> Said {
    let body = String::from_utf8(received.body.clone()).unwrap();
    let assertion = body.split_once("&assertion=").map(|(_, assertion)| assertion).unwrap_or_default();
    let (signed, signature) = assertion.rsplit_once('.').unwrap_or_default();
    let pem: String = PUBLIC_KEY.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(pem).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    match UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(signed.as_bytes(), &signature) {
        Ok(()) => says(200, "", &json!({ "access_token": format!("grant-{number}"), "expires_in": 3_600 })),
        Err(_) => says(400, "", &json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." })),
    }
}

fn refused(status: u16, code: &str) -> Said {
    let details = json!([{ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code }]);
    says(status, "", &json!({ "error": { "code": status, "message": "no", "details": details } }))
}

#[tokio::test]
async fn a_signed_assertion_gets_a_grant_and_the_message_bears_it() {
    let mut google = Google::start(vec![]).await;
    assert_eq!(google.told().await, (Outcome::Accepted, String::new()));
    let (path, asked) = google.asked().await;
    assert_eq!(
        (path.as_str(), asked.headers["content-type"].as_str()),
        ("/token", "application/x-www-form-urlencoded")
    );
    let (path, asked) = google.asked().await;
    assert_eq!(path, "/v1/projects/coin-desk/messages:send");
    assert_eq!(asked.headers["authorization"], "Bearer grant-1");
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body["message"]["token"], "device-1");
    assert_eq!(body["message"]["notification"]["title"], "Deposit received: 0.50000000 BTC");
}

#[tokio::test]
async fn a_grant_serves_until_shortly_before_its_end() {
    let mut google = Google::start(vec![]).await;
    let mut seen = Vec::new();
    for minutes in [0, 54, 2] {
        google.clock.advance(TimeDelta::minutes(minutes));
        assert_eq!(google.told().await.0, Outcome::Accepted);
    }
    for _ in 0..5 {
        seen.push(google.asked().await.0);
    }
    let message = "/v1/projects/coin-desk/messages:send";
    assert_eq!(seen, ["/token", message, message, "/token", message]);
}

#[tokio::test]
async fn many_at_once_ask_for_one_grant() {
    let mut google = Google::start(vec![]).await;
    let told = futures::future::join_all((0..8).map(|_| google.told())).await;
    assert!(told.iter().all(|(outcome, _)| *outcome == Outcome::Accepted), "{told:?}");
    let mut grants = 0;
    for _ in 0..9 {
        grants += usize::from(google.asked().await.0 == "/token");
    }
    assert_eq!((grants, google.server.waiting()), (1, 0));
}

#[tokio::test]
async fn a_grant_that_is_not_taken_is_asked_for_anew() {
    let mut google = Google::start(vec![refused(401, "UNAUTHENTICATED")]).await;
    assert_eq!(google.told().await.0, Outcome::Refused(Refusal::ForNow { retry_at_ms: None }));
    assert_eq!(google.told().await.0, Outcome::Accepted);
    let mut bearers = Vec::new();
    for _ in 0..4 {
        bearers.extend(google.asked().await.1.headers.get("authorization").cloned());
    }
    assert_eq!(bearers, ["Bearer grant-1", "Bearer grant-2"]);
}

#[tokio::test]
async fn each_refusal_means_what_google_means_by_it() {
    let gone = Outcome::Refused(Refusal::Receiver);
    let at = |wait_s| Outcome::Refused(Refusal::ForNow { retry_at_ms: u64::try_from((NOW_S + wait_s) * 1_000).ok() });
    let invalid = json!({ "error": { "message": "The registration token is not a valid FCM registration token" } });
    let cases = [
        (refused(404, "UNREGISTERED"), gone),
        (refused(403, "SENDER_ID_MISMATCH"), Outcome::Refused(Refusal::ForNow { retry_at_ms: None })),
        (says(400, "", &invalid), gone),
        (refused(400, "INVALID_ARGUMENT"), Outcome::Refused(Refusal::Message)),
        (says(429, "Retry-After: 60\r\n", &json!({})), at(60)),
        (says(503, "Retry-After: 5\r\n", &json!({})), at(5)),
        (refused(403, "PERMISSION_DENIED"), Outcome::Refused(Refusal::ForNow { retry_at_ms: None })),
        (says(500, "", &json!("x")), Outcome::Refused(Refusal::ForNow { retry_at_ms: None })),
    ];
    for (answer, expected) in cases {
        let google = Google::start(vec![answer.clone()]).await;
        let (outcome, error) = google.told().await;
        assert_eq!(outcome, expected, "{answer:?}");
        assert!(!error.is_empty() && !error.contains("device-1") && !error.contains("grant-1"), "{error}");
    }
}

#[tokio::test]
async fn whoever_refuses_a_grant_is_asked_again_later() {
    let server = Sink::start(|_| says(400, "", &json!({ "error": "invalid_grant" }))).await;
    let url = format!("http://{}", server.address);
    let fcm = Fcm::new(&url, account(&format!("{url}/token"))).unwrap();
    let google = Google { server, fcm, clock: ManualClock::new(DateTime::from_timestamp(NOW_S, 0).unwrap()) };
    let (outcome, error) = google.told().await;
    assert_eq!(outcome, Outcome::Refused(Refusal::ForNow { retry_at_ms: None }));
    assert!(error.contains("invalid_grant"), "{error}");
}

#[test]
fn an_account_without_a_key_that_signs_is_none() {
    for key in ["", "nonsense", PUBLIC_KEY] {
        let account = ServiceAccount { private_key: key.to_owned(), ..account("https://oauth2.googleapis.com/token") };
        assert!(matches!(Fcm::new("https://fcm.googleapis.com", account), Err(NoAccount::Key(_))), "{key}");
    }
    let account = account("not an address");
    assert!(matches!(Fcm::new("https://fcm.googleapis.com", account), Err(NoAccount::Address(_))));
}
