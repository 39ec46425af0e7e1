//! ton.events' door: who gets a secret, and which addresses are refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_actors::clock::{Clock, SystemClock};
use millrace_model::subscription::Command;
use millrace_protocols::webhook::te;
use serde_json::json;

use super::*;

const HASH: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER_HASH: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

async fn subscribe(rig: &Rig, hash: &str, data: &str) -> (StatusCode, Value) {
    let body = json!({ "hash": hash, "data": data }).to_string();
    let request = Request::post("/api/v1/subscribe").header("content-type", "application/json");
    let (status, text) = read(rig.ask(request.body(Body::from(body)).unwrap()).await).await;
    (status, serde_json::from_str(&text).unwrap())
}

async fn taken(rig: &Rig, hash: &str, url: &str) -> String {
    let (status, body) = subscribe(rig, hash, &STANDARD.encode(url)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    body["secret"].as_str().unwrap().to_owned()
}

async fn refused(rig: &Rig, hash: &str, data: &str) -> (u16, String) {
    let (status, body) = subscribe(rig, hash, data).await;
    (status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn each_subscription_has_a_secret_of_its_own_and_keeps_it_when_it_is_asked_for_again() {
    let rig = Rig::start(Setup::default()).await;
    let secret = taken(&rig, HASH, "https://example.com/a").await;
    assert!(secret.len() == 64 && secret.bytes().all(|digit| digit.is_ascii_hexdigit()), "{secret}");
    assert_eq!(taken(&rig, HASH, "https://example.com/a").await, secret);
    assert_eq!(rig.subscriptions.list().unwrap().len(), 1, "nothing new was made");
    let others =
        [taken(&rig, HASH, "https://example.com/b").await, taken(&rig, OTHER_HASH, "https://example.com/a").await];
    assert!(!others.contains(&secret) && others[0] != others[1]);
    let list = rig.subscriptions.list().unwrap();
    assert!(list.len() == 3 && list.values().all(|known| !known.subscription.is_served()), "nobody is proved");
}

#[tokio::test]
async fn what_is_no_address_of_the_public_internet_is_refused() {
    let rig = Rig::start(Setup::default()).await;
    let invalid = (400, "invalid_url".to_owned());
    for url in [
        "",
        "example.com",
        "ftp://example.com/",
        "http://example.com/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://10.0.0.1/hook",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://user@example.com/",
    ] {
        assert_eq!(refused(&rig, HASH, &STANDARD.encode(url)).await, invalid, "{url}");
    }
    for data in ["https://example.com/", "%%%", &STANDARD.encode(b"\xff\xfe")] {
        assert_eq!(refused(&rig, HASH, data).await, invalid, "{data}");
    }
    let data = STANDARD.encode("https://example.com/");
    for hash in ["", &HASH[1..], &HASH.replace('0', "x")] {
        assert_eq!(refused(&rig, hash, &data).await, (400, "invalid_hash".to_owned()), "{hash}");
    }
    assert!(rig.subscriptions.list().is_none_or(|list| list.is_empty()));
}

#[tokio::test]
async fn a_customer_has_only_so_many() {
    let rig = Rig::start(Setup::default()).await;
    let url = |number: usize| format!("https://example.com/{number}");
    for number in 0..=subscriptions::OF_A_CUSTOMER_MAX {
        taken(&rig, HASH, &url(number)).await;
    }
    let mut lists = rig.subscriptions.changes();
    let is_gone = |known: &subscriptions::Known| known.endpoint.as_ref().is_ok_and(|endpoint| endpoint.url == url(0));
    let left = lists.wait_for(|list| list.as_ref().is_some_and(|list| !list.values().any(|known| is_gone(known))));
    let list = left.await.unwrap().clone().unwrap();
    assert_eq!(list.len(), subscriptions::OF_A_CUSTOMER_MAX, "the first, which nobody proved, made room");
    for (id, known) in list.iter() {
        let of = known.subscription.sealed_hash();
        rig.subscriptions.execute(*id, Command::ProveOwnership { of }).await.unwrap();
    }
    let one_more = STANDARD.encode("https://example.com/more");
    assert_eq!(refused(&rig, HASH, &one_more).await, (409, "too_many_subscriptions".to_owned()));
    taken(&rig, HASH, &url(1)).await;
    taken(&rig, OTHER_HASH, "https://example.com/more").await;
}

#[tokio::test]
async fn who_asks_too_often_is_told_to_wait() {
    let pace = Pace { per_minute: 1, burst: 2 };
    let rig = Rig::start(Setup { pace, ..Setup::default() }).await;
    for _ in 0..2 {
        taken(&rig, HASH, "https://example.com/").await;
    }
    let again = STANDARD.encode("https://example.com/");
    assert_eq!(refused(&rig, HASH, &again).await, (429, "too_many_requests".to_owned()));
}

async fn unsubscribe(rig: &Rig, body: Value) -> (StatusCode, String) {
    let request = Request::post("/api/v1/unsubscribe").header("content-type", "application/json");
    let answer = rig.ask(request.body(Body::from(body.to_string())).unwrap()).await;
    let (status, text) = read(answer).await;
    (status, text)
}

fn now_s() -> i64 {
    SystemClock.now().timestamp()
}

fn unwanted(hash: &str, url: &str, at: i64, secret: &te::Secret) -> Value {
    let data = STANDARD.encode(url);
    let signature = secret.sign(format!("unsubscribe {hash} {data} {at}").as_bytes());
    json!({ "hash": hash, "data": data, "at": at, "signature": signature })
}

#[tokio::test]
async fn who_signs_with_the_secret_ends_it_and_nobody_else_learns_whether_it_is_there() {
    let rig = Rig::start(Setup::default()).await;
    let url = "https://example.com/a?who=me";
    let secret = te::Secret::from_hex(&taken(&rig, HASH, url).await).unwrap();
    let (guess, at) = (te::Secret::derive(&[1; 32], b"guess"), now_s());
    let wrong = unsubscribe(&rig, unwanted(HASH, url, at, &guess)).await;
    assert_eq!(wrong.0, StatusCode::FORBIDDEN);
    assert_eq!(unsubscribe(&rig, unwanted(OTHER_HASH, url, at, &secret)).await, wrong, "as if it were there");
    assert_eq!(unsubscribe(&rig, unwanted(HASH, "https://example.com/b", at, &secret)).await, wrong);
    let nobodys = te::Secret::from_hex(&"0".repeat(64)).unwrap();
    assert_eq!(unsubscribe(&rig, unwanted(OTHER_HASH, url, at, &nobodys)).await, wrong);
    let mut moved = unwanted(HASH, url, at, &secret);
    moved["at"] = (at + 1).into();
    assert_eq!(unsubscribe(&rig, moved).await, wrong, "the time is signed");
    let stale = unsubscribe(&rig, unwanted(HASH, url, at - 1_000, &secret)).await;
    assert!(stale.0 == StatusCode::UNPROCESSABLE_ENTITY && stale.1.contains("stale_signature"), "{}", stale.1);

    let right = unwanted(HASH, url, at, &secret);
    assert_eq!(unsubscribe(&rig, right.clone()).await.0, StatusCode::NO_CONTENT);
    let mut lists = rig.subscriptions.changes();
    lists.wait_for(|list| list.as_ref().is_some_and(|list| list.is_empty())).await.unwrap();
    assert_ne!(taken(&rig, HASH, url).await, secret.reveal(), "a new one has a new secret");
    assert_eq!(unsubscribe(&rig, right).await, wrong, "so the same again ends nothing");
}
