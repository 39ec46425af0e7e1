//! The real program, killed at ten moments of ten deposits' lives while the world outside misbehaves. The sandbox, which is
//! never killed, says afterwards what really happened.
//!
//! `MILLRACE_SEED=… cargo nextest run -p millrace-tests --test kill_loop` draws the same moments again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_model::chain;
use millrace_model::event::Event;
use millrace_model::ids::StreamName;
use millrace_model::money::{Amount, Btc, Sky};
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::judge::{Account, Outside, is_paid, judge};
use millrace_tests::seed;
use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

const DEPOSITS: u8 = 10;
/// The desk's own default.
const PAYOUT_DECIMALS: u32 = 3;
/// The kill after which the world behaves again: the last ones come while deposits recover from what was.
const WELL_AFTER: u8 = 7;

/// A way to come by the coins, and about how long a deposit takes from payment to confirmation.
struct Mode {
    method: &'static str,
    life: Duration,
}

/// D6: each of ten amounts, drawn by chance, is sold exactly at the rate.
/// P1: the real program, killed at ten moments.
/// O1: ten kills of a selling desk.
#[tokio::test]
async fn ten_kills_of_ten_deposits_sold_from_stock_end_in_ten_single_payouts() -> Result<()> {
    let mode = Mode { method: "direct", life: Duration::from_millis(1_200) };
    let accounts = run(&mode, "kill_loop direct").await?;
    for account in accounts {
        let received = account.deposit.receipt.amount;
        let expected = received.to_decimal() * rust_decimal::Decimal::from(500);
        let paid = account.deposit.payout.context("it was paid")?.amount;
        ensure!(
            paid == Amount::<Sky>::from_decimal(expected)?.floor_to(PAYOUT_DECIMALS),
            "{paid} SKY for {received} BTC"
        );
    }
    Ok(())
}

/// X8: what is paid out is what was bought, and no more is spent than deposited.
/// X11: killed at ten moments of ten purchases.
/// O1: ten kills of a buying desk.
#[tokio::test]
async fn ten_kills_of_ten_deposits_bought_on_the_exchange_end_in_ten_single_payouts() -> Result<()> {
    let mode = Mode { method: "passthrough", life: Duration::from_millis(2_500) };
    let accounts = run(&mode, "kill_loop passthrough").await?;
    for account in accounts {
        let purchase = account.deposit.purchase.context("it was bought")?;
        let paid = account.deposit.payout.context("it was paid")?.amount;
        ensure!(paid == purchase.bought().floor_to(PAYOUT_DECIMALS), "{paid} SKY of {} SKY", purchase.bought());
        ensure!(purchase.spent() <= account.deposit.receipt.amount, "more was spent than deposited");
    }
    Ok(())
}

/// Runs the loop and has it judged; gives back what the log says of each deposit.
async fn run(mode: &Mode, name: &str) -> Result<Vec<Account>> {
    let seed = seed::printed(name);
    let mut chance = seed::chance(seed, name);
    let mut desk = Desk::start(&[("MILLRACE_DESK__METHOD", mode.method), ("MILLRACE_DESK__RATE", "500")]).await?;
    let mut paid: BTreeMap<String, Amount<Btc>> = BTreeMap::new();
    let mut addresses = Vec::new();
    for number in 0..DEPOSITS {
        let target = fresh_target(10 + number);
        addresses.push((desk.bind(&target).await?, target));
    }
    desk.until(Duration::from_secs(60), "the chain is read", async || is_at_the_tip(&desk).await).await?;
    misbehave(&desk, &mut chance).await?;
    for (number, (address, target)) in (0..DEPOSITS).zip(&addresses) {
        let amount = Amount::from_units(chance.random_range(500_000..3_000_000)).context("a small amount")?;
        desk.pay(address, &amount.to_string()).await?;
        paid.insert(target.clone(), amount);
        kill_at_some_moment(&mut desk, mode, &mut chance, number).await?;
        if number == WELL_AFTER {
            behave(&desk).await?;
        }
    }
    desk.ready().await?;
    for (_, target) in &addresses {
        let deposits = desk.settled(target, 1).await?;
        ensure!(deposits.len() == 1 && deposits[0]["outcome"] == "paid", "{deposits:?}");
    }
    judged(&desk, &paid).await
}

/// Whether the desk has read about all there is, so that a deposit's life begins with its payment.
async fn is_at_the_tip(desk: &Desk) -> Result<Option<()>> {
    let height =
        desk.sandbox()?.get("/books").await?["bitcoin"]["height"].as_u64().context("the chain has a height")?;
    let read = desk.log()?.stream(&StreamName::Chain, 0)?;
    let scanned = read.iter().rev().find_map(|recorded| match &recorded.event {
        Event::Chain(chain::Event::BlockScanned(scanned)) => Some(scanned.block.height),
        _ => None,
    });
    Ok(scanned.filter(|scanned| scanned + 1 >= height).map(drop))
}

