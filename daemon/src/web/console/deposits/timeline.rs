//! What happened to a deposit, step by step: when, how long after the step before, why, and what led to it.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_model::story::{Elapsed, Step, Story};

use super::read::{Origin, Stream};
use super::{in_log, path};
use crate::web::console::words::{exactly, moment};

/// The steps, oldest first, and where it stands after them.
pub(super) fn told(stream: &Stream, now: DateTime<Utc>) -> Markup {
    match Story::of(&stream.events) {
        Ok(story) => html! {
            p { b { (story.stands.sentence) } }
            ol.timeline { @for (step, origin) in story.steps.iter().zip(&stream.origins) { (line(stream, step, origin, now)) } }
            @if let Some(broken) = &story.broken_off {
                p role="alert" { "The event at position " a href=(in_log(broken.position)) { (broken.position) } " cannot be read: " (broken.why) }
            }
            (broken_off(stream))
        },
        Err(untold) => html! { p role="alert" { "Its story cannot be told: " (untold) } (broken_off(stream)) },
    }
}

fn broken_off(stream: &Stream) -> Markup {
    html! { @if let Some(why) = &stream.broken_off { p role="alert" { "It goes on, and is not shown: " (why) } } }
}

fn line(stream: &Stream, step: &Step, origin: &Origin, now: DateTime<Utc>) -> Markup {
    html! {
        li id={ "v" (step.version) } {
            div.soft {
                (exactly(step.at)) " (" (moment(step.at, now)) ")"
                @if let Some(since) = step.since_previous { " +" (Elapsed(since)) }
            }
            div { (step.sentence) }
            div.soft {
                a href=(in_log(step.position)) { (step.kind) }
                ", asked for by " (origin.who())
                @if let Some(command) = &origin.command { " (" (command) ")" }
                (because(origin)) " · "
                a href={ (path(stream.id)) "?version=" (step.version) } { "as it was then" }
            }
        }
    }
}

fn because(origin: &Origin) -> Markup {
    html! {
        @if let Some(cause) = &origin.cause {
            " upon "
            a href=(in_log(cause.position)) {
                @match &cause.event { Some((_, _, kind)) => (kind), None => { "position " (cause.position) } }
            }
        }
    }
}
