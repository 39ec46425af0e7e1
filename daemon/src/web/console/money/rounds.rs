//! What came of holding the places against the books, as the log has it: not every look, but what a look changed, the newest first.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use millrace_actors::reconciler;
use millrace_model::desk::{Difference, Event as DeskEvent, HaltCause, Place as Where, TransferKind};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{Position, StreamName, Version};
use millrace_model::ledger::Ticker;
use serde::Deserialize;

use super::super::frame::{Page, Place, answer};
use super::super::words::{Tone, amount, mark, moment, short, span};
use crate::web::extract::Query;
use crate::web::operator::OperatorState;
use crate::web::problem::Problem;
use crate::web::session::Operator;

/// How far one page looks back; the next goes on from there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    rounds_max: usize,
    /// So many events of the desk.
    events_max: u64,
}

impl Look {
    /// The first of them, on a page that is made anew at every change.
    pub(super) const FIRST: Self = Self { rounds_max: 10, events_max: READ_EVENTS_MAX };
    const PAGE: Self = Self { rounds_max: 30, events_max: 2_000 };
}

/// So many events are read at once.
const READ_EVENTS_MAX: u64 = 200;

/// What one event says was found.
struct Round {
    position: Position,
    at: DateTime<Utc>,
    found: Vec<Finding>,
}

/// What was found in one place. Amounts are in smallest units.
struct Finding {
    place: Where,
    coin: Ticker,
    booked: Option<i128>,
    in_flight: Option<i128>,
    found: Option<i128>,
    difference: Option<i128>,
    verdict: Markup,
}

/// A page of them.
pub(super) struct Rounds {
    rounds: Vec<Round>,
    /// Before which of the desk's events they are.
    before: Option<Version>,
    /// `before` for older ones; nothing when the desk's events were looked at to their beginning.
    rest: Option<Version>,
}

/// Which page.
#[derive(Debug, Deserialize)]
pub(in crate::web::console) struct Wanted {
    before: Option<Version>,
}

/// The older pages, each by itself.
pub(in crate::web::console) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Query(Wanted { before }): Query<Wanted>,
) -> Response {
    // Older pages stay as they are.
    let follows = if before.is_none() { "log places" } else { "" };
    let page = Page { place: Place::Money, title: "Reconciliation", follows };
    let now = desk.now();
    let shown = read(&desk, before, Look::PAGE).await.map(|rounds| {
        html! {
            (how_often(&desk, now))
            (told(&rounds, now))
            nav.pager aria-label="Pages" {
                a href="/console/money" { "Back to the books" }
                @if before.is_some() { a rel="prev" href="/console/money/rounds" { "To the newest" } }
                (older(&rounds))
            }
        }
    });
    answer(&desk, &operator, &page, shown)
}

/// The newest of them, on the page of the books.
pub(super) fn section(rounds: &Result<Rounds, Problem>, now: DateTime<Utc>) -> Markup {
    html! {
        section aria-labelledby="rounds" {
            h2 #rounds { "What came of the looks" }
            @match rounds {
                Ok(rounds) => {
                    (told(rounds, now))
                    nav.pager aria-label="Pages" { (older(rounds)) }
                }
                Err(problem) => p role="alert" { "What came of them before is not known at the moment: " (problem.message()) },
            }
        }
    }
}

fn older(rounds: &Rounds) -> Markup {
    html! { @if let Some(rest) = rounds.rest { a rel="next" href={ "/console/money/rounds?before=" (rest) } { "Older" } } }
}

