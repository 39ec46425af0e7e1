//! What the network demands of a transaction before a node takes it into its pool. The sentences are the real node's.

use std::collections::HashSet;

use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{Txid, UxId};
use millrace_protocols::wire::skycoin::transaction::{SignatureError, Transaction};

use super::ledger::{Ledger, Standing};
use super::spend::required_fee;

/// The smallest amount an output may carry: a thousandth of a coin.
const DROPLETS_STEP: u64 = 1_000;

/// Why a transaction is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It can never be part of this chain as it is.
    #[error("Transaction violates hard constraint: {0}")]
    Hard(Hard),
    /// A miner would refuse it today.
    #[error("Transaction violates soft constraint: {0}")]
    Soft(Soft),
}

/// Rules no block may break.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Hard {
    /// An input that does not exist, or is spent.
    #[error("unspent output of {0} does not exist")]
    InputGone(UxId),
    /// A blank instead of a signature.
    #[error("Unsigned input in transaction")]
    Unsigned,
    /// A signature that is not the owner's.
    #[error("Signature not valid for output being spent")]
    Signature,
    /// Coins in are not coins out.
    #[error("Transactions may not destroy coins")]
    Coins,
    /// More hours out than in.
    #[error("Insufficient coin hours")]
    Hours,
    /// Another transaction in the pool spends the same output.
    #[error("Cannot spend output twice in the same block, {0} is in the pool")]
    PoolConflict(Txid),
}

/// Rules of conduct.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Soft {
    /// Too few hours burnt.
    #[error("Transaction coinhour fee minimum not met")]
    Fee,
    /// No hours to burn at all.
    #[error("Transaction has zero coinhour fee")]
    NoFee,
    /// An amount with more than three decimals.
    #[error("invalid amount, too many decimal places")]
    Decimals,
}

/// Who signed a transaction's inputs; costly, and best asked before anything is locked.
pub type Signers = Result<Vec<SkyAddress>, SignatureError>;

/// Judges a transaction that is not known yet, as of the newest block and the pool.
pub fn judge(ledger: &Ledger, transaction: &Transaction, signers: &Signers) -> Result<(), Violation> {
    judge_inputs(ledger, transaction, signers).map_err(Violation::Hard)?;
    judge_conduct(ledger, transaction).map_err(Violation::Soft)
}

fn judge_inputs(ledger: &Ledger, transaction: &Transaction, signers: &Signers) -> Result<(), Hard> {
    let mut owners = Vec::with_capacity(transaction.inputs().len());
    let (mut coins, mut hours) = (0u128, 0u128);
    for input in transaction.inputs() {
        let output = ledger.unspent(input).ok_or(Hard::InputGone(*input))?;
        owners.push(output.output.address);
        coins += u128::from(output.output.coins.units());
        hours += u128::from(ledger.hours(output));
    }
    let signers = signers.as_ref().map_err(|error| match error {
        SignatureError::Missing(_) => Hard::Unsigned,
        SignatureError::Invalid(_) => Hard::Signature,
    })?;
    let coins_out: u128 = transaction.outputs().iter().map(|output| u128::from(output.coins.units())).sum();
    let hours_out: u128 = transaction.outputs().iter().map(|output| u128::from(output.hours)).sum();
    if *signers != owners {
        return Err(Hard::Signature);
    }
    if coins != coins_out {
        return Err(Hard::Coins);
    }
    if hours < hours_out {
        return Err(Hard::Hours);
    }
    // The pool keeps one spend of an output; a rival must wait until the first is displaced or gone.
    let rival = transaction.inputs().iter().find_map(|input| ledger.pending_spender(input));
    rival.map_or(Ok(()), |txid| Err(Hard::PoolConflict(*txid)))
}

fn judge_conduct(ledger: &Ledger, transaction: &Transaction) -> Result<(), Soft> {
    let inputs = transaction.inputs().iter().filter_map(|input| ledger.unspent(input));
    let hours_in = inputs.fold(0u64, |sum, output| sum.saturating_add(ledger.hours(output)));
    let hours_out = transaction.outputs().iter().fold(0u64, |sum, output| sum.saturating_add(output.hours));
    if hours_in == 0 {
        return Err(Soft::NoFee);
    }
    if hours_in.saturating_sub(hours_out) < required_fee(hours_in) {
        return Err(Soft::Fee);
    }
    let precise = transaction.outputs().iter().all(|output| output.coins.units() % DROPLETS_STEP == 0);
    if precise { Ok(()) } else { Err(Soft::Decimals) }
}

/// Whether injecting it again is nothing new: it waits or is confirmed already.
pub fn is_settled(ledger: &Ledger, txid: &Txid) -> bool {
    match ledger.known(txid).map(|known| known.standing) {
        Some(Standing::Pending(_) | Standing::Confirmed(_)) => true,
        Some(Standing::Gone) | None => false,
    }
}

/// Whether two lists name the same output.
pub fn has_duplicates(uxids: &[UxId]) -> bool {
    uxids.iter().collect::<HashSet<_>>().len() != uxids.len()
}
