//! Totals, addresses, switches, transfers, backups, probes.

use std::fs;

use millrace_actors::event_store::Reader;
use millrace_actors::projection::StoredViews;

use super::*;

#[tokio::test]
async fn totals_move_with_the_deposits_and_outlive_a_restart() {
    let desk = Desk::start().await;
    desk.bind(1).await;
    desk.deposit(1, Some("target"), received()).await;
    desk.deposit(2, Some("target"), received()).await;
    let id = desk.deposit(3, None, quarantined()).await;
    desk.post(&format!("/operator/v1/deposits/{id}/refund-due"), r#"{"note":"theirs"}"#).await;
    let check = async || {
        let totals = desk.got("/operator/v1/totals").await;
        let fields = ["deposits", "open", "addresses"].map(|name| totals[name].as_u64().unwrap());
        assert_eq!(fields, [3, 3, 1], "{totals}");
        let standing = totals["standing"].as_array().unwrap();
        let of = |status: &str| standing.iter().find(|line| line["status"] == status).cloned();
        let waiting = of("wait_decide").unwrap();
        assert_eq!((waiting["deposits"].as_u64(), waiting["received_btc"].as_str()), (Some(2), Some("1.00000000")));
        let owed = of("refund_due").unwrap();
        assert_eq!((owed["deposits"].as_u64(), owed["refund_btc"].as_str()), (Some(1), Some("0.50000000")));
        assert!(of("quarantined").is_none(), "it has left: {totals}");
    };
    check().await;
    assert_eq!(desk.post("/operator/v1/parts/projection/restart", "").await.0, 200);
    desk.views.caught_up(desk.store.head(), Duration::from_secs(20)).await;
    let stored = StoredViews::open(&desk.folder.path().join("views.db"), false).unwrap();
    assert_eq!(stored.position().unwrap(), Some(desk.store.head()));
    assert_eq!(stored.totals().unwrap(), *desk.views.totals());
    check().await;
}

#[tokio::test]
async fn addresses_come_in_pages_newest_first() {
    let desk = Desk::start().await;
    for number in 1..=3 {
        desk.bind(number).await;
    }
    let first = desk.got("/operator/v1/addresses?limit=2").await;
    assert_eq!(first["addresses"][0]["address"], "address 3");
    let next = first["next"].as_str().unwrap();
    let second = desk.got(&format!("/operator/v1/addresses?limit=2&after={next}")).await;
    assert_eq!(second["addresses"].as_array().unwrap().len(), 1);
    assert_eq!((&second["addresses"][0]["number"], second.get("next")), (&Value::from(1), None));
}

#[tokio::test]
async fn a_switch_is_turned_with_a_note_and_shown() {
    let desk = Desk::start().await;
    let (status, turned) = desk.post("/operator/v1/switches/sends", r#"{"setting":"off","note":"wallet moves"}"#).await;
    assert_eq!((status.as_u16(), turned["setting"].as_str()), (200, Some("off")), "{turned}");
    let shown = async || loop {
        // The switches are shown by a follower of the log, which comes a moment later.
        let switches = desk.got("/operator/v1/switches").await;
        if switches["sends"] == "off" && switches["binds"] == "on" {
            return;
        }
        tokio::task::yield_now().await;
    };
    tokio::time::timeout(Duration::from_secs(20), shown()).await.unwrap();
    for (path, body, status) in [
        ("lights", r#"{"setting":"off","note":"x"}"#, 404),
        ("binds", r#"{"setting":"dim","note":"x"}"#, 400),
        ("binds", r#"{"setting":"off"}"#, 400),
        ("binds", r#"{"setting":"off","note":""}"#, 422),
    ] {
        assert_eq!(desk.post(&format!("/operator/v1/switches/{path}"), body).await.0, status, "{path} {body}");
    }
}

#[tokio::test]
async fn a_halt_is_shown_until_it_is_lifted_with_a_reason() {
    let desk = Desk::start().await;
    let halted = async |wanted: Option<&str>| {
        let shown = async || {
            while desk.got("/operator/v1/switches").await["halted"].as_str() != wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), shown()).await.unwrap();
    };
    assert_eq!(desk.post("/operator/v1/halt", r#"{"note":""}"#).await.0, 422);
    assert_eq!(desk.post("/operator/v1/halt", r#"{"note":"look"}"#).await.0, 200);
    halted(Some("by an operator: look")).await;
    assert_eq!(desk.post("/operator/v1/resume", "{}").await.0, 400);
    assert_eq!(desk.post("/operator/v1/resume", r#"{"note":"seen"}"#).await.0, 200);
    halted(None).await;
}

#[tokio::test]
async fn a_transfer_is_declared_once_for_each_key_and_checked() {
    let desk = Desk::start().await;
    let refill = |coin: &str, amount: &str, place: &str| {
        format!(r#"{{"kind":"refill","place":"{place}","coin":"{coin}","amount":"{amount}","note":"vault"}}"#)
    };
    let good = refill("SKY", "1000.5", "hot_wallet");
    let declare = async |key: &str| {
        let request = Request::post("/operator/v1/transfers").header("idempotency-key", key);
        answer(desk.ask(request, &good).await).await
    };
    let (status, first) = declare("a").await;
    assert_eq!(status, 201, "{first}");
    assert_eq!(declare("a").await.1, first);
    assert_ne!(declare("b").await.1, first);
    assert_eq!(declare("").await.0, 400);
    let head = desk.store.head();
    for (body, code) in [
        (refill("SKY", "0", "hot_wallet"), "invalid_amount"),
        (refill("SKY", "-1", "hot_wallet"), "invalid_amount"),
        (refill("SKY", "0.0000001", "hot_wallet"), "invalid_amount"),
        (refill("SKY", "1e9", "hot_wallet"), "invalid_amount"),
        (refill("BTC", "99999999999999999999", "exchange"), "invalid_amount"),
        (refill("ETH", "1", "exchange"), "unknown_coin"),
        (refill("BTC", "1", "hot_wallet"), "wrong_place"),
        (refill("SKY", "1", "deposit_addresses"), "wrong_place"),
    ] {
        let (status, problem) = desk.post("/operator/v1/transfers", &body).await;
        assert_eq!((status.as_u16(), problem["code"].as_str()), (422, Some(code)), "{body}: {problem}");
    }
    assert_eq!(desk.post("/operator/v1/transfers", &refill("SKY", "1", "pocket")).await.0, 400);
    assert_eq!(desk.store.head(), head);
}

#[tokio::test]
async fn a_backup_is_a_log_with_the_same_head_and_is_never_overwritten() {
    let desk = Desk::start().await;
    desk.deposit(1, Some("target"), received()).await;
    let (status, kept) = desk.post("/operator/v1/backup", r#"{"name":"before"}"#).await;
    assert_eq!((status.as_u16(), kept["head"].as_u64()), (201, Some(4)), "{kept}");
    let file = PathBuf::from(kept["file"].as_str().unwrap());
    assert_eq!(fs::metadata(&file).unwrap().len(), kept["bytes"].as_u64().unwrap());
    desk.deposit(2, Some("target"), received()).await;

    let (status, problem) = desk.post("/operator/v1/backup", r#"{"name":"before"}"#).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (409, Some("backup_exists")));
    assert_eq!(Reader::open(&file).unwrap().head().unwrap(), 4);
    assert_eq!(desk.post("/operator/v1/backup", r#"{"name":"../log"}"#).await.0, 422);
    let (status, kept) = desk.post("/operator/v1/backup", "{}").await;
    assert_eq!(status, 201);
    assert!(kept["file"].as_str().unwrap().ends_with("backups/log-9.db"), "{kept}");

    let response = desk.ask(Request::get("/operator/v1/backup"), "").await;
    let length: u64 = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let body = to_bytes(response.into_body(), 10_000_000).await.unwrap();
    assert_eq!(body.len() as u64, length);
    let fetched = desk.folder.path().join("fetched.db");
    fs::write(&fetched, &body).unwrap();
    let (copy, log) = (Reader::open(&fetched).unwrap(), desk.store.reader().unwrap());
    assert_eq!(copy.after(0, 100).unwrap(), log.after(0, 100).unwrap());
    let left: Vec<_> = fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}

#[tokio::test]
async fn a_desk_whose_log_does_not_open_lives_but_is_not_ready() {
    let desk = Desk::start_on(|folder| folder.join("no such folder/log.db")).await;
    assert_eq!(desk.get("/livez").await.0, 200);
    let (status, readiness) = desk.get("/readyz").await;
    assert_eq!((status.as_u16(), readiness["log"].as_str()), (503, Some("not open")));
    for path in ["events", "events/live", "backup", "switches", &format!("deposits/{}", Uuid::from_u128(1))] {
        let (status, problem) = desk.get(&format!("/operator/v1/{path}")).await;
        assert_eq!((status.as_u16(), problem["code"].as_str()), (503, Some("log_unavailable")), "{path}");
    }
    let (status, problem) = desk.post("/operator/v1/switches/sends", r#"{"setting":"on","note":"go"}"#).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (503, Some("desk_unavailable")));
    let (status, text) = desk.get("/metrics").await;
    assert!(status == 200 && text.as_str().unwrap().contains("\nmillrace_log_open 0\n"), "{text}");
}

#[tokio::test]
async fn metrics_are_lines_prometheus_reads() {
    let desk = Desk::start().await;
    desk.deposit(1, Some("target"), received()).await;
    assert_eq!(desk.get("/readyz").await.0, 200);
    let (_, text) = desk.get("/metrics").await;
    let text = text.as_str().unwrap();
    for line in [
        "millrace_log_head_position 3",
        "millrace_views_lag_events 0",
        "millrace_projection_lag_events{projection=\"ledger\"} 0",
        "millrace_projection_rebuilding{projection=\"deposits\"} 0",
        "millrace_deposits_open 1",
        "millrace_deposits{status=\"wait_decide\",outcome=\"\"} 1",
        "millrace_ledger_units{account=\"customer\",coin=\"BTC\"} -50000000",
        "millrace_part_up{part=\"projection\"} 1",
        "millrace_part_state{part=\"projection\",state=\"running\"} 1",
        "# TYPE millrace_part_restarts_total counter",
        "millrace_webhooks{status=\"disabled\"} 0",
        "millrace_delivery_delivered_total 0",
        "# TYPE millrace_delivery_latency_seconds histogram",
        "millrace_delivery_latency_seconds_bucket{le=\"0.01\"} 0",
        "millrace_delivery_latency_seconds_bucket{le=\"2.5\"} 0",
        "millrace_delivery_latency_seconds_bucket{le=\"86400\"} 0",
        "millrace_delivery_latency_seconds_count 0",
        "millrace_delivery_in_flight 0",
        "millrace_delivery_backlog_positions{webhooks=\"served\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let mut names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<i128>().is_ok(), "{line}");
    }
}
