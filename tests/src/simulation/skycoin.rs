//! A Skycoin node with the hot wallet, in memory. What it was handed may be forgotten, or leave the chain with its block.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bitcoin::secp256k1::{Secp256k1, SecretKey};
use futures::future::BoxFuture;
use millrace_actors::ports::{Answer, CreateError, PortError, SkycoinNode};
use millrace_model::ids::Hash32;
use millrace_model::money::Amount;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{Txid, UxId};
use millrace_protocols::wire::skycoin::rest::{
    Created, CreatedInput, Payout, Refusal, Seen, SeenInput, SeenOutput, Standing, UnspentOutput,
};
use millrace_protocols::wire::skycoin::transaction::{Output, Transaction};
use rand::Rng;
use rand::rngs::SmallRng;

use super::wire::{Carried, Wire};
use crate::judge;

/// The hot wallet's outputs at the beginning, and the coins in each. Few enough for payouts to wait for change.
const OUTPUTS: u8 = 5;
const COINS: u64 = 2_000_000_000;
const HOURS: u64 = 1_000_000;

/// The node, as the desk reaches it over its wire.
pub struct SkycoinNetwork {
    wire: Arc<Wire>,
    ledger: Arc<Mutex<Ledger>>,
}

struct Ledger {
    key: SecretKey,
    address: SkyAddress,
    unspent: BTreeMap<UxId, Output>,
    pending: Vec<Transaction>,
    blocks: Vec<Mined>,
}

/// A block, with what it spent.
struct Mined {
    transactions: Vec<Transaction>,
    spent: Vec<(UxId, Output)>,
}

impl SkycoinNetwork {
    /// A chain on which the hot wallet has its outputs.
    pub fn new(wire: Arc<Wire>) -> Self {
        let key = SecretKey::from_slice(&[7; 32]).expect("a key");
        let address = SkyAddress::from_public_key(&key.public_key(&Secp256k1::new()));
        let coins = Amount::from_units(COINS).expect("an amount");
        let unspent = (1..=OUTPUTS).map(|number| (UxId([number; 32]), Output { address, coins, hours: HOURS }));
        let ledger = Ledger { key, address, unspent: unspent.collect(), pending: Vec::new(), blocks: Vec::new() };
        Self { wire, ledger: Arc::new(Mutex::new(ledger)) }
    }

    /// A block of what waits.
    pub fn mine(&self) {
        self.lock().mine();
    }

    /// Forgets one of those that wait.
    pub fn forget(&self, chance: &mut SmallRng) {
        let mut ledger = self.lock();
        if !ledger.pending.is_empty() {
            let index = chance.random_range(0..ledger.pending.len());
            ledger.pending.remove(index);
        }
    }

    /// Replaces the newest block: what was in it is in the new one, waits again, or is forgotten.
    pub fn reorganise(&self, chance: &mut SmallRng) {
        let mut ledger = self.lock();
        let Some(Mined { transactions, spent }) = ledger.blocks.pop() else { return };
        for transaction in &transactions {
            let made = transaction.uxids();
            ledger.unspent.retain(|uxid, _| !made.contains(uxid));
        }
        ledger.unspent.extend(spent);
        // What waits may spend what was just unmade.
        let waiting = std::mem::take(&mut ledger.pending);
        let kept: Vec<_> = transactions.into_iter().filter(|_| chance.random_ratio(2, 3)).collect();
        for transaction in kept.into_iter().chain(waiting) {
            let _ = ledger.take(&transaction);
        }
        let waiting = std::mem::take(&mut ledger.pending);
        let (mined, left) = waiting.into_iter().partition(|_| chance.random_ratio(1, 2));
        ledger.pending = mined;
        ledger.mine();
        ledger.pending = left;
    }

    /// Every payout in a block or on its way there.
    pub fn payouts(&self) -> Vec<judge::Payout> {
        let ledger = self.lock();
        let paid = |transaction: &Transaction| {
            let output = transaction.outputs()[0];
            let (txid, target) = (Hash32(transaction.txid().0), output.address.to_string());
            judge::Payout { txid, target, coins: output.coins }
        };
        ledger.transactions().map(paid).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Ledger) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        self.carry(act).await.and_then(|answer| answer)
    }

    async fn carry<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Ledger) -> T + Send + 'static,
    ) -> Result<T, PortError> {
        let ledger = Arc::clone(&self.ledger);
        let act = move || act(&mut ledger.lock().unwrap_or_else(PoisonError::into_inner));
        match self.wire.carry(act).await {
            Carried::Answer(answer) => Ok(answer),
            Carried::TurnedAway => Err(PortError::Unreachable("429 Too Many Requests".to_owned())),
            Carried::Lost => Err(PortError::Unreachable("no answer in time".to_owned())),
        }
    }
}

