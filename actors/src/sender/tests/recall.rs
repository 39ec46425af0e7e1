//! A log that was lost, and payouts that were not.

use std::sync::atomic::Ordering;

use millrace_model::deposit::*;
use millrace_model::ids::Hash32;
use millrace_model::money::Amount;
use millrace_protocols::wire::skycoin::rest::Lag;

use super::node::Mining;
use super::rig::Rig;
use crate::sender::PART;

/// The rig's deposits are in block 7: from before the process began.
const LAST_BLOCK_BEFORE: u64 = 7;

async fn paid_and_forgotten() -> Rig {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    let id = rig.owe(9, "12.5").await;
    rig.send();
    rig.until_paid(id).await;
    rig.lose_log().await
}

/// O5: a forgotten payout is taken up.
#[tokio::test(start_paused = true)]
async fn a_payout_that_the_log_has_forgotten_is_taken_up_again_and_not_repeated() {
    let rig = paid_and_forgotten().await;
    let id = rig.owe(9, "12.5").await;
    rig.send();
    rig.until_paid(id).await;
    assert_eq!(rig.node.payments_and_signatures(9), (1, 1));
    assert_eq!(rig.count(id, "PayoutSigned"), 1);
}

/// O5: it is found while nothing may go out, so that the books are true before anybody lets the desk go on.
#[tokio::test(start_paused = true)]
async fn a_forgotten_payout_is_taken_up_while_payouts_are_forbidden_and_no_other_is_made() {
    let rig = paid_and_forgotten().await;
    rig.allowed.store(false, Ordering::SeqCst);
    let (forgotten, new) = (rig.owe(9, "12.5").await, rig.owe(10, "3").await);
    rig.send();
    rig.until(forgotten, |deposit| deposit.signed_payout().is_some()).await;
    assert_eq!(rig.count(new, "PayoutSigned"), 0);
    assert_eq!((rig.node.payments_and_signatures(9), rig.node.payments_and_signatures(10)), ((1, 1), (0, 1)));
    rig.allowed.store(true, Ordering::SeqCst);
    rig.until_paid(forgotten).await;
    rig.until_paid(new).await;
    assert_eq!((rig.node.payments_and_signatures(9), rig.node.payments_and_signatures(10)), ((1, 2), (1, 2)));
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_payout_that_was_dropped_is_handed_in_again() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().mining = Mining::ByHand;
    let id = rig.owe(9, "12.5").await;
    rig.send();
    rig.until(id, |deposit| deposit.stage == Stage::WaitConfirm).await;
    let rig = rig.lose_log().await;
    let id = rig.owe(9, "12.5").await;
    rig.send();
    rig.until(id, |deposit| deposit.stage == Stage::WaitConfirm).await;
    rig.node.ledger().forget_pending();
    rig.node.ledger().mining = Mining::AtOnce;
    rig.until_paid(id).await;
    assert_eq!(rig.node.payments_and_signatures(9), (1, 1));
}

/// P4: the change of a forgotten payout may go as it came, and nobody has the bytes to bring it back.
#[tokio::test(start_paused = true)]
async fn the_change_of_a_forgotten_payout_strands_no_other() {
    let mut rig = Rig::new().await;
    rig.confirmations = 2;
    let only = rig.node.ledger().give("100", 50);
    let spent = (only, rig.node.ledger().unspent()[&only]);
    rig.node.ledger().mining = Mining::ByHand;
    let forgotten = rig.owe(9, "12.5").await;
    rig.send();
    rig.until(forgotten, |deposit| deposit.stage == Stage::WaitConfirm).await;
    let rig = rig.lose_log().await;
    rig.node.ledger().mine();
    let new = rig.owe(10, "3").await;
    rig.send();
    let text = rig.until_alarm(PART, "wallet").await;
    assert!(text.contains("no free outputs"), "its block is not deep enough yet: {text}");
    rig.node.ledger().unmine(&[spent]);
    rig.until(new, |deposit| deposit.stage == Stage::WaitConfirm).await;
    rig.node.ledger().mine();
    rig.node.ledger().mine();
    rig.until_paid(new).await;
    // What came with a block that is deep enough is spent, whoever made it.
    let next = rig.owe(11, "4").await;
    rig.until(next, |deposit| deposit.stage == Stage::WaitConfirm).await;
    assert_eq!((rig.node.payments_and_signatures(10), rig.node.payments_and_signatures(11)), ((1, 3), (1, 3)));
    rig.until_well(PART).await;
}

