//! What customers and operators are told: notifications, derived from the log's events.
//!
//! A notification is a fact of the log and nothing else: whoever derives it again, of the same log or of one that was put
//! back, comes to the same bytes under the same id. It says nothing in anybody's own words; those are sealed in the log.

mod example;
mod kind;
mod owner;
mod pattern;
mod row;
mod schema;
#[cfg(test)]
mod tests;
mod told;

pub use kind::{Audience, NotificationType, ResourceType};
pub use owner::About;
pub use pattern::{Pattern, UnknownPattern};
pub use row::{HistoryRow, SubmitState};
pub use schema::EVENT_VERSION;
pub use told::{Telling, Told};

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::alert::{Alert, BalanceLow, BalanceRestored, DownReason, PartDown, PartUp};
use crate::deposit::{Deposit, Method, Outcome, PayoutBasis, Stage};
use crate::desk::{self, HaltCause, Place};
use crate::event::{Event, Recorded};
use crate::ids::{DepositId, Hash32, Position, SubscriptionId};
use crate::ledger::Ticker;
use crate::money::{Amount, Btc, Rate, Sky};
use crate::subscription::{Disabling, Silence};

/// What the ids of notifications are made in. Never changes.
const NAMESPACE: Uuid = Uuid::from_u128(0x7f3b_42c1_95d8_4e0a_8c66_1d2f_e0b9_57a4);

/// Something that somebody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The same for the same fact, for ever: a UUID version 5 of the deposit, the sequence number and the type's name, or of
    /// the position and the type's name for what is of no deposit.
    pub id: Uuid,
    /// As what it is told.
    pub kind: NotificationType,
    /// The deposit, if it is about one.
    pub deposit: Option<DepositId>,
    /// The address that is paid; nothing for a deposit that belongs to nobody, and for what is about no deposit.
    pub customer: Option<String>,
    /// 1 for a deposit's first, without gaps. Of all others, the version of the desk's stream, or of the subscription's that it
    /// is about: it grows.
    pub sequence: u32,
    /// The event that it comes from. Every event is told once at most.
    pub position: Position,
    /// When that was committed.
    pub recorded_at: DateTime<Utc>,
    /// What it is about, as it stands now.
    pub resource: Resource,
}

/// What a notification is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Resource {
    /// A deposit or withdrawal.
    Transaction(Box<Transaction>),
    /// The desk.
    Desk(DeskState),
    /// A webhook of an operator.
    Webhook(WebhookState),
    /// A customer's subscription.
    Subscription(SubscriptionState),
    /// A part of it, or what it depends on.
    Part(PartState),
    /// What one of its places holds.
    Balance(BalanceState),
}

/// A deposit or withdrawal: the bridge's row, and what else is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transaction {
    /// The bridge's row. Its fields stand beside the others; none is named as another but for its case.
    #[serde(flatten)]
    pub row: HistoryRow,
    /// The deposit.
    pub deposit_id: DepositId,
    /// How the desk comes by the coins, once decided.
    pub method: Option<Method>,
    /// SKY for one BTC, of a direct sale.
    pub rate: Option<Rate>,
    /// How much is paid out, once decided.
    pub payout: Option<Amount<Sky>>,
    /// The payout's transaction, once signed.
    pub payout_txid: Option<Hash32>,
    /// What is owed back, or was paid back.
    pub refund: Option<Amount<Btc>>,
    /// The transaction that paid it back.
    pub refund_txid: Option<Hash32>,
}

/// The desk as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeskState {
    /// Whether it is halted.
    pub halted: bool,
    /// Why: the cause's word.
    pub cause: Option<String>,
}

/// A webhook that cannot be delivered to. Where it leads is its owner's alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookState {
    /// Which one.
    pub webhook: SubscriptionId,
    /// Why: the word of the event.
    pub reason: Disabling,
}

