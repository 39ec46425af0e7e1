//! The brakes: how each stands, who set it so, since when and why, and what was done to them before.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::customer_keys::Reading;
use millrace_actors::event_store::{ReadError, Reader, StoredCommand};
use millrace_model::desk::{Desk, Event as DeskEvent, HaltCause, Setting, Switch};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{Position, StreamName};
use millrace_model::operator::By;
use millrace_model::replay::Asker;

use super::super::act::{Act, Reason, Weight, offer};
use super::super::words::{self, Tone, first_upper, mark, moment};
use crate::web::operator::OperatorState;
use crate::web::problem::Problem;
use crate::web::session::Operator;

/// Who set a brake is looked for in so many of the newest events of the desk's stream.
const LOOKED_AT_MAX: u64 = 2_000;
/// What was done to them is listed so far back.
const LISTED_MAX: usize = 20;

/// How their addresses call them, and what it means that they are off.
const SWITCHES: [(Switch, &str, &str); 3] = [
    (Switch::Binds, "binds", "No new deposit address is given out; what is paid to the others is served."),
    (Switch::Purchases, "purchases", "No order goes to the exchange; deposits wait to be bought for."),
    (Switch::Sends, "sends", "Nothing is paid out; deposits wait to be sent."),
];

/// A brake that was set, or let go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    position: Position,
    at: DateTime<Utc>,
    /// Who, in words.
    by: String,
    to: To,
    why: String,
}

/// Which brake, and how it stands from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Switch(Switch, Setting),
    Halted,
    Resumed,
}

/// What was done to the brakes, the newest first.
pub(super) async fn turns(desk: &Arc<OperatorState>) -> Result<Vec<Turn>, Problem> {
    desk.read_opened(read).await
}

/// The newest that are listed, and the one that each brake stands by.
fn read(reader: &Reader, notes: &Reading) -> Result<Vec<Turn>, ReadError> {
    let (mut turns, mut stood_by) = (Vec::new(), Vec::new());
    for recorded in reader.last_of(&StreamName::Desk, LOOKED_AT_MAX)?.into_iter().rev() {
        let recorded = notes.event(recorded);
        let Some((to, why)) = turned(&recorded.event) else { continue };
        let is_newest = !stood_by.contains(&to.brake());
        if is_newest {
            stood_by.push(to.brake());
        }
        if is_newest || turns.len() < LISTED_MAX {
            turns.push(Turn {
                by: by(reader, &recorded)?,
                position: recorded.position,
                at: recorded.recorded_at,
                to,
                why,
            });
        }
    }
    Ok(turns)
}

fn by(reader: &Reader, recorded: &Recorded) -> Result<String, ReadError> {
    let command = reader.command(recorded.command_id)?;
    let by: Option<By> = command.as_ref().and_then(StoredCommand::by);
    Ok(Asker::of(command.as_ref().map(|command| command.name.as_str()), &recorded.event).words(by.as_ref()))
}

fn turned(event: &Event) -> Option<(To, String)> {
    let Event::Desk(event) = event else { return None };
    match event {
        DeskEvent::SwitchSet(set) => Some((To::Switch(set.switch, set.setting), set.note.clone())),
        DeskEvent::Halted(halted) => Some((To::Halted, halted_for(&halted.cause))),
        DeskEvent::Resumed(resumed) => Some((To::Resumed, resumed.note.clone())),
        _ => None,
    }
}

/// By whom is said beside it.
fn halted_for(cause: &HaltCause) -> String {
    match cause {
        HaltCause::Operator { note } => note.clone(),
        cause => cause.to_string(),
    }
}

impl To {
    /// The switch, or nothing for the halt.
    fn brake(self) -> Option<Switch> {
        match self {
            Self::Switch(switch, _) => Some(switch),
            Self::Halted | Self::Resumed => None,
        }
    }

