//! What the sandbox's operator does to the chain: blocks on demand, transactions dropped, blocks taken back, coins
//! spent from under the desk, hours drained and brought back.

use std::io;

use millrace_model::money::{Amount, Sky};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{BlockHash, Txid, UxId};
use millrace_protocols::wire::skycoin::transaction::{Output, Transaction};
use rust_decimal::Decimal;
use serde::Serialize;

use super::entry::Entry;
use super::genesis::GENESIS_HEAD_SEQ;
use super::ledger::{Growth, Ledger, Orphans, Standing, UxOut};
use super::spend::{Candidate, HoursSelection, Spend, SpendError, build, required_fee};
use super::wallet::Key;
use super::{SkycoinNode, State};
use crate::sandbox::clock;

/// How many outputs one refill makes; they fit into one transaction.
const REFILL_OUTPUTS_MAX: u32 = 400;

/// Why the operator's wish is not granted.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Not in the pool.
    #[error("transaction {0} does not wait in the pool")]
    NotPending(Txid),
    /// The beginning of the chain stays.
    #[error("at most {0} blocks can be taken back")]
    TooDeep(u64),
    /// Spent, or never made by a block.
    #[error("output {0} is not unspent")]
    NotUnspent(UxId),
    /// Only wallets of this node can be spent from.
    #[error("output {0} belongs to no wallet of this node")]
    NotOurs(UxId),
    /// The treasury cannot pay that.
    #[error("the treasury cannot pay: {0}")]
    Treasury(#[from] SpendError),
    /// A refill of none, or of too many.
    #[error("a refill makes 1 to {REFILL_OUTPUTS_MAX} outputs")]
    RefillSize,
    /// The journal cannot be written.
    #[error("the Skycoin node's journal cannot be written: {0}")]
    Journal(#[from] io::Error),
}

/// A block that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockMade {
    /// Its number.
    pub seq: u64,
    /// Its name.
    pub hash: BlockHash,
    /// What it confirms.
    pub txids: Vec<Txid>,
}

/// How many blocks can be taken back: all after the beginning.
pub(super) fn depth_max(ledger: &Ledger) -> u64 {
    ledger.head().seq.saturating_sub(GENESIS_HEAD_SEQ)
}

impl SkycoinNode {
    /// Makes a block of everything that waits and can be spent; `None` when there is nothing, as the real node does.
    pub fn produce_block(&self) -> Result<Option<BlockMade>, ControlError> {
        let mut state = self.lock();
        let time_s = clock::now_s();
        let Some(block) = state.ledger.make_block(time_s) else { return Ok(None) };
        let made = BlockMade { seq: block.seq, hash: block.hash, txids: block.txids.clone() };
        state.journal.append(&Entry::Block { time_s, hash: made.hash })?;
        Ok(Some(made))
    }

    /// Drops a waiting transaction, as a full or restarted node may.
    pub fn drop_pending(&self, txid: Txid) -> Result<(), ControlError> {
        let mut state = self.lock();
        match state.ledger.known(&txid).map(|known| known.standing) {
            Some(Standing::Pending(_)) => (),
            Some(Standing::Confirmed(_) | Standing::Gone) | None => return Err(ControlError::NotPending(txid)),
        }
        state.journal.append(&Entry::Dropped { txid })?;
        state.ledger.forget_pending(&txid);
        Ok(())
    }

    /// Takes the newest blocks back; says which transactions are not confirmed any more.
    pub fn reorg(&self, depth: u64, orphans: Orphans) -> Result<Vec<Txid>, ControlError> {
        let mut state = self.lock();
        let possible = depth_max(&state.ledger);
        if depth > possible {
            return Err(ControlError::TooDeep(possible));
        }
        let head = state.ledger.head().seq;
        let blocks = (head - depth + 1..=head).filter_map(|seq| state.ledger.block(seq));
        let orphaned = blocks.flat_map(|block| block.txids.iter().copied()).collect();
        state.journal.append(&Entry::Reorganised { depth, orphans })?;
        state.ledger.take_back(depth, orphans);
        Ok(orphaned)
    }

    /// Spends one of the node's own outputs elsewhere, to the treasury, in a block of its own. What waits for the same
    /// output is displaced for good.
    pub fn spend_conflicting(&self, uxid: UxId) -> Result<BlockMade, ControlError> {
        let mut state = self.lock();
        let output = state.ledger.unspent(&uxid).ok_or(ControlError::NotUnspent(uxid))?;
        let key = *state.key_of(&output.output.address).ok_or(ControlError::NotOurs(uxid))?;
        let hours = state.ledger.hours(output);
        let to = Output { address: state.treasury.address, hours: hours - required_fee(hours), ..output.output };
        let transaction = signed(&key, uxid, to)?;
        state.force_block(vec![transaction])
    }

