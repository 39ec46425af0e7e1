//! The ledger, shown.

use millrace_model::ledger::Ticker;

use super::*;

#[tokio::test]
async fn the_ledger_shows_what_customers_and_owners_brought_and_outlives_a_restart() {
    let desk = Desk::start().await;
    desk.deposit(1, Some("target"), received()).await;
    desk.deposit(2, Some("target"), held(HoldReason::BelowMinimum)).await;
    let stranger = desk.deposit(3, None, quarantined()).await;
    let refill = r#"{"kind":"refill","place":"hot_wallet","coin":"SKY","amount":"25","note":"from the safe"}"#;
    assert_eq!(desk.post("/operator/v1/transfers", refill).await.0, 201);
    desk.post(&format!("/operator/v1/deposits/{stranger}/refund-due"), r#"{"note":"theirs"}"#).await;
    desk.views.caught_up(desk.store.head(), Duration::from_secs(20)).await;
    let check = async || {
        let ledger = desk.got("/operator/v1/ledger").await;
        assert_eq!(ledger["position"], desk.store.head());
        let rows = ledger["balances"].as_array().unwrap().iter();
        let rows = rows.map(|row| ["account", "coin", "amount"].map(|name| row[name].as_str().unwrap().to_owned()));
        let rows: Vec<_> =
            rows.filter(|[_, _, amount]| amount.contains(|digit| ('1'..='9').contains(&digit))).collect();
        let expected = [
            ["deposit_addresses", "BTC", "1.50000000"],
            ["hot_wallet", "SKY", "25.000000"],
            ["customer", "BTC", "-1.00000000"],
            ["refund", "BTC", "-0.50000000"],
            ["capital", "SKY", "-25.000000"],
        ];
        assert_eq!(rows, expected, "{ledger}");
    };
    check().await;
    assert_eq!(desk.post("/operator/v1/parts/projection/restart", "").await.0, 200);
    desk.views.caught_up(desk.store.head(), Duration::from_secs(20)).await;
    check().await;
}

#[tokio::test]
async fn a_ledger_made_again_from_the_log_is_the_one_that_was_kept() {
    let desk = Desk::start().await;
    for number in 1..=5 {
        desk.deposit(number, Some("target"), held(HoldReason::AboveMaximum)).await;
    }
    let tree = Tree::new(Registry::new(Arc::new(SystemClock)), 1);
    let again = Views::new(&desk.folder.path().join("again.db"));
    projection::start(&tree, desk.store.clone(), again.clone()).unwrap();
    again.caught_up(desk.store.head(), Duration::from_secs(20)).await;
    assert_eq!(again.ledger(), desk.views.ledger());
    assert_eq!(again.ledger().balances.sum(Ticker::Btc), 0);
    assert_eq!(again.ledger().balances.all().len(), 2);
    tree.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_postings_of_a_deposit_name_the_events_they_are_of() {
    let desk = Desk::start().await;
    let id = desk.deposit(1, None, quarantined()).await;
    let posted = desk.got(&format!("/operator/v1/deposits/{id}/postings")).await;
    let rows: Vec<_> = posted["postings"].as_array().unwrap().iter().collect();
    let texts = |row: &Value| ["event", "account", "amount"].map(|name| row[name].as_str().unwrap().to_owned());
    assert_eq!(texts(rows[0]), ["Quarantined", "deposit_addresses", "0.50000000"]);
    assert_eq!(texts(rows[1]), ["Quarantined", "suspense", "-0.50000000"]);
    assert_eq!((rows.len(), &rows[1]["position"]), (2, &Value::from(3)));
    let unknown = desk.get(&format!("/operator/v1/deposits/{}/postings", Uuid::from_u128(9))).await;
    assert_eq!((unknown.0.as_u16(), &unknown.1["code"]), (404, &Value::from("unknown_deposit")));
}
