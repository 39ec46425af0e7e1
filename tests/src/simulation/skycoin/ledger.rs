//! The Skycoin chain and what waits for it, with the hot wallet's key.

use std::collections::{BTreeMap, HashMap, HashSet};

use bitcoin::secp256k1::{Secp256k1, SecretKey};
use millrace_actors::ports::{CreateError, PortError, SkyTip};
use millrace_model::ids::Hash32;
use millrace_model::money::{Amount, Sky};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{BlockHash, Txid, UxId};
use millrace_protocols::wire::skycoin::rest::{
    Block, Created, CreatedInput, Funds, Payout, Refusal, Seen, SeenInput, SeenOutput, Spend, Standing, UnspentOutput,
};
use millrace_protocols::wire::skycoin::transaction::{Output, Transaction};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::judge;

/// The hot wallet's outputs at the beginning. Few enough for payouts to wait for change.
const OUTPUTS: u8 = 5;

/// What is in each of the hot wallet's outputs at the beginning, and how many coin hours with it.
#[derive(Debug, Clone, Copy)]
pub struct Filling {
    pub coins: Amount<Sky>,
    pub hours: u64,
}

pub(super) struct Ledger {
    key: SecretKey,
    pub(super) address: SkyAddress,
    unspent: BTreeMap<UxId, Output>,
    pending: Vec<Transaction>,
    blocks: Vec<Mined>,
    blocks_made: u64,
    /// Whatever was in a block, also in one that left the chain.
    ever_mined: HashSet<Hash32>,
    /// How often outputs came to the hot wallet out of nowhere.
    filled: u8,
}

/// A block, with what it spent.
struct Mined {
    hash: BlockHash,
    transactions: Vec<Transaction>,
    spent: Vec<(UxId, Output)>,
}

impl Ledger {
    pub(super) fn new(filling: Filling) -> Self {
        let key = SecretKey::from_slice(&[7; 32]).expect("a key");
        let address = SkyAddress::from_public_key(&key.public_key(&Secp256k1::new()));
        let mut ledger = Self {
            key,
            address,
            unspent: BTreeMap::new(),
            pending: Vec::new(),
            blocks: Vec::new(),
            blocks_made: 0,
            ever_mined: HashSet::new(),
            filled: 0,
        };
        ledger.fill(filling);
        ledger
    }

    /// Somebody fills the hot wallet.
    pub(super) fn fill(&mut self, Filling { coins, hours }: Filling) {
        let (address, from) = (self.address, self.filled * OUTPUTS);
        self.filled += 1;
        let outputs = (1..=OUTPUTS).map(|number| (UxId([from + number; 32]), Output { address, coins, hours }));
        self.unspent.extend(outputs);
    }

    pub(super) fn mine(&mut self) {
        let transactions = std::mem::take(&mut self.pending);
        let mut spent = Vec::new();
        for transaction in &transactions {
            for input in transaction.inputs() {
                let output = self.unspent.remove(input).expect("what waits spends what exists");
                spent.push((*input, output));
            }
            self.unspent.extend(transaction.uxids().into_iter().zip(transaction.outputs().iter().copied()));
        }
        self.ever_mined.extend(transactions.iter().map(|transaction| Hash32(transaction.txid().0)));
        self.blocks_made += 1;
        let mut hash = [9; 32];
        hash[..8].copy_from_slice(&self.blocks_made.to_be_bytes());
        self.blocks.push(Mined { hash: BlockHash(hash), transactions, spent });
    }

    pub(super) fn was_mined(&self, txid: Hash32) -> bool {
        self.ever_mined.contains(&txid)
    }

    pub(super) fn forget(&mut self, chance: &mut SmallRng) {
        if !self.pending.is_empty() {
            let index = chance.random_range(0..self.pending.len());
            self.pending.remove(index);
        }
    }

