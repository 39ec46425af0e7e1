//! From signed bytes in the log to a payout that is final: hand in, watch, hand in again, or find them void.

use std::sync::Arc;

use millrace_model::deposit::{Command, Stage};
use millrace_model::ids::{CommandId, DepositId, Hash32};
use millrace_protocols::payout::{Answer, FreeOutput, Phase, SignedTransaction, Step, by_name};
use millrace_protocols::wire::skycoin::hash::Txid;
use millrace_protocols::wire::skycoin::rest::{Seen, Standing};
use tokio::time::Instant;

use super::watches::Watch;
use super::{SWITCH_PAUSE, Sender, Trouble, stored};
use crate::canary::{self, Canary};
use crate::deposits::{ExecuteError, Tracked};
use crate::event_store::Append;
use crate::ports::PortError;
use crate::wallet::Change;
use crate::worker::Next;

impl Sender {
    /// Takes a signed payout as far as it goes now.
    pub(super) async fn deliver(&self, tracked: Arc<Tracked>) -> Result<Next, Trouble> {
        self.reserve_known(&tracked);
        self.reserve_again(&tracked).await?;
        if tracked.deposit.stage != Stage::WaitSend {
            return self.watch(tracked).await;
        }
        // Signing takes its time, and the desk may have been halted meanwhile.
        if !self.may_send()? {
            return Ok(Next::After(SWITCH_PAUSE));
        }
        // Also after a restart, when nobody remembers whether a node has them: the same bytes, again.
        match self.hand_in(&tracked, Phase::Signed).await? {
            Step::AwaitConfirmation => {
                let tracked = self.sent(tracked).await?;
                self.watch(tracked).await
            }
            step => self.carry_out(tracked, step, None).await,
        }
    }

    /// When it was unknown whether the signed payout was stored, its claim still stands.
    fn reserve_known(&self, tracked: &Tracked) {
        if let Some(signed) = tracked.deposit.signed_payout() {
            self.wallet.reserve_known(tracked.deposit.receipt.id, &signed.inputs);
        }
    }

    /// A payout that left its block after it was final spends again what the wallet believed spent.
    async fn reserve_again(&self, tracked: &Tracked) -> Result<(), Trouble> {
        let (id, position) = (tracked.deposit.receipt.id, tracked.position);
        let Some(signed) = tracked.deposit.signed_payout() else { return Ok(()) };
        let reorgs = tracked.deposit.payout.as_ref().map_or(0, |payout| payout.reorgs);
        if reorgs == 0 || self.wallet.is_reserved(id) {
            return Ok(());
        }
        let entry = self.wallet.begin(Change::Reserve(id, signed.inputs.clone())).await?;
        let append = Append {
            command_id: CommandId::following(position, &["ReserveAgain", &id.to_string()]),
            command: "ReserveAgain",
            body: "{}".to_owned(),
            causation: Some(position),
            correlation: Some(id.0),
            writes: vec![entry.write()],
        };
        let reserved = self.deposits.store().append(append).await.map_err(ExecuteError::from);
        entry.settle(stored(&reserved));
        reserved?;
        Ok(())
    }

    async fn watch(&self, tracked: Arc<Tracked>) -> Result<Next, Trouble> {
        let (Some(signed), Some(payout)) = (tracked.deposit.signed_payout(), &tracked.deposit.payout) else {
            return Ok(Next::Look);
        };
        let mut watch = self.watches.get(tracked.deposit.receipt.id).unwrap_or_else(|| Watch::of(payout));
        let now = Instant::now();
        if now < watch.due {
            return Ok(Next::After(watch.due - now));
        }
        let seen = self.heard(self.node.transaction(Txid(signed.txid.0)).await)?;
        let tracked = self.note(tracked, &mut watch, seen.as_ref()).await?;
        let phase = watch.phase(self.settings.resend_after);
        match by_name(phase, seen.as_ref(), self.settings.confirmations) {
            Step::Inject | Step::Reinject if self.may_send()? => {
                let step = self.hand_in(&tracked, phase).await?;
                self.carry_out(tracked, step, None).await
            }
            Step::Inject | Step::Reinject => Ok(self.rest(tracked.deposit.receipt.id)),
            step => self.carry_out(tracked, step, seen.as_ref()).await,
        }
    }

    /// Remembers what was seen, and records when a payout has left its block.
    async fn note(
        &self,
        tracked: Arc<Tracked>,
        watch: &mut Watch,
        seen: Option<&Seen>,
    ) -> Result<Arc<Tracked>, Trouble> {
        let id = tracked.deposit.receipt.id;
        let mined = seen.is_some_and(|seen| matches!(seen.standing, Standing::Confirmed { .. }));
        let tracked = match watch.mined && !mined {
            true => self.deposits.execute(id, &Command::RecordPayoutReorged).await?,
            false => tracked,
        };
        watch.saw(seen.map(|seen| seen.standing));
        self.watches.put(id, *watch);
        Ok(tracked)
    }