/// O5: what may be another's is for a person.
#[tokio::test(start_paused = true)]
async fn a_forgotten_payout_of_another_amount_is_for_a_person_to_look_at_once() {
    let rig = paid_and_forgotten().await;
    rig.deposits.past().ended_at(LAST_BLOCK_BEFORE);
    let id = rig.owe(9, "13").await;
    rig.send();
    let held = rig.until(id, |deposit| matches!(deposit.stage, Stage::Held { .. })).await;
    let Stage::Held { reason, .. } = &held.deposit.stage else { panic!("{held:?}") };
    assert!(matches!(reason, HoldReason::PaidBefore { .. }), "{reason:?}");
    rig.deposits.execute(id, &Command::Release { note: "that was another one".into() }).await.unwrap();
    rig.until_paid(id).await;
    assert_eq!(rig.node.payments_and_signatures(9), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn until_the_chain_is_read_nobody_can_say_whose_a_forgotten_payout_is() {
    let rig = paid_and_forgotten().await;
    let id = rig.owe(9, "13").await;
    rig.send();
    let alarm = rig.until_alarm(super::PART, "payout").await;
    assert!(alarm.contains("may be this payout or another's"), "{alarm}");
    rig.deposits.past().ended_at(LAST_BLOCK_BEFORE);
    rig.until(id, |deposit| matches!(deposit.stage, Stage::Held { .. })).await;
    assert_eq!(rig.node.payments_and_signatures(9), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_mined_since_the_desk_began_is_not_looked_for() {
    let rig = paid_and_forgotten().await;
    rig.deposits.past().ended_at(LAST_BLOCK_BEFORE - 1);
    let id = rig.owe(9, "12.5").await;
    rig.send();
    rig.until_paid(id).await;
    assert_eq!(rig.node.payments_and_signatures(9), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn what_a_reorganisation_has_moved_to_a_younger_block_is_still_looked_for() {
    let rig = paid_and_forgotten().await;
    rig.deposits.past().ended_at(LAST_BLOCK_BEFORE);
    let block = |height: u64| BlockRef { height, hash: Hash32([height as u8; 32]) };
    let basis = PayoutBasis::Direct { rate: "1".parse().unwrap() };
    let since = vec![
        StatusWaitSend { basis, amount: "12.5".parse().unwrap(), rounding: Amount::ZERO }.into(),
        Orphaned { block: block(LAST_BLOCK_BEFORE) }.into(),
        Held { reason: HoldReason::DepositOrphaned }.into(),
        Mined { block: block(LAST_BLOCK_BEFORE + 1) }.into(),
        Matured { confirmations: 1 }.into(),
        Released { note: String::new() }.into(),
    ];
    let id = rig.received(9, since).await;
    rig.send();
    rig.until_paid(id).await;
    assert_eq!(rig.node.payments_and_signatures(9), (1, 1));
}

/// P10: what such a node does not know is not taken for proof.
/// O5: also when the node was restored with the log and has yet to read it.
#[tokio::test(start_paused = true)]
async fn a_forgotten_payout_that_the_node_has_yet_to_read_is_waited_for() {
    let rig = Rig::new().await;
    let uxid = rig.node.ledger().give("100", 50);
    let spent = (uxid, rig.node.ledger().unspent()[&uxid]);
    let id = rig.owe(9, "12.5").await;
    rig.send();
    rig.until_paid(id).await;
    let payout = rig.node.ledger().signed[0].clone();
    rig.node.ledger().unmine(&[spent]);
    rig.node.ledger().lag = Some(Lag::Behind { current: 0, highest: 1 });
    let rig = rig.lose_log().await;
    let id = rig.owe(9, "12.5").await;
    rig.send();
    rig.until_alarm(super::PART, "skycoin_sync").await;
    rig.node.ledger().take(&payout).unwrap();
    rig.node.ledger().lag = None;
    rig.until_paid(id).await;
    assert_eq!(rig.node.payments_and_signatures(9), (1, 1));
}
