//! What the owner of the wallet remembers; no waiting in here.

use std::collections::{HashMap, HashSet};

use millrace_model::ids::{DepositId, Hash32};
use millrace_model::money::{Amount, Sky};
use millrace_model::wallet::{Event, Wallet};
use millrace_protocols::payout::{FreeOutput, Pool, Shortage};
use millrace_protocols::wire::skycoin::hash::UxId;
use millrace_protocols::wire::skycoin::rest::UnspentOutput;
use tokio::time::Instant;

use crate::event_store::Epoch;
use crate::ports::PortError;

#[derive(Default)]
pub(super) struct State {
    /// `None` before the stream is taken over, and whenever what it holds is in doubt.
    pub(super) epoch: Option<Epoch>,
    /// The stream, folded.
    pub(super) wallet: Wallet,
    /// How many events it has since its snapshot.
    pub(super) unsaved: u64,
    pub(super) pool: Pool,
    claims: HashMap<DepositId, Vec<FreeOutput>>,
    /// Claimed or reserved.
    used: HashSet<UxId>,
    /// Spent for good while the node is being asked what there is: its answer may be from before.
    gone: HashSet<UxId>,
    /// Offered meanwhile, for the same reason.
    come: Vec<FreeOutput>,
    is_refreshing: bool,
    /// When the node was last asked what there is, and how that failed.
    pub(super) asked: Option<Instant>,
    pub(super) failure: Option<PortError>,
}

impl State {
    pub(super) fn take_over(&mut self, epoch: Epoch, wallet: Wallet, unsaved: u64) {
        let claimed = self.claims.values().flatten().map(|output| output.uxid);
        self.used = wallet.reserved().map(|input| UxId(input.0)).chain(claimed).collect();
        for uxid in &self.used {
            self.pool.remove(*uxid);
        }
        (self.epoch, self.wallet, self.unsaved) = (Some(epoch), wallet, unsaved);
    }

    pub(super) fn claim(&mut self, id: DepositId, owed: Amount<Sky>) -> Result<Vec<FreeOutput>, Shortage> {
        if let Some(claimed) = self.claims.get(&id) {
            return Ok(claimed.clone());
        }
        let outputs = self.pool.take(owed)?;
        self.used.extend(outputs.iter().map(|output| output.uxid));
        self.claims.insert(id, outputs.clone());
        Ok(outputs)
    }

    pub(super) fn has_claim(&self, id: DepositId) -> bool {
        self.claims.contains_key(&id)
    }

    pub(super) fn give_back(&mut self, id: DepositId) {
        for output in self.end_claim(id) {
            self.used.remove(&output.uxid);
            self.pool.insert(output);
        }
    }

    pub(super) fn discard(&mut self, id: DepositId) {
        for output in self.end_claim(id) {
            self.used.remove(&output.uxid);
        }
    }

    /// The outputs that only the claim kept from others: what an earlier try has reserved after all stays in use.
    fn end_claim(&mut self, id: DepositId) -> Vec<FreeOutput> {
        let claimed = self.claims.remove(&id).unwrap_or_default();
        let reserved = self.wallet.reserved_for(id);
        claimed.into_iter().filter(|output| !reserved.contains(&Hash32(output.uxid.0))).collect()
    }

    pub(super) fn offer(&mut self, output: FreeOutput) {
        if !self.used.contains(&output.uxid) {
            self.pool.insert(output);
            if self.is_refreshing {
                self.come.push(output);
            }
        }
    }

    pub(super) fn is_in_use_besides(&self, id: DepositId) -> bool {
        self.used.len() > self.claims.get(&id).map_or(0, Vec::len)
    }

    /// The claim has become a reservation of these inputs; what of the claim was not needed is free again.
    pub(super) fn adopt(&mut self, id: DepositId, inputs: &[UxId]) {
        self.used.extend(inputs);
        for input in inputs {
            self.pool.remove(*input);
        }
        for output in self.claims.remove(&id).unwrap_or_default() {
            if !inputs.contains(&output.uxid) {
                self.used.remove(&output.uxid);
                self.pool.insert(output);
            }
        }
    }

    pub(super) fn release(&mut self, inputs: &[UxId]) {
        for input in inputs {
            self.used.remove(input);
            if self.is_refreshing {
                self.gone.insert(*input);
            }
        }
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        self.wallet = std::mem::take(&mut self.wallet).evolve(event);
        self.unsaved += 1;
    }

    pub(super) fn begin_refresh(&mut self) {
        self.asked = Some(Instant::now());
        self.is_refreshing = true;
    }

    /// What the node says replaces what was known, except for what has happened since it was asked.
    pub(super) fn end_refresh(&mut self, answer: Result<Vec<UnspentOutput>, PortError>) -> Result<(), PortError> {
        self.is_refreshing = false;
        let (gone, come) = (std::mem::take(&mut self.gone), std::mem::take(&mut self.come));
        self.failure = answer.as_ref().err().cloned();
        let told = answer?.into_iter().map(|UnspentOutput { uxid, address, coins, hours, .. }| FreeOutput {
            uxid,
            address,
            coins,
            hours,
        });
        let is_free = |output: &FreeOutput| !self.used.contains(&output.uxid) && !gone.contains(&output.uxid);
        self.pool = told.chain(come).filter(is_free).collect();
        Ok(())
    }
}
