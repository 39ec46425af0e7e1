//! What led to what.

use millrace_model::wallet::InputsReserved;

use super::*;

impl Desk {
    /// An event of a deposit that followed from another, stored with one of the wallet's.
    async fn follow(&self, id: DepositId, version: u64, cause: u64) {
        let held = DepositEvent::from(Held { reason: HoldReason::BelowMinimum });
        let reserved = InputsReserved { deposit: id, inputs: vec![] };
        let append = Append {
            command_id: CommandId::of_fact(&["follows"]),
            command: "Release",
            body: r#"{"why":"asked"}"#.to_owned(),
            causation: Some(cause),
            correlation: Some(id.0),
            writes: vec![
                Write::new(StreamName::Deposit(id), Expected::Exactly(version), vec![Event::Deposit(held)]),
                Write::new(StreamName::Wallet, Expected::Exactly(0), vec![Event::Wallet(reserved.into())]),
            ],
        };
        self.store.append(append).await.unwrap();
    }
}

#[tokio::test]
async fn an_event_is_shown_with_its_command_its_cause_and_what_it_changed() {
    let desk = Desk::start().await;
    desk.bind(7).await;
    let id = desk.deposit(1, Some("target"), received()).await;
    desk.follow(id, 3, 1).await;
    let shown = desk.got("/operator/v1/events/5").await;
    assert_eq!((shown["event"]["kind"].as_str(), shown["event"]["version"].as_u64()), (Some("Held"), Some(4)));
    assert_eq!(shown["command"], serde_json::json!({ "name": "Release", "body": { "why": "asked" } }));
    assert_eq!((shown["asked_by"].as_str(), shown["cause"]["kind"].as_str()), (Some("operator"), Some("Bound")));
    let together: Vec<_> = shown["together"].as_array().unwrap().iter().map(|node| &node["kind"]).collect();
    assert_eq!(together, ["InputsReserved"]);
    assert_eq!(
        (&shown["before"]["stage"], &shown["after"]["stage"]["held"]["reason"]),
        (&"wait_decide".into(), &"below_minimum".into())
    );
    let paths: Vec<_> = shown["changes"].as_array().unwrap().iter().map(|field| &field["path"]).collect();
    assert_eq!(paths, ["stage", "stage.held.interrupted", "stage.held.reason"]);

    let first = desk.got("/operator/v1/events/2").await;
    assert_eq!((&first["before"], &first["after"]["stage"]), (&Value::Null, &"pending".into()));
    assert_eq!((&first["cause"], first["together"].as_array().unwrap().len()), (&Value::Null, 2));
    let shared = desk.got("/operator/v1/events/6").await;
    assert_eq!(
        (&shared["event"]["stream"], &shared["before"], &shared["after"]),
        (&"wallet/sky".into(), &Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_deposits_causes_are_a_graph_in_the_order_of_the_log() {
    let desk = Desk::start().await;
    desk.bind(7).await;
    let id = desk.deposit(1, Some("target"), received()).await;
    desk.follow(id, 3, 1).await;
    let graph = desk.got(&format!("/operator/v1/deposits/{id}/causes")).await;
    let nodes: Vec<_> = graph["nodes"].as_array().unwrap().iter().map(|node| node["kind"].as_str().unwrap()).collect();
    assert_eq!(nodes, ["Bound", "Detected", "Mined", "StatusWaitDecide", "Held", "InputsReserved"]);
    let edges: Vec<_> = graph["edges"].as_array().unwrap().iter().map(|edge| edge.to_string()).collect();
    assert!(edges.contains(&r#"{"from":1,"relation":"caused","to":5}"#.to_owned()), "{edges:?}");
    assert!(edges.contains(&r#"{"from":5,"relation":"together","to":6}"#.to_owned()), "{edges:?}");
    assert_eq!((edges.len(), &graph["complete"]), (5, &true.into()));
}

#[tokio::test]
async fn an_event_or_deposit_that_never_was_is_a_404() {
    let desk = Desk::start().await;
    for (path, code) in [
        ("events/0".to_owned(), "unknown_event"),
        ("events/1".to_owned(), "unknown_event"),
        (format!("events/{}", u64::MAX), "unknown_event"),
        ("events/first".to_owned(), "not_found"),
        (format!("deposits/{}/causes", Uuid::from_u128(9)), "unknown_deposit"),
    ] {
        let (status, problem) = desk.get(&format!("/operator/v1/{path}")).await;
        assert_eq!((status.as_u16(), problem["code"].as_str()), (404, Some(code)), "{path}: {problem}");
    }
}