    /// Hands the bytes in; when the node does not want them, finds out what has become of them. Never says
    /// [`Step::LookUp`].
    async fn hand_in(&self, tracked: &Tracked, phase: Phase) -> Result<Step, Trouble> {
        let deposit = &tracked.deposit;
        let Some(signed) = deposit.signed_payout() else { return Ok(Step::AwaitConfirmation) };
        let payout = SignedTransaction::read(signed, self.settings.confirmations)?;
        match self.node.inject(payout.transaction()).await {
            Ok(()) => {
                self.alarms.node.clear();
                self.taken(deposit.receipt.id);
                Ok(payout.next(phase, Answer::Taken))
            }
            Err(PortError::Refused(why)) => {
                tracing::warn!(deposit = %deposit.receipt.id, txid = %signed.txid, why, "a payout was not taken");
                self.look_up(&payout, phase).await
            }
            Err(_) if canary::lives(Canary::SignAnew) => Ok(Step::Conflict { conflicting_txid: signed.inner_hash }),
            Err(error) => Err(error.into()),
        }
    }

    async fn look_up(&self, payout: &SignedTransaction, phase: Phase) -> Result<Step, Trouble> {
        let seen = self.heard(self.node.transaction(payout.transaction().txid()).await)?;
        if seen.is_some() {
            return Ok(payout.next(phase, Answer::Transaction(seen.as_ref())));
        }
        let to = payout.transaction().outputs()[0].address;
        let history = self.heard(self.node.transactions_of(to).await)?;
        Ok(payout.next(phase, Answer::History(&history)))
    }

    async fn carry_out(&self, tracked: Arc<Tracked>, step: Step, seen: Option<&Seen>) -> Result<Next, Trouble> {
        let id = tracked.deposit.receipt.id;
        match step {
            Step::Final { block_seq, confirmations } => {
                let tracked = self.sent(tracked).await?;
                self.confirm(tracked, Command::RecordConfirmed { block_seq, confirmations }, seen).await
            }
            Step::AwaitConfirmation => {
                self.sent(tracked).await?;
                self.alarms.payout.clear(id);
                Ok(self.rest(id))
            }
            Step::Conflict { conflicting_txid } => self.void(tracked, conflicting_txid).await,
            Step::Contested { txid } => {
                self.alarms.payout.raise(id, format!("transaction {txid} spends an input of the payout"));
                Ok(self.rest(id))
            }
            Step::Inject | Step::Reinject | Step::LookUp => match self.stranded_by(&tracked).await? {
                Some(conflicting_txid) => self.void(tracked, conflicting_txid).await,
                None => {
                    let text = "the node does not take the payout, and nothing spends its inputs";
                    self.alarms.payout.raise(id, text.to_owned());
                    Ok(self.rest(id))
                }
            },
        }
    }

    fn taken(&self, id: DepositId) {
        let watch = self.watches.get(id).unwrap_or_else(Watch::new);
        self.watches.put(id, watch.taken());
    }

    /// Records that a node has the payout, once.
    async fn sent(&self, tracked: Arc<Tracked>) -> Result<Arc<Tracked>, Trouble> {
        if tracked.deposit.stage != Stage::WaitSend {
            return Ok(tracked);
        }
        Ok(self.deposits.execute(tracked.deposit.receipt.id, &Command::RecordSent).await?)
    }

    fn rest(&self, id: DepositId) -> Next {
        let mut watch = self.watches.get(id).unwrap_or_else(Watch::new);
        let pause = watch.rest(self.settings.poll);
        self.watches.put(id, watch);
        Next::After(pause)
    }

    async fn confirm(&self, tracked: Arc<Tracked>, command: Command, seen: Option<&Seen>) -> Result<Next, Trouble> {
        let id = tracked.deposit.receipt.id;
        self.release(&tracked, &command).await?;
        self.watches.forget(id);
        let txid = tracked.deposit.signed_payout().map(|signed| tracing::field::display(signed.txid));
        tracing::info!(deposit = %id, txid, "paid out for good");
        let Some((change, paid)) = seen.and_then(|seen| seen.outputs.split_last()).filter(|(_, paid)| !paid.is_empty())
        else {
            return Ok(Next::Wait);
        };
        if paid[0].address != change.address {
            let (uxid, address, coins, hours) = (change.uxid, change.address, change.coins, change.hours);
            self.wallet.offer(FreeOutput { uxid, address, coins, hours });
        }
        Ok(Next::Wait)
    }

    async fn void(&self, tracked: Arc<Tracked>, conflicting_txid: Hash32) -> Result<Next, Trouble> {
        let id = tracked.deposit.receipt.id;
        tracing::error!(deposit = %id, txid = %conflicting_txid, "another transaction has made a payout impossible");
        self.release(&tracked, &Command::RecordVoided { conflicting_txid }).await?;
        self.watches.forget(id);
        self.alarms.payout.clear(id);
        Ok(Next::Look)
    }

    /// Records the end of signed bytes together with the end of their reservation.
    async fn release(&self, tracked: &Tracked, command: &Command) -> Result<(), Trouble> {
        let id = tracked.deposit.receipt.id;
        let inputs = tracked.deposit.signed_payout().map(|signed| signed.inputs.clone()).unwrap_or_default();
        let entry = self.wallet.begin(Change::Release(id, inputs)).await?;
        let recorded = self.deposits.execute_with(id, command, vec![entry.write()]).await;
        entry.settle(stored(&recorded));
        recorded?;
        Ok(())
    }
}
