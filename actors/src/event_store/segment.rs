//! A finished range of the log in one piece: its events and their commands, packed.
//!
//! Format 1 is a zstd frame, with the frame's own checksum, around what postcard writes: first the tables of streams, kinds and
//! commands, then the events in their order, each with its places in these tables. Hashes are not in it, as they follow from the
//! rest: a segment is what was stored if the chain through it ends at its tip.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::ControlFlow;

use millrace_model::ids::{Position, Version};
use serde::{Deserialize, Serialize};

use super::chain_hash::{ChainHash, Link};
use super::rows::{CommandRow, EventRow};

/// How many events a segment has; the first begins at position 1.
pub(super) const SEGMENT_EVENTS: Position = 1_024;
/// How segments are packed today.
const FORMAT: u32 = 1;
/// Higher ones hardly gain anything, and take longer.
const LEVEL: i32 = 3;
/// What is larger is not packed, and not unpacked.
const UNPACKED_MAX_BYTES: usize = 256 << 20;

/// A segment that cannot be made, or read.
#[derive(Debug, thiserror::Error)]
#[error("the segment from position {first} on: {problem}")]
pub struct SegmentError {
    /// The first position that it has, or should have.
    pub first: Position,
    /// What is wrong.
    pub problem: SegmentProblem,
}

/// What is wrong with a segment.
#[derive(Debug, thiserror::Error)]
pub enum SegmentProblem {
    /// An event without its command.
    #[error("the command of position {0} is missing")]
    NoCommand(Position),
    /// There is none.
    #[error("it is missing")]
    Missing,
    /// More or fewer, or others.
    #[error("it does not hold the events that it should")]
    Range,
    /// More than anybody wants to have in memory.
    #[error("{0} bytes are more than a segment may have")]
    TooLarge(usize),
    /// Packed by a newer version.
    #[error("its format {0} is not known to this version")]
    Format(u32),
    /// The frame is broken.
    #[error("it cannot be unpacked: {0}")]
    Frame(#[from] std::io::Error),
    /// What is in the frame is no segment.
    #[error("it holds no events: {0}")]
    Contents(#[from] postcard::Error),
    /// An event with a stream, kind or command that is in no table.
    #[error("position {0} speaks of what is not in the segment")]
    Reference(Position),
    /// The chain through it does not end where it should.
    #[error("it is not what was stored: its hash does not fit")]
    Changed,
}

/// A segment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub(super) first: Position,
    pub(super) last: Position,
    pub(super) format: u32,
    pub(super) bytes: usize,
    pub(super) tip: ChainHash,
    pub(super) body: Vec<u8>,
}

/// What the events of a segment share.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tables<'a> {
    #[serde(borrow)]
    streams: Vec<(i64, &'a str)>,
    #[serde(borrow)]
    kinds: Vec<(&'a str, u32)>,
    #[serde(borrow)]
    commands: Vec<Command<'a>>,
}

/// A command in a segment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Command<'a> {
    pub(super) id: [u8; 16],
    pub(super) first: Position,
    pub(super) last: Position,
    pub(super) name: &'a str,
    pub(super) body: &'a str,
}

/// An event in a segment. What it has in common with others stands in the tables.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Event<'a> {
    stream: usize,
    version: Version,
    kind: usize,
    command: usize,
    /// How far before it its cause is; 0 is none.
    back: u64,
    correlation: Option<[u8; 16]>,
    recorded_at: i64,
    payload: &'a str,
}

/// An event of a segment with everything that its hash covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed<'a> {
    pub(super) position: Position,
    pub(super) stream_id: i64,
    pub(super) stream: &'a str,
    pub(super) version: Version,
    pub(super) kind: &'a str,
    pub(super) schema: u32,
    pub(super) payload: &'a str,
    pub(super) causation: Option<Position>,
    pub(super) correlation: Option<[u8; 16]>,
    pub(super) command: Command<'a>,
    pub(super) recorded_at: i64,
}

/// A segment, unpacked.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) first: Position,
    pub(super) last: Position,
    contents: Vec<u8>,
}

/// Whether positions are those of a segment.
fn is_range(first: Position, last: Position) -> bool {
    first % SEGMENT_EVENTS == 1 && last == last_of(first)
}

/// The first position of the segment that has this one.
pub(super) fn first_of(position: Position) -> Position {
    position - (position - 1) % SEGMENT_EVENTS
}

/// The last position of the segment that has this one.
pub(super) fn last_of(position: Position) -> Position {
    first_of(position) + (SEGMENT_EVENTS - 1)
}

impl Segment {
    /// Packs the events of one segment, as they are stored.
    pub(super) fn pack(events: &[EventRow]) -> Result<Self, SegmentError> {
        let first = events.first().map_or(0, |event| event.position);
        packed(events).map_err(|problem| SegmentError { first, problem })
    }

    /// Its contents.
    pub(super) fn unpack(&self) -> Result<Unpacked, SegmentError> {
        let contents = self.contents().map_err(|problem| self.unsound(problem))?;
        Ok(Unpacked { first: self.first, last: self.last, contents })
    }

    fn contents(&self) -> Result<Vec<u8>, SegmentProblem> {
        match self.format {
            _ if !is_range(self.first, self.last) => Err(SegmentProblem::Range),
            _ if self.bytes > UNPACKED_MAX_BYTES => Err(SegmentProblem::TooLarge(self.bytes)),
            FORMAT => Ok(zstd::bulk::decompress(&self.body, self.bytes)?),
            newer => Err(SegmentProblem::Format(newer)),
        }
    }

