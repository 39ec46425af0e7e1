//! The story of one deposit in plain sentences: what happened, when, and how long after the step before.
//!
//! Told from the recorded events alone, so it is the same today and in ten years, on the desk and on a copy of its log. The
//! texts in it (an operator's note, an exchange's reason) are as they were recorded: whoever shows them makes them safe.

mod buying;
mod elapsed;
mod operating;
mod paying;
mod receiving;
mod standing;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Serialize, Serializer};

use crate::deposit::{Deposit, Event, StageName, evolve};
use crate::event::{self, Recorded};
use crate::ids::{DepositId, Position, Version};

pub use elapsed::Elapsed;

/// A deposit's story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Story {
    /// The deposit.
    pub deposit: DepositId,
    /// What happened, oldest first.
    pub steps: Vec<Step>,
    /// Where it stands after the last of these steps.
    pub stands: Stands,
    /// Where the story breaks off, if an event of it cannot be read.
    pub broken_off: Option<BrokenOff>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The event's place in the deposit's stream.
    pub version: Version,
    /// Its place in the whole log.
    pub position: Position,
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// How long after the step before; nothing for the first. Below zero where the desk's clock was turned back.
    #[serde(rename = "since_previous_us", serialize_with = "microseconds")]
    pub since_previous: Option<TimeDelta>,
    /// The event's kind.
    pub kind: &'static str,
    /// What happened, in one sentence or two.
    pub sentence: String,
}

/// Where a deposit stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stands {
    /// The stage's word, as everywhere at the desk.
    pub status: &'static str,
    /// The same as a sentence.
    pub sentence: String,
}

/// Where a story cannot be told any further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenOff {
    /// The place in the log of the event that cannot be read.
    pub position: Position,
    /// What is wrong with it.
    pub why: String,
}

/// Why there is no story.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// Nothing is recorded of it.
    #[error("there is no such deposit")]
    Unknown,
    /// What is recorded does not begin as a deposit does.
    #[error("position {position}: {kind} cannot be the first event of a deposit{}", because(why))]
    NoBeginning {
        /// Where.
        position: Position,
        /// What is there instead.
        kind: String,
        /// Why it cannot be read, if that is it.
        why: Option<String>,
    },
}

fn because(why: &Option<String>) -> String {
    why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
}

impl Story {
    /// Tells it from all events of the deposit's stream, oldest first.
    pub fn of(events: &[Recorded]) -> Result<Self, Untold> {
        let mut told: Option<(Deposit, Vec<Step>)> = None;
        let mut broken_off = None;
        for recorded in events {
            let event = match &recorded.event {
                event::Event::Deposit(event) => event,
                event::Event::Unreadable(unreadable) => {
                    broken_off = Some(BrokenOff { position: recorded.position, why: unreadable.why.clone() });
                    break;
                }
                // None of these is ever in a deposit's stream.
                event::Event::Binding(_)
                | event::Event::AddressBook(_)
                | event::Event::Chain(_)
                | event::Event::Wallet(_)
                | event::Event::Desk(_)
                | event::Event::Subscription(_) => continue,
            };
            let (before, mut steps) = told.map_or((None, Vec::new()), |(before, steps)| (Some(before), steps));
            let Some(after) = evolve(before.clone(), event) else { return Err(no_beginning(recorded, None)) };
            let step = step(recorded, event, steps.last(), &Turn { before: before.as_ref(), after: &after });
            steps.push(step);
            told = Some((after, steps));
        }
        match (told, broken_off, events.first()) {
            (Some((deposit, steps)), broken_off, _) => {
                let stands = stands(&deposit, &steps);
                Ok(Self { deposit: deposit.receipt.id, steps, stands, broken_off })
            }
            (None, Some(broken_off), Some(first)) => Err(no_beginning(first, Some(broken_off.why))),
            (None, _, _) => Err(Untold::Unknown),
        }
    }
}

fn no_beginning(recorded: &Recorded, why: Option<String>) -> Untold {
    Untold::NoBeginning { position: recorded.position, kind: recorded.event.kind().to_owned(), why }
}

fn step(recorded: &Recorded, event: &Event, previous: Option<&Step>, turn: &Turn<'_>) -> Step {
    Step {
        version: recorded.version,
        position: recorded.position,
        at: recorded.recorded_at,
        since_previous: previous.map(|previous| recorded.recorded_at - previous.at),
        kind: event.kind(),
        sentence: sentence(event, turn),
    }
}

fn stands(deposit: &Deposit, steps: &[Step]) -> Stands {
    let name: StageName = deposit.stage.name();
    let all = match (steps.first(), steps.last()) {
        (Some(first), Some(last)) if steps.len() > 1 => {
            format!(" From the first of these steps to the last it took {}.", Elapsed(last.at - first.at))
        }
        (_, _) => String::new(),
    };
    Stands { status: name.as_str(), sentence: format!("{}.{all}", standing::capital(&standing::of(&deposit.stage))) }
}

/// The deposit before an event and after it.
struct Turn<'a> {
    before: Option<&'a Deposit>,
    after: &'a Deposit,
}

/// What an event says. Every kind has its own words: a new one does not compile without.
fn sentence(event: &Event, turn: &Turn<'_>) -> String {
    match event {
        Event::Detected(it) => receiving::detected(it),
        Event::Mined(it) => receiving::mined(it, turn),
        Event::Orphaned(it) => receiving::orphaned(it, turn),
        Event::Vanished(it) => receiving::vanished(it, turn),
        Event::Matured(it) => receiving::matured(it, turn),
        Event::Quarantined(it) => receiving::quarantined(it, turn),
        Event::StatusWaitDecide(it) => receiving::received(it, turn),
        Event::ReorgLoss(it) => receiving::lost(it),
        Event::StatusWaitBuy(it) => buying::decided(it),
        Event::OrderIntended(it) => buying::intended(it),
        Event::OrderPlaced(it) => buying::placed(it, turn),
        Event::OrderRefused(it) => buying::refused(it, turn),
        Event::OrderCancelIntended(it) => buying::cancelled(it, turn),
        Event::OrderObserved(it) => buying::observed(it, turn),
        Event::Bought(it) => buying::bought(it, turn),
        Event::PurchaseStopped(it) => buying::stopped(it),
        Event::RemainderBooked(it) => buying::remainder(it),
        Event::StatusWaitSend(it) => paying::owed(it),
        Event::PayoutIntended(it) => paying::intended(it),
        Event::PayoutSigned(it) => paying::signed(it, turn),
        Event::PayoutVoided(it) => paying::voided(it, turn),
        Event::Sent(it) => paying::sent(it, turn),
        Event::PayoutReorged(it) => paying::reorged(it, turn),
        Event::Confirmed(it) => paying::confirmed(it, turn),
        Event::Held(it) => operating::held(it, turn),
        Event::Released(it) => operating::released(it, turn),
        Event::RefundDue(it) => operating::refund_due(it),
        Event::RefundMarked(it) => operating::refunded(it),
        Event::Failed(it) => operating::failed(it),
        Event::WrittenOff(it) => operating::written_off(it),
    }
}

fn microseconds<S: Serializer>(since: &Option<TimeDelta>, serializer: S) -> Result<S::Ok, S::Error> {
    since.and_then(|since| since.num_microseconds()).serialize(serializer)
}
