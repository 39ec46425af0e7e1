//! The node's chain: blocks, unspent outputs, the pool of waiting transactions, and their history.
//!
//! Changes only through the functions here, each a plain function of the state, so that a journal of calls brings the
//! same chain back. Nothing here judges a transaction; see [`super::rules`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{BlockHash, Txid, UxId};
use millrace_protocols::wire::skycoin::transaction::{Output, Transaction};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What becomes of the transactions of blocks that a reorganisation takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orphans {
    /// They wait in the pool again, before everything else.
    Return,
    /// The node forgets them, as if it had never heard of them.
    Forget,
}

/// Whether coin hours grow with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Growth {
    /// A coin makes an hour an hour.
    Running,
    /// Nothing grows, so that drained hours stay drained.
    Stopped,
}

/// A block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its number; 0 is the genesis block.
    pub seq: u64,
    /// When it was made, in seconds since 1970.
    pub time_s: u64,
    /// Its name.
    pub hash: BlockHash,
    /// The name of the block before it.
    pub previous: BlockHash,
    /// The name of its contents.
    pub body_hash: BlockHash,
    /// Its transactions.
    pub txids: Vec<Txid>,
}

/// An output that a block made, spent or not.
#[derive(Debug, Clone)]
pub struct UxOut {
    /// Address, coins and hours.
    pub output: Output,
    /// The transaction that made it; all zero for the genesis output.
    pub src: Txid,
    /// The block that made it.
    pub block_seq: u64,
    /// When.
    pub time_s: u64,
    /// Whether a block spent it.
    pub spent: bool,
}

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In the pool, at this place of the queue.
    Pending(i64),
    /// In the block with this number.
    Confirmed(u64),
    /// Dropped, orphaned or displaced. The node denies having seen it; only the books remember.
    Gone,
}

/// A transaction the node has ever accepted.
#[derive(Debug, Clone)]
pub struct Known {
    /// The transaction.
    pub transaction: Transaction,
    /// The names of its outputs.
    pub uxids: Vec<UxId>,
    /// Who owned each input.
    pub owners: Vec<SkyAddress>,
    /// When it came in, or when its block was made.
    pub time_s: u64,
    /// Where it stands.
    pub standing: Standing,
}

/// The whole chain.
#[derive(Debug)]
pub struct Ledger {
    blocks: Vec<Block>,
    transactions: HashMap<Txid, Known>,
    outputs: HashMap<UxId, UxOut>,
    unspent: HashMap<SkyAddress, BTreeSet<(u64, UxId)>>,
    history: HashMap<SkyAddress, Vec<Txid>>,
    queue: BTreeMap<i64, Txid>,
    pool_spends: HashMap<UxId, Txid>,
    growth: Growth,
}

impl Ledger {
    /// A chain of one block, whose one output has no inputs behind it.
    pub fn genesis(output: Output, time_s: u64) -> Self {
        let src = Txid([0; 32]);
        let mut ledger = Self {
            blocks: Vec::new(),
            transactions: HashMap::new(),
            outputs: HashMap::new(),
            unspent: HashMap::new(),
            history: HashMap::new(),
            queue: BTreeMap::new(),
            pool_spends: HashMap::new(),
            growth: Growth::Running,
        };
        ledger.add_output(output.uxid(&src), UxOut { output, src, block_seq: 0, time_s, spent: false });
        ledger.push_block(Vec::new(), time_s);
        ledger
    }

    /// The newest block.
    pub fn head(&self) -> &Block {
        self.blocks.last().expect("the genesis block is never taken away")
    }

    /// A block by its number.
    pub fn block(&self, seq: u64) -> Option<&Block> {
        self.blocks.get(usize::try_from(seq).ok()?)
    }

    /// A transaction, by its name, wherever it stands.
    pub fn known(&self, txid: &Txid) -> Option<&Known> {
        self.transactions.get(txid)
    }

    /// Every transaction ever accepted, gone ones included, in no order.
    pub fn all_known(&self) -> impl Iterator<Item = (&Txid, &Known)> {
        self.transactions.iter()
    }

    /// An output that a block made, spent or not.
    pub fn output(&self, uxid: &UxId) -> Option<&UxOut> {
        self.outputs.get(uxid)
    }

    /// An output that can be spent by the next block.
    pub fn unspent(&self, uxid: &UxId) -> Option<&UxOut> {
        self.outputs.get(uxid).filter(|output| !output.spent)
    }

    /// The unspent outputs of an address, oldest block first.
    pub fn unspent_of(&self, address: &SkyAddress) -> impl Iterator<Item = (UxId, &UxOut)> {
        let uxids = self.unspent.get(address).into_iter().flatten();
        uxids.map(|(_, uxid)| (*uxid, self.outputs.get(uxid).expect("the index names outputs that exist")))
    }

