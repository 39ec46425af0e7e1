//! The books against the world, in the whole desk: what fits, and what somebody took.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_actors::exchange::{Exchange, HttpC2cx, Settings};
use millrace_actors::ports::SkycoinNode;
use millrace_actors::skycoin_node::HttpSkycoinNode;
use millrace_daemon::sandbox::info::Info;
use millrace_model::desk;
use millrace_model::event::Event;
use millrace_model::ids::StreamName;
use millrace_model::purchase::{ClientOrderId, OrderIntent};
use millrace_protocols::wire::c2cx::Credentials;
use millrace_protocols::wire::skycoin::rest::Broadcast;
use millrace_tests::desk::{Desk, books_of, fresh_target};
use millrace_tests::operator::OperatorApi;
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(60);

/// The places as they were last compared, once they are as wanted.
async fn places(desk: &Desk, what: &str, wanted: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
    let operator = OperatorApi::of(desk)?;
    desk.until(WITHIN, what, async || {
        let ledger = operator.get("/ledger").await?;
        let places = ledger["places"].as_array().context("places")?.clone();
        Ok(wanted(&places).then_some(places))
    })
    .await
}

fn of<'a>(places: &'a [Value], place: &str, coin: &str) -> Option<&'a Value> {
    places.iter().find(|row| row["place"] == place && row["coin"] == coin)
}

/// X9: the whole desk, with an account that somebody else spends from.
#[tokio::test]
async fn coins_that_leave_the_exchange_without_an_order_halt_the_desk_until_they_are_accounted_for() -> Result<()> {
    let desk = Desk::start(&[("MILLRACE_DESK__METHOD", "passthrough")]).await?;
    let operator = OperatorApi::of(&desk)?;
    places(&desk, "all places are compared", |places| places.len() == 3).await?;
    let first = fresh_target(81);
    desk.pay(&desk.bind(&first).await?, "0.05").await?;
    assert_eq!(desk.settled(&first, 1).await?[0]["outcome"], "paid");
    let fit = places(&desk, "what was bought and paid is booked", |places| {
        let is_booked = |row: &Value| row["booked"] == row["found"] && row["verdict"] == "fits";
        of(places, "exchange", "SKY").is_some_and(|row| row["found"] != "0.000000") && places.iter().all(is_booked)
    })
    .await?;
    let found = |coin| -> Result<String> {
        let row = of(&fit, "exchange", coin).context("the exchange")?;
        Ok(row["found"].as_str().context("a text")?.to_owned())
    };
    let (btc, sky) = (found("BTC")?, found("SKY")?);
    ensure!(operator.get("/switches").await?["halted"].is_null(), "nothing is missing");

    let left = "1.00000000";
    desk.sandbox()?.post("/market/balance", &json!({ "btc": left, "sky": sky })).await?;
    let halted = desk
        .until(WITHIN, "the desk halts", async || {
            Ok(operator.get("/switches").await?["halted"].as_str().map(str::to_owned))
        })
        .await?;
    assert!(halted.contains(&format!("the exchange: {left} BTC found, {btc} BTC booked")), "{halted}");

    let second = fresh_target(82);
    desk.pay(&desk.bind(&second).await?, "0.05").await?;
    desk.until(WITHIN, "the second deposit waits to be bought", async || {
        let page = operator.get("/deposits?status=wait_buy").await?;
        Ok(page["deposits"].as_array().is_some_and(|rows| !rows.is_empty()).then_some(()))
    })
    .await?;
    assert!(books_of(&desk, &second).await?.is_empty());

    let gone: rust_decimal::Decimal = btc.parse::<rust_decimal::Decimal>()? - left.parse::<rust_decimal::Decimal>()?;
    let sweep =
        json!({ "kind": "sweep", "place": "exchange", "coin": "BTC", "amount": gone.to_string(), "note": "stolen" });
    operator.post("/transfers", &sweep).await?;
    places(&desk, "it is accounted for", |places| {
        of(places, "exchange", "BTC").is_some_and(|row| row["booked"] == left && row["verdict"] == "fits")
    })
    .await?;
    operator.post("/resume", &json!({ "note": "the key is changed" })).await?;
    assert_eq!(desk.settled(&second, 1).await?[0]["outcome"], "paid");
    Ok(())
}

/// The desk's account, by the hand of somebody who has its key as well.
fn account(desk: &Desk) -> Result<HttpC2cx> {
    let c2cx = Info::read(&desk.data_dir().join("sandbox")).context("the sandbox has no sandbox.json")?.c2cx;
    let credentials = Credentials { key: c2cx.key, secret: c2cx.secret };
    Ok(HttpC2cx::new(Settings { url: c2cx.url.parse()?, credentials, pace: None })?)
}