    /// Replaces the newest blocks by as many. What was in them is in the new ones, waits again, or is forgotten.
    pub(super) fn reorganise(&mut self, depth: usize, chance: &mut SmallRng) {
        let undone = self.blocks.split_off(self.blocks.len().saturating_sub(depth));
        for Mined { transactions, spent, .. } in undone.iter().rev() {
            for transaction in transactions {
                let made = transaction.uxids();
                self.unspent.retain(|uxid, _| !made.contains(uxid));
            }
            self.unspent.extend(spent.iter().copied());
        }
        let again = undone.iter().flat_map(|block| &block.transactions).cloned();
        let again: Vec<_> = again.filter(|_| chance.random_ratio(2, 3)).collect();
        let mut waiting: Vec<_> = again.into_iter().chain(std::mem::take(&mut self.pending)).collect();
        for _ in &undone {
            // What spends the change of one that waits has to wait for it.
            waiting.retain(|transaction| chance.random_ratio(1, 2) || self.take(transaction).is_err());
            self.mine();
        }
        for transaction in waiting {
            // What spends coins that are spent or do not exist is forgotten.
            let _ = self.take(&transaction);
        }
    }

    fn is_free(&self, input: &UxId) -> bool {
        let waiting = self.pending.iter().any(|transaction| transaction.inputs().contains(input));
        self.unspent.contains_key(input) && !waiting
    }

    pub(super) fn take(&mut self, transaction: &Transaction) -> Result<(), PortError> {
        if self.pending.iter().any(|waiting| waiting.txid() == transaction.txid()) {
            return Ok(());
        }
        if !transaction.inputs().iter().all(|input| self.is_free(input)) {
            return Err(PortError::Refused("unspent output does not exist".to_owned()));
        }
        self.pending.push(transaction.clone());
        Ok(())
    }

    pub(super) fn create(&self, payout: &Payout) -> Result<Created, CreateError> {
        let refused = |refusal, message: &str| CreateError::Refused { refusal, message: message.to_owned() };
        let (mut inputs, mut coins, mut hours) = (Vec::new(), Amount::ZERO, 0);
        for uxid in &payout.unspents {
            let Some(output) = self.unspent.get(uxid) else { return Err(refused(Refusal::InputGone, "gone")) };
            if !self.is_free(uxid) {
                return Err(refused(Refusal::SpendPending, "pending"));
            }
            coins = Amount::checked_sum([coins, output.coins]).expect("all coins are an amount");
            hours += output.hours;
            inputs.push(CreatedInput { uxid: *uxid, address: output.address, coins: output.coins });
        }
        let change = coins.checked_sub(payout.coins);
        let change = change.ok_or_else(|| refused(Refusal::InsufficientCoins, "balance is not sufficient"))?;
        if hours < 2 {
            return Err(refused(Refusal::InsufficientHours, "insufficient coinhours for transaction"));
        }
        let mut outputs = vec![Output { address: payout.to, coins: payout.coins, hours: 1 }];
        if !change.is_zero() {
            outputs.push(Output { address: payout.change_address, coins: change, hours: hours / 2 - 1 });
        }
        let named = inputs.iter().map(|input| input.uxid).collect();
        let mut transaction = Transaction::unsigned(named, outputs).expect("a few inputs and two outputs");
        (0..inputs.len()).for_each(|input| transaction.sign(input, &self.key));
        let (txid, inner_hash) = (transaction.txid(), transaction.inner_hash());
        Ok(Created { transaction, txid, inner_hash, fee_hours: 1, inputs })
    }

    pub(super) fn spendable(&self, confirmations: u64) -> Vec<UnspentOutput> {
        let makers = self.makers();
        let all = self.hot().filter(|(uxid, _)| self.is_free(uxid)).map(|(uxid, output)| {
            // What came out of nowhere was always there.
            let (block_seq, src_tx) = makers.get(uxid).copied().unwrap_or((0, Txid([0; 32])));
            let Output { address, coins, hours } = *output;
            UnspentOutput { uxid: *uxid, block_seq, src_tx, address, coins, hours }
        });
        let is_deep = |output: &UnspentOutput| output.block_seq + confirmations <= self.blocks.len() as u64 + 1;
        all.filter(|output| output.block_seq == 0 || is_deep(output)).collect()
    }

