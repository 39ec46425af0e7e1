//! The ledger: what stands on each account, and what a deposit's events posted.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use millrace_actors::reconciler::Compared;
use millrace_model::deposit::evolve;
use millrace_model::desk::Difference;
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{DepositId, Position, StreamName};
use millrace_model::ledger::{self, Account, Balance, Posting, Ticker};
use millrace_model::reconciliation::Comparison;
use serde::Serialize;

use super::OperatorState;
use super::deposits::unknown_deposit;
use crate::web::extract::Path;
use crate::web::problem::Problem;
use crate::web::shapes::{BalanceRow, Ledger, PlaceRow};

pub(in crate::web) async fn show(State(state): State<Arc<OperatorState>>) -> Reply<Ledger> {
    let cut = state.views.ledger();
    let places = state.reconciliation.borrow().iter().map(place_row).collect();
    let balances = cut.balances.all().iter().map(balance_row).collect();
    let unreadable = cut.unreadable.keys().map(|id| id.0).collect();
    Reply(Ledger { position: cut.position, unreadable, balances, places })
}

/// A balance as it is told.
pub(in crate::web) fn balance_row(Balance { account, coin, units }: &Balance) -> BalanceRow {
    BalanceRow { account: *account, nature: account.nature(), coin: *coin, amount: coin.amount(*units) }
}

fn place_row(Compared { comparison, at }: &Compared) -> PlaceRow {
    let Comparison { difference: Difference { place, coin, booked, in_flight, found }, verdict } = comparison;
    let [booked, in_flight, found] = [booked, in_flight, found].map(|units| coin.amount(i128::from(*units)));
    PlaceRow { place: *place, coin: *coin, booked, in_flight, found, verdict: *verdict, at: *at }
}

/// What a deposit's events posted, made again from its stream.
#[derive(Debug, Serialize)]
pub(super) struct Postings {
    /// Whether these are all: what follows an event that cannot be read is not known.
    complete: bool,
    postings: Vec<PostingRow>,
}

/// One side of an entry: a debit is positive, a credit negative.
#[derive(Debug, Serialize)]
struct PostingRow {
    position: Position,
    event: String,
    account: Account,
    coin: Ticker,
    amount: String,
}

pub(super) async fn of_deposit(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<DepositId>,
) -> Result<Reply<Postings>, Problem> {
    let events = state.read(move |reader| reader.stream(&StreamName::Deposit(id), 0)).await?;
    if events.is_empty() {
        return Err(unknown_deposit());
    }
    let Posted { complete, postings } = posted(&events);
    Ok(Reply(Postings {
        complete,
        postings: postings.iter().map(|(recorded, posting)| row(recorded, posting)).collect(),
    }))
}

/// What a deposit's events posted, each posting with its event.
#[derive(Debug)]
pub(in crate::web) struct Posted<'a> {
    /// Whether these are all: what follows an event that cannot be read is not known.
    pub(in crate::web) complete: bool,
    pub(in crate::web) postings: Vec<(&'a Recorded, Posting)>,
}

/// Made again from all events of its stream, oldest first.
pub(in crate::web) fn posted(events: &[Recorded]) -> Posted<'_> {
    let readable = events.iter().take_while(|recorded| !matches!(recorded.event, Event::Unreadable(_))).count();
    Posted { complete: readable == events.len(), postings: postings(&events[..readable]) }
}

fn postings(events: &[Recorded]) -> Vec<(&Recorded, Posting)> {
    let (mut deposit, mut lines) = (None, Vec::new());
    for recorded in events {
        let Event::Deposit(event) = &recorded.event else { continue };
        let before = deposit.as_ref().map(ledger::Standing::of);
        deposit = evolve(deposit, event);
        if let (Some(before), Some(after)) = (before, &deposit) {
            let entry = ledger::of_deposit(&before, event, after);
            lines.extend(entry.postings().iter().map(|posting| (recorded, *posting)));
        }
    }
    lines
}

fn row(recorded: &Recorded, posting: &Posting) -> PostingRow {
    let Posting { account, coin, units } = *posting;
    let event = recorded.event.kind().to_owned();
    PostingRow { position: recorded.position, event, account, coin, amount: coin.amount(units.into()) }
}
