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

/// A receiver of everything that operators are told, and its secret.
struct Operator(Receiver, String);

impl Operator {
    async fn of(desk: &Desk) -> Result<Self> {
        let receiver = Receiver::start().await?;
        let wanted = json!({ "url": receiver.url(), "events": [{ "name": "Desk.*" }] });
        let made = OperatorApi::of(desk)?.post(WEBHOOKS, &wanted).await?;
        Ok(Self(receiver, made["secret"].as_str().context("a secret")?.to_owned()))
    }

    /// What he was told of this, once it is so much: the types and the resources. On a busy machine another part may take a
    /// second to start, which is told as well.
    async fn told(&self, desk: &Desk, of: (&str, &str), many: usize) -> Result<Vec<(String, Value)>> {
        desk.until(TOLD_WITHIN, "an operator is told", async || {
            let told = self.0.arrived().iter().map(|arrived| proved(&self.1, arrived)).collect::<Result<Vec<_>>>()?;
            let (field, value) = of;
            let about = told.into_iter().filter(|told| told["resource"][field] == value);
            let about = about
                .map(|told| (told["event_type"].as_str().unwrap_or_default().to_owned(), told["resource"].clone()));
            let about: Vec<_> = about.collect();
            Ok((about.len() >= many).then_some(about))
        })
        .await
    }
}

/// Waits until this alert is on or off, by the metrics.
async fn shown(desk: &Desk, alert: &str, wanted: usize) -> Result<()> {
    desk.until(TOLD_WITHIN, "the metrics say so", async || {
        let (_, page) = OperatorApi::of(desk)?.probe("/metrics").await?;
        Ok((page.lines().filter(|line| line.starts_with(alert)).count() == wanted).then_some(()))
    })
    .await
}

/// Also when the desk is killed in between.
#[tokio::test]
async fn a_node_that_is_gone_is_told_once_and_that_it_is_back() -> Result<()> {
    let mut desk = Desk::start(&SOON).await?;
    let (operator, node) = (Operator::of(&desk).await?, ("part", "bitcoin_node"));
    let gone = json!({ "server": "bitcoin", "operation": "*", "effect": "lose_request" });
    desk.sandbox()?.post("/faults", &gone).await?;
    let down = operator.told(&desk, node, 1).await?;
    assert_eq!((down[0].0.as_str(), &down[0].1["down"]), ("Desk.Part_Down", &json!(true)));
    assert_eq!(down[0].1["reason"], "unreachable");
    let alert = r#"millrace_alert_part_down{part="bitcoin_node",reason="unreachable"} 1"#;
    shown(&desk, alert, 1).await?;

    desk.kill_and_restart().await?;
    let says_so = async || {
        let part = OperatorApi::of(&desk)?.part("scanner").await?;
        Ok(part["conditions"].to_string().contains("bitcoin_node").then_some(()))
    };
    desk.until(TOLD_WITHIN, "the scanner misses its node again", says_so).await?;
    desk.sandbox()?.delete("/faults").await?;
    let all = operator.told(&desk, node, 2).await?;
    let types: Vec<_> = all.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(types, ["Desk.Part_Down", "Desk.Part_Up"]);
    shown(&desk, alert, 0).await
}

/// P7: a hot wallet that runs low is told to operators once, and once more when it was refilled.
#[tokio::test]
async fn a_hot_wallet_that_runs_low_is_told_once_and_that_it_was_refilled() -> Result<()> {
    let wanted = [("MILLRACE_SKYCOIN__LOW_BALANCE_WARNING", WANTED), ("MILLRACE_ALERTS__RESTORED_MARGIN_PERCENT", "1")];
    let desk = Desk::start(&[SOON.as_slice(), &wanted].concat()).await?;
    let (operator, wallet) = (Operator::of(&desk).await?, ("place", "hot_wallet"));
    let target = fresh_target(81);
    desk.pay(&desk.bind(&target).await?, "1").await?;
    desk.settled(&target, 1).await?;
    let low = operator.told(&desk, wallet, 1).await?;
    assert_eq!((low[0].0.as_str(), &low[0].1["low"]), ("Desk.Balance_Low", &json!(true)));
    assert_eq!((&low[0].1["coin"], &low[0].1["threshold"]), (&json!("SKY"), &json!(format!("{WANTED}.000000"))));
    let alert = r#"millrace_alert_balance_low{place="hot_wallet",coin="SKY"} 1"#;
    shown(&desk, alert, 1).await?;

    let refill = json!({ "outputs": 10, "coins": "5000", "hours": 1_000 });
    desk.sandbox()?.post("/skycoin/refill", &refill).await?;
    let all = operator.told(&desk, wallet, 2).await?;
    let types: Vec<_> = all.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(types, ["Desk.Balance_Low", "Desk.Balance_Restored"]);
    shown(&desk, alert, 0).await
}
