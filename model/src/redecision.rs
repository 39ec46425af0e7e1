//! What is recorded of a deposit decided once more, by the rules of today: whatever comes out otherwise is a difference.
//!
//! A command holds what its decision rested on. Those of the scanner that an earlier version stored do not hold all of it: then the
//! events themselves say what took a vanished transaction's coins, as they were told, and which coins came before. Where the
//! whole log is at hand the chain's stream says the latter, whoever told it. What is said by nothing cannot be decided again,
//! and is counted with the reason.

mod command;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::Value;

use crate::deposit::{Deposit, Event, evolve};
use crate::event::{self, Recorded};
use crate::ids::{DepositId, Position, Version};
use crate::replay::{Field, fields};

use command::{Order, Told};

/// A command as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// What it rested on.
    pub body: String,
}

/// An event of a deposit, and what it came of.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// The event.
    pub recorded: Recorded,
    /// Its fields as they are stored, if that is an older schema: what it did not have yet is not compared.
    pub older: Option<Value>,
    /// Its command, if the log has it.
    pub asked: Option<Asked>,
}

/// What the rest of the log says of a deposit.
pub trait Elsewhere {
    /// Why it cannot be said.
    type Error;
    /// Before a position: the decided and orphaned deposit whose coins came again in another transaction with this one.
    /// Nothing if the log at hand is only a part and does not say.
    fn seen_before(&self, deposit: &Deposit, before: Position) -> Result<Option<Option<DepositId>>, Self::Error>;
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// The same events.
    Same,
    /// Other events, or none.
    Different(Box<Difference>),
    /// It cannot be decided again.
    Undecidable {
        /// Why.
        why: String,
    },
}

/// How two decisions differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What is recorded.
    pub recorded: Vec<Shown>,
    /// What is decided today.
    pub decided: Vec<Shown>,
    /// Which rule forbids it today, if one does.
    pub forbidden: Option<String>,
    /// The first event that is another, counted from 0.
    pub index: usize,
    /// The first field of it that is another, recorded and decided; nothing when the events are of different kinds.
    pub field: Option<Field>,
}

/// An event as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// What it is.
    pub kind: String,
    /// Its fields.
    pub fields: Value,
}

impl From<&Event> for Shown {
    fn from(event: &Event) -> Self {
        let fields = serde_json::from_str(&event.payload()).expect("a payload is JSON");
        Self { kind: event.kind().to_owned(), fields }
    }
}

/// One command on a deposit, decided again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redecided {
    /// The version of the first event that came of it.
    pub version: Version,
    /// The position of that event.
    pub position: Position,
    /// The command's name, if the log has it.
    pub command: Option<String>,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Decides every command of a deposit again, each on the state that the recorded events had left. The events of one command
/// follow each other; `events` are all of the stream, oldest first.
pub fn redecide<E: Elsewhere>(events: &[Happened], elsewhere: &E) -> Result<Vec<Redecided>, E::Error> {
    let mut redecided = Vec::new();
    let mut before: Option<Deposit> = None;
    let mut next_version = 1;
    for group in events.chunk_by(|one, next| one.recorded.command_id == next.recorded.command_id) {
        let [Happened { recorded: first, asked, .. }, ..] = group else { continue };
        let mut result = Redecided {
            version: first.version,
            position: first.position,
            command: asked.as_ref().map(|asked| asked.name.clone()),
            outcome: Outcome::Same,
        };
        let readable = if first.version == next_version { readable(group) } else { Err(missing(next_version)) };
        let recorded = match readable {
            Ok(recorded) => recorded,
            Err(why) => {
                result.outcome = Outcome::Undecidable { why };
                redecided.push(result);
                // Nobody knows where the deposit stands from here on.
                break;
            }
        };
        result.outcome = match asked {
            Some(asked) => one(asked, before.as_ref(), (group, &recorded), elsewhere)?,
            None => Outcome::Undecidable { why: "the log does not have the command".to_owned() },
        };
        redecided.push(result);
        next_version += group.len() as Version;
        before = recorded.iter().copied().fold(before, evolve);
    }
    Ok(redecided)
}

