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

fn decimal(value: &Value) -> Result<rust_decimal::Decimal> {
    Ok(value.as_str().context("amounts are strings")?.parse()?)
}
