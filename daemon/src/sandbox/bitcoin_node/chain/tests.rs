//! Branches, coins, and blocks that are refused.

use bitcoin::hashes::Hash;
use bitcoin::transaction::Version;
use bitcoin::{Amount, ScriptBuf, TxOut};

use super::super::coins::subsidy;
use super::super::miner::{Template, mine};
use super::*;

fn anyone() -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::all_zeros())
}

fn template(chain: &Chain, previous: BlockHash) -> Template {
    Template {
        previous,
        height: chain.known(&previous).unwrap().height + 1,
        recent_times: chain.recent_times(&previous),
        now: 0,
        reward_to: anyone(),
        fees: Amount::ZERO,
        extra_nonce: chain.known_count() as u64,
        transactions: vec![],
    }
}

/// One more empty block on any branch.
fn grow(chain: &mut Chain, previous: BlockHash) -> BlockHash {
    let block = mine(template(chain, previous));
    let hash = block.block_hash();
    chain.insert(block).unwrap();
    hash
}

fn grown(blocks: u32) -> Chain {
    let mut chain = Chain::new();
    for _ in 0..blocks {
        let tip = chain.tip();
        grow(&mut chain, tip);
    }
    chain
}

/// Spends the reward of a height, leaving nothing to the miner but `fee`.
fn spending(chain: &Chain, height: u32, fee: u64) -> Transaction {
    let known = chain.known(&chain.at(height).unwrap()).unwrap();
    let value = known.block.txdata[0].output[0].value - Amount::from_sat(fee);
    Transaction {
        version: Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![bitcoin::TxIn { previous_output: OutPoint::new(known.txids[0], 0), ..Default::default() }],
        output: vec![TxOut { value, script_pubkey: anyone() }],
    }
}

fn coins(chain: &Chain) -> HashMap<OutPoint, Coin> {
    chain.coins().map(|(outpoint, coin)| (*outpoint, coin.clone())).collect()
}

/// The same block with another header, mined again.
fn remined(mut block: Block, change: impl FnOnce(&mut Block)) -> Block {
    change(&mut block);
    while block.header.validate_pow(Target::MAX_ATTAINABLE_REGTEST).is_err() {
        block.header.nonce += 1;
    }
    block
}

fn rooted(block: Block, change: impl FnOnce(&mut Block)) -> Block {
    remined(block, |block| {
        change(block);
        block.header.merkle_root = block.compute_merkle_root().unwrap();
    })
}

#[test]
fn rewards_halve_every_150_blocks_and_end() {
    assert_eq!(subsidy(1), Amount::from_int_btc(50));
    assert_eq!(subsidy(149), Amount::from_sat(5_000_000_000));
    assert_eq!(subsidy(150), Amount::from_sat(2_500_000_000));
    assert_eq!(subsidy(u32::MAX), Amount::ZERO);
}

#[test]
fn a_longer_branch_takes_over_and_the_coins_follow() {
    let mut chain = grown(102);
    let fork = chain.at(100).unwrap();
    let before = coins(&chain);
    let old = [chain.at(101).unwrap(), chain.at(102).unwrap()];

    let first = grow(&mut chain, fork);
    let second = grow(&mut chain, first);
    assert_eq!(chain.tip(), old[1], "of two equal branches the first one stands");
    assert_eq!(coins(&chain), before);

    let payment = spending(&chain, 1, 10);
    let paid = OutPoint::new(payment.compute_txid(), 0);
    let third = mine(Template { transactions: vec![payment.clone()], ..template(&chain, second) });
    let third_hash = third.block_hash();
    let switch = chain.insert(third).unwrap();
    assert_eq!(switch, Switch { disconnected: old.to_vec(), connected: vec![first, second, third_hash] });
    assert_eq!((chain.height(), chain.tip()), (103, third_hash));
    assert!(chain.coin(&paid).is_some() && chain.coin(&payment.input[0].previous_output).is_none());
    assert!(!chain.is_best(&old[0]) && chain.known(&old[0]).is_some());
}

#[test]
fn an_invalidated_block_and_what_builds_on_it_leave_until_they_are_reconsidered() {
    let mut chain = grown(4);
    let (third, fourth) = (chain.at(3).unwrap(), chain.at(4).unwrap());
    let before = coins(&chain);
    let switch = chain.invalidate(&third).unwrap();
    assert_eq!(switch, Switch { disconnected: vec![third, fourth], connected: vec![] });
    assert_eq!(chain.height(), 2);
    let on_invalid = mine(template(&chain, fourth));
    assert_eq!(chain.insert(on_invalid), Err(BlockError::InvalidParent));

    let switch = chain.reconsider(&fourth).unwrap();
    assert_eq!(switch, Switch { disconnected: vec![], connected: vec![third, fourth] });
    assert_eq!(coins(&chain), before);
    assert_eq!(chain.invalidate(&chain.at(0).unwrap()), None);
    assert_eq!(chain.reconsider(&BlockHash::all_zeros()), None);
}

