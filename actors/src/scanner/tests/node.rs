//! A Bitcoin node in memory: a best chain and a mempool, both moved by the test.

use std::sync::{Mutex, MutexGuard};

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::{
    Address, Amount, Block, BlockHash, CompactTarget, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn,
    TxMerkleNode, TxOut, Txid, Witness, transaction,
};
use millrace_protocols::wire::bitcoind::ChainInfo;
use tokio::sync::watch;

use crate::ports::{Answer, BitcoinNode, PortError};

pub struct FakeNode {
    state: Mutex<State>,
    /// How often the mempool was listed: once a round.
    pub rounds: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    blocks: Vec<Block>,
    mempool: Vec<Transaction>,
    down: bool,
    blocks_read: u32,
    made: u32,
}

impl FakeNode {
    /// A chain of three blocks.
    pub fn new() -> Self {
        let node = Self { state: Mutex::default(), rounds: watch::Sender::new(0) };
        (0..3).for_each(|_| node.mine_with(vec![]));
        node
    }

    /// Mines everything that waits.
    pub fn mine(&self) {
        let waiting = std::mem::take(&mut self.lock().mempool);
        self.mine_with(waiting);
    }

    /// Mines these and nothing else.
    pub fn mine_with(&self, transactions: Vec<Transaction>) {
        let mut state = self.lock();
        state.made += 1;
        let height = state.blocks.len() as u32;
        let mut txdata = vec![coinbase(height, state.made)];
        txdata.extend(transactions);
        let prev_blockhash = state.blocks.last().map_or(BlockHash::all_zeros(), Block::block_hash);
        let header = Header {
            version: Version::TWO,
            prev_blockhash,
            merkle_root: TxMerkleNode::all_zeros(),
            time: height,
            bits: CompactTarget::from_consensus(0),
            nonce: state.made,
        };
        let mut block = Block { header, txdata };
        block.header.merkle_root = block.compute_merkle_root().unwrap();
        state.blocks.push(block);
    }

    /// Takes the newest blocks off; what was in them is nowhere then.
    pub fn abandon(&self, depth: usize) -> Vec<Block> {
        let mut state = self.lock();
        let from = state.blocks.len() - depth;
        state.blocks.split_off(from)
    }

    /// Puts blocks back on top.
    pub fn adopt(&self, blocks: Vec<Block>) {
        self.lock().blocks.extend(blocks);
    }

    pub fn set_mempool(&self, transactions: Vec<Transaction>) {
        self.lock().mempool = transactions;
    }

    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    pub fn height(&self) -> u64 {
        self.lock().blocks.len() as u64 - 1
    }

    pub fn blocks_read(&self) -> u32 {
        self.lock().blocks_read
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn answer<T: Send + 'static>(&self, answer: impl FnOnce(&mut State) -> T) -> Answer<'_, T> {
        let mut state = self.lock();
        let answer = if state.down {
            Err(PortError::Unreachable("connection refused".to_owned()))
        } else {
            Ok(answer(&mut state))
        };
        Box::pin(std::future::ready(answer))
    }
}

impl BitcoinNode for FakeNode {
    fn chain_info(&self) -> Answer<'_, ChainInfo> {
        self.answer(|state| ChainInfo {
            chain: Network::Bitcoin,
            blocks: state.blocks.len() as u32 - 1,
            best_hash: state.blocks.last().unwrap().block_hash(),
            initial_block_download: false,
        })
    }

    fn hash_at(&self, height: u32) -> Answer<'_, Option<BlockHash>> {
        self.answer(|state| state.blocks.get(height as usize).map(Block::block_hash))
    }

    fn block(&self, hash: BlockHash) -> Answer<'_, Option<Block>> {
        self.answer(|state| {
            state.blocks_read += 1;
            state.blocks.iter().rev().find(|block| block.block_hash() == hash).cloned()
        })
    }

    fn mempool(&self) -> Answer<'_, Vec<Txid>> {
        self.rounds.send_modify(|rounds| *rounds += 1);
        self.answer(|state| state.mempool.iter().map(Transaction::compute_txid).collect())
    }

    fn waiting(&self, txid: Txid) -> Answer<'_, Option<Transaction>> {
        self.answer(|state| state.mempool.iter().find(|transaction| transaction.compute_txid() == txid).cloned())
    }
}

/// A transaction that spends the made-up coin of this number.
pub fn payment(coin: u8, to: &Address, satoshis: u64) -> Transaction {
    let previous_output = OutPoint { txid: Txid::from_byte_array([coin; 32]), vout: 0 };
    transaction(
        previous_output,
        ScriptBuf::new(),
        TxOut { value: Amount::from_sat(satoshis), script_pubkey: to.script_pubkey() },
    )
}

fn coinbase(height: u32, made: u32) -> Transaction {
    let tag = [height.to_le_bytes(), made.to_le_bytes()].concat();
    let tag: &bitcoin::script::PushBytes = tag.as_slice().try_into().unwrap();
    let script_sig = ScriptBuf::builder().push_slice(tag).into_script();
    transaction(OutPoint::null(), script_sig, TxOut { value: Amount::from_sat(50), script_pubkey: ScriptBuf::new() })
}

fn transaction(previous_output: OutPoint, script_sig: ScriptBuf, output: TxOut) -> Transaction {
    let input = TxIn { previous_output, script_sig, sequence: Sequence::MAX, witness: Witness::new() };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![output],
    }
}
