//! A customer's deposits as our own API and the page show them.

use chrono::{DateTime, Utc};
use millrace_actors::projection::{BindingRow, DepositRow, Milestones, UNREADABLE};
use millrace_actors::subscriptions::Known;
use millrace_model::deposit::{HoldReason, confirmations_required};
use millrace_model::ids::{DepositId, SubscriptionId};
use millrace_model::money::{Amount, Btc, Rate, Sky};
use millrace_model::purchase::Purchase;
use millrace_model::subscription::{Silence, Stopped, customer_hash};
use serde::Serialize;

use super::Desk;
use super::standing::Standing;
use super::words::Language;
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
    /// The same for who reads it: nothing while the newest block is not known.
    #[serde(skip)]
    pub depth: Option<u64>,
    pub method: Option<String>,
    /// SKY for one BTC.
    pub rate: Option<Rate>,
    pub spent: Option<Amount<Btc>>,
    pub bought: Option<Amount<Sky>>,
    /// While it is being bought: what of the deposit the orders have spent so far.
    pub filled: Option<Amount<Btc>>,
    pub payout_coin: &'static str,
    pub payout: Option<Amount<Sky>>,
    pub payout_txid: Option<String>,
    pub refund: Option<Amount<Btc>>,
    pub held: Option<HoldReason>,
    pub outcome: Option<String>,
    pub milestones: Milestones,
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
    let required = confirmations_required(row.coinbase, u64::from(desk.terms.confirmations));
    let depth = depth(&row, tip, required);
    Deposit {
        status_text: sentence(&row, (depth, required)),
        id: row.id,
        status: shown(&row.status).to_owned(),
        coin: "BTC",
        amount: row.amount,
        address: row.address,
        txid: row.outpoint.txid.to_string(),
        output_index: row.outpoint.index,
        confirmations: depth.unwrap_or(0),
        confirmations_required: required,
        depth,
        method: row.method,
        rate: row.rate,
        spent: row.spent,
        bought: row.bought,
        filled: row.purchase.as_deref().map(Purchase::spent),
        payout_coin: "SKY",
        payout: row.payout,
        payout_txid: row.payout_txid.map(|txid| txid.to_string()),
        refund: row.refund,
        held: row.held.map(for_customers),
        outcome: row.outcome,
        milestones: row.milestones,
        detected_at: row.detected_at,
        updated_at: row.updated_at,
    }
}

/// How deep it is; what was received was deep enough, whatever is known of the chain at the moment.
fn depth(row: &DepositRow, tip: Option<u64>, required: u64) -> Option<u64> {
    let counted = row.height.zip(tip).map(|(height, tip)| (tip + 1).saturating_sub(height));
    let is_orphaned = matches!(row.held, Some(HoldReason::DepositOrphaned));
    match row.milestones.received_at {
        Some(_) if !is_orphaned => Some(counted.map_or(required, |deep| deep.max(required))),
        _ => counted,
    }
}

/// A reason without an operator's words, which are not for customers.
fn for_customers(mut reason: HoldReason) -> HoldReason {
    if let Some(note) = reason.note_mut() {
        note.clear();
    }
    reason
}

/// In English, as everything of the API.
fn sentence(row: &DepositRow, depth: (Option<u64>, u64)) -> String {
    let status = shown(&row.status);
    let is_held = status == "held";
    let standing = Standing {
        status,
        is_mined: row.height.is_some(),
        held: row.held.as_ref().filter(|_| is_held),
        outcome: row.outcome.as_deref(),
        depth,
    };
    standing.sentence(Language::English.words())
}

/// Whether an operator held it or nobody can read it is no difference to its customer.
fn shown(status: &str) -> &str {
    if status == UNREADABLE { "held" } else { status }
}
