//! What a payout spends, and what an answer about it means.

use bitcoin::secp256k1::{Secp256k1, SecretKey};
use millrace_model::money::{Amount, Sky};
use proptest::prelude::*;

use super::*;
use crate::wire::skycoin::address::SkyAddress;
use crate::wire::skycoin::hash::{InnerHash, Txid, UxId};
use crate::wire::skycoin::rest::{SeenInput, SeenOutput};
use crate::wire::skycoin::transaction::Output;

fn key(number: u8) -> SecretKey {
    SecretKey::from_slice(&[number; 32]).unwrap()
}

fn address(number: u8) -> SkyAddress {
    SkyAddress::from_public_key(&key(number).public_key(&Secp256k1::new()))
}

fn sky(text: &str) -> Amount<Sky> {
    text.parse().unwrap()
}

fn free(name: u8, coins: &str, hours: u64) -> FreeOutput {
    FreeOutput { uxid: UxId([name; 32]), address: address(1), coins: sky(coins), hours }
}

fn taken(outputs: &[FreeOutput], owed: &str) -> Result<Vec<u8>, Shortage> {
    let mut pool: Pool = outputs.iter().copied().collect();
    pool.take(sky(owed)).map(|taken| taken.iter().map(|output| output.uxid.0[0]).collect())
}

#[test]
fn the_smallest_output_that_suffices_is_taken_alone() {
    let outputs = [free(1, "5", 9), free(2, "100", 9), free(3, "20", 9)];
    assert_eq!(taken(&outputs, "6"), Ok(vec![3]));
    assert_eq!(taken(&outputs, "5"), Ok(vec![1]));
}

#[test]
fn without_one_that_suffices_the_fewest_are_taken() {
    let outputs = [free(1, "5", 9), free(2, "3", 9), free(3, "4", 9), free(4, "1", 9)];
    assert_eq!(taken(&outputs, "8"), Ok(vec![1, 2]));
    assert_eq!(taken(&outputs, "13"), Ok(vec![1, 3, 2, 4]));
}

#[test]
fn an_output_without_hours_is_not_taken_alone() {
    assert_eq!(taken(&[free(1, "5", 0), free(2, "9", 3)], "4"), Ok(vec![2]));
    assert_eq!(taken(&[free(1, "5", 0)], "4"), Err(Shortage::WaitingForHours));
}

#[test]
fn an_output_with_hours_pays_the_hours_of_one_without() {
    assert_eq!(taken(&[free(1, "5", 0), free(2, "1", 3)], "4"), Ok(vec![1, 2]));
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(taken(&[], "4"), Err(Shortage::NoneFree));
    let low = Shortage::BalanceTooLow { owed: sky("4"), has: sky("3") };
    assert_eq!(taken(&[free(1, "3", 1)], "4"), Err(low));
    let dust: Vec<_> = (0..40).map(|name| free(name, "0.1", 1)).collect();
    assert_eq!(taken(&dust, "3.9"), Err(Shortage::TooManyInputs { owed: sky("3.9") }));
}

proptest! {
    #[test]
    fn what_is_taken_suffices_is_small_and_is_free_no_more(
        outputs in proptest::collection::vec((1u64..50, 0u64..3), 0..60),
        owed in prop::collection::vec(1u64..200, 1..8),
    ) {
        let named = outputs.iter().enumerate().map(|(name, (coins, hours))| FreeOutput {
            uxid: UxId([name as u8; 32]),
            address: address(1),
            coins: Amount::from_units(*coins).unwrap(),
            hours: *hours,
        });
        let mut pool: Pool = named.collect();
        let mut seen = HashSet::new();
        for units in owed {
            let (count, before) = (pool.len(), pool.coins().units());
            match pool.take(Amount::from_units(units).unwrap()) {
                Ok(taken) => {
                    let sum: u64 = taken.iter().map(|output| output.coins.units()).sum();
                    prop_assert!(sum >= units && taken.len() <= INPUTS_MAX);
                    prop_assert!(taken.iter().any(|output| output.hours > 0));
                    prop_assert!(taken.iter().all(|output| seen.insert(output.uxid)));
                    prop_assert_eq!((pool.len(), pool.coins().units()), (count - taken.len(), before - sum));
                }
                Err(_) => prop_assert_eq!((pool.len(), pool.coins().units()), (count, before)),
            }
        }
    }
}

/// Spends outputs 1 and 2; pays 7 to address 9.
fn signed() -> SignedPayout {
    let outputs = vec![
        Output { address: address(9), coins: sky("7"), hours: 3 },
        Output { address: address(1), coins: sky("3"), hours: 3 },
    ];
    let mut transaction = Transaction::unsigned(vec![UxId([1; 32]), UxId([2; 32])], outputs).unwrap();
    (0..2).for_each(|input| transaction.sign(input, &key(1)));
    SignedPayout {
        txid: Hash32(transaction.txid().0),
        inner_hash: Hash32(transaction.inner_hash().0),
        inputs: vec![Hash32([1; 32]), Hash32([2; 32])],
        bytes: transaction.to_hex(),
    }
}

