//! The real Bitcoin node does what the scenarios build on: mines, is paid from, refuses, reorganises.

use anyhow::Result;
use bitcoin::Amount;
use millrace_tests::peers::bitcoin::{BitcoinNode, FIRST_BLOCKS, Refused};
use serde_json::{Value, json};

/// BIP173's example of a pay-to-witness-key-hash program, in regtest's spelling.
const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// The key hash of the same key, in regtest's legacy spelling.
const LEGACY_ADDRESS: &str = "mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r";

#[tokio::test]
async fn a_payment_is_seen_in_the_mempool_and_then_in_a_block() -> Result<()> {
    let Some(node) = BitcoinNode::start().await? else { return Ok(()) };
    assert_eq!(node.height().await?, FIRST_BLOCKS);

    let txid = node.pay(ADDRESS, Amount::from_sat(123_456_789)).await?;
    assert_eq!(node.mempool().await?, [txid]);

    let mined = node.generate(1).await?;
    assert!(node.mempool().await?.is_empty());
    let block: Value = node.call("getblock", json!([mined[0], 2])).await?;
    assert_eq!(block["nTx"], 2);
    let paid = block["tx"][1]["vout"].as_array().expect("a payment has outputs");
    let output = paid.iter().find(|output| output["scriptPubKey"]["address"] == ADDRESS).expect("the address is paid");
    assert_eq!(output["value"].to_string(), "1.23456789");
    assert_eq!(output["scriptPubKey"]["type"], "witness_v0_keyhash");
    Ok(())
}

#[tokio::test]
async fn a_reorganisation_orphans_a_payment_and_a_later_block_can_hold_it_again() -> Result<()> {
    let Some(node) = BitcoinNode::start().await? else { return Ok(()) };
    let payment = node.payment(&[(LEGACY_ADDRESS, Amount::from_sat(5_000_000))]).await?;
    node.broadcast(&payment).await?;
    let orphan = node.generate(1).await?[0];

    let chain = node.reorganise(1, Vec::new()).await?;
    assert_eq!(chain.len(), 2);
    assert_eq!(node.height().await?, FIRST_BLOCKS + 2);
    assert_eq!(node.block_hash(FIRST_BLOCKS + 1).await?, chain[0]);
    let header: Value = node.call("getblockheader", json!([orphan])).await?;
    assert_eq!(header["confirmations"], -1);

    node.broadcast(&payment).await?;
    let again = node.generate(1).await?[0];
    assert!(node.block(again).await?.txdata.contains(&payment));
    Ok(())
}

#[tokio::test]
async fn a_competing_block_can_spend_the_same_coins_elsewhere() -> Result<()> {
    let Some(node) = BitcoinNode::start().await? else { return Ok(()) };
    let payment = node.payment(&[(ADDRESS, Amount::from_sat(700_000_000))]).await?;
    let rival = node.conflicting_payment(&payment, &[(LEGACY_ADDRESS, Amount::from_sat(700_000_000))]).await?;
    node.broadcast(&payment).await?;
    node.generate(1).await?;

    let chain = node.reorganise(1, vec![rival.clone()]).await?;
    assert!(node.block(chain[0]).await?.txdata.contains(&rival));
    let refused = node.broadcast(&payment).await.expect_err("its coins are spent");
    assert_eq!(refused.downcast_ref::<Refused>().map(|refused| refused.code), Some(-25));
    Ok(())
}

#[tokio::test]
async fn a_payment_larger_than_one_reward_takes_several() -> Result<()> {
    let Some(node) = BitcoinNode::start().await? else { return Ok(()) };
    let payment = node.payment(&[(ADDRESS, Amount::from_sat(12_000_000_000))]).await?;
    assert_eq!(payment.input.len(), 3);
    let txid = node.broadcast(&payment).await?;
    assert_eq!(node.broadcast(&payment).await?, txid, "the same bytes again are the same payment");
    let next = node.payment(&[(ADDRESS, Amount::from_sat(1))]).await?;
    assert!(payment.input.iter().all(|input| input.previous_output != next.input[0].previous_output));
    Ok(())
}

#[tokio::test]
async fn an_unknown_block_is_refused_with_cores_code() -> Result<()> {
    let Some(node) = BitcoinNode::start().await? else { return Ok(()) };
    let unknown = "00000000000000000000000000000000000000000000000000000000000000aa";
    let refused = node.call::<Value>("getblock", json!([unknown, 2])).await.expect_err("nobody mined it");
    assert_eq!(refused.downcast_ref::<Refused>().map(|refused| refused.code), Some(-5));
    Ok(())
}
