//! A customer's deposits as our own API and the page show them.

use chrono::{DateTime, Utc};
use millrace_actors::projection::{BindingRow, DepositRow, UNREADABLE};
use millrace_actors::subscriptions::Known;
use millrace_model::deposit::{HoldReason, confirmations_required};
use millrace_model::ids::{DepositId, SubscriptionId};
use millrace_model::money::{Amount, Btc, Rate, Sky};
use millrace_model::subscription::{Silence, Stopped, customer_hash};
use serde::Serialize;

use super::Desk;
use crate::web::problem::Problem;

/// All that is shown of one customer.
#[derive(Debug, Serialize)]
pub(super) struct Customer {
    pub target: String,
    pub addresses: Vec<Address>,
    pub deposits: Vec<Deposit>,
    /// Where he is told, as far as he made that himself.
    pub subscriptions: Vec<Subscription>,
}

/// A subscription of his. Where it leads is sealed: whoever knows the address that is paid may look here.
#[derive(Debug, Serialize)]
pub(super) struct Subscription {
    pub subscription: SubscriptionId,
    /// `served`, `unproved`, `paused` or `disabled`.
    pub state: &'static str,
    /// Why it is disabled, in a sentence.
    pub why: Option<&'static str>,
    pub subscribed_at: DateTime<Utc>,
}

/// A deposit address.
#[derive(Debug, Serialize)]
pub(super) struct Address {
    pub address: String,
    pub coin: &'static str,
    pub bound_method: String,
    pub bound_at: DateTime<Utc>,
}

/// A deposit.
#[derive(Debug, Serialize)]
pub(super) struct Deposit {
    pub id: DepositId,
    pub status: String,
    /// In a sentence.
    pub status_text: String,
    pub coin: &'static str,
    pub amount: Amount<Btc>,
    pub address: String,
    pub txid: String,
    pub output_index: u32,
    pub confirmations: u64,
    pub confirmations_required: u64,
    pub method: Option<String>,
    /// SKY for one BTC.
    pub rate: Option<Rate>,
    pub spent: Option<Amount<Btc>>,
    pub bought: Option<Amount<Sky>>,
    pub payout_coin: &'static str,
    pub payout: Option<Amount<Sky>>,
    pub payout_txid: Option<String>,
    pub refund: Option<Amount<Btc>>,
    pub held: Option<HoldReason>,
    pub outcome: Option<String>,
    pub detected_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Everything of one customer; `None` when nothing was ever bound to the address.
pub(super) async fn customer(desk: &Desk, target: &str) -> Result<Option<Customer>, Problem> {
    let bindings = desk.views.bindings_of(target).await?;
    if bindings.is_empty() {
        return Ok(None);
    }
    let deposits = desk.views.deposits_of(target).await?;
    Ok(Some(Customer {
        target: target.to_owned(),
        addresses: bindings.into_iter().map(address).collect(),
        subscriptions: desk
            .subscriptions
            .of_customer(customer_hash(target))
            .iter()
            .map(|it| subscription(it))
            .collect(),
        deposits: deposits.into_iter().rev().map(|row| deposit(desk, row)).collect(),
    }))
}

fn address(row: BindingRow) -> Address {
    Address { address: row.address, coin: "BTC", bound_method: row.method, bound_at: row.bound_at }
}

fn subscription(known: &Known) -> Subscription {
    let it = &known.subscription;
    let why = it.silence();
    let state = match &it.stopped {
        _ if why.is_some() => "disabled",
        Some(Stopped::Paused) => "paused",
        _ if it.is_served() => "served",
        _ => "unproved",
    };
    Subscription { subscription: it.id, state, why: why.map(Silence::sentence), subscribed_at: known.since }
}

/// One deposit, with its progress as of the newest block.
pub(super) fn deposit(desk: &Desk, row: DepositRow) -> Deposit {
    let tip = *desk.height.borrow();
    let deep = row.height.zip(tip).map_or(0, |(height, tip)| (tip + 1).saturating_sub(height));
    let required = confirmations_required(row.coinbase, u64::from(desk.terms.confirmations));
    Deposit {
        status_text: sentence(&row, deep, required),
        id: row.id,
        // Whether an operator held it or nobody can read it is no difference to its customer.
        status: if row.status == UNREADABLE { "held".to_owned() } else { row.status },
        coin: "BTC",
        amount: row.amount,
        address: row.address,
        txid: row.outpoint.txid.to_string(),
        output_index: row.outpoint.index,
        confirmations: deep,
        confirmations_required: required,
        method: row.method,
        rate: row.rate,
        spent: row.spent,
        bought: row.bought,
        payout_coin: "SKY",
        payout: row.payout,
        payout_txid: row.payout_txid.map(|txid| txid.to_string()),
        refund: row.refund,
        held: row.held.map(for_customers),
        outcome: row.outcome,
        detected_at: row.detected_at,
        updated_at: row.updated_at,
    }
}

/// A reason without an operator's words, which are not for customers.
fn for_customers(mut reason: HoldReason) -> HoldReason {
    if let Some(note) = reason.note_mut() {
        note.clear();
    }
    reason
}

fn sentence(row: &DepositRow, deep: u64, required: u64) -> String {
    match row.status.as_str() {
        "pending" if row.height.is_none() => "Seen, waiting to be mined".to_owned(),
        "pending" => format!("Waiting for confirmation {} of {required}", deep.min(required)),
        "quarantined" => "Received on an address that is not in use; ask the operator".to_owned(),
        "wait_decide" => "Received".to_owned(),
        "wait_buy" => "Buying SKY on the exchange".to_owned(),
        "wait_send" => "Sending SKY".to_owned(),
        "wait_confirm" => "Sent, waiting for its confirmation".to_owned(),
        UNREADABLE => "Held; the operator is looking at it".to_owned(),
        "held" => match row.held {
            Some(HoldReason::BelowMinimum) => "Held: less than the desk deals in".to_owned(),
            Some(HoldReason::AboveMaximum) => "Held: more than the desk deals in".to_owned(),
            Some(HoldReason::PayoutAboveMaximum) => "Held: more than is paid out without the operator".to_owned(),
            Some(HoldReason::DepositOrphaned) if row.height.is_none() => {
                "Its block left the chain; waiting to be mined again".to_owned()
            }
            Some(HoldReason::DepositOrphaned) => {
                format!("Mined again: waiting for confirmation {} of {required}", deep.min(required))
            }
            Some(_) | None => "Held; the operator is looking at it".to_owned(),
        },
        "refund_due" => "To be paid back".to_owned(),
        "done" => match row.outcome.as_deref() {
            Some("paid") => "Paid out".to_owned(),
            Some("refunded") => "Paid back".to_owned(),
            Some("vanished") => "The transaction never came to be".to_owned(),
            Some("written_off") => "Its coins were spent elsewhere; nothing is paid out".to_owned(),
            Some(_) | None => "Ended without a payout".to_owned(),
        },
        other => other.to_owned(),
    }
}
