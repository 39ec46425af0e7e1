//! What the sender does is judged by the node's own books: who was paid, how often, from what.

mod limits;
pub(crate) mod node;
mod recall;
pub(crate) mod rig;

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use millrace_model::deposit::{HoldReason, Stage};
use millrace_model::desk::Setting;
use millrace_model::ids::{Hash32, StreamName};
use millrace_protocols::wire::skycoin::rest::Lag;

use super::PART;
use crate::event_store::Execution;
use crate::finality;
use node::{Fault, Mining, Wallet, address};
use rig::Rig;

#[tokio::test(start_paused = true)]
async fn a_payout_ends_confirmed_and_paid_once() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    let id = rig.owe(9, "12.5").await;
    rig.send();
    rig.until_paid(id).await;
    assert_eq!(rig.node.ledger().payments_to(9), 1);
    for kind in ["PayoutIntended", "PayoutSigned", "Sent", "Confirmed"] {
        assert_eq!(rig.count(id, kind), 1, "{kind}");
    }
    let wallet = rig.events(&StreamName::Wallet);
    let wallet: Vec<_> = wallet.iter().map(|recorded| recorded.event.kind()).collect();
    assert_eq!(wallet, ["InputsReserved", "InputsSpent"]);
}

#[tokio::test(start_paused = true)]
async fn a_payout_is_final_only_when_it_is_deep_enough() {
    let mut rig = Rig::new().await;
    rig.confirmations = 3;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().mining = Mining::ByHand;
    let id = rig.owe(9, "1").await;
    rig.send();
    rig.until(id, |deposit| deposit.stage == Stage::WaitConfirm).await;
    rig.node.ledger().mine();
    rig.node.ledger().mine();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.count(id, "Confirmed"), 0);
    rig.node.ledger().mine();
    rig.until_paid(id).await;
}

/// D11: an address bound before the node said that it is the wallet's own.
#[tokio::test(start_paused = true)]
async fn a_payout_to_the_hot_wallet_itself_is_held() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    let id = rig.owe_to(node::HOT, 9, "1").await;
    rig.send();
    rig.until(id, |deposit| matches!(deposit.stage, Stage::Held { reason: HoldReason::InvalidTarget, .. })).await;
    assert_eq!(rig.node.payments_and_signatures(node::HOT), (0, 0));
}

/// P1: a lost reply leads to the same bytes.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_leads_to_the_same_bytes_and_one_payment() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().give("100", 50);
    rig.node.ledger().injecting = [Fault::RequestLost, Fault::ReplyLost].into();
    let id = rig.owe(9, "1").await;
    rig.send();
    rig.until_paid(id).await;
    let ledger = rig.node.ledger();
    assert_eq!((ledger.payments_to(9), ledger.signed.len()), (1, 1));
    assert!(ledger.handed_in.len() >= 2 && ledger.handed_in.iter().all(|txid| *txid == ledger.handed_in[0]));
}

/// P2: an unknown append is read back, and nothing else is signed.
#[tokio::test]
async fn bytes_of_which_it_is_unknown_whether_they_are_in_the_log_are_read_back_and_not_replaced() {
    let rig = Rig::on(Execution::Thread).await;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().give("100", 50);
    // Time that stands still jumps to the next deadline while the log's thread is at work: its answer comes too late.
    rig.node.ledger().after_create = Some(Box::new(|ledger, _| {
        tokio::time::pause();
        ledger.before_next = Some(tokio::time::resume);
    }));
    let id = rig.owe(9, "1").await;
    rig.send();
    rig.until_paid(id).await;
    let ledger = rig.node.ledger();
    assert_eq!(ledger.payments_to(9), 1);
    let inputs: HashSet<_> = ledger.signed.iter().flat_map(|signed| signed.inputs()).collect();
    assert_eq!((inputs.len(), rig.count(id, "PayoutSigned")), (1, 1));
}

