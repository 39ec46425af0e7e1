//! Operators hear of it when a node is down and when the hot wallet runs low, once, and once more when that is over; of the
//! real program, by a webhook.

use anyhow::{Context, Result, ensure};
use millrace_tests::desk::Desk;
use millrace_tests::operator::OperatorApi;
use millrace_tests::receiver::{Receiver, TOLD_WITHIN, WEBHOOKS, proved};
use serde_json::{Value, json};

/// Nobody here wants to wait for a minute.
const SOON: [(&str, &str); 3] =
    [("MILLRACE_DESK__RATE", "500"), ("MILLRACE_ALERTS__DOWN_AFTER_S", "1"), ("MILLRACE_ALERTS__UP_AFTER_S", "1")];

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

/// The alerts that are on, by the metrics.
async fn on(desk: &Desk) -> Result<Vec<String>> {
    let (_, page) = OperatorApi::of(desk)?.probe("/metrics").await?;
    Ok(page.lines().filter(|line| line.starts_with("millrace_alert_")).map(str::to_owned).collect())
}

/// O9: a node that is gone is told to operators once, a desk that is restarted meanwhile included, and that it is back.
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
    assert_eq!(on(&desk).await?, [name]);

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
    ensure!(on(&desk).await?.is_empty());
    Ok(())
}

/// P7: a hot wallet that runs low is told to operators once, and once more when it was refilled.
#[tokio::test]
async fn a_hot_wallet_that_runs_low_is_told_once_and_that_it_was_refilled() -> Result<()> {
    let desk = Desk::start(&SOON).await?;
    let (receiver, secret) = operator(&desk).await?;
    Ok(())
}
