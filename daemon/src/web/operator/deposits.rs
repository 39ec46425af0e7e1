//! Deposits in pages, and one with its whole story.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use millrace_actors::projection::{DepositRow as Row, Filter, PAGE_ROWS_MAX, Trouble, UNREADABLE, UnreadableFrom};
use millrace_model::deposit::{HoldReason, StageName};
use millrace_model::ids::{DepositId, Position, StreamName};
use serde::{Deserialize, Serialize};

use super::log::Line;
use super::{OperatorState, place, rows, views_unreadable};
use crate::web::extract::{Path, Query};
use crate::web::problem::Problem;
use crate::web::shapes::{DepositPage, DepositRow};

/// Which deposits, and from where on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Wanted {
    pub(in crate::web) status: Option<String>,
    pub(in crate::web) target: Option<String>,
    /// A page's `next`.
    #[serde(alias = "before")]
    pub(in crate::web) after: Option<Position>,
    pub(in crate::web) limit: Option<u32>,
}

/// The same of deposits whose status goes without saying.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedOfStatus {
    target: Option<String>,
    /// A page's `next`.
    #[serde(alias = "before")]
    after: Option<Position>,
    limit: Option<u32>,
}

impl WantedOfStatus {
    fn with(self, status: StageName) -> Wanted {
        let Self { target, after, limit } = self;
        Wanted { status: Some(status.as_str().to_owned()), target, after, limit }
    }
}

/// A deposit and its events.
#[derive(Debug, Serialize)]
pub(super) struct Detail {
    deposit: DepositRow,
    /// Where it stood before it was held, what it cost and so on: all that is known, in the views' own shape.
    detail: Row,
    events: Vec<Line>,
}

pub(super) async fn list(
    State(state): State<Arc<OperatorState>>,
    Query(wanted): Query<Wanted>,
) -> Result<Reply<DepositPage>, Problem> {
    page(&state, wanted, None).await
}

pub(super) async fn held(
    State(state): State<Arc<OperatorState>>,
    Query(wanted): Query<WantedOfStatus>,
) -> Result<Reply<DepositPage>, Problem> {
    page(&state, wanted.with(StageName::Held), None).await
}

pub(super) async fn quarantined(
    State(state): State<Arc<OperatorState>>,
    Query(wanted): Query<WantedOfStatus>,
) -> Result<Reply<DepositPage>, Problem> {
    page(&state, wanted.with(StageName::Quarantined), None).await
}

pub(super) async fn errored(
    State(state): State<Arc<OperatorState>>,
    Query(wanted): Query<Wanted>,
) -> Result<Reply<DepositPage>, Problem> {
    page(&state, wanted, Some(Trouble::Errored)).await
}

async fn page(state: &OperatorState, wanted: Wanted, trouble: Option<Trouble>) -> Result<Reply<DepositPage>, Problem> {
    let Listed { rows, next } = listed(state, wanted, trouble).await?;
    let next = next.map(|next| next.to_string());
    Ok(Reply(DepositPage { deposits: rows.into_iter().map(shown).collect(), next }))
}

/// A page's rows with their notes opened.
#[derive(Debug)]
pub(in crate::web) struct Listed {
    /// Newest first.
    pub(in crate::web) rows: Vec<Row>,
    /// What the next page comes after; nothing on the last.
    pub(in crate::web) next: Option<Position>,
}

/// A page of the deposits that are wanted.
pub(in crate::web) async fn listed(
    state: &OperatorState,
    wanted: Wanted,
    trouble: Option<Trouble>,
) -> Result<Listed, Problem> {
    let words = statuses();
    if wanted.status.as_deref().is_some_and(|status| !words.contains(&status)) {
        let words = words.join(", ");
        return Err(Problem::bad_request("unknown_status", format!("A status is one of {words}.")));
    }
    let rows_max = rows(wanted.limit, PAGE_ROWS_MAX)?;
    let filter =
        Filter { status: wanted.status, target: wanted.target, trouble, before: place(wanted.after)?, rows_max };
    let rows = opened(state, state.views.deposits(&filter).await.map_err(views_unreadable)?).await?;
    let full = rows.len() == rows_max as usize;
    let next = rows.last().filter(|_| full).map(|row| row.seq);
    Ok(Listed { rows, next })
}

