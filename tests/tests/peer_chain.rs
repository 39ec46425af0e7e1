//! Deposits on the real Bitcoin node, through a whole desk: depth, reorganisations, conflicting spends, quarantine and a
//! block's reward. What was paid out is read in the Skycoin node's own books.

use std::time::Duration;

use anyhow::{Context, Result};
use bitcoin::Amount;
use millrace_daemon::sandbox::client::Client as SandboxClient;
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use millrace_tests::world::World;
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// How long the desk may take to see what the node has.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// An address of the customer's, outside the desk.
const ELSEWHERE: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_ripens_block_by_block_and_is_paid_out_once() -> Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let desk = world.desk(&[]).await?;
    let target = fresh_target(1);
    let address = desk.bind(&target).await?;
    assert_eq!(address, world.deposit_address(0)?, "the account key decides which address is given out");

    let txid = world.bitcoin.pay(&address, Amount::from_sat(12_345_678)).await?;
    says(&desk, &target, "Seen, waiting to be mined").await?;
    world.bitcoin.generate(1).await?;
    says(&desk, &target, "Waiting for confirmation 1 of 3").await?;
    world.bitcoin.generate(1).await?;
    let ripening = says(&desk, &target, "Waiting for confirmation 2 of 3").await?;
    assert_eq!(ripening["confirmations"], 2);
    assert_eq!(world.paid(&target)?.len(), 0, "nothing is paid before the deposit is deep enough");
    world.bitcoin.generate(1).await?;

    let deposits = desk.settled(&target, 1).await?;
    assert_eq!(deposits[0]["outcome"], "paid");
    assert_eq!(deposits[0]["txid"], txid.to_string());
    assert_eq!(deposits[0]["payout"], "12.345000");
    let payments = world.paid(&target)?;
    assert_eq!(payments.len(), 1, "{payments:?}");
    assert_eq!(payments[0].coins.to_string(), "12.345000");
    Ok(())
}

/// D10: the same with a real node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_outputs_of_one_transaction_are_two_deposits() -> Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let desk = world.desk(&[]).await?;
    let target = fresh_target(2);
    let (one, other) = (desk.bind(&target).await?, desk.bind(&target).await?);
    let outputs = [(one.as_str(), sat(2_000_000)), (other.as_str(), sat(3_000_000)), (one.as_str(), sat(4_000_000))];
    let payment = world.bitcoin.payment(&outputs).await?;
    world.bitcoin.broadcast(&payment).await?;
    world.bitcoin.generate(3).await?;

    let deposits = desk.settled(&target, 3).await?;
    assert_eq!(deposits.len(), 3, "{deposits:?}");
    let mut paid: Vec<_> = world.paid(&target)?.iter().map(|payment| payment.coins.to_string()).collect();
    paid.sort();
    assert_eq!(paid, ["2.000000", "3.000000", "4.000000"]);
    Ok(())
}

/// D2: the same with a real node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_orphaned_before_its_maturity_waits_again_and_is_paid_out_once() -> Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let desk = world.desk(&[]).await?;
    let target = fresh_target(3);
    let address = desk.bind(&target).await?;
    let payment = world.bitcoin.payment(&[(&address, sat(5_000_000))]).await?;
    world.bitcoin.broadcast(&payment).await?;
    world.bitcoin.generate(2).await?;
    says(&desk, &target, "Waiting for confirmation 2 of 3").await?;

    // This node does not return the transaction to its mempool: for a while it is nowhere at all.
    world.bitcoin.reorganise(2, Vec::new()).await?;
    says(&desk, &target, "The transaction never came to be").await?;
    world.bitcoin.broadcast(&payment).await?;
    world.bitcoin.generate(1).await?;
    says(&desk, &target, "Waiting for confirmation 1 of 3").await?;
    assert_eq!(world.paid(&target)?.len(), 0, "the depth is counted in the new branch");
    world.bitcoin.generate(2).await?;

    let deposits = desk.settled(&target, 1).await?;
    assert_eq!(deposits.len(), 1, "the same output is the same deposit: {deposits:?}");
    assert_eq!(deposits[0]["outcome"], "paid");
    assert_eq!(world.paid(&target)?.len(), 1);
    Ok(())
}

