//! A Skycoin node with the hot wallet, in memory. What it was handed may be forgotten, or leave the chain with its block.

mod ledger;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use millrace_actors::ports::{Answer, CreateError, PortError, SkyTip, SkycoinNode, SkycoinWatch};
use millrace_model::ids::Hash32;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::Txid;
use millrace_protocols::wire::skycoin::rest::{Block, Created, Funds, Lag, Payout, Seen, Spend, UnspentOutput};
use millrace_protocols::wire::skycoin::transaction::Transaction;
use rand::rngs::SmallRng;

use self::ledger::Ledger;
use super::leaving::Leaving;
use super::wire::{Carried, Wire};
use crate::judge;

pub use self::ledger::Filling;

/// The node, as the desk reaches it over its wire.
pub struct SkycoinNetwork {
    wire: Arc<Wire>,
    leaving: Arc<Leaving>,
    ledger: Arc<Mutex<Ledger>>,
}

impl SkycoinNetwork {
    /// A chain on which the hot wallet has its outputs.
    pub fn new(wire: Arc<Wire>, leaving: Arc<Leaving>, filling: Filling) -> Self {
        Self { wire, leaving, ledger: Arc::new(Mutex::new(Ledger::new(filling))) }
    }

    /// More outputs come into the hot wallet.
    pub fn fill(&self, filling: Filling) {
        self.lock().fill(filling);
    }

    /// A block of what waits.
    pub fn mine(&self) {
        self.lock().mine();
    }

    /// Forgets one of those that wait.
    pub fn forget(&self, chance: &mut SmallRng) {
        self.lock().forget(chance);
    }

    /// Replaces the newest blocks: what was in them is in the new ones, waits again, or is forgotten.
    pub fn reorganise(&self, depth: usize, chance: &mut SmallRng) {
        self.lock().reorganise(depth, chance);
    }

    /// Every payout in a block or on its way there.
    pub fn payouts(&self) -> Vec<judge::Payout> {
        self.lock().payouts()
    }

    /// Whether this transaction was in a block at some time.
    pub fn was_mined(&self, txid: Hash32) -> bool {
        self.lock().was_mined(txid)
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

impl SkycoinNode for SkycoinNetwork {
    fn hot_address(&self) -> Answer<'_, SkyAddress> {
        Box::pin(self.ask(|ledger| Ok(ledger.address)))
    }

    fn spendable(&self, confirmations: u64) -> Answer<'_, Vec<UnspentOutput>> {
        Box::pin(self.ask(move |ledger| Ok(ledger.spendable(confirmations))))
    }

    fn create<'a>(&'a self, payout: &'a Payout) -> BoxFuture<'a, Result<Created, CreateError>> {
        Box::pin(async {
            let payout = payout.clone();
            self.carry(move |ledger| ledger.create(&payout)).await?
        })
    }

    fn inject<'a>(&'a self, transaction: &'a Transaction) -> Answer<'a, ()> {
        self.leaving.leaves(&Hash32(transaction.txid().0).to_string());
        let transaction = transaction.clone();
        Box::pin(self.ask(move |ledger| ledger.take(&transaction)))
    }

    fn transaction(&self, txid: Txid) -> Answer<'_, Option<Seen>> {
        Box::pin(self.ask(move |ledger| Ok(ledger.seen(txid))))
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

    fn lag(&self) -> Answer<'_, Option<Lag>> {
        Box::pin(self.ask(|_| Ok(None)))
    }

    fn transactions_of(&self, _: SkyAddress) -> Answer<'_, Vec<Seen>> {
        Box::pin(self.ask(|ledger| Ok(ledger.all_seen())))
    }
}

impl SkycoinWatch for SkycoinNetwork {
    fn holdings(&self) -> Answer<'_, Funds> {
        Box::pin(self.ask(|ledger| Ok(ledger.holdings())))
    }

    fn tip(&self) -> Answer<'_, SkyTip> {
        Box::pin(self.ask(|ledger| Ok(ledger.tip())))
    }

    fn sky_block(&self, seq: u64) -> Answer<'_, Option<Block>> {
        Box::pin(self.ask(move |ledger| Ok(ledger.block(seq))))
    }

    fn spends_in(&self, seq: u64) -> Answer<'_, Option<Vec<Spend>>> {
        Box::pin(self.ask(move |ledger| Ok(ledger.spends(seq))))
    }
}