fn payout() -> SignedTransaction {
    SignedTransaction::read(&signed(), 3).unwrap()
}

fn seen(txid: u8, inputs: &[u8], paid: (u8, &str), standing: Standing) -> Seen {
    let output = SeenOutput { uxid: UxId([200; 32]), address: address(paid.0), coins: sky(paid.1), hours: 1 };
    Seen {
        standing,
        txid: Txid([txid; 32]),
        inner_hash: InnerHash([txid; 32]),
        inputs: inputs.iter().map(|name| SeenInput { uxid: UxId([*name; 32]) }).collect(),
        outputs: vec![output],
    }
}

fn deep(depth: u64) -> Standing {
    Standing::Confirmed { depth, block_seq: 50 }
}

fn history(seen: &[Seen]) -> Step {
    payout().next(Phase::Signed, Answer::History(seen))
}

#[test]
fn signed_bytes_go_in_until_a_node_takes_them() {
    assert_eq!(by_name(Phase::Signed, None, 1), Step::Inject);
    assert_eq!(payout().next(Phase::Signed, Answer::Taken), Step::AwaitConfirmation);
}

#[test]
fn a_payout_is_final_at_the_configured_depth_and_not_before() {
    let at = |standing| by_name(Phase::Sent, Some(&seen(5, &[1], (9, "7"), standing)), 3);
    assert_eq!(at(Standing::Unconfirmed), Step::AwaitConfirmation);
    assert_eq!(at(deep(2)), Step::AwaitConfirmation);
    assert_eq!(at(deep(3)), Step::Final { block_seq: 50, confirmations: 3 });
    assert_eq!(
        by_name(Phase::Sent, Some(&seen(5, &[1], (9, "7"), deep(1))), 0),
        Step::Final { block_seq: 50, confirmations: 1 }
    );
}

/// P4: after a while, not at once.
#[test]
fn a_payout_the_node_forgot_goes_in_again_but_not_at_once() {
    assert_eq!(by_name(Phase::Sent, None, 3), Step::AwaitConfirmation);
    assert_eq!(by_name(Phase::Overdue, None, 3), Step::Reinject);
}

#[test]
fn a_payout_that_left_its_block_and_the_pool_goes_in_again_at_once() {
    assert_eq!(by_name(Phase::Mined, None, 3), Step::Reinject);
}

/// P11: a refusal is a reason to look.
#[test]
fn a_refusal_is_a_reason_to_look_and_nothing_more() {
    assert_eq!(payout().next(Phase::Signed, Answer::NotTaken), Step::LookUp);
    assert_eq!(history(&[]), Step::Reinject);
    assert_eq!(history(&[seen(7, &[3], (9, "7"), deep(9))]), Step::Reinject);
}

/// P11: nothing less does.
#[test]
fn only_a_final_transaction_of_somebody_else_makes_the_bytes_void() {
    let other = |standing| seen(7, &[2, 3], (8, "7"), standing);
    assert_eq!(history(&[other(Standing::Unconfirmed)]), Step::Contested { txid: Hash32([7; 32]) });
    assert_eq!(history(&[other(deep(2))]), Step::Contested { txid: Hash32([7; 32]) });
    assert_eq!(history(&[other(deep(3))]), Step::Conflict { conflicting_txid: Hash32([7; 32]) });
}

/// P3: the same payment under another name is the payout.
#[test]
fn the_same_payment_under_another_name_is_the_payout() {
    let mut renamed = seen(7, &[1, 2], (4, "1"), deep(3));
    renamed.inner_hash = InnerHash(signed().inner_hash.0);
    assert_eq!(history(&[renamed]), Step::Final { block_seq: 50, confirmations: 3 });
    let same_payment = seen(7, &[2, 1], (9, "7"), deep(1));
    assert_eq!(history(&[same_payment]), Step::AwaitConfirmation);
    let another_payment_to_the_same = seen(7, &[1], (9, "7"), deep(3));
    assert_eq!(history(&[another_payment_to_the_same]), Step::Conflict { conflicting_txid: Hash32([7; 32]) });
}

#[test]
fn the_payout_in_a_block_outweighs_a_conflict_in_the_pool() {
    let mut ours = seen(6, &[1, 2], (9, "7"), deep(1));
    ours.inner_hash = InnerHash(signed().inner_hash.0);
    let other = seen(7, &[1], (8, "7"), Standing::Unconfirmed);
    assert_eq!(history(&[other, ours]), Step::AwaitConfirmation);
}

#[test]
fn bytes_that_are_not_the_noted_transaction_are_refused() {
    let other = SignedPayout { txid: Hash32([9; 32]), ..signed() };
    assert_eq!(SignedTransaction::read(&other, 1), Err(BytesError::Other));
    let torn = SignedPayout { bytes: "00".to_owned(), ..signed() };
    assert!(matches!(SignedTransaction::read(&torn, 1), Err(BytesError::Transaction(_))));
}
