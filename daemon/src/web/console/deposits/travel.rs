//! A deposit as it was: after any of its events or at a time, with the event that made it so, what led to that, what it changed,
//! and what was seen when it was decided.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::event_store::{ReadError, Reader};
use millrace_actors::projection::DepositRow;
use millrace_model::deposit::{Command, DecisionTerms, Terms};
use millrace_model::event::Recorded;
use millrace_model::ids::{CommandId, Version};
use millrace_model::replay::{Until, moment};
use millrace_model::story::{Elapsed, Story};

use super::read::Stream;
use super::{book, facts, in_log, money, path, replay};
use crate::web::console::instant::typed;
use crate::web::console::log::{changes, pretty};
use crate::web::console::words::{amount, exactly};
use crate::web::operator::OperatorState;
use crate::web::operator::causes::{EventDetail, Node, detail};
use crate::web::operator::deposits::unknown_deposit;
use crate::web::operator::moment::refused;
use crate::web::problem::Problem;

/// Which moment; where both are given, whichever comes first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) version: Option<Version>,
    pub(super) at: Option<DateTime<Utc>>,
}

/// The deposit up to a moment.
struct Past<'a> {
    stream: &'a Stream,
    /// The events that count; at least one.
    events: &'a [Recorded],
    detail: EventDetail,
    terms: Option<DecisionTerms>,
}

pub(super) async fn body(desk: &Arc<OperatorState>, stream: &Stream, wanted: Wanted) -> Result<Markup, Problem> {
    let until = Until { version: wanted.version, at: wanted.at.map(Until::time) };
    let last = moment(&stream.events, until).map_err(refused)?;
    let count = stream.events.iter().take_while(|recorded| recorded.version <= last.version).count();
    let events = &stream.events[..count];
    let decided_by = decided_by(stream, count);
    let found = desk.read_opened(move |reader, notes| {
        Ok(detail(reader, notes, last.position)?.map(|detail| (detail, decided_by.map(|id| terms(reader, id)))))
    });
    let (detail, terms) = found.await?.ok_or_else(unknown_deposit)?;
    let past = Past { stream, events, detail, terms: terms.and_then(Result::ok).flatten() };
    Ok(past.shown())
}

/// The command by which it was last decided up to there.
fn decided_by(stream: &Stream, events: usize) -> Option<CommandId> {
    let origins = stream.events.iter().zip(&stream.origins).take(events);
    let mut decided = origins.filter(|(_, origin)| origin.command.as_deref() == Some("Decide"));
    decided.next_back().map(|(recorded, _)| recorded.command_id)
}

/// What a decision rested on, as its command was stored.
fn terms(reader: &Reader, id: CommandId) -> Result<Option<DecisionTerms>, ReadError> {
    let body = reader.command(id)?.map(|command| command.body);
    Ok(body.and_then(|body| match serde_json::from_str(&body) {
        Ok(Command::Decide(terms)) => Some(terms),
        _ => None,
    }))
}

