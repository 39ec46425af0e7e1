//! A Skycoin node in memory that knows the rules, misbehaves when told to, and remembers everything it was handed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

use bitcoin::secp256k1::{Secp256k1, SecretKey};
use futures::FutureExt;
use futures::future::BoxFuture;
use millrace_model::money::{Amount, Sky};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{BlockHash, Txid, UxId};
use millrace_protocols::wire::skycoin::rest::{
    Block, Created, CreatedInput, Funds, Lag, Payout, Refusal, Seen, SeenInput, SeenOutput, Spend, Standing,
    UnspentOutput,
};
use millrace_protocols::wire::skycoin::transaction::{Output, Transaction};

use crate::ports::{Answer, CreateError, PortError, SkyTip, SkycoinNode, SkycoinWatch};

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_slice(&[number; 32]).unwrap()
}

pub(crate) fn address(number: u8) -> SkyAddress {
    SkyAddress::from_public_key(&key(number).public_key(&Secp256k1::new()))
}

pub(crate) fn sky(text: &str) -> Amount<Sky> {
    text.parse().unwrap()
}

/// The hot wallet's key.
pub(crate) const HOT: u8 = 1;

/// When waiting transactions get into a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mining {
    /// As soon as they come in.
    #[default]
    AtOnce,
    /// When the test says so.
    ByHand,
}

/// What goes wrong with the next injections, first come, first served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is taken and nobody hears of it.
    ReplyLost,
    /// It never arrives.
    RequestLost,
}

/// What the wallet does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Wallet {
    #[default]
    Honest,
    /// Pays the key of this number instead.
    Pays(u8),
}

/// Meddles with the ledger, knowing what was signed.
pub(crate) type AfterCreate = Box<dyn FnOnce(&mut Ledger, &Transaction) + Send>;

#[derive(Default)]
pub(crate) struct Ledger {
    unspent: BTreeMap<UxId, Output>,
    pending: BTreeMap<Txid, Transaction>,
    blocks: Vec<Vec<Transaction>>,
    pub(crate) mining: Mining,
    pub(crate) injecting: VecDeque<Fault>,
    pub(crate) wallet: Wallet,
    /// Everything ever handed in, also when it was refused or lost.
    pub(crate) handed_in: Vec<Txid>,
    /// Everything ever signed.
    pub(crate) signed: Vec<Transaction>,
    /// What happens right after the wallet signed next.
    pub(crate) after_create: Option<AfterCreate>,
    /// What happens when the node is next asked to sign or to take something, or what it paid.
    pub(crate) before_next: Option<fn()>,
    /// Why the node may not know what has happened.
    pub(crate) lag: Option<Lag>,
}

impl Ledger {
    /// Gives the hot wallet an output.
    pub(crate) fn give(&mut self, coins: &str, hours: u64) -> UxId {
        let number = u8::try_from(self.unspent.len()).unwrap();
        let mut name = [number; 32];
        name[0] = self.blocks.len() as u8;
        self.unspent.insert(UxId(name), Output { address: address(HOT), coins: sky(coins), hours });
        UxId(name)
    }

    pub(crate) fn unspent(&mut self) -> &mut BTreeMap<UxId, Output> {
        &mut self.unspent
    }

    pub(crate) fn mine(&mut self) {
        let block: Vec<_> = std::mem::take(&mut self.pending).into_values().collect();
        for transaction in &block {
            for input in transaction.inputs() {
                assert!(self.unspent.remove(input).is_some(), "a block spends what exists");
            }
            self.unspent.extend(transaction.uxids().into_iter().zip(transaction.outputs().iter().copied()));
        }
        self.blocks.push(block);
    }

    /// Takes the newest block back and forgets its transactions.
    pub(crate) fn unmine(&mut self, spent: &[(UxId, Output)]) {
        for transaction in self.blocks.pop().unwrap_or_default() {
            self.unspent.retain(|uxid, _| !transaction.uxids().contains(uxid));
        }
        self.unspent.extend(spent.iter().copied());
    }

    /// The names of the blocks: each stands for all that is in the chain up to it.
    fn block_names(&self) -> Vec<BlockHash> {
        let mut name = [0_u8; 32];
        let blocks = self.blocks.iter().map(|block| {
            name[31] = name[31].wrapping_mul(31).wrapping_add(1);
            for (at, byte) in block.iter().flat_map(|transaction| transaction.txid().0).enumerate() {
                name[at % 31] ^= byte;
            }
            BlockHash(name)
        });
        blocks.collect()
    }

    pub(crate) fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// Somebody else with the wallet's key spends these outputs.
    pub(crate) fn steal(&mut self, inputs: &[UxId], to: u8) -> Txid {
        let coins = Amount::checked_sum(inputs.iter().map(|input| self.unspent[input].coins)).unwrap();
        let output = Output { address: address(to), coins, hours: 1 };
        let mut theft = Transaction::unsigned(inputs.to_vec(), vec![output]).unwrap();
        (0..inputs.len()).for_each(|input| theft.sign(input, &key(HOT)));
        let txid = theft.txid();
        self.pending.insert(txid, theft);
        txid
    }

