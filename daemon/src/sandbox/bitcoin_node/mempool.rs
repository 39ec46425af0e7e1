//! Transactions waiting to be mined, and the policy by which they are let in.
//!
//! Replacement is simplified: whatever conflicts gives way, with its descendants, to a transaction that pays a higher
//! fee than all of it together. There is no limit to chains of unconfirmed transactions.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bitcoin::absolute::{Height, LockTime, Time};
use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid, Weight};

use super::chain::Chain;
use super::coins::value_out;
use super::scripts;

/// Satoshis per virtual byte below which nothing is relayed.
pub const RELAY_FEE_RATE: u64 = 1;

/// The largest standard transaction.
const TRANSACTION_WEIGHT_MAX: Weight = Weight::from_wu(400_000);

/// The smallest transaction relayed, in bytes without witnesses.
const TRANSACTION_BYTES_MIN: usize = 65;

/// A transaction that waits.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The transaction.
    pub transaction: Arc<Transaction>,
    /// What it leaves to the miner.
    pub fee: Amount,
    /// Its weight.
    pub weight: Weight,
    /// When it came, in seconds since 1970.
    pub time: u32,
    /// The height of the tip when it came.
    pub height: u32,
    /// The order of arrival; parents are always before their children.
    arrival: u64,
}

impl Entry {
    /// Virtual size in bytes.
    pub fn vsize(&self) -> u64 {
        self.weight.to_vbytes_ceil()
    }
}

/// Why a transaction is not let in; the words are Bitcoin Core's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It waits already: not an error for somebody who broadcasts it again.
    #[error("txn-already-in-mempool")]
    AlreadyWaiting,
    /// It is in the chain, with outputs unspent.
    #[error("Transaction outputs already in utxo set")]
    AlreadyMined,
    /// A coin it spends is unknown or spent.
    #[error("bad-txns-inputs-missingorspent")]
    MissingInputs,
    /// It conflicts with waiting ones and does not pay more than they do.
    #[error("insufficient fee, rejecting replacement {txid}, less fees than conflicting txs; {offered} < {needed}")]
    LowReplacementFee {
        /// The newcomer.
        txid: Txid,
        /// What it pays, in BTC.
        offered: String,
        /// What all that conflicts pays, in BTC.
        needed: String,
    },
    /// It spends what would leave the mempool with the conflict.
    #[error("bad-txns-spends-conflicting-tx")]
    SpendsConflict,
    /// It pays less than the relay fee.
    #[error("min relay fee not met, {offered} < {needed}")]
    LowFee {
        /// What it pays, in satoshis.
        offered: u64,
        /// The least for its size, in satoshis.
        needed: u64,
    },
    /// Anything else that is against consensus or policy.
    #[error("{0}")]
    Rejected(&'static str),
}

/// What a transaction would do to the mempool.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it leaves to the miner.
    pub fee: Amount,
    /// What it replaces, descendants included.
    pub replaces: BTreeSet<Txid>,
}

/// Whether the signatures are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signatures {
    /// A newcomer from outside.
    Judge,
    /// Judged before: replay, or back from a block.
    Trust,
}

/// The waiting transactions.
#[derive(Debug, Default)]
pub struct Mempool {
    entries: HashMap<Txid, Entry>,
    order: BTreeMap<u64, Txid>,
    spent: HashMap<OutPoint, Txid>,
    arrivals: u64,
}

impl Mempool {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One that waits.
    pub fn get(&self, txid: &Txid) -> Option<&Entry> {
        self.entries.get(txid)
    }

