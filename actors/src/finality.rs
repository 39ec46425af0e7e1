//! Watches payouts for a while after they were final, and says so when one has left its block after all.
//!
//! It asks for blocks, not for payouts: a block is read once, and read again when the chain was reorganised. A payout
//! that is in its block no more is looked for by what it spends; when it is nowhere deep enough, its deposit goes back to
//! waiting for its confirmation, and the sender hands in the same bytes.
//!
//! Nothing about it is stored. A start looks at the payouts confirmed most recently, then follows the log.

mod blocks;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use millrace_model::deposit::{Command, Deposit, Event as DepositEvent, Outcome, Stage};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{DepositId, Position, StreamName};
use millrace_protocols::payout::{Answer, BytesError, Phase, SignedTransaction, Step};
use millrace_protocols::wire::skycoin::hash::Txid;

use crate::deposits::{Deposits, ExecuteError};
use crate::event_store::ReadError;
use crate::ports::{PortError, SkyTip, SkycoinWatch};
use crate::supervision::{Reporter, Tree, TreeError};
use blocks::Blocks;

/// The part's name in the tree.
pub const PART: &str = "finality";

/// How many blocks a payout is watched after it was final.
const WATCHED_BLOCKS: u64 = 20;
/// How many of the newest events a start looks through for payouts to watch.
const LOOKED_BACK_EVENTS: u64 = 8_192;
/// How many events are taken in at once.
const PAGE_EVENTS_MAX: usize = 2_048;
/// What is reported while the node does not answer.
const TROUBLE: &str = "skycoin_node";

/// How the chain is watched.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How deep a payout must be, its own block included; at least 1.
    pub confirmations: u64,
    /// The pause between two looks at the chain.
    pub poll: Duration,
}

/// Adds the part to the tree.
pub fn start(
    tree: &Tree,
    deposits: Deposits,
    node: Arc<dyn SkycoinWatch>,
    settings: Settings,
) -> Result<(), TreeError> {
    tree.add_task(PART, move |report| {
        let (deposits, node) = (deposits.clone(), Arc::clone(&node));
        let vigil = Vigil { deposits, node, settings, report, position: 0, tip: None, blocks: Blocks::default() };
        async move { vigil.run().await.map(|never| match never {}) }
    })
}

/// Why the watch starts afresh.
#[derive(Debug, thiserror::Error)]
pub enum FinalityError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log's bell is gone.
    #[error("the event store is gone")]
    StoreGone,
}

/// Why a look at the chain comes to nothing for now.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Node(#[from] PortError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}

struct Vigil {
    deposits: Deposits,
    node: Arc<dyn SkycoinWatch>,
    settings: Settings,
    report: Reporter,
    position: Position,
    tip: Option<SkyTip>,
    blocks: Blocks,
}

