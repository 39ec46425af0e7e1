//! Creating a payout, checking what the node made of it, and handing it to the network.
//!
//! The node picks inputs and signs; it is not believed. What comes back must spend only the outputs named, pay exactly
//! what was asked, give the change back, and carry the signatures of the outputs' owners.

use std::collections::HashSet;

use millrace_model::money::{Amount, Sky};
use serde::Deserialize;
use serde_json::json;

use super::super::address::SkyAddress;
use super::super::hash::{InnerHash, Txid, UxId};
use super::super::transaction::Transaction;
use super::failure::{Failure, decode, error_message, parse};
use super::requests::Request;

/// Decimals of a coin that the network accepts in a payment.
pub const PAYOUT_DECIMALS: u32 = 3;
/// How many outputs one request may name.
const UNSPENTS_MAX: usize = 300;

/// A payout to be created and signed, not broadcast, by a wallet of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    /// The wallet that pays.
    pub wallet_id: String,
    /// Its password, when it has one.
    pub password: Option<String>,
    /// The outputs it may spend; it takes as many of them as it needs.
    pub unspents: Vec<UxId>,
    /// Where the rest goes.
    pub change_address: SkyAddress,
    /// Who is paid.
    pub to: SkyAddress,
    /// How much, with at most `PAYOUT_DECIMALS` decimals.
    pub coins: Amount<Sky>,
}

/// Why a payout cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayoutError {
    /// Nothing to pay.
    #[error("a payout of nothing")]
    Zero,
    /// The network refuses more than three decimals.
    #[error("a payout has at most {PAYOUT_DECIMALS} decimals")]
    TooPrecise,
    /// The node would pick inputs itself.
    #[error("a payout names the outputs it may spend")]
    NoInputs,
    /// More than fit into one transaction.
    #[error("a payout names at most {UNSPENTS_MAX} outputs")]
    TooManyInputs,
}

/// Why a created transaction is not the payout that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It spends an output that was not named.
    #[error("it spends an output that was not reserved for it")]
    Inputs,
    /// The first output does not pay the right coins to the right address.
    #[error("it does not pay what was asked")]
    Payment,
    /// There is an output that is neither the payment nor the change.
    #[error("it pays somebody else")]
    Change,
    /// A signature is missing or wrong, or not its input's owner's.
    #[error("it is not properly signed")]
    Signatures,
    /// Its numbers do not add up.
    #[error("its inputs and outputs do not add up")]
    Sum,
}

/// A transaction as the node created it, decoded from its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The transaction.
    pub transaction: Transaction,
    /// Its name, taken from the bytes.
    pub txid: Txid,
    /// The name of what it does, taken from the bytes.
    pub inner_hash: InnerHash,
    /// The coin hours it burns.
    pub fee_hours: u64,
    /// Owner and coins of each input, in order, as the node reports them.
    pub inputs: Vec<CreatedInput>,
}

/// What the node says about an input it spends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CreatedInput {
    /// The output spent.
    pub uxid: UxId,
    /// Its owner.
    pub address: SkyAddress,
    /// The coins in it.
    pub coins: Amount<Sky>,
}

impl Payout {
    /// The request: coin hours shared half and half with the receiver, nothing picked but what is named.
    pub fn request(&self) -> Result<Request, PayoutError> {
        if self.coins.is_zero() {
            return Err(PayoutError::Zero);
        }
        if self.coins.floor_to(PAYOUT_DECIMALS) != self.coins {
            return Err(PayoutError::TooPrecise);
        }
        match self.unspents.len() {
            0 => return Err(PayoutError::NoInputs),
            1..=UNSPENTS_MAX => (),
            _ => return Err(PayoutError::TooManyInputs),
        }
        let mut body = json!({
            "wallet_id": self.wallet_id,
            "unsigned": false,
            "ignore_unconfirmed": false,
            "hours_selection": { "type": "auto", "mode": "share", "share_factor": "0.5" },
            "unspents": self.unspents,
            "change_address": self.change_address,
            "to": [{ "address": self.to, "coins": sent_coins(self.coins) }],
        });
        if let Some(password) = &self.password {
            body["password"] = json!(password);
        }
        Ok(Request::post("/api/v1/wallet/transaction", &body))
    }

