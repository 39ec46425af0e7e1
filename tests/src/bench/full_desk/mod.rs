//! `start_100k_ms`, `rss_100k_mib`, `health_100k_ms`, `page_100k_ms`: the real program on a data folder with 100 000
//! finished deposits.

pub(crate) mod fill;
mod pages;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use self::fill::{Filled, Size, fill};
use super::Figure;
use super::real::RealDesk;
use crate::sandbox::{Sandbox, Timing};

/// How often the desk is started; the slowest start counts.
const STARTS: usize = 5;
/// The depth of the deposits that fill the folder, and of the one at the end.
const CONFIRMATIONS: &str = "1";
const SETTINGS: &[(&str, &str)] = &[
    ("MILLRACE_DESK__METHOD", "direct"),
    ("MILLRACE_DESK__RATE", "500"),
    ("MILLRACE_SKYCOIN__POLL_MS", "50"),
    ("MILLRACE_BITCOIN__CONFIRMATIONS", CONFIRMATIONS),
    ("MILLRACE_BITCOIN__POLL_MS", "50"),
];
/// Deposits that are finished in the end.
const FINISHED: usize = 100_000;
/// Deposits too small to deal in: they are held, and so stay open.
const HELD: usize = 300;
const PAID_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    runtime.block_on(measure(&folder.path().join("data")))
}

async fn measure(data_dir: &Path) -> anyhow::Result<Vec<Figure>> {
    let sandbox =
        Sandbox::start(&data_dir.join("sandbox"), Timing { skycoin_block_ms: 100, ..Timing::default() }).await?;
    let size = Size { finished: FINISHED, held: HELD, addresses_of_one: 1_000 };
    let filled = fill(data_dir, &sandbox, size).await?;
    let mut starts_ms = Vec::new();
    for _ in 1..STARTS {
        // Dropped, the process is killed: each start finds what a crash leaves.
        starts_ms.push(RealDesk::start(data_dir, SETTINGS).await?.ready_after.as_secs_f64() * 1e3);
    }
    let desk = RealDesk::start(data_dir, SETTINGS).await?;
    starts_ms.push(desk.ready_after.as_secs_f64() * 1e3);
    let serving_ms = desk.serving_after.as_secs_f64() * 1e3;
    let idle_mib = desk.resident_mib()?;
    let health = pages::health(&desk).await?;
    let pages = pages::all(&desk, &filled).await?;
    let loaded_mib = desk.resident_mib()?;
    check(&desk, &sandbox, &filled).await?;
    starts_ms.sort_by(f64::total_cmp);
    let slowest: Vec<_> = pages.iter().take(3).map(ToString::to_string).collect();
    let log_mib = std::fs::metadata(data_dir.join("log.db"))?.len() / 1_048_576;
    let figure = |name, value, unit, note| Figure { name, value, unit, note };
    Ok(vec![
        figure(
            "start_100k_ms",
            starts_ms[STARTS - 1],
            "ms",
            format!(
                "process start to /readyz, slowest of {STARTS} after kill -9 (fastest {:.0}), {FINISHED} finished deposits \
                 on as many addresses and {HELD} held ones, log of {log_mib} MiB; customers served after \
                 {serving_ms:.0}; teller 480 to 6 700",
                starts_ms[0]
            ),
        ),
        figure(
            "rss_100k_mib",
            idle_mib.max(loaded_mib),
            "MiB",
            format!("VmRSS when ready {idle_mib:.0}, after the requests {loaded_mib:.0}; teller 223"),
        ),
        figure("health_100k_ms", health.p99_ms, "ms", "p99 of /api/health over HTTP; teller 1 000 to 4 400".to_owned()),
        figure(
            "page_100k_ms",
            pages[0].p99_ms,
            "ms",
            format!("p99 of the slowest of {} pages: {}; teller 2 400 to 16 000", pages.len(), slowest.join(", ")),
        ),
    ])
}

/// The desk knows what was paid into it by the sandbox's books, and still walks: one more deposit is paid out, once.
async fn check(desk: &RealDesk, sandbox: &Sandbox, filled: &Filled) -> anyhow::Result<()> {
    let totals = pages::totals(desk).await?;
    let counts = [&totals["deposits"], &totals["open"], &totals["addresses"]].map(Value::as_u64);
    let expected = [FINISHED + HELD, HELD, FINISHED].map(|count| Some(count as u64));
    ensure!(counts == expected, "the desk shows {counts:?} instead of {expected:?}");
    let books = sandbox.books().await?;
    let receipts = books["bitcoin"]["receipts"].as_object().context("the sandbox has no receipts")?;
    let received: usize = receipts.values().filter_map(Value::as_array).map(Vec::len).sum();
    ensure!(received == FINISHED + HELD, "the sandbox saw {received} payments");
    let paid_out = payouts(sandbox, &books)?;
    ensure!(paid_out == FINISHED, "the sandbox made {paid_out} payouts");
    one_more(desk, sandbox, filled.customers.last().context("there are customers")?).await
}

async fn one_more(desk: &RealDesk, sandbox: &Sandbox, customer: &str) -> anyhow::Result<()> {
    let mut public = desk.public().await?;
    let path = format!("/api/v1/customers/{customer}");
    let before = public.get(&path).await?.json()?;
    let (address, deposits) = (before["addresses"][0]["address"].clone(), before["deposits"].as_array().map(Vec::len));
    sandbox.client.post("/pay", &json!({ "address": address, "amount": "0.01" })).await?;
    sandbox.client.post("/mine", &json!({})).await?;
    let begin = Instant::now();
    loop {
        let shown = public.get(&path).await?.json()?;
        let done = |deposit: &&Value| deposit["outcome"] == "paid";
        let paid = shown["deposits"].as_array().map(|deposits| deposits.iter().filter(done).count());
        if paid == deposits.map(|count| count + 1) {
            break;
        }
        ensure!(begin.elapsed() < PAID_WITHIN, "one more deposit is not paid out: {shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let paid_out = payouts(sandbox, &sandbox.books().await?)?;
    ensure!(paid_out == FINISHED + 1, "the sandbox made {paid_out} payouts after one more deposit");
    Ok(())
}

/// How many payouts the sandbox's chain has; what refilled the hot wallet is none.
fn payouts(sandbox: &Sandbox, books: &Value) -> anyhow::Result<usize> {
    let payments = books["skycoin"]["payments"].as_object().context("the sandbox has no payments")?;
    let hot = sandbox.info.skycoin.hot_address.to_string();
    Ok(payments.iter().filter(|(to, _)| **to != hot).filter_map(|(_, list)| list.as_array()).map(Vec::len).sum())
}
