//! The whole desk as it was: after any position of the log, at a time, or, without either, now.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use millrace_actors::customer_keys::Reading;
use millrace_actors::event_store::Reader;
use millrace_actors::moments::position_at;
use millrace_actors::projection::PAGE_ROWS_MAX;
use millrace_actors::stations::{Newest, OverviewError, Stations, overview_at};
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
pub(in crate::web) struct DeskOverview {
    /// The last event that counts; 0 before the first.
    pub(in crate::web) position: Position,
    pub(in crate::web) recorded_at: Option<DateTime<Utc>>,
    /// The newest position there is.
    pub(in crate::web) head: Position,
    pub(in crate::web) balances: Vec<BalanceRow>,
    /// How many deposits there were.
    pub(in crate::web) deposits: u64,
    /// How many of them had not ended.
    pub(in crate::web) open: u64,
    pub(in crate::web) standing: Vec<StandingLine>,
    /// Those that had not ended, oldest first.
    pub(in crate::web) open_deposits: Vec<OpenDeposit>,
    /// How many come after them.
    pub(in crate::web) more: u64,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::web) next: Option<DepositId>,
    /// Those of which an event cannot be read; what they posted from there on is missing.
    pub(in crate::web) unreadable: Vec<UnreadableDeposit>,
    pub(in crate::web) more_unreadable: u64,
    pub(in crate::web) addresses: u64,
    pub(in crate::web) block: Option<BlockRef>,
    pub(in crate::web) switches: Switches,
    /// How often the log was found to know less than had happened.
    pub(in crate::web) restorations: usize,
    pub(in crate::web) reserved_outputs: usize,
}

/// The deposits that stood at one place.
#[derive(Debug, Serialize)]
pub(in crate::web) struct StandingLine {
    pub(in crate::web) status: StageName,
    pub(in crate::web) outcome: Option<Ended>,
    pub(in crate::web) deposits: u64,
    pub(in crate::web) received_btc: String,
    pub(in crate::web) payout_sky: String,
}

/// A deposit that had not ended.
#[derive(Debug, Serialize)]
pub(in crate::web) struct OpenDeposit {
    pub(in crate::web) id: DepositId,
    pub(in crate::web) status: StageName,
    /// Why it was held.
    pub(in crate::web) reason: Option<String>,
    /// Absent for an address that nobody bound.
    pub(in crate::web) target: Option<String>,
    pub(in crate::web) address: String,
    pub(in crate::web) received: Amount<Btc>,
    pub(in crate::web) txid: Hash32,
    pub(in crate::web) output: u32,
    pub(in crate::web) payout: Option<Amount<Sky>>,
    pub(in crate::web) payout_txid: Option<Hash32>,
}

/// A deposit that could not be read from a position on.
#[derive(Debug, Serialize)]
pub(in crate::web) struct UnreadableDeposit {
    pub(in crate::web) id: DepositId,
    pub(in crate::web) position: Position,
    pub(in crate::web) why: String,
}

pub(super) async fn show(
    State(state): State<Arc<OperatorState>>,
    Query(wanted): Query<Wanted>,
) -> Result<Reply<DeskOverview>, Problem> {
    let rows_max = rows(wanted.limit, PAGE_ROWS_MAX)? as usize;
    let position = place(wanted.position)?;
    let after = wanted.after;
    let seen = look(&state, (position, wanted.at), move |look| Ok(look.shown(after, rows_max)));
    seen.await.map(Reply)
}

/// The desk at a moment, and what else may be looked at beside it.
pub(in crate::web) struct Look<'a> {
    pub(in crate::web) reader: &'a Reader,
    stations: &'a Stations,
    newest: &'a Newest,
    notes: &'a Reading,
    /// The newest position there is.
    pub(in crate::web) head: Position,
    pub(in crate::web) overview: Overview,
}

impl Look<'_> {
    /// As the API shows it, with so many of the deposits after one that were open.
    pub(in crate::web) fn shown(&self, after: Option<DepositId>, rows_max: usize) -> DeskOverview {
        shown((self.head, &self.overview), self.notes, after, rows_max)
    }

    /// The desk now.
    pub(in crate::web) fn now(&self) -> Result<Overview, OverviewError> {
        self.newest.overview(self.reader, self.stations, self.head)
    }
}

/// Looks at the desk at a moment: after a position, at a time, whichever comes first, or now. Refused while too many look.
pub(in crate::web) async fn look<T: Send + 'static>(
    state: &Arc<OperatorState>,
    (position, at): (Option<Position>, Option<DateTime<Utc>>),
    see: impl FnOnce(Look<'_>) -> Result<T, OverviewError> + Send + 'static,
) -> Result<T, Problem> {
    // It is given back when the look has ended, which may be after whoever asked went away.
    let turn = Arc::clone(&state.looks).try_acquire_owned().map_err(|_| too_many())?;
    let (stations, newest) = (state.stations.clone(), state.newest.clone());
    let seen = state.read_opened(move |reader, notes| {
        let _turn = turn;
        let head = reader.head()?;
        let by_time = at.map(|at| position_at(reader, at)).transpose()?;
        let position = position.into_iter().chain(by_time).min().unwrap_or(head);
        let (stations, newest) = (&stations, &newest);
        let overview = match position == head {
            true => newest.overview(reader, stations, head),
            false => overview_at(reader, Some(stations), position),
        };
        let seen = overview.and_then(|overview| see(Look { reader, stations, newest, notes, head, overview }));
        match seen {
            Ok(seen) => Ok(Ok(seen)),
            Err(OverviewError::Read(error)) => Err(error),
            Err(beyond @ OverviewError::Beyond { .. }) => Ok(Err(beyond)),
        }
    });
    seen.await?.map_err(unknown_moment)
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
