//! A payout that was final and is not any more.

use millrace_model::deposit::Stage;

use super::*;
use crate::sender::tests::node::{Ledger, Mining};
use crate::sender::tests::rig::Rig;

/// A desk that has paid deposit 9 out, and how to take the payout's block back.
async fn paid() -> (Rig, DepositId, impl Fn(&mut Ledger)) {
    let rig = Rig::new().await;
    let uxid = rig.node.ledger().give("100", 50);
    let spent = (uxid, rig.node.ledger().unspent()[&uxid]);
    let id = rig.owe(9, "1").await;
    rig.send();
    rig.until_paid(id).await;
    rig.node.ledger().mining = Mining::ByHand;
    (rig, id, move |ledger: &mut Ledger| ledger.unmine(&[spent]))
}

fn watch(rig: &Rig) {
    let settings = Settings { confirmations: rig.confirmations, poll: Duration::from_millis(10) };
    start(&rig.tree, rig.deposits.clone(), rig.node.clone(), settings).unwrap();
}

async fn paid_again(rig: &Rig, id: DepositId) {
    rig.until(id, |deposit| deposit.stage == Stage::WaitConfirm).await;
    rig.until_node(|node| node.ledger().handed_in.len() == 2).await;
    rig.node.ledger().mine();
    rig.until_paid(id).await;
    let ledger = rig.node.ledger();
    assert_eq!((ledger.payments_to(9), ledger.signed.len(), rig.count(id, "PayoutReorged")), (1, 1, 1));
    assert_eq!(ledger.handed_in[0], ledger.handed_in[1], "the same bytes");
}

/// P6: after it was final.
#[tokio::test(start_paused = true)]
async fn a_payout_whose_block_vanished_after_it_was_final_goes_in_again_as_it_was() {
    let (rig, id, unmine) = paid().await;
    watch(&rig);
    // Until it has seen the block.
    tokio::time::sleep(Duration::from_millis(100)).await;
    unmine(&mut rig.node.ledger());
    paid_again(&rig, id).await;
}

/// P6: also when the desk was down meanwhile.
#[tokio::test(start_paused = true)]
async fn the_same_when_it_vanished_while_the_desk_was_down() {
    let (rig, id, unmine) = paid().await;
    let rig = rig.restart().await;
    unmine(&mut rig.node.ledger());
    rig.send();
    watch(&rig);
    paid_again(&rig, id).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_when_another_block_took_its_place_before_it_was_looked_at() {
    let (rig, id, unmine) = paid().await;
    unmine(&mut rig.node.ledger());
    rig.node.ledger().mine();
    watch(&rig);
    paid_again(&rig, id).await;
}

#[tokio::test(start_paused = true)]
async fn what_its_payout_spends_is_nobody_elses_while_it_waits_again() {
    let (rig, id, unmine) = paid().await;
    unmine(&mut rig.node.ledger());
    watch(&rig);
    rig.until(id, |deposit| deposit.stage == Stage::WaitConfirm).await;
    rig.until_node(|node| node.ledger().handed_in.len() == 2).await;
    // The node forgets it once more: the output is free to whoever asks the node.
    rig.node.ledger().forget_pending();
    let other = rig.owe(8, "1").await;
    rig.until_alarm(crate::sender::PART, "wallet").await;
    assert_eq!(rig.node.ledger().signed.len(), 1, "there is nothing to sign from");
    rig.node.ledger().mining = Mining::AtOnce;
    rig.until_paid(id).await;
    rig.until_paid(other).await;
    let ledger = rig.node.ledger();
    assert_eq!((ledger.payments_to(9), ledger.payments_to(8)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_payout_that_moved_to_another_block_is_let_be() {
    let (rig, id, unmine) = paid().await;
    watch(&rig);
    tokio::time::sleep(Duration::from_millis(100)).await;
    {
        let mut ledger = rig.node.ledger();
        unmine(&mut ledger);
        ledger.mine();
        ledger.mining = Mining::AtOnce;
        let bytes = ledger.signed[0].clone();
        ledger.take(&bytes).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.count(id, "PayoutReorged"), 0);
    rig.node.ledger().unmine(&[]);
    rig.until(id, |deposit| deposit.stage == Stage::WaitConfirm).await;
}
