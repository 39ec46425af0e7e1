//! Operators hear of it when a node is down and when the hot wallet runs low, once, and once more when that is over; of the
//! real program, by a webhook.

use anyhow::{Context, Result};
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use millrace_tests::receiver::{Receiver, TOLD_WITHIN, WEBHOOKS, proved};
use serde_json::{Value, json};

/// Nobody here wants to wait for a minute.
const SOON: [(&str, &str); 3] =
    [("MILLRACE_DESK__RATE", "500"), ("MILLRACE_ALERTS__DOWN_AFTER_S", "1"), ("MILLRACE_ALERTS__UP_AFTER_S", "1")];

/// A sandbox's wallet begins with four millions; one payout of 500 takes it below this.
const WANTED: &str = "3999600";

/// A receiver that is told of the desk, and its secret.
async fn operator(desk: &Desk) -> Result<(Receiver, String)> {
    let receiver = Receiver::start().await?;
    let wanted = json!({ "url": receiver.url(), "events": [{ "name": "Desk.*" }] });
    let made = OperatorApi::of(desk)?.post(WEBHOOKS, &wanted).await?;
    Ok((receiver, made["secret"].as_str().context("a secret")?.to_owned()))
}

/// What came, once it is so much: its types and what it is about.
async fn told(receiver: &Receiver, secret: &str, many: usize) -> Result<Vec<(String, Value)>> {
    let arrived = receiver.told(many).await?;
    let told = arrived.iter().map(|arrived| {
        let told = proved(secret, arrived)?;
        Ok((told["event_type"].as_str().context("a type")?.to_owned(), told["resource"].clone()))
    });
    told.collect()
}

/// Waits until these alerts are on, by the metrics.
async fn on(desk: &Desk, alerts: &[&str]) -> Result<()> {
    desk.until(TOLD_WITHIN, "the metrics say so", async || {
        let (_, page) = OperatorApi::of(desk)?.probe("/metrics").await?;
        let on = page.lines().filter(|line| line.starts_with("millrace_alert_"));
        Ok(on.eq(alerts.iter().copied()).then_some(()))
    })
    .await
}

/// Also when the desk is killed in between.
#[tokio::test]
async fn a_node_that_is_gone_is_told_once_and_that_it_is_back() -> Result<()> {
    let mut desk = Desk::start(&SOON).await?;
    let (receiver, secret) = operator(&desk).await?;
    let gone = json!({ "server": "bitcoin", "operation": "*", "effect": "lose_request" });
    desk.sandbox()?.post("/faults", &gone).await?;
    let down = told(&receiver, &secret, 1).await?;
    assert_eq!((down[0].0.as_str(), &down[0].1["part"]), ("Desk.Part_Down", &json!("bitcoin_node")));
    assert_eq!((&down[0].1["down"], &down[0].1["reason"]), (&json!(true), &json!("unreachable")));
    let name = r#"millrace_alert_part_down{part="bitcoin_node",reason="unreachable"} 1"#;
    on(&desk, &[name]).await?;

    desk.kill_and_restart().await?;
    let says_so = async || {
        let part = OperatorApi::of(&desk)?.part("scanner").await?;
        Ok(part["conditions"].to_string().contains("bitcoin_node").then_some(()))
    };
    desk.until(TOLD_WITHIN, "the scanner misses its node again", says_so).await?;
    desk.sandbox()?.delete("/faults").await?;
    let all = told(&receiver, &secret, 2).await?;
    let names: Vec<_> = all.iter().map(|(name, about)| (name.as_str(), about["part"].as_str())).collect();
    assert_eq!(names, [("Desk.Part_Down", Some("bitcoin_node")), ("Desk.Part_Up", Some("bitcoin_node"))]);
    on(&desk, &[]).await
}

/// P7: a hot wallet that runs low is told to operators once, and once more when it was refilled.
#[tokio::test]
async fn a_hot_wallet_that_runs_low_is_told_once_and_that_it_was_refilled() -> Result<()> {
    let wanted = [("MILLRACE_SKYCOIN__LOW_BALANCE_WARNING", WANTED), ("MILLRACE_ALERTS__RESTORED_MARGIN_PERCENT", "1")];
    let desk = Desk::start(&[SOON.as_slice(), &wanted].concat()).await?;
    let (receiver, secret) = operator(&desk).await?;
    let target = fresh_target(81);
    desk.pay(&desk.bind(&target).await?, "1").await?;
    desk.settled(&target, 1).await?;
    let low = told(&receiver, &secret, 1).await?;
    assert_eq!((low[0].0.as_str(), &low[0].1["place"]), ("Desk.Balance_Low", &json!("hot_wallet")));
    assert_eq!((&low[0].1["low"], &low[0].1["coin"]), (&json!(true), &json!("SKY")));
    assert_eq!(low[0].1["threshold"], format!("{WANTED}.000000"));
    on(&desk, &[r#"millrace_alert_balance_low{place="hot_wallet",coin="SKY"} 1"#]).await?;

    let refill = json!({ "outputs": 10, "coins": "5000", "hours": 1_000 });
    desk.sandbox()?.post("/skycoin/refill", &refill).await?;
    let all = told(&receiver, &secret, 2).await?;
    let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Desk.Balance_Low", "Desk.Balance_Restored"]);
    on(&desk, &[]).await
}
