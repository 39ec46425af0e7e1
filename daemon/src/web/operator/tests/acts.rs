//! What an operator does to deposits and parts.

use millrace_actors::projection::Filter;

use super::*;

const WHY: &str = r#"{"note":"seen and understood"}"#;

#[tokio::test]
async fn a_held_deposit_is_released_and_shows_it_at_once() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, Some("target"), held(HoldReason::BelowMinimum)).await;
    let (status, stands) = desk.post(&format!("/operator/v1/deposits/{id}/release"), WHY).await;
    assert_eq!((status.as_u16(), stands["status"].as_str()), (200, Some("wait_decide")), "{stands}");
    assert_eq!(stands["version"], 5);
    let page = desk.got("/operator/v1/deposits?status=wait_decide").await;
    assert_eq!(page["deposits"][0]["id"], id.to_string());
    let (status, problem) = desk.post(&format!("/operator/v1/deposits/{id}/retry"), WHY).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (409, Some("not_allowed")), "{problem}");
}

#[tokio::test]
async fn a_quarantined_deposit_is_paid_back_in_two_steps() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, None, quarantined()).await;
    let paid = format!(r#"{{"note":"by hand","txid":"{}"}}"#, "ab".repeat(32));
    let path = |step: &str| format!("/operator/v1/deposits/{id}/{step}");
    assert_eq!(desk.post(&path("refunded"), &paid).await.0, 409);
    assert_eq!(desk.post(&path("refund-due"), WHY).await.1["status"], "refund_due");
    let shown = desk.got(&format!("/operator/v1/deposits/{id}")).await;
    assert_eq!(shown["deposit"]["reason"], "seen and understood");
    let last = shown["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["kind"], &last["payload"]["note"]), (&"RefundDue".into(), &"seen and understood".into()));
    let (status, problem) = desk.post(&path("refunded"), r#"{"note":"by hand","txid":"ab"}"#).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (422, Some("invalid_txid")));
    assert_eq!(desk.post(&path("refunded"), &paid).await.1["status"], "done");
    let shown = desk.got(&format!("/operator/v1/deposits/{id}")).await;
    assert_eq!(shown["deposit"]["reason"], "refunded: by hand");
}

/// What the projection says is wrong.
async fn projection_says(desk: &Desk) -> Vec<String> {
    let parts = desk.got("/operator/v1/parts").await;
    let parts = parts["parts"].as_array().unwrap();
    let projection = parts.iter().find(|part| part["name"] == projection::PART).unwrap();
    let texts = projection["conditions"].as_array().unwrap().iter();
    texts.map(|condition| format!("{}: {}", condition["kind"], condition["text"])).collect()
}

/// D9: the part that follows the log says how many there are, after a restart too, until an operator has dealt with each.
#[tokio::test]
async fn quarantined_deposits_are_a_condition_until_the_last_is_dealt_with() {
    let desk = Desk::start().await;
    assert_eq!(projection_says(&desk).await, Vec::<String>::new());
    let ids = [desk.deposit(1, None, quarantined()).await, desk.deposit(2, None, quarantined()).await];
    assert!(projection_says(&desk).await[0].contains("nobody was given: 2;"));
    assert_eq!(desk.post("/operator/v1/parts/projection/restart", "").await.0, 200);
    for (id, left) in ids.into_iter().zip(["nobody was given: 1;", ""]) {
        assert_eq!(desk.post(&format!("/operator/v1/deposits/{id}/refund-due"), WHY).await.0, 200);
        desk.views.caught_up(desk.store.head(), Duration::from_secs(20)).await;
        let says = projection_says(&desk).await;
        assert_eq!(says.len(), usize::from(!left.is_empty()), "{says:?}");
        assert!(says.iter().all(|text| text.contains(left)), "{says:?}");
    }
}

#[tokio::test]
async fn an_action_without_a_proper_note_does_nothing() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, Some("target"), received()).await;
    let head = desk.store.head();
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(201));
    for (body, status, code) in [
        ("", 400, "malformed_json"),
        ("{", 400, "malformed_json"),
        ("{}", 400, "invalid_body"),
        (r#"{"note":1}"#, 400, "invalid_body"),
        (r#"{"note":"x","force":true}"#, 400, "invalid_body"),
        (r#"{"note":"  "}"#, 422, "invalid_note"),
        (r#"{"note":"a\u001b[2J"}"#, 422, "invalid_note"),
        (long.as_str(), 422, "invalid_note"),
    ] {
        for step in ["hold", "release", "retry", "refund-due"] {
            let (found, problem) = desk.post(&format!("/operator/v1/deposits/{id}/{step}"), body).await;
            assert_eq!((found.as_u16(), problem["code"].as_str()), (status, Some(code)), "{body}: {problem}");
        }
    }
    assert_eq!(desk.store.head(), head);
    let unknown = Uuid::from_u128(77);
    let (status, problem) = desk.post(&format!("/operator/v1/deposits/{unknown}/hold"), WHY).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (404, Some("unknown_deposit")));
}

#[tokio::test]
async fn a_part_is_stopped_started_and_restarted_by_its_name() {
    let desk = Desk::start().await;
    let (status, part) = desk.post("/operator/v1/parts/projection/stop", "").await;
    assert_eq!((status.as_u16(), part["state"].as_str()), (200, Some("stopped")), "{part}");
    let (status, _) = desk.post("/operator/v1/parts/projection/start", "").await;
    assert_eq!(status, 200);
    let (status, part) = desk.post("/operator/v1/parts/projection/restart", "").await;
    assert_eq!((status.as_u16(), part["name"].as_str()), (200, Some("projection")));
    desk.deposit(1, Some("target"), received()).await;
    assert_eq!(desk.views.position(), 6, "it follows the log again, where the three orders are as well");

    let parts = desk.got("/operator/v1/parts").await;
    let names: Vec<_> = parts["parts"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["event_store", "projection", "operations", "subscriptions", "delivery"]);
    let (status, problem) = desk.post("/operator/v1/parts/nobody/restart", "").await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (404, Some("unknown_part")));
    desk.tree.shutdown(Duration::from_secs(4)).await;
    assert_eq!(desk.post("/operator/v1/parts/projection/start", "").await.0, 404);
}

/// Wherever an operator reads, he reads his words; a forgotten customer's are gone in all these places.
#[tokio::test]
async fn notes_are_opened_where_operators_read_until_the_customer_is_forgotten() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, Some("target"), received()).await;
    assert_eq!(desk.post(&format!("/operator/v1/deposits/{id}/hold"), r#"{"note":"a \"friend\""}"#).await.0, 200);
    let row = desk.views.deposits(&Filter { rows_max: 1, ..Filter::default() }).await.unwrap().remove(0);
    let kept = serde_json::to_string(&row).unwrap();
    assert!(kept.contains("sealed:1:") && !kept.contains("friend"), "the views have no more than the log: {kept}");

    let places = [
        (format!("deposits/{id}"), "/deposit/reason"),
        (format!("deposits/{id}"), "/detail/held/operator/note"),
        (format!("deposits/{id}"), "/events/3/payload/reason/operator/note"),
        (format!("deposits/{id}/state"), "/state/stage/held/reason/operator/note"),
        ("deposits/held".to_owned(), "/deposits/0/reason"),
        (format!("events?stream=deposit/{id}&kind=Held"), "/events/0/payload/reason/operator/note"),
        ("events?kind=Held".to_owned(), "/events/0/payload/reason/operator/note"),
        ("overview".to_owned(), "/open_deposits/0/reason"),
        ("events/4".to_owned(), "/event/payload/reason/operator/note"),
        ("events/4".to_owned(), "/command/body/Hold/reason/operator/note"),
        ("events/4".to_owned(), "/after/stage/held/reason/operator/note"),
    ];
    let read = async |expected: &str| {
        for (path, pointer) in &places {
            let shown = desk.got(&format!("/operator/v1/{path}")).await;
            let note = shown.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer}: {shown}"));
            assert!(note.strip_prefix("operator: ").unwrap_or(note).starts_with(expected), "{pointer}: {note}");
            assert!(!shown.to_string().contains("sealed:1:"), "{path}: {shown}");
        }
    };
    read("a \"friend\"").await;
    let (status, forgotten) = desk.post("/operator/v1/customers/target/forget", "").await;
    assert_eq!((status.as_u16(), &forgotten["customer"], &forgotten["now"]), (200, &"target".into(), &true.into()));
    read("(forgotten on 20").await;
    let (_, again) = desk.post("/operator/v1/customers/target/forget", "").await;
    assert_eq!((&again["at"], &again["now"]), (&forgotten["at"], &false.into()));
}

