//! Payouts that spend what will never be: an output of other bytes of the desk that are void.
//!
//! A payout may spend the change of another. When a reorganisation deeper than what counts as final undoes that other, and
//! somebody else's final transaction then spends its input, its change will never exist, and what spends the change can
//! never confirm. So it is void by the same transaction, and so is what spends its own change.

use std::collections::HashMap;

use millrace_model::ids::{Hash32, Position};
use millrace_protocols::payout::{Phase, Step, by_name};
use millrace_protocols::wire::skycoin::hash::{Txid, UxId};
use millrace_protocols::wire::skycoin::transaction::Transaction;

use super::{Sender, Trouble};
use crate::deposits::Tracked;
use crate::event_store::{ReadError, Reader};

/// The outputs that void payouts would have made, each with the transaction that made its payout void. Read only when a
/// payout is stuck, and then once.
#[derive(Debug, Default)]
pub(super) struct VoidOutputs {
    outputs: HashMap<UxId, Hash32>,
    position: Position,
}

impl VoidOutputs {
    fn follow(&mut self, reader: &Reader) -> Result<(), ReadError> {
        let (position, voided) = reader.payouts_voided_after(self.position)?;
        for (bytes, conflicting_txid) in voided {
            let uxids = Transaction::from_hex(&bytes).map(|transaction| transaction.uxids()).unwrap_or_default();
            self.outputs.extend(uxids.into_iter().map(|uxid| (uxid, conflicting_txid)));
        }
        self.position = position;
        Ok(())
    }
}

impl Sender {
    /// The final transaction for which an input of this payout will never exist, if there is one.
    pub(super) async fn stranded_by(&self, tracked: &Tracked) -> Result<Option<Hash32>, Trouble> {
        let Some(signed) = tracked.deposit.signed_payout() else { return Ok(None) };
        let conflicting_txid = {
            let mut void = self.void_outputs.lock().await;
            void.follow(&*self.deposits.store().reader()?)?;
            signed.inputs.iter().find_map(|input| void.outputs.get(&UxId(input.0)).copied())
        };
        let Some(conflicting_txid) = conflicting_txid else { return Ok(None) };
        // What made the other void may have left the chain since.
        let seen = self.heard(self.node.transaction(Txid(conflicting_txid.0)).await)?;
        let step = by_name(Phase::Sent, seen.as_ref(), self.settings.confirmations);
        Ok(matches!(step, Step::Final { .. }).then_some(conflicting_txid))
    }
}