    /// All in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (&Txid, &Entry)> {
        self.order.values().map(|txid| (txid, &self.entries[txid]))
    }

    /// Who spends this output.
    pub fn spender(&self, outpoint: &OutPoint) -> Option<Txid> {
        self.spent.get(outpoint).copied()
    }

    /// An output of a waiting transaction.
    pub fn output(&self, outpoint: &OutPoint) -> Option<&TxOut> {
        self.entries.get(&outpoint.txid)?.transaction.output.get(outpoint.vout as usize)
    }

    /// The waiting transactions this one spends from.
    pub fn parents(&self, txid: &Txid) -> BTreeSet<Txid> {
        let inputs = self.entries.get(txid).map_or(&[][..], |entry| &entry.transaction.input);
        inputs.iter().map(|input| input.previous_output.txid).filter(|txid| self.entries.contains_key(txid)).collect()
    }

    /// The waiting transactions that spend from this one.
    pub fn children(&self, txid: &Txid) -> BTreeSet<Txid> {
        let outputs = self.entries.get(txid).map_or(0, |entry| entry.transaction.output.len());
        (0u32..).take(outputs).filter_map(|vout| self.spender(&OutPoint::new(*txid, vout))).collect()
    }

    /// This one and everything that spends from it, however far.
    pub fn with_descendants(&self, txid: &Txid) -> BTreeSet<Txid> {
        self.closure(txid, Self::children)
    }

    /// This one and everything it spends from, however far.
    pub fn with_ancestors(&self, txid: &Txid) -> BTreeSet<Txid> {
        self.closure(txid, Self::parents)
    }

    fn closure(&self, txid: &Txid, next: impl Fn(&Self, &Txid) -> BTreeSet<Txid>) -> BTreeSet<Txid> {
        let mut found = BTreeSet::new();
        let mut open = vec![*txid];
        while let Some(txid) = open.pop() {
            if self.entries.contains_key(&txid) && found.insert(txid) {
                open.extend(next(self, &txid));
            }
        }
        found
    }

    /// Whether a transaction would be let in, and with what consequence.
    pub fn check(
        &self,
        transaction: &Transaction,
        txid: Txid,
        chain: &Chain,
        signatures: Signatures,
    ) -> Result<Verdict, Refusal> {
        check_form(transaction, chain)?;
        if self.entries.contains_key(&txid) {
            return Err(Refusal::AlreadyWaiting);
        }
        if (0u32..).take(transaction.output.len()).any(|vout| chain.coin(&OutPoint::new(txid, vout)).is_some()) {
            return Err(Refusal::AlreadyMined);
        }
        let coins = self.coins_of(transaction, chain)?;
        let taken = coins.iter().fold(0u64, |sum, coin| sum.saturating_add(coin.value.to_sat()));
        let fee = taken.checked_sub(value_out(transaction)).ok_or(Refusal::Rejected("bad-txns-in-belowout"))?;
        let needed = transaction.weight().to_vbytes_ceil() * RELAY_FEE_RATE;
        if fee < needed {
            return Err(Refusal::LowFee { offered: fee, needed });
        }
        let fee = Amount::from_sat(fee);
        let replaces = self.replaced(transaction, txid, fee)?;
        if signatures == Signatures::Judge {
            scripts::verify(transaction, &coins).map_err(|error| Refusal::Rejected(error.words()))?;
        }
        Ok(Verdict { fee, replaces })
    }

    /// The outputs a transaction spends: of the chain, or of what waits.
    fn coins_of(&self, transaction: &Transaction, chain: &Chain) -> Result<Vec<TxOut>, Refusal> {
        let mut coins = Vec::with_capacity(transaction.input.len());
        for input in &transaction.input {
            let outpoint = &input.previous_output;
            match (chain.coin(outpoint), self.output(outpoint)) {
                (Some(coin), _) if !coin.is_mature_at(chain.height() + 1) => {
                    return Err(Refusal::Rejected("bad-txns-premature-spend-of-coinbase"));
                }
                (Some(coin), _) => coins.push(coin.output.clone()),
                (None, Some(output)) => coins.push(output.clone()),
                (None, None) => return Err(Refusal::MissingInputs),
            }
        }
        Ok(coins)
    }

    fn replaced(&self, transaction: &Transaction, txid: Txid, fee: Amount) -> Result<BTreeSet<Txid>, Refusal> {
        let inputs = || transaction.input.iter().map(|input| input.previous_output);
        let conflicts: BTreeSet<Txid> = inputs().filter_map(|outpoint| self.spender(&outpoint)).collect();
        let replaces: BTreeSet<Txid> = conflicts.iter().flat_map(|txid| self.with_descendants(txid)).collect();
        if inputs().any(|outpoint| replaces.contains(&outpoint.txid)) {
            return Err(Refusal::SpendsConflict);
        }
        let needed = self.fees(&replaces);
        if !replaces.is_empty() && fee <= needed {
            return Err(Refusal::LowReplacementFee { txid, offered: in_btc(fee), needed: in_btc(needed) });
        }
        Ok(replaces)
    }

    /// What these waiting transactions pay together.
    pub fn fees<'a>(&self, txids: impl IntoIterator<Item = &'a Txid>) -> Amount {
        txids.into_iter().filter_map(|txid| self.entries.get(txid)).map(|entry| entry.fee).sum()
    }

    /// Lets a checked transaction in; returns what it replaced.
    pub fn insert(
        &mut self,
        transaction: Arc<Transaction>,
        txid: Txid,
        verdict: Verdict,
        time: u32,
        height: u32,
    ) -> Vec<Arc<Transaction>> {
        let replaced = verdict.replaces.iter().filter_map(|txid| self.remove(txid)).collect();
        self.spent.extend(transaction.input.iter().map(|input| (input.previous_output, txid)));
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.order.insert(arrival, txid);
        let weight = transaction.weight();
        self.entries.insert(txid, Entry { transaction, fee: verdict.fee, weight, time, height, arrival });
        replaced
    }

    /// Takes one out alone: it was mined, or its descendants go with it.
    pub fn remove(&mut self, txid: &Txid) -> Option<Arc<Transaction>> {
        let entry = self.entries.remove(txid)?;
        self.order.remove(&entry.arrival);
        for input in &entry.transaction.input {
            self.spent.remove(&input.previous_output);
        }
        Some(entry.transaction)
    }

    /// Takes out one and everything that spends from it.
    pub fn remove_with_descendants(&mut self, txid: &Txid) -> Vec<Arc<Transaction>> {
        self.with_descendants(txid).iter().filter_map(|txid| self.remove(txid)).collect()
    }

    /// Everything that waits, in order of arrival; nothing waits any more.
    pub fn drain(&mut self) -> Vec<(Txid, Entry)> {
        let mut all: Vec<(Txid, Entry)> = std::mem::take(self).entries.into_iter().collect();
        all.sort_unstable_by_key(|(_, entry)| entry.arrival);
        all
    }

    /// What fits into a block, parents before children, and what it pays.
    pub fn for_block(&self, weight_max: Weight) -> (Vec<Transaction>, Amount) {
        let (mut weight, mut fees) = (Weight::ZERO, Amount::ZERO);
        let mut transactions = Vec::new();
        for (_, entry) in self.iter() {
            weight += entry.weight;
            if weight > weight_max {
                break;
            }
            fees += entry.fee;
            transactions.push((*entry.transaction).clone());
        }
        (transactions, fees)
    }
}