impl Ledger {
    fn mine(&mut self) {
        let transactions = std::mem::take(&mut self.pending);
        let mut spent = Vec::new();
        for transaction in &transactions {
            for input in transaction.inputs() {
                let output = self.unspent.remove(input).expect("what waits spends what exists");
                spent.push((*input, output));
            }
            self.unspent.extend(transaction.uxids().into_iter().zip(transaction.outputs().iter().copied()));
        }
        self.blocks.push(Mined { transactions, spent });
    }

    fn is_free(&self, input: &UxId) -> bool {
        let waiting = self.pending.iter().any(|transaction| transaction.inputs().contains(input));
        self.unspent.contains_key(input) && !waiting
    }

    fn take(&mut self, transaction: &Transaction) -> Result<(), PortError> {
        if self.pending.iter().any(|waiting| waiting.txid() == transaction.txid()) {
            return Ok(());
        }
        if !transaction.inputs().iter().all(|input| self.is_free(input)) {
            return Err(PortError::Refused("unspent output does not exist".to_owned()));
        }
        self.pending.push(transaction.clone());
        Ok(())
    }

    fn create(&self, payout: &Payout) -> Result<Created, CreateError> {
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
        let mut outputs = vec![Output { address: payout.to, coins: payout.coins, hours: 1 }];
        if !change.is_zero() {
            outputs.push(Output { address: payout.change_address, coins: change, hours: hours / 2 });
        }
        let named = inputs.iter().map(|input| input.uxid).collect();
        let mut transaction = Transaction::unsigned(named, outputs).expect("a few inputs and two outputs");
        (0..inputs.len()).for_each(|input| transaction.sign(input, &self.key));
        let (txid, inner_hash) = (transaction.txid(), transaction.inner_hash());
        Ok(Created { transaction, txid, inner_hash, fee_hours: 1, inputs })
    }

    fn spendable(&self) -> Vec<UnspentOutput> {
        let hot = self.unspent.iter().filter(|(uxid, output)| output.address == self.address && self.is_free(uxid));
        hot.map(|(uxid, output)| UnspentOutput {
            uxid: *uxid,
            block_seq: 1,
            src_tx: Txid([0; 32]),
            address: output.address,
            coins: output.coins,
            hours: output.hours,
        })
        .collect()
    }

    /// Every transaction in a block or on its way there.
    fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        self.blocks.iter().flat_map(|block| &block.transactions).chain(&self.pending)
    }

    fn all_seen(&self) -> Vec<Seen> {
        let head = self.blocks.len() as u64;
        let mined = self.blocks.iter().zip(0..).flat_map(|(block, height): (_, u64)| {
            let standing = Standing::Confirmed { depth: head - height, block_seq: height + 1 };
            block.transactions.iter().map(move |transaction| seen(transaction, standing))
        });
        mined.chain(self.pending.iter().map(|transaction| seen(transaction, Standing::Unconfirmed))).collect()
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

impl SkycoinNode for SkycoinNetwork {
    fn hot_address(&self) -> Answer<'_, SkyAddress> {
        Box::pin(self.ask(|ledger| Ok(ledger.address)))
    }

    fn spendable(&self) -> Answer<'_, Vec<UnspentOutput>> {
        Box::pin(self.ask(|ledger| Ok(ledger.spendable())))
    }

    fn create<'a>(&'a self, payout: &'a Payout) -> BoxFuture<'a, Result<Created, CreateError>> {
        Box::pin(async {
            let payout = payout.clone();
            self.carry(move |ledger| ledger.create(&payout)).await?
        })
    }

    fn inject<'a>(&'a self, transaction: &'a Transaction) -> Answer<'a, ()> {
        let transaction = transaction.clone();
        Box::pin(self.ask(move |ledger| ledger.take(&transaction)))
    }

    fn transaction(&self, txid: Txid) -> Answer<'_, Option<Seen>> {
        Box::pin(self.ask(move |ledger| Ok(ledger.all_seen().into_iter().find(|seen| seen.txid == txid))))
    }

    fn payments_to(&self, address: SkyAddress) -> Answer<'_, Vec<Txid>> {
        Box::pin(self.ask(move |ledger| {
            let pays = |transaction: &&Transaction| transaction.outputs()[0].address == address;
            Ok(ledger.transactions().filter(pays).map(Transaction::txid).collect())
        }))
    }

    fn own(&self, txid: Txid) -> Answer<'_, Option<Transaction>> {
        Box::pin(
            self.ask(move |ledger| Ok(ledger.transactions().find(|transaction| transaction.txid() == txid).cloned())),
        )
    }

    fn transactions_of(&self, _: SkyAddress) -> Answer<'_, Vec<Seen>> {
        Box::pin(self.ask(|ledger| Ok(ledger.all_seen())))
    }
}
