//! What too little in the wallet leads to.

use millrace_model::deposit::Stage;

use super::*;
use crate::clock::ManualClock;
use crate::sender::tests::rig::Rig;

fn settings(minimum_hours: u64) -> Settings {
    let every = Duration::from_millis(10);
    Settings { every, low_balance: "100".parse().unwrap(), low_hours: 50, minimum_hours }
}

fn watched(rig: &Rig, minimum_hours: u64) -> Stock {
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    start(&rig.tree, rig.node.clone(), clock, settings(minimum_hours)).unwrap()
}

/// P7: the warning comes before.
#[tokio::test(start_paused = true)]
async fn too_few_coins_or_hours_raise_a_warning_each_until_there_are_more() {
    let rig = Rig::new().await;
    rig.node.ledger().give("99", 49);
    let stock = watched(&rig, 1);
    rig.until_alarm(PART, "low_balance").await;
    rig.until_alarm(PART, "low_hours").await;
    assert_eq!(stock.reading().unwrap().funds, Funds { coins: "99".parse().unwrap(), hours: 49 });
    rig.node.ledger().give("1", 1);
    rig.until_well(PART).await;
}

#[tokio::test(start_paused = true)]
async fn payouts_wait_for_the_minimum_of_hours_with_an_alarm_and_go_on_by_themselves() {
    let mut rig = Rig::new().await;
    rig.node.ledger().give("500", 9);
    rig.stock = watched(&rig, 10);
    rig.until_alarm(PART, "low_hours").await;
    rig.send();
    let id = rig.owe(9, "100").await;
    let alarm = rig.until_alarm(crate::sender::PART, "wallet").await;
    assert!(alarm.contains("waiting for hours: the wallet holds 9 coin hours"), "{alarm}");
    assert_eq!(rig.deposits.get(id).unwrap().unwrap().deposit.stage, Stage::WaitSend);
    assert_eq!(rig.node.payments_and_signatures(9), (0, 0), "nothing was signed");
    rig.node.ledger().give("1", 1);
    rig.until(id, |deposit| deposit.is_finished()).await;
    rig.until_well(crate::sender::PART).await;
}
