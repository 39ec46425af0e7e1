//! Pages, stories, the log.

use futures::StreamExt;

use super::*;
use crate::web::shapes::{DepositDetail, DepositPage, EventPage};

async fn page(desk: &Desk, query: &str) -> DepositPage {
    serde_json::from_value(desk.got(&format!("/operator/v1/deposits{query}")).await).unwrap()
}

fn ids(page: &DepositPage) -> Vec<u128> {
    page.deposits.iter().map(|row| row.id.parse::<Uuid>().unwrap().as_u128()).collect()
}

async fn events(desk: &Desk, query: &str) -> EventPage {
    let response = desk.ask(Request::get(format!("/operator/v1/events{query}")), "").await;
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&to_bytes(response.into_body(), 1_000_000).await.unwrap()).unwrap()
}

#[tokio::test]
async fn pages_stay_the_same_while_deposits_come_in() {
    let desk = Desk::start().await;
    for number in 1..=5 {
        desk.deposit(number, Some("target"), received()).await;
    }
    let first = page(&desk, "?limit=2").await;
    desk.deposit(6, Some("target"), received()).await;
    let second = page(&desk, &format!("?limit=2&after={}", first.next.as_ref().unwrap())).await;
    let third = page(&desk, &format!("?limit=2&before={}", second.next.as_ref().unwrap())).await;
    assert_eq!((ids(&first), ids(&second), ids(&third)), (vec![5, 4], vec![3, 2], vec![1]));
    assert_eq!(third.next, None);
}

#[tokio::test]
async fn a_list_can_be_narrowed() {
    let desk = Desk::start().await;
    desk.deposit(1, Some("one"), received()).await;
    desk.deposit(2, Some("two"), held(HoldReason::BelowMinimum)).await;
    desk.deposit(3, None, quarantined()).await;
    desk.deposit(4, Some("two"), held(HoldReason::OrderUnaccounted)).await;
    desk.deposit(5, Some("two"), held(HoldReason::Operator { note: "look".to_owned() })).await;
    for (query, expected) in [
        ("?status=wait_decide", vec![1]),
        ("?status=held", vec![5, 4, 2]),
        ("/held", vec![5, 4, 2]),
        ("/held?target=one", vec![]),
        ("?target=two&status=held", vec![5, 4, 2]),
        ("?target=one", vec![1]),
        ("/quarantined", vec![3]),
        ("/errored", vec![4]),
        ("/errored?target=one", vec![]),
    ] {
        assert_eq!(ids(&page(&desk, query).await), expected, "{query}");
    }
    let reasons: Vec<_> = page(&desk, "/held").await.deposits.into_iter().map(|row| row.reason.unwrap()).collect();
    assert_eq!(reasons, ["operator: look", "order_unaccounted", "below_minimum"]);
}

#[tokio::test]
async fn a_deposit_is_shown_with_its_events_as_the_log_has_them() {
    let desk = Desk::start().await;
    desk.deposit(1, Some("one"), received()).await;
    let id = desk.deposit(2, Some("two"), held(HoldReason::BelowMinimum)).await;
    let response = desk.ask(Request::get(format!("/operator/v1/deposits/{id}")), "").await;
    let body = to_bytes(response.into_body(), 100_000).await.unwrap();
    let detail: DepositDetail = serde_json::from_slice(&body).unwrap();
    let kinds: Vec<_> = detail.events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["Detected", "Mined", "StatusWaitDecide", "Held"]);
    assert_eq!(detail.events[0].position, 4);
    assert_eq!((detail.deposit.status.as_str(), detail.deposit.reason.as_deref()), ("held", Some("below_minimum")));
    assert!(detail.events[3].payload.get().contains("below_minimum"));
    let all: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(all["events"][0]["command_id"].as_str().unwrap().len(), 32);
    assert_eq!(all["detail"]["interrupted"], "wait_decide");
}

