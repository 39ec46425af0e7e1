//! How a receiver does: in a word, with when it last took what it was sent and when it last did not.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_protocols::delivery::endpoint::Circuit;
use millrace_protocols::delivery::scheduler::View;

use crate::web::console::words::{Tone, mark, moment};
use crate::web::operator::attempts::Attempt;

/// Among so many of the newest attempts the last that went well and badly are looked for.
pub(super) const ATTEMPTS_MAX: usize = 8;

/// Without attempts it is not known whether there were any.
pub(super) fn health(view: Option<&View>, attempts: Option<&[Attempt]>, now: DateTime<Utc>) -> Markup {
    let newest = attempts.unwrap_or_default();
    let last = |is_delivered| {
        let are_so = newest.iter().filter(|attempt| (attempt.outcome == DELIVERED) == is_delivered);
        are_so.filter_map(|attempt| Some((attempt.at?, attempt))).max_by_key(|(at, _)| *at)
    };
    html! {
        (word(view, attempts))
        @if let Some((at, _)) = last(true) { div.soft { "last took something " (moment(at, now)) } }
        @if let Some((at, failed)) = last(false) {
            div.soft { "last failed " (moment(at, now)) ": " (failed.outcome.replace('_', " ")) @if let Some(status) = failed.status { " " (status) } }
        }
    }
}

/// What an attempt came to that arrived.
const DELIVERED: &str = "delivered";

fn word(view: Option<&View>, attempts: Option<&[Attempt]>) -> Markup {
    match view {
        None => mark(Tone::Quiet, "not delivered to"),
        Some(View { circuit: Circuit::Open, .. }) => mark(Tone::Broken, "left alone for a while"),
        Some(View { circuit: Circuit::Probing, .. }) => mark(Tone::Ailing, "tried with one"),
        Some(View { circuit: Circuit::Closed, retries, .. }) if *retries > 0 => {
            mark(Tone::Ailing, "some to send again")
        }
        Some(_) => match attempts {
            Some([]) => mark(Tone::Quiet, "nothing sent yet"),
            Some(some) if some.iter().any(|attempt| attempt.outcome == DELIVERED) => {
                mark(Tone::Well, "takes what it is sent")
            }
            _ => mark(Tone::Quiet, "nothing to send again"),
        },
    }
}
