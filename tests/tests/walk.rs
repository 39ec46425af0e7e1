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
    has_history(&desk, &target, (&address, &txid)).await
}

/// The whole life, as it went and as it stands, by the payout address and by the deposit address.
async fn has_history(desk: &Desk, target: &str, (address, txid): (&str, &str)) -> Result<()> {
    let texts = |rows: &Value, field: &str| {
        let rows = rows.as_array().into_iter().flatten();
        rows.map(|row| row[field].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let changes = desk.get(&format!("/api/history?user={target}&cursor=")).await?;
    let expected = [
        "Deposit.Pending",
        "Deposit.Wait_For_Confirmation",
        "Deposit.Confirmed",
        "Withdrawal.Added_To_Queue",
        "Withdrawal.In_Consensus",
        "Withdrawal.Submitted",
        "Withdrawal.Confirmed",
    ];
    assert_eq!(texts(&changes, "Event"), expected);
    assert!(texts(&changes, "Tx").iter().all(|tx| tx == txid), "{changes}");
    assert_eq!(desk.get(&format!("/api/history?user={address}&cursor=")).await?, changes);

    let rows = desk.get(&format!("/api/history?user={target}")).await?;
    assert_eq!(
        (texts(&rows, "Type"), texts(&rows, "Coin")),
        (vec!["withdrawal".to_owned(), "deposit".to_owned()], vec!["SKY".to_owned(), "BTC".to_owned()],)
    );
    assert_eq!(texts(&rows, "SubmitState"), ["success", "success"]);
    assert_eq!([&rows[0]["Amount"], &rows[1]["Amount"]], [61_728_000, 12_345_678]);
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
