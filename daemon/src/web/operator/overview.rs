//! The whole desk as it was: after any position of the log, at a time, or, without either, now.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use millrace_actors::customer_keys::Reading;
use millrace_actors::event_store::{ReadError, Reader};
use millrace_actors::moments::position_at;
use millrace_actors::projection::PAGE_ROWS_MAX;
use millrace_actors::stations::{OverviewError, Stations, overview_at};
use millrace_model::deposit::{BlockRef, Deposit, Stage, StageName};
use millrace_model::ids::{DepositId, Hash32, Position, StreamName};
use millrace_model::ledger::Ticker;
use millrace_model::money::{Amount, Btc, Sky};
use millrace_model::overview::{Aside, Ended, Line, Overview};
use serde::{Deserialize, Serialize};

use super::deposits::why_held;
use super::desk::Switches;
use super::ledger::balance_row;
use super::{OperatorState, place, rows};
use crate::web::extract::Query;
use crate::web::problem::Problem;
use crate::web::shapes::BalanceRow;

/// So many look at once; each reads and folds on processors that the desk needs too.
pub(super) const LOOKS_AT_ONCE_MAX: usize = 2;
/// When somebody who was one too many asks again: a look from the nearest station takes a part of a second.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Which moment; where both are given, whichever comes first. And which of the open deposits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    position: Option<Position>,
    at: Option<DateTime<Utc>>,
    /// A page's `next`.
    after: Option<DepositId>,
    limit: Option<u32>,
}

/// The desk at that moment.
#[derive(Debug, Serialize)]
pub(super) struct DeskOverview {
    /// The last event that counts; 0 before the first.
    position: Position,
    recorded_at: Option<DateTime<Utc>>,
    /// The newest position there is.
    head: Position,
    balances: Vec<BalanceRow>,
    /// How many deposits there were.
    deposits: u64,
    /// How many of them had not ended.
    open: u64,
    standing: Vec<StandingLine>,
    /// Those that had not ended, oldest first.
    open_deposits: Vec<OpenDeposit>,
    /// How many come after them.
    more: u64,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<DepositId>,
    /// Those of which an event cannot be read; what they posted from there on is missing.
    unreadable: Vec<UnreadableDeposit>,
    more_unreadable: u64,
    addresses: u64,
    block: Option<BlockRef>,
    switches: Switches,
    /// How often the log was found to know less than had happened.
    restorations: usize,
    reserved_outputs: usize,
}

/// The deposits that stood at one place.
#[derive(Debug, Serialize)]
struct StandingLine {
    status: StageName,
    outcome: Option<Ended>,
    deposits: u64,
    received_btc: String,
    payout_sky: String,
}

/// A deposit that had not ended.
#[derive(Debug, Serialize)]
struct OpenDeposit {
    id: DepositId,
    status: StageName,
    /// Why it was held.
    reason: Option<String>,
    /// Absent for an address that nobody bound.
    target: Option<String>,
    address: String,
    received: Amount<Btc>,
    txid: Hash32,
    output: u32,
    payout: Option<Amount<Sky>>,
    payout_txid: Option<Hash32>,
}

/// A deposit that could not be read from a position on.
#[derive(Debug, Serialize)]
struct UnreadableDeposit {
    id: DepositId,
    position: Position,
    why: String,
}

pub(super) async fn show(
    State(state): State<Arc<OperatorState>>,
    Query(wanted): Query<Wanted>,
) -> Result<Reply<DeskOverview>, Problem> {
    let rows_max = rows(wanted.limit, PAGE_ROWS_MAX)? as usize;
    let position = place(wanted.position)?;
    // It is given back when the look has ended, which may be after whoever asked went away.
    let look = Arc::clone(&state.looks).try_acquire_owned().map_err(|_| too_many())?;
    let stations = state.stations.clone();
    let found = state.read_opened(move |reader, notes| {
        let _look = look;
        let found = at_moment(reader, &stations, (position, wanted.at))?;
        Ok(found.map(|(head, overview)| shown((head, &overview), notes, wanted.after, rows_max)))
    });
    found.await?.map(Reply).map_err(unknown_moment)
}

