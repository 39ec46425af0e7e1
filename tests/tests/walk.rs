//! A deposit's whole way, through the real program and the sandbox, as a customer walks it.

use anyhow::{Context, Result};
use millrace_tests::desk::{Desk, books_of, fresh_target};
use serde_json::Value;

#[tokio::test]
async fn a_deposit_is_sold_from_stock_and_paid_out_once() -> Result<()> {
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let target = fresh_target(1);
    let address = desk.bind(&target).await?;
    let txid = desk.pay(&address, "0.12345678").await?;

    let deposits = desk.settled(&target, 1).await?;
    assert_eq!(deposits[0]["outcome"], "paid");
    assert_eq!(deposits[0]["txid"], txid.as_str());
    assert_eq!(deposits[0]["amount"], "0.12345678");
    assert_eq!(deposits[0]["payout"], "61.728000");
    let payments = books_of(&desk, &target).await?;
    assert_eq!(payments.len(), 1, "{payments:?}");
    assert_eq!(payments[0]["txid"], deposits[0]["payout_txid"]);
    Ok(())
}

#[tokio::test]
async fn a_deposit_is_bought_on_the_exchange_and_paid_out_once() -> Result<()> {
    let desk = Desk::start(&[("MILLRACE_DESK__METHOD", "passthrough")]).await?;
    let target = fresh_target(2);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.05").await?;

    let deposits = desk.settled(&target, 1).await?;
    assert_eq!(deposits[0]["outcome"], "paid");
    assert_eq!(deposits[0]["method"], "passthrough");
    let amount = |field: &str| decimal(&deposits[0][field]);
    assert!(amount("spent")? <= amount("amount")?, "never more is spent than was deposited");
    assert!(amount("payout")? <= amount("bought")?, "never more is paid out than was bought");
    assert_eq!(books_of(&desk, &target).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn ten_deposits_survive_ten_kills_and_are_paid_out_once_each() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let targets: Vec<_> = (10..20).map(fresh_target).collect();
    let mut addresses = Vec::new();
    for target in &targets {
        addresses.push(desk.bind(target).await?);
    }
    for (kill, address) in addresses.iter().enumerate() {
        desk.pay(address, "0.01").await?;
        // Each kill comes at another moment of the work under way.
        tokio::time::sleep(std::time::Duration::from_millis(37 * (kill as u64 * 7 % 10))).await;
        desk.kill_and_restart().await?;
    }
    for target in &targets {
        let deposits = desk.settled(target, 1).await?;
        assert_eq!(deposits.len(), 1, "{deposits:?}");
        let payments = books_of(&desk, target).await?;
        assert_eq!(payments.len(), 1, "{target} was paid {payments:?}");
    }
    Ok(())
}

fn decimal(value: &Value) -> Result<rust_decimal::Decimal> {
    Ok(value.as_str().context("amounts are strings")?.parse()?)
}
