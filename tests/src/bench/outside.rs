//! An outside world inside the process: the ports answered from memory, at once. It keeps books, so that a benchmark that
//! paid twice, or not at all, ends with an error.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use bitcoin::{
    Amount as Satoshi, Block, BlockHash, CompactTarget, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn,
    TxMerkleNode, TxOut, Txid, Witness,
};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use millrace_actors::ports::{Answer, BitcoinNode, CreateError, PortError, SkycoinNode};
use millrace_model::money::{Amount, Sky};
use millrace_protocols::wire::bitcoind::ChainInfo;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{Txid as SkyTxid, UxId};
use millrace_protocols::wire::skycoin::rest::{
    Created, CreatedInput, Lag, Payout, Seen, SeenInput, Standing, UnspentOutput,
};
use millrace_protocols::wire::skycoin::transaction::{Output, Transaction as SkyTransaction};

/// Blocks in memory; nothing ever waits in its mempool.
#[derive(Default)]
pub struct Chain(Mutex<Vec<Block>>);

impl Chain {
    /// A chain with one empty block.
    pub fn new() -> Self {
        let chain = Self::default();
        chain.mine(&[], 0);
        chain
    }

    /// Mines a block with one transaction for each script; `salt` keeps the transactions of one script apart.
    pub fn mine(&self, scripts: &[ScriptBuf], salt: u32) {
        let mut blocks = self.blocks();
        let height = u32::try_from(blocks.len()).expect("a short chain");
        let payments = scripts.iter().zip(0..).map(|(script, index)| payment(script, salt, index));
        let txdata: Vec<_> = std::iter::once(payment(&ScriptBuf::new(), height, u32::MAX)).chain(payments).collect();
        let header = Header {
            version: Version::TWO,
            prev_blockhash: blocks.last().map_or(BlockHash::all_zeros(), Block::block_hash),
            merkle_root: TxMerkleNode::all_zeros(),
            time: height,
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: salt,
        };
        blocks.push(Block { header, txdata });
    }

    fn blocks(&self) -> MutexGuard<'_, Vec<Block>> {
        self.0.lock().expect("nothing panics while it holds the chain")
    }
}

fn payment(script: &ScriptBuf, salt: u32, index: u32) -> Transaction {
    let mut spent = [0; 32];
    spent[..4].copy_from_slice(&salt.to_be_bytes());
    spent[4..8].copy_from_slice(&index.to_be_bytes());
    spent[8] = 1;
    Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint { txid: Txid::from_byte_array(spent), vout: 0 },
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: vec![TxOut { value: Satoshi::from_sat(1_000_000), script_pubkey: script.clone() }],
    }
}

impl BitcoinNode for Chain {
    fn chain_info(&self) -> Answer<'_, ChainInfo> {
        let blocks = self.blocks();
        let info = ChainInfo {
            chain: Network::Regtest,
            blocks: u32::try_from(blocks.len() - 1).expect("a short chain"),
            best_hash: blocks.last().expect("there is a first block").block_hash(),
            initial_block_download: false,
        };
        ready(Ok(info)).boxed()
    }

    fn hash_at(&self, height: u32) -> Answer<'_, Option<BlockHash>> {
        ready(Ok(self.blocks().get(height as usize).map(Block::block_hash))).boxed()
    }

    fn block(&self, hash: BlockHash) -> Answer<'_, Option<Block>> {
        ready(Ok(self.blocks().iter().rev().find(|block| block.block_hash() == hash).cloned())).boxed()
    }

    fn mempool(&self) -> Answer<'_, Vec<Txid>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn waiting(&self, _: Txid) -> Answer<'_, Option<Transaction>> {
        ready(Ok(None)).boxed()
    }
}

/// A hot wallet of many outputs at a node that confirms whatever it is handed.
pub struct Wallet {
    key: SecretKey,
    address: SkyAddress,
    /// Signed beforehand, since a wallet's work is not the desk's: what one output pays to the usual target.
    signed: HashMap<UxId, SkyTransaction>,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    unspent: HashMap<UxId, UnspentOutput>,
    paid: HashMap<SkyTxid, Seen>,
}

impl Wallet {
    /// A wallet of so many outputs of 1000 SKY.
    pub fn new(outputs: u32) -> Self {
        let key = SecretKey::from_slice(&[7; 32]).expect("a key");
        let address = SkyAddress::from_public_key(&key.public_key(&Secp256k1::new()));
        let wallet = Self { key, address, signed: HashMap::new(), books: Mutex::default() };
        for number in 0..outputs {
            let mut uxid = [0; 32];
            uxid[..4].copy_from_slice(&number.to_be_bytes());
            let output = wallet.output(UxId(uxid), Amount::from_units(1_000_000_000).expect("an amount"));
            wallet.books().unspent.insert(output.uxid, output);
        }
        wallet
    }

    /// Signs beforehand what each output alone would pay.
    pub fn sign_beforehand(mut self, to: SkyAddress, coins: Amount<Sky>) -> Self {
        let outputs: Vec<_> = self.books().unspent.values().cloned().collect();
        let sign = |output: UnspentOutput| {
            let signed = self.transaction(std::slice::from_ref(&output), (to, coins)).expect("each has enough");
            (output.uxid, signed)
        };
        self.signed = outputs.into_iter().map(sign).collect();
        self
    }

