//! Giving out addresses: once for a key, never more than the limit, and only while it is allowed.

use super::*;

fn address(answer: &(StatusCode, String)) -> String {
    let value: Value = serde_json::from_str(&answer.1).unwrap_or_else(|_| panic!("{answer:?}"));
    value["deposit_address"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_repeated_key_gets_the_same_address_and_another_key_another_one() {
    let desk = Rig::start(Setup::default()).await;
    let first = desk.bind(&[("idempotency-key", "one")]).await;
    assert_eq!(first.0, 200, "{first:?}");
    let head = desk.store.head();
    assert_eq!(address(&desk.bind(&[("idempotency-key", "one")]).await), address(&first));
    assert_eq!(desk.store.head(), head, "nothing more is stored");
    assert_ne!(address(&desk.bind(&[("idempotency-key", "two")]).await), address(&first));
    assert_ne!(address(&desk.bind(&[]).await), address(&first));
    let (_, statuses) = desk.get(&format!("/api/status?skyaddr={TARGET}")).await;
    let shown = statuses["statuses"].as_array().unwrap();
    assert_eq!(shown.len(), 3);
    assert!(shown.iter().all(|status| status["status"] == "waiting_deposit" && status["coin_type"] == "BTC"));
}

#[tokio::test]
async fn of_many_at_once_as_many_as_are_allowed_get_an_address() {
    let desk = Rig::start(Setup::default()).await;
    let answers = futures::future::join_all((0..20).map(|_| desk.bind(&[]))).await;
    let statuses: Vec<_> = answers.iter().map(|(status, _)| status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3);
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 17);
    let words = "The maximum number of addresses have been assigned to this SKY address\n";
    assert!(answers.iter().filter(|(status, _)| *status == 409).all(|(_, text)| text == words));
}

#[tokio::test]
async fn nobody_gets_an_address_while_binding_is_off_or_there_are_none() {
    let configured = Rig::start(Setup { binds: Binds::Disabled, ..Setup::default() }).await;
    assert_eq!(configured.bind(&[]).await, (StatusCode::FORBIDDEN, "Address binding is disabled\n".to_owned()));
    assert_eq!(configured.get("/api/config").await.1["enabled"], false);
    let switched = Rig::start(Setup::default()).await;
    switched.switches.send_replace(off(Switch::Binds));
    assert_eq!(switched.bind(&[]).await.0, 403);
    let empty = Rig::start(Setup { addresses: AddressSource::list(vec![]), ..Setup::default() }).await;
    assert_eq!(empty.bind(&[]).await, (StatusCode::SERVICE_UNAVAILABLE, "Deposit address pool is empty\n".to_owned()));
    for desk in [configured, switched, empty] {
        assert_eq!(desk.store.head(), 0);
    }
}

/// S5: each caller has his own limit.
#[tokio::test]
async fn a_burst_passes_and_every_caller_behind_the_proxy_has_his_own() {
    let pace = Pace { per_minute: 1, burst: 2 };
    let proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let desk = Rig::start(Setup { pace, proxies, ..Setup::default() }).await;
    let ask = |caller: &'static str| {
        let peer = Peer("10.0.0.1:4000".parse::<SocketAddr>().unwrap());
        let request = Request::get(format!("/api/status?skyaddr={TARGET}"));
        desk.ask(request.header("x-forwarded-for", caller).extension(peer).body(Body::empty()).unwrap())
    };
    assert_eq!(ask("192.0.2.1").await.status(), 200);
    assert_eq!(ask("192.0.2.1").await.status(), 200);
    let refused = ask("192.0.2.1").await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 50);
    assert_eq!(ask("192.0.2.2").await.status(), 200, "another caller of the same proxy");
    assert_eq!(ask("192.0.2.1, 192.0.2.9").await.status(), 200, "what the caller claims himself counts for nothing");
    assert_eq!(ask("192.0.2.2, 192.0.2.1").await.status(), 429);
}

#[tokio::test]
async fn the_health_answers_at_once_with_tellers_shape() {
    let desk = Rig::start(Setup::default()).await;
    let (status, health) = desk.get("/api/health").await;
    assert_eq!(status, 200);
    let exchange = &health["exchange"];
    assert_eq!(exchange["balance"]["coins"], "0.000000", "nothing was read yet");
    assert_eq!((&exchange["balance"]["hours"], &exchange["balance"]["as_of"]), (&"0".into(), &Value::Null));
    assert_eq!((&exchange["buy_method"], &exchange["deposit_error_count"]), (&"direct".into(), &0.into()));
    for field in ["processor_error", "sender_error"] {
        assert_eq!(exchange[field], "");
    }
}
