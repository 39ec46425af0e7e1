//! Paying out, without input or output: which outputs a payout spends, and what follows from what the node says of it.
//!
//! Once signed, a payout is its bytes. Whatever becomes unknown is answered by handing in the same bytes again; other
//! bytes are thought of only when a final transaction of somebody else has spent one of the inputs.

mod pool;

use std::collections::HashSet;

use millrace_model::deposit::SignedPayout;
use millrace_model::ids::Hash32;

use crate::wire::skycoin::rest::{Seen, Standing};
use crate::wire::skycoin::transaction::{Transaction, TransactionError};

pub use pool::{FreeOutput, INPUTS_MAX, Pool, Shortage};

/// Signed bytes from the log, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    transaction: Transaction,
    /// How deep it has to be, its own block included; at least 1.
    confirmations: u64,
}

/// Why bytes in the log are not the payout they are said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BytesError {
    /// They are no transaction.
    #[error("the signed bytes are no transaction: {0}")]
    Transaction(#[from] TransactionError),
    /// They are another transaction than the one noted beside them.
    #[error("the signed bytes are another transaction than the one noted")]
    Other,
}

/// What the desk knows of a payout before it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Signed; no node is known to have taken it.
    Signed,
    /// Taken by a node, and not long ago.
    Sent,
    /// Taken by a node, and unknown to it for longer than the desk waits.
    Overdue,
    /// Was seen in a block.
    Mined,
}

/// What the node answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// It took the bytes.
    Taken,
    /// It understood and does not take the bytes, now or ever.
    NotTaken,
    /// What it knows under the payout's name.
    Transaction(Option<&'a Seen>),
    /// Every transaction that touches the wallet.
    History(&'a [Seen]),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Hand the bytes to the node.
    Inject,
    /// Ask again later.
    AwaitConfirmation,
    /// The payout is final.
    Final {
        /// Its block.
        block_seq: u64,
        /// How deep it is, its own block included.
        confirmations: u64,
    },
    /// Hand the same bytes in again.
    Reinject,
    /// Ask the node for everything that touches the wallet, and look for the inputs there.
    LookUp,
    /// Another transaction spends an input and is not final: wait, and tell a person.
    Contested {
        /// That transaction.
        txid: Hash32,
    },
    /// Another transaction spent an input and is final: these bytes can never confirm.
    Conflict {
        /// That transaction.
        conflicting_txid: Hash32,
    },
}

/// What follows from the node's knowledge of the payout's own name: enough while nothing is wrong.
pub fn by_name(phase: Phase, seen: Option<&Seen>, confirmations: u64) -> Step {
    match (phase, seen) {
        (_, Some(seen)) => by_depth(seen.standing, confirmations),
        (Phase::Signed, None) => Step::Inject,
        (Phase::Sent, None) => Step::AwaitConfirmation,
        (Phase::Overdue | Phase::Mined, None) => Step::Reinject,
    }
}

fn by_depth(standing: Standing, confirmations: u64) -> Step {
    match standing {
        Standing::Confirmed { depth, block_seq } if depth >= confirmations.max(1) => {
            Step::Final { block_seq, confirmations: depth }
        }
        Standing::Confirmed { .. } | Standing::Unconfirmed => Step::AwaitConfirmation,
    }
}

impl SignedTransaction {
    /// Reads signed bytes back and holds them against what is noted beside them.
    pub fn read(signed: &SignedPayout, confirmations: u64) -> Result<Self, BytesError> {
        let transaction = Transaction::from_hex(&signed.bytes)?;
        let same = transaction.txid().0 == signed.txid.0 && transaction.inner_hash().0 == signed.inner_hash.0;
        if same { Ok(Self { transaction, confirmations }) } else { Err(BytesError::Other) }
    }

    /// The bytes to hand in.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// What follows from an answer of the node.
    pub fn next(&self, phase: Phase, answer: Answer<'_>) -> Step {
        match answer {
            Answer::Taken => Step::AwaitConfirmation,
            Answer::NotTaken => Step::LookUp,
            Answer::Transaction(seen) => by_name(phase, seen, self.confirmations),
            Answer::History(history) => self.by_inputs(history),
        }
    }

    /// Judged by what spends the inputs, never by the name alone: signatures can be changed, what is paid cannot.
    fn by_inputs(&self, history: &[Seen]) -> Step {
        let spenders = || history.iter().filter(|seen| self.shares_an_input(seen));
        if let Some(mined) = spenders().filter(|seen| self.is_ours(seen)).find(|seen| is_mined(seen)) {
            return by_depth(mined.standing, self.confirmations);
        }
        let others = || spenders().filter(|seen| !self.is_ours(seen));
        let is_final = |seen: &&Seen| matches!(by_depth(seen.standing, self.confirmations), Step::Final { .. });
        if let Some(other) = others().find(is_final) {
            return Step::Conflict { conflicting_txid: Hash32(other.txid.0) };
        }
        if let Some(other) = others().find(|seen| is_mined(seen)) {
            return Step::Contested { txid: Hash32(other.txid.0) };
        }
        if spenders().any(|seen| self.is_ours(seen)) {
            return Step::AwaitConfirmation;
        }
        others().next().map_or(Step::Reinject, |other| Step::Contested { txid: Hash32(other.txid.0) })
    }

    fn shares_an_input(&self, seen: &Seen) -> bool {
        seen.inputs.iter().any(|input| self.transaction.inputs().contains(&input.uxid))
    }

    /// The same inputs, all of them and no others, pay the same coins to the same address.
    fn is_ours(&self, seen: &Seen) -> bool {
        if seen.inner_hash == self.transaction.inner_hash() {
            return true;
        }
        let spent: HashSet<_> = seen.inputs.iter().map(|input| input.uxid).collect();
        let paid = self.transaction.outputs()[0];
        spent == self.transaction.inputs().iter().copied().collect()
            && seen.outputs.iter().any(|output| (output.address, output.coins) == (paid.address, paid.coins))
    }
}

fn is_mined(seen: &Seen) -> bool {
    matches!(seen.standing, Standing::Confirmed { .. })
}

#[cfg(test)]
mod tests;
