//! The log that cannot be used: what is wrong, since when, what is tried, and what is known without it.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::event_store::Store;
use millrace_actors::supervision::{Failing, PartHealth, State};

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
    /// Whether an operator stopped it, or it is not tried any more.
    is_stopped: bool,
    /// How often that was in vain.
    tries: u64,
}

impl Outage {
    /// The outage of this moment, if there is one.
    pub(super) fn of(desk: &OperatorState, parts: &[PartHealth]) -> Option<Self> {
        let part = parts.iter().find(|part| part.name == Store::PART)?;
        let next_try = if let State::BackingOff { next_try } = part.state { Some(next_try) } else { None };
        if matches!(part.state, State::Running | State::Halted) {
            let condition = part.conditions.first()?;
            let (why, since) = (Some(condition.text.clone()), condition.since);
            return Some(Self { what: "The log takes nothing", why, since, next_try, is_stopped: false, tries: 0 });
        }
        let (what, begun) = match desk.store.is_ready() {
            true => ("The log was closed", part.since),
            false => ("The log is not open", desk.begun_at()),
        };
        let Failing { since, times: tries } = part.failing.unwrap_or(Failing { since: begun, times: 0 });
        let why = part.why.clone().or_else(|| part.last_error.as_ref().map(|error| error.text.clone()));
        let is_stopped = matches!(part.state, State::Stopped | State::Down);
        Some(Self { what, why, since, next_try, is_stopped, tries })
    }

    /// What every page says of it before anything else.
    pub(super) fn told(&self, now: DateTime<Utc>) -> Markup {
        html! {
            section.outage aria-label="The log" {
                p { (mark(Tone::Broken, self.what)) ": " (self.why.as_deref().unwrap_or("it is being opened")) }
                p {
                    "First noticed " (moment(self.since, now)) ". "
                    @match (self.is_stopped, self.next_try) {
                        (true, _) => { "It stays closed until somebody " a href={ "/console/parts#part-" (Store::PART) } { "starts it" } }
                        (false, Some(at)) => { "It is tried again " (moment(at, now)) }
                        (false, None) => "It is being tried",
                    }
                    @if self.tries > 0 { ", after " (counted(self.tries, "try", "tries")) " in vain" }
                    ". Until then nothing new is ordered or signed and no address is given out; a payout that was signed before may \
                     still go out. What customers pay meanwhile is in the chain and is found afterwards."
                }
                p { "The deposits are shown as they were last folded. " a href="/console/parts" { "Parts" } " and the log-in need no log." }
            }
        }
    }
}
