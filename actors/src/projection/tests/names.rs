//! Deposits are found by what their events name, and by nothing else.

use millrace_model::deposit::SignedPayout;
use millrace_model::ids::Hash32;

use super::*;

#[tokio::test]
async fn a_deposit_is_found_by_the_transactions_that_pay_it_out_and_back() {
    let rig = Rig::new().await;
    let views = views(&rig);
    let [paid, refunded] = [rig.owe(9, "3").await, rig.owe(10, "3").await];
    let [payout, refund] = [Hash32([0xaa; 32]), Hash32([0xbb; 32])];
    let signed = SignedPayout { txid: payout, inner_hash: payout, inputs: vec![], bytes: "00".to_owned() };
    rig.deposits.execute(paid, &Command::RecordSigned(signed)).await.unwrap();
    let note = || "look".to_owned();
    for command in [
        Command::Hold { reason: HoldReason::Operator { note: note() } },
        Command::MarkRefundDue { note: note() },
        Command::MarkRefunded { txid: refund, note: note() },
    ] {
        rig.deposits.execute(refunded, &command).await.unwrap();
    }
    caught_up(&rig, &views).await;
    for (name, found) in [(payout, vec![paid]), (refund, vec![refunded]), (Hash32([0xcc; 32]), vec![])] {
        assert_eq!(views.deposits_named(&name.to_string()).await.unwrap(), found, "{name}");
    }
    assert_eq!(rows(&path(&rig), Projection::Names).len(), 2);
}

#[tokio::test]
async fn by_their_address_deposits_of_another_version_are_not_looked_for() {
    let rig = Rig::new().await;
    let views = views(&rig);
    let id = rig.owe(9, "3").await;
    caught_up(&rig, &views).await;
    let address = views.deposit(id).await.unwrap().unwrap().address;
    assert_eq!(views.deposits_on(&address).await.unwrap(), Some(vec![id]));
    assert_eq!(views.deposits_on("nobody's").await.unwrap(), Some(vec![]));
    change(&path(&rig), "UPDATE projections SET version = 7 WHERE name = 'deposits'");
    assert_eq!(views.deposits_on(&address).await.unwrap(), None);
    views.rebuild(Projection::Deposits);
    made_anew(&rig, &views).await;
    assert_eq!(views.deposits_on(&address).await.unwrap(), Some(vec![id]));
}
