//! What waits to be mined: shown to the customer at once, and never acted upon.

use std::collections::HashSet;
use std::sync::Arc;

use super::block::Payment;
use super::sightings::Gone;
use super::{Course, Interruption, Scanner, ScannerError, body};
use crate::event_store::Append;
use crate::ports::{BitcoinNode, PortError};
use bitcoin::{Transaction, Txid};
use futures::{StreamExt, TryStreamExt};
use millrace_model::deposit::Command;
use millrace_model::ids::{CommandId, Hash32};
use millrace_model::observation::{self, Replaced, SeenOutput};
use millrace_protocols::chain_watch::txid32;

/// How many unknown transactions are looked up in one round; the rest comes in the next.
const LOOK_UPS_MAX: usize = 500;
/// How many of them at once: nodes answer few requests at a time.
const AT_ONCE_MAX: usize = 4;

impl Scanner {
    /// Records new sightings and ends those that are gone. `waiting` was listed before the chain was followed to its tip.
    pub(super) async fn look_at_mempool(&mut self, waiting: &[Txid], course: Course) -> Result<(), Interruption> {
        let listed: HashSet<Txid> = waiting.iter().copied().collect();
        self.looked_at.retain(|txid| listed.contains(txid));
        let unknown: Vec<Txid> =
            waiting.iter().copied().filter(|txid| !self.looked_at.contains(txid)).take(LOOK_UPS_MAX).collect();
        let found = look_up(Arc::clone(&self.outside.node), unknown.clone()).await?;
        // Some may have been bound while the node was asked.
        self.follow_log()?;
        found.iter().for_each(|transaction| self.sightings.notice(transaction));
        let payments: Vec<Payment> = found.iter().flat_map(|transaction| self.payments(transaction)).collect();
        self.commit(|scanner| scanner.sightings_append(&payments)).await?;
        self.looked_at.extend(unknown);
        if course == Course::Straight {
            // After a reorganisation the list is older than what was orphaned and may wait again by now.
            self.end_those_gone(&listed).await?;
        }
        Ok(())
    }

    fn sightings_append(&mut self, payments: &[Payment]) -> Result<Option<Append>, ScannerError> {
        let mut writes = Vec::new();
        let (mut outpoints, mut seen) = (Vec::new(), Vec::new());
        for payment in payments {
            if self.reader.stream_of_key(&payment.key())?.is_none() {
                writes.extend(self.detected(payment)?);
                outpoints.push(payment.outpoint.to_string());
                seen.push(SeenOutput { output: payment.outpoint, satoshis: payment.satoshis });
            }
        }
        Ok((!writes.is_empty()).then(|| Append {
            command_id: command_id("seen", &outpoints),
            command: "RecordSightings",
            body: body(&observation::Sightings::of(seen)),
            causation: None,
            correlation: None,
            writes,
        }))
    }

    async fn end_those_gone(&mut self, listed: &HashSet<Txid>) -> Result<(), Interruption> {
        if self.sightings.is_empty() {
            return Ok(());
        }
        let listed: HashSet<Hash32> = listed.iter().map(|txid| txid32(*txid)).collect();
        let gone = self.sightings.missing_from(&listed);
        self.commit(|scanner| scanner.gone_append(&gone)).await
    }

    fn gone_append(&mut self, gone: &[Gone]) -> Result<Option<Append>, ScannerError> {
        let mut writes = Vec::new();
        let (mut parts, mut replaced) = (Vec::new(), Vec::new());
        for Gone { deposit, replaced_by } in gone {
            let Some(tracked) = self.outside.deposits.get(*deposit)? else { continue };
            writes.extend(self.observed(&tracked, &Command::ObserveVanished { replaced_by: *replaced_by })?);
            parts.push(format!("{deposit}/{}", tracked.version));
            replaced.extend(replaced_by.map(|by| Replaced { deposit: *deposit, by }));
        }
        Ok((!writes.is_empty()).then(|| Append {
            command_id: command_id("gone", &parts),
            command: "RecordGone",
            body: body(&observation::Gone::of(parts.len(), replaced)),
            causation: None,
            correlation: None,
            writes,
        }))
    }
}

/// The transactions that still wait.
async fn look_up(node: Arc<dyn BitcoinNode>, txids: Vec<Txid>) -> Result<Vec<Transaction>, PortError> {
    let look_ups = futures::stream::iter(txids).map(|txid| {
        let node = Arc::clone(&node);
        async move { node.waiting(txid).await }
    });
    let found: Vec<Option<Transaction>> = look_ups.buffered(AT_ONCE_MAX).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

fn command_id(what: &str, parts: &[String]) -> CommandId {
    let parts: Vec<&str> = std::iter::once(what).chain(parts.iter().map(String::as_str)).collect();
    CommandId::of_fact(&parts)
}
