//! The second phase of a life: nothing goes wrong any more, and everything has to come to its end within a bound.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bitcoin::Txid;
use millrace_actors::event_store::{Reader, Verified};
use millrace_model::deposit::{Deposit, HoldReason, Outcome, Sighting, Stage};
use millrace_model::ids::Position;
use tokio::time::{Instant, sleep, timeout};

use super::story::Story;
use crate::judge::{Account, Judgement, judge, judge_at_rest};

/// After so long without trouble everything must have come to its end.
const PEACE: Duration = Duration::from_secs(300);
/// How often blocks come.
const BLOCK_EVERY: Duration = Duration::from_secs(1);
/// Who is at rest stays so, at least for so many blocks.
const BLOCKS_AT_REST: usize = 8;

/// How a story ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The log's last word: the same for the same seed.
    pub verified: Verified,
    /// Up to which position it was sealed.
    pub sealed: Position,
    /// How often the desk crashed.
    pub crashes: u32,
    /// How often its log was lost besides, and restored from a backup.
    pub restored: u32,
    /// How many deposits there were, by how they ended.
    pub endings: BTreeMap<String, usize>,
    /// How many orders the exchange took.
    pub orders: usize,
    /// How often a payout that was final left its block.
    pub payouts_lost: usize,
    /// How long the life was, by the world's clock.
    pub lasted: Duration,
    /// How much of that was peace, before everything had come to its end.
    pub rested_after: Duration,
}

impl Story {
    /// Blocks come, nothing goes wrong, and everything has to come to its end.
    pub(super) async fn come_to_rest(self) -> Result<Ending> {
        let began = Instant::now();
        let rests = async {
            loop {
                self.pass_blocks(4).await;
                if self.unsettled()?.is_empty() {
                    return anyhow::Ok(());
                }
            }
        };
        match timeout(PEACE, rests).await {
            Ok(rests) => rests?,
            Err(_) => bail!("still open: {:#?}\nthe desk: {}", self.unsettled()?, self.desk.health()),
        }
        let rested_after = began.elapsed();
        self.pass_blocks(BLOCKS_AT_REST).await;
        self.end(rested_after).await
    }

    async fn pass_blocks(&self, blocks: usize) {
        for _ in 0..blocks {
            self.world.bitcoin.mine(None);
            self.world.skycoin.mine();
            self.world.venue.step();
            sleep(BLOCK_EVERY).await;
        }
    }

    /// What is open: a payment without a deposit, or a deposit that neither ended nor is held for a reason.
    fn unsettled(&self) -> Result<Vec<String>> {
        let accounts = match judge_at_rest(&*self.desk.store.reader()?, &self.world.books()) {
            Ok(accounts) => accounts,
            // A payout that left its block has to be missed first, and a log that was restored has to find out.
            Err(error) => return Ok(vec![format!("{error:#}")]),
        };
        let mut open: Vec<String> = Vec::new();
        let paid = self.paid();
        for (txid, index, satoshis) in &paid {
            let is_known = |account: &&Account| {
                let receipt = &account.deposit.receipt;
                receipt.outpoint.to_string() == format!("{txid}:{index}") && receipt.amount.units() == *satoshis
            };
            if accounts.values().filter(is_known).count() != 1 {
                open.push(format!("{txid}:{index} of {satoshis} has not exactly one deposit"));
            }
        }
        // What vanished and was mined after all is yet to be noticed.
        let is_open =
            |account: &&Account| ending(account).is_none() || is_vanished(account) && is_among(&paid, &account.deposit);
        open.extend(accounts.values().filter(is_open).map(|account| format!("{:?}", account.deposit)));
        Ok(open)
    }

    /// What the best chain pays to the desk's addresses.
    fn paid(&self) -> Vec<(Txid, u32, u64)> {
        self.world.bitcoin.paid_to(|script| self.scripts.contains(script))
    }

    async fn end(self, rested_after: Duration) -> Result<Ending> {
        let paid = self.paid();
        let open = self.unsettled()?;
        ensure!(open.is_empty(), "did not stay at rest: {open:#?}");
        self.ask_again().await?;
        self.is_safe()?;
        self.desk.crash().await;
        let log = Reader::open(&self.log())?;
        let Judgement { verified, accounts, .. } = judge(&log, &self.world.books())?;
        let mut endings: BTreeMap<String, usize> = BTreeMap::new();
        for account in accounts.values() {
            let ending = ending(account).context("everything is at rest")?;
            let (outpoint, is_there) = (account.deposit.receipt.outpoint, is_among(&paid, &account.deposit));
            ensure!(
                is_there != is_vanished(account),
                "{outpoint} ended as {ending}, and in the chain it is: {is_there}"
            );
            *endings.entry(ending).or_default() += 1;
        }
        Ok(Ending {
            verified,
            sealed: log.sealed_until()?,
            crashes: self.crashes,
            restored: self.restored,
            endings,
            orders: self.world.venue.orders().len(),
            payouts_lost: accounts.values().map(|account| account.lost).sum(),
            lasted: self.world.clock.elapsed(),
            rested_after,
        })
    }
}

fn is_among(paid: &[(Txid, u32, u64)], deposit: &Deposit) -> bool {
    let outpoint = deposit.receipt.outpoint.to_string();
    paid.iter().any(|(txid, index, _)| format!("{txid}:{index}") == outpoint)
}

fn is_vanished(account: &Account) -> bool {
    matches!(account.deposit.stage, Stage::Done(Outcome::Vanished | Outcome::WrittenOff { .. }))
}

/// How a deposit ended, or for what reason it is held; `None` while it is under way.
fn ending(account: &Account) -> Option<String> {
    let deposit = &account.deposit;
    match &deposit.stage {
        Stage::Done(Outcome::Paid) => Some("paid".to_owned()),
        Stage::Done(Outcome::Vanished) if is_gone(deposit) => Some("vanished".to_owned()),
        Stage::Done(Outcome::WrittenOff { .. }) if is_gone(deposit) => Some("written_off".to_owned()),
        Stage::Held { reason, .. } => {
            let order_is_open = deposit.purchase.as_ref().is_some_and(|purchase| purchase.open_order().is_some());
            let name = match reason {
                // The last: after a log was lost, paying this customer more than once is a matter for a person.
                HoldReason::BelowMinimum => "below_minimum",
                HoldReason::NothingToSend => "nothing_to_send",
                HoldReason::PaidBefore { .. } => "paid_before",
                // What was ordered is seen to its end all the same.
                HoldReason::PurchaseStopped if !order_is_open => "purchase_stopped",
                HoldReason::PurchaseStopped
                | HoldReason::AboveMaximum
                | HoldReason::DepositOrphaned
                | HoldReason::CoinsSeenBefore { .. }
                | HoldReason::PayoutAboveMaximum
                | HoldReason::OrderUnaccounted
                | HoldReason::PayoutTooManyInputs
                | HoldReason::InvalidTarget
                | HoldReason::WalletMisbehaved
                | HoldReason::Operator { .. } => return None,
            };
            Some(format!("held: {name}"))
        }
        _ => None,
    }
}

fn is_gone(deposit: &Deposit) -> bool {
    matches!(deposit.sighting, Sighting::Vanished { .. })
}
