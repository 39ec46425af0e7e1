//! `pipeline_passthrough`: from a block with deposits to their confirmed payouts, through the real program and a real
//! sandbox over HTTP, each deposit bought in the exchange's order book.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::Figure;
use super::customers::{Bound, bind};
use super::http::Connection;
use super::real::RealDesk;
use crate::sandbox::{Sandbox, Timing};

/// Deposits in a block, each on an address of its own.
const BLOCK: usize = 500;
const BLOCKS: usize = 12;
/// What each of them is.
const AMOUNT: &str = "0.01";
const LOOK_EVERY: Duration = Duration::from_millis(20);
const DONE_WITHIN: Duration = Duration::from_secs(120);
const TIMING: Timing = Timing { bitcoin_block_ms: 0, skycoin_block_ms: 100, market_step_ms: 1_000 };
const SETTINGS: &[(&str, &str)] = &[
    ("MILLRACE_DESK__METHOD", "passthrough"),
    ("MILLRACE_BITCOIN__CONFIRMATIONS", "1"),
    ("MILLRACE_SKYCOIN__CONFIRMATIONS", "1"),
    ("MILLRACE_BITCOIN__POLL_MS", "50"),
    ("MILLRACE_SKYCOIN__POLL_MS", "50"),
];

pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    runtime.block_on(measure(&folder.path().join("data")))
}

async fn measure(data_dir: &Path) -> anyhow::Result<Vec<Figure>> {
    let sandbox = Sandbox::start(&data_dir.join("sandbox"), TIMING).await?;
    let desk = RealDesk::start(data_dir, SETTINGS).await?;
    let Bound { addresses, .. } = bind(&desk, 0, BLOCK).await?;
    let mut operator = desk.operator().await?;
    // The first deposits wait for connections and caches that the others find.
    pay(&sandbox, &addresses).await?;
    done(&mut operator, BLOCK).await?;

    let deposits = BLOCK * BLOCKS;
    let begin = Instant::now();
    for _ in 0..BLOCKS {
        pay(&sandbox, &addresses).await?;
    }
    let totals = done(&mut operator, BLOCK + deposits).await?;
    let rate = deposits as f64 / begin.elapsed().as_secs_f64();
    check(&totals, &sandbox.books().await?, BLOCK + deposits)?;
    Ok(vec![Figure {
        name: "pipeline_passthrough",
        value: rate,
        unit: "deposits/s",
        note: format!(
            "{deposits} deposits in {BLOCKS} blocks, real program and sandbox on loopback HTTP, one order each at least, \
             one payout each, both sides' books agree; the exchange unpaced, one confirmation on both chains, a Skycoin \
             block every {} ms; teller 67, patched",
            TIMING.skycoin_block_ms
        ),
    }])
}

/// A block in which each address is paid once.
async fn pay(sandbox: &Sandbox, addresses: &[String]) -> anyhow::Result<()> {
    let payments: Vec<_> = addresses.iter().map(|address| json!({ "address": address, "amount": AMOUNT })).collect();
    sandbox.client.post("/pay/many", &json!({ "payments": payments })).await?;
    sandbox.client.post("/mine", &json!({})).await?;
    Ok(())
}

/// Waits until so many deposits are paid out, by the desk's own totals, and gives those back.
async fn done(operator: &mut Connection, deposits: usize) -> anyhow::Result<Value> {
    let begin = Instant::now();
    loop {
        let totals = operator.get("/operator/v1/totals").await?.json()?;
        if paid(&totals).is_some_and(|line| line["deposits"] == deposits) {
            return Ok(totals);
        }
        ensure!(begin.elapsed() < DONE_WITHIN, "{deposits} deposits were to be paid out: {totals}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn paid(totals: &Value) -> Option<&Value> {
    totals["standing"].as_array()?.iter().find(|line| line["outcome"] == "paid")
}

/// The desk's totals and the sandbox's books tell the same story.
fn check(totals: &Value, books: &Value, deposits: usize) -> anyhow::Result<()> {
    let paid = paid(totals).context("nothing was paid out")?;
    let receipts = count(&books["bitcoin"]["receipts"])?;
    ensure!(receipts.values().sum::<usize>() == deposits, "the Bitcoin chain has other payments: {receipts:?}");
    let payments = count(&books["skycoin"]["payments"])?;
    let each = deposits / BLOCK * super::customers::ADDRESSES_EACH;
    ensure!(payments.values().all(|count| *count == each), "not {each} payouts to each customer: {payments:?}");
    let sent =
        books["skycoin"]["payments"].as_object().context("payments")?.values().flat_map(Value::as_array).flatten();
    let sent = sent.map(|payment| decimal(&payment["coins"])).sum::<anyhow::Result<Decimal>>()?;
    ensure!(sent == decimal(&paid["payout_sky"])?, "{sent} SKY were paid out, not as in {paid}");
    let c2cx = &books["c2cx"];
    ensure!(decimal(&c2cx["bought"])? == decimal(&paid["bought_sky"])?, "bought {}, not as in {paid}", c2cx["bought"]);
    let orders = c2cx["orders"].as_array().context("orders")?;
    ensure!(orders.len() >= deposits, "{} orders for {deposits} deposits", orders.len());
    ensure!(orders.iter().all(|order| order["open"] == false), "an order is still open");
    Ok(())
}

fn count(of: &Value) -> anyhow::Result<BTreeMap<String, usize>> {
    let of = of.as_object().context("an object")?;
    Ok(of.iter().map(|(key, list)| (key.clone(), list.as_array().map_or(0, Vec::len))).collect())
}

fn decimal(value: &Value) -> anyhow::Result<Decimal> {
    Ok(value.as_str().context("an amount is a string")?.parse()?)
}