/// A customer's subscription that is not served any more. Where it leads is his alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubscriptionState {
    /// Which one.
    pub subscription: SubscriptionId,
    /// Whose.
    pub customer: Hash32,
    /// Why.
    pub reason: Silence,
    /// When it was made.
    pub subscribed_at: DateTime<Utc>,
}

/// A part of the desk, or something that it depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartState {
    /// Its name in the health.
    pub part: String,
    /// Whether it is down.
    pub down: bool,
    /// Since when it is failing, or well.
    pub since: DateTime<Utc>,
    /// Why it is taken for down: the word of the event.
    pub reason: Option<DownReason>,
}

/// What a place holds of a coin, and how much the operator wants there at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BalanceState {
    /// Where.
    pub place: Place,
    /// Of which coin.
    pub coin: Ticker,
    /// Whether it is low.
    pub low: bool,
    /// How much is there, in coins.
    pub balance: String,
    /// How much is wanted at least, in coins.
    pub threshold: String,
}

/// The JSON that is sent.
#[derive(Serialize)]
struct Body<'n> {
    id: Uuid,
    event_version: &'static str,
    create_time: DateTime<Utc>,
    event_type: NotificationType,
    resource_type: ResourceType,
    sequence: u32,
    position: Position,
    summary: String,
    resource: &'n Resource,
    links: [&'static str; 0],
}

impl Notification {
    /// The JSON that is signed and sent, to the byte.
    pub fn body(&self) -> String {
        let body = Body {
            id: self.id,
            event_version: EVENT_VERSION,
            create_time: self.recorded_at,
            event_type: self.kind,
            resource_type: self.kind.resource(),
            sequence: self.sequence,
            position: self.position,
            summary: self.summary(),
            resource: &self.resource,
            links: [],
        };
        serde_json::to_string(&body).expect("a notification has text keys")
    }

    /// The bridge's row, if it is about a deposit.
    pub fn row(&self) -> Option<&HistoryRow> {
        match &self.resource {
            Resource::Transaction(transaction) => Some(&transaction.row),
            Resource::Subscription(_)
            | Resource::Desk(_)
            | Resource::Webhook(_)
            | Resource::Part(_)
            | Resource::Balance(_) => None,
        }
    }

    /// What an event of a deposit tells, once [`Told::take_in`] said so.
    pub fn of_deposit(told: &Told, telling: Telling, deposit: &Deposit, recorded: &Recorded) -> Self {
        let (id, kind, sequence) = (deposit.receipt.id, telling.kind, told.sequence);
        Self {
            id: Uuid::new_v5(&NAMESPACE, format!("deposit/{id}/{sequence}/{kind}").as_bytes()),
            kind,
            deposit: Some(id),
            customer: deposit.receipt.customer.as_ref().map(|customer| customer.target.clone()),
            sequence,
            position: recorded.position,
            recorded_at: recorded.recorded_at,
            resource: Resource::Transaction(Box::new(transaction(told, telling, deposit, recorded))),
        }
    }

    /// What an event of the desk tells, if anything.
    pub fn of_desk(recorded: &Recorded) -> Option<Self> {
        let Event::Desk(event) = &recorded.event else { return None };
        let (kind, resource) = of_desk(event)?;
        Some(Self::of_nobodys_deposit(kind, resource, recorded))
    }

    /// What rests on no deposit.
    fn of_nobodys_deposit(kind: NotificationType, resource: Resource, recorded: &Recorded) -> Self {
        let position = recorded.position;
        Self {
            id: Uuid::new_v5(&NAMESPACE, format!("desk/{position}/{kind}").as_bytes()),
            kind,
            deposit: None,
            customer: None,
            sequence: u32::try_from(recorded.version).unwrap_or(u32::MAX),
            position,
            recorded_at: recorded.recorded_at,
            resource,
        }
    }

