//! Making blocks: coinbase, merkle root, witness commitment and the trivial proof of work of a test chain.

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::transaction::Version as TransactionVersion;
use bitcoin::{
    Amount, Block, BlockHash, OutPoint, ScriptBuf, Sequence, Target, Transaction, TxIn, TxMerkleNode, TxOut, Weight,
    Witness,
};

use super::chain::{height_script, median};
use super::coins::subsidy;

/// How much of a block's weight is left to transactions, after header and coinbase.
pub const TRANSACTIONS_WEIGHT_MAX: Weight = Weight::from_wu(Weight::MAX_BLOCK.to_wu() - 8_000);

/// What a block is made of.
#[derive(Debug)]
pub struct Template {
    /// The block it builds on.
    pub previous: BlockHash,
    /// Its height.
    pub height: u32,
    /// The times of the eleven blocks before it, in any order.
    pub recent_times: Vec<u32>,
    /// The miner's clock, in seconds since 1970.
    pub now: u32,
    /// Who gets the reward.
    pub reward_to: ScriptBuf,
    /// What the transactions leave to the miner.
    pub fees: Amount,
    /// Makes two blocks of the same content different.
    pub extra_nonce: u64,
    /// The transactions after the coinbase, parents before children.
    pub transactions: Vec<Transaction>,
}

/// Makes a valid block.
pub fn mine(template: Template) -> Block {
    let time = template.now.max(median(template.recent_times.clone()).saturating_add(1));
    let mut block = Block {
        header: Header {
            version: Version::from_consensus(0x2000_0000),
            prev_blockhash: template.previous,
            merkle_root: TxMerkleNode::all_zeros(),
            time,
            bits: Target::MAX_ATTAINABLE_REGTEST.to_compact_lossy(),
            nonce: 0,
        },
        txdata: vec![coinbase(&template)],
    };
    block.txdata.extend(template.transactions);
    commit_to_witnesses(&mut block);
    block.header.merkle_root = block.compute_merkle_root().expect("a block has a coinbase");
    while block.header.validate_pow(Target::MAX_ATTAINABLE_REGTEST).is_err() {
        block.header.nonce += 1;
    }
    block
}

fn coinbase(template: &Template) -> Transaction {
    let mut script_sig = Builder::from(height_script(template.height).into_bytes());
    script_sig = script_sig.push_slice(template.extra_nonce.to_le_bytes());
    let input = TxIn {
        previous_output: OutPoint::null(),
        script_sig: script_sig.into_script(),
        sequence: Sequence::MAX,
        witness: Witness::from_slice(&[[0u8; 32]]),
    };
    let value = subsidy(template.height) + template.fees;
    let output = TxOut { value, script_pubkey: template.reward_to.clone() };
    Transaction {
        version: TransactionVersion::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![output],
    }
}

/// Appends the commitment of BIP141, with the reserved value the coinbase's witness shows.
fn commit_to_witnesses(block: &mut Block) {
    let root = block.witness_root().expect("a block has a coinbase");
    let commitment = Block::compute_witness_commitment(&root, &[0; 32]);
    let mut push = PushBytesBuf::from([0xaa, 0x21, 0xa9, 0xed]);
    push.extend_from_slice(commitment.as_byte_array()).expect("36 bytes are a short push");
    block.txdata[0].output.push(TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new_op_return(push) });
}