    /// How many payouts were made; each spends outputs of its own, or it would not have been taken.
    pub fn payouts(&self) -> usize {
        self.books().paid.len()
    }

    fn output(&self, uxid: UxId, coins: Amount<Sky>) -> UnspentOutput {
        UnspentOutput { uxid, block_seq: 1, src_tx: SkyTxid([0; 32]), address: self.address, coins, hours: 1_000_000 }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("nothing panics while it holds the books")
    }

    fn sign(&self, payout: &Payout) -> Result<Created, CreateError> {
        let spent: Option<Vec<_>> = {
            let books = self.books();
            payout.unspents.iter().map(|uxid| books.unspent.get(uxid).cloned()).collect()
        };
        let spent = spent.ok_or_else(|| CreateError::Port(refusal("an input is spent")))?;
        let paid = (payout.to, payout.coins);
        let ready = self.signed.get(&payout.unspents[0]).filter(|transaction| {
            let output = transaction.outputs()[0];
            transaction.inputs() == payout.unspents && (output.address, output.coins) == paid
        });
        let transaction = match ready {
            Some(transaction) => transaction.clone(),
            None => self.transaction(&spent, paid).map_err(CreateError::Port)?,
        };
        let (txid, inner_hash) = (transaction.txid(), transaction.inner_hash());
        let inputs = spent
            .iter()
            .map(|output| CreatedInput { uxid: output.uxid, address: output.address, coins: output.coins })
            .collect();
        Ok(Created { transaction, txid, inner_hash, fee_hours: 1, inputs })
    }

    /// What these outputs pay, signed; the rest comes back.
    fn transaction(
        &self,
        spent: &[UnspentOutput],
        (to, coins): (SkyAddress, Amount<Sky>),
    ) -> Result<SkyTransaction, PortError> {
        let total = Amount::checked_sum(spent.iter().map(|output| output.coins)).ok_or_else(|| refusal("a sum"))?;
        let change = total.checked_sub(coins).ok_or_else(|| refusal("too little"))?;
        let mut outputs = vec![Output { address: to, coins, hours: 1 }];
        if !change.is_zero() {
            outputs.push(Output { address: self.address, coins: change, hours: 1 });
        }
        let inputs = spent.iter().map(|output| output.uxid).collect();
        let mut transaction = SkyTransaction::unsigned(inputs, outputs).map_err(|error| refusal(&error.to_string()))?;
        for input in 0..spent.len() {
            transaction.sign(input, &self.key);
        }
        Ok(transaction)
    }

    fn take(&self, transaction: &SkyTransaction) -> Result<(), PortError> {
        let mut books = self.books();
        let txid = transaction.txid();
        if books.paid.contains_key(&txid) {
            return Ok(());
        }
        if !transaction.inputs().iter().all(|input| books.unspent.contains_key(input)) {
            return Err(refusal("an input is spent"));
        }
        for input in transaction.inputs() {
            books.unspent.remove(input);
        }
        for (output, uxid) in transaction.outputs().iter().zip(transaction.uxids()) {
            if output.address == self.address {
                books.unspent.insert(uxid, self.output(uxid, output.coins));
            }
        }
        let seen = Seen {
            standing: Standing::Confirmed { depth: 1, block_seq: 1 },
            txid,
            inner_hash: transaction.inner_hash(),
            inputs: transaction.inputs().iter().map(|uxid| SeenInput { uxid: *uxid }).collect(),
            outputs: Vec::new(),
        };
        books.paid.insert(txid, seen);
        Ok(())
    }
}

fn refusal(why: &str) -> PortError {
    PortError::Refused(why.to_owned())
}

fn no_history() -> PortError {
    refusal("this wallet keeps no history")
}

impl SkycoinNode for Wallet {
    fn hot_address(&self) -> Answer<'_, SkyAddress> {
        ready(Ok(self.address)).boxed()
    }

    fn spendable(&self, _: u64) -> Answer<'_, Vec<UnspentOutput>> {
        ready(Ok(self.books().unspent.values().cloned().collect())).boxed()
    }

    fn create<'a>(&'a self, payout: &'a Payout) -> BoxFuture<'a, Result<Created, CreateError>> {
        ready(self.sign(payout)).boxed()
    }

    fn inject<'a>(&'a self, transaction: &'a SkyTransaction) -> Answer<'a, ()> {
        ready(self.take(transaction)).boxed()
    }

    fn transaction(&self, txid: SkyTxid) -> Answer<'_, Option<Seen>> {
        ready(Ok(self.books().paid.get(&txid).cloned())).boxed()
    }

    fn payments_to(&self, _: SkyAddress) -> Answer<'_, Vec<SkyTxid>> {
        // Nobody asks: nothing was mined before the desk began.
        ready(Err(no_history())).boxed()
    }

    fn own(&self, _: SkyTxid) -> Answer<'_, Option<SkyTransaction>> {
        ready(Err(no_history())).boxed()
    }

    fn lag(&self) -> Answer<'_, Option<Lag>> {
        ready(Ok(None)).boxed()
    }

    fn transactions_of(&self, _: SkyAddress) -> Answer<'_, Vec<Seen>> {
        ready(Ok(self.books().paid.values().cloned().collect())).boxed()
    }
}
