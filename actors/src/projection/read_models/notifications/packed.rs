//! What of a notification has no column of its own, in as few bytes as it takes: a deposit is told of seven times and more, and
//! as JSON that would be as much as its events. The body is made of it again, to the byte.

use chrono::{DateTime, Utc};
use millrace_model::alert::DownReason;
use millrace_model::deposit::Method;
use millrace_model::desk::Place;
use millrace_model::ids::{DepositId, Hash32, SubscriptionId};
use millrace_model::ledger::Ticker;
use millrace_model::money::{Amount, Coin, Rate};
use millrace_model::notification::{
    BalanceState, DeskState, HistoryRow, Notification, NotificationType, PartState, Resource, ResourceType,
    SubmitState, SubscriptionState, Transaction, WebhookState,
};
use millrace_model::subscription::{Disabling, Silence};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The packed form. Another shape is another version of the projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Packed {
    Transaction(Box<PackedTransaction>),
    Desk { recorded_at_us: i64, halted: bool, cause: Option<String> },
    Webhook { recorded_at_us: i64, webhook: SubscriptionId, reason: Disabling },
    Part { recorded_at_us: i64, part: String, since_us: i64, reason: Option<DownReason> },
    Balance { recorded_at_us: i64, place: Place, coin: Ticker, low: bool, balance: String, threshold: String },
    Subscription { recorded_at_us: i64, of: PackedSubscription },
}

/// A hash in one piece: as an array each of its bytes would be written by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed32([u8; 32]);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PackedTransaction {
    deposit: Uuid,
    recorded_at_us: i64,
    created_us: i64,
    tx: Packed32,
    tx_id: u32,
    amount: u64,
    block: Option<(u64, Packed32)>,
    is_bounced: bool,
    submit_state: SubmitState,
    submit_confirm_block: u64,
    method: Option<Method>,
    rate: Option<Rate>,
    payout: Option<u64>,
    payout_txid: Option<Packed32>,
    refund: Option<u64>,
    refund_txid: Option<Packed32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PackedSubscription {
    subscription: SubscriptionId,
    customer: Packed32,
    reason: Silence,
    subscribed_at_us: i64,
}

impl From<Hash32> for Packed32 {
    fn from(hash: Hash32) -> Self {
        Self(hash.0)
    }
}

impl From<Packed32> for Hash32 {
    fn from(packed: Packed32) -> Self {
        Self(packed.0)
    }
}

impl Serialize for Packed32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Packed32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&[u8]>::deserialize(deserializer)?;
        bytes.try_into().map(Self).map_err(serde::de::Error::custom)
    }
}

/// What the columns say.
pub(in crate::projection) struct Columns {
    pub(in crate::projection) position: u64,
    pub(in crate::projection) id: Uuid,
    pub(in crate::projection) kind: NotificationType,
    pub(in crate::projection) customer: Option<String>,
    pub(in crate::projection) address: Option<String>,
    pub(in crate::projection) sequence: u32,
}

/// Appends what has no column.
pub(super) fn pack(told: &Notification, bytes: &mut Vec<u8>) {
    let recorded_at_us = told.recorded_at.timestamp_micros();
    let packed = match &told.resource {
        Resource::Transaction(transaction) => {
            Packed::Transaction(Box::new(packed_transaction(recorded_at_us, transaction)))
        }
        Resource::Desk(DeskState { halted, cause }) => {
            Packed::Desk { recorded_at_us, halted: *halted, cause: cause.clone() }
        }
        Resource::Webhook(WebhookState { webhook, reason }) => {
            Packed::Webhook { recorded_at_us, webhook: *webhook, reason: *reason }
        }
        Resource::Subscription(state) => Packed::Subscription { recorded_at_us, of: packed_subscription(state) },
        Resource::Part(state) => packed_part(recorded_at_us, state),
        Resource::Balance(state) => packed_balance(recorded_at_us, state),
    };
    *bytes = postcard::to_extend(&packed, std::mem::take(bytes)).expect("memory takes what is written to it");
}

fn packed_subscription(state: &SubscriptionState) -> PackedSubscription {
    let SubscriptionState { subscription, customer, reason, subscribed_at } = state;
    let subscribed_at_us = subscribed_at.timestamp_micros();
    PackedSubscription { subscription: *subscription, customer: (*customer).into(), reason: *reason, subscribed_at_us }
}

fn packed_part(recorded_at_us: i64, state: &PartState) -> Packed {
    let PartState { part, down: _, since, reason } = state;
    Packed::Part { recorded_at_us, part: part.clone(), since_us: since.timestamp_micros(), reason: *reason }
}

