//! Blocks made by hand, for a chain that competes with the node's own.
//!
//! Regtest rules: the difficulty never changes, the reward halves every 150 blocks, and a block with witnesses
//! commits to them in its coinbase (BIP141).

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::transaction;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode,
};
use bitcoin::{TxOut, Witness};

/// Regtest's one difficulty: about every second hash is a valid one.
const BITS: u32 = 0x207f_ffff;
/// Blocks between two halvings of the reward in regtest.
const HALVING_BLOCKS: u32 = 150;
/// What marks the output that commits to the witnesses (BIP141).
const COMMITMENT: [u8; 4] = [0xaa, 0x21, 0xa9, 0xed];

/// Where a block stands and what it pays.
#[derive(Debug, Clone)]
pub struct Place {
    /// The block before.
    pub parent: BlockHash,
    /// Height of the new block.
    pub height: u32,
    /// Its time in seconds since 1970; later than the median of the eleven before.
    pub time: u32,
    /// Who is paid for it.
    pub reward_to: ScriptBuf,
    /// Makes two blocks at the same place different.
    pub tag: u64,
}

/// A valid block at `place` with its coinbase and `transactions`, whose fees it leaves unclaimed.
pub fn mine(place: &Place, transactions: Vec<Transaction>) -> Block {
    let header = Header {
        version: Version::from_consensus(0x2000_0000),
        prev_blockhash: place.parent,
        merkle_root: TxMerkleNode::all_zeros(),
        time: place.time,
        bits: CompactTarget::from_consensus(BITS),
        nonce: 0,
    };
    let mut txdata = vec![coinbase(place)];
    txdata.extend(transactions);
    let mut block = Block { header, txdata };
    commit_to_witnesses(&mut block);
    block.header.merkle_root = block.compute_merkle_root().expect("a block has a coinbase");
    while block.header.validate_pow(block.header.target()).is_err() {
        block.header.nonce += 1;
    }
    block
}

fn coinbase(place: &Place) -> Transaction {
    let script_sig = Builder::new().push_int(i64::from(place.height)).push_slice(place.tag.to_le_bytes()).into_script();
    let reward = TxOut { value: reward(place.height), script_pubkey: place.reward_to.clone() };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig,
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: vec![reward],
    }
}

fn reward(height: u32) -> Amount {
    Amount::from_sat(5_000_000_000 >> (height / HALVING_BLOCKS))
}

/// BIP141: a block in which anything carries a witness commits to all of them; others may leave it out.
fn commit_to_witnesses(block: &mut Block) {
    if block.txdata.iter().all(|transaction| transaction.input.iter().all(|input| input.witness.is_empty())) {
        return;
    }
    let reserved = [0_u8; 32];
    let root = block.witness_root().expect("a block has a coinbase");
    let commitment = Block::compute_witness_commitment(&root, &reserved);
    let mut data = PushBytesBuf::new();
    data.extend_from_slice(&COMMITMENT).expect("36 bytes fit in a push");
    data.extend_from_slice(commitment.as_byte_array()).expect("36 bytes fit in a push");
    let coinbase = &mut block.txdata[0];
    coinbase.input[0].witness.push(reserved);
    coinbase.output.push(TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new_op_return(data) });
}
