//! Looking for a payout that the desk made in a life that its log has forgotten, before another is made.
//!
//! The wallet's own payment of what is owed is taken for the payout, as if it had just been signed. One of another amount is
//! left to the deposits that may yet turn out to be owed it; when there is none, this deposit is held for a person to look at,
//! once.

use std::collections::HashSet;
use std::sync::Arc;

use millrace_model::deposit::{self, Deposit, Held, HoldReason, SignedPayout, Stage};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{Hash32, Position, StreamName};
use millrace_model::money::{Amount, Sky};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::Txid;
use millrace_protocols::wire::skycoin::transaction::Transaction;

use super::{Sender, Trouble};
use crate::deposits::Tracked;
use crate::event_store::{ReadError, Reader};

/// Every payout that the log tells of. Read only when a customer was paid before, and then once.
#[derive(Debug, Default)]
pub(super) struct KnownPayouts {
    txids: HashSet<Hash32>,
    position: Position,
}

impl KnownPayouts {
    fn follow(&mut self, reader: &Reader) -> Result<(), ReadError> {
        let head = reader.head()?;
        self.txids.extend(reader.payouts_signed(self.position, head)?);
        self.position = head;
        Ok(())
    }
}

impl Sender {
    /// The deposit with the payout that was found, if there was one. Nothing is looked for when it cannot be.
    pub(super) async fn recall(
        &self,
        tracked: &Arc<Tracked>,
        to: SkyAddress,
        owed: Amount<Sky>,
    ) -> Result<Option<Arc<Tracked>>, Trouble> {
        if !self.deposits.past().may_know(&tracked.deposit) {
            return Ok(None);
        }
        let paid = self.heard(self.node.payments_to(to).await)?;
        if paid.is_empty() {
            return Ok(None);
        }
        // One at a time: what one deposit takes for its own is known to the log when the next one looks.
        let mut known = self.recalling.lock().await;
        let forgotten = self.forgotten(tracked, to, paid, &mut known).await?;
        let id = tracked.deposit.receipt.id;
        let pays = |transaction: &&Transaction| transaction.outputs()[0].coins == owed;
        if let Some(found) = forgotten.iter().find(pays) {
            tracing::warn!(deposit = %id, txid = %found.txid(), "a payout that the log has forgotten is taken up again");
            let (recorded, _) = self.record_signed(id, signed(found)).await;
            return recorded.map(Some);
        }
        let Some(other) = forgotten.first() else { return Ok(None) };
        let txid = Hash32(other.txid().0);
        let is_all_detected = self.deposits.past().is_known();
        if !is_all_detected || self.may_be_anothers(&tracked.deposit, other.outputs()[0].coins)? {
            return Err(Trouble::Unclear(txid));
        }
        self.hold(id, HoldReason::PaidBefore { txid }).await
    }

    /// Those of the customer's payments that the wallet made and the log does not tell of, but for what this deposit was held
    /// for already.
    async fn forgotten(
        &self,
        tracked: &Tracked,
        to: SkyAddress,
        paid: Vec<Txid>,
        known: &mut KnownPayouts,
    ) -> Result<Vec<Transaction>, Trouble> {
        let reader = self.deposits.store().reader()?;
        known.follow(&reader)?;
        let unknown: Vec<_> = paid.into_iter().filter(|txid| !known.txids.contains(&Hash32(txid.0))).collect();
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let stream = StreamName::Deposit(tracked.deposit.receipt.id);
        let looked_at: Vec<_> = reader.stream(&stream, 0)?.iter().filter_map(paid_before).collect();
        let mut forgotten = Vec::new();
        for txid in unknown.into_iter().filter(|txid| !looked_at.contains(&Hash32(txid.0))) {
            let own = self.heard(self.node.own(txid).await)?;
            forgotten.extend(own.filter(|own| own.outputs()[0].address == to));
        }
        Ok(forgotten)
    }

    /// Whether another deposit of the same customer is owed so much, or may come to be.
    fn may_be_anothers(&self, deposit: &Deposit, coins: Amount<Sky>) -> Result<bool, Trouble> {
        let (_, open) = self.deposits.open()?;
        for id in open.into_iter().filter(|id| *id != deposit.receipt.id) {
            let Some(other) = self.deposits.get(id)? else { continue };
            let other = &other.deposit;
            let same_customer = target(other) == target(deposit);
            let may_own = match other.stage {
                Stage::Pending | Stage::WaitDecide | Stage::WaitBuy => true,
                Stage::WaitSend => other.payout.as_ref().is_some_and(|payout| payout.amount == coins),
                Stage::Quarantined
                | Stage::WaitConfirm
                | Stage::Held { .. }
                | Stage::RefundDue { .. }
                | Stage::Done(_) => false,
            };
            if same_customer && may_own && other.signed_payout().is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn target(deposit: &Deposit) -> Option<&str> {
    Some(deposit.receipt.customer.as_ref()?.target.as_str())
}

/// The transaction for which a deposit was held.
fn paid_before(recorded: &Recorded) -> Option<Hash32> {
    match &recorded.event {
        Event::Deposit(deposit::Event::Held(Held { reason: HoldReason::PaidBefore { txid } })) => Some(*txid),
        _ => None,
    }
}

/// A transaction as it goes into the log.
pub(super) fn signed(transaction: &Transaction) -> SignedPayout {
    SignedPayout {
        txid: Hash32(transaction.txid().0),
        inner_hash: Hash32(transaction.inner_hash().0),
        inputs: transaction.inputs().iter().map(|input| Hash32(input.0)).collect(),
        bytes: transaction.to_hex(),
    }
}
