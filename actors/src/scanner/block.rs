//! Blocks: what they pay us, what a reorganisation takes away, and what has become deep enough.

use std::collections::{BTreeMap, HashMap};

use bitcoin::{Block, Transaction};
use futures::future::try_join_all;
use millrace_model::chain::{BlockScanned, ChainReorged, CoinsRemembered, SpentCoin};
use millrace_model::deposit::{self, BlockRef, Command, Deposit, Detected, Mined, Sighting, Stage, evolve};
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, DepositId, Outpoint, StreamName};
use millrace_model::money::Amount;
use millrace_protocols::chain_watch::{block_hash, hash32};

use super::addresses::Paid;
use super::mempool::Mempool;
use super::{SNAPSHOT_EVERY, Scanner, Trouble};
use crate::deposits::{Deposits, ExecuteError, progress};
use crate::event_store::{Append, Expected, ReadError, Write};

/// As many of a transaction's coins are remembered as fit into an event; a standard one hardly spends more.
const SPENDS_MAX: usize = 700;

/// Deposits in blocks that are not deep enough, by height.
#[derive(Default)]
pub(super) struct Pending {
    mined: BTreeMap<u64, Vec<DepositId>>,
}

impl Pending {
    /// Those of the log, and what waits in the mempool.
    pub(super) fn load(deposits: &Deposits) -> Result<(Self, Mempool), ReadError> {
        let (mut pending, mut mempool) = (Self::default(), Mempool::default());
        for id in deposits.open()?.1 {
            let Some(tracked) = deposits.get(id)? else { continue };
            pending.note(&tracked.deposit);
            mempool.note(&tracked.deposit);
        }
        Ok((pending, mempool))
    }

    pub(super) fn note(&mut self, deposit: &Deposit) {
        if let (Stage::Pending, Sighting::Mined(block)) = (&deposit.stage, &deposit.sighting) {
            self.mined.entry(block.height).or_default().push(deposit.receipt.id);
        }
    }
}

/// The key under which the log knows an output.
pub(super) fn key(outpoint: &Outpoint) -> String {
    format!("btc:{outpoint}")
}

/// What a transaction spends, recognisable.
pub(super) fn spends(transaction: &Transaction) -> Vec<SpentCoin> {
    let outpoints = transaction.input.iter().map(|input| input.previous_output);
    let ours = outpoints.map(|outpoint| Outpoint { txid: hash32(outpoint.txid), index: outpoint.vout });
    ours.take(SPENDS_MAX).map(SpentCoin::from).collect()
}

impl Scanner {
    /// Every output of a transaction that pays one of our addresses.
    pub(super) fn receipts(&mut self, transaction: &Transaction) -> Result<Vec<Detected>, ReadError> {
        let mut receipts = Vec::new();
        for (index, output) in transaction.output.iter().enumerate() {
            let Some(Paid { address, customer }) = self.addresses.paid(&output.script_pubkey)? else { continue };
            let Some(amount) = Amount::from_units(output.value.to_sat()).filter(|amount| !amount.is_zero()) else {
                continue;
            };
            let index = u32::try_from(index).expect("a transaction has fewer outputs");
            receipts.push(Detected {
                id: self.parts.ids.deposit_id(),
                outpoint: Outpoint { txid: hash32(transaction.compute_txid()), index },
                address: address.to_string(),
                amount,
                customer,
                spends: spends(transaction),
                coinbase: transaction.is_coinbase(),
            });
        }
        Ok(receipts)
    }

