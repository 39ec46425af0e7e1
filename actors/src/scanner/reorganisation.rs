//! Blocks that left the best chain: every deposit in them is told, whatever has become of it, in one append.

use std::collections::BTreeSet;

use millrace_model::chain::{self, ChainReorged, CoinsRemembered, Seen};
use millrace_model::deposit::{self, BlockRef, Command, Deposit, Outcome, Sighting, Stage};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{CommandId, DepositId, StreamName};
use serde_json::json;

use super::aside::set_aside;
use super::{Interruption, Scanner, ScannerError};
use crate::event_store::Append;

/// How many of the chain's events are read first in search of the abandoned blocks.
const TAIL_EVENTS: u64 = 256;

/// A block on our branch and the command that recorded it.
#[derive(Debug, Clone, Copy)]
struct Scanned {
    block: BlockRef,
    command_id: CommandId,
}

impl Scanner {
    pub(super) async fn record_reorganisation(
        &mut self,
        fork: BlockRef,
        abandoned: BlockRef,
    ) -> Result<(), Interruption> {
        // Nothing else records a deposit as mined, so the log's commands say which deposits were in which block; none
        // of that has to be kept in memory, however deep the fork is.
        let mut ids = BTreeSet::new();
        for scanned in self.branch_above(Some(fork.height))? {
            ids.extend(self.mined_in(scanned)?);
        }
        tracing::warn!(fork = fork.height, from = abandoned.height, deposits = ids.len(), "the chain was reorganised");
        self.commit(|scanner| scanner.reorganisation_append(fork, abandoned, &ids).map(Some)).await
    }

    /// Every block read on our branch, oldest first.
    pub(super) fn history(&self) -> Result<Vec<BlockRef>, ScannerError> {
        Ok(self.branch_above(None)?.into_iter().map(|scanned| scanned.block).collect())
    }

    /// The blocks of our branch above a height, oldest first; all of them without one.
    fn branch_above(&self, height: Option<u64>) -> Result<Vec<Scanned>, ScannerError> {
        let mut events_read = TAIL_EVENTS;
        loop {
            let after = if height.is_some() { self.version.saturating_sub(events_read) } else { 0 };
            let branch = branch(&self.reader.stream(&StreamName::Chain, after)?);
            let first = branch.first().map(|scanned| scanned.block.height);
            if after == 0 || first.is_some_and(|first| height.is_some_and(|height| first <= height)) {
                return Ok(branch.into_iter().filter(|scanned| Some(scanned.block.height) > height).collect());
            }
            events_read = events_read.saturating_mul(8);
        }
    }

    fn mined_in(&self, scanned: Scanned) -> Result<Vec<DepositId>, ScannerError> {
        let Some((first, last)) = self.reader.outcome(scanned.command_id)? else { return Ok(Vec::new()) };
        let events = self.reader.range(first, last)?;
        let mined = events.iter().filter_map(|recorded| match (&recorded.stream, &recorded.event) {
            (StreamName::Deposit(id), Event::Deposit(deposit::Event::Mined(_)) | Event::Unreadable(_)) => Some(*id),
            (_, Event::Chain(chain::Event::SightingSetAside(aside))) => Some(aside.deposit),
            _ => None,
        });
        Ok(mined.collect())
    }

    fn reorganisation_append(
        &mut self,
        fork: BlockRef,
        abandoned: BlockRef,
        ids: &BTreeSet<DepositId>,
    ) -> Result<Append, ScannerError> {
        let mut chain: Vec<chain::Event> = vec![ChainReorged { fork, abandoned }.into()];
        let mut writes = Vec::new();
        for id in ids {
            let Some(tracked) = self.outside.deposits.get(*id)? else {
                chain.push(set_aside(*id, Seen::Orphaned { above: fork.height }));
                continue;
            };
            // It may have been orphaned with an earlier block and be in one that stays.
            if !matches!(&tracked.deposit.sighting, Sighting::Mined(block) if block.height > fork.height) {
                continue;
            }
            let write = self.observed(&tracked, &Command::ObserveOrphaned)?;
            if write.as_ref().is_some_and(|write| write.events.iter().any(is_loss)) {
                let amount = tracked.deposit.receipt.amount;
                tracing::error!(deposit = %id, %amount, "a reorganisation took a deposit that was paid for");
            }
            writes.extend(write);
            if was_decided(&tracked.deposit) && !tracked.deposit.receipt.spends.is_empty() {
                let spends = tracked.deposit.receipt.spends.clone();
                chain.push(CoinsRemembered { deposit: *id, spends }.into());
            }
        }
        writes.insert(0, self.chain_write(chain));
        Ok(Append {
            command_id: CommandId::of_fact(&["reorganisation", &abandoned.hash.to_string(), &self.version.to_string()]),
            command: "RecordReorganisation",
            body: json!({ "fork": fork, "abandoned": abandoned }).to_string(),
            causation: None,
            correlation: None,
            writes,
        })
    }
}

/// Follows the stream's tail; what it does not show to be abandoned is on our branch.
fn branch(events: &[Recorded]) -> Vec<Scanned> {
    let mut branch: Vec<Scanned> = Vec::new();
    for recorded in events {
        match &recorded.event {
            Event::Chain(chain::Event::BlockScanned(scanned)) => {
                branch.push(Scanned { block: scanned.block, command_id: recorded.command_id });
            }
            Event::Chain(chain::Event::ChainReorged(reorged)) => {
                branch.retain(|scanned| scanned.block.height <= reorged.fork.height);
            }
            Event::Chain(
                chain::Event::CoinsRemembered(_)
                | chain::Event::SightingSetAside(_)
                | chain::Event::SightingsTakenUp(_),
            )
            | Event::Unreadable(_)
            | Event::Deposit(_)
            | Event::Binding(_)
            | Event::AddressBook(_)
            | Event::Wallet(_)
            | Event::Desk(_)
            | Event::Subscription(_) => {}
        }
    }
    branch
}

fn is_loss(event: &Event) -> bool {
    matches!(event, Event::Deposit(deposit::Event::ReorgLoss(_)))
}

/// Whether something was decided for a deposit, so that its coins must not be honoured a second time.
fn was_decided(deposit: &Deposit) -> bool {
    deposit.is_committed() || past_decision(&deposit.stage)
}

fn past_decision(stage: &Stage) -> bool {
    match stage {
        Stage::Pending | Stage::Quarantined | Stage::WaitDecide => false,
        Stage::WaitBuy | Stage::WaitSend | Stage::WaitConfirm | Stage::RefundDue { .. } => true,
        Stage::Held { interrupted, .. } => past_decision(interrupted),
        Stage::Done(Outcome::Paid | Outcome::Refunded { .. } | Outcome::WrittenOff { .. }) => true,
        Stage::Done(Outcome::Vanished | Outcome::Failed { .. }) => false,
    }
}