    /// How often the key of this number was paid, in blocks or about to be.
    pub(crate) fn payments_to(&self, number: u8) -> usize {
        let all = self.blocks.iter().flatten().chain(self.pending.values());
        all.filter(|transaction| transaction.outputs()[0].address == address(number)).count()
    }

    /// The inputs of every transaction in a block or waiting.
    pub(crate) fn spent(&self) -> Vec<UxId> {
        let all = self.blocks.iter().flatten().chain(self.pending.values());
        all.flat_map(|transaction| transaction.inputs().iter().copied()).collect()
    }

    fn is_pending(&self, input: &UxId) -> bool {
        self.pending.values().any(|transaction| transaction.inputs().contains(input))
    }

    pub(crate) fn take(&mut self, transaction: &Transaction) -> Result<(), PortError> {
        if self.pending.contains_key(&transaction.txid()) {
            return Ok(());
        }
        let spendable = |input| self.unspent.contains_key(input) && !self.is_pending(input);
        if !transaction.inputs().iter().all(spendable) {
            return Err(PortError::Refused("unspent output does not exist".to_owned()));
        }
        self.pending.insert(transaction.txid(), transaction.clone());
        if self.mining == Mining::AtOnce {
            self.mine();
        }
        Ok(())
    }

    fn create(&mut self, payout: &Payout) -> Result<Created, CreateError> {
        let refused = |refusal, message: &str| CreateError::Refused { refusal, message: message.to_owned() };
        let mut inputs = Vec::new();
        let (mut coins, mut hours) = (Amount::ZERO, 0);
        for uxid in &payout.unspents {
            let Some(output) = self.unspent.get(uxid) else { return Err(refused(Refusal::InputGone, "gone")) };
            if self.is_pending(uxid) {
                return Err(refused(Refusal::SpendPending, "pending"));
            }
            if coins >= payout.coins && hours > 0 {
                break;
            }
            coins = coins.checked_add(output.coins).unwrap();
            hours += output.hours;
            inputs.push(CreatedInput { uxid: *uxid, address: output.address, coins: output.coins });
        }
        if coins < payout.coins {
            return Err(refused(Refusal::InsufficientCoins, "balance is not sufficient"));
        }
        if hours == 0 {
            return Err(refused(Refusal::InsufficientHours, "no coin hours"));
        }
        let to = match self.wallet {
            Wallet::Honest => payout.to,
            Wallet::Pays(other) => address(other),
        };
        let mut outputs = vec![Output { address: to, coins: payout.coins, hours: 0 }];
        let change = coins.saturating_sub(payout.coins);
        if !change.is_zero() {
            outputs.push(Output { address: payout.change_address, coins: change, hours: hours - 1 });
        }
        let mut transaction = Transaction::unsigned(inputs.iter().map(|input| input.uxid).collect(), outputs).unwrap();
        (0..inputs.len()).for_each(|input| transaction.sign(input, &key(HOT)));
        self.signed.push(transaction.clone());
        if let Some(hook) = self.after_create.take() {
            hook(self, &transaction);
        }
        let (txid, inner_hash) = (transaction.txid(), transaction.inner_hash());
        Ok(Created { transaction, txid, inner_hash, fee_hours: 1, inputs })
    }

    /// How deep the block is that made this output; what was given was always there.
    fn depth_of(&self, uxid: &UxId) -> Option<u64> {
        let makes = |block: &&Vec<Transaction>| block.iter().any(|transaction| transaction.uxids().contains(uxid));
        (1..).zip(self.blocks.iter().rev()).find(|(_, block)| makes(block)).map(|(depth, _)| depth)
    }

    fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        self.blocks.iter().flatten().chain(self.pending.values())
    }

    fn all_seen(&self) -> Vec<Seen> {
        let head = self.blocks.len() as u64;
        let mined = self.blocks.iter().zip(0..).flat_map(|(block, height): (_, u64)| {
            let standing = Standing::Confirmed { depth: head - height, block_seq: height + 1 };
            block.iter().map(move |transaction| seen(transaction, standing))
        });
        mined.chain(self.pending.values().map(|transaction| seen(transaction, Standing::Unconfirmed))).collect()
    }
}

fn seen(transaction: &Transaction, standing: Standing) -> Seen {
    let named = transaction.uxids().into_iter().zip(transaction.outputs());
    Seen {
        standing,
        txid: transaction.txid(),
        inner_hash: transaction.inner_hash(),
        inputs: transaction.inputs().iter().map(|uxid| SeenInput { uxid: *uxid }).collect(),
        outputs: named
            .map(|(uxid, output)| SeenOutput {
                uxid,
                address: output.address,
                coins: output.coins,
                hours: output.hours,
            })
            .collect(),
    }
}

/// The node; its ledger is where a test looks and meddles.
#[derive(Default)]
pub(crate) struct FakeNode(Mutex<Ledger>);

