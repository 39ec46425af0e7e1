//! A Bitcoin network in memory: a best chain and a mempool, moved by the story.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::script::PushBytesBuf;
use bitcoin::{
    Amount as Satoshi, Block, BlockHash, CompactTarget, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn,
    TxMerkleNode, TxOut, Txid, Witness, transaction,
};
use millrace_actors::ports::{Answer, BitcoinNode, PortError};
use millrace_protocols::wire::bitcoind::ChainInfo;
use rand::Rng;
use rand::rngs::SmallRng;

use super::wire::{Carried, Wire};

/// The node, as the desk reaches it over its wire.
pub struct BitcoinNetwork {
    wire: Arc<Wire>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    blocks: Vec<Block>,
    mempool: Vec<Transaction>,
    /// Sent once, and forgotten by the nodes.
    forgotten: Vec<Transaction>,
    blocks_made: u32,
    coins_spent: u32,
}

impl BitcoinNetwork {
    /// A chain of three blocks.
    pub fn new(wire: Arc<Wire>) -> Self {
        let mut state = State::default();
        (0..3).for_each(|_| state.mine(Vec::new()));
        Self { wire, state: Arc::new(Mutex::new(state)) }
    }

    /// Somebody pays, with coins that nobody spent before.
    pub fn pay(&self, script: &ScriptBuf, satoshis: u64) -> Txid {
        let mut state = self.lock();
        state.coins_spent += 1;
        let payment = payment(state.coins_spent, script, satoshis);
        let txid = payment.compute_txid();
        state.mempool.push(payment);
        txid
    }

    /// The newest payment that waits is replaced: its coins go to somebody else.
    pub fn double_spend(&self) {
        let mut state = self.lock();
        let Some(replaced) = state.mempool.pop() else { return };
        let mut other = replaced;
        other.output[0].script_pubkey = ScriptBuf::new_op_return(PushBytesBuf::new());
        state.mempool.push(other);
    }

    /// The nodes forget the payment that waits longest.
    pub fn evict(&self) {
        let mut state = self.lock();
        if !state.mempool.is_empty() {
            let evicted = state.mempool.remove(0);
            state.forgotten.push(evicted);
        }
    }

    /// Those who paid send again what was forgotten.
    pub fn send_again(&self) {
        let mut state = self.lock();
        let forgotten = std::mem::take(&mut state.forgotten);
        for transaction in forgotten {
            state.wait(transaction);
        }
    }

    /// Mines some of what waits, by chance; all of it without.
    pub fn mine(&self, chance: Option<&mut SmallRng>) {
        let mut state = self.lock();
        let waiting = std::mem::take(&mut state.mempool);
        let (mined, left) = match chance {
            None => (waiting, Vec::new()),
            Some(chance) => waiting.into_iter().partition(|_| chance.random_ratio(3, 4)),
        };
        state.mempool = left;
        state.mine(mined);
    }

    /// Replaces the newest blocks by one more. What was in them waits again, or is forgotten.
    pub fn reorganise(&self, depth: usize, chance: &mut SmallRng) {
        let mut state = self.lock();
        let from = state.blocks.len().saturating_sub(depth).max(1);
        let orphaned = state.blocks.split_off(from);
        for transaction in orphaned.iter().flat_map(|block| block.txdata.iter().skip(1).cloned()) {
            match chance.random_range(0..4) {
                0 => state.forgotten.push(transaction),
                _ => state.wait(transaction),
            }
        }
        for _ in 0..=orphaned.len() {
            let waiting = std::mem::take(&mut state.mempool);
            let (mined, left) = waiting.into_iter().partition(|_| chance.random_ratio(1, 2));
            state.mempool = left;
            state.mine(mined);
        }
    }