impl Past<'_> {
    fn last(&self) -> &Recorded {
        self.events.last().expect("a moment has an event")
    }

    fn shown(&self) -> Markup {
        html! {
            (self.slider())
            h2 #event { (self.last().event.kind()) }
            (self.event())
            h2 #changes { "What it changed" }
            (changes(&self.detail.changes))
            h2 #state { "How it stood then" }
            (self.state())
            @if let Some(terms) = &self.terms { h2 #seen { "What was seen when it was decided" } (seen(terms)) }
            @if let Some(book) = book::as_seen(&self.stream.events, self.events.len()) {
                h2 #book { "The order book as it was seen" }
                (book)
            }
            h2 #postings { "Postings until then" }
            (money::postings(self.events))
            h2 #take { "Share it, or take it away" }
            p { "The address of this page stays this moment: " a href=(self.address(self.last().version)) { "a link to it" } "." }
            (replay::offered(self.stream.id))
        }
    }

    fn address(&self, version: Version) -> String {
        format!("{}?version={version}", path(self.stream.id))
    }

    /// The ways to the moments before and after; without scripts, the fields and their buttons do.
    fn slider(&self) -> Markup {
        let (version, newest) = (self.last().version, self.stream.version());
        let (first, to) = (self.stream.events.first().map_or(1, |first| first.version), path(self.stream.id));
        html! {
            div.travel {
                @if version > first { a.button.quiet rel="prev" href=(self.address(version - 1)) { "◀ before" } }
                input #slider type="range" name="version" min=(first) max=(newest) value=(version) aria-label="After which event"
                    hx-get=(to) hx-trigger="input throttle:50ms, change" hx-sync="this:replace" hx-target="#live" hx-select="#live" hx-swap="outerMorph"
                    hx-replace-url="true";
                @if version < newest { a.button.quiet rel="next" href=(self.address(version + 1)) { "after ▶" } }
                a.button.quiet href=(to) { "now" }
            }
            div.travel {
                form method="get" action=(to) {
                    label { "After event " input type="number" name="version" min=(first) max=(newest) value=(version) required; }
                    " of " (newest) " " button.quiet { "Go" }
                }
                form method="get" action=(to) {
                    label { "At, in UTC " input type="datetime-local" step="0.001" name="at" value=(typed(self.last().recorded_at)) required; }
                    " " button.quiet { "Go" }
                }
            }
        }
    }

    fn event(&self) -> Markup {
        let (last, EventDetail { asked_by, by, command, cause, together, .. }) = (self.last(), &self.detail);
        let story = Story::of(self.events).ok();
        let step = story.as_ref().and_then(|story| story.steps.last());
        html! {
            @if let Some(step) = step { p { b { (step.sentence) } } }
            dl.facts {
                dt { "Recorded" }
                dd { (exactly(last.recorded_at)) @if let Some(since) = step.and_then(|step| step.since_previous) { ", " (Elapsed(since)) " after the one before" } }
                dt { "Place" }
                dd { "event " (last.version) " of this deposit, " a href=(in_log(last.position)) { "position " (last.position) } " of the log" }
                dt { "Asked for by" }
                dd { (by.as_deref().unwrap_or(asked_by.as_str())) @if let Some(command) = command { ", with the command " b { (command.name) } } }
                dt { "Upon" } dd { @match cause { Some(cause) => (node(cause)), None => "nothing in the log" } }
                @if !together.is_empty() { dt { "Together with" } dd { ul { @for other in together { li { (node(other)) } } } } }
            }
            details open { summary { "Its payload" } pre { (pretty(self.detail.event.row.payload.get())) } }
            @if let Some(command) = command {
                details { summary { "The command, with all that it rested on" } pre { (pretty(command.body.get())) } }
            }
        }
    }

    fn state(&self) -> Markup {
        let row = self.events.iter().fold(None, DepositRow::after);
        html! {
            @if let Ok(story) = Story::of(self.events) { p { (story.stands.sentence) } }
            @if let Some(row) = row { (facts::then(&row)) }
            details { summary { "All of its state" } pre { (pretty(&self.detail.after.to_string())) } }
        }
    }
}

fn node(node: &Node) -> Markup {
    html! { a href=(in_log(node.position)) { (node.kind) } " of " code { (node.stream) } ", position " (node.position) }
}

/// The desk's terms of that moment; the order book has a table of its own.
fn seen(terms: &DecisionTerms) -> Markup {
    html! {
        dl.facts {
            @match &terms.terms {
                Terms::Direct { rate } => { dt { "Sold from stock at" } dd { (rate) " SKY/BTC" } }
                Terms::Passthrough { best_ask, .. } => {
                    dt { "The order book's cheapest ask" } dd { (amount(&best_ask.to_string(), "BTC/SKY")) }
                }
            }
            dt { "The least the desk dealt in" } dd { (amount(&terms.minimum.to_string(), "BTC")) }
            dt { "The most" } dd { (amount(&terms.maximum.to_string(), "BTC")) }
            dt { "The most paid without an operator" } dd { (amount(&terms.payout.maximum.to_string(), "SKY")) }
            dt { "Decimals of a payout" } dd { (terms.payout.decimals) }
        }
    }
}
