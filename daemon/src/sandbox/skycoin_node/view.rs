//! How the node shows blocks, transactions, outputs and wallets: the shapes of its JSON.

use millrace_model::money::{Amount, Sky};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{BlockHash, InnerHash, Txid, UxId};
use millrace_protocols::wire::skycoin::transaction::Transaction;
use serde::Serialize;

use super::ledger::{Block, Known, Ledger, Standing, UxOut};
use super::wallet::{Kind, Wallet};

/// How much a transaction's inputs say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Their names.
    Names,
    /// Owner, coins and hours too.
    Verbose,
}

#[derive(Serialize)]
pub struct StatusView {
    confirmed: bool,
    unconfirmed: bool,
    height: u64,
    block_seq: u64,
}

/// A transaction with its status, as `/transaction` shows it.
#[derive(Serialize)]
pub struct ReportView {
    status: StatusView,
    time: u64,
    txn: TransactionView,
}

#[derive(Serialize)]
pub struct TransactionView {
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    length: usize,
    r#type: u8,
    txid: Txid,
    inner_hash: InnerHash,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<u64>,
    sigs: Vec<String>,
    inputs: Vec<InputView>,
    outputs: Vec<OutputView>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum InputView {
    Name(UxId),
    Verbose { uxid: UxId, owner: SkyAddress, coins: Amount<Sky>, hours: u64, calculated_hours: u64 },
}

#[derive(Serialize)]
struct OutputView {
    uxid: UxId,
    dst: SkyAddress,
    coins: Amount<Sky>,
    hours: u64,
}

/// A waiting transaction, as `/pendingTxs` shows it.
#[derive(Serialize)]
pub struct PendingView {
    transaction: TransactionView,
    received: String,
    checked: String,
    announced: &'static str,
    is_valid: bool,
}

/// A transaction as `/wallet/transaction` shows it.
#[derive(Serialize)]
pub struct CreatedView {
    length: usize,
    r#type: u8,
    txid: Txid,
    inner_hash: InnerHash,
    fee: String,
    sigs: Vec<String>,
    inputs: Vec<CreatedInputView>,
    outputs: Vec<CreatedOutputView>,
}

#[derive(Serialize)]
struct CreatedInputView {
    uxid: UxId,
    #[serde(flatten)]
    known: Option<CreatedInputKnown>,
}

#[derive(Serialize)]
struct CreatedInputKnown {
    address: SkyAddress,
    coins: Amount<Sky>,
    hours: String,
    calculated_hours: String,
    timestamp: u64,
    block: u64,
    txid: Txid,
}

#[derive(Serialize)]
struct CreatedOutputView {
    uxid: UxId,
    address: SkyAddress,
    coins: Amount<Sky>,
    hours: String,
}

/// An unspent output, as `/outputs` shows it.
#[derive(Serialize)]
pub struct UnspentView {
    hash: UxId,
    block_seq: u64,
    time: u64,
    src_tx: Txid,
    address: SkyAddress,
    coins: Amount<Sky>,
    hours: u64,
    calculated_hours: u64,
}

/// The head of a block.
#[derive(Serialize)]
pub struct HeaderView {
    seq: u64,
    block_hash: BlockHash,
    previous_block_hash: BlockHash,
    timestamp: u64,
    fee: u64,
    version: u32,
    tx_body_hash: BlockHash,
}

/// A block, as `/block` shows it.
#[derive(Serialize)]
pub struct BlockView {
    header: HeaderView,
    body: BodyView,
    size: usize,
}

#[derive(Serialize)]
struct BodyView {
    txns: Vec<TransactionView>,
}

/// A wallet, as `/wallet` shows it.
#[derive(Serialize)]
pub struct WalletView {
    meta: WalletMeta,
    entries: Vec<WalletEntry>,
}

#[derive(Serialize)]
struct WalletMeta {
    coin: &'static str,
    filename: String,
    label: String,
    r#type: &'static str,
    version: &'static str,
    crypto_type: &'static str,
    timestamp: u64,
    encrypted: bool,
}

#[derive(Serialize)]
struct WalletEntry {
    address: SkyAddress,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    child_number: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<u8>,
}

/// A transaction with where it stands.
pub fn report(ledger: &Ledger, known: &Known, detail: Detail) -> ReportView {
    let status = match known.standing {
        Standing::Confirmed(seq) => StatusView {
            confirmed: true,
            unconfirmed: false,
            height: ledger.head().seq.saturating_sub(seq) + 1,
            block_seq: seq,
        },
        Standing::Pending(_) | Standing::Gone => {
            StatusView { confirmed: false, unconfirmed: true, height: 0, block_seq: 0 }
        }
    };
    let mut txn = transaction(ledger, &known.transaction, detail);
    txn.timestamp = Some(known.time_s);
    ReportView { status, time: known.time_s, txn }
}

/// A transaction.
pub fn transaction(ledger: &Ledger, transaction: &Transaction, detail: Detail) -> TransactionView {
    let txid = transaction.txid();
    let input = |uxid: &UxId| match (detail, ledger.output(uxid)) {
        (Detail::Verbose, Some(spent)) => InputView::Verbose {
            uxid: *uxid,
            owner: spent.output.address,
            coins: spent.output.coins,
            hours: spent.output.hours,
            calculated_hours: ledger.hours(spent),
        },
        (Detail::Verbose, None) | (Detail::Names, _) => InputView::Name(*uxid),
    };
    let output = |output: &millrace_protocols::wire::skycoin::transaction::Output| OutputView {
        uxid: output.uxid(&txid),
        dst: output.address,
        coins: output.coins,
        hours: output.hours,
    };
    TransactionView {
        timestamp: None,
        length: transaction.byte_count(),
        r#type: 0,
        txid,
        inner_hash: transaction.inner_hash(),
        fee: (detail == Detail::Verbose).then(|| fee(ledger, transaction)),
        sigs: signatures(transaction),
        inputs: transaction.inputs().iter().map(input).collect(),
        outputs: transaction.outputs().iter().map(output).collect(),
    }
}

/// A transaction that waits.
pub fn pending(ledger: &Ledger, known: &Known, detail: Detail) -> PendingView {
    let received = chrono::DateTime::from_timestamp(i64::try_from(known.time_s).unwrap_or(0), 0).unwrap_or_default();
    PendingView {
        transaction: transaction(ledger, &known.transaction, detail),
        received: received.to_rfc3339(),
        checked: received.to_rfc3339(),
        announced: "0001-01-01T00:00:00Z",
        is_valid: known.transaction.inputs().iter().all(|input| ledger.unspent(input).is_some()),
    }
}

/// A transaction just created, or being verified; inputs that are not known show their name only.
pub fn created(ledger: &Ledger, transaction: &Transaction) -> CreatedView {
    let txid = transaction.txid();
    let known = |spent: &UxOut| CreatedInputKnown {
        address: spent.output.address,
        coins: spent.output.coins,
        hours: spent.output.hours.to_string(),
        calculated_hours: ledger.hours(spent).to_string(),
        timestamp: spent.time_s,
        block: spent.block_seq,
        txid: spent.src,
    };
    let input = |uxid: &UxId| CreatedInputView { uxid: *uxid, known: ledger.output(uxid).map(known) };
    let outputs = transaction.outputs().iter().map(|output| CreatedOutputView {
        uxid: output.uxid(&txid),
        address: output.address,
        coins: output.coins,
        hours: output.hours.to_string(),
    });
    CreatedView {
        length: transaction.byte_count(),
        r#type: 0,
        txid,
        inner_hash: transaction.inner_hash(),
        fee: fee(ledger, transaction).to_string(),
        sigs: signatures(transaction),
        inputs: transaction.inputs().iter().map(input).collect(),
        outputs: outputs.collect(),
    }
}

/// The hours a transaction burns, as far as its inputs are known.
fn fee(ledger: &Ledger, transaction: &Transaction) -> u64 {
    let hours_in: u64 =
        transaction.inputs().iter().filter_map(|uxid| ledger.output(uxid)).map(|o| ledger.hours(o)).sum();
    let hours_out = transaction.outputs().iter().fold(0u64, |sum, output| sum.saturating_add(output.hours));
    hours_in.saturating_sub(hours_out)
}

fn signatures(transaction: &Transaction) -> Vec<String> {
    transaction.signatures().iter().map(hex::encode).collect()
}

/// An output in a block.
pub fn unspent(ledger: &Ledger, uxid: UxId, output: &UxOut) -> UnspentView {
    UnspentView {
        hash: uxid,
        block_seq: output.block_seq,
        time: output.time_s,
        src_tx: output.src,
        address: output.output.address,
        coins: output.output.coins,
        hours: output.output.hours,
        calculated_hours: ledger.hours(output),
    }
}

/// An output that a waiting transaction will make.
pub fn incoming(known: &Known, txid: &Txid, index: usize) -> UnspentView {
    let output = &known.transaction.outputs()[index];
    UnspentView {
        hash: known.uxids[index],
        block_seq: 0,
        time: known.time_s,
        src_tx: *txid,
        address: output.address,
        coins: output.coins,
        hours: output.hours,
        calculated_hours: output.hours,
    }
}

/// The head of a block.
pub fn header(ledger: &Ledger, block: &Block) -> HeaderView {
    let known = block.txids.iter().filter_map(|txid| ledger.known(txid));
    HeaderView {
        seq: block.seq,
        block_hash: block.hash,
        previous_block_hash: block.previous,
        timestamp: block.time_s,
        fee: known.fold(0u64, |sum, known| sum.saturating_add(fee(ledger, &known.transaction))),
        version: 0,
        tx_body_hash: block.body_hash,
    }
}

/// A block.
pub fn block(ledger: &Ledger, block: &Block, detail: Detail) -> BlockView {
    let known: Vec<_> = block.txids.iter().filter_map(|txid| ledger.known(txid)).collect();
    let txns = known.iter().map(|known| transaction(ledger, &known.transaction, detail)).collect();
    let size = known.iter().map(|known| known.transaction.byte_count()).sum();
    BlockView { header: header(ledger, block), body: BodyView { txns }, size }
}

/// A wallet.
pub fn wallet(wallet: &Wallet) -> WalletView {
    let numbered = wallet.kind == Kind::Bip44;
    let entry = |(number, key): (usize, &super::wallet::Key)| WalletEntry {
        address: key.address,
        public_key: key.public.to_string(),
        child_number: numbered.then_some(number),
        change: numbered.then_some(0),
    };
    let meta = WalletMeta {
        coin: "skycoin",
        filename: wallet.id.clone(),
        label: wallet.label.clone(),
        r#type: wallet.kind.word(),
        version: "0.4",
        crypto_type: "",
        timestamp: wallet.time_s,
        encrypted: false,
    };
    WalletView { meta, entries: wallet.keys().iter().enumerate().map(entry).collect() }
}
