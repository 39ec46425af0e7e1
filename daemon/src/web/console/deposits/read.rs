//! What the log has of one deposit, read once for all that a page says of it.

use std::sync::Arc;

use millrace_actors::customer_keys::Reading;
use millrace_actors::event_store::{Cause, ReadError, Reader};
use millrace_actors::projection::DepositRow;
use millrace_model::deposit::{Deposit, evolve};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{DepositId, StreamName, Version};
use millrace_model::operator::By;
use millrace_model::replay::Asker;

use crate::web::operator::OperatorState;
use crate::web::operator::deposits::unknown_deposit;
use crate::web::problem::Problem;

/// A page shows so many events; no deposit comes near it.
const EVENTS_MAX: usize = 2_000;

/// A deposit's stream, with its notes opened.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: DepositId,
    /// Oldest first.
    pub(super) events: Vec<Recorded>,
    /// What led to each of them, in the same order.
    pub(super) origins: Vec<Origin>,
    /// Why it ends before its end, if it does.
    pub(super) broken_off: Option<String>,
}

/// What led to an event.
#[derive(Debug)]
pub(super) struct Origin {
    asked_by: Asker,
    /// Which operator it was, if the log says.
    by: Option<By>,
    pub(super) command: Option<String>,
    pub(super) cause: Option<Cause>,
}

impl Origin {
    /// Who asked for it, as exactly as the log knows.
    pub(super) fn who(&self) -> String {
        self.by.as_ref().map_or_else(|| self.asked_by.as_str().to_owned(), ToString::to_string)
    }
}

impl Stream {
    /// Reads it; refused when there is no such deposit.
    pub(super) async fn of(desk: &Arc<OperatorState>, id: DepositId) -> Result<Self, Problem> {
        let stream = desk.read_opened(move |reader, notes| read(reader, notes, id)).await?;
        if stream.events.is_empty() && stream.broken_off.is_none() {
            return Err(unknown_deposit());
        }
        Ok(stream)
    }

    /// The version of its newest event.
    pub(super) fn version(&self) -> Version {
        self.events.last().map_or(0, |recorded| recorded.version)
    }

    /// The deposit as lists show it.
    pub(super) fn row(&self) -> Option<DepositRow> {
        self.events.iter().fold(None, DepositRow::after)
    }

    /// The deposit as its rules know it; nothing when one of its events cannot be read.
    pub(super) fn deposit(&self) -> Option<Deposit> {
        if self.broken_off.is_some() {
            return None;
        }
        let mut deposit = None;
        for recorded in &self.events {
            let Event::Deposit(event) = &recorded.event else { return None };
            deposit = evolve(deposit, event);
        }
        deposit
    }
}

fn read(reader: &Reader, notes: &Reading, id: DepositId) -> Result<Stream, ReadError> {
    let mut stream = Stream { id, events: Vec::new(), origins: Vec::new(), broken_off: None };
    let entries = reader.history(&StreamName::Deposit(id), 0, EVENTS_MAX + 1)?;
    if entries.len() > EVENTS_MAX {
        stream.broken_off = Some(format!("only its first {EVENTS_MAX} events are shown"));
    }
    for entry in entries.into_iter().take(EVENTS_MAX) {
        match entry {
            Ok(entry) => {
                let asked_by = Asker::of(entry.command.as_deref(), &entry.recorded.event);
                let (by, command, cause) = (entry.by, entry.command, entry.cause);
                stream.origins.push(Origin { asked_by, by, command, cause });
                stream.events.push(notes.event(entry.recorded));
            }
            Err(error) => {
                stream.broken_off = Some(error.to_string());
                break;
            }
        }
    }
    Ok(stream)
}
