//! A deposit or withdrawal in the shape of the bridge's `transactions` table, as its history has always shown it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::kind::ResourceType;
use crate::ids::Hash32;
use crate::ledger::Ticker;

/// A row of the bridge's history. The names in JSON are those of its Go fields.
///
/// A deposit of the desk is two rows: the coins that came in, and the coins that are paid out for them. Both are known by
/// the transaction that paid in ([`Self::tx`]), as the bridge's withdrawals are by the transaction that asked for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HistoryRow {
    /// `deposit` or `withdrawal`.
    pub r#type: ResourceType,
    /// The transaction that paid the deposit address.
    pub tx: Hash32,
    /// Which of its outputs.
    pub tx_id: u32,
    /// Which coin came in or goes out.
    pub coin: Ticker,
    /// When this row came to be: the deposit was seen, the payout decided.
    pub created: DateTime<Utc>,
    /// How much, in the coin's smallest units: satoshi, droplets.
    pub amount: u64,
    /// The height of the block that holds, or last held, the transaction that paid in; 0 before the first.
    pub block_id: u64,
    /// That block's hash; empty text without one.
    #[serde(serialize_with = "as_text", deserialize_with = "of_text")]
    pub block_hash: Option<Hash32>,
    /// The deposit address.
    pub from: String,
    /// The address that is paid; nothing for a deposit address that belongs to nobody.
    pub to: String,
    /// Whether the payout is signed. A deposit's row is never.
    pub signed: bool,
    /// Whether the deposit is to be paid back, or was.
    pub is_bounced: bool,
    /// Where it stands; one of [`SubmitState`]'s words. Whoever knows the newest block may say after it how deep of how many,
    /// as in `wait_for_confirmation 2/6`.
    pub submit_state: Cow<'static, str>,
    /// Always empty: the signed bytes are the network's to show.
    pub submit_tx: String,
    /// Always empty: one desk signs.
    pub submit_signers: String,
    /// The Skycoin block that holds a payout that is final, else 0.
    #[serde(rename = "SubmitConfirm_block")]
    pub submit_confirm_block: u64,
    /// Since when it stands there.
    pub submit_date: DateTime<Utc>,
    /// The transaction that paid out, once signed, or that paid back; empty text without one.
    #[serde(serialize_with = "as_text", deserialize_with = "of_text")]
    pub submit_tx_hash: Option<Hash32>,
}

fn as_text<S: Serializer>(hash: &Option<Hash32>, serializer: S) -> Result<S::Ok, S::Error> {
    match hash {
        Some(hash) => serializer.collect_str(hash),
        None => serializer.serialize_str(""),
    }
}

fn of_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Hash32>, D::Error> {
    let text = String::deserialize(deserializer)?;
    (!text.is_empty()).then(|| text.parse()).transpose().map_err(serde::de::Error::custom)
}

/// Where a row stands, in the bridge's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmitState {
    /// In the mempool.
    Pending,
    /// In a block and not deep enough; or paid out and not final.
    WaitForConfirmation,
    /// Out of the best chain.
    Orphan,
    /// The payout is signed.
    Consensus,
    /// The payout waits for its turn.
    Queue,
    /// Received; or paid out for good.
    Success,
    /// Ended without a payout.
    Fatal,
    /// Ended without a payout: the address cannot be paid.
    BadAddress,
    /// Ended without a payout: too little to deal in.
    AmountTooSmall,
    /// Waits for an operator.
    PendingManual,
}

impl SubmitState {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::WaitForConfirmation,
        Self::Orphan,
        Self::Consensus,
        Self::Queue,
        Self::Success,
        Self::Fatal,
        Self::BadAddress,
        Self::AmountTooSmall,
        Self::PendingManual,
    ];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::WaitForConfirmation => "wait_for_confirmation",
            Self::Orphan => "orphan",
            Self::Consensus => "consensus",
            Self::Queue => "queue",
            Self::Success => "success",
            Self::Fatal => "fatal",
            Self::BadAddress => "bad_address",
            Self::AmountTooSmall => "amount_too_small",
            Self::PendingManual => "pending_manual",
        }
    }
}