#[tokio::test]
async fn what_does_not_exist_or_is_not_understood_is_a_4xx_with_a_code() {
    let desk = Desk::start().await;
    let id = Uuid::from_u128(9);
    for (path, status, code) in [
        (format!("/operator/v1/deposits/{id}"), 404, "unknown_deposit"),
        ("/operator/v1/deposits/nonsense".to_owned(), 404, "not_found"),
        ("/operator/v1/nowhere".to_owned(), 404, "not_found"),
        ("/operator/v1/deposits?status=happy".to_owned(), 400, "unknown_status"),
        ("/operator/v1/deposits?limit=0".to_owned(), 400, "invalid_query"),
        ("/operator/v1/deposits?limit=-1".to_owned(), 400, "invalid_query"),
        ("/operator/v1/deposits?after=x".to_owned(), 400, "invalid_query"),
        ("/operator/v1/deposits?colour=red".to_owned(), 400, "invalid_query"),
        ("/operator/v1/deposits/held?status=done".to_owned(), 400, "invalid_query"),
        ("/operator/v1/deposits?after=9223372036854775808".to_owned(), 400, "invalid_query"),
        ("/operator/v1/addresses?after=9223372036854775808".to_owned(), 400, "invalid_query"),
        ("/operator/v1/events?after=18446744073709551615".to_owned(), 400, "invalid_query"),
        ("/operator/v1/events/live?after=9223372036854775808".to_owned(), 400, "invalid_query"),
        ("/operator/v1/events?kind=Held,Hold".to_owned(), 400, "unknown_kind"),
        ("/operator/v1/events?stream=elsewhere".to_owned(), 400, "unknown_stream"),
    ] {
        let (found, problem) = desk.get(&path).await;
        assert_eq!((found.as_u16(), problem["code"].as_str()), (status, Some(code)), "{path}: {problem}");
    }
}

/// S4: without the token nothing answers.
#[tokio::test]
async fn without_the_token_nothing_under_operator_answers() {
    let desk = Desk::start().await;
    let wrong = format!("Bearer {}", "0".repeat(64));
    for path in ["/operator/v1/deposits", "/operator/v1/backup", "/operator/v1/events/live", "/operator/v1/nowhere"] {
        for token in ["", "Bearer", wrong.as_str()] {
            let request = Request::get(path).header("authorization", token).body(Body::empty()).unwrap();
            let (status, problem) = answer(desk.router.clone().oneshot(request).await.unwrap()).await;
            assert_eq!((status.as_u16(), problem["code"].as_str()), (401, Some("unauthorized")), "{path} {token}");
        }
    }
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json"] {
        let response = desk.router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn pages_of_events_are_the_log() {
    let desk = Desk::start().await;
    for number in 1..=3 {
        desk.deposit(number, Some("target"), held(HoldReason::BelowMinimum)).await;
    }
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let page = events(&desk, &format!("?after={after}&limit=5")).await;
        assert_eq!(page.head, 12);
        after = page.next;
        all.extend(page.events);
        if after >= page.head {
            break;
        }
    }
    let log = desk.store.reader().unwrap().after(0, 100).unwrap();
    assert_eq!(all.len(), log.len());
    for (shown, recorded) in all.iter().zip(&log) {
        assert_eq!(shown.position, recorded.position);
        assert_eq!((shown.stream.as_str(), shown.version), (recorded.stream.to_string().as_str(), recorded.version));
        assert_eq!((shown.kind.as_str(), shown.payload.get()), (recorded.event.kind(), &*recorded.event.payload()));
        assert_eq!(shown.recorded_at, recorded.recorded_at);
    }
}