/// Rows of the views with their notes opened.
pub(in crate::web) async fn opened(state: &OperatorState, mut rows: Vec<Row>) -> Result<Vec<Row>, Problem> {
    let keys = state.operations.keys().clone();
    let opening = tokio::task::spawn_blocking(move || {
        let notes = keys.reading();
        for row in &mut rows {
            let place = StreamName::Deposit(row.id).to_string();
            let held = row.held.as_mut().and_then(HoldReason::note_mut);
            held.into_iter().chain(&mut row.refund_note).for_each(|note| notes.show(&place, note));
        }
        rows
    });
    opening.await.map_err(Problem::internal)
}

const STATUSES: [StageName; 9] = [
    StageName::Pending,
    StageName::Quarantined,
    StageName::WaitDecide,
    StageName::WaitBuy,
    StageName::WaitSend,
    StageName::WaitConfirm,
    StageName::Held,
    StageName::RefundDue,
    StageName::Done,
];

/// The words for where a deposit can stand.
pub(in crate::web) fn statuses() -> Vec<&'static str> {
    STATUSES.iter().map(|stage| stage.as_str()).chain([UNREADABLE]).collect()
}

pub(super) async fn show(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<DepositId>,
) -> Result<Reply<Detail>, Problem> {
    let events = state.story(id).await?;
    let row = events.iter().fold(None, Row::after).ok_or_else(unknown_deposit)?;
    Ok(Reply(Detail { deposit: shown(row.clone()), detail: row, events: events.iter().map(Line::from).collect() }))
}

pub(in crate::web) fn unknown_deposit() -> Problem {
    Problem::not_found("unknown_deposit", "There is no such deposit.")
}

fn shown(row: Row) -> DepositRow {
    DepositRow {
        id: row.id.to_string(),
        reason: reason(&row),
        status: row.status,
        method: row.method,
        target: row.target,
        address: row.address,
        received: row.amount,
        txid: row.outpoint.txid.to_string(),
        output: row.outpoint.index,
        payout: row.payout,
        payout_txid: row.payout_txid.map(|txid| txid.to_string()),
        updated_at: row.updated_at,
    }
}

/// Why it is held, else that it was lost, else why it is to be paid back or how it ended.
pub(in crate::web) fn reason(row: &Row) -> Option<String> {
    if row.loss.is_some() && row.held.is_none() {
        return Some("reorg_loss".to_owned());
    }
    if let Some(from) = row.unreadable.as_ref().filter(|_| row.is_without_beginning()) {
        let UnreadableFrom { position, why } = from;
        return Some(format!(
            "its beginning, at position {position}, cannot be read: {why}; whose it is and what came in is not known"
        ));
    }
    if let Some(from) = &row.unreadable {
        return Some(format!("unreadable from position {} on: {}", from.position, from.why));
    }
    let Some(held) = &row.held else {
        let parts = [row.outcome.clone(), row.refund_note.clone()];
        return parts.into_iter().flatten().reduce(|outcome, note| format!("{outcome}: {note}"));
    };
    Some(why_held(held))
}

/// Why a deposit is held: the word, and what belongs to it.
pub(super) fn why_held(held: &HoldReason) -> String {
    match held {
        HoldReason::BelowMinimum => "below_minimum".to_owned(),
        HoldReason::AboveMaximum => "above_maximum".to_owned(),
        HoldReason::NothingToSend => "nothing_to_send".to_owned(),
        HoldReason::PayoutAboveMaximum => "payout_above_maximum".to_owned(),
        HoldReason::DepositOrphaned => "deposit_orphaned".to_owned(),
        HoldReason::CoinsSeenBefore { earlier } => format!("coins_seen_before: {earlier}"),
        HoldReason::OrderUnaccounted => "order_unaccounted".to_owned(),
        HoldReason::PurchaseStopped => "purchase_stopped".to_owned(),
        HoldReason::PayoutTooManyInputs => "payout_too_many_inputs".to_owned(),
        HoldReason::InvalidTarget => "invalid_target".to_owned(),
        HoldReason::PaidBefore { txid } => format!("paid_before: {txid}"),
        HoldReason::WalletMisbehaved => "wallet_misbehaved".to_owned(),
        HoldReason::Operator { note } => format!("operator: {note}"),
    }
}