/// How often the desk looks, when it did so last, and what keeps it from it.
pub(super) fn how_often(desk: &OperatorState, now: DateTime<Utc>) -> Markup {
    let last = desk.reconciliation.borrow().iter().map(|compared| compared.at).max();
    let part = desk.tree.health().part(reconciler::PART);
    html! {
        p.soft {
            @match desk.reconciles_every {
                Some(every) => { "The desk looks at each place every " (every_so_often(every)) "; " }
                None => "The desk looks at each place again and again; ",
            }
            @match last {
                Some(at) => { "it compared the last one " (moment(at, now)) ". " }
                None => "since it was started no look was compared. ",
            }
            "When less is there than must be, twice in a row, it halts."
        }
        @if let Some(part) = part {
            @if part.state.is_out() {
                p role="alert" { "Nobody looks now: " a href="/console/parts#part-reconciler" { "the reconciler" } " does not run." }
            }
            @if !part.conditions.is_empty() {
                ul { @for condition in &part.conditions { li {
                    (mark(Tone::Ailing, &condition.kind.replace('_', " "))) ": " (condition.text) ", " (moment(condition.since, now))
                } } }
            }
        }
    }
}

fn every_so_often(every: Duration) -> String {
    TimeDelta::from_std(every).map_or_else(|_| "so often".to_owned(), span)
}

/// Reads them backwards through the desk's own stream, in which nothing is sealed; how long the log is does not matter.
pub(super) async fn read(
    desk: &Arc<OperatorState>,
    before: Option<Version>,
    Look { rounds_max, events_max }: Look,
) -> Result<Rounds, Problem> {
    desk.read(move |reader| {
        let (mut rounds, mut next, mut looked_at) = (Vec::new(), before, 0);
        while looked_at < events_max {
            let events = reader.before_in(&StreamName::Desk, next, READ_EVENTS_MAX)?;
            looked_at += READ_EVENTS_MAX;
            let is_all = (events.len() as u64) < READ_EVENTS_MAX;
            for recorded in events {
                next = Some(recorded.version);
                rounds.extend(round(recorded));
                if rounds.len() == rounds_max {
                    return Ok(Rounds { rounds, before, rest: next.filter(|next| *next > 1) });
                }
            }
            if is_all {
                return Ok(Rounds { rounds, before, rest: None });
            }
        }
        Ok(Rounds { rounds, before, rest: next.filter(|next| *next > 1) })
    })
    .await
}

fn round(recorded: Recorded) -> Option<Round> {
    let (position, at) = (recorded.position, recorded.recorded_at);
    let Event::Desk(event) = &recorded.event else { return None };
    let found = findings(event);
    (!found.is_empty()).then_some(Round { position, at, found })
}

impl Finding {
    fn of(place: Where, coin: Ticker, verdict: Markup) -> Self {
        Self { place, coin, booked: None, in_flight: None, found: None, difference: None, verdict }
    }

    /// Of the wallet, which lost so much.
    fn taken(units: u64, verdict: Markup) -> Self {
        Self { difference: Some(-i128::from(units)), ..Self::of(Where::HotWallet, Ticker::Sky, verdict) }
    }
}

/// What an event of the desk says of the places; nothing for those that say nothing of them.
fn findings(event: &DeskEvent) -> Vec<Finding> {
    match event {
        DeskEvent::Halted(halted) => of_halt(&halted.cause),
        DeskEvent::SweepSeen(seen) => {
            let (txid, block) = (seen.spend.txid.to_string(), seen.spend.block_seq);
            let verdict =
                html! { (mark(Tone::Well, "a declared sweep")) ": transaction " (short(&txid)) " in block " (block) };
            vec![Finding::taken(seen.spend.coins.units(), verdict)]
        }
        DeskEvent::SpendsMatched(matched) => {
            let verdict = html! { (mark(Tone::Well, "fits")) ": every spend up to block " (matched.block_seq) " is accounted for" };
            vec![Finding::of(Where::HotWallet, Ticker::Sky, verdict)]
        }
        DeskEvent::TransferDeclared(declared) => {
            let (kind, sign) = match declared.kind {
                TransferKind::Opening => ("declared as found", 1),
                TransferKind::Refill => ("declared as refilled", 1),
                TransferKind::Sweep => ("declared as swept", -1),
            };
            let (coin, units) = match declared.coins {
                millrace_model::desk::Coins::Btc(coins) => (Ticker::Btc, coins.units()),
                millrace_model::desk::Coins::Sky(coins) => (Ticker::Sky, coins.units()),
            };
            let verdict = html! { (mark(Tone::Quiet, kind)) ": " (declared.note) };
            vec![Finding { booked: Some(sign * i128::from(units)), ..Finding::of(declared.place, coin, verdict) }]
        }
        DeskEvent::SwitchSet(_)
        | DeskEvent::Resumed(_)
        | DeskEvent::PartDown(_)
        | DeskEvent::PartUp(_)
        | DeskEvent::BalanceLow(_)
        | DeskEvent::BalanceRestored(_)
        | DeskEvent::OperatorActed(_) => Vec::new(),
    }
}

