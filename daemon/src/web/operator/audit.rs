//! Who did what, when, why and to what: the acts of operators in the log, the newest first.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use millrace_actors::customer_keys::Reading;
use millrace_actors::event_store::{ReadError, Reader, StoredCommand};
use millrace_model::deposit::{self, HoldReason};
use millrace_model::desk::{self, HaltCause};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::Position;
use millrace_model::replay::Asker;
use serde::{Deserialize, Serialize};

use super::{OperatorState, place, rows};
use crate::web::extract::Query;
use crate::web::problem::Problem;
use crate::web::shapes::PAGE_ROWS_MAX;

/// How many positions of the log one page looks at; `next` says where to go on.
const LOOK_POSITIONS_MAX: u64 = 50_000;
/// What operators' acts are in the log; some of them are the desk's or customers' too.
const KINDS: [&str; 16] = [
    "OperatorActed",
    "SwitchSet",
    "TransferDeclared",
    "Halted",
    "Resumed",
    "Held",
    "Released",
    "RefundDue",
    "RefundMarked",
    "WrittenOff",
    "Subscribed",
    "SubscriptionChanged",
    "DeliveryPaused",
    "DeliveryResumed",
    "CursorMoved",
    "Unsubscribed",
];

/// Which page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    before: Option<Position>,
    limit: Option<u32>,
}

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Act {
    /// The place of its first event in the log.
    pub position: Position,
    /// When it was stored.
    pub at: DateTime<Utc>,
    /// Who, in words.
    pub by: String,
    /// What, in one word.
    pub action: String,
    /// To what, in words: a deposit's stream, a switch, a part.
    pub subject: Option<String>,
    /// Why, in the operator's words.
    pub note: Option<String>,
}

/// Some of them, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditPage {
    /// The acts.
    pub acts: Vec<Act>,
    /// `before` for what came before these; nothing when the log was looked at to its beginning.
    pub next: Option<Position>,
}

pub(super) async fn list(
    State(state): State<Arc<OperatorState>>,
    Query(wanted): Query<Wanted>,
) -> Result<Reply<AuditPage>, Problem> {
    page(&state, wanted.before, wanted.limit).await.map(Reply)
}

/// The acts before this position, or the newest; at most `limit` and [`PAGE_ROWS_MAX`]. A page may be short or empty
/// and not the last.
pub async fn page(
    state: &Arc<OperatorState>,
    before: Option<Position>,
    limit: Option<u32>,
) -> Result<AuditPage, Problem> {
    let (before, limit) = (place(before)?, rows(limit, PAGE_ROWS_MAX)? as usize);
    state.read_opened(move |reader, notes| look(reader, notes, before, limit)).await
}

fn look(reader: &Reader, notes: &Reading, before: Option<Position>, limit: usize) -> Result<AuditPage, ReadError> {
    let looked = reader.look_back(&KINDS, before, LOOK_POSITIONS_MAX, limit)?;
    let acts = looked.found.into_iter().filter_map(|(recorded, command)| act(&notes.event(recorded), command.as_ref()));
    let acts = acts.collect();
    let next = Some(looked.before).filter(|before| *before > 1);
    Ok(AuditPage { acts, next })
}

/// Nothing when no operator did it.
fn act(recorded: &Recorded, command: Option<&StoredCommand>) -> Option<Act> {
    let name = command.map(|command| command.name.as_str());
    let by = command.and_then(StoredCommand::by);
    let (position, at) = (recorded.position, recorded.recorded_at);
    if let Event::Desk(desk::Event::OperatorActed(acted)) = &recorded.event {
        let (subject, note) = (acted.subject.clone(), acted.note.clone());
        return Some(Act {
            position,
            at,
            by: acted.by.to_string(),
            action: acted.action.as_str().to_owned(),
            subject,
            note,
        });
    }
    let asker = Asker::of(name, &recorded.event);
    // Of the events of one command the first tells it.
    let is_first = command.is_some_and(|command| command.positions.0 == position);
    if !is_first || (by.is_none() && (asker != Asker::Operator || is_found(&recorded.event))) {
        return None;
    }
    let (subject, note) = subject_and_note(recorded);
    let said = command.filter(|_| matches!(recorded.event, Event::Subscription(_))).and_then(StoredCommand::note);
    let note = note.or(said);
    Some(Act { position, at, by: asker.words(by.as_ref()), action: word(name?), subject: Some(subject), note })
}

/// What was there when the desk began is declared by the desk itself, which has no name.
fn is_found(event: &Event) -> bool {
    matches!(event, Event::Desk(desk::Event::TransferDeclared(declared)) if declared.kind == desk::TransferKind::Opening)
}

fn subject_and_note(recorded: &Recorded) -> (String, Option<String>) {
    match &recorded.event {
        Event::Desk(desk::Event::SwitchSet(set)) => (
            format!("{} {}", word(&format!("{:?}", set.switch)), word(&format!("{:?}", set.setting))),
            Some(set.note.clone()),
        ),
        Event::Desk(desk::Event::TransferDeclared(declared)) => {
            let kind = word(&format!("{:?}", declared.kind));
            let coins = match declared.coins {
                desk::Coins::Btc(amount) => format!("{amount} BTC"),
                desk::Coins::Sky(amount) => format!("{amount} SKY"),
            };
            (format!("{kind} of {coins}, {}", declared.place), Some(declared.note.clone()))
        }
        Event::Desk(desk::Event::Resumed(resumed)) => ("the desk".to_owned(), Some(resumed.note.clone())),
        Event::Desk(desk::Event::Halted(halted)) => match &halted.cause {
            HaltCause::Operator { note } => ("the desk".to_owned(), Some(note.clone())),
            cause => ("the desk".to_owned(), Some(cause.to_string())),
        },
        Event::Deposit(event) => (recorded.stream.to_string(), note_of(event)),
        _ => (recorded.stream.to_string(), None),
    }
}

fn note_of(event: &deposit::Event) -> Option<String> {
    match event {
        deposit::Event::Held(held) => match &held.reason {
            HoldReason::Operator { note } => Some(note.clone()),
            _ => None,
        },
        deposit::Event::Released(released) => Some(released.note.clone()),
        deposit::Event::RefundDue(due) => Some(due.note.clone()),
        deposit::Event::RefundMarked(marked) => Some(marked.note.clone()),
        deposit::Event::WrittenOff(off) => Some(off.note.clone()),
        _ => None,
    }
}

/// `MarkRefundDue` as APIs have it: `mark_refund_due`.
fn word(name: &str) -> String {
    let mut word = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}
