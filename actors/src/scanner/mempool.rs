//! The mempool: deposits shown before they are mined, and what becomes of those that never are.

use std::collections::{HashMap, HashSet};

use bitcoin::{Transaction, Txid};
use millrace_model::chain::SpentCoin;
use millrace_model::deposit::{self, Command, Deposit, Sighting, Stage};
use millrace_model::ids::{CommandId, DepositId, Hash32};
use millrace_protocols::chain_watch::hash32;

use super::block::{key, spends};
use super::{Scanner, Trouble};
use crate::deposits::ExecuteError;

/// How many transactions are looked up in one round.
const LOOKUPS_MAX: usize = 500;
/// How many transactions that do not concern us are remembered as such.
const SEEN_MAX: usize = 1_000_000;

/// What is known of the mempool.
#[derive(Default)]
pub(super) struct Mempool {
    /// Looked up already.
    seen: HashSet<Txid>,
    /// Deposits that are in no block, by transaction.
    waiting: HashMap<Hash32, Vec<DepositId>>,
    /// The transactions that spend the coins of those.
    rivals: HashMap<SpentCoin, Hash32>,
}

impl Mempool {
    /// A deposit that is in no block may vanish.
    pub(super) fn note(&mut self, deposit: &Deposit) {
        let unmined = matches!(deposit.sighting, Sighting::Unconfirmed | Sighting::Orphaned);
        if unmined && !matches!(deposit.stage, Stage::Done(_)) {
            let receipt = &deposit.receipt;
            self.waiting.entry(receipt.outpoint.txid).or_default().push(receipt.id);
        }
    }

    /// A transaction came into a block: it waits no more, and may have taken the coins of one that does.
    pub(super) fn was_mined(&mut self, transaction: &Transaction) {
        let txid = hash32(transaction.compute_txid());
        self.waiting.remove(&txid);
        self.spends_coins(txid, transaction);
    }

    fn spends_coins(&mut self, txid: Hash32, transaction: &Transaction) {
        if !self.waiting.is_empty() {
            self.rivals.extend(spends(transaction).into_iter().map(|coin| (coin, txid)));
        }
    }

    fn rival_of(&self, deposit: &Deposit) -> Option<Hash32> {
        let rivals = deposit.receipt.spends.iter().filter_map(|coin| self.rivals.get(coin));
        rivals.copied().find(|rival| *rival != deposit.receipt.outpoint.txid)
    }
}

impl Scanner {
    pub(super) async fn watch_mempool(&mut self) -> Result<(), Trouble> {
        let waiting = self.parts.node.mempool().await?;
        self.addresses.catch_up()?;
        let fresh: Vec<_> =
            waiting.iter().filter(|txid| !self.mempool.seen.contains(*txid)).take(LOOKUPS_MAX).copied().collect();
        for txid in fresh {
            if let Some(transaction) = self.parts.node.waiting(txid).await? {
                self.sight(&transaction).await?;
            }
            if self.mempool.seen.len() >= SEEN_MAX {
                self.mempool.seen.clear();
            }
            self.mempool.seen.insert(txid);
        }
        self.let_vanish(&waiting).await
    }

    async fn sight(&mut self, transaction: &Transaction) -> Result<(), Trouble> {
        let txid = hash32(transaction.compute_txid());
        self.mempool.spends_coins(txid, transaction);
        for receipt in self.receipts(transaction)? {
            let key = key(&receipt.outpoint);
            if self.parts.deposits.store().reader()?.stream_of_key(&key)?.is_some() {
                continue;
            }
            let command_id = CommandId::of_fact(&["sight", &receipt.outpoint.to_string()]);
            let body = serde_json::json!({ "outpoint": receipt.outpoint });
            let (write, after) =
                self.write(receipt.id, None, 0, vec![deposit::Event::from(receipt.clone())], Some(key));
            self.append(command_id, "Sight", body, vec![write]).await?;
            self.mempool.note(&after);
        }
        Ok(())
    }

    /// Ends those that wait in no mempool. Every block up to the tip was read before, so they are in none either,
    /// unless one came in this very moment: then it is found there and the deposit goes on.
    async fn let_vanish(&mut self, waiting: &[Txid]) -> Result<(), Trouble> {
        if self.mempool.waiting.is_empty() {
            self.mempool.rivals.clear();
            return Ok(());
        }
        let still: HashSet<Hash32> = waiting.iter().map(|txid| hash32(*txid)).collect();
        let gone: Vec<Hash32> = self.mempool.waiting.keys().filter(|txid| !still.contains(*txid)).copied().collect();
        if gone.is_empty() || !self.is_at_tip().await? {
            return Ok(());
        }
        for txid in gone {
            for id in self.mempool.waiting.remove(&txid).unwrap_or_default() {
                let Some(tracked) = self.parts.deposits.get(id)? else { continue };
                let command = Command::ObserveVanished { replaced_by: self.mempool.rival_of(&tracked.deposit) };
                match self.parts.deposits.execute(id, &command).await {
                    Ok(_) | Err(ExecuteError::Rejected(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    async fn is_at_tip(&self) -> Result<bool, Trouble> {
        let tip = self.parts.node.chain_info().await?.best_hash;
        Ok(self.chain.cursor().is_some_and(|cursor| cursor.hash == hash32(tip)))
    }
}