    /// Burns all hours of the hot wallet's free outputs and stops hours from growing, so that payouts find none.
    pub fn drain_hours(&self) -> Result<Option<BlockMade>, ControlError> {
        let mut state = self.lock();
        let hot = state.hot_address();
        let key = *state.key_of(&hot).expect("the hot wallet has the key of its address");
        let free = |(uxid, output): &(UxId, &UxOut)| {
            state.ledger.pending_spender(uxid).is_none() && output.output.address == hot
        };
        let dried = |(uxid, output): (UxId, &UxOut)| signed(&key, uxid, Output { hours: 0, ..output.output });
        let transactions = state.ledger.unspent_of(&hot).filter(free).map(dried).collect::<Result<Vec<_>, _>>()?;
        state.set_growth(Growth::Stopped)?;
        if transactions.is_empty() { Ok(None) } else { state.force_block(transactions).map(Some) }
    }

    /// Sends the hot wallet new outputs from the treasury, in a block of their own, and lets hours grow again.
    pub fn refill(&self, outputs: u32, coins_each: Amount<Sky>, hours_each: u64) -> Result<BlockMade, ControlError> {
        if !(1..=REFILL_OUTPUTS_MAX).contains(&outputs) {
            return Err(ControlError::RefillSize);
        }
        let mut state = self.lock();
        let hot = state.hot_address();
        // The hours differ, for two equal outputs of one transaction would have the same name.
        let hours = (0..u64::from(outputs)).map(|number| hours_each.saturating_add(number)).collect();
        let to = (0..outputs).map(|_| (hot, coins_each)).collect();
        let transaction = state.treasury_payment(to, HoursSelection::Manual(hours))?;
        state.set_growth(Growth::Running)?;
        state.force_block(vec![transaction])
    }

    /// Pays somebody from the treasury, through the pool: what another person's payment looks like.
    pub fn fund(&self, address: SkyAddress, coins: Amount<Sky>) -> Result<Txid, ControlError> {
        let mut state = self.lock();
        let share = HoursSelection::Share(Decimal::new(5, 1));
        let transaction = state.treasury_payment(vec![(address, coins)], share)?;
        Ok(state.accept(transaction)?)
    }
}

impl State {
    /// Writes a transaction that was judged to the journal and puts it into the pool.
    pub(super) fn accept(&mut self, transaction: Transaction) -> io::Result<Txid> {
        let time_s = clock::now_s();
        self.journal.append(&Entry::Injected { raw: transaction.to_hex(), time_s })?;
        Ok(self.ledger.accept(transaction, time_s))
    }

    /// The key of an address of any of the node's wallets.
    pub(super) fn key_of(&self, address: &SkyAddress) -> Option<&Key> {
        self.wallets.values().find_map(|wallet| wallet.key_of(address))
    }

    fn force_block(&mut self, transactions: Vec<Transaction>) -> Result<BlockMade, ControlError> {
        let time_s = clock::now_s();
        let raws = transactions.iter().map(Transaction::to_hex).collect();
        let block = self.ledger.force_block(transactions, time_s);
        let made = BlockMade { seq: block.seq, hash: block.hash, txids: block.txids.clone() };
        self.journal.append(&Entry::ForcedBlock { raws, time_s, hash: made.hash })?;
        Ok(made)
    }

    fn set_growth(&mut self, growth: Growth) -> io::Result<()> {
        if self.ledger.growth() != growth {
            self.journal.append(&Entry::Growth { growth })?;
            self.ledger.set_growth(growth);
        }
        Ok(())
    }

    fn treasury_payment(
        &self,
        to: Vec<(SkyAddress, Amount<Sky>)>,
        hours: HoursSelection,
    ) -> Result<Transaction, SpendError> {
        let treasury = self.treasury.address;
        let unspent = self.ledger.unspent_of(&treasury);
        let free = unspent.filter(|(uxid, _)| self.ledger.pending_spender(uxid).is_none());
        let candidates = free.map(|(uxid, output)| candidate(&self.ledger, uxid, output)).collect();
        let (mut transaction, chosen) = build(&Spend { candidates, to, hours, change: Some(treasury) })?;
        (0..chosen.len()).for_each(|input| transaction.sign(input, &self.treasury.secret));
        Ok(transaction)
    }
}

/// What the spend builder needs to know of an output.
pub(super) fn candidate(ledger: &Ledger, uxid: UxId, output: &UxOut) -> Candidate {
    let Output { address, coins, .. } = output.output;
    Candidate { uxid, address, coins, hours: ledger.hours(output) }
}

fn signed(key: &Key, input: UxId, output: Output) -> Result<Transaction, SpendError> {
    let mut transaction = Transaction::unsigned(vec![input], vec![output])?;
    transaction.sign(0, &key.secret);
    Ok(transaction)
}
