//! What the blocks take from the hot wallet, and whether each of it is a payout of the log or a declared sweep.
//!
//! Blocks are read from the one on up to which everything was matched; that one moves on with those that are final, and the
//! log remembers it every so many blocks. A transaction that only moves coins within the wallet pays nobody and needs no
//! account. The node is asked first and the log afterwards, which has every payout before its transaction can be there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use millrace_model::desk::{Desk, Place, SweepSeen};
use millrace_model::ids::{Hash32, Position};
use millrace_model::ledger::Ticker;
use millrace_model::spend::Spend;
use millrace_model::stray::Strays;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::Txid;
use millrace_protocols::wire::skycoin::transaction::Transaction;

use super::Seen;
use crate::brakes;
use crate::deposits::Deposits;
use crate::event_store::ReadError;
use crate::operations::Operations;
use crate::ports::{PortError, SkycoinWatch};

/// How many blocks are read at one look; the rest at the next.
const BLOCKS_MAX: u64 = 1_000;
/// After how many blocks the log is told how far everything was matched.
const TOLD_EVERY: u64 = 256;
/// How many events are looked through at once.
const EVENTS_MAX: u64 = 20_000;
/// For so many transactions one halt is stored; for what is beyond, the next.
const SPENDS_MAX: usize = 64;

pub(super) struct Spends {
    deposits: Deposits,
    operations: Operations,
    node: Arc<dyn SkycoinWatch>,
    /// How deep a block is final.
    confirmations: u64,
    /// Up to which block everything was matched in this life.
    matched_to: u64,
    payouts: Payouts,
    strays: Strays<Hash32>,
}

/// Where the blocks of a look begin and end.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// The last one that need not be read.
    matched_to: u64,
    /// The node's newest.
    tip: u64,
}

impl Spends {
    pub(super) fn new(
        deposits: Deposits,
        operations: Operations,
        node: Arc<dyn SkycoinWatch>,
        confirmations: u64,
    ) -> Self {
        let (payouts, strays) = (Payouts::default(), Strays::default());
        Self { deposits, operations, node, confirmations, matched_to: 0, payouts, strays }
    }

    /// Reads the blocks that are to be read and asks the log for their payouts; why not, in words for a person.
    pub(super) async fn look(&mut self) -> Result<Seen<Spend>, String> {
        let (_, desk) = brakes::read_desk(self.deposits.store()).map_err(|error| error.to_string())?;
        if !desk.is_opened(Place::HotWallet, Ticker::Sky) {
            return Ok(Seen::default());
        }
        let tip = self.tip().await.map_err(node_trouble)??;
        let Some(recorded) = desk.spends().matched_to() else {
            self.tell(tip).await?;
            return Ok(Seen::default());
        };
        if !self.deposits.past().is_known() {
            return Ok(Seen::default());
        }
        let span = Span { matched_to: self.matched_to.max(recorded), tip };
        let (read_to, spends) = self.read(span).await.map_err(node_trouble)?;
        let strays = self.strays(desk, &spends).await?;
        self.move_on(span, read_to, recorded, (&spends, &strays)).await?;
        let mut judged = self.strays.judge(&strays, |spend| spend.txid);
        self.leave_to_deposits(&mut judged).await?;
        judged.truncate(SPENDS_MAX);
        Ok(Seen { strays, judged })
    }

    /// The newest block of a node that knows all that has happened.
    async fn tip(&self) -> Result<Result<u64, String>, PortError> {
        Ok(match self.node.lag().await? {
            Some(lag) => Err(format!("spends of the hot wallet: the Skycoin node: {lag}")),
            None => Ok(self.node.tip().await?.seq),
        })
    }

    /// What the blocks take from the wallet, and the last block that was read.
    async fn read(&self, span: Span) -> Result<(u64, Vec<Spend>), PortError> {
        let Span { matched_to, tip } = span;
        let mut spends = Vec::new();
        for seq in matched_to + 1..=tip.min(matched_to.saturating_add(BLOCKS_MAX)) {
            // One that was there and is not any more was taken back; what comes in its place is read at the next look.
            let Some(found) = self.node.spends_in(seq).await? else { return Ok((seq - 1, spends)) };
            let taken = found.into_iter().filter(|spend| spend.coins.units() > 0);
            spends.extend(taken.map(|spend| Spend { txid: Hash32(spend.txid.0), block_seq: seq, coins: spend.coins }));
        }
        Ok((tip.min(matched_to.saturating_add(BLOCKS_MAX)), spends))
    }

    /// Those that are neither payouts nor known; what a declared sweep covers becomes known.
    async fn strays(&mut self, mut desk: Desk, spends: &[Spend]) -> Result<Vec<Spend>, String> {
        let unknown = spends.iter().filter(|spend| !desk.spends().is_known(spend.txid)).cloned().collect();
        let unmatched =
            self.payouts.without_payout(unknown, &self.deposits).await.map_err(|error| error.to_string())?;
        let mut strays = Vec::new();
        for spend in unmatched {
            if desk.spends().covers(spend.coins) {
                self.operations.sweep_seen(spend.clone()).await.map_err(|error| error.to_string())?;
                desk = desk.evolve(&SweepSeen { spend }.into());
            } else {
                strays.push(spend);
            }
        }
        Ok(strays)
    }