/// The desk at a moment and the log's head; or why there is no such moment.
fn at_moment(
    reader: &Reader,
    stations: &Stations,
    (position, at): (Option<Position>, Option<DateTime<Utc>>),
) -> Result<Result<(Position, Overview), OverviewError>, ReadError> {
    let head = reader.head()?;
    let by_time = at.map(|at| position_at(reader, at)).transpose()?;
    let position = position.into_iter().chain(by_time).min().unwrap_or(head);
    match overview_at(reader, Some(stations), position) {
        Ok(overview) => Ok(Ok((head, overview))),
        Err(OverviewError::Read(error)) => Err(error),
        Err(beyond @ OverviewError::Beyond { .. }) => Ok(Err(beyond)),
    }
}

fn too_many() -> Problem {
    let message = "Others are looking at the desk's past at the moment; try again.";
    Problem::unavailable("busy", message).retry_after(AGAIN_AFTER)
}

fn unknown_moment(why: OverviewError) -> Problem {
    Problem::not_found("unknown_moment", format!("The desk has no such moment: {why}."))
}

fn shown(
    (head, overview): (Position, &Overview),
    notes: &Reading,
    after: Option<DepositId>,
    rows_max: usize,
) -> DeskOverview {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = overview.open.range((from, Bound::Unbounded));
    let listed: Vec<_> = rest.by_ref().take(rows_max).collect();
    let more = rest.count() as u64;
    let unreadable = overview.aside.iter().take(rows_max).map(|(id, Aside { position, why })| UnreadableDeposit {
        id: *id,
        position: *position,
        why: why.clone(),
    });
    DeskOverview {
        position: overview.position,
        recorded_at: overview.recorded_at,
        head,
        balances: overview.balances.all().iter().map(balance_row).collect(),
        deposits: overview.lines.iter().map(|line| line.deposits).sum::<u64>() + overview.aside.len() as u64,
        open: overview.open.len() as u64,
        standing: overview.lines.iter().filter(|line| line.deposits > 0).map(standing).collect(),
        next: listed.last().filter(|_| more > 0).map(|(id, _)| **id),
        open_deposits: listed.into_iter().map(|(id, deposit)| open_deposit(*id, deposit, notes)).collect(),
        more,
        unreadable: unreadable.collect(),
        more_unreadable: overview.aside.len().saturating_sub(rows_max) as u64,
        addresses: overview.addresses,
        block: overview.cursor,
        switches: Switches::from(&overview.desk),
        restorations: overview.desk.restorations().len(),
        reserved_outputs: overview.wallet.reserved().count(),
    }
}

fn standing(line: &Line) -> StandingLine {
    StandingLine {
        status: line.stage,
        outcome: line.ended,
        deposits: line.deposits,
        received_btc: Ticker::Btc.amount(line.received),
        payout_sky: Ticker::Sky.amount(line.payout),
    }
}

fn open_deposit(id: DepositId, deposit: &Deposit, notes: &Reading) -> OpenDeposit {
    let reason = match &deposit.stage {
        Stage::Held { reason, .. } => {
            let mut reason = reason.clone();
            if let Some(note) = reason.note_mut() {
                notes.show(&StreamName::Deposit(id).to_string(), note);
            }
            Some(why_held(&reason))
        }
        _ => None,
    };
    OpenDeposit {
        id,
        status: deposit.stage.name(),
        reason,
        target: deposit.receipt.customer.as_ref().map(|customer| customer.target.clone()),
        address: deposit.receipt.address.clone(),
        received: deposit.receipt.amount,
        txid: deposit.receipt.outpoint.txid,
        output: deposit.receipt.outpoint.index,
        payout: deposit.payout.as_ref().map(|payout| payout.amount),
        payout_txid: deposit.signed_payout().map(|signed| signed.txid),
    }
}
