//! A customer's door to be told as a person: who is asked, which codes and links answer, and what is refused.

use futures::FutureExt;
use futures::future::BoxFuture;
use millrace_actors::clock::Clock;
use millrace_actors::delivery::sinks::destination::{Destination, Kind};
use millrace_actors::delivery::sinks::people::{Came, Teller};
use millrace_protocols::words::Words;
use serde_json::json;

use std::collections::BTreeSet;

use super::*;
use crate::web::public::answers::sentence;
use crate::web::public::words::Language;

const HASH: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const REGISTER: &str = "/api/v1/registrations";

/// Writes down what people are told.
struct Written(watch::Sender<Vec<(Destination, Words)>>);

impl Teller for Written {
    fn leads_to(&self, _: &Destination) -> bool {
        true
    }

    fn tell<'a>(&'a self, to: &'a Destination, words: &'a Words, _: &'a dyn Clock) -> BoxFuture<'a, Came> {
        self.0.send_modify(|told| told.push((to.clone(), words.clone())));
        std::future::ready(Came::there()).boxed()
    }
}

struct Face {
    rig: Rig,
    told: watch::Receiver<Vec<(Destination, Words)>>,
}

impl Face {
    async fn start() -> Self {
        let (sender, told) = watch::channel(Vec::new());
        let written: Arc<dyn Teller> = Arc::new(Written(sender));
        let sinks = Sinks::webhooks(Reach::Public).at(Some(Arc::from("https://desk.example.org")));
        let kinds = [Kind::Mail, Kind::Telegram, Kind::Push];
        let sinks = kinds.into_iter().fold(sinks, |sinks, kind| sinks.with_people(kind, Arc::clone(&written)));
        Self { rig: Rig::start(Setup { sinks, ..Setup::default() }).await, told }
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::post(path).header("content-type", "application/json");
        let (status, text) = read(self.rig.ask(request.body(Body::from(body.to_string())).unwrap()).await).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    async fn refused(&self, body: &Value) -> (u16, String) {
        let (status, body) = self.post(REGISTER, body).await;
        (status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Where the last question went, the subscription it is of, and its code.
    async fn question(&self, many: usize) -> (Destination, String, String) {
        let mut told = self.told.clone();
        let enough = told.wait_for(|told| told.len() >= many);
        let told = tokio::time::timeout(Duration::from_secs(20), enough).await.expect("in time").unwrap().clone();
        let (to, words) = told.last().cloned().unwrap();
        let code = words.facts.iter().find(|(name, _)| *name == "Code").unwrap().1.clone();
        (to, words.about, code)
    }

    fn served(&self) -> usize {
        self.rig.subscriptions.list().unwrap().values().filter(|known| known.subscription.is_served()).count()
    }

    async fn page(&self, method: &str, path: &str) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path);
        read(self.rig.ask(request.body(Body::empty()).unwrap()).await).await
    }
}

fn wanted(channel: &str, address: &str) -> Value {
    json!({ "hash": HASH, "channel": channel, "address": address })
}

#[tokio::test]
async fn each_way_asks_and_a_code_confirms() {
    let face = Face::start().await;
    let device = json!({ "hash": HASH, "channel": "push", "address": "token-1", "platform": "android" });
    let bodies = [wanted("email", "a@example.net"), wanted("telegram", "42"), device];
    for (number, body) in (1..).zip(bodies) {
        let taken = face.post(REGISTER, &body).await;
        assert_eq!(taken, (StatusCode::ACCEPTED, json!({ "confirm_within_s": 3_600 })));
        let (_, subscription, code) = face.question(number).await;
        let answer = json!({ "subscription": subscription, "code": code });
        let confirmed = face.post("/api/v1/registrations/confirm", &answer).await;
        assert_eq!(confirmed, (StatusCode::OK, json!({ "state": "confirmed" })));
        assert_eq!(face.served(), number);
    }
}

#[tokio::test]
async fn looking_at_a_link_does_nothing_and_its_button_does() {
    let face = Face::start().await;
    face.post(REGISTER, &wanted("email", "a@example.net")).await;
    let (_, subscription, code) = face.question(1).await;
    let path = format!("/confirm/{subscription}.{code}");
    let (status, page) = face.page("GET", &path).await;
    assert!(status == StatusCode::OK && page.contains("<form method=\"post\">"), "{page}");
    assert_eq!(face.served(), 0);
    let (status, page) = face.page("POST", &path).await;
    assert!(status == StatusCode::OK && page.contains("You will be told from now on."), "{page}");
    assert_eq!(face.served(), 1);
    for wrong in [format!("/leave/{subscription}.{code}"), format!("/confirm/{subscription}"), "/leave/x".to_owned()] {
        let (status, page) = face.page("POST", &wrong).await;
        assert!(status == StatusCode::NOT_FOUND && page.contains("Not done"), "{wrong}: {page}");
    }
    assert_eq!(face.served(), 1);
}

#[tokio::test]
async fn the_pages_of_letters_speak_their_readers_language() {
    let face = Face::start().await;
    face.post(REGISTER, &wanted("email", "a@example.net")).await;
    let (_, subscription, code) = face.question(1).await;
    let link = format!("/confirm/{subscription}.{code}");
    let asked = async |method: &str, path: &str, language: &str| {
        let request = Request::builder().method(method).uri(path).header("accept-language", language);
        let response = face.rig.ask(request.body(Body::empty()).unwrap()).await;
        let spoken = response.headers()["content-language"].to_str().unwrap().to_owned();
        let kept = response.headers().contains_key("set-cookie");
        let (status, page) = read(response).await;
        (status, spoken, kept, page)
    };
    let (_, spoken, kept, page) = asked("GET", &link, "ru").await;
    assert!((spoken.as_str(), kept) == ("ru", false) && page.contains("Сообщать вам о взносах?"), "{page}");
    assert!(page.contains(&format!("{link}?lang=zh")), "each language is offered: {page}");
    let (_, spoken, kept, page) = asked("GET", &format!("{link}?lang=zh"), "ru").await;
    assert!((spoken.as_str(), kept) == ("zh-Hans", true) && page.contains("要接收存款通知吗？"), "{page}");
    let (status, _, _, page) = asked("POST", "/leave/x", "zh").await;
    assert!(status == StatusCode::NOT_FOUND && page.contains("此链接不正确"), "{page}");
    let (status, _, _, page) = asked("POST", &format!("{link}?lang=ru"), "en").await;
    assert!(status == StatusCode::OK && page.contains("Теперь вы будете получать сообщения."), "{page}");
    let (_, spoken, _, page) = asked("GET", "/leave/x", "de").await;
    assert!(spoken == "en" && page.contains("Do you want to hear no more?"), "{page}");
}

#[test]
fn what_lasts_has_words_of_its_own_and_is_not_to_be_tried_again() {
    for language in [Language::English, Language::Russian, Language::Chinese] {
        let words = language.words();
        let codes = ["unknown_code", "too_many_subscriptions", "not_allowed", "busy", "desk_unavailable"];
        let said: BTreeSet<_> = codes.map(|code| sentence(words, code)).into_iter().collect();
        assert_eq!(said.len(), codes.len(), "{said:?}");
    }
    for code in ["too_many_subscriptions", "not_allowed"] {
        let said = sentence(Language::English.words(), code);
        assert!(said.ends_with("Nothing was done.") && !said.contains("Try again"), "{said}");
    }
}

#[tokio::test]
async fn what_cannot_be_told_is_refused_before_anything_is_stored() {
    let face = Face::start().await;
    let invalid = (422, "invalid_address".to_owned());
    let cases = [
        ("email", "nobody"),
        ("email", "a@example.net?subject=x"),
        ("telegram", "me"),
        ("telegram", ""),
        ("email", "//a@b.c"),
    ];
    for (channel, address) in cases {
        assert_eq!(face.refused(&wanted(channel, address)).await, invalid, "{channel} {address}");
    }
    let unsupported = (422, "unsupported_platform".to_owned());
    for platform in [json!("ios"), json!("web"), Value::Null] {
        let body = json!({ "hash": HASH, "channel": "push", "address": "token", "platform": platform });
        assert_eq!(face.refused(&body).await, unsupported, "{platform}");
    }
    let with_platform = json!({ "hash": HASH, "channel": "email", "address": "a@b.net", "platform": "android" });
    assert_eq!(face.refused(&with_platform).await, unsupported);
    let mut of_nobody = wanted("email", "a@example.net");
    of_nobody["hash"] = json!("xyz");
    assert_eq!(face.refused(&of_nobody).await, (400, "invalid_hash".to_owned()));
    assert_eq!(face.rig.store.head(), 0);
}

#[tokio::test]
async fn a_desk_without_a_way_to_people_says_so() {
    let rig = Rig::start(Setup::default()).await;
    let body = wanted("email", "a@example.net").to_string();
    let request = Request::post(REGISTER).header("content-type", "application/json");
    let (status, text) = read(rig.ask(request.body(Body::from(body)).unwrap()).await).await;
    assert!(status == StatusCode::CONFLICT && text.contains("channel_unavailable"), "{text}");
}
