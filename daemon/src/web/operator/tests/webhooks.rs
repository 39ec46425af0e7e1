//! Webhooks made, changed and ended, and what is refused.

use millrace_actors::customer_keys::Opened;

use super::*;

const WEBHOOKS: &str = "/operator/v1/notifications/webhooks";
const WANTED: &str = r#"{"url":"https://shop.example/told?from=desk","events":[{"name":"Deposit.*"}]}"#;

impl Desk {
    async fn patch(&self, path: &str, body: &str) -> (StatusCode, Value) {
        answer(self.ask(Request::patch(path), body).await).await
    }

    /// A webhook, by its path.
    async fn webhook(&self) -> String {
        let (status, made) = self.post(WEBHOOKS, WANTED).await;
        assert_eq!(status, 201, "{made}");
        format!("{WEBHOOKS}/{}", made["id"].as_str().unwrap())
    }
}

#[tokio::test]
async fn a_webhook_is_made_with_its_secret_and_links_and_shown_without_the_secret() {
    let desk = Desk::start().await;
    let (status, made) = desk.post(WEBHOOKS, WANTED).await;
    assert_eq!((status.as_u16(), made["status"].as_str()), (201, Some("enabled")), "{made}");
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let rels: Vec<_> = made["links"].as_array().unwrap().iter().map(|link| link["rel"].as_str().unwrap()).collect();
    assert_eq!(rels, ["self", "update", "delete", "delivery", "attempts"]);

    let shown = desk.got(made["links"][0]["href"].as_str().unwrap()).await;
    assert_eq!((shown["url"].as_str(), shown.get("secret")), (Some("https://shop.example/told?from=desk"), None));
    assert_eq!(desk.got(WEBHOOKS).await["webhooks"].as_array().unwrap(), &[shown]);
}

#[tokio::test]
async fn where_a_webhook_leads_and_what_signs_is_in_no_byte_of_the_log() {
    let desk = Desk::start().await;
    let (_, made) = desk.post(WEBHOOKS, WANTED).await;
    let secret = made["secret"].as_str().unwrap().trim_start_matches("whsec_").to_owned();
    let files = std::fs::read_dir(desk.folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let bytes: Vec<u8> = files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("Subscribed"), "the log is among the files");
    assert!(!has("shop.example") && !has(&secret));
}

#[tokio::test]
async fn a_webhook_is_changed_paused_resumed_moved_and_ended() {
    let desk = Desk::start().await;
    let path = desk.webhook().await;
    let patch = r#"[{"op":"replace","path":"/url","value":"https://other.example/"},
                    {"op":"replace","path":"/events","value":[{"name":"*","description":"All of these."}]}]"#;
    let (status, changed) = desk.patch(&path, patch).await;
    assert_eq!((status.as_u16(), changed["url"].as_str()), (200, Some("https://other.example/")), "{changed}");
    assert_eq!(changed["events"][0]["name"], "*");

    let (_, paused) = desk.post(&format!("{path}/pause"), "").await;
    assert_eq!(paused["status"], "paused");
    let (_, resumed) = desk.post(&format!("{path}/resume"), "").await;
    assert_eq!(resumed["status"], "enabled");
    assert_eq!(desk.post(&format!("{path}/resume"), "").await.1["code"], "not_allowed");
    assert_eq!(desk.post(&format!("{path}/recover"), r#"{"after":0}"#).await.0, 200);
    assert_eq!(desk.got(&format!("{path}/attempts")).await["attempts"].as_array().unwrap().len(), 0);

    assert_eq!(desk.ask(Request::delete(&path), "").await.status(), 204);
    assert_eq!(desk.get(&path).await.1["code"], "unknown_webhook");
    assert_eq!(desk.post(&format!("{path}/pause"), "").await.1["code"], "unknown_webhook");
    assert_eq!(desk.got(WEBHOOKS).await["webhooks"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn another_secret_is_shown_once_and_a_hook_is_over_with_its_key() {
    let desk = Desk::start().await;
    let path = desk.webhook().await;
    let (status, rotated) = desk.post(&format!("{path}/rotate"), r#"{"keep_hours":168}"#).await;
    assert!(status == 200 && rotated["secret"].as_str().unwrap().starts_with("whsec_"), "{rotated}");
    let (_, problem) = desk.post(&format!("{path}/rotate"), r#"{"keep_hours":169}"#).await;
    assert_eq!(problem["code"], "invalid_rotation");
    let sealed = desk.state.subscriptions.list().unwrap().values().next().unwrap().subscription.sealed.clone();
    let stream = desk.state.subscriptions.list().unwrap().keys().next().unwrap().to_string();
    let opened = || desk.state.operations.keys().reading().open(&format!("subscription/{stream}"), &sealed);
    assert!(matches!(opened(), Opened::Text(_)));
    assert_eq!(desk.ask(Request::delete(&path), "").await.status(), 204);
    assert!(matches!(opened(), Opened::Forgotten(_)));
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let desk = Desk::start().await;
    let path = desk.webhook().await;
    let before = desk.store.head();
    let wanted = |url: &str, events: &str| format!(r#"{{"url":"{url}","events":{events}}}"#);
    let all = r#"[{"name":"*"}]"#;
    for (body, code) in [
        (wanted("ftp://shop.example/", all), "invalid_url"),
        (wanted("https://me:secret@shop.example/", all), "invalid_url"),
        (wanted("http://10.0.0.1/", all), "invalid_url"),
        (wanted("https://[::ffff:10.0.0.1]/", all), "invalid_url"),
        (wanted("https://0xa9fea9fe/", all), "invalid_url"),
        (wanted("nats:desk.deposits", all), "invalid_url"),
        (wanted("amqp://guest:guest@broker/", all), "invalid_url"),
        (wanted(&format!("https://shop.example/{}", "x".repeat(2_048)), all), "invalid_url"),
        (wanted("https://shop.example/", "[]"), "invalid_webhook"),
        (wanted("https://shop.example/", r#"[{"name":"Deposit.Unheard"}]"#), "unknown_event_type"),
        (WANTED.replacen('{', r#"{"customer":"nobody","#, 1), "invalid_customer"),
        (WANTED.replacen('{', r#"{"secret":"whsec_AAAA","#, 1), "invalid_secret"),
        (WANTED.replacen('{', r#"{"rate_per_s":0,"#, 1), "invalid_webhook"),
        (WANTED.replacen('{', r#"{"colour":"red","#, 1), "invalid_body"),
    ] {
        let (_, problem) = desk.post(WEBHOOKS, &body).await;
        assert_eq!(problem["code"], code, "{body}: {problem}");
    }
    for (patch, code) in [
        ("[]", "invalid_patch"),
        (r#"[{"op":"replace","path":"/secret","value":"x"}]"#, "invalid_patch"),
        (r#"[{"op":"replace","path":"/url","value":7}]"#, "invalid_patch"),
        (r#"[{"op":"remove","path":"/url","value":""}]"#, "invalid_body"),
        (r#"[{"op":"replace","path":"/url","value":"https://192.168.0.1/"}]"#, "invalid_url"),
    ] {
        let (_, problem) = desk.patch(&path, patch).await;
        assert_eq!(problem["code"], code, "{patch}: {problem}");
    }
    assert_eq!(desk.post(&format!("{path}/recover"), r#"{"after":1000}"#).await.1["code"], "invalid_position");
    assert_eq!(desk.store.head(), before);
}