    /// What is final and matched is not read again.
    async fn move_on(
        &mut self,
        span: Span,
        read_to: u64,
        recorded: u64,
        (spends, strays): (&[Spend], &[Spend]),
    ) -> Result<(), String> {
        let is_final_to = (span.tip + 1).saturating_sub(self.confirmations);
        let first_stray = strays.iter().map(|spend| spend.block_seq).min();
        let settled_to = read_to.min(is_final_to).min(first_stray.map_or(u64::MAX, |seq| seq - 1));
        self.matched_to = span.matched_to.max(settled_to);
        self.payouts.forget(spends.iter().filter(|spend| spend.block_seq <= self.matched_to));
        if self.matched_to >= recorded + TOLD_EVERY {
            self.tell(self.matched_to).await?;
        }
        Ok(())
    }

    async fn tell(&self, block_seq: u64) -> Result<(), String> {
        self.operations.spends_matched(block_seq).await.map(drop).map_err(|error| error.to_string())
    }

    /// Leaves out what may be the payout of a deposit that was dealt with in a life which the log has forgotten: the sender
    /// takes it up, or holds the deposit.
    async fn leave_to_deposits(&self, judged: &mut Vec<Spend>) -> Result<(), String> {
        if judged.is_empty() {
            return Ok(());
        }
        let paid = self.may_have_been_paid().map_err(|error| error.to_string())?;
        let mut strays = Vec::new();
        for spend in judged.drain(..) {
            let transaction = self.node.own(Txid(spend.txid.0)).await.map_err(node_trouble)?;
            let pays_one = |own: &Transaction| own.outputs().iter().any(|output| paid.contains(&output.address));
            if !transaction.as_ref().is_some_and(pays_one) {
                strays.push(spend);
            }
        }
        *judged = strays;
        Ok(())
    }

    /// The customers of deposits that may have been paid before the process began, and of which the log knows no payout.
    fn may_have_been_paid(&self) -> Result<HashSet<SkyAddress>, ReadError> {
        let mut targets = HashSet::new();
        for id in self.deposits.open()?.1 {
            let Some(tracked) = self.deposits.get(id)? else { continue };
            let deposit = &tracked.deposit;
            if deposit.signed_payout().is_none() && self.deposits.past().may_know(deposit) {
                let target: Option<SkyAddress> =
                    deposit.receipt.customer.as_ref().and_then(|customer| customer.target.parse().ok());
                targets.extend(target);
            }
        }
        Ok(targets)
    }
}

/// The payouts of the log, as far as they were asked for.
#[derive(Debug, Default)]
struct Payouts {
    /// Signed since the first look, and not yet in a final block.
    recent: HashSet<Hash32>,
    /// Up to where the log was followed; nowhere before the first look.
    position: Option<Position>,
    /// Of those that are not recent: whether the log of before the first look has them.
    before: HashMap<Hash32, bool>,
}

impl Payouts {
    /// Those of the spends that are no payouts.
    async fn without_payout(&mut self, spends: Vec<Spend>, deposits: &Deposits) -> Result<Vec<Spend>, ReadError> {
        let began = self.follow(deposits).await?;
        let unknown = spends.iter().map(|spend| spend.txid);
        let unknown = unknown.filter(|txid| !self.recent.contains(txid) && !self.before.contains_key(txid)).collect();
        self.look_back(unknown, began, deposits).await?;
        let is_payout =
            |spend: &Spend| self.recent.contains(&spend.txid) || self.before.get(&spend.txid) == Some(&true);
        Ok(spends.into_iter().filter(|spend| !is_payout(spend)).collect())
    }

    /// Takes in what was signed since the last look; where the first began.
    async fn follow(&mut self, deposits: &Deposits) -> Result<Position, ReadError> {
        let head = deposits.store().head();
        let mut position = *self.position.get_or_insert(head);
        while position < head {
            let to = head.min(position + EVENTS_MAX);
            self.recent.extend(deposits.store().reader()?.payouts_signed(position, to)?);
            position = to;
            self.position = Some(to);
            tokio::task::yield_now().await;
        }
        Ok(position)
    }

    /// Looks for these in the log up to a position, newest first, until all are found.
    async fn look_back(
        &mut self,
        mut unknown: HashSet<Hash32>,
        mut to: Position,
        deposits: &Deposits,
    ) -> Result<(), ReadError> {
        while to > 0 && !unknown.is_empty() {
            let after = to.saturating_sub(EVENTS_MAX);
            for txid in deposits.store().reader()?.payouts_signed(after, to)? {
                if unknown.remove(&txid) {
                    self.before.insert(txid, true);
                }
            }
            to = after;
            tokio::task::yield_now().await;
        }
        self.before.extend(unknown.into_iter().map(|txid| (txid, false)));
        Ok(())
    }

    fn forget<'a>(&mut self, spends: impl Iterator<Item = &'a Spend>) {
        for spend in spends {
            self.recent.remove(&spend.txid);
            self.before.remove(&spend.txid);
        }
    }
}

fn node_trouble(error: PortError) -> String {
    format!("spends of the hot wallet: the Skycoin node: {error}")
}