    /// Whether it is what was stored, if the log before it ends with this hash.
    pub(super) fn prove(&self, before: ChainHash) -> Result<(), SegmentError> {
        let mut tip = before;
        let mut known: Option<([u8; 16], ChainHash)> = None;
        self.unpack()?.each::<SegmentError>(self.first, &mut |event| {
            let command = match known {
                Some((id, digest)) if id == event.command.id => digest,
                _ => ChainHash::of_command(event.command.name, event.command.body),
            };
            known = Some((event.command.id, command));
            tip = event.link(&command).after(&tip);
            Ok(ControlFlow::Continue(()))
        })?;
        if tip == self.tip { Ok(()) } else { Err(self.unsound(SegmentProblem::Changed)) }
    }

    fn unsound(&self, problem: SegmentProblem) -> SegmentError {
        SegmentError { first: self.first, problem }
    }
}

fn packed(events: &[EventRow]) -> Result<Segment, SegmentProblem> {
    let (first, last) = match (events.first(), events.last()) {
        (Some(first), Some(last)) => (first.position, last),
        (_, _) => return Err(SegmentProblem::Range),
    };
    if events.len() as Position != SEGMENT_EVENTS || !is_range(first, last.position) {
        return Err(SegmentProblem::Range);
    }
    let contents = contents_of(events)?;
    if contents.len() > UNPACKED_MAX_BYTES {
        return Err(SegmentProblem::TooLarge(contents.len()));
    }
    let mut packer = zstd::bulk::Compressor::new(LEVEL)?;
    packer.include_checksum(true)?;
    let body = packer.compress(&contents)?;
    Ok(Segment { first, last: last.position, format: FORMAT, bytes: contents.len(), tip: ChainHash(last.hash), body })
}

impl Packed<'_> {
    fn link<'a>(&'a self, command: &'a ChainHash) -> Link<'a> {
        Link {
            position: self.position,
            stream: self.stream,
            version: self.version,
            kind: self.kind,
            schema: self.schema,
            payload: self.payload,
            causation: self.causation,
            correlation: self.correlation,
            command_id: self.command.id,
            recorded_at: self.recorded_at,
            command,
        }
    }
}

impl Unpacked {
    /// Hands out its events from a position on, in their order, until it is told to stop.
    pub(super) fn each<E: From<SegmentError>>(
        &self,
        from: Position,
        take: &mut dyn FnMut(&Packed<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let unsound = |problem| E::from(SegmentError { first: self.first, problem });
        let broken = |error| unsound(SegmentProblem::Contents(error));
        let (tables, mut rest) = postcard::take_from_bytes::<Tables<'_>>(&self.contents).map_err(broken)?;
        for position in self.first..=self.last {
            let (event, after) = postcard::take_from_bytes::<Event<'_>>(rest).map_err(broken)?;
            rest = after;
            if position < from {
                continue;
            }
            let packed =
                tables.resolve(position, &event).ok_or_else(|| unsound(SegmentProblem::Reference(position)))?;
            if take(&packed)?.is_break() {
                return Ok(());
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(unsound(SegmentProblem::Range)) }
    }
}

impl<'a> Tables<'a> {
    /// Nothing where it speaks of what is in no table.
    fn resolve(&self, position: Position, event: &Event<'a>) -> Option<Packed<'a>> {
        let (stream_id, stream) = *self.streams.get(event.stream)?;
        let (kind, schema) = *self.kinds.get(event.kind)?;
        let causation = if event.back == 0 { None } else { Some(position.checked_sub(event.back)?) };
        Some(Packed {
            position,
            stream_id,
            stream,
            version: event.version,
            kind,
            schema,
            payload: event.payload,
            causation,
            correlation: event.correlation,
            command: *self.commands.get(event.command)?,
            recorded_at: event.recorded_at,
        })
    }
}

/// What is in the order in which it came first, and where.
struct Places<T> {
    order: Vec<T>,
    places: HashMap<T, usize>,
}

impl<T: Copy + Eq + Hash> Places<T> {
    fn new() -> Self {
        Self { order: Vec::new(), places: HashMap::new() }
    }

    fn of(&mut self, thing: T) -> usize {
        *self.places.entry(thing).or_insert_with(|| {
            self.order.push(thing);
            self.order.len() - 1
        })
    }
}

fn contents_of(events: &[EventRow]) -> Result<Vec<u8>, SegmentProblem> {
    let (mut streams, mut kinds, mut ids) = (Places::new(), Places::new(), Places::new());
    let mut commands = Vec::new();
    let mut packed = Vec::new();
    for event in events {
        let command = event.command.as_ref().ok_or(SegmentProblem::NoCommand(event.position))?;
        let place = ids.of(event.command_id);
        if place == commands.len() {
            commands.push(command_of(event.command_id, command));
        }
        let back = event.causation.map_or(Some(0), |cause| event.position.checked_sub(cause));
        packed.push(Event {
            stream: streams.of((event.stream_id, event.stream.as_str())),
            version: event.version,
            kind: kinds.of((event.kind.as_str(), event.schema)),
            command: place,
            back: back.ok_or(SegmentProblem::Reference(event.position))?,
            correlation: event.correlation,
            recorded_at: event.recorded_at,
            payload: &event.payload,
        });
    }
    let tables = Tables { streams: streams.order, kinds: kinds.order, commands };
    let mut contents = postcard::to_stdvec(&tables)?;
    for event in &packed {
        contents = postcard::to_extend(event, contents)?;
    }
    Ok(contents)
}

fn command_of(id: [u8; 16], command: &CommandRow) -> Command<'_> {
    Command { id, first: command.first, last: command.last, name: &command.name, body: &command.body }
}
