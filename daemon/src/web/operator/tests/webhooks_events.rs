//! Notifications listed, shown and sent once more, and how an endpoint does meanwhile.

use millrace_model::desk::{HaltCause, Halted};

use super::*;

const WEBHOOKS: &str = "/operator/v1/notifications/webhooks";
const EVENTS: &str = "/operator/v1/notifications/webhooks-events";

impl Desk {
    /// A desk that told of two deposits and of a halt.
    async fn with_notifications() -> Self {
        let desk = Self::start().await;
        desk.deposit(1, Some("target"), received()).await;
        desk.deposit(2, None, quarantined()).await;
        let cause = HaltCause::Operator { note: String::new() };
        desk.append(StreamName::Desk, vec![Event::Desk(Halted { cause }.into())]).await;
        desk
    }

    async fn told(&self, query: &str) -> Value {
        self.got(&format!("{EVENTS}{query}")).await
    }

    /// A webhook that nobody is at, which the deliveries know of.
    async fn deaf(&self, events: &str) -> String {
        let body = format!(r#"{{"url":"http://127.0.0.1:9/","events":[{{"name":"{events}"}}]}}"#);
        let (status, made) = self.post(WEBHOOKS, &body).await;
        assert_eq!(status, 201, "{made}");
        let id = made["id"].as_str().unwrap().to_owned();
        while self.get(&format!("{WEBHOOKS}/{id}/delivery")).await.0 != 200 {
            tokio::task::yield_now().await;
        }
        id
    }
}

fn types(list: &Value) -> Vec<&str> {
    list["events"].as_array().unwrap().iter().map(|event| event["event_type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_reader_goes_through_all_notifications_page_by_page() {
    let desk = Desk::with_notifications().await;
    let all = desk.told("").await;
    assert_eq!(all["count"], 7, "{all}");
    assert_eq!(types(&all).last(), Some(&"Desk.Halted"), "what is about the desk is among them");
    let mut read = Vec::new();
    let mut next = Some(format!("{EVENTS}?limit=3"));
    while let Some(href) = next {
        let page = desk.got(&href).await;
        read.extend(page["events"].as_array().unwrap().clone());
        let links = page["links"].as_array().unwrap();
        let link = links.iter().find(|link| link["rel"] == "next");
        next = link.map(|link| link["href"].as_str().unwrap().to_owned());
    }
    assert_eq!(Value::Array(read), all["events"]);
    let end = desk.told(&format!("?cursor={}", all["next_cursor"].as_str().unwrap())).await;
    assert_eq!((end["count"].as_u64(), &end["next_cursor"]), (Some(0), &all["next_cursor"]));
}

#[tokio::test]
async fn they_are_asked_for_by_type_and_by_time() {
    let desk = Desk::with_notifications().await;
    assert_eq!(types(&desk.told("?event_type=Desk.*").await), ["Desk.Halted"]);
    let confirmed = desk.told("?event_type=Deposit.Confirmed").await;
    assert_eq!(types(&confirmed), ["Deposit.Confirmed", "Deposit.Confirmed"]);
    let all = desk.told("").await;
    let time = |index: usize| all["events"][index]["create_time"].as_str().unwrap().to_owned();
    let (first, last) = (time(0), time(6));
    let whole = desk.told(&format!("?start_time={first}&end_time={last}")).await;
    assert_eq!(whole["events"], all["events"]);
    let up_to = desk.told(&format!("?end_time={first}")).await;
    let begun = all["events"].as_array().unwrap().iter().filter(|event| event["create_time"] == first).count();
    assert_eq!(up_to["count"], begun);
    assert_eq!(types(&desk.told(&format!("?start_time={last}&event_type=Deposit.*")).await), Vec::<&str>::new());
    assert_eq!(desk.told("?start_time=2100-01-01T00:00:00Z").await["count"], 0);
    for wrong in ["?event_type=Deposit", "?limit=0", "?start_time=yesterday", "?user=x"] {
        assert_eq!(desk.get(&format!("{EVENTS}{wrong}")).await.1["code"], "invalid_query", "{wrong}");
    }
    assert_eq!(desk.get(&format!("{EVENTS}?cursor=x")).await.1["code"], "invalid_cursor");
}

#[tokio::test]
async fn one_is_shown_with_where_to_go_on() {
    let desk = Desk::with_notifications().await;
    let all = desk.told("").await;
    let links = all["events"][0]["links"].as_array().unwrap();
    assert_eq!((links[0]["rel"].as_str(), links[1]["rel"].as_str()), (Some("self"), Some("resend")));
    assert_eq!(desk.got(links[0]["href"].as_str().unwrap()).await, all["events"][0]);
    let nobody = format!("{EVENTS}/{}", Uuid::nil());
    assert_eq!(desk.get(&nobody).await.1["code"], "unknown_notification");
    assert_eq!(desk.post(&format!("{nobody}/resend"), "{}").await.1["code"], "unknown_notification");
}

#[tokio::test]
async fn what_cannot_be_sent_again_is_refused_with_its_reason() {
    let desk = Desk::with_notifications().await;
    let all = desk.told("").await;
    let resend = format!("{EVENTS}/{}/resend", all["events"][0]["id"].as_str().unwrap());
    assert_eq!(desk.post(&resend, "{}").await.1["code"], "nobody_wants_it");
    let (wants, other) = (desk.deaf("Deposit.*").await, desk.deaf("Desk.*").await);
    let to = |ids: &[&str]| serde_json::json!({ "webhook_ids": ids }).to_string();
    let stranger = Uuid::nil().to_string();
    for (body, code) in [
        (to(&[]), "invalid_resend"),
        (to(&[&wants, &stranger]), "unknown_webhook"),
        (to(&[&wants, &other]), "not_wanted"),
        (r#"{"to":[]}"#.to_owned(), "invalid_body"),
    ] {
        assert_eq!(desk.post(&resend, &body).await.1["code"], code, "{body}");
    }
    let (status, sent) = desk.post(&resend, "{}").await;
    assert_eq!((status.as_u16(), &sent["webhook_ids"]), (202, &serde_json::json!([wants])), "{sent}");
    assert_eq!(sent["id"], all["events"][0]["id"]);
    assert_eq!(desk.post(&format!("{WEBHOOKS}/{wants}/pause"), "").await.0, 200);
    let (status, problem) = desk.post(&resend, &to(&[&wants])).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (409, Some("not_served")), "{problem}");
    assert!(problem["message"].as_str().unwrap().ends_with("it is paused."), "{problem}");
}

#[tokio::test]
async fn a_webhook_that_hears_nothing_is_explained() {
    let desk = Desk::with_notifications().await;
    let id = desk.deaf("*").await;
    let delivery = format!("{WEBHOOKS}/{id}/delivery");
    let shown = desk.got(&delivery).await;
    assert_eq!((shown["status"].as_str(), shown["breaker"].as_str()), (Some("enabled"), Some("closed")), "{shown}");
    assert_eq!(shown["explanation"], "Everything arrived.", "it is told what comes after it began: {shown}");

    let all = desk.told("").await;
    let resend = format!("{EVENTS}/{}/resend", all["events"][0]["id"].as_str().unwrap());
    assert_eq!(desk.post(&resend, "{}").await.0, 202);
    let failed = loop {
        let shown = desk.got(&delivery).await;
        if shown["next_retry_at"].is_string() && shown["in_flight"] == 0 && shown["claimed"] == 0 {
            break shown;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((failed["retries"].as_u64(), failed["behind"].as_u64() > Some(0)), (Some(1), true), "{failed}");
    let explanation = failed["explanation"].as_str().unwrap();
    assert!(explanation.starts_with("1 that did not arrive are sent again, the first at "), "{failed}");
    let (_, figures) = desk.get("/metrics").await;
    for line in [
        "millrace_webhooks{status=\"enabled\"} 1",
        "millrace_delivery_attempts_total{outcome=\"connect\"} 1",
        "millrace_delivery_retries_waiting 1",
        "millrace_delivery_backlog_positions{webhooks=\"served\"} 7",
    ] {
        assert!(figures.as_str().unwrap().lines().any(|found| found == line), "{line} is not in\n{figures}");
    }
    assert!(!figures.as_str().unwrap().contains(&id) && !figures.as_str().unwrap().contains("127.0.0.1"));
    assert_eq!(desk.post(&format!("{WEBHOOKS}/{id}/pause"), "").await.0, 200);
    assert_eq!(desk.got(&delivery).await["explanation"], "Nothing is sent: it is paused.");
    assert_eq!(desk.get(&format!("{WEBHOOKS}/{}/delivery", Uuid::nil())).await.1["code"], "unknown_webhook");
}
