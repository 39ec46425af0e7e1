//! The network as a person steers it, over restarts.

use millrace_model::money::{Amount, Btc};

use super::control::REORG_DEPTH_MAX;
use super::*;

/// Addresses that are not the customer's.
const ALICE: &str = "bcrt1qcr8te4kr609gcawutmrza0j4xv80jy8zeqchgx";
const BOB: &str = "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn";

fn opened() -> (tempfile::TempDir, BitcoinNode) {
    let dir = tempfile::tempdir().unwrap();
    let node = BitcoinNode::open(dir.path()).unwrap();
    (dir, node)
}

fn btc(text: &str) -> Amount<Btc> {
    text.parse().unwrap()
}

/// Confirmations of Alice's receipts, with their txids.
fn alices(node: &BitcoinNode) -> Vec<(Txid, u32)> {
    let receipts = node.books().receipts.remove(ALICE).unwrap_or_default();
    receipts.into_iter().map(|receipt| (receipt.txid, receipt.confirmations)).collect()
}

#[test]
fn a_new_network_has_a_rich_customer_and_a_restart_continues_it() {
    let (dir, node) = opened();
    assert_eq!(node.books().height, 151);
    assert!(node.customer_balance() > btc("2500"));
    assert_eq!(node.books().receipts.len(), 0);
    node.pay(&[(ALICE, btc("0.1"))]).unwrap();
    node.mine(2).unwrap();
    node.pay(&[(ALICE, btc("0.2"))]).unwrap();
    node.evict(node.pay(&[(BOB, btc("0.3"))]).unwrap()).unwrap();
    node.reorg(1, Orphans::Keep).unwrap();
    let (books, balance) = (node.books(), node.customer_balance());
    drop(node);

    let node = BitcoinNode::open(dir.path()).unwrap();
    assert_eq!((node.books(), node.customer_balance()), (books, balance));
    node.mine(1).unwrap();
}

#[test]
fn a_payment_waits_is_mined_and_deepens() {
    let (_dir, node) = opened();
    let txid = node.pay(&[(ALICE, btc("0.5")), (BOB, btc("0.00001")), (ALICE, btc("1"))]).unwrap();
    assert_eq!(alices(&node), [(txid, 0), (txid, 0)]);
    assert_eq!(node.books().mempool, [txid]);
    node.mine_if_pending().unwrap().unwrap();
    assert_eq!(node.mine_if_pending().unwrap(), None);
    assert_eq!(alices(&node), [(txid, 1), (txid, 1)]);
    node.mine(5).unwrap();
    let books = node.books();
    let receipt = &books.receipts[BOB][0];
    assert_eq!((receipt.vout, receipt.amount, receipt.confirmations, receipt.coinbase), (1, btc("0.00001"), 6, false));
}

#[test]
fn thousands_of_payments_need_no_block_between_them() {
    let (_dir, node) = opened();
    let payments: Vec<_> = (0..10).map(|_| (ALICE, btc("0.01"))).collect();
    for _ in 0..300 {
        node.pay(&payments).unwrap();
    }
    // More than any single coin, so that many are joined, unconfirmed change with them.
    node.pay(&[(BOB, btc("800"))]).unwrap();
    assert_eq!(node.books().mempool.len(), 301);
    node.mine(1).unwrap();
    assert_eq!(alices(&node).len(), 3_000);
}

#[test]
fn orphans_that_are_kept_wait_again_and_are_mined_once() {
    let (_dir, node) = opened();
    let first = node.pay(&[(ALICE, btc("0.5"))]).unwrap();
    node.mine(1).unwrap();
    let second = node.pay(&[(ALICE, btc("0.6"))]).unwrap();
    node.mine(2).unwrap();
    let height = node.books().height;
    let tip = node.reorg(3, Orphans::Keep).unwrap();
    let books = node.books();
    assert_eq!((books.height, books.tip), (height + 1, tip));
    assert_eq!(books.mempool, [first, second]);
    node.mine(1).unwrap();
    assert_eq!(alices(&node), [(first, 1), (second, 1)]);
}

#[test]
fn orphans_that_are_mined_again_are_one_block_higher() {
    let (_dir, node) = opened();
    let txid = node.pay(&[(ALICE, btc("0.5"))]).unwrap();
    node.mine(3).unwrap();
    assert_eq!(alices(&node), [(txid, 3)]);
    node.reorg(3, Orphans::Remine).unwrap();
    assert_eq!(alices(&node), [(txid, 3)]);
    assert_eq!(node.books().mempool, []);
    node.reorg(2, Orphans::Remine).unwrap();
    assert_eq!(alices(&node), [(txid, 4)]);
}