    fn summary(&self) -> String {
        let coins = self
            .row()
            .map_or_else(String::new, |row| format!("{} {}", row.coin.amount(row.amount.into()), row.coin.as_str()));
        match self.kind {
            NotificationType::DepositPending => format!("A deposit of {coins} was seen; it is in no block."),
            NotificationType::DepositWaitForConfirmation => {
                format!("A deposit of {coins} is in a block and waits for confirmations.")
            }
            NotificationType::DepositConfirmed => format!("A deposit of {coins} is received."),
            NotificationType::DepositFailed => format!("A deposit of {coins} failed."),
            NotificationType::WithdrawalAddedToQueue => format!("{coins} are to be paid out."),
            NotificationType::WithdrawalInConsensus => format!("A payout of {coins} is signed."),
            NotificationType::WithdrawalSubmitted => format!("A payout of {coins} was sent; it is not final."),
            NotificationType::WithdrawalFailed => format!("A payout of {coins} is not made."),
            NotificationType::WithdrawalConfirmed => format!("A payout of {coins} is final."),
            NotificationType::SubscriptionDisabled => "A subscription is disabled; nothing is sent there.".to_owned(),
            NotificationType::DeskHalted => "The desk is halted: no order and no payout goes out.".to_owned(),
            NotificationType::DeskResumed => "The desk goes on.".to_owned(),
            NotificationType::DeskWebhookDisabled => "A webhook is disabled; nothing is sent to it.".to_owned(),
            NotificationType::DeskPartDown => format!("{} is down.", self.about()),
            NotificationType::DeskPartUp => format!("{} is up again.", self.about()),
            NotificationType::DeskBalanceLow => format!("Too little in {}.", self.about()),
            NotificationType::DeskBalanceRestored => format!("Enough in {}.", self.about()),
        }
    }

    /// Which part; or which place, and how much is there.
    fn about(&self) -> String {
        match &self.resource {
            Resource::Part(state) => state.part.clone(),
            Resource::Balance(BalanceState { place, coin, balance, threshold, .. }) => {
                let coin = coin.as_str();
                format!("{place}: {balance} {coin} are there, at least {threshold} {coin} are wanted")
            }
            Resource::Transaction(_) | Resource::Subscription(_) | Resource::Desk(_) | Resource::Webhook(_) => {
                String::new()
            }
        }
    }
}

fn of_desk(event: &desk::Event) -> Option<(NotificationType, Resource)> {
    let (kind, state) = match event {
        desk::Event::Halted(halted) => {
            (NotificationType::DeskHalted, DeskState { halted: true, cause: Some(cause(&halted.cause).to_owned()) })
        }
        desk::Event::Resumed(_) => (NotificationType::DeskResumed, DeskState { halted: false, cause: None }),
        // What an operator did himself, and what the books need to know; what is an alert tells of something else.
        desk::Event::SwitchSet(_)
        | desk::Event::TransferDeclared(_)
        | desk::Event::SweepSeen(_)
        | desk::Event::SpendsMatched(_)
        | desk::Event::OperatorActed(_)
        | desk::Event::PartDown(_)
        | desk::Event::PartUp(_)
        | desk::Event::BalanceLow(_)
        | desk::Event::BalanceRestored(_) => return Alert::of(event).map(of_alert),
    };
    Some((kind, Resource::Desk(state)))
}

fn of_alert(alert: Alert) -> (NotificationType, Resource) {
    let part = |part, since, reason: Option<DownReason>| {
        Resource::Part(PartState { part, down: reason.is_some(), since, reason })
    };
    let balance = |place, coin: Ticker, low, units: [u64; 2]| {
        let [balance, threshold] = units.map(|units| coin.amount(units.into()));
        Resource::Balance(BalanceState { place, coin, low, balance, threshold })
    };
    match alert {
        Alert::PartDown(PartDown { part: name, since, reason }) => {
            (NotificationType::DeskPartDown, part(name, since, Some(reason)))
        }
        Alert::PartUp(PartUp { part: name, since }) => (NotificationType::DeskPartUp, part(name, since, None)),
        Alert::BalanceLow(BalanceLow { place, coin, balance: units, threshold }) => {
            (NotificationType::DeskBalanceLow, balance(place, coin, true, [units, threshold]))
        }
        Alert::BalanceRestored(BalanceRestored { place, coin, balance: units, threshold }) => {
            (NotificationType::DeskBalanceRestored, balance(place, coin, false, [units, threshold]))
        }
    }
}

