//! What led to what: an event with its command, its cause and what it changed; and all that a deposit's events came of and
//! came with, as a graph.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use millrace_actors::customer_keys::Reading;
use millrace_actors::event_store::{ReadError, Reader, StoredCommand, cause_of};
use millrace_model::event::Recorded;
use millrace_model::ids::{Category, DepositId, Position, StreamName, Version};
use millrace_model::replay::{Asker, Field, State as Folded, fields};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::deposits::unknown_deposit;
use super::log::{Line, stored_json};
use super::{OperatorState, place};
use crate::web::extract::Path;
use crate::web::problem::Problem;

/// A graph has at most so many events of the deposit's own; no deposit comes near it.
const EVENTS_MAX: usize = 2_000;

/// An event with what led to it and what it changed.
#[derive(Debug, Serialize)]
pub(in crate::web) struct EventDetail {
    pub(in crate::web) event: Line,
    pub(in crate::web) asked_by: Asker,
    pub(in crate::web) by: Option<String>,
    pub(in crate::web) command: Option<CommandLine>,
    pub(in crate::web) cause: Option<Node>,
    pub(in crate::web) together: Vec<Node>,
    pub(in crate::web) before: Value,
    pub(in crate::web) after: Value,
    pub(in crate::web) changes: Vec<Field>,
}

/// A command as it was stored.
#[derive(Debug, Serialize)]
pub(in crate::web) struct CommandLine {
    pub(in crate::web) name: String,
    pub(in crate::web) body: Box<RawValue>,
}

/// An event without its payload.
#[derive(Debug, Clone, Serialize)]
pub(in crate::web) struct Node {
    pub(in crate::web) position: Position,
    pub(in crate::web) stream: String,
    pub(in crate::web) version: Version,
    pub(in crate::web) kind: String,
    pub(in crate::web) recorded_at: DateTime<Utc>,
    pub(in crate::web) command: Option<String>,
    pub(in crate::web) command_id: String,
    pub(in crate::web) asked_by: Asker,
}

/// One event led to another, or they came of one command.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::web) struct Edge {
    pub(in crate::web) from: Position,
    pub(in crate::web) to: Position,
    pub(in crate::web) relation: Relation,
}

#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub(in crate::web) enum Relation {
    Caused,
    Together,
}

/// A deposit's events, those they came of, those they came with, and what led to what.
#[derive(Debug, Serialize)]
pub(in crate::web) struct Causes {
    pub(in crate::web) nodes: Vec<Node>,
    pub(in crate::web) edges: Vec<Edge>,
    pub(in crate::web) complete: bool,
}

pub(in crate::web) async fn event(
    State(state): State<Arc<OperatorState>>,
    Path(position): Path<Position>,
) -> Result<Reply<EventDetail>, Problem> {
    let unknown = || Problem::not_found("unknown_event", "There is no event at this position.");
    let position = place(Some(position)).ok().flatten().ok_or_else(unknown)?;
    state.read_opened(move |reader, notes| detail(reader, notes, position)).await?.map(Reply).ok_or_else(unknown)
}

pub(in crate::web) async fn of_deposit(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<DepositId>,
) -> Result<Reply<Causes>, Problem> {
    let causes = state.read(move |reader| causes(reader, &StreamName::Deposit(id))).await?;
    causes.map(Reply).ok_or_else(unknown_deposit)
}

/// An event with what led to it and what it changed; nothing where there is none.
pub(in crate::web) fn detail(
    reader: &Reader,
    notes: &Reading,
    position: Position,
) -> Result<Option<EventDetail>, ReadError> {
    let Some(recorded) = reader.event_at(position)?.map(|recorded| notes.event(recorded)) else { return Ok(None) };
    let command = reader.command(recorded.command_id)?;
    let together = match &command {
        Some(command) => besides(reader, &recorded, command)?,
        None => Vec::new(),
    };
    let cause = match cause_of(&recorded) {
        Some(cause) => reader.event_at(cause)?.map(|cause| alone(reader, &cause)).transpose()?,
        None => None,
    };
    let (before, after) = around(reader, notes, &recorded)?;
    Ok(Some(EventDetail {
        asked_by: Asker::of(command.as_ref().map(|command| command.name.as_str()), &recorded.event),
        by: command.as_ref().and_then(StoredCommand::by).map(|by| by.to_string()),
        changes: fields(&before, &after).into_iter().filter(Field::is_changed).collect(),
        event: Line::from(&recorded),
        command: command.map(|command| CommandLine::opened(command, &recorded.stream, notes)),
        cause,
        together,
        before,
        after,
    }))
}

