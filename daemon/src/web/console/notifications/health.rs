//! How a receiver does: in a word, with when it last took what it was sent and when it last did not.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_protocols::delivery::endpoint::Circuit;
use millrace_protocols::delivery::scheduler::View;

use crate::web::console::words::{Tone, mark, moment};
use crate::web::operator::attempts::Attempt;

/// Among so many of the newest attempts the last that went well and badly are looked for.
pub(super) const ATTEMPTS_MAX: usize = 8;

/// What the deliveries said of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// How it does.
    As(View),
    /// Nothing is delivered to it.
    NotDeliveredTo,
    /// Nothing: they are dead, or too slow.
    Unanswered,
}

impl Seen {
    /// Of what they answered, if they did: nothing is said of one that they were not told of.
    pub(super) fn of(answer: Option<Option<View>>) -> Self {
        match answer {
            Some(Some(view)) => Self::As(view),
            Some(None) => Self::NotDeliveredTo,
            None => Self::Unanswered,
        }
    }

    /// How it does, as far as that is known.
    pub(super) fn view(&self) -> Option<&View> {
        match self {
            Self::As(view) => Some(view),
            Self::NotDeliveredTo | Self::Unanswered => None,
        }
    }
}

/// Without attempts it is not known whether there were any.
pub(super) fn health(seen: &Seen, attempts: Option<&[Attempt]>, now: DateTime<Utc>) -> Markup {
    let newest = attempts.unwrap_or_default();
    let last = |is_delivered| {
        let are_so = newest.iter().filter(|attempt| attempt.is_delivered() == is_delivered);
        are_so.filter_map(|attempt| Some((attempt.at?, attempt))).max_by_key(|(at, _)| *at)
    };
    html! {
        (word(seen, attempts))
        @if let Some((at, _)) = last(true) { div.soft { "last took something " (moment(at, now)) } }
        @if let Some((at, failed)) = last(false) {
            div.soft { "last failed " (moment(at, now)) ": " (failed.outcome.replace('_', " ")) @if let Some(status) = failed.status { " " (status) } }
        }
    }
}

fn word(seen: &Seen, attempts: Option<&[Attempt]>) -> Markup {
    match seen {
        Seen::NotDeliveredTo => mark(Tone::Quiet, "not delivered to"),
        Seen::Unanswered => mark(Tone::Quiet, "not known"),
        Seen::As(View { circuit: Circuit::Open, .. }) => mark(Tone::Broken, "left alone for a while"),
        Seen::As(View { circuit: Circuit::Probing, .. }) => mark(Tone::Ailing, "tried with one"),
        Seen::As(View { circuit: Circuit::Closed, retries, .. }) if *retries > 0 => {
            mark(Tone::Ailing, "some to send again")
        }
        Seen::As(_) => match attempts {
            Some([]) => mark(Tone::Quiet, "nothing sent yet"),
            Some(some) if some.iter().any(Attempt::is_delivered) => mark(Tone::Well, "takes what it is sent"),
            _ => mark(Tone::Quiet, "nothing to send again"),
        },
    }
}