#[tokio::test]
async fn events_can_be_narrowed_and_the_page_says_how_far_it_looked() {
    let desk = Desk::start().await;
    for number in 1..=3 {
        desk.deposit(number, Some("target"), held(HoldReason::BelowMinimum)).await;
    }
    desk.bind(1).await;
    let positions = |page: &EventPage| page.events.iter().map(|event| event.position).collect::<Vec<_>>();
    let found = events(&desk, "?kind=Held,Bound").await;
    assert_eq!((positions(&found), found.next), (vec![4, 8, 12, 13], 13));
    let found = events(&desk, "?kind=Held&limit=1&after=4").await;
    assert_eq!((positions(&found), found.next), (vec![8], 8));
    let second = StreamName::Deposit(DepositId(Uuid::from_u128(2)));
    let found = events(&desk, &format!("?stream={second}&kind=Mined,Held")).await;
    assert_eq!((positions(&found), found.next), (vec![6, 8], 13));
    let found = events(&desk, &format!("?stream={second}&limit=2")).await;
    assert_eq!((positions(&found), found.next), (vec![5, 6], 6));
    for (after, rest, next) in [(0, vec![5, 6, 7, 8], 13), (5, vec![6, 7, 8], 13), (8, vec![], 13), (20, vec![], 20)] {
        let found = events(&desk, &format!("?stream={second}&after={after}")).await;
        assert_eq!((positions(&found), found.next), (rest, next), "after {after}");
    }
    let found = events(&desk, "?limit=0").await;
    assert_eq!((found.events.len(), found.next, found.head), (0, 0, 13));
    let found = events(&desk, "?after=13").await;
    assert_eq!((found.events.len(), found.next, found.head), (0, 13, 13));
}

#[tokio::test]
async fn a_page_waits_for_what_is_wanted() {
    let desk = Desk::start().await;
    let happens = async {
        tokio::task::yield_now().await;
        desk.deposit(1, Some("target"), received()).await;
        desk.deposit(2, Some("target"), held(HoldReason::BelowMinimum)).await;
    };
    let (page, ()) = tokio::join!(events(&desk, "?kind=Held&wait_s=30"), happens);
    assert_eq!(page.events.iter().map(|event| event.position).collect::<Vec<_>>(), [7]);
}

#[tokio::test]
async fn a_live_stream_begins_where_it_is_told_and_goes_on() {
    let desk = Desk::start().await;
    desk.deposit(1, Some("target"), received()).await;
    let request = Request::get("/operator/v1/events/live?kind=StatusWaitDecide").header("last-event-id", "1");
    let response = desk.ask(request, "").await;
    let mut stream = response.into_body().into_data_stream();
    let next = async |stream: &mut axum::body::BodyDataStream| {
        let piece = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.unwrap();
        String::from_utf8(piece.unwrap().unwrap().to_vec()).unwrap()
    };
    let first = next(&mut stream).await;
    assert!(first.contains("id: 3\n") && first.contains(r#""kind":"StatusWaitDecide""#), "{first}");
    desk.deposit(2, Some("target"), received()).await;
    let second = next(&mut stream).await;
    assert!(second.contains("id: 6\n"), "{second}");
}

#[tokio::test]
async fn answers_have_the_fields_that_the_document_describes() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, Some("target"), held(HoldReason::BelowMinimum)).await;
    let document = desk.got("/openapi.json").await;
    let detail = desk.got(&format!("/operator/v1/deposits/{id}")).await;
    let parts = desk.got("/operator/v1/parts").await;
    for (shape, answer) in [
        ("DepositDetail", &detail),
        ("Deposit", &detail["deposit"]),
        ("Event", &detail["events"][0]),
        ("Part", &parts["parts"][0]),
    ] {
        let schema = &document["components"]["schemas"][shape];
        let described = schema["properties"].as_object().unwrap();
        let answer = answer.as_object().unwrap();
        assert!(answer.keys().all(|name| described.contains_key(name)), "{shape}: {answer:?}");
        let required = schema["required"].as_array().unwrap();
        assert!(required.iter().all(|name| answer.contains_key(name.as_str().unwrap())), "{shape}: {answer:?}");
    }
}