    /// Whether the node made exactly this payout. Only then may it be signed off in the log.
    pub fn check(&self, created: &Created) -> Result<(), Mismatch> {
        let transaction = &created.transaction;
        let allowed: HashSet<_> = self.unspents.iter().collect();
        if !transaction.inputs().iter().all(|input| allowed.contains(input)) {
            return Err(Mismatch::Inputs);
        }
        let (paid, change) = transaction.outputs().split_first().ok_or(Mismatch::Payment)?;
        if (paid.address, paid.coins) != (self.to, self.coins) {
            return Err(Mismatch::Payment);
        }
        if change.len() > 1 || change.iter().any(|output| output.address != self.change_address) {
            return Err(Mismatch::Change);
        }
        let owners = created.inputs.iter().map(|input| input.address);
        let signers = transaction.signers().map_err(|_| Mismatch::Signatures)?;
        if !signers.into_iter().eq(owners) {
            return Err(Mismatch::Signatures);
        }
        let spent = Amount::checked_sum(created.inputs.iter().map(|input| input.coins)).ok_or(Mismatch::Sum)?;
        let made = Amount::checked_sum(transaction.outputs().iter().map(|output| output.coins)).ok_or(Mismatch::Sum)?;
        if spent == made { Ok(()) } else { Err(Mismatch::Sum) }
    }
}

/// Coins as the node wants them: no needless zeros.
fn sent_coins(coins: Amount<Sky>) -> String {
    let text = coins.to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads the answer to [`Payout::request`]. The bytes are what counts; what the JSON says must agree with them.
pub fn created(status: u16, body: &[u8]) -> Result<Created, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        transaction: Described,
        encoded_transaction: String,
    }
    #[derive(Deserialize)]
    struct Described {
        txid: Txid,
        inner_hash: InnerHash,
        fee: String,
        inputs: Vec<CreatedInput>,
    }
    let Answer { transaction: described, encoded_transaction } = decode(status, body)?;
    let transaction =
        Transaction::from_hex(&encoded_transaction).map_err(|error| Failure::nonsense("encoded_transaction", error))?;
    let (txid, inner_hash) = (transaction.txid(), transaction.inner_hash());
    let agree = |field, agrees| match agrees {
        true => Ok(()),
        false => Err(Failure::nonsense(field, "the encoded transaction says something else")),
    };
    agree("transaction.txid", txid == described.txid)?;
    agree("transaction.inner_hash", inner_hash == described.inner_hash)?;
    agree("transaction.inputs", described.inputs.iter().map(|input| &input.uxid).eq(transaction.inputs()))?;
    let fee_hours = described.fee.parse().map_err(|error| Failure::nonsense("transaction.fee", error))?;
    Ok(Created { transaction, txid, inner_hash, fee_hours, inputs: described.inputs })
}

/// Reads the answer to [`super::inject`]: the name of what is now in the pool.
pub fn injected(status: u16, body: &[u8]) -> Result<Txid, Failure> {
    decode(status, body)
}

/// What the node thinks of a transaction's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionVerdict {
    /// A block would take it.
    Valid,
    /// It is in a block already.
    Spent,
    /// No block will take it as things stand; the node's reason.
    Invalid(String),
}

/// Reads the answer to [`super::verify_transaction`].
pub fn transaction_verdict(status: u16, body: &[u8]) -> Result<TransactionVerdict, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        confirmed: bool,
    }
    match status {
        200 => match parse::<Answer>(body)?.data.confirmed {
            false => Ok(TransactionVerdict::Valid),
            true => Err(Failure::nonsense("data.confirmed", "confirmed, yet valid")),
        },
        422 => match parse::<Answer>(body)?.data.confirmed {
            true => Ok(TransactionVerdict::Spent),
            false => Ok(TransactionVerdict::Invalid(error_message(body))),
        },
        _ => Err(Failure::of_status(status, body)),
    }
}

#[cfg(test)]
#[path = "payout_tests.rs"]
mod tests;
