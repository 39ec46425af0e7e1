//! Deposits whose transaction is in no block: who waits, what they spend, and who spends the same.

use std::collections::{BTreeSet, HashMap, HashSet};

use bitcoin::Transaction;
use millrace_model::chain::SpentCoin;
use millrace_model::deposit::Detected;
use millrace_model::ids::{DepositId, Hash32, Outpoint};
use millrace_protocols::chain_watch::txid32;

/// How many rounds in a row a transaction has to be missing from the mempool before it counts as gone. A node that has
/// just restarted or reorganised fills its mempool a moment later.
const MISSING_ROUNDS: u32 = 2;

/// Transactions in no block that pay us.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    by_txid: HashMap<Hash32, Sighting>,
    /// Which of them spends a coin.
    spenders: HashMap<SpentCoin, Hash32>,
}

#[derive(Debug, Default)]
struct Sighting {
    deposits: BTreeSet<DepositId>,
    coins: Vec<SpentCoin>,
    missing_rounds: u32,
    replaced_by: Option<Hash32>,
}

/// A deposit whose transaction is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) deposit: DepositId,
    pub(super) replaced_by: Option<Hash32>,
}

impl Sightings {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.by_txid.is_empty()
    }

    /// This deposit's transaction is in no block.
    pub(super) fn insert(&mut self, receipt: &Detected) {
        let txid = receipt.outpoint.txid;
        let sighting = self.by_txid.entry(txid).or_default();
        if sighting.deposits.is_empty() {
            sighting.coins.clone_from(&receipt.spends);
            self.spenders.extend(receipt.spends.iter().map(|coin| (*coin, txid)));
        }
        sighting.deposits.insert(receipt.id);
    }

    /// It is in a block, or gone.
    pub(super) fn remove(&mut self, receipt: &Detected) {
        let txid = receipt.outpoint.txid;
        let Some(sighting) = self.by_txid.get_mut(&txid) else { return };
        sighting.deposits.remove(&receipt.id);
        if sighting.deposits.is_empty() {
            for coin in &sighting.coins {
                if self.spenders.get(coin) == Some(&txid) {
                    self.spenders.remove(coin);
                }
            }
            self.by_txid.remove(&txid);
        }
    }

    /// Looks whether a transaction takes the coins of another one that waits.
    pub(super) fn notice(&mut self, transaction: &Transaction) {
        if self.spenders.is_empty() {
            return;
        }
        let robbed = transaction.input.iter().filter_map(|input| {
            let spent = Outpoint { txid: txid32(input.previous_output.txid), index: input.previous_output.vout };
            self.spenders.get(&SpentCoin::from(spent))
        });
        let robbed: Vec<Hash32> = robbed.copied().collect();
        if robbed.is_empty() {
            return;
        }
        let txid = txid32(transaction.compute_txid());
        for other in robbed.into_iter().filter(|other| *other != txid) {
            if let Some(sighting) = self.by_txid.get_mut(&other) {
                sighting.replaced_by = Some(txid);
            }
        }
    }

    /// Counts a round; the deposits whose transactions have been missing long enough.
    pub(super) fn missing_from(&mut self, mempool: &HashSet<Hash32>) -> Vec<Gone> {
        let mut gone = Vec::new();
        for (txid, sighting) in &mut self.by_txid {
            sighting.missing_rounds = if mempool.contains(txid) { 0 } else { sighting.missing_rounds + 1 };
            if sighting.missing_rounds >= MISSING_ROUNDS {
                let replaced_by = sighting.replaced_by;
                gone.extend(sighting.deposits.iter().map(|deposit| Gone { deposit: *deposit, replaced_by }));
            }
        }
        gone.sort_unstable_by_key(|gone| gone.deposit);
        gone
    }
}