impl FakeNode {
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap()
    }

    /// How often the key of this number was paid, and how often the wallet signed anything.
    pub(crate) fn payments_and_signatures(&self, number: u8) -> (usize, usize) {
        let ledger = self.ledger();
        (ledger.payments_to(number), ledger.signed.len())
    }
}

fn now<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    std::future::ready(value).boxed()
}

fn lost() -> PortError {
    PortError::Unreachable("no answer in time".to_owned())
}

impl SkycoinNode for FakeNode {
    fn hot_address(&self) -> Answer<'_, SkyAddress> {
        now(Ok(address(HOT)))
    }

    fn spendable(&self, confirmations: u64) -> Answer<'_, Vec<UnspentOutput>> {
        let ledger = self.ledger();
        let pending: BTreeSet<_> = ledger.pending.values().flat_map(Transaction::inputs).collect();
        let is_deep = |uxid: &UxId| ledger.depth_of(uxid).is_none_or(|depth| depth >= confirmations);
        let hot = ledger.unspent.iter().filter(|(uxid, output)| output.address == address(HOT) && is_deep(uxid));
        let free = hot.filter(|(uxid, _)| !pending.contains(uxid)).map(|(uxid, output)| UnspentOutput {
            uxid: *uxid,
            block_seq: 1,
            src_tx: Txid([0; 32]),
            address: output.address,
            coins: output.coins,
            hours: output.hours,
        });
        now(Ok(free.collect()))
    }

    fn create<'a>(&'a self, payout: &'a Payout) -> BoxFuture<'a, Result<Created, CreateError>> {
        let mut ledger = self.ledger();
        if let Some(hook) = ledger.before_next.take() {
            hook();
        }
        now(ledger.create(payout))
    }

    fn inject<'a>(&'a self, transaction: &'a Transaction) -> Answer<'a, ()> {
        let mut ledger = self.ledger();
        if let Some(hook) = ledger.before_next.take() {
            hook();
        }
        ledger.handed_in.push(transaction.txid());
        now(match ledger.injecting.pop_front() {
            Some(Fault::RequestLost) => Err(lost()),
            Some(Fault::ReplyLost) => ledger.take(transaction).and(Err(lost())),
            None => ledger.take(transaction),
        })
    }

    fn transaction(&self, txid: Txid) -> Answer<'_, Option<Seen>> {
        now(Ok(self.ledger().all_seen().into_iter().find(|seen| seen.txid == txid)))
    }

    fn payments_to(&self, address: SkyAddress) -> Answer<'_, Vec<Txid>> {
        let mut ledger = self.ledger();
        if let Some(hook) = ledger.before_next.take() {
            hook();
        }
        let pays = |transaction: &&Transaction| transaction.outputs()[0].address == address;
        now(Ok(ledger.transactions().filter(pays).map(Transaction::txid).collect()))
    }

    fn own(&self, txid: Txid) -> Answer<'_, Option<Transaction>> {
        let ledger = self.ledger();
        now(Ok(ledger.transactions().find(|transaction| transaction.txid() == txid).cloned()))
    }

    fn lag(&self) -> Answer<'_, Option<Lag>> {
        now(Ok(self.ledger().lag))
    }

    fn transactions_of(&self, _: SkyAddress) -> Answer<'_, Vec<Seen>> {
        now(Ok(self.ledger().all_seen()))
    }
}

impl SkycoinWatch for FakeNode {
    fn holdings(&self) -> Answer<'_, Funds> {
        let ledger = self.ledger();
        let hot = ledger.unspent.values().filter(|output| output.address == address(HOT));
        let (coins, hours) = hot.fold((Amount::ZERO, 0), |(coins, hours), output| {
            (output.coins.checked_add(coins).unwrap(), output.hours + hours)
        });
        now(Ok(Funds { coins, hours }))
    }

    fn tip(&self) -> Answer<'_, SkyTip> {
        let names = self.ledger().block_names();
        let hash = names.last().copied().unwrap_or(BlockHash([0; 32]));
        now(Ok(SkyTip { seq: names.len() as u64, hash }))
    }

    fn sky_block(&self, seq: u64) -> Answer<'_, Option<Block>> {
        let ledger = self.ledger();
        let found = ledger.blocks.iter().zip(ledger.block_names()).zip(1..).find(|(_, number)| *number == seq);
        now(Ok(
            found.map(|((block, hash), _)| Block { hash, transactions: block.iter().map(Transaction::txid).collect() })
        ))
    }

    fn spends_in(&self, seq: u64) -> Answer<'_, Option<Vec<Spend>>> {
        let ledger = self.ledger();
        // Nobody but the wallet's key spends anything here.
        let spend = |transaction: &Transaction| {
            let left = transaction.outputs().iter().filter(|output| output.address != address(HOT));
            let coins = Amount::checked_sum(left.map(|output| output.coins)).unwrap();
            Spend { txid: transaction.txid(), coins }
        };
        let block = seq.checked_sub(1).and_then(|index| ledger.blocks.get(index as usize));
        now(Ok(block.map(|block| block.iter().map(spend).collect())))
    }
}