/// D2: spent elsewhere it vanishes and is never paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_that_the_new_branch_spends_elsewhere_vanishes_and_is_never_paid() -> Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let desk = world.desk(&[]).await?;
    let (robbed, honest) = (fresh_target(4), fresh_target(5));
    let address = desk.bind(&robbed).await?;
    let payment = world.bitcoin.payment(&[(&address, sat(5_000_000))]).await?;
    world.bitcoin.broadcast(&payment).await?;
    world.bitcoin.generate(2).await?;
    says(&desk, &robbed, "Waiting for confirmation 2 of 3").await?;

    let rival = world.bitcoin.conflicting_payment(&payment, &[(ELSEWHERE, sat(5_000_000))]).await?;
    world.bitcoin.reorganise(2, vec![rival.clone()]).await?;
    let gone = says(&desk, &robbed, "The transaction never came to be").await?;
    assert_eq!((&gone["status"], &gone["outcome"]), (&json!("done"), &json!("vanished")));
    let events = events_of(&desk, &gone).await?;
    let vanished = events.iter().find(|event| event["kind"] == "Vanished").context("it vanished")?;
    assert_eq!(vanished["payload"]["replaced_by"], rival.compute_txid().to_string(), "{vanished}");

    // Another customer's deposit goes its way in the new branch, which proves that the desk has gone on.
    settle_one(&world, &desk, &honest).await?;
    assert_eq!(world.paid(&robbed)?.len(), 0);
    Ok(())
}

/// D3: the operator sees what was lost, and the coins are paid for once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coins_of_a_paid_and_orphaned_deposit_are_never_paid_a_second_time() -> Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let desk = world.desk(&[]).await?;
    let target = fresh_target(6);
    let address = desk.bind(&target).await?;
    let payment = world.bitcoin.payment(&[(&address, sat(5_000_000))]).await?;
    world.bitcoin.broadcast(&payment).await?;
    world.bitcoin.generate(4).await?;
    let first = desk.settled(&target, 1).await?.remove(0);
    assert_eq!(world.paid(&target)?.len(), 1);

    // Deeper than the payout waited for: the coins come back in another transaction to the same customer.
    let again = world.bitcoin.conflicting_payment(&payment, &[(&address, sat(4_900_000))]).await?;
    world.bitcoin.reorganise(4, vec![again.clone()]).await?;
    world.bitcoin.generate(3).await?;
    let held = by_txid(&desk, &target, &again.compute_txid().to_string(), |shown| shown["status"] == "held").await?;
    assert_eq!(held["held"]["coins_seen_before"]["earlier"], first["id"], "{held}");
    let events = events_of(&desk, &first).await?;
    let kinds: Vec<_> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert!(kinds.contains(&"Orphaned") && kinds.contains(&"ReorgLoss"), "{kinds:?}");
    lost(&desk, "0.05000000").await?;

    // And back: the first transaction is mined again in a still longer branch, the other one is orphaned.
    world.bitcoin.reorganise(8, vec![payment.clone()]).await?;
    world.bitcoin.generate(3).await?;
    let other = fresh_target(7);
    settle_one(&world, &desk, &other).await?;
    let paid = world.paid(&target)?;
    assert_eq!(paid.len(), 1, "the coins were paid for once: {paid:?}");
    let shown = by_txid(&desk, &target, &payment.compute_txid().to_string(), |shown| shown["status"] == "done").await?;
    assert_eq!(shown["outcome"], "paid");
    lost(&desk, "0.00000000").await
}