impl Vigil {
    async fn run(mut self) -> Result<Infallible, FinalityError> {
        self.deposits.store().ready().await;
        let mut bell = self.deposits.store().bell();
        self.position = self.deposits.store().head().saturating_sub(LOOKED_BACK_EVENTS);
        let mut looks = tokio::time::interval(self.settings.poll);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.follow()?;
            tokio::select! { biased;
                // First, because under load the bell never rests.
                _ = looks.tick() => match self.look().await {
                    Ok(()) => self.report.clear(TROUBLE),
                    Err(Trouble::Node(error)) => self.report.set(TROUBLE, error.to_string()),
                    Err(trouble) => tracing::warn!(error = %trouble, "payouts are to be looked at again"),
                },
                rung = bell.changed() => rung.map_err(|_| FinalityError::StoreGone)?,
            }
        }
    }

    fn follow(&mut self) -> Result<(), ReadError> {
        while self.position < self.deposits.store().head() {
            let page = self.deposits.store().after(self.position, PAGE_EVENTS_MAX)?;
            let Some(last) = page.last() else { break };
            page.events().for_each(|recorded| self.take_in(recorded));
            self.position = last;
        }
        Ok(())
    }

    fn take_in(&mut self, recorded: &Recorded) {
        if let (StreamName::Deposit(id), Event::Deposit(DepositEvent::Confirmed(confirmed))) =
            (&recorded.stream, &recorded.event)
        {
            self.blocks.insert(confirmed.block_seq, *id);
        }
    }

    /// Reads the blocks that are not known to hold their payouts; after a reorganisation that is all of them.
    async fn look(&mut self) -> Result<(), Trouble> {
        if self.blocks.is_empty() {
            return Ok(());
        }
        let tip = self.node.tip().await?;
        if self.tip != Some(tip) {
            if !self.still_holds(tip).await? {
                tracing::warn!(seq = tip.seq, hash = %tip.hash, "the Skycoin chain was reorganised");
                self.blocks.doubt_all();
            }
            let watched_from = (tip.seq + 1).saturating_sub(self.settings.confirmations + WATCHED_BLOCKS);
            match self.tip.replace(tip) {
                // What a start finds in the log is mostly long past.
                None => self.blocks.forget_below(watched_from),
                Some(_) => self.blocks.forget_known_below(watched_from),
            }
        }
        while let Some(seq) = self.blocks.doubtful() {
            self.read(seq).await?;
        }
        Ok(())
    }

    /// Whether the newest block known so far is still in the chain that ends in `tip`.
    async fn still_holds(&self, tip: SkyTip) -> Result<bool, PortError> {
        let Some(known) = self.tip else { return Ok(true) };
        let there = if tip.seq < known.seq { None } else { self.node.sky_block(known.seq).await? };
        Ok(there.is_some_and(|block| block.hash == known.hash))
    }

    async fn read(&mut self, seq: u64) -> Result<(), Trouble> {
        let block = self.node.sky_block(seq).await?;
        let inside = block.map(|block| block.transactions).unwrap_or_default();
        for id in self.blocks.payouts(seq) {
            match self.judge(id, &inside).await? {
                Verdict::Inside => {}
                Verdict::Over => self.blocks.remove(seq, id),
                Verdict::Moved(to) if to == seq => {}
                Verdict::Moved(to) => {
                    self.blocks.remove(seq, id);
                    self.blocks.insert(to, id);
                }
                Verdict::Lost => {
                    self.lost(id).await?;
                    self.blocks.remove(seq, id);
                }
            }
        }
        self.blocks.trust(seq);
        Ok(())
    }

    async fn judge(&self, id: DepositId, inside: &[Txid]) -> Result<Verdict, Trouble> {
        let Some(tracked) = self.deposits.get(id)? else { return Ok(Verdict::Over) };
        let Some(txid) = paid_by(&tracked.deposit) else { return Ok(Verdict::Over) };
        if inside.contains(&txid) {
            return Ok(Verdict::Inside);
        }
        match self.payout(&tracked.deposit) {
            Ok(payout) => Ok(self.look_for(&payout).await?),
            Err(error) => {
                tracing::error!(deposit = %id, %error, "a payout cannot be watched");
                Ok(Verdict::Over)
            }
        }
    }

    fn payout(&self, deposit: &Deposit) -> Result<SignedTransaction, BytesError> {
        let signed = deposit.signed_payout().ok_or(BytesError::Other)?;
        SignedTransaction::read(signed, self.settings.confirmations)
    }

    /// By its name first, then by what it spends: signatures can be changed, what is paid cannot.
    async fn look_for(&self, payout: &SignedTransaction) -> Result<Verdict, PortError> {
        let seen = self.node.transaction(payout.transaction().txid()).await?;
        let step = match seen {
            Some(seen) => payout.next(Phase::Mined, Answer::Transaction(Some(&seen))),
            None => {
                let history = self.node.transactions_of(payout.transaction().outputs()[0].address).await?;
                payout.next(Phase::Mined, Answer::History(&history))
            }
        };
        Ok(match step {
            Step::Final { block_seq, .. } => Verdict::Moved(block_seq),
            Step::Inject
            | Step::AwaitConfirmation
            | Step::Reinject
            | Step::LookUp
            | Step::Contested { .. }
            | Step::Conflict { .. } => Verdict::Lost,
        })
    }

    async fn lost(&self, id: DepositId) -> Result<(), Trouble> {
        tracing::error!(deposit = %id, "a payout has left its block after it was final; its bytes are handed in again");
        match self.deposits.execute(id, &Command::RecordPayoutReorged).await {
            // Somebody was faster; whoever moved it has it in hand.
            Ok(_) | Err(ExecuteError::Rejected(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What became of a payout that was final.
enum Verdict {
    /// It is in the block where it is looked for.
    Inside,
    /// It is final in the block with this number.
    Moved(u64),
    /// It is nowhere, or not deep enough any more.
    Lost,
    /// There is nothing to watch.
    Over,
}

/// The transaction that paid a deposit out for good.
fn paid_by(deposit: &Deposit) -> Option<Txid> {
    (deposit.stage == Stage::Done(Outcome::Paid)).then_some(())?;
    deposit.signed_payout().map(|signed| Txid(signed.txid.0))
}

#[cfg(test)]
mod tests;
