//! Depth: a deposit counts as received when its block, read once more, is deep enough and still holds it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::{Interruption, Scanner, ScannerError, body};
use crate::deposits::Tracked;
use crate::event_store::Append;
use bitcoin::Txid;
use millrace_model::deposit::{BlockRef, Command, Deposit};
use millrace_model::ids::{CommandId, DepositId};
use millrace_model::observation::{CameBefore, Maturity};
use millrace_protocols::chain_watch::{block_hash, txid};

/// Deposits in blocks that are not deep enough yet, by the height at which they will be. What a reorganisation or an
/// operator made of one meanwhile is seen when its time comes.
#[derive(Debug, Default)]
pub(super) struct Ripening {
    by_height: BTreeSet<Entry>,
}

/// The height at which it will be deep enough, and which deposit.
type Entry = (u64, DepositId);

impl Ripening {
    pub(super) fn insert(&mut self, due: u64, id: DepositId) {
        self.by_height.insert((due, id));
    }

    fn remove(&mut self, entry: &Entry) {
        self.by_height.remove(entry);
    }

    fn due(&self, height: u64) -> Vec<Entry> {
        self.by_height.iter().take_while(|(due, _)| *due <= height).copied().collect()
    }
}

impl Scanner {
    /// Matures what is deep enough below the cursor.
    pub(super) async fn mature(&mut self) -> Result<(), Interruption> {
        let Some(cursor) = self.chain.cursor() else { return Ok(()) };
        let mut ripe: Vec<(BlockRef, Entry)> = Vec::new();
        for entry in self.ripening.due(cursor.height) {
            match self.ripe(entry)? {
                Some(block) => ripe.push((block, entry)),
                None => self.ripening.remove(&entry),
            }
        }
        ripe.sort_unstable_by_key(|(block, entry)| (block.height, block.hash, *entry));
        for ripe in ripe.chunk_by(|(one, _), (next, _)| one == next) {
            let entries: Vec<Entry> = ripe.iter().map(|(_, entry)| *entry).collect();
            self.mature_block(ripe[0].0, cursor, &entries).await?;
            entries.iter().for_each(|entry| self.ripening.remove(entry));
        }
        Ok(())
    }

    /// The block of a deposit that was due at that height, if it still is.
    fn ripe(&self, (due, id): Entry) -> Result<Option<BlockRef>, ScannerError> {
        let tracked = self.outside.deposits.get(id)?;
        Ok(tracked.and_then(|tracked| {
            let block = tracked.deposit.ripens_in()?;
            (self.due(&tracked.deposit, block) == due).then_some(block)
        }))
    }

    async fn mature_block(&mut self, block: BlockRef, cursor: BlockRef, entries: &[Entry]) -> Result<(), Interruption> {
        let txids = self.read_again(block).await?;
        self.commit(|scanner| {
            let (mut writes, mut came_before) = (Vec::new(), Vec::new());
            for entry in entries {
                // An operator may have held it since it was found to be due.
                if scanner.ripe(*entry)? != Some(block) {
                    continue;
                }
                let Some(tracked) = scanner.outside.deposits.get(entry.1)? else { continue };
                if !txids.contains(&txid(tracked.deposit.receipt.outpoint.txid)) {
                    tracing::error!(deposit = %entry.1, hash = %block.hash, "its block was read again and lacks it");
                    continue;
                }
                let confirmations = cursor.height - block.height + 1;
                let seen_before = scanner.seen_before(&tracked)?;
                came_before.extend(seen_before.map(|earlier| CameBefore { deposit: entry.1, earlier }));
                writes.extend(scanner.observed(&tracked, &Command::ObserveMature { confirmations, seen_before })?);
            }
            let first = entries.first().map(|(_, id)| id.to_string()).unwrap_or_default();
            // After a reorganisation there and back the same deposit is deep enough under the same tip once more; the
            // version tells the times apart.
            let (block_hash, version) = (block.hash.to_string(), scanner.version.to_string());
            Ok((!writes.is_empty()).then(|| Append {
                command_id: CommandId::of_fact(&["mature", &block_hash, &cursor.hash.to_string(), &first, &version]),
                command: "RecordMaturity",
                body: body(&Maturity::of((block, cursor), came_before)),
                causation: None,
                correlation: None,
                writes,
            }))
        })
        .await
    }

    /// The transactions of the block as the node has it now, by way of its height: still on the best chain.
    async fn read_again(&self, block: BlockRef) -> Result<HashSet<Txid>, Interruption> {
        let node = &self.outside.node;
        let hash = block_hash(block.hash);
        let height = u32::try_from(block.height).unwrap_or(u32::MAX);
        let changed = || Interruption::Node(format!("the Bitcoin node's block {height} is no longer {hash}"));
        if node.hash_at(height).await? != Some(hash) {
            return Err(changed());
        }
        let block = node.block(hash).await?.ok_or_else(changed)?;
        Ok(block.txdata.iter().map(bitcoin::Transaction::compute_txid).collect())
    }

    /// The decided and orphaned deposit whose coins came again in another transaction. Another output of the same
    /// transaction is no such thing.
    fn seen_before(&self, tracked: &Arc<Tracked>) -> Result<Option<DepositId>, ScannerError> {
        let receipt = &tracked.deposit.receipt;
        let Some(earlier) = self.chain.seen_before(&receipt.spends) else { return Ok(None) };
        let same_transaction = |other: &Deposit| other.receipt.outpoint.txid == receipt.outpoint.txid;
        let other = self.outside.deposits.get(earlier)?;
        Ok((!other.is_some_and(|other| same_transaction(&other.deposit))).then_some(earlier))
    }
}