/// X9: the whole desk, with an order in the book that nobody takes; no coin has moved.
#[tokio::test]
async fn an_order_that_somebody_else_placed_halts_the_desk_until_an_operator_takes_it_for_his_own() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__METHOD", "passthrough")]).await?;
    let cid = ClientOrderId::try_from("by-hand".to_owned())?;
    let bid = OrderIntent { attempt: 1, cid, price: "0.0001".parse()?, quantity: "10".parse()? };
    let number = account(&desk)?.place(&bid).await?;
    let halt = async |desk: &Desk| -> Result<Option<String>> {
        Ok(OperatorApi::of(desk)?.get("/switches").await?["halted"].as_str().map(str::to_owned))
    };
    let halted = desk
        .until(WITHIN, "the desk halts", async || {
            // Once a block is younger than the desk, it knows all deposits from before.
            desk.sandbox()?.post("/mine", &json!({})).await?;
            halt(&desk).await
        })
        .await?;
    let order = format!("order {number} with the id \"by-hand\": buy 10.000000 SKY at 0.0001 BTC, 0.000000 SKY filled");
    assert!(halted.ends_with(&order), "{halted}");

    let target = fresh_target(83);
    desk.pay(&desk.bind(&target).await?, "0.05").await?;
    desk.kill_and_restart().await?;
    let operator = OperatorApi::of(&desk)?;
    desk.until(WITHIN, "the deposit waits to be bought", async || {
        let page = operator.get("/deposits?status=wait_buy").await?;
        Ok(page["deposits"].as_array().is_some_and(|rows| !rows.is_empty()).then_some(()))
    })
    .await?;
    assert_eq!(halt(&desk).await?, Some(halted));

    operator.post("/resume", &json!({ "note": "that was me" })).await?;
    assert_eq!(desk.settled(&target, 1).await?[0]["outcome"], "paid");
    // The order is still there, and told of; the desk went on over it.
    desk.until(WITHIN, "the part tells of the order", async || {
        let told = desk.get("/api/health").await?.to_string();
        Ok(told.contains(&format!("order {number} ")).then_some(()))
    })
    .await?;
    assert_eq!(halt(&desk).await?, None);
    Ok(())
}

/// O5: the whole desk, and a wallet whose key somebody else has. No payout of its own is ever taken for a stranger's.
#[tokio::test]
async fn a_spend_of_the_hot_wallet_that_is_no_payout_halts_the_desk_by_its_name() -> Result<()> {
    let mut desk = Desk::start(&[]).await?;
    let matched = async |desk: &Desk| -> Result<Option<u64>> {
        let log = desk.log()?;
        let events = log.stream(&StreamName::Desk, 0)?;
        let found = events.iter().rev().find_map(|recorded| match &recorded.event {
            Event::Desk(desk::Event::SpendsMatched(matched)) => Some(matched.block_seq),
            _ => None,
        });
        Ok(found)
    };
    desk.until(WITHIN, "the wallet's spends are looked at", async || matched(&desk).await).await?;
    let target = fresh_target(84);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.05").await?;
    desk.settled(&target, 1).await?;
    desk.kill_and_restart().await?;
    desk.pay(&address, "0.05").await?;
    desk.settled(&target, 2).await?;

    let skycoin = Info::read(&desk.data_dir().join("sandbox")).context("the sandbox has no sandbox.json")?.skycoin;
    let node = HttpSkycoinNode::new(&skycoin.url, &skycoin.wallet_id, Broadcast::Quiet)?;
    let taken = node.spendable(1).await?.into_iter().next().context("an output")?;
    let block = desk.sandbox()?.post("/skycoin/spend", &json!({ "uxid": taken.uxid.to_string() })).await?;
    let txid = block["block"]["txids"][0].as_str().context("a transaction")?.to_owned();
    let operator = OperatorApi::of(&desk)?;
    let halted = desk
        .until(WITHIN, "the desk halts", async || {
            // Once a block is younger than the desk, it knows all deposits from before.
            desk.sandbox()?.post("/mine", &json!({})).await?;
            let halted = operator.get("/switches").await?["halted"].as_str().map(str::to_owned);
            // Coins are missing from the first look on, whose they are is known only by then.
            let missing = halted.as_ref().filter(|halted| halted.starts_with("coins are missing"));
            if missing.is_some() {
                operator.post("/resume", &json!({ "note": "and what took them?" })).await?;
            }
            Ok(halted.filter(|halted| halted.contains("no payouts")))
        })
        .await?;
    assert!(halted.contains(&format!("transaction {txid} in block ")), "{halted}");
    assert_eq!(halted.matches(" in block ").count(), 1, "{halted}");

    let coins = taken.coins.to_string();
    let sweep = json!({ "kind": "sweep", "place": "hot_wallet", "coin": "SKY", "amount": coins, "note": "stolen" });
    operator.post("/transfers", &sweep).await?;
    operator.post("/resume", &json!({ "note": "the key is changed" })).await?;
    desk.pay(&address, "0.05").await?;
    desk.settled(&target, 3).await?;
    assert_eq!(operator.get("/switches").await?["halted"], Value::Null);
    Ok(())
}