    fn told(self) -> String {
        match self {
            Self::Halted => "Halted".to_owned(),
            Self::Resumed => "Resumed".to_owned(),
            Self::Switch(switch, setting) => {
                let name = first_upper(words::switch(switch));
                format!("{name} turned {}", if setting == Setting::On { "on" } else { "off" })
            }
        }
    }
}

/// Each brake, how it stands and by whom.
pub(super) fn table(operator: &Operator, desk: &Desk, turns: &[Turn], now: DateTime<Utc>) -> Markup {
    let halt = if desk.halt().is_some() { To::Halted } else { To::Resumed };
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { "Brake" } th scope="col" { "State" } th scope="col" { "Since" }
                th scope="col" { "Set by" } th scope="col" { "Why" } th scope="col" { "Orders" }
            } }
            tbody {
                tr {
                    th scope="row" { "Halt of all orders and payouts" }
                    td { @if desk.halt().is_some() { (mark(Tone::Broken, "halted")) } @else { (mark(Tone::Well, "not halted")) } }
                    (set(turns, halt, desk.halt().map(halted_for), now))
                    td.acts { (halt_act(operator, desk.halt().map(ToString::to_string))) }
                }
                @for (switch, word, says) in SWITCHES { @let (setting, name) = (desk.setting(switch), first_upper(words::switch(switch))); tr {
                    th scope="row" { (name) }
                    td { @match setting {
                        Setting::On => (mark(Tone::Well, "on")),
                        Setting::Off => (mark(Tone::Ailing, "off")),
                    } }
                    (set(turns, To::Switch(switch, setting), None, now))
                    td.acts { (switch_act(operator, word, setting, says)) }
                } }
            }
        } }
    }
}

/// Since when, by whom and why a brake stands so. Of one that nobody touched in what was looked at only the cause can be known.
fn set(turns: &[Turn], stands: To, cause: Option<String>, now: DateTime<Utc>) -> Markup {
    let turn = turns.iter().find(|turn| turn.to.brake() == stands.brake()).filter(|turn| turn.to == stands);
    html! {
        @match turn {
            Some(Turn { position, at, by, why, .. }) => {
                td { a href={ "/console/log/" (position) } { (moment(*at, now)) } }
                td { (by) }
                td { (why) }
            }
            None => {
                td.soft { "not lately" }
                td {}
                td { @if let Some(cause) = cause { (cause) } }
            }
        }
    }
}

fn halt_act(operator: &Operator, cause: Option<String>) -> Markup {
    let (id, label, to, says) = if cause.is_some() {
        let says = "Orders and payouts go out again. What it was halted for counts as looked at by you.";
        ("resume", "Resume", "/console/money/resume", says)
    } else {
        ("halt", "Halt", "/console/money/halt", "No order and no payout goes out any more until somebody resumes.")
    };
    let fields = html! { @if let Some(cause) = cause { input type="hidden" name="cause" value=(cause); } };
    offer(operator, &Act { id, label, to, says, weight: Weight::Grave, reason: Reason::Asked, fields })
}

fn switch_act(operator: &Operator, word: &str, now: Setting, says: &str) -> Markup {
    let (to, label, says) = match now {
        Setting::On => ("off", "Turn off", says),
        Setting::Off => ("on", "Turn on", "It works again, and what waited goes on."),
    };
    let (id, to) = (format!("{word}-{to}"), format!("/console/money/switches/{word}/{to}"));
    offer(
        operator,
        &Act { id: &id, label, to: &to, says, weight: Weight::Light, reason: Reason::Asked, fields: html! {} },
    )
}

/// What was done to them, the newest first.
pub(super) fn list(turns: &[Turn], now: DateTime<Utc>) -> Markup {
    html! {
        h3 { "Who set what, and why" }
        @if turns.is_empty() { p { "Nobody has touched them lately." } } @else {
            ul { @for Turn { position, at, by, to, why } in turns.iter().take(LISTED_MAX) { li {
                a href={ "/console/log/" (position) } { (moment(*at, now)) } ", " (by) ": " (to.told()) ": " (why)
            } } }
        }
    }
}