/// P1: after a restart the same bytes go out.
#[tokio::test(start_paused = true)]
async fn after_a_restart_between_signing_and_sending_the_same_bytes_go_out() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().give("100", 50);
    rig.node.ledger().injecting = std::iter::repeat_n(Fault::RequestLost, 1_000).collect();
    let id = rig.owe(9, "1").await;
    rig.send();
    let signed = rig.until(id, |deposit| deposit.signed_payout().is_some()).await;
    let txid = signed.deposit.signed_payout().unwrap().txid;
    let rig = rig.restart().await;
    rig.node.ledger().injecting.clear();
    rig.send();
    rig.until_paid(id).await;
    let ledger = rig.node.ledger();
    assert_eq!((ledger.payments_to(9), ledger.signed.len()), (1, 1));
    assert!(ledger.handed_in.iter().all(|handed_in| handed_in.0 == txid.0));
}

/// P7: what another payout has locked stays locked over a restart.
#[tokio::test(start_paused = true)]
async fn inputs_reserved_before_a_restart_are_nobody_elses_after_it() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().injecting = std::iter::repeat_n(Fault::RequestLost, 1_000).collect();
    let first = rig.owe(9, "1").await;
    rig.send();
    rig.until(first, |deposit| deposit.signed_payout().is_some()).await;
    let rig = rig.restart().await;
    let second = rig.owe(8, "1").await;
    rig.send();
    rig.until_alarm(PART, "wallet").await;
    assert_eq!(rig.node.ledger().signed.len(), 1);
    rig.node.ledger().injecting.clear();
    rig.until_paid(first).await;
    rig.until_paid(second).await;
    rig.until_well(PART).await;
}

/// P4: dropped from the pool, the same bytes go in.
#[tokio::test(start_paused = true)]
async fn a_payout_dropped_from_the_pool_goes_in_again_as_it_was() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().give("100", 50);
    rig.node.ledger().mining = Mining::ByHand;
    let id = rig.owe(9, "1").await;
    rig.send();
    rig.until(id, |deposit| deposit.stage == Stage::WaitConfirm).await;
    rig.node.ledger().forget_pending();
    rig.until_node(|node| node.ledger().handed_in.len() == 2).await;
    rig.node.ledger().mine();
    rig.until_paid(id).await;
    let ledger = rig.node.ledger();
    assert_eq!((ledger.payments_to(9), ledger.signed.len()), (1, 1));
}

/// P6: before it was final.
#[tokio::test(start_paused = true)]
async fn a_payout_whose_block_vanished_goes_in_again_as_it_was() {
    let mut rig = Rig::new().await;
    rig.confirmations = 2;
    let uxid = rig.node.ledger().give("100", 50);
    rig.node.ledger().mining = Mining::ByHand;
    let id = rig.owe(9, "1").await;
    rig.send();
    rig.until(id, |deposit| deposit.stage == Stage::WaitConfirm).await;
    let spent = (uxid, rig.node.ledger().unspent()[&uxid]);
    rig.node.ledger().mine();
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.node.ledger().unmine(&[spent]);
    rig.until_node(|node| node.ledger().handed_in.len() == 2).await;
    rig.node.ledger().mine();
    rig.node.ledger().mine();
    rig.until_paid(id).await;
    let ledger = rig.node.ledger();
    assert_eq!((ledger.payments_to(9), ledger.signed.len(), rig.count(id, "PayoutReorged")), (1, 1, 1));
}

/// P11: only a final spend by somebody else voids the bytes.
#[tokio::test(start_paused = true)]
async fn a_final_spend_by_somebody_else_voids_the_bytes_and_the_second_attempt_pays_once() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().give("200", 50);
    rig.node.ledger().after_create = Some(Box::new(|ledger, signed| {
        ledger.steal(signed.inputs(), 66);
        ledger.mine();
    }));
    let id = rig.owe(9, "1").await;
    rig.send();
    rig.until_paid(id).await;
    assert_eq!(rig.node.payments_and_signatures(9), (1, 2));
    assert_eq!((rig.count(id, "PayoutVoided"), rig.count(id, "PayoutIntended")), (1, 2));
    rig.until_well(PART).await;
}