/// BTC with eight decimals.
pub fn in_btc(amount: Amount) -> String {
    let sats = amount.to_sat();
    format!("{}.{:08}", sats / Amount::ONE_BTC.to_sat(), sats % Amount::ONE_BTC.to_sat())
}

/// What can be said of a transaction without its coins.
fn check_form(transaction: &Transaction, chain: &Chain) -> Result<(), Refusal> {
    let rejected = |words| Err(Refusal::Rejected(words));
    if transaction.input.is_empty() {
        return rejected("bad-txns-vin-empty");
    }
    if transaction.output.is_empty() {
        return rejected("bad-txns-vout-empty");
    }
    if transaction.is_coinbase() {
        return rejected("coinbase");
    }
    if value_out(transaction) > Amount::MAX_MONEY.to_sat() {
        return rejected("bad-txns-txouttotal-toolarge");
    }
    let distinct: HashSet<_> = transaction.input.iter().map(|input| input.previous_output).collect();
    if distinct.len() != transaction.input.len() {
        return rejected("bad-txns-inputs-duplicate");
    }
    if !transaction.version.is_standard() {
        return rejected("version");
    }
    if transaction.weight() > TRANSACTION_WEIGHT_MAX {
        return rejected("tx-size");
    }
    if transaction.base_size() < TRANSACTION_BYTES_MIN {
        return rejected("tx-size-small");
    }
    if transaction.output.iter().any(|output| output.value < output.script_pubkey.minimal_non_dust()) {
        return rejected("dust");
    }
    if is_final(transaction, chain) { Ok(()) } else { rejected("non-final") }
}

fn is_final(transaction: &Transaction, chain: &Chain) -> bool {
    let median = chain.median_time(&chain.tip());
    match (transaction.lock_time, Height::from_consensus(chain.height()), Time::from_consensus(median)) {
        (LockTime::ZERO, _, _) => true,
        (_, Ok(height), Ok(time)) => transaction.is_absolute_timelock_satisfied(height, time),
        _ => !transaction.is_lock_time_enabled(),
    }
}

#[cfg(test)]
mod tests;
