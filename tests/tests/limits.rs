//! What the configuration forbids stops where it should, says why, and goes on when an operator says so; and every line
//! of the log that is about a deposit says about which.

use std::time::Duration;

use anyhow::{Context, Result};
use millrace_daemon::sandbox::info::Info;
use millrace_tests::desk::{Desk, books_of, fresh_target};
use millrace_tests::operator::OperatorApi;
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(60);

/// The one deposit, once it is held: its id and why.
async fn held(desk: &Desk) -> Result<(String, String)> {
    let operator = OperatorApi::of(desk)?;
    desk.until(WITHIN, "a deposit is held", async || {
        let page = operator.get("/deposits/held").await?;
        let shown = |name: &str| page["deposits"][0][name].as_str().map(str::to_owned);
        Ok(shown("id").zip(shown("reason")))
    })
    .await
}

async fn release(desk: &Desk, id: &str) -> Result<Value> {
    OperatorApi::of(desk)?.post(&format!("/deposits/{id}/release"), &json!({ "note": "seen and fine" })).await
}

/// All values of a line that are texts or numbers.
fn values(line: &Value) -> Vec<String> {
    match line {
        Value::Object(fields) => fields.values().flat_map(values).collect(),
        Value::Array(items) => items.iter().flat_map(values).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

#[tokio::test]
async fn a_payout_above_the_maximum_is_held_until_it_is_released_and_then_made_once() -> Result<()> {
    let desk = Desk::start(&[
        ("MILLRACE_DESK__RATE", "500"),
        ("MILLRACE_DESK__MAXIMUM_PAYOUT", "10"),
        // A request that names a deposit in its path is a line of the listener, not of the deposit.
        ("MILLRACE_DESK__LOG", "debug,millrace_daemon::web=info"),
    ])
    .await?;
    let target = fresh_target(71);
    let address = desk.bind(&target).await?;
    let txid = desk.pay(&address, "0.05").await?;
    let (id, why) = held(&desk).await?;
    assert_eq!(why, "payout_above_maximum");
    let customer = desk.get(&format!("/api/v1/customers/{target}")).await?;
    assert_eq!(customer["deposits"][0]["status_text"], "Held: more than is paid out without the operator");
    assert!(books_of(&desk, &target).await?.is_empty());

    release(&desk, &id).await?;
    let deposits = desk.settled(&target, 1).await?;
    assert_eq!((&deposits[0]["outcome"], &deposits[0]["payout"]), (&"paid".into(), &"25.000000".into()));
    assert_eq!(books_of(&desk, &target).await?.len(), 1);

    let log = std::fs::read_to_string(desk.log_file())?;
    let lines: Vec<Value> = log.lines().map(serde_json::from_str).collect::<Result<_, _>>().context("JSON lines")?;
    let payout_txid = deposits[0]["payout_txid"].as_str().context("it is paid")?;
    let about = [id.as_str(), txid.as_str(), address.as_str(), payout_txid];
    let its: Vec<_> = lines
        .iter()
        .filter(|line| values(line).iter().any(|value| about.iter().any(|name| value.contains(name))))
        .collect();
    assert!(its.len() >= 4, "detected, decided, released, paid: {its:#?}");
    for line in its {
        assert_eq!(line["deposit"], id.as_str(), "{line}");
    }
    Ok(())
}

/// D11: whoever pays the desk to pay itself would lose his coins.
#[tokio::test]
async fn nobody_gets_an_address_for_the_hot_wallet_as_target() -> Result<()> {
    let desk = Desk::start(&[]).await?;
    let info = Info::read(&desk.data_dir().join("sandbox")).context("the sandbox says where it is")?;
    let own = info.skycoin.hot_address;
    desk.until(WITHIN, "the node has said which address is its own", async || {
        let health = desk.get("/api/health").await?;
        Ok((health["exchange"]["balance"]["coins"] != "0.000000").then_some(()))
    })
    .await?;
    let refused = desk.bind(&own.to_string()).await.map(drop).map_err(|error| error.to_string());
    assert!(refused.as_ref().is_err_and(|why| why.contains("the desk's own wallet")), "{refused:?}");
    Ok(())
}

/// D5: it is shown, and an operator can have it served.
#[tokio::test]
async fn a_release_serves_a_deposit_that_is_too_small() -> Result<()> {
    let desk = Desk::start(&[("MILLRACE_DESK__MINIMUM_DEPOSIT", "1"), ("MILLRACE_DESK__RATE", "500")]).await?;
    let target = fresh_target(72);
    desk.pay(&desk.bind(&target).await?, "0.5").await?;
    let (id, why) = held(&desk).await?;
    assert_eq!(why, "below_minimum");
    release(&desk, &id).await?;
    assert_eq!(desk.settled(&target, 1).await?[0]["outcome"], "paid");
    assert_eq!(books_of(&desk, &target).await?.len(), 1);
    Ok(())
}

/// P7: the whole desk with a wallet that runs low.
#[tokio::test]
async fn a_wallet_that_runs_low_warns_and_payouts_wait_for_coin_hours() -> Result<()> {
    let desk = Desk::start(&[
        ("MILLRACE_DESK__RATE", "500"),
        ("MILLRACE_SKYCOIN__LOW_BALANCE_WARNING", "100000000"),
        ("MILLRACE_SKYCOIN__MINIMUM_HOURS", "18446744073709551615"),
    ])
    .await?;
    let target = fresh_target(73);
    desk.pay(&desk.bind(&target).await?, "0.05").await?;
    let health = desk
        .until(WITHIN, "the payout waits for hours", async || {
            let health = desk.get("/api/health").await?;
            let waits = health["exchange"]["sender_error"].as_str().is_some_and(|error| error.contains("for hours"));
            Ok(waits.then_some(health))
        })
        .await?;
    assert_eq!(health["status"], "DEGRADED");
    assert_ne!(health["exchange"]["balance"]["coins"], "0.000000");
    let stock = OperatorApi::of(&desk)?.part("stock").await?;
    let kinds: Vec<_> =
        stock["conditions"].as_array().context("conditions")?.iter().map(|c| c["kind"].clone()).collect();
    assert_eq!(kinds, ["low_balance"]);
    assert!(books_of(&desk, &target).await?.is_empty(), "nothing was paid");
    Ok(())
}

/// P6: the whole desk, judged by the node's books.
#[tokio::test]
async fn a_payout_that_leaves_the_chain_after_it_was_final_is_paid_again_by_the_same_transaction() -> Result<()> {
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let target = fresh_target(74);
    desk.pay(&desk.bind(&target).await?, "0.05").await?;
    let paid = desk.settled(&target, 1).await?;
    let reorged = async || {
        let id = paid[0]["id"].as_str().context("an id")?;
        let shown = OperatorApi::of(&desk)?.get(&format!("/deposits/{id}")).await?;
        let events = shown["events"].as_array().context("events")?;
        let kinds: Vec<_> = events.iter().filter_map(|event| event["kind"].as_str().map(str::to_owned)).collect();
        let again = kinds.iter().any(|kind| kind == "PayoutReorged") && kinds.last().is_some_and(|k| k == "Confirmed");
        Ok(again.then_some(()))
    };
    // The desk may not have seen the block yet when it is taken back; it is to notice either way.
    desk.sandbox()?.post("/reorg", &json!({ "chain": "skycoin", "depth": 1, "orphans": "drop" })).await?;
    desk.until(WITHIN, "the payout is final once more", reorged).await?;
    let payments = books_of(&desk, &target).await?;
    assert_eq!(payments.len(), 1, "{payments:?}");
    assert_eq!(payments[0]["txid"], paid[0]["payout_txid"]);
    Ok(())
}