fn cause(cause: &HaltCause) -> &'static str {
    match cause {
        HaltCause::Operator { .. } => "operator",
        HaltCause::Missing { .. } => "missing",
        HaltCause::Restored(_) => "restored",
        HaltCause::Damaged { .. } => "damaged",
        HaltCause::StrayOrders { .. } => "stray_orders",
        HaltCause::StraySpends { .. } => "stray_spends",
    }
}

fn transaction(told: &Told, telling: Telling, deposit: &Deposit, recorded: &Recorded) -> Transaction {
    let rate = deposit.payout.as_ref().and_then(|payout| match payout.basis {
        PayoutBasis::Direct { rate } => Some(rate),
        PayoutBasis::Bought => None,
    });
    let method = match (rate, &deposit.purchase) {
        (Some(_), _) => Some(Method::Direct),
        (None, Some(_)) => Some(Method::Passthrough),
        (None, None) => None,
    };
    Transaction {
        row: row(told, telling, deposit, recorded),
        deposit_id: deposit.receipt.id,
        method,
        rate,
        payout: deposit.payout.as_ref().map(|payout| payout.amount),
        payout_txid: deposit.signed_payout().map(|signed| signed.txid),
        refund: told.refund,
        refund_txid: refund_txid(deposit),
    }
}

fn row(told: &Told, telling: Telling, deposit: &Deposit, recorded: &Recorded) -> HistoryRow {
    let receipt = &deposit.receipt;
    let of_payout = telling.kind.resource() == ResourceType::Withdrawal;
    let payout = deposit.payout.as_ref().filter(|_| of_payout);
    let signed = payout.and_then(|payout| payout.signed.as_ref());
    let is_bounced = matches!(deposit.stage, Stage::RefundDue { .. } | Stage::Done(Outcome::Refunded { .. }));
    HistoryRow {
        r#type: telling.kind.resource(),
        tx: receipt.outpoint.txid,
        tx_id: receipt.outpoint.index,
        coin: telling.kind.resource().coin().expect("what is told of a deposit counts coins"),
        created: if of_payout { told.queued_at.unwrap_or(told.seen_at) } else { told.seen_at },
        amount: payout.map_or(receipt.amount.units(), |payout| payout.amount.units()),
        block_id: told.block.map_or(0, |block| block.height),
        block_hash: told.block.map(|block| block.hash),
        from: receipt.address.clone(),
        to: receipt.customer.as_ref().map(|customer| customer.target.clone()).unwrap_or_default(),
        signed: signed.is_some(),
        is_bounced,
        submit_state: telling.state.as_str().into(),
        submit_tx: String::new(),
        submit_signers: String::new(),
        submit_confirm_block: confirmed_in(recorded),
        submit_date: recorded.recorded_at,
        submit_tx_hash: refund_txid(deposit).or(signed.map(|signed| signed.txid)),
    }
}

fn refund_txid(deposit: &Deposit) -> Option<Hash32> {
    match &deposit.stage {
        Stage::Done(Outcome::Refunded { txid }) => Some(*txid),
        _ => None,
    }
}

/// The Skycoin block that holds the payout, if it is final by this event.
fn confirmed_in(recorded: &Recorded) -> u64 {
    match &recorded.event {
        Event::Deposit(crate::deposit::Event::Confirmed(confirmed)) => confirmed.block_seq,
        _ => 0,
    }
}
