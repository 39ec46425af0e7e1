//! One block: every output in it that pays us, in one append with the cursor.

use bitcoin::{Block, Transaction};
use millrace_model::chain::{self, BlockScanned, Chain, Seen, SpentCoin};
use millrace_model::deposit::{BlockRef, Command, Detected, Mined};
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, DepositId, Outpoint, StreamName};
use millrace_model::money::Amount;
use millrace_protocols::chain_watch::txid32;
use serde_json::json;

use super::aside::set_aside;
use super::{Interruption, Scanner, ScannerError};
use crate::canary::{self, Canary};
use crate::deposits::key_of;
use crate::event_store::{Append, Expected, Write};

/// How many of a transaction's coins are recorded: as many as an event has room for.
const COINS_MAX: usize = 700;
/// How often the chain's state is stored beside its events, in events: a start reads at most these.
const SNAPSHOT_EVERY: u64 = 100;

/// An output that pays us.
#[derive(Debug, Clone)]
pub(super) struct Payment {
    pub(super) outpoint: Outpoint,
    address: String,
    pub(super) satoshis: u64,
    spends: Vec<SpentCoin>,
    coinbase: bool,
}

impl Payment {
    /// What of the outside world a deposit stands for: an output can never be two deposits.
    pub(super) fn key(&self) -> String {
        key_of(self.outpoint)
    }
}

/// Who was told of a payment.
enum Told {
    /// Its deposit, if there is news in it.
    Deposit(Option<Write>),
    /// Nobody: the deposit cannot be read.
    Nobody(DepositId),
}

impl Scanner {
    pub(super) async fn record_block(&mut self, at: BlockRef, block: &Block) -> Result<(), Interruption> {
        // Addresses given out until now are known before the block is looked at; a payment cannot be older than its
        // address.
        self.follow_log()?;
        block.txdata.iter().for_each(|transaction| self.sightings.notice(transaction));
        let payments: Vec<Payment> = block.txdata.iter().flat_map(|transaction| self.payments(transaction)).collect();
        if canary::lives(Canary::CursorFirst) {
            self.commit(|scanner| scanner.block_append(at, &[]).map(Some)).await?;
        }
        self.commit(|scanner| scanner.block_append(at, &payments).map(Some)).await?;
        self.horizon.read(at.height, block.header.time);
        tracing::debug!(height = at.height, hash = %at.hash, deposits = payments.len(), "block read");
        Ok(())
    }

    /// The outputs of a transaction that pay us.
    pub(super) fn payments(&self, transaction: &Transaction) -> Vec<Payment> {
        let outputs = transaction.output.iter().zip(0..);
        let ours = outputs.filter_map(|(output, index)| {
            Some((index, output.value.to_sat(), self.addresses.of(&output.script_pubkey)?))
        });
        let ours: Vec<(u32, u64, String)> = ours.filter(|(_, satoshis, _)| *satoshis > 0).collect();
        if ours.is_empty() {
            return Vec::new();
        }
        let (txid, spends, coinbase) =
            (txid32(transaction.compute_txid()), spent_coins(transaction), transaction.is_coinbase());
        ours.into_iter()
            .map(|(index, satoshis, address)| Payment {
                outpoint: Outpoint { txid, index },
                address,
                satoshis,
                spends: spends.clone(),
                coinbase,
            })
            .collect()
    }

    /// A deposit that nobody has seen before, as the beginning of its stream.
    pub(super) fn detected(&mut self, payment: &Payment) -> Result<Option<Write>, ScannerError> {
        // Above the number of bitcoins there can ever be: not worth more than a line in the journal.
        let Some(amount) = Amount::from_units(payment.satoshis) else {
            tracing::error!(outpoint = %payment.outpoint, satoshis = payment.satoshis, "an impossible amount is passed over");
            return Ok(None);
        };
        let id = self.outside.ids.deposit_id();
        let detected = Detected {
            id,
            outpoint: payment.outpoint,
            address: payment.address.clone(),
            amount,
            customer: self.addresses.customer(&self.reader, &payment.address)?,
            spends: payment.spends.clone(),
            coinbase: payment.coinbase,
        };
        tracing::info!(deposit = %id, outpoint = %payment.outpoint, address = payment.address, %amount, "deposit detected");
        let write = Write::new(StreamName::Deposit(id), Expected::Exactly(0), vec![Event::Deposit(detected.into())]);
        Ok(Some(Write { key: (!canary::lives(Canary::DetectedTwice)).then(|| payment.key()), ..write }))
    }

    fn block_append(&mut self, at: BlockRef, payments: &[Payment]) -> Result<Append, ScannerError> {
        let scanned = BlockScanned { block: at };
        let (mut chain, mut writes) = (vec![chain::Event::from(scanned)], Vec::new());
        for payment in payments {
            match self.mined(at, payment)? {
                Told::Deposit(write) => writes.extend(write),
                Told::Nobody(id) => chain.push(set_aside(id, Seen::Mined { block: at })),
            }
        }
        let snapshot = (self.version + 1).is_multiple_of(SNAPSHOT_EVERY).then(|| {
            let chain = chain.iter().fold(self.chain.clone(), Chain::evolve);
            serde_json::to_string(&chain).expect("the chain's state has text keys")
        });
        writes.insert(0, Write { snapshot, ..self.chain_write(chain) });
        Ok(Append {
            // A block can be read again after a reorganisation there and back; the version tells the times apart.
            command_id: CommandId::of_fact(&["block", &at.hash.to_string(), &self.version.to_string()]),
            command: "RecordBlock",
            body: json!({ "block": at, "payments": payments.len() }).to_string(),
            causation: None,
            correlation: None,
            writes,
        })
    }

    fn mined(&mut self, at: BlockRef, payment: &Payment) -> Result<Told, ScannerError> {
        if let Some(StreamName::Deposit(id)) = self.reader.stream_of_key(&payment.key())? {
            let Some(tracked) = self.outside.deposits.get(id)? else { return Ok(Told::Nobody(id)) };
            return self.observed(&tracked, &Command::ObserveMined { block: at }).map(Told::Deposit);
        }
        let Some(mut write) = self.detected(payment)? else { return Ok(Told::Deposit(None)) };
        write.events.push(Event::Deposit(Mined { block: at }.into()));
        Ok(Told::Deposit(Some(write)))
    }
}

fn spent_coins(transaction: &Transaction) -> Vec<SpentCoin> {
    if transaction.is_coinbase() {
        return Vec::new();
    }
    let spent = transaction.input.iter().map(|input| input.previous_output);
    spent.take(COINS_MAX).map(|spent| Outpoint { txid: txid32(spent.txid), index: spent.vout }.into()).collect()
}