/// D3: with a real node: one waits and is paid, the other was spent elsewhere and vanishes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_orphaned_before_its_payout_was_signed_is_held_until_it_is_deep_enough_again() -> Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let desk = world.desk(&[]).await?;
    let operator = OperatorApi::of(&desk)?;
    operator.post("/switches/sends", &json!({ "setting": "off", "note": "the wallet moves" })).await?;
    let (target, robbed) = (fresh_target(11), fresh_target(12));
    let payment = world.bitcoin.payment(&[(&desk.bind(&target).await?, sat(5_000_000))]).await?;
    let stolen = world.bitcoin.payment(&[(&desk.bind(&robbed).await?, sat(6_000_000))]).await?;
    world.bitcoin.broadcast(&payment).await?;
    world.bitcoin.broadcast(&stolen).await?;
    world.bitcoin.generate(3).await?;
    says(&desk, &target, "Sending SKY").await?;
    says(&desk, &robbed, "Sending SKY").await?;

    let rival = world.bitcoin.conflicting_payment(&stolen, &[(ELSEWHERE, sat(6_000_000))]).await?;
    world.bitcoin.reorganise(3, vec![rival]).await?;
    let held = says(&desk, &target, "Its block left the chain; waiting to be mined again").await?;
    operator.post("/switches/sends", &json!({ "setting": "on", "note": "it has moved" })).await?;
    let id = held["id"].as_str().context("an id")?;
    let released = operator.post(&format!("/deposits/{id}/release"), &json!({ "note": "please" })).await;
    assert!(released.is_err(), "nobody releases what is in no block: {released:?}");
    world.bitcoin.broadcast(&payment).await?;
    world.bitcoin.generate(1).await?;
    says(&desk, &target, "Mined again: waiting for confirmation 1 of 3").await?;
    assert_eq!(world.paid(&target)?.len(), 0);
    world.bitcoin.generate(2).await?;
    desk.settled(&target, 1).await?;
    assert_eq!(world.paid(&target)?.len(), 1);
    let gone = says(&desk, &robbed, "The transaction never came to be").await?;
    assert_eq!((&gone["outcome"], &gone["payout"]), (&json!("vanished"), &Value::Null));
    assert_eq!(world.paid(&robbed)?.len(), 0, "what was spent elsewhere is not paid");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_orphaned_while_it_is_being_bought_buys_on_when_it_is_deep_enough_again() -> Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let desk = world.desk(&[("MILLRACE_DESK__METHOD", "passthrough")]).await?;
    let exchange = SandboxClient::new(&world.sandbox.info)?;
    exchange.post("/market/fills", &json!({ "percent": 0 })).await?;
    let target = fresh_target(13);
    let payment = world.bitcoin.payment(&[(&desk.bind(&target).await?, sat(5_000_000))]).await?;
    world.bitcoin.broadcast(&payment).await?;
    world.bitcoin.generate(3).await?;
    let buying = says(&desk, &target, "Buying SKY on the exchange").await?;
    desk.until(SEEN_WITHIN, "an order is placed", async || {
        let events = events_of(&desk, &buying).await?;
        Ok(events.iter().any(|event| event["kind"] == "OrderPlaced").then_some(()))
    })
    .await?;

    world.bitcoin.reorganise(3, Vec::new()).await?;
    says(&desk, &target, "Its block left the chain; waiting to be mined again").await?;
    exchange.post("/market/clear", &json!({})).await?;
    world.bitcoin.broadcast(&payment).await?;
    world.bitcoin.generate(3).await?;
    let deposits = desk.settled(&target, 1).await?;
    assert_eq!(deposits[0]["outcome"], "paid");
    let amount = |field: &str| deposits[0][field].as_str().and_then(|text| text.parse::<Decimal>().ok());
    assert!(amount("spent").context("what was spent")? <= "0.05".parse()?, "{deposits:?}");
    assert_eq!(world.paid(&target)?.len(), 1);
    Ok(())
}

/// D4: a block that spends the coins otherwise ends the sighting; only what was mined is paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sighting_ends_when_a_block_holds_a_transaction_that_spends_the_same() -> Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let desk = world.desk(&[]).await?;
    let target = fresh_target(8);
    let address = desk.bind(&target).await?;
    let payment = world.bitcoin.payment(&[(&address, sat(5_000_000))]).await?;
    world.bitcoin.broadcast(&payment).await?;
    says(&desk, &target, "Seen, waiting to be mined").await?;

    let rival = world.bitcoin.conflicting_payment(&payment, &[(&address, sat(4_000_000))]).await?;
    world.bitcoin.reorganise(0, vec![rival.clone()]).await?;
    let txid = payment.compute_txid().to_string();
    let gone = by_txid(&desk, &target, &txid, |shown| shown["outcome"] == "vanished").await?;
    assert_eq!(gone["payout"], Value::Null);
    world.bitcoin.generate(2).await?;

    let deposits = desk.settled(&target, 2).await?;
    assert_eq!(deposits.len(), 2, "{deposits:?}");
    let paid = world.paid(&target)?;
    assert_eq!(paid.len(), 1, "only what was mined is paid: {paid:?}");
    assert_eq!(paid[0].coins.to_string(), "4.000000");
    Ok(())
}

