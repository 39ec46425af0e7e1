//! The first minutes of a new network: enough blocks for their rewards to be spendable, and the rewards split into
//! thousands of coins, so that hundreds of payments a second need not wait for each other's change.

use bitcoin::{Amount, OutPoint, Sequence, TxOut};

use super::chain::BlockError;
use super::next_block;
use super::state::{Change, State};
use super::wallet::{Wallet, vsize};

/// Blocks mined to the customer before the split; rewards halve after this many.
const REWARD_BLOCKS: u32 = 150;

/// The height of a new network: one more block has the split.
pub const FOUNDING_HEIGHT: u32 = REWARD_BLOCKS + 1;

/// How many transactions split rewards, how many rewards each, into how many coins each: 8 000 coins of a quarter
/// bitcoin. Some rewards stay whole, for large payments.
const SPLITS: usize = 20;
const REWARDS_A_SPLIT: usize = 2;
const COINS_A_SPLIT: u64 = 400;

/// Satoshis per virtual byte of the splitting transactions.
const FEE_RATE: u64 = 2;

/// Founds the network; the changes have been applied, and are to be written down.
pub fn found(state: &mut State, now: u32) -> Result<Vec<Change>, BlockError> {
    let mut changes = Vec::new();
    let mut happen = |state: &mut State, change: Change| {
        changes.push(change.clone());
        state.apply(change)
    };
    for age in (1..=REWARD_BLOCKS).rev() {
        mine(state, now.saturating_sub(age), &mut happen)?;
    }
    let rewards: Vec<_> = state.wallet.confirmed().collect();
    for rewards in rewards.chunks(REWARDS_A_SPLIT).take(SPLITS) {
        let transaction = split(&state.wallet, rewards);
        happen(state, Change::Accepted { transaction, time: now })?;
    }
    mine(state, now, &mut happen)?;
    Ok(changes)
}

fn mine(
    state: &mut State,
    now: u32,
    happen: &mut impl FnMut(&mut State, Change) -> Result<(), BlockError>,
) -> Result<(), BlockError> {
    let block = next_block(state, state.wallet.script().to_owned(), now);
    happen(state, Change::Block(block))
}

fn split(wallet: &Wallet, rewards: &[(Amount, OutPoint)]) -> bitcoin::Transaction {
    let coin = |value| wallet.change(Amount::from_sat(value));
    let outputs = |value| -> Vec<TxOut> { (0..COINS_A_SPLIT).map(|_| coin(value)).collect() };
    let fee = FEE_RATE * vsize(rewards.len() as u64, &outputs(0));
    let value = rewards.iter().map(|(value, _)| value.to_sat()).sum::<u64>().saturating_sub(fee) / COINS_A_SPLIT;
    wallet.spend(rewards, Sequence::ENABLE_RBF_NO_LOCKTIME, outputs(value))
}
