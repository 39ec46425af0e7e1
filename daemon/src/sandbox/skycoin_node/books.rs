//! The outside world's own books: who was paid how much, how often, and what became of it. The judge in tests.

use std::collections::BTreeMap;

use millrace_model::money::{Amount, Sky};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::Txid;
use serde::{Deserialize, Serialize};

use super::SkycoinNode;
use super::genesis::GENESIS_HEAD_SEQ;
use super::ledger::{Known, Standing};

/// Everything that was ever paid on this chain, its beginning left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// The payments to each address, change left out, confirmed ones first, in the order of their blocks.
    pub payments: BTreeMap<SkyAddress, Vec<Payment>>,
    /// What the hot wallet holds in blocks.
    pub hot_wallet: Amount<Sky>,
    /// The number of the newest block.
    pub head_seq: u64,
}

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The transaction.
    pub txid: Txid,
    /// How much.
    pub coins: Amount<Sky>,
    /// What became of it.
    pub standing: PaymentStanding,
}

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStanding {
    /// It is in the block with this number.
    Confirmed {
        /// The block.
        block_seq: u64,
    },
    /// It waits.
    Pending,
    /// It was dropped, orphaned or displaced.
    Gone,
}

impl Books {
    /// The payments to an address that are confirmed or still may be.
    pub fn live(&self, address: &SkyAddress) -> impl Iterator<Item = &Payment> {
        let payments = self.payments.get(address).into_iter().flatten();
        payments.filter(|payment| payment.standing != PaymentStanding::Gone)
    }
}

impl SkycoinNode {
    /// The books as they stand.
    pub fn books(&self) -> Books {
        let state = self.lock();
        let mut payments: BTreeMap<SkyAddress, Vec<Payment>> = BTreeMap::new();
        for (txid, known) in state.ledger.all_known() {
            for (address, coins) in paid(known) {
                let payment = Payment { txid: *txid, coins, standing: standing(known) };
                payments.entry(address).or_default().push(payment);
            }
        }
        for list in payments.values_mut() {
            list.sort_by_key(|payment| (payment.standing, payment.txid));
        }
        let hot_address = state.hot_address();
        let hot_outputs = state.ledger.unspent_of(&hot_address);
        let hot_wallet = Amount::checked_sum(hot_outputs.map(|(_, output)| output.output.coins));
        Books {
            payments,
            hot_wallet: hot_wallet.expect("all coins together are an amount"),
            head_seq: state.ledger.head().seq,
        }
    }
}

fn paid(known: &Known) -> impl Iterator<Item = (SkyAddress, Amount<Sky>)> {
    let beginning = matches!(known.standing, Standing::Confirmed(seq) if seq <= GENESIS_HEAD_SEQ);
    let outputs = known.transaction.outputs().iter().filter(move |_| !beginning);
    outputs.filter(|output| !known.owners.contains(&output.address)).map(|output| (output.address, output.coins))
}

fn standing(known: &Known) -> PaymentStanding {
    match known.standing {
        Standing::Confirmed(block_seq) => PaymentStanding::Confirmed { block_seq },
        Standing::Pending(_) => PaymentStanding::Pending,
        Standing::Gone => PaymentStanding::Gone,
    }
}