    /// How many unspent outputs there are.
    pub fn unspent_count(&self) -> usize {
        self.unspent.values().map(BTreeSet::len).sum()
    }

    /// The waiting transaction that spends this output.
    pub fn pending_spender(&self, uxid: &UxId) -> Option<&Txid> {
        self.pool_spends.get(uxid)
    }

    /// What waits, in its order.
    pub fn pending(&self) -> impl Iterator<Item = (&Txid, &Known)> {
        self.queue.values().map(|txid| (txid, &self.transactions[txid]))
    }

    /// How many transactions wait.
    pub fn pending_count(&self) -> usize {
        self.queue.len()
    }

    /// The transactions that ever touched an address and are not gone, oldest first.
    pub fn history_of(&self, address: &SkyAddress) -> impl Iterator<Item = (&Txid, &Known)> {
        let txids = self.history.get(address).into_iter().flatten();
        txids.map(|txid| (txid, &self.transactions[txid])).filter(|(_, known)| known.standing != Standing::Gone)
    }

    /// The hours of an output as of the newest block: what it began with and what its coins made since.
    pub fn hours(&self, output: &UxOut) -> u64 {
        let seconds = match self.growth {
            Growth::Running => self.head().time_s.saturating_sub(output.time_s),
            Growth::Stopped => 0,
        };
        let droplet_seconds = u128::from(output.output.coins.units()) * u128::from(seconds);
        let grown = u64::try_from(droplet_seconds / 1_000_000 / 3600).unwrap_or(u64::MAX);
        output.output.hours.saturating_add(grown)
    }

    /// Lets hours grow, or stops them.
    pub fn set_growth(&mut self, growth: Growth) {
        self.growth = growth;
    }

    /// Whether hours grow.
    pub fn growth(&self) -> Growth {
        self.growth
    }

    /// Puts a transaction at the end of the queue. One that is known and not gone stays where it is.
    pub fn accept(&mut self, transaction: Transaction, time_s: u64) -> Txid {
        let txid = transaction.txid();
        let place = self.queue.last_key_value().map_or(0, |(place, _)| place + 1);
        match self.transactions.get(&txid).map(|known| known.standing) {
            Some(Standing::Pending(_) | Standing::Confirmed(_)) => return txid,
            Some(Standing::Gone) => (),
            None => self.remember(txid, transaction, time_s),
        }
        self.enqueue(txid, place);
        txid
    }

    fn remember(&mut self, txid: Txid, transaction: Transaction, time_s: u64) {
        let owner = |uxid| self.outputs.get(uxid).map(|spent| spent.output.address);
        let owners: Vec<_> = transaction.inputs().iter().filter_map(owner).collect();
        let touched: BTreeSet<_> =
            owners.iter().copied().chain(transaction.outputs().iter().map(|output| output.address)).collect();
        for address in touched {
            self.history.entry(address).or_default().push(txid);
        }
        let uxids = transaction.outputs().iter().map(|output| output.uxid(&txid)).collect();
        let known = Known { transaction, uxids, owners, time_s, standing: Standing::Gone };
        self.transactions.insert(txid, known);
    }

    fn known_mut(&mut self, txid: &Txid) -> &mut Known {
        self.transactions.get_mut(txid).expect("queue and blocks name known transactions only")
    }

    fn enqueue(&mut self, txid: Txid, place: i64) {
        let known = self.known_mut(&txid);
        known.standing = Standing::Pending(place);
        for input in known.transaction.inputs().to_vec() {
            self.pool_spends.insert(input, txid);
        }
        self.queue.insert(place, txid);
    }

    fn dequeue(&mut self, txid: &Txid) {
        let known = &self.transactions[txid];
        if let Standing::Pending(place) = known.standing {
            self.queue.remove(&place);
            for input in known.transaction.inputs() {
                self.pool_spends.remove(input);
            }
        }
    }

    /// Takes a transaction out of the pool; `false` when it is not in there.
    pub fn forget_pending(&mut self, txid: &Txid) -> bool {
        let pending = matches!(self.transactions.get(txid), Some(Known { standing: Standing::Pending(_), .. }));
        if pending {
            self.dequeue(txid);
            self.known_mut(txid).standing = Standing::Gone;
        }
        pending
    }

    /// Makes a block of everything waiting that can be spent now; `None` when there is nothing.
    pub fn make_block(&mut self, time_s: u64) -> Option<&Block> {
        let mut taken = HashSet::new();
        let mut fits = |known: &Known| {
            let free = |uxid| self.unspent(uxid).is_some() && !taken.contains(uxid);
            let fits = known.transaction.inputs().iter().all(free);
            if fits {
                taken.extend(known.transaction.inputs().iter().copied());
            }
            fits
        };
        let txids: Vec<_> = self.pending().filter(|(_, known)| fits(known)).map(|(txid, _)| *txid).collect();
        if txids.is_empty() { None } else { Some(self.apply_block(txids, time_s)) }
    }