    /// What made each output that came with a block.
    fn makers(&self) -> HashMap<UxId, (u64, Txid)> {
        let transactions = self.blocks.iter().zip(1..).flat_map(|(block, seq)| {
            block.transactions.iter().map(move |transaction| (transaction, (seq, transaction.txid())))
        });
        transactions.flat_map(|(made, by)| made.uxids().into_iter().map(move |uxid| (uxid, by))).collect()
    }

    /// What the hot wallet has in the blocks.
    pub(super) fn holdings(&self) -> Funds {
        let coins = Amount::checked_sum(self.hot().map(|(_, output)| output.coins)).expect("all coins are an amount");
        Funds { coins, hours: self.hot().map(|(_, output)| output.hours).sum() }
    }

    fn hot(&self) -> impl Iterator<Item = (&UxId, &Output)> {
        self.unspent.iter().filter(|(_, output)| output.address == self.address)
    }

    pub(super) fn tip(&self) -> SkyTip {
        let seq = self.blocks.len() as u64;
        SkyTip { seq, hash: self.block(seq).expect("it is the newest").hash }
    }

    /// The block with this number. The first one is number 0 and empty.
    pub(super) fn block(&self, seq: u64) -> Option<Block> {
        let Some(index) = seq.checked_sub(1) else {
            return Some(Block { hash: BlockHash([0; 32]), transactions: Vec::new() });
        };
        let Mined { hash, transactions, .. } = self.blocks.get(usize::try_from(index).ok()?)?;
        Some(Block { hash: *hash, transactions: transactions.iter().map(Transaction::txid).collect() })
    }

    pub(super) fn spends(&self, seq: u64) -> Option<Vec<Spend>> {
        let Mined { transactions, .. } = self.blocks.get(usize::try_from(seq.checked_sub(1)?).ok()?)?;
        // Nobody but the wallet spends anything here.
        let spend = |transaction: &Transaction| {
            let left = transaction.outputs().iter().filter(|output| output.address != self.address);
            let coins = Amount::checked_sum(left.map(|output| output.coins)).expect("no more coins than there are");
            Spend { txid: transaction.txid(), coins }
        };
        Some(transactions.iter().map(spend).collect())
    }

    /// Every transaction in a block or on its way there.
    pub(super) fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        self.blocks.iter().flat_map(|block| &block.transactions).chain(&self.pending)
    }

    /// The same, with where each stands.
    fn standings(&self) -> impl Iterator<Item = (&Transaction, Standing)> {
        let head = self.blocks.len() as u64;
        let mined = self.blocks.iter().zip(0..).flat_map(move |(block, height): (_, u64)| {
            let standing = Standing::Confirmed { depth: head - height, block_seq: height + 1 };
            block.transactions.iter().map(move |transaction| (transaction, standing))
        });
        mined.chain(self.pending.iter().map(|transaction| (transaction, Standing::Unconfirmed)))
    }

    pub(super) fn seen(&self, txid: Txid) -> Option<Seen> {
        let mut standings = self.standings().filter(|(transaction, _)| transaction.txid() == txid);
        standings.next().map(|(transaction, standing)| seen(transaction, standing))
    }

    pub(super) fn all_seen(&self) -> Vec<Seen> {
        self.standings().map(|(transaction, standing)| seen(transaction, standing)).collect()
    }

    pub(super) fn payouts(&self) -> Vec<judge::Payout> {
        let paid = |transaction: &Transaction| {
            let output = transaction.outputs()[0];
            let (txid, target) = (Hash32(transaction.txid().0), output.address.to_string());
            judge::Payout { txid, target, coins: output.coins }
        };
        self.transactions().map(paid).collect()
    }
}

fn seen(transaction: &Transaction, standing: Standing) -> Seen {
    let named = transaction.uxids().into_iter().zip(transaction.outputs());
    let outputs = named.map(|(uxid, output)| SeenOutput {
        uxid,
        address: output.address,
        coins: output.coins,
        hours: output.hours,
    });
    Seen {
        standing,
        txid: transaction.txid(),
        inner_hash: transaction.inner_hash(),
        inputs: transaction.inputs().iter().map(|uxid| SeenInput { uxid: *uxid }).collect(),
        outputs: outputs.collect(),
    }
}