/// P4: what spends the change of a void payout is void with it, and is made once more.
#[tokio::test(start_paused = true)]
async fn a_payout_that_spends_the_change_of_a_void_one_is_void_with_it() {
    let mut rig = Rig::new().await;
    rig.confirmations = 2;
    let only = rig.node.ledger().give("100", 50);
    let spent = (only, rig.node.ledger().unspent()[&only]);
    rig.node.ledger().mining = Mining::ByHand;
    let first = rig.owe(9, "1").await;
    rig.send();
    rig.until(first, |deposit| deposit.stage == Stage::WaitConfirm).await;
    rig.node.ledger().mine();
    rig.node.ledger().mine();
    rig.until_paid(first).await;
    let second = rig.owe(8, "2").await;
    rig.until(second, |deposit| deposit.stage == Stage::WaitConfirm).await;
    let watched = finality::Settings { confirmations: 2, poll: Duration::from_millis(10) };
    finality::start(&rig.tree, rig.deposits.clone(), rig.node.clone(), watched).unwrap();
    {
        let mut ledger = rig.node.ledger();
        ledger.unmine(&[]);
        ledger.unmine(&[spent]);
        ledger.forget_pending();
        ledger.steal(&[only], 66);
        ledger.mine();
        ledger.give("500", 50);
        ledger.give("600", 50);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((rig.count(first, "PayoutVoided"), rig.count(second, "PayoutVoided")), (0, 0), "not final yet");
    rig.node.ledger().mine();
    rig.until_node(|node| node.ledger().payments_to(9) == 1 && node.ledger().payments_to(8) == 1).await;
    rig.node.ledger().mine();
    rig.node.ledger().mine();
    rig.until_paid(first).await;
    rig.until_paid(second).await;
    assert_eq!((rig.count(first, "PayoutVoided"), rig.count(second, "PayoutVoided")), (1, 1));
    assert_eq!((rig.node.payments_and_signatures(9), rig.node.payments_and_signatures(8)), ((1, 4), (1, 4)));
    rig.until_well(PART).await;
}

/// P4: a conflict that is not final makes no other bytes.
#[tokio::test(start_paused = true)]
async fn a_spend_by_somebody_else_that_is_not_final_is_waited_out() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().give("200", 50);
    rig.node.ledger().mining = Mining::ByHand;
    rig.node.ledger().after_create = Some(Box::new(|ledger, signed| {
        ledger.steal(signed.inputs(), 66);
    }));
    let id = rig.owe(9, "1").await;
    rig.send();
    let text = rig.until_alarm(PART, "payout").await;
    assert!(text.contains("spends an input"), "{text}");
    rig.node.ledger().mining = Mining::AtOnce;
    rig.node.ledger().forget_pending();
    rig.until_paid(id).await;
    assert_eq!(rig.node.payments_and_signatures(9), (1, 1));
    assert_eq!(rig.count(id, "PayoutVoided"), 0);
    rig.until_well(PART).await;
}

/// P2: thirty payouts at once never share an input.
#[tokio::test(start_paused = true)]
async fn payouts_side_by_side_never_share_an_input() {
    let rig = Rig::new().await;
    for _ in 0..7 {
        rig.node.ledger().give("100", 50);
    }
    rig.node.ledger().mining = Mining::ByHand;
    let mut ids = Vec::new();
    for number in 10..40 {
        ids.push(rig.owe(number, "3").await);
    }
    rig.send();
    rig.until_node(|node| node.ledger().spent().len() == 7).await;
    rig.node.ledger().mining = Mining::AtOnce;
    rig.node.ledger().mine();
    for id in ids {
        rig.until_paid(id).await;
    }
    let ledger = rig.node.ledger();
    let spent = ledger.spent();
    assert_eq!(spent.iter().collect::<HashSet<_>>().len(), spent.len());
    assert!((10..40).all(|number| ledger.payments_to(number) == 1));
    assert_eq!(ledger.signed.len(), 30, "nothing was signed in vain");
}

/// P7: the large one waits, the small one goes on.
#[tokio::test(start_paused = true)]
async fn a_payout_too_large_for_what_is_free_waits_and_others_go_on() {
    let rig = Rig::new().await;
    rig.node.ledger().give("5", 50);
    let large = rig.owe(9, "50").await;
    rig.send();
    let text = rig.until_alarm(PART, "wallet").await;
    assert!(text.contains("balance too low: owes 50.000000 SKY, has 5.000000"), "{text}");
    let small = rig.owe(8, "2").await;
    rig.until_paid(small).await;
    assert_eq!(rig.node.ledger().payments_to(9), 0);
    rig.node.ledger().give("100", 50);
    rig.until_paid(large).await;
    rig.until_well(PART).await;
}

