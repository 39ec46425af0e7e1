//! What really happened on the network, for somebody who wants to compare.

use std::collections::BTreeMap;

use bitcoin::{BlockHash, Network, Transaction, Txid};
use millrace_model::money::{Amount, Btc};
use millrace_protocols::receive::address_of;
use serde::Serialize;

use super::BitcoinNode;
use super::state::State;

/// The node's books at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Books {
    /// Height of the best block.
    pub height: u32,
    /// Hash of the best block.
    pub tip: BlockHash,
    /// What waits, in order of arrival.
    pub mempool: Vec<Txid>,
    /// What every address but the customer's received, on the best chain and in the mempool; the oldest first.
    pub receipts: BTreeMap<String, Vec<Receipt>>,
}

/// One output to an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The transaction.
    pub txid: Txid,
    /// The output's place in it.
    pub vout: u32,
    /// How much.
    pub amount: Amount<Btc>,
    /// 0 while it waits in the mempool.
    pub confirmations: u32,
    /// Whether it is a block's reward.
    pub coinbase: bool,
}

impl BitcoinNode {
    /// The books now. The whole chain is read: not for every second.
    pub fn books(&self) -> Books {
        self.read(|state| {
            let mut books = Books {
                height: state.chain.height(),
                tip: state.chain.tip(),
                mempool: state.mempool.iter().map(|(txid, _)| *txid).collect(),
                receipts: BTreeMap::new(),
            };
            let blocks = (0..=books.height).filter_map(|height| state.chain.known(&state.chain.at(height)?));
            for known in blocks {
                let confirmations = books.height - known.height + 1;
                for (transaction, txid) in known.block.txdata.iter().zip(&known.txids) {
                    enter(&mut books, state, transaction, *txid, confirmations);
                }
            }
            for (txid, entry) in state.mempool.iter() {
                enter(&mut books, state, &entry.transaction, *txid, 0);
            }
            books
        })
    }
}

fn enter(books: &mut Books, state: &State, transaction: &Transaction, txid: Txid, confirmations: u32) {
    let coinbase = transaction.is_coinbase();
    for (vout, output) in (0u32..).zip(&transaction.output) {
        if *output.script_pubkey == *state.wallet.script() {
            continue;
        }
        let Some(address) = address_of(&output.script_pubkey, Network::Regtest) else { continue };
        let amount = Amount::from_units(output.value.to_sat()).unwrap_or(Amount::MAX);
        let receipt = Receipt { txid, vout, amount, confirmations, coinbase };
        books.receipts.entry(address.to_string()).or_default().push(receipt);
    }
}
