//! The log that cannot be used: what is wrong, since when, what is tried, and what is known without it.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::event_store::Store;
use millrace_actors::supervision::{PartHealth, State};

use super::words::{Tone, counted, mark, moment};
use crate::web::operator::OperatorState;

/// Why nothing can be stored, and so nothing is done that would have to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outage {
    /// What is wrong, in a few words.
    pub(super) what: &'static str,
    /// The error, if it is known.
    why: Option<String>,
    since: DateTime<Utc>,
    /// When it is tried again; none while it is tried, and while every try to store something is one.
    next_try: Option<DateTime<Utc>>,
    /// How often it began anew.
    restarts: u64,
}

impl Outage {
    /// The outage of this moment, if there is one.
    pub(super) fn of(desk: &OperatorState, parts: &[PartHealth]) -> Option<Self> {
        let part = parts.iter().find(|part| part.name == Store::PART)?;
        let next_try = if let State::BackingOff { next_try } = part.state { Some(next_try) } else { None };
        let out = |what, why: Option<&str>, since| Self {
            what,
            why: why.map(str::to_owned),
            since,
            next_try,
            restarts: part.restarts,
        };
        let error = part.why.as_deref().or(part.last_error.as_ref().map(|error| error.text.as_str()));
        if !desk.store.is_ready() {
            return Some(out("The log is not open", error, desk.begun_at()));
        }
        if part.state.is_out() {
            return Some(out("The log was closed", error, part.since));
        }
        let condition = part.conditions.first()?;
        Some(out("The log takes nothing", Some(&condition.text), condition.since))
    }

    /// What every page says of it before anything else.
    pub(super) fn told(&self, now: DateTime<Utc>) -> Markup {
        html! {
            section.outage aria-label="The log" {
                p { (mark(Tone::Broken, self.what)) " since " (moment(self.since, now)) ": " (self.why.as_deref().unwrap_or("it is being opened")) }
                p {
                    @match self.next_try {
                        Some(at) => { "It is tried again " (moment(at, now)) }
                        None => "It is being tried",
                    }
                    @if self.restarts > 0 { ", after " (counted(self.restarts, "try", "tries")) " in vain" }
                    ". Until then no order and no payout goes out and no address is given out; what customers pay meanwhile is in the \
                     chain and is found afterwards."
                }
                p { "The deposits are shown as they were last folded. " a href="/console/parts" { "Parts" } " and the log-in need no log." }
            }
        }
    }
}