#[test]
fn reconsidering_forgives_descendants_but_not_other_branches() {
    let mut chain = grown(5);
    let (second, fourth) = (chain.at(2).unwrap(), chain.at(4).unwrap());
    let fork = chain.at(1).unwrap();
    let other = grow(&mut chain, fork);
    chain.invalidate(&other);
    chain.invalidate(&fourth);
    chain.invalidate(&second);
    assert_eq!(chain.height(), 1);
    chain.reconsider(&second);
    assert_eq!(chain.height(), 5);
    let on_other = mine(template(&chain, other));
    assert_eq!(chain.insert(on_other), Err(BlockError::InvalidParent));
}

#[test]
fn a_branch_with_an_impossible_block_is_left_again() {
    let mut chain = grown(3);
    let (tip, before) = (chain.tip(), coins(&chain));
    let fork = chain.at(1).unwrap();
    // Spends a reward long before its time, which shows only when the branch is to be connected.
    let spend = spending(&chain, 1, 0);
    let bad = mine(Template { transactions: vec![spend], ..template(&chain, fork) });
    let bad_hash = bad.block_hash();
    assert_eq!(chain.insert(bad), Ok(Switch::default()));
    let above = grow(&mut chain, bad_hash);
    let on_top = mine(template(&chain, above));
    assert_eq!(chain.insert(on_top), Ok(Switch::default()));
    assert_eq!(chain.tip(), tip);
    assert_eq!(coins(&chain), before);
}

#[test]
fn blocks_that_are_wrong_by_themselves_are_refused() {
    let chain = grown(3);
    let block = mine(template(&chain, chain.tip()));
    let refused = |block: &Block, error| assert_eq!(chain.check(block), Err(error));

    refused(&chain.known(&chain.tip()).unwrap().block, BlockError::Duplicate);
    refused(
        &remined(block.clone(), |block| block.header.prev_blockhash = BlockHash::all_zeros()),
        BlockError::UnknownParent,
    );
    refused(&remined(block.clone(), |block| block.header.time = 1), BlockError::TooOld);
    let mut other_bits = block.clone();
    other_bits.header.bits = bitcoin::CompactTarget::from_consensus(0x207f_fffe);
    refused(&other_bits, BlockError::WrongTarget);
    let mut lazy = block.clone();
    while lazy.header.validate_pow(Target::MAX_ATTAINABLE_REGTEST).is_ok() {
        lazy.header.nonce += 1;
    }
    refused(&lazy, BlockError::NoWork);

    let other_root = bitcoin::TxMerkleNode::all_zeros();
    refused(&remined(block.clone(), |block| block.header.merkle_root = other_root), BlockError::WrongMerkleRoot);
    refused(&remined(block.clone(), |block| block.txdata.clear()), BlockError::NoCoinbase);
    refused(&rooted(block.clone(), |block| block.txdata.push(block.txdata[0].clone())), BlockError::ManyCoinbases);
    let no_height = ScriptBuf::from_bytes(vec![1, 2, 3]);
    refused(&rooted(block.clone(), |block| block.txdata[0].input[0].script_sig = no_height), BlockError::WrongHeight);
    let commitment = ScriptBuf::from_hex(&format!("6a24aa21a9ed{}", "00".repeat(32))).unwrap();
    let miscommitted = rooted(block.clone(), |block| block.txdata[0].output[1].script_pubkey = commitment);
    refused(&miscommitted, BlockError::WrongWitnessCommitment);
    assert!(chain.check(&block).is_ok());
}

#[test]
fn blocks_that_mistreat_coins_are_refused_and_leave_no_trace() {
    let mut chain = grown(101);
    let before = coins(&chain);
    let good = spending(&chain, 1, 7);
    let mut bad: Vec<(Transaction, SpendError)> = vec![(spending(&chain, 90, 0), SpendError::Immature)];
    let mut overspent = good.clone();
    overspent.output[0].value += Amount::from_sat(8);
    bad.push((overspent, SpendError::Overspent));
    let mut missing = good.clone();
    missing.input[0].previous_output.vout = 9;
    bad.push((missing, SpendError::Missing));
    for (transaction, error) in bad {
        let tip = chain.tip();
        let transactions = vec![spending(&chain, 2, 0), transaction];
        let block = mine(Template { transactions, ..template(&chain, tip) });
        assert_eq!(chain.insert(block.clone()), Err(error.into()));
        assert_eq!(chain.insert(block), Err(BlockError::DuplicateInvalid));
        assert_eq!((chain.tip(), coins(&chain)), (tip, before.clone()));
    }
    for (fees, outcome) in [(8, Some(SpendError::TooMuchReward.into())), (7, None)] {
        let tip = chain.tip();
        let fees = Amount::from_sat(fees);
        let block = mine(Template { fees, transactions: vec![good.clone()], ..template(&chain, tip) });
        assert_eq!(chain.insert(block).err(), outcome);
    }
}