#[tokio::test]
async fn only_somebody_can_be_forgotten() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, None, quarantined()).await;
    let other = desk.deposit(2, Some("another"), received()).await;
    assert_eq!(desk.post(&format!("/operator/v1/deposits/{other}/hold"), WHY).await.0, 200);
    for (whom, code) in [("nobody", "nothing_sealed"), ("two%20words", "invalid_customer")] {
        let (_, problem) = desk.post(&format!("/operator/v1/customers/{whom}/forget"), "").await;
        assert_eq!(problem["code"], code, "{problem}");
    }
    // What was said of a deposit that is nobody's is the deposit's.
    assert_eq!(desk.post(&format!("/operator/v1/deposits/{id}/refund-due"), WHY).await.0, 200);
    let (status, forgotten) = desk.post(&format!("/operator/v1/customers/{id}/forget"), "").await;
    assert_eq!((status.as_u16(), &forgotten["customer"]), (200, &format!("deposit/{id}").into()));
    let shown = desk.got(&format!("/operator/v1/deposits/{id}")).await;
    assert!(shown["deposit"]["reason"].as_str().unwrap().starts_with("(forgotten on 20"), "{shown}");
}

#[tokio::test]
async fn a_note_that_cannot_be_sealed_is_refused_with_the_reason() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, Some("target"), received()).await;
    // A desk that just started makes the file; once something is sealed it is made.
    let other = desk.deposit(2, Some("another"), received()).await;
    assert_eq!(desk.post(&format!("/operator/v1/deposits/{other}/hold"), WHY).await.0, 200);
    std::fs::write(desk.folder.path().join("keys.db"), "no database".repeat(1_000)).unwrap();
    let (status, problem) = desk.post(&format!("/operator/v1/deposits/{id}/hold"), WHY).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (503, Some("note_not_sealed")), "{problem}");
    assert!(problem["message"].as_str().unwrap().contains("file is not a database"), "{problem}");
    assert_eq!(desk.got(&format!("/operator/v1/deposits/{id}")).await["deposit"]["status"], "wait_decide");
    let (status, problem) = desk.post("/operator/v1/customers/target/forget", "").await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (503, Some("keys_unavailable")), "{problem}");
}