    /// Makes a block of these transactions, whatever the pool says; what waits and spends the same is displaced.
    pub fn force_block(&mut self, transactions: Vec<Transaction>, time_s: u64) -> &Block {
        let mut txids = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let rivals: Vec<_> =
                transaction.inputs().iter().filter_map(|input| self.pool_spends.get(input)).copied().collect();
            rivals.iter().for_each(|rival| _ = self.forget_pending(rival));
            txids.push(self.accept(transaction, time_s));
        }
        self.apply_block(txids, time_s)
    }

    fn apply_block(&mut self, txids: Vec<Txid>, time_s: u64) -> &Block {
        let block_seq = self.head().seq + 1;
        // Blocks are never older than the ones before them, whatever the clock says.
        let time_s = time_s.max(self.head().time_s);
        for txid in &txids {
            self.dequeue(txid);
            let known = self.known_mut(txid);
            known.standing = Standing::Confirmed(block_seq);
            known.time_s = time_s;
            let (transaction, uxids) = (known.transaction.clone(), known.uxids.clone());
            transaction.inputs().iter().for_each(|input| self.set_spent(input, true));
            for (uxid, output) in uxids.into_iter().zip(transaction.outputs()) {
                self.add_output(uxid, UxOut { output: *output, src: *txid, block_seq, time_s, spent: false });
            }
        }
        self.push_block(txids, time_s);
        self.head()
    }

    fn add_output(&mut self, uxid: UxId, output: UxOut) {
        self.unspent.entry(output.output.address).or_default().insert((output.block_seq, uxid));
        self.outputs.insert(uxid, output);
    }

    fn set_spent(&mut self, uxid: &UxId, spent: bool) {
        let output = self.outputs.get_mut(uxid).expect("a block spends outputs that exist");
        assert_ne!(output.spent, spent, "output {uxid} is spent or freed twice");
        output.spent = spent;
        let index = self.unspent.entry(output.output.address).or_default();
        let changed =
            if spent { index.remove(&(output.block_seq, *uxid)) } else { index.insert((output.block_seq, *uxid)) };
        assert!(changed, "the index of unspent outputs does not agree about {uxid}");
    }

    fn push_block(&mut self, txids: Vec<Txid>, time_s: u64) {
        let seq = self.blocks.len() as u64;
        let previous = self.blocks.last().map_or(BlockHash([0; 32]), |block| block.hash);
        let mut body = Sha256::new();
        txids.iter().for_each(|txid| body.update(txid.0));
        let body_hash = BlockHash(body.finalize().into());
        let mut header = Sha256::new();
        header.update(seq.to_le_bytes());
        header.update(time_s.to_le_bytes());
        header.update(previous.0);
        header.update(body_hash.0);
        self.blocks.push(Block { seq, time_s, hash: BlockHash(header.finalize().into()), previous, body_hash, txids });
    }

    /// Takes the newest `depth` blocks away. The caller has made sure that there are more than that.
    pub fn take_back(&mut self, depth: u64, orphans: Orphans) {
        let mut returned = Vec::new();
        for _ in 0..depth {
            let block = self.blocks.pop().expect("the caller leaves the genesis block");
            for txid in block.txids.iter().rev() {
                self.undo(txid);
                returned.push(*txid);
            }
        }
        match orphans {
            Orphans::Forget => self.sweep_pool(),
            Orphans::Return => {
                for txid in returned {
                    let place = self.queue.first_key_value().map_or(0, |(place, _)| place - 1);
                    self.enqueue(txid, place);
                }
            }
        }
    }

    /// What waited for outputs that no longer exist can never be confirmed.
    fn sweep_pool(&mut self) {
        let lost = |known: &Known| known.transaction.inputs().iter().any(|input| self.unspent(input).is_none());
        let lost: Vec<_> = self.pending().filter(|(_, known)| lost(known)).map(|(txid, _)| *txid).collect();
        lost.iter().for_each(|txid| _ = self.forget_pending(txid));
    }

    fn undo(&mut self, txid: &Txid) {
        let known = self.known_mut(txid);
        known.standing = Standing::Gone;
        let (transaction, uxids) = (known.transaction.clone(), known.uxids.clone());
        for uxid in uxids {
            let output = self.outputs.remove(&uxid).expect("a block's outputs exist");
            assert!(!output.spent, "what spends {uxid} was undone before");
            self.unspent.entry(output.output.address).or_default().remove(&(output.block_seq, uxid));
        }
        transaction.inputs().iter().for_each(|input| self.set_spent(input, false));
    }
}