#[test]
fn dropped_orphans_are_gone_and_their_coins_come_back_in_another_transaction() {
    let (_dir, node) = opened();
    let txid = node.pay(&[(ALICE, btc("0.5"))]).unwrap();
    node.mine(2).unwrap();
    node.reorg(2, Orphans::Drop).unwrap();
    assert_eq!((alices(&node), node.books().mempool), (vec![], vec![]));
    // The customer pays somebody else meanwhile, with other coins.
    node.pay(&[(BOB, btc("0.5"))]).unwrap();
    node.mine(1).unwrap();

    let old_coins = inputs(&node.read(|state| (**state.forgotten(&txid).unwrap()).clone()));
    let again = node.respend(txid).unwrap();
    assert_ne!(again, txid);
    let new_coins = node.read(|state| inputs(&state.mempool.get(&again).unwrap().transaction));
    assert_eq!(new_coins, old_coins);
    node.mine(1).unwrap();
    assert_eq!(alices(&node), [(again, 1)]);
    assert!(matches!(node.respend(txid), Err(ControlError::CoinsGone)));
}

fn inputs(transaction: &Transaction) -> Vec<bitcoin::OutPoint> {
    transaction.input.iter().map(|input| input.previous_output).collect()
}

#[test]
fn a_replaced_payment_never_arrives() {
    let (_dir, node) = opened();
    let txid = node.pay(&[(ALICE, btc("0.5"))]).unwrap();
    let replacement = node.replace(txid).unwrap();
    assert_eq!(node.books().mempool, [replacement]);
    assert_eq!(alices(&node), []);
    node.mine(1).unwrap();
    assert!(matches!(node.replace(txid), Err(ControlError::UnknownTransaction)));
    assert!(matches!(node.replace(replacement), Err(ControlError::UnknownTransaction)));
}

#[test]
fn a_bumped_payment_arrives_under_its_new_id_alone() {
    let (_dir, node) = opened();
    let txid = node.pay(&[(ALICE, btc("0.5"))]).unwrap();
    let bumped = node.respend(txid).unwrap();
    let twice = node.respend(bumped).unwrap();
    node.mine(1).unwrap();
    assert_eq!(alices(&node), [(twice, 1)]);
}

#[test]
fn an_evicted_payment_can_be_broadcast_again() {
    let (_dir, node) = opened();
    let txid = node.pay(&[(ALICE, btc("0.5"))]).unwrap();
    let balance = node.customer_balance();
    node.evict(txid).unwrap();
    assert!(matches!(node.evict(txid), Err(ControlError::UnknownTransaction)));
    assert_eq!(alices(&node), []);
    node.mine(1).unwrap();
    assert_eq!(node.rebroadcast(txid).unwrap(), txid);
    node.mine(1).unwrap();
    assert_eq!(alices(&node), [(txid, 1)]);
    assert!(node.customer_balance() >= balance);
}

#[test]
fn a_reward_can_be_a_deposit() {
    let (_dir, node) = opened();
    node.mine_to(1, ALICE).unwrap();
    let receipts = node.books().receipts.remove(ALICE).unwrap();
    assert!(receipts[0].coinbase);
    assert_eq!(receipts[0].amount, btc("25"));
    node.reorg(1, Orphans::Keep).unwrap();
    assert_eq!(alices(&node), []);
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let (_dir, node) = opened();
    let words = |result: Result<Txid, ControlError>| result.unwrap_err().to_string();
    assert_eq!(words(node.pay::<&str>(&[])), "a payment has between 1 and 2000 outputs");
    let mainnet = "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu";
    let refused = format!("{mainnet}: this address belongs to another network than regtest");
    assert_eq!(words(node.pay(&[(mainnet, btc("1"))])), refused);
    assert_eq!(words(node.pay(&[(ALICE, Amount::MAX)])), "the customer has not enough money");
    assert_eq!(words(node.pay(&[(ALICE, btc("0.00000001"))])), "the mempool refuses it: dust");
    assert_eq!(node.mine(0).unwrap_err().to_string(), "between 1 and 1000 blocks can be mined at once");
    let depth = |depth| node.reorg(depth, Orphans::Keep).unwrap_err().to_string();
    assert_eq!(depth(1), "a reorganisation replaces between 1 and 0 blocks here");
    node.mine(REORG_DEPTH_MAX + 1).unwrap();
    assert_eq!(depth(REORG_DEPTH_MAX + 1), "a reorganisation replaces between 1 and 99 blocks here");
    assert!(node.reorg(REORG_DEPTH_MAX, Orphans::Keep).is_ok());
    assert_eq!(node.books().mempool, []);
}
