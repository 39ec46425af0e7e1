//! What may be done to a deposit now: what its own rules would grant, as forms that say what will happen, and why the rest is
//! not possible. A form knows the version that its page was made of: of a deposit that has moved on nothing is done.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use millrace_model::deposit::{Deposit, Event, Request};
use millrace_model::ids::{DepositId, Version};
use serde::Deserialize;

use super::path;
use crate::web::console::act::{Act, Reason, Weight, done, offer};
use crate::web::extract::Path;
use crate::web::operator::OperatorState;
use crate::web::operator::act::{note, shown, txid};
use crate::web::problem::Problem;
use crate::web::session::{Operator, Submitted};

/// The word for a request in the address that it is sent to.
const fn word(request: Request) -> &'static str {
    match request {
        Request::Hold => "hold",
        Request::Release => "release",
        Request::RefundDue => "refund-due",
        Request::Refunded { .. } => "refunded",
    }
}

const fn label(request: Request) -> &'static str {
    match request {
        Request::Hold => "Hold",
        Request::Release => "Release",
        Request::RefundDue => "Mark as to be paid back",
        Request::Refunded { .. } => "Mark as paid back",
    }
}

/// What will happen, from the events that would follow.
fn says(request: Request, events: &[Event]) -> String {
    let written_off = events.iter().any(|event| matches!(event, Event::WrittenOff(_)));
    let due = events.iter().find_map(|event| match event {
        Event::RefundDue(due) => Some(due.amount),
        _ => None,
    });
    match (request, due) {
        (Request::Hold, _) => "It stays where it is, and nothing is bought or paid for it until it is released.".to_owned(),
        (Request::Release, _) if written_off => {
            "Its coins were spent elsewhere: it is written off, and what was bought for it is the desk's.".to_owned()
        }
        (Request::Release, _) => {
            "It goes on where it was stopped. Where the desk's limits stopped it, they are waived for it.".to_owned()
        }
        (Request::RefundDue, Some(amount)) => {
            format!("It ends here: {amount} BTC are owed back, nothing is paid out for it, and this cannot be undone.")
        }
        (Request::RefundDue, None) => "It ends here: it is to be paid back, and this cannot be undone.".to_owned(),
        (Request::Refunded { .. }, _) => {
            "Say so only of a transaction that you sent: the desk books it and does not look, and this cannot be undone."
                .to_owned()
        }
    }
}

const fn weight(request: Request) -> Weight {
    match request {
        Request::Hold | Request::Release => Weight::Light,
        Request::RefundDue | Request::Refunded { .. } => Weight::Grave,
    }
}

/// The actions that are possible, each with its form, and in one line those that are not.
pub(super) fn offered(operator: &Operator, (deposit, version): (&Deposit, Version)) -> Markup {
    let asked = Request::EACH.map(|request| (request, deposit.would(request)));
    let refused: Vec<_> = asked.iter().filter_map(|(request, would)| Some((request, would.as_ref().err()?))).collect();
    html! {
        @for (request, events) in asked.iter().filter_map(|(request, would)| Some((*request, would.as_ref().ok()?))) {
            (offer(operator, &Act {
                id: word(request),
                label: label(request),
                to: &format!("{}/{}", path(deposit.receipt.id), word(request)),
                says: &says(request, events),
                weight: weight(request),
                reason: Reason::Asked,
                fields: fields(request, version),
            }))
        }
        @if refused.len() == asked.len() { p { "Nothing: the desk's rules allow no action where it stands." } }
        details.soft {
            summary { "Not possible now (" (refused.len()) ")" }
            ul { @for (request, rule) in refused { li { (label(*request)) ": " (rule) } } }
        }
    }
}

fn fields(request: Request, version: Version) -> Markup {
    html! {
        input type="hidden" name="version" value=(version);
        @if let Request::Refunded { .. } = request {
            label {
                "By which Bitcoin transaction "
                input type="text" name="txid" required minlength="64" maxlength="64" autocomplete="off" placeholder="64 hexadecimal digits";
            }
        }
    }
}

/// What a form says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    note: String,
    /// Where the stream ended when the page was made.
    version: Version,
    txid: Option<String>,
}

pub(super) async fn act(
    State(desk): State<Arc<OperatorState>>,
    Path((id, word)): Path<(DepositId, String)>,
    Submitted { operator, fields, .. }: Submitted<Asked>,
) -> Response {
    let outcome = carry_out(&desk, id, &word, (&operator, &fields)).await;
    done(outcome, &path(id))
}

async fn carry_out(
    desk: &Arc<OperatorState>,
    id: DepositId,
    word: &str,
    (operator, asked): (&Operator, &Asked),
) -> Result<String, Problem> {
    let request = wanted(word, asked.txid.as_deref())?;
    let note = note(&asked.note)?;
    let operations = desk.operations()?;
    shown(desk, operations.on_seen((id, asked.version), request, note, operator.by()).await).await?;
    Ok(path(id))
}

/// The request that is meant.
pub(super) fn wanted(named: &str, by: Option<&str>) -> Result<Request, Problem> {
    let unknown = || Problem::not_found("not_found", "There is no such action.");
    match Request::EACH.into_iter().find(|request| word(*request) == named).ok_or_else(unknown)? {
        Request::Refunded { .. } => Ok(Request::Refunded { txid: txid(by.unwrap_or_default().trim())? }),
        other => Ok(other),
    }
}