fn packed_balance(recorded_at_us: i64, state: &BalanceState) -> Packed {
    let BalanceState { place, coin, low, balance, threshold } = state;
    let (balance, threshold) = (balance.clone(), threshold.clone());
    Packed::Balance { recorded_at_us, place: *place, coin: *coin, low: *low, balance, threshold }
}

fn packed_transaction(recorded_at_us: i64, told: &Transaction) -> PackedTransaction {
    let row = &told.row;
    let known = SubmitState::ALL.into_iter().find(|state| state.as_str() == row.submit_state);
    PackedTransaction {
        deposit: told.deposit_id.0,
        recorded_at_us,
        created_us: row.created.timestamp_micros(),
        tx: row.tx.into(),
        tx_id: row.tx_id,
        amount: row.amount,
        block: row.block_hash.map(|hash| (row.block_id, hash.into())),
        is_bounced: row.is_bounced,
        submit_state: known.expect("a notification's state is one of the words"),
        submit_confirm_block: row.submit_confirm_block,
        method: told.method,
        rate: told.rate,
        payout: told.payout.map(Amount::units),
        payout_txid: told.payout_txid.map(Packed32::from),
        refund: told.refund.map(Amount::units),
        refund_txid: told.refund_txid.map(Packed32::from),
    }
}

/// The notification of a row; nothing when what is packed is none.
pub(in crate::projection) fn unpack(columns: Columns, packed: &[u8]) -> Option<Notification> {
    let (recorded_at_us, deposit, resource) = match postcard::from_bytes(packed).ok()? {
        Packed::Transaction(packed) => {
            let (at, deposit) = (packed.recorded_at_us, DepositId(packed.deposit));
            (at, Some(deposit), Resource::Transaction(Box::new(transaction(&columns, *packed)?)))
        }
        Packed::Desk { recorded_at_us, halted, cause } => {
            (recorded_at_us, None, Resource::Desk(DeskState { halted, cause }))
        }
        Packed::Webhook { recorded_at_us, webhook, reason } => {
            (recorded_at_us, None, Resource::Webhook(WebhookState { webhook, reason }))
        }
        Packed::Subscription { recorded_at_us, of } => {
            let PackedSubscription { subscription, customer, reason, subscribed_at_us } = of;
            let subscribed_at = time(subscribed_at_us)?;
            let state = SubscriptionState { subscription, customer: customer.into(), reason, subscribed_at };
            (recorded_at_us, None, Resource::Subscription(state))
        }
        Packed::Part { recorded_at_us, part, since_us, reason } => {
            let state = PartState { part, down: reason.is_some(), since: time(since_us)?, reason };
            (recorded_at_us, None, Resource::Part(state))
        }
        Packed::Balance { recorded_at_us, place, coin, low, balance, threshold } => {
            let state = BalanceState { place, coin, low, balance, threshold };
            (recorded_at_us, None, Resource::Balance(state))
        }
    };
    let Columns { position, id, kind, customer, address: _, sequence } = columns;
    let recorded_at = time(recorded_at_us)?;
    Some(Notification { id, kind, deposit, customer, sequence, position, recorded_at, resource })
}

fn transaction(columns: &Columns, packed: PackedTransaction) -> Option<Transaction> {
    let of_payout = columns.kind.resource() == ResourceType::Withdrawal;
    let [payout_txid, refund_txid] = [packed.payout_txid, packed.refund_txid].map(|txid| txid.map(Hash32::from));
    let paid_by = payout_txid.filter(|_| of_payout);
    let (block_id, block_hash) = packed.block.map_or((0, None), |(height, hash)| (height, Some(hash.into())));
    let row = HistoryRow {
        r#type: columns.kind.resource(),
        tx: packed.tx.into(),
        tx_id: packed.tx_id,
        coin: columns.kind.resource().coin()?,
        created: time(packed.created_us)?,
        amount: packed.amount,
        block_id,
        block_hash,
        from: columns.address.clone()?,
        to: columns.customer.clone().unwrap_or_default(),
        signed: paid_by.is_some(),
        is_bounced: packed.is_bounced,
        submit_state: packed.submit_state.as_str().into(),
        submit_tx: String::new(),
        submit_signers: String::new(),
        submit_confirm_block: packed.submit_confirm_block,
        submit_date: time(packed.recorded_at_us)?,
        submit_tx_hash: refund_txid.or(paid_by),
    };
    Some(Transaction {
        row,
        deposit_id: DepositId(packed.deposit),
        method: packed.method,
        rate: packed.rate,
        payout: amount(packed.payout),
        payout_txid,
        refund: amount(packed.refund),
        refund_txid,
    })
}

fn amount<C: Coin>(units: Option<u64>) -> Option<Amount<C>> {
    units.and_then(Amount::from_units)
}

fn time(us: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(us)
}
