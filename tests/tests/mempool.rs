//! Deposits that are not mined yet, in a desk on its sandbox: replaced, forgotten, sent again, orphaned and back.

use std::time::Duration;

use anyhow::{Context, Result};
use millrace_tests::desk::{Desk, books_of, fresh_target};
use serde_json::{Value, json};

const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// Blocks come when the test asks for them.
const ON_DEMAND: (&str, &str) = ("MILLRACE_SANDBOX__BITCOIN_BLOCK_MS", "86400000");
const RATE: (&str, &str) = ("MILLRACE_DESK__RATE", "100");

/// D4: the whole desk never pays what was replaced.
#[tokio::test]
async fn a_sighting_that_is_replaced_ends_and_is_never_paid() -> Result<()> {
    let desk = Desk::start(&[ON_DEMAND, RATE]).await?;
    let target = fresh_target(51);
    let txid = desk.pay(&desk.bind(&target).await?, "0.05").await?;
    says(&desk, &target, "Seen, waiting to be mined").await?;
    desk.sandbox()?.post("/bitcoin/replace", &json!({ "txid": txid })).await?;
    let gone = says(&desk, &target, "The transaction never came to be").await?;
    assert_eq!(gone["outcome"], "vanished");

    mine(&desk, 3).await?;
    settle_one(&desk, &fresh_target(52)).await?;
    assert_eq!(books_of(&desk, &target).await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn a_sighting_that_was_forgotten_and_is_sent_again_is_paid_once() -> Result<()> {
    let desk = Desk::start(&[ON_DEMAND, RATE]).await?;
    let target = fresh_target(53);
    let txid = desk.pay(&desk.bind(&target).await?, "0.05").await?;
    says(&desk, &target, "Seen, waiting to be mined").await?;
    desk.sandbox()?.post("/bitcoin/evict", &json!({ "txid": txid })).await?;
    says(&desk, &target, "The transaction never came to be").await?;
    desk.sandbox()?.post("/bitcoin/rebroadcast", &json!({ "txid": txid })).await?;
    mine(&desk, 2).await?;
    says(&desk, &target, "Paid out").await?;
    assert_eq!(books_of(&desk, &target).await?.len(), 1);
    Ok(())
}

/// D2: back to waiting, the customer sees it, and it is paid once in the end.
#[tokio::test]
async fn an_orphaned_deposit_that_waits_in_the_mempool_again_waits_for_its_depth_again() -> Result<()> {
    let desk = Desk::start(&[ON_DEMAND, RATE, ("MILLRACE_BITCOIN__CONFIRMATIONS", "3")]).await?;
    let target = fresh_target(54);
    desk.pay(&desk.bind(&target).await?, "0.05").await?;
    mine(&desk, 2).await?;
    says(&desk, &target, "Waiting for confirmation 2 of 3").await?;
    // As Bitcoin Core does it: what was in the abandoned blocks waits again.
    desk.sandbox()?.post("/reorg", &json!({ "chain": "bitcoin", "depth": 2, "orphans": "keep" })).await?;
    says(&desk, &target, "Seen, waiting to be mined").await?;
    mine(&desk, 1).await?;
    says(&desk, &target, "Waiting for confirmation 1 of 3").await?;
    mine(&desk, 2).await?;
    let deposits = desk.settled(&target, 1).await?;
    assert_eq!(deposits.len(), 1, "{deposits:?}");
    assert_eq!(books_of(&desk, &target).await?.len(), 1);
    Ok(())
}

async fn mine(desk: &Desk, blocks: u32) -> Result<()> {
    desk.sandbox()?.post("/mine", &json!({ "blocks": blocks })).await?;
    Ok(())
}

/// Somebody else's deposit goes its way, which proves that the desk has gone on.
async fn settle_one(desk: &Desk, target: &str) -> Result<()> {
    desk.pay(&desk.bind(target).await?, "0.01").await?;
    mine(desk, 2).await?;
    desk.settled(target, 1).await?;
    assert_eq!(books_of(desk, target).await?.len(), 1);
    Ok(())
}

/// Waits until the customer's deposit is shown with this sentence; gives the deposit back.
async fn says(desk: &Desk, target: &str, sentence: &str) -> Result<Value> {
    desk.until(SEEN_WITHIN, sentence, async || {
        let shown = desk.get(&format!("/api/v1/customers/{target}")).await?;
        let deposits = shown["deposits"].as_array().context("a list of deposits")?;
        Ok(deposits.iter().find(|deposit| deposit["status_text"] == sentence).cloned())
    })
    .await
}