    /// Records a block: the cursor and all deposits in it, in one append.
    pub(super) async fn scan(&mut self, block: BlockRef, content: &Block) -> Result<(), Trouble> {
        self.addresses.catch_up()?;
        let mut writes = vec![self.passing(block)];
        let mut mined = Vec::new();
        for transaction in &content.txdata {
            self.mempool.was_mined(transaction);
            for receipt in self.receipts(transaction)? {
                if let Some((write, deposit)) = self.mined_in(block, receipt)? {
                    writes.push(write);
                    mined.push(deposit);
                }
            }
        }
        let version = self.chain.cursor().map_or_else(String::new, |cursor| cursor.hash.to_string());
        let command_id = CommandId::of_fact(&["scan", &block.hash.to_string(), &version, &self.epoch.0.to_string()]);
        self.append(command_id, "ScanBlock", serde_json::json!({ "block": block }), writes).await?;
        self.chain = std::mem::take(&mut self.chain).evolve(&BlockScanned { block }.into());
        mined.iter().for_each(|deposit| self.pending.note(deposit));
        self.parts.height.send_replace(Some(block.height));
        Ok(())
    }

    fn passing(&self, block: BlockRef) -> Write {
        let scanned = BlockScanned { block };
        let snapshot = block.height.is_multiple_of(SNAPSHOT_EVERY).then(|| {
            let chain = self.chain.clone().evolve(&scanned.clone().into());
            serde_json::to_string(&chain).expect("a chain has text keys")
        });
        let events = vec![Event::Chain(scanned.into())];
        Write { snapshot, ..Write::new(StreamName::Chain, Expected::Owner(self.epoch), events) }
    }

    /// What being in this block means for an output: a new deposit, the progress of a known one, or nothing new.
    fn mined_in(&self, block: BlockRef, receipt: Detected) -> Result<Option<(Write, Deposit)>, ReadError> {
        let key = key(&receipt.outpoint);
        let Some(StreamName::Deposit(id)) = self.parts.deposits.store().reader()?.stream_of_key(&key)? else {
            let events = vec![deposit::Event::from(receipt.clone()), Mined { block }.into()];
            return Ok(Some(self.write(receipt.id, None, 0, events, Some(key))));
        };
        let Some(tracked) = self.parts.deposits.get(id)? else { return Ok(None) };
        let Ok(events) = tracked.deposit.decide(&Command::ObserveMined { block }) else { return Ok(None) };
        Ok(Some(self.write(id, Some(tracked.deposit.clone()), tracked.version, events, None)))
    }

    pub(super) fn write(
        &self,
        id: DepositId,
        before: Option<Deposit>,
        version: u64,
        events: Vec<deposit::Event>,
        key: Option<String>,
    ) -> (Write, Deposit) {
        let after = events.iter().fold(before, evolve).expect("a deposit with events exists");
        let events = events.into_iter().map(Event::Deposit).collect();
        let write = Write::new(StreamName::Deposit(id), Expected::Exactly(version), events);
        (Write { key, progress: progress(Some(&after)), ..write }, after)
    }

    pub(super) async fn append(
        &self,
        command_id: CommandId,
        command: &'static str,
        body: serde_json::Value,
        writes: Vec<Write>,
    ) -> Result<(), Trouble> {
        let body = body.to_string();
        let append = Append { command_id, command, body, causation: None, correlation: None, writes };
        self.parts.deposits.store().append(append).await?;
        Ok(())
    }

    /// Records that blocks left the best chain, with every deposit that was in one of them.
    pub(super) async fn reorganise(&mut self, fork: BlockRef, abandoned: BlockRef) -> Result<(), Trouble> {
        tracing::warn!(fork = fork.height, abandoned = abandoned.height, "the best chain was reorganised");
        let mut writes = vec![Write::new(
            StreamName::Chain,
            Expected::Owner(self.epoch),
            vec![Event::Chain(ChainReorged { fork, abandoned }.into())],
        )];
        let mut chain = std::mem::take(&mut self.chain).evolve(&ChainReorged { fork, abandoned }.into());
        for id in self.deposits_above(fork)? {
            let Some(tracked) = self.parts.deposits.get(id)? else { continue };
            let deposit = &tracked.deposit;
            let Ok(events) = deposit.decide(&Command::ObserveOrphaned) else { continue };
            if !matches!(deposit.stage, Stage::Pending | Stage::Quarantined) {
                let coins = CoinsRemembered { deposit: id, spends: deposit.receipt.spends.clone() };
                writes[0].events.push(Event::Chain(coins.clone().into()));
                chain = chain.evolve(&coins.into());
            }
            let (write, after) = self.write(id, Some(deposit.clone()), tracked.version, events, None);
            self.mempool.note(&after);
            writes.push(write);
        }
        let command_id = CommandId::of_fact(&[
            "reorganise",
            &fork.hash.to_string(),
            &abandoned.hash.to_string(),
            &self.epoch.0.to_string(),
        ]);
        let body = serde_json::json!({ "fork": fork, "abandoned": abandoned });
        self.append(command_id, "Reorganise", body, writes).await?;
        self.chain = chain;
        self.pending.mined.split_off(&(fork.height + 1));
        Ok(())
    }