/// The other events that came of the same command.
fn besides(reader: &Reader, recorded: &Recorded, command: &StoredCommand) -> Result<Vec<Node>, ReadError> {
    let (first, last) = command.positions;
    let events = reader.range(first, last)?;
    let others = events.iter().filter(|other| other.position != recorded.position);
    Ok(others.map(|other| Node::new(other, Some(command))).collect())
}

fn alone(reader: &Reader, recorded: &Recorded) -> Result<Node, ReadError> {
    Ok(Node::new(recorded, reader.command(recorded.command_id)?.as_ref()))
}

/// The state of the event's stream before and after it; nothing for streams that grow without end, and where something up to
/// there cannot be read.
fn around(reader: &Reader, notes: &Reading, recorded: &Recorded) -> Result<(Value, Value), ReadError> {
    if !is_folded(&recorded.stream) {
        return Ok((Value::Null, Value::Null));
    }
    let mut states = (Value::Null, Value::Null);
    let mut state = Folded::before_all(recorded.stream.category());
    for event in reader.stream(&recorded.stream, 0)?.into_iter().take_while(|event| event.version <= recorded.version) {
        let event = notes.event(event);
        let before = if event.version == recorded.version { state.to_json() } else { Value::Null };
        let Ok(after) = state.after(&event.event) else { return Ok((Value::Null, Value::Null)) };
        state = after;
        states.0 = before;
    }
    states.1 = state.to_json();
    Ok(states)
}

/// Whether a stream is short enough to be folded for a look: the others grow with each block, address and payout.
fn is_folded(stream: &StreamName) -> bool {
    match stream.category() {
        Category::Deposit | Category::Binding | Category::Desk | Category::Subscription => true,
        Category::AddressBook | Category::Chain | Category::Wallet => false,
    }
}

fn causes(reader: &Reader, stream: &StreamName) -> Result<Option<Causes>, ReadError> {
    let mut own = reader.stream(stream, 0)?;
    if own.is_empty() {
        return Ok(None);
    }
    let complete = own.len() <= EVENTS_MAX;
    own.truncate(EVENTS_MAX);
    let (mut nodes, mut edges) = (BTreeMap::new(), BTreeSet::new());
    for recorded in &own {
        let command = reader.command(recorded.command_id)?;
        nodes.insert(recorded.position, Node::new(recorded, command.as_ref()));
        if let Some(command) = &command {
            for other in besides(reader, recorded, command)? {
                let (from, to) = (recorded.position.min(other.position), recorded.position.max(other.position));
                edges.insert(Edge { from, to, relation: Relation::Together });
                nodes.insert(other.position, other);
            }
        }
        if let Some(cause) = cause_of(recorded) {
            edges.insert(Edge { from: cause, to: recorded.position, relation: Relation::Caused });
        }
    }
    for position in edges.iter().map(|edge| edge.from) {
        if !nodes.contains_key(&position)
            && let Some(cause) = reader.event_at(position)?
        {
            nodes.insert(position, alone(reader, &cause)?);
        }
    }
    edges.retain(|edge| nodes.contains_key(&edge.from));
    Ok(Some(Causes { nodes: nodes.into_values().collect(), edges: edges.into_iter().collect(), complete }))
}

impl Node {
    fn new(recorded: &Recorded, command: Option<&StoredCommand>) -> Self {
        let command = command.map(|command| command.name.clone());
        Self {
            position: recorded.position,
            stream: recorded.stream.to_string(),
            version: recorded.version,
            kind: recorded.event.kind().to_owned(),
            recorded_at: recorded.recorded_at,
            asked_by: Asker::of(command.as_deref(), &recorded.event),
            command,
            command_id: recorded.command_id.to_string(),
        }
    }
}

impl CommandLine {
    /// With the note of an operator opened.
    fn opened(command: StoredCommand, stream: &StreamName, notes: &Reading) -> Self {
        Self { name: command.name, body: stored_json(notes.body(stream, command.body)) }
    }
}