fn missing(version: Version) -> String {
    format!("version {version} is missing, so it is not known where the deposit stood")
}

fn readable(group: &[Happened]) -> Result<Vec<&Event>, String> {
    let events = group.iter().map(|happened| match &happened.recorded.event {
        event::Event::Deposit(event) => Ok(event),
        event::Event::Unreadable(unreadable) => Err(unreadable.why.clone()),
        other => Err(format!("{} is no event of a deposit", other.kind())),
    });
    events.collect()
}

fn one<E: Elsewhere>(
    asked: &Asked,
    before: Option<&Deposit>,
    (group, recorded): (&[Happened], &[&Event]),
    elsewhere: &E,
) -> Result<Outcome, E::Error> {
    let deposit = match recorded.first() {
        Some(Event::Detected(detected)) => Some(detected.id),
        _ => before.map(|before| before.receipt.id),
    };
    let Some(deposit) = deposit else { return Ok(not_detected()) };
    let Order { given, mut told } = match command::order(asked, deposit, recorded) {
        Ok(order) => order,
        Err(why) => return Ok(Outcome::Undecidable { why }),
    };
    if told == Told::Nothing {
        let why = "what was seen is a fact, and nothing was decided".to_owned();
        return Ok(Outcome::Undecidable { why });
    }
    if let (Told::Seen(seen), [Event::Detected(detected), ..]) = (&told, recorded) {
        let decided: Vec<Event> = command::detect(*seen, detected).into_iter().collect();
        return Ok(compare(recorded, group, &decided, None));
    }
    let start = recorded[..given].iter().copied().fold(before.cloned(), evolve);
    let Some(start) = start else { return Ok(not_detected()) };
    if let Some(seen_before) = told.seen_before()
        && let Some(known) = elsewhere.seen_before(&start, group[0].recorded.position)?
    {
        *seen_before = known;
    }
    let decided = told.decide(&start);
    let forbidden = decided.as_ref().err().map(ToString::to_string);
    Ok(compare(&recorded[given..], &group[given..], &decided.unwrap_or_default(), forbidden))
}

fn not_detected() -> Outcome {
    Outcome::Undecidable { why: "the deposit was not detected before".to_owned() }
}

fn compare(recorded: &[&Event], group: &[Happened], decided: &[Event], forbidden: Option<String>) -> Outcome {
    let longest = recorded.len().max(decided.len());
    let differs = |index: &usize| match (recorded.get(*index), decided.get(*index)) {
        (Some(recorded), Some(decided)) => {
            recorded.kind() != decided.kind() || other_field(recorded, group[*index].older.as_ref(), decided).is_some()
        }
        (_, _) => true,
    };
    let Some(index) = (0..longest).find(differs) else { return Outcome::Same };
    let field = match (recorded.get(index), decided.get(index)) {
        (Some(recorded), Some(decided)) if recorded.kind() == decided.kind() => {
            other_field(recorded, group[index].older.as_ref(), decided)
        }
        (_, _) => None,
    };
    Outcome::Different(Box::new(Difference {
        recorded: recorded.iter().map(|event| Shown::from(*event)).collect(),
        decided: decided.iter().map(Shown::from).collect(),
        forbidden,
        index,
        field,
    }))
}

/// The first field of two events of one kind that is another.
fn other_field(recorded: &Event, older: Option<&Value>, decided: &Event) -> Option<Field> {
    if recorded == decided {
        return None;
    }
    let (recorded, decided) = (Shown::from(recorded).fields, Shown::from(decided).fields);
    let stored: Vec<_> = older.map(|older| fields(older, &Value::Null)).unwrap_or_default();
    let was_there = |field: &Field| older.is_none() || stored.iter().any(|stored| stored.path == field.path);
    fields(&recorded, &decided).into_iter().find(|field| field.is_changed() && was_there(field))
}
