//! The unspent outputs of a chain, and what a block does to them.

use std::collections::HashMap;

use bitcoin::constants::COINBASE_MATURITY;
use bitcoin::{Amount, Block, OutPoint, Transaction, TxOut, Txid};

/// Blocks between two halvings of the reward, on a regression test network.
const HALVING_BLOCKS: u32 = 150;

/// An unspent output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coin {
    /// Value and script.
    pub output: TxOut,
    /// The block that made it.
    pub height: u32,
    /// Whether it is a block's reward.
    pub coinbase: bool,
}

impl Coin {
    /// Whether a block at `height` may spend it.
    pub fn is_mature_at(&self, height: u32) -> bool {
        !self.coinbase || height >= self.height + COINBASE_MATURITY
    }
}

/// The coins a block spent, to be given back when it is disconnected.
pub type Spent = Vec<(OutPoint, Coin)>;

/// Why a block cannot do to the coins what it says; the words are the ones `submitblock` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpendError {
    /// A coin it spends is not there.
    #[error("bad-txns-inputs-missingorspent")]
    Missing,
    /// It spends a reward younger than a hundred blocks.
    #[error("bad-txns-premature-spend-of-coinbase")]
    Immature,
    /// A transaction pays out more than it takes in.
    #[error("bad-txns-in-belowout")]
    Overspent,
    /// The coinbase takes more than reward and fees.
    #[error("bad-cb-amount")]
    TooMuchReward,
}

/// The reward of the block at `height`, without fees.
pub fn subsidy(height: u32) -> Amount {
    Amount::from_sat((50 * Amount::ONE_BTC.to_sat()) >> (height / HALVING_BLOCKS).min(63))
}

/// What a transaction pays out, in satoshis; a sum beyond all coins there are is more than anybody has.
pub fn value_out(transaction: &Transaction) -> u64 {
    transaction.output.iter().fold(0, |sum, output| sum.saturating_add(output.value.to_sat()))
}

/// The unspent outputs after some block.
#[derive(Debug, Default)]
pub struct Coins(HashMap<OutPoint, Coin>);

impl Coins {
    /// An unspent output.
    pub fn get(&self, outpoint: &OutPoint) -> Option<&Coin> {
        self.0.get(outpoint)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&OutPoint, &Coin)> {
        self.0.iter()
    }

    /// Does what a block says; one that cannot leaves no trace. `txids` are its transactions'.
    pub fn connect(&mut self, block: &Block, txids: &[Txid], height: u32) -> Result<Spent, SpendError> {
        let mut spent = Vec::new();
        match self.spend_and_make(block, txids, height, &mut spent) {
            Ok(()) => Ok(spent),
            Err(error) => {
                self.disconnect(block, txids, spent);
                Err(error)
            }
        }
    }

    /// Takes back [`Coins::connect`], also one that broke off.
    pub fn disconnect(&mut self, block: &Block, txids: &[Txid], spent: Spent) {
        self.0.extend(spent);
        for (transaction, txid) in block.txdata.iter().zip(txids) {
            for vout in (0u32..).take(transaction.output.len()) {
                self.0.remove(&OutPoint::new(*txid, vout));
            }
        }
    }

    fn spend_and_make(
        &mut self,
        block: &Block,
        txids: &[Txid],
        height: u32,
        spent: &mut Spent,
    ) -> Result<(), SpendError> {
        let mut fees = 0u64;
        for (transaction, txid) in block.txdata.iter().zip(txids) {
            let coinbase = transaction.is_coinbase();
            if !coinbase {
                let taken = self.spend(transaction, height, spent)?;
                fees = fees.saturating_add(taken.checked_sub(value_out(transaction)).ok_or(SpendError::Overspent)?);
            }
            for (vout, output) in (0u32..).zip(&transaction.output) {
                if !output.script_pubkey.is_op_return() {
                    self.0.insert(OutPoint::new(*txid, vout), Coin { output: output.clone(), height, coinbase });
                }
            }
        }
        let reward = block.coinbase().map_or(0, value_out);
        if reward > subsidy(height).to_sat().saturating_add(fees) { Err(SpendError::TooMuchReward) } else { Ok(()) }
    }

    /// Spends a transaction's coins; answers their sum in satoshis.
    fn spend(&mut self, transaction: &Transaction, height: u32, spent: &mut Spent) -> Result<u64, SpendError> {
        let mut taken = 0u64;
        for input in &transaction.input {
            let coin = self.0.remove(&input.previous_output).ok_or(SpendError::Missing)?;
            let mature = coin.is_mature_at(height);
            taken = taken.saturating_add(coin.output.value.to_sat());
            spent.push((input.previous_output, coin));
            if !mature {
                return Err(SpendError::Immature);
            }
        }
        Ok(taken)
    }
}