fn of_halt(cause: &HaltCause) -> Vec<Finding> {
    match cause {
        HaltCause::Missing { differences } => differences.iter().map(missing).collect(),
        HaltCause::StraySpends { spends } => {
            let told = |spend: &millrace_model::spend::Spend| {
                let txid = spend.txid.to_string();
                let verdict = html! {
                    (mark(Tone::Broken, "no payout")) ": transaction " (short(&txid)) " in block " (spend.block_seq) "; the desk was halted"
                };
                Finding::taken(spend.coins.units(), verdict)
            };
            spends.iter().map(told).collect()
        }
        HaltCause::StrayOrders { orders } => {
            let told = |order: &millrace_model::stray::StrayOrder| {
                let verdict = html! { (mark(Tone::Broken, "of no deposit")) ": " (order) "; the desk was halted" };
                Finding::of(Where::Exchange, Ticker::Sky, verdict)
            };
            orders.iter().map(told).collect()
        }
        HaltCause::Operator { .. } | HaltCause::Restored(_) | HaltCause::Damaged { .. } => Vec::new(),
    }
}

fn missing(difference: &Difference) -> Finding {
    let [booked, in_flight, found] =
        [difference.booked, difference.in_flight, difference.found].map(|units| Some(i128::from(units)));
    let least = i128::from(difference.booked) - i128::from(difference.in_flight);
    Finding {
        booked,
        in_flight,
        found,
        difference: Some(i128::from(difference.found) - least),
        ..Finding::of(
            difference.place,
            difference.coin,
            html! { (mark(Tone::Broken, "less than booked")) ", twice in a row; the desk was halted" },
        )
    }
}

fn told(Rounds { rounds, before, rest }: &Rounds, now: DateTime<Utc>) -> Markup {
    html! {
        p.soft {
            "The log keeps what a look changed: what was missing, what was nobody's, up to where spends were matched, and what was declared. \
             A look that finds what is booked leaves nothing in it."
        }
        @match (rounds.is_empty(), rest, before) {
            (false, ..) => (table(rounds, now)),
            (true, Some(_), _) => p { "Nothing came of a look among the desk's events that were gone through for this page; older ones may tell of it." },
            (true, None, Some(_)) => p { "There is nothing older." },
            (true, None, None) => p { "Nothing has come of them yet: nothing was declared, and nothing was ever missing." },
        }
    }
}

fn table(rounds: &[Round], now: DateTime<Utc>) -> Markup {
    let shown = |finding: &Finding, units: Option<i128>| {
        html! {
            @if let Some(units) = units { (amount(&finding.coin.amount(units), finding.coin.as_str())) }
        }
    };
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { "When" } th scope="col" { "Place" } th.n scope="col" { "Booked" } th.n scope="col" { "On its way" }
                th.n scope="col" { "Found there" } th.n scope="col" title="Less what must be there: what is booked and not on its way" { "Difference" }
                th scope="col" { "Verdict" }
            } }
            tbody { @for Round { position, at, found } in rounds { @for finding in found { tr {
                td { a href={ "/console/log/" (position) } { (moment(*at, now)) } }
                th scope="row" { (finding.place.as_str().replace('_', " ")) }
                td.n { (shown(finding, finding.booked)) }
                td.n { (shown(finding, finding.in_flight)) }
                td.n { (shown(finding, finding.found)) }
                td.n { (shown(finding, finding.difference)) }
                td { (finding.verdict) }
            } } } }
        } }
    }
}
