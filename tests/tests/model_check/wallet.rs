//! The Skycoin node with the hot wallet: two outputs, and what spends each of them.

use std::sync::LazyLock;

use millrace_model::deposit::SignedPayout;
use millrace_model::ids::Hash32;
use millrace_model::money::{Amount, Sky};
use millrace_protocols::payout::SignedTransaction;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{InnerHash, Txid, UxId};
use millrace_protocols::wire::skycoin::rest::{Seen, SeenInput, SeenOutput, Standing};
use millrace_protocols::wire::skycoin::transaction::{Output, Transaction};

use super::desk::OWED;

/// How deep a payout must be, its own block included.
pub const CONFIRMATIONS: u64 = 2;

/// One of the wallet's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// The first.
    One,
    /// The second.
    Two,
}

/// All of them.
pub const INPUTS: [Input; 2] = [Input::One, Input::Two];

/// Who spends an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spender {
    /// A payout to the customer: all bytes that spend this output for him are one family.
    Payout,
    /// Somebody else who has the wallet's keys.
    Stranger,
}

/// What became of an output, as the node has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spent {
    /// Nobody spends it.
    Not,
    /// A transaction that waits for a block does.
    Waiting(Spender),
    /// A transaction in a block does, so deep.
    InBlock(Spender, u64),
}

/// The node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node([Spent; 2]);

/// The payout that spends one output: as signed, as noted in the log, and as the node shows it.
struct Known {
    signed: SignedPayout,
    read: SignedTransaction,
    inputs: Vec<SeenInput>,
    outputs: Vec<SeenOutput>,
}

static PAYOUTS: LazyLock<[Known; 2]> = LazyLock::new(|| [known(Input::One), known(Input::Two)]);
static CUSTOMER: LazyLock<SkyAddress> =
    LazyLock::new(|| super::desk::CUSTOMER.parse().expect("the customer's address is one"));

fn known(input: Input) -> Known {
    let uxid = UxId([input as u8 + 1; 32]);
    let paid: Amount<Sky> = OWED.parse().expect("what is owed is an amount");
    let outputs = vec![Output { address: *CUSTOMER, coins: paid, hours: 1 }];
    let transaction = Transaction::unsigned(vec![uxid], outputs).expect("the payout is a transaction");
    let signed = SignedPayout {
        txid: Hash32(transaction.txid().0),
        inner_hash: Hash32(transaction.inner_hash().0),
        inputs: vec![Hash32(uxid.0)],
        bytes: transaction.to_hex(),
    };
    let read = SignedTransaction::read(&signed, CONFIRMATIONS).expect("the noted bytes are the transaction");
    let outputs = vec![SeenOutput { uxid: UxId([9; 32]), address: *CUSTOMER, coins: paid, hours: 1 }];
    Known { signed, read, inputs: vec![SeenInput { uxid }], outputs }
}

impl Input {
    /// The payout of this output, as it goes into the log.
    pub fn signed(self) -> SignedPayout {
        PAYOUTS[self as usize].signed.clone()
    }

    /// The payout of this output, as it is understood when read from the log.
    pub fn payout(self) -> &'static SignedTransaction {
        &PAYOUTS[self as usize].read
    }

    /// Whose payout this is.
    pub fn of(signed: &SignedPayout) -> Self {
        let is_it = |input: &&Input| PAYOUTS[**input as usize].signed.txid == signed.txid;
        *INPUTS.iter().find(is_it).expect("every payout spends one of the wallet's outputs")
    }
}

impl Node {
    /// Nothing is spent.
    pub const START: Self = Self([Spent::Not; 2]);

    /// What spends an output.
    pub fn spent(&self, input: Input) -> Spent {
        self.0[input as usize]
    }

    /// The same with an output spent so.
    pub fn with(mut self, input: Input, spent: Spent) -> Self {
        self.0[input as usize] = spent;
        self
    }

    /// Takes the payout of an output, or does not.
    pub fn inject(&mut self, input: Input) -> Result<(), ()> {
        match self.spent(input) {
            Spent::Not | Spent::Waiting(Spender::Payout) => {
                *self = self.with(input, Spent::Waiting(Spender::Payout));
                Ok(())
            }
            Spent::Waiting(Spender::Stranger) | Spent::InBlock(..) => Err(()),
        }
    }

    /// How many payouts the node knows, each of other inputs.
    pub fn payouts(&self) -> usize {
        self.0
            .iter()
            .filter(|spent| matches!(spent, Spent::Waiting(Spender::Payout) | Spent::InBlock(Spender::Payout, _)))
            .count()
    }

    /// After one more block.
    pub fn grown(self, input: Input) -> Option<Self> {
        match self.spent(input) {
            Spent::Waiting(spender) => Some(self.with(input, Spent::InBlock(spender, 1))),
            Spent::InBlock(spender, depth) if depth < CONFIRMATIONS => {
                Some(self.with(input, Spent::InBlock(spender, depth + 1)))
            }
            Spent::InBlock(..) | Spent::Not => None,
        }
    }

    /// What a reorganisation, a restart or an eviction can do. A stranger's transaction that is final stays so.
    pub fn reorganised(self, input: Input) -> Vec<Self> {
        match self.spent(input) {
            Spent::InBlock(Spender::Stranger, CONFIRMATIONS..) | Spent::Not => vec![],
            Spent::InBlock(spender, _) => {
                vec![self.with(input, Spent::Waiting(spender)), self.with(input, Spent::Not)]
            }
            Spent::Waiting(_) => vec![self.with(input, Spent::Not)],
        }
    }

    /// After somebody else spent an output in the newest block.
    pub fn robbed(self, input: Input) -> Option<Self> {
        let is_free = !matches!(self.spent(input), Spent::InBlock(..));
        is_free.then(|| self.with(input, Spent::InBlock(Spender::Stranger, 1)))
    }

    /// What the node shows under the name of an output's payout.
    pub fn transaction(&self, input: Input) -> Option<Seen> {
        match self.spent(input) {
            Spent::Waiting(Spender::Payout) | Spent::InBlock(Spender::Payout, _) => Some(self.shown(input)?),
            Spent::Waiting(Spender::Stranger) | Spent::InBlock(Spender::Stranger, _) | Spent::Not => None,
        }
    }

    /// All that touches the wallet.
    pub fn history(&self) -> Vec<Seen> {
        INPUTS.into_iter().filter_map(|input| self.shown(input)).collect()
    }

    fn shown(&self, input: Input) -> Option<Seen> {
        let (spender, standing) = match self.spent(input) {
            Spent::Not => return None,
            Spent::Waiting(spender) => (spender, Standing::Unconfirmed),
            Spent::InBlock(spender, depth) => (spender, Standing::Confirmed { depth, block_seq: 1 }),
        };
        let known = &PAYOUTS[input as usize];
        let (txid, inner_hash, outputs) = match spender {
            Spender::Payout => (Txid(known.signed.txid.0), InnerHash(known.signed.inner_hash.0), known.outputs.clone()),
            Spender::Stranger => (Txid([66; 32]), InnerHash([66; 32]), vec![]),
        };
        Some(Seen { standing, txid, inner_hash, inputs: known.inputs.clone(), outputs })
    }
}