/// D9: the operator finds it and pays it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_to_an_address_that_was_given_to_nobody_is_quarantined_for_the_operator() -> Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let desk = world.desk(&[]).await?;
    // Once an address was given out, no block is passed over, even if the desk has not seen the node yet.
    desk.bind(&fresh_target(10)).await?;
    let address = world.deposit_address(17)?;
    let txid = world.bitcoin.pay(&address, sat(5_000_000)).await?;
    world.bitcoin.generate(3).await?;

    let operator = OperatorApi::of(&desk)?;
    let found = desk.until(SEEN_WITHIN, "the operator sees a quarantined deposit", async || {
        let page = operator.get("/deposits/quarantined").await?;
        Ok(page["deposits"].as_array().and_then(|deposits| deposits.first().cloned()))
    });
    let found = found.await?;
    assert_eq!(found["address"], address);
    assert_eq!(found["txid"], txid.to_string());
    assert_eq!(found["target"], Value::Null);

    let id = found["id"].as_str().context("an id")?;
    operator.post(&format!("/deposits/{id}/refund-due"), &json!({ "note": "to nobody" })).await?;
    let refund = json!({ "txid": "aa".repeat(32), "note": "sent back by hand" });
    operator.post(&format!("/deposits/{id}/refunded"), &refund).await?;
    let shown = operator.get(&format!("/deposits/{id}")).await?;
    assert_eq!(shown["deposit"]["status"], "done");
    assert_eq!(shown["deposit"]["reason"], "refunded: sent back by hand");
    Ok(())
}

/// D10: a real reward is paid for at 101 confirmations and not before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocks_reward_counts_when_it_can_be_spent() -> Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let desk = world.desk(&[("MILLRACE_DESK__MAXIMUM_DEPOSIT", "50")]).await?;
    let target = fresh_target(9);
    let address = desk.bind(&target).await?;
    world.bitcoin.generate_to(1, &address).await?;
    world.bitcoin.generate(99).await?;
    let ripening = says(&desk, &target, "Waiting for confirmation 100 of 101").await?;
    assert_eq!(ripening["confirmations_required"], 101);
    assert_eq!(world.paid(&target)?.len(), 0);

    world.bitcoin.generate(1).await?;
    let deposits = desk.settled(&target, 1).await?;
    assert_eq!(deposits[0]["amount"], "12.50000000");
    assert_eq!(world.paid(&target)?.len(), 1);
    Ok(())
}

fn sat(satoshis: u64) -> Amount {
    Amount::from_sat(satoshis)
}

/// Waits until the customer's one deposit is shown with this sentence; gives the deposit back.
async fn says(desk: &Desk, target: &str, sentence: &str) -> Result<Value> {
    desk.until(SEEN_WITHIN, sentence, async || {
        let shown = desk.get(&format!("/api/v1/customers/{target}")).await?;
        let deposits = shown["deposits"].as_array().cloned().unwrap_or_default();
        Ok(deposits.into_iter().find(|deposit| deposit["status_text"] == sentence))
    })
    .await
}

/// Waits until the customer's deposit by this transaction is as wanted.
async fn by_txid(desk: &Desk, target: &str, txid: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    desk.until(SEEN_WITHIN, txid, async || {
        let shown = desk.get(&format!("/api/v1/customers/{target}")).await?;
        let deposits = shown["deposits"].as_array().cloned().unwrap_or_default();
        Ok(deposits.into_iter().find(|deposit| deposit["txid"] == txid && wanted(deposit)))
    })
    .await
}

/// A deposit from the address to the payout, for somebody else.
async fn settle_one(world: &World, desk: &Desk, target: &str) -> Result<()> {
    let address = desk.bind(target).await?;
    world.bitcoin.pay(&address, sat(1_000_000)).await?;
    world.bitcoin.generate(3).await?;
    desk.settled(target, 1).await?;
    assert_eq!(world.paid(target)?.len(), 1);
    Ok(())
}

/// Waits until the operator is told that reorganisations took this much of what was paid for.
async fn lost(desk: &Desk, amount: &str) -> Result<()> {
    let operator = OperatorApi::of(desk)?;
    desk.until(SEEN_WITHIN, "the operator sees the loss", async || {
        let totals = operator.get("/totals").await?;
        let standing = totals["standing"].as_array().context("totals have lines")?;
        let paid = standing.iter().find(|line| line["outcome"] == "paid").context("something was paid")?;
        Ok((paid["lost_btc"] == amount).then_some(()))
    })
    .await
}

/// A deposit's events, as the operator sees them.
async fn events_of(desk: &Desk, deposit: &Value) -> Result<Vec<Value>> {
    let id = deposit["id"].as_str().context("an id")?;
    let shown = OperatorApi::of(desk)?.get(&format!("/deposits/{id}")).await?;
    shown["events"].as_array().cloned().context("a list of events")
}