/// P7: without coin hours it waits for a refill.
#[tokio::test(start_paused = true)]
async fn without_coin_hours_a_payout_waits_with_an_alarm_and_goes_on_after_a_refill() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 0);
    let id = rig.owe(9, "5").await;
    rig.send();
    let text = rig.until_alarm(PART, "wallet").await;
    assert!(text.contains("waiting for hours"), "{text}");
    rig.node.ledger().give("1", 50);
    rig.until_paid(id).await;
    rig.until_well(PART).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_paid_while_sends_are_off() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    rig.switch_sends(Setting::Off).await;
    rig.allowed.store(false, Ordering::SeqCst);
    let id = rig.owe(9, "5").await;
    rig.send();
    rig.until_alarm(PART, "sends").await;
    rig.switch_sends(Setting::On).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.node.ledger().signed.len(), 0);
    rig.allowed.store(true, Ordering::SeqCst);
    rig.until_paid(id).await;
    rig.until_well(PART).await;
}

#[tokio::test(start_paused = true)]
async fn a_payout_that_is_being_signed_when_sends_are_forbidden_stays_here() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    let allowed = rig.allowed.clone();
    rig.node.ledger().after_create = Some(Box::new(move |_, _| allowed.store(false, Ordering::SeqCst)));
    let id = rig.owe(9, "5").await;
    rig.send();
    rig.until_alarm(PART, "sends").await;
    assert_eq!(rig.count(id, "PayoutSigned"), 1);
    assert!(rig.node.ledger().handed_in.is_empty());
    rig.allowed.store(true, Ordering::SeqCst);
    rig.until_paid(id).await;
    assert_eq!(rig.count(id, "PayoutSigned"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_signs_something_else_is_not_followed() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().wallet = Wallet::Pays(66);
    let id = rig.owe(9, "5").await;
    rig.send();
    rig.until(id, |deposit| matches!(&deposit.stage, Stage::Held { reason: HoldReason::WalletMisbehaved, .. })).await;
    assert!(rig.node.ledger().handed_in.is_empty());
    assert_eq!(rig.count(id, "PayoutSigned"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wallet_in_crumbs_is_for_a_person_to_mend() {
    let rig = Rig::new().await;
    for _ in 0..40 {
        rig.node.ledger().give("0.1", 50);
    }
    let id = rig.owe(9, "3.9").await;
    rig.send();
    rig.until(id, |deposit| matches!(&deposit.stage, Stage::Held { reason: HoldReason::PayoutTooManyInputs, .. }))
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_signed_is_what_is_in_the_log() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().mining = Mining::ByHand;
    let id = rig.owe(9, "5").await;
    rig.send();
    let tracked = rig.until(id, |deposit| deposit.stage == Stage::WaitConfirm).await;
    let signed = tracked.deposit.signed_payout().unwrap();
    let ledger = rig.node.ledger();
    assert_eq!(signed.bytes, ledger.signed[0].to_hex());
    assert_eq!(signed.inputs, ledger.spent().iter().map(|input| Hash32(input.0)).collect::<Vec<_>>());
    assert_eq!(ledger.signed[0].outputs()[0].address, address(9));
}

/// P10: while the node has blocks to read, nothing is signed; at the end of the chain it goes on by itself.
#[tokio::test(start_paused = true)]
async fn nothing_is_signed_while_the_node_has_blocks_to_read() {
    let rig = Rig::new().await;
    rig.node.ledger().give("100", 50);
    rig.node.ledger().lag = Some(Lag::Behind { current: 58, highest: 60 });
    let id = rig.owe(9, "5").await;
    rig.send();
    let text = rig.until_alarm(PART, "skycoin_sync").await;
    assert_eq!(text, "the node is syncing: it is at block 58 of 60; new payouts wait");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((rig.node.ledger().signed.len(), rig.count(id, "PayoutIntended")), (0, 0));
    rig.node.ledger().lag = None;
    rig.until_paid(id).await;
    rig.until_well(PART).await;
}