    /// Every payment to one of these scripts in the best chain: transaction, output and satoshis.
    pub fn paid_to(&self, is_ours: impl Fn(&ScriptBuf) -> bool) -> Vec<(Txid, u32, u64)> {
        let state = self.lock();
        let all = state.blocks.iter().flat_map(|block| &block.txdata);
        let outputs = all.flat_map(|transaction| {
            let txid = transaction.compute_txid();
            transaction.output.iter().zip(0..).map(move |(output, index)| (txid, index, output))
        });
        let ours = outputs.filter(|(_, _, output)| is_ours(&output.script_pubkey));
        ours.map(|(txid, index, output)| (txid, index, output.value.to_sat())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T: Send + 'static>(&self, read: impl FnOnce(&State) -> T + Send + 'static) -> Answer<'_, T> {
        let state = Arc::clone(&self.state);
        let wire = Arc::clone(&self.wire);
        Box::pin(async move {
            let look = move || read(&state.lock().unwrap_or_else(PoisonError::into_inner));
            match wire.carry(look).await {
                Carried::Answer(answer) => Ok(answer),
                Carried::TurnedAway => Err(PortError::Refused("work queue depth exceeded".to_owned())),
                Carried::Lost => Err(PortError::Unreachable("no answer in time".to_owned())),
            }
        })
    }
}

impl State {
    /// Waits to be mined, unless its coins are spent in a block or by one that waits.
    fn wait(&mut self, transaction: Transaction) {
        let coin = transaction.input[0].previous_output;
        let waiting = self.mempool.iter();
        let mut all = self.blocks.iter().flat_map(|block| block.txdata.iter().skip(1)).chain(waiting);
        if !all.any(|other| other.input[0].previous_output == coin) {
            self.mempool.push(transaction);
        }
    }

    fn mine(&mut self, transactions: Vec<Transaction>) {
        self.blocks_made += 1;
        let height = u32::try_from(self.blocks.len()).expect("a short chain");
        let mut txdata = vec![coinbase(height, self.blocks_made)];
        txdata.extend(transactions);
        let header = Header {
            version: Version::TWO,
            prev_blockhash: self.blocks.last().map_or(BlockHash::all_zeros(), Block::block_hash),
            merkle_root: TxMerkleNode::all_zeros(),
            time: height,
            bits: CompactTarget::from_consensus(0),
            nonce: self.blocks_made,
        };
        let mut block = Block { header, txdata };
        block.header.merkle_root = block.compute_merkle_root().expect("there is a coinbase");
        self.blocks.push(block);
    }
}

impl BitcoinNode for BitcoinNetwork {
    fn chain_info(&self) -> Answer<'_, ChainInfo> {
        self.ask(|state| ChainInfo {
            chain: Network::Regtest,
            blocks: u32::try_from(state.blocks.len() - 1).expect("a short chain"),
            best_hash: state.blocks.last().expect("there is a first block").block_hash(),
            initial_block_download: false,
        })
    }

    fn hash_at(&self, height: u32) -> Answer<'_, Option<BlockHash>> {
        self.ask(move |state| state.blocks.get(height as usize).map(Block::block_hash))
    }

    fn block(&self, hash: BlockHash) -> Answer<'_, Option<Block>> {
        self.ask(move |state| state.blocks.iter().rev().find(|block| block.block_hash() == hash).cloned())
    }

    fn mempool(&self) -> Answer<'_, Vec<Txid>> {
        self.ask(|state| state.mempool.iter().map(Transaction::compute_txid).collect())
    }

    fn waiting(&self, txid: Txid) -> Answer<'_, Option<Transaction>> {
        self.ask(move |state| state.mempool.iter().find(|transaction| transaction.compute_txid() == txid).cloned())
    }
}

fn payment(coin: u32, script: &ScriptBuf, satoshis: u64) -> Transaction {
    let mut spent = [1; 32];
    spent[..4].copy_from_slice(&coin.to_be_bytes());
    let output = TxOut { value: Satoshi::from_sat(satoshis), script_pubkey: script.clone() };
    spending(OutPoint { txid: Txid::from_byte_array(spent), vout: 0 }, ScriptBuf::new(), output)
}

fn coinbase(height: u32, made: u32) -> Transaction {
    let tag = [height.to_le_bytes(), made.to_le_bytes()].concat();
    let tag = PushBytesBuf::try_from(tag).expect("eight bytes");
    let output = TxOut { value: Satoshi::from_sat(50), script_pubkey: ScriptBuf::new() };
    spending(OutPoint::null(), ScriptBuf::builder().push_slice(tag).into_script(), output)
}

fn spending(previous_output: OutPoint, script_sig: ScriptBuf, output: TxOut) -> Transaction {
    let input = TxIn { previous_output, script_sig, sequence: Sequence::MAX, witness: Witness::new() };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![output],
    }
}