/// Kills the desk at a moment of the newest deposit's life, and starts it again. Sometimes the next payment and the next kill
/// come while it starts.
async fn kill_at_some_moment(desk: &mut Desk, mode: &Mode, chance: &mut SmallRng, number: u8) -> Result<()> {
    let life_ms = u64::try_from(mode.life.as_millis())?;
    let moment = Duration::from_millis(chance.random_range(0..life_ms));
    let is_waited_for = chance.random_ratio(3, 4);
    tokio::time::sleep(moment).await;
    desk.kill()?;
    println!("kill {number} after {moment:?}: {}", stages(desk)?);
    desk.start_again()?;
    if is_waited_for {
        desk.ready().await?;
    }
    Ok(())
}

/// What the log of the killed desk says of its deposits.
fn stages(desk: &Desk) -> Result<String> {
    let mut stages: BTreeMap<String, usize> = BTreeMap::new();
    let log = desk.log()?;
    let (_, streams) = log.stream_names(millrace_model::ids::Category::Deposit)?;
    for stream in streams {
        let events = log.stream(&stream, 0)?;
        let last = events.last().context("a stream has events")?;
        *stages.entry(last.event.kind().to_owned()).or_default() += 1;
    }
    Ok(format!("{stages:?}"))
}

/// Requests and replies are lost, late or refused, all of it by chance; orders are filled in part.
async fn misbehave(desk: &Desk, chance: &mut SmallRng) -> Result<()> {
    let sandbox = desk.sandbox()?;
    let rules = [
        json!({"server": "c2cx", "operation": "createorder", "effect": "lose_reply", "per_mille": 250}),
        json!({"server": "c2cx", "operation": "createorder", "effect": "lose_request", "per_mille": 100}),
        json!({"server": "c2cx", "operation": "createorder", "effect": "fail_after_acting", "status": 502, "per_mille": 100}),
        json!({"server": "c2cx", "operation": "cancelorder", "effect": "lose_reply", "per_mille": 300}),
        json!({"server": "c2cx", "operation": "getorderinfo", "effect": "fail", "status": 503, "per_mille": 100}),
        json!({"server": "c2cx", "effect": "rate_limit", "per_mille": 5, "times": 2}),
        json!({"server": "c2cx", "effect": "delay_reply", "ms": 40, "per_mille": 200}),
        json!({"server": "skycoin", "operation": "injectTransaction", "effect": "lose_reply", "per_mille": 250}),
        json!({"server": "skycoin", "operation": "injectTransaction", "effect": "lose_request", "per_mille": 100}),
        json!({"server": "skycoin", "operation": "injectTransaction", "effect": "fail_after_acting", "status": 503, "per_mille": 100}),
        json!({"server": "skycoin", "operation": "wallet/transaction", "effect": "lose_reply", "per_mille": 200}),
        json!({"server": "skycoin", "effect": "delay", "ms": 60, "per_mille": 200}),
        json!({"server": "bitcoin", "effect": "fail", "status": 500, "per_mille": 50}),
        json!({"server": "bitcoin", "effect": "delay_reply", "ms": 80, "per_mille": 100}),
    ];
    for rule in &rules {
        sandbox.post("/faults", rule).await?;
    }
    sandbox.post("/market/fills", &json!({"percent": chance.random_range(40..90)})).await?;
    Ok(())
}

async fn behave(desk: &Desk) -> Result<()> {
    let sandbox = desk.sandbox()?;
    sandbox.delete("/faults").await?;
    sandbox.post("/market/fills", &json!({"percent": Value::Null})).await?;
    Ok(())
}

/// The sandbox's books are the judge: every deposit is there, paid once, exactly.
async fn judged(desk: &Desk, paid: &BTreeMap<String, Amount<Btc>>) -> Result<Vec<Account>> {
    let outside = Outside::of_sandbox(&desk.sandbox()?.get("/books").await?)?;
    let judgement = judge(&desk.log()?, &outside)?;
    let accounts: Vec<_> = judgement.accounts.into_values().collect();
    ensure!(accounts.len() == paid.len(), "{} deposits are in the log, {} were paid", accounts.len(), paid.len());
    for account in &accounts {
        let customer = account.deposit.receipt.customer.as_ref().context("it belongs to somebody")?;
        ensure!(paid.get(&customer.target) == Some(&account.deposit.receipt.amount), "{account:?}");
        ensure!(is_paid(&account.deposit), "{account:?}");
    }
    ensure!(outside.payouts.len() == paid.len(), "{:?}", outside.payouts);
    let orders: usize = accounts.iter().map(|account| account.intended.len()).sum();
    println!("{} events, {orders} orders intended, {} taken", judgement.verified.head, outside.orders.len());
    Ok(accounts)
}
