//! From what is owed to signed bytes in the log. Nothing in here is broadcast.

use std::sync::Arc;

use millrace_model::deposit::{Command, Deposit, HoldReason, SignedPayout};
use millrace_model::ids::DepositId;
use millrace_model::money::{Amount, Sky};
use millrace_protocols::payout::{FreeOutput, Shortage};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::rest::{Payout, Refusal};

use super::recall::signed;
use super::{Sender, Trouble, stored};
use crate::canary::{self, Canary};
use crate::deposits::Tracked;
use crate::ports::CreateError;
use crate::wallet::{Change, Stored};

/// What becomes of the claim when no payout was signed.
pub(super) enum Claim {
    Stands,
    GivenBack,
    Discarded,
}

impl Sender {
    /// Signs a payout and records it. The claim stands only while it is unknown whether the record was stored; then the
    /// next try has the same outputs, so that whichever of the two is in the log spends what is ours to spend.
    pub(super) async fn sign(&self, tracked: Arc<Tracked>) -> Result<Arc<Tracked>, Trouble> {
        let deposit = &tracked.deposit;
        let id = deposit.receipt.id;
        let Some(payout) = &deposit.payout else { return Err(Trouble::Held) };
        let target = deposit.receipt.customer.as_ref().and_then(|customer| customer.target.parse().ok());
        let Some(to) = target else { return self.hold(id, HoldReason::InvalidTarget).await };
        if let Some(found) = self.look(&tracked, to, payout.amount).await? {
            return Ok(found);
        }
        if let Some(shortage) = self.settings.stock.shortage() {
            return Err(shortage.into());
        }
        let _promised = self.promise(id, to, payout.amount)?;
        // What an earlier try left in doubt is in the log by now, or never will be: only then may this one end the claim.
        self.wallet.take_over().await?;
        let claimed = match self.wallet.claim(id, payout.amount).await.map_err(Trouble::from) {
            Err(Trouble::Short(Shortage::TooManyInputs { .. })) if !self.wallet.is_in_use_besides(id) => {
                return self.hold(id, HoldReason::PayoutTooManyInputs).await;
            }
            claimed => claimed?,
        };
        let (signed, claim) = self.sign_claimed(tracked, &claimed, to).await;
        match claim {
            Claim::Stands => {}
            Claim::GivenBack => self.wallet.give_back(id),
            Claim::Discarded => self.wallet.discard(id),
        }
        signed
    }

    /// What was paid in a life that the log has forgotten is found while nothing goes out, too: the books are held against
    /// the wallet then, and who is to let the desk go on wants to see what it owes. Once for a deposit; before its payout
    /// is signed it is looked for again.
    pub(super) async fn look_while_closed(&self, tracked: &Arc<Tracked>) -> Result<Option<Arc<Tracked>>, Trouble> {
        let Deposit { receipt, payout, .. } = &tracked.deposit;
        let to = receipt.customer.as_ref().and_then(|customer| customer.target.parse().ok());
        let (Some(payout), Some(to)) = (payout, to) else { return Ok(None) };
        if self.looked_for().contains(&receipt.id) {
            return Ok(None);
        }
        let found = self.look(tracked, to, payout.amount).await?;
        self.alarms.payout.clear(receipt.id);
        self.looked_for().insert(receipt.id);
        Ok(found)
    }

    async fn look(
        &self,
        tracked: &Arc<Tracked>,
        to: SkyAddress,
        owed: Amount<Sky>,
    ) -> Result<Option<Arc<Tracked>>, Trouble> {
        self.check_sync().await?;
        self.recall(tracked, to, owed).await
    }

    /// Before a forgotten payout is looked for, and before another is made: a node that lags would not know of it.
    async fn check_sync(&self) -> Result<(), Trouble> {
        let lag = self.heard(self.sync.lag(&*self.node).await)?;
        lag.map_or(Ok(()), |lag| Err(Trouble::Lags(lag)))?;
        self.alarms.sync.clear();
        Ok(())
    }

    async fn sign_claimed(
        &self,
        tracked: Arc<Tracked>,
        claimed: &[FreeOutput],
        to: SkyAddress,
    ) -> (Result<Arc<Tracked>, Trouble>, Claim) {
        let id = tracked.deposit.receipt.id;
        let Some(owed) = &tracked.deposit.payout else { return (Err(Trouble::Held), Claim::GivenBack) };
        // A payout to oneself pays nobody and looks done.
        if claimed.iter().any(|output| output.address == to) {
            return (self.hold(id, HoldReason::InvalidTarget).await, Claim::GivenBack);
        }
        let payout = Payout {
            wallet_id: self.settings.wallet_id.clone(),
            password: self.settings.password.clone(),
            unspents: claimed.iter().map(|output| output.uxid).collect(),
            change_address: claimed[0].address,
            to,
            coins: owed.amount,
        };
        let created = match self.node.create(&payout).await {
            Ok(created) => created,
            Err(error) => return self.not_created(id, error).await,
        };
        self.alarms.node.clear();
        let (created, found) = self.checker.check(payout, created).await;
        if let Err(mismatch) = found {
            tracing::error!(deposit = %id, %mismatch, "the wallet signed something else than it was asked for");
            return (self.hold(id, HoldReason::WalletMisbehaved).await, Claim::Discarded);
        }
        self.alarms.wallet.clear(id);
        self.alarms.payout.clear(id);
        if canary::lives(Canary::SendFirst) {
            let _ = self.node.inject(&created.transaction).await;
        }
        self.record_signed(id, signed(&created.transaction)).await
    }

    pub(super) async fn record_signed(
        &self,
        id: DepositId,
        signed: SignedPayout,
    ) -> (Result<Arc<Tracked>, Trouble>, Claim) {
        let entry = match self.wallet.begin(Change::Reserve(id, signed.inputs.clone())).await {
            Ok(entry) => entry,
            Err(error) => return (Err(error.into()), Claim::GivenBack),
        };
        let recorded = self.deposits.execute_with(id, &Command::RecordSigned(signed), vec![entry.write()]).await;
        let stored = stored(&recorded);
        entry.settle(stored);
        let claim = match stored {
            // Stored: the claim has become a reservation already.
            Stored::Yes | Stored::Unknown => Claim::Stands,
            Stored::No => Claim::GivenBack,
        };
        (recorded.map_err(Trouble::from), claim)
    }

    async fn not_created(&self, id: DepositId, error: CreateError) -> (Result<Arc<Tracked>, Trouble>, Claim) {
        let (refusal, message) = match error {
            CreateError::Port(error) => return (Err(error.into()), Claim::GivenBack),
            CreateError::Refused { refusal, message } => (refusal, message),
        };
        match refusal {
            Refusal::InsufficientHours => (Err(Shortage::WaitingForHours.into()), Claim::Discarded),
            Refusal::InputGone | Refusal::SpendPending | Refusal::InsufficientCoins => {
                (Err(Trouble::Stale), Claim::Discarded)
            }
            // The address was found good when it was bound, so the node knows better than we do.
            Refusal::InvalidAddress => (self.hold(id, HoldReason::InvalidTarget).await, Claim::GivenBack),
            Refusal::RuleBroken
            | Refusal::CsrfToken
            | Refusal::WalletMissing
            | Refusal::WalletLocked
            | Refusal::NotOffered
            | Refusal::Other => (Err(Trouble::WalletRefuses(message)), Claim::GivenBack),
        }
    }

    pub(super) async fn hold<T>(&self, id: DepositId, reason: HoldReason) -> Result<T, Trouble> {
        self.deposits.execute(id, &Command::Hold { reason }).await?;
        Err(Trouble::Held)
    }
}