    /// The deposits that our reading of the chain has in blocks above the fork: the events of those blocks' appends.
    fn deposits_above(&self, fork: BlockRef) -> Result<Vec<DepositId>, ReadError> {
        let reader = self.parts.deposits.store().reader()?;
        let mut found = HashMap::new();
        for recorded in reader.stream(&StreamName::Chain, 0)?.iter().rev() {
            let Event::Chain(millrace_model::chain::Event::BlockScanned(scanned)) = &recorded.event else { continue };
            if scanned.block.height <= fork.height {
                break;
            }
            let Some((first, last)) = reader.outcome(recorded.command_id)? else { continue };
            for event in reader.range(first, last)? {
                if let StreamName::Deposit(id) = event.stream {
                    found.insert(id, ());
                }
            }
        }
        Ok(found.into_keys().collect())
    }

    /// Takes in what is deep enough, after the node has shown its block once more.
    pub(super) async fn mature(&mut self) -> Result<(), Trouble> {
        let Some(tip) = self.chain.cursor() else { return Ok(()) };
        let heights: Vec<u64> = self.pending.mined.keys().copied().collect();
        for height in heights {
            let confirmations = tip.height + 1 - height.min(tip.height);
            if confirmations < self.parts.settings.confirmations {
                break;
            }
            let ids = self.pending.mined.remove(&height).unwrap_or_default();
            let left = self.mature_at(height, confirmations, &ids).await;
            let left = match left {
                Ok(left) => left,
                Err(trouble) => {
                    self.pending.mined.insert(height, ids);
                    return Err(trouble);
                }
            };
            if !left.is_empty() {
                self.pending.mined.insert(height, left);
            }
        }
        Ok(())
    }

    /// Answers which of them are not deep enough after all.
    async fn mature_at(&self, height: u64, confirmations: u64, ids: &[DepositId]) -> Result<Vec<DepositId>, Trouble> {
        let Some(hash) = self.chain.hash_at(height) else { return Ok(vec![]) };
        let Some(block) = self.parts.node.block(block_hash(hash)).await? else { return Ok(ids.to_vec()) };
        let mut txids: Vec<_> = block.txdata.iter().map(|transaction| hash32(transaction.compute_txid())).collect();
        txids.sort_unstable();
        let (mut left, mut ready) = (Vec::new(), Vec::new());
        for id in ids {
            let Some(tracked) = self.parts.deposits.get(*id)? else { continue };
            let receipt = &tracked.deposit.receipt;
            let deep = confirmations >= tracked.deposit.confirmations_required(self.parts.settings.confirmations);
            if !deep || txids.binary_search(&receipt.outpoint.txid).is_err() {
                left.push(*id);
                continue;
            }
            let seen_before = self.chain.seen_before(&receipt.spends);
            ready.push((*id, Command::ObserveMature { confirmations, seen_before }));
        }
        let matured = ready.iter().map(|(id, command)| async {
            match self.parts.deposits.execute(*id, command).await {
                // It moved meanwhile; whoever moved it knows better.
                Ok(_) | Err(ExecuteError::Rejected(_)) => Ok(()),
                Err(error) => Err(error),
            }
        });
        try_join_all(matured).await?;
        Ok(left)
    }
}
