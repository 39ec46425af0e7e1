//! A finished range of the log in one piece: its events and their commands, packed.
//!
//! It has two parts that postcard writes. In the first the tables of streams, kinds, commands' ids and correlations come before the
//! events, each of which has its places in these tables; in the second are the commands in the order of their ids, so that whoever
//! wants events only unpacks half of it. Hashes are not in it, as they follow from the rest: a segment is what was stored if the chain
//! through it ends at its tip.
//!
//! In format 1 both are zstd frames with the frame's own checksum. In format 2 the events, which everybody reads who goes through the
//! log, are an LZ4 block after the CRC-32 of what is in it, in four bytes, the lowest first.

mod contents;

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::ControlFlow;

use millrace_model::ids::{Position, Version};
use serde::{Deserialize, Serialize, Serializer};

use super::chain_hash::{ChainHash, Link};
use super::rows::EventRow;
use contents::{Contents, Shared};

/// How many events a segment has; the first begins at position 1.
pub(super) const SEGMENT_EVENTS: Position = 512;
/// How segments were packed.
const FORMAT_1: u32 = 1;
/// How segments are packed today.
pub(super) const FORMAT: u32 = 2;
/// What stands before an LZ4 block.
const CRC_BYTES: usize = 4;
/// Higher ones take longer both ways, and what they make is hardly smaller.
const LEVEL: i32 = 1;
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
    /// The block is broken.
    #[error("it cannot be unpacked: {0}")]
    Block(#[from] lz4_flex::block::DecompressError),
    /// What is in the block is not what was put there.
    #[error("it cannot be unpacked: its checksum is wrong")]
    Checksum,
    /// A payload that is no text.
    #[error("the payload of position {0} is no text")]
    Payload(Position),
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
    pub(super) tip: ChainHash,
    pub(super) events: Frame,
    pub(super) commands: Frame,
}

/// Something packed, and how large it is when it is unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame<B = Vec<u8>> {
    pub(super) bytes: usize,
    pub(super) packed: B,
}

/// Which segment, and how it is packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) first: Position,
    pub(super) last: Position,
    pub(super) format: u32,
}

/// What the events of a segment share, as it is written; [`Shared`] is what is read.
#[derive(Debug, Serialize)]
struct Tables<'a> {
    streams: Vec<(i64, &'a str)>,
    kinds: Vec<(&'a str, u32)>,
    commands: Vec<[u8; 16]>,
    correlations: Vec<[u8; 16]>,
}

/// A command in a segment; its id is in the events' table.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Command<'a> {
    name: &'a str,
    body: &'a str,
}

/// An event in a segment. What it has in common with others stands in the tables.
#[derive(Debug, Clone, Copy, Serialize)]
struct Event<'a> {
    stream: usize,
    version: Version,
    kind: usize,
    command: usize,
    /// How far before it its cause is; 0 is none.
    back: u64,
    correlation: Option<usize>,
    recorded_at: i64,
    /// Bytes: whether they are text is looked at when somebody wants them.
    #[serde(serialize_with = "as_bytes")]
    payload: &'a [u8],
}

/// An event of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed<'a> {
    pub(super) position: Position,
    pub(super) stream_id: i64,
    pub(super) stream: &'a str,
    pub(super) version: Version,
    pub(super) kind: &'a str,
    pub(super) schema: u32,
    payload: &'a [u8],
    pub(super) causation: Option<Position>,
    pub(super) correlation: Option<[u8; 16]>,
    pub(super) command_id: [u8; 16],
    /// Its command's place among those of the segment.
    pub(super) command: usize,
    pub(super) recorded_at: i64,
}

/// The events of a segment, unpacked.
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
    position - position.saturating_sub(1) % SEGMENT_EVENTS
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

    /// Its events.
    pub(super) fn unpack(&self) -> Result<Unpacked, SegmentError> {
        self.head().unpack(self.events.as_ref(), &mut Unpacker::default())
    }

    fn head(&self) -> Head {
        let Self { first, last, format, .. } = *self;
        Head { first, last, format }
    }

    /// The streams that its events speak of, with their numbers in the file.
    pub(super) fn streams(&self) -> Result<Vec<(i64, String)>, SegmentError> {
        let unpacked = self.unpack()?;
        let tables = Shared::take(&mut Contents(&unpacked.contents))
            .map_err(|error| self.unsound(SegmentProblem::Contents(error)))?;
        Ok(tables.streams.iter().map(|(id, name)| (*id, (*name).to_owned())).collect())
    }

    /// The bodies of its commands.
    pub(super) fn bodies(&self) -> Result<Vec<String>, SegmentError> {
        self.commands(|command| command.body.to_owned())
    }

    /// What is made of each of its commands.
    fn commands<T>(&self, make: impl Fn(&Command<'_>) -> T) -> Result<Vec<T>, SegmentError> {
        let contents = self.head().commands(self.commands.as_ref())?;
        let commands: Vec<Command<'_>> =
            postcard::from_bytes(&contents).map_err(|error| self.unsound(SegmentProblem::Contents(error)))?;
        Ok(commands.iter().map(make).collect())
    }

    /// Whether it is what was stored, if the log before it ends with this hash.
    pub(super) fn prove(&self, before: ChainHash) -> Result<(), SegmentError> {
        let commands = self.commands(|command| ChainHash::of_command(command.name, command.body))?;
        let mut tip = before;
        self.unpack()?.each::<SegmentError>(self.first, &mut |event| {
            let unknown = || self.unsound(SegmentProblem::Reference(event.position));
            let command = commands.get(event.command).ok_or_else(unknown)?;
            tip = event.link(command)?.after(&tip);
            Ok(ControlFlow::Continue(()))
        })?;
        if tip == self.tip { Ok(()) } else { Err(self.unsound(SegmentProblem::Changed)) }
    }

    /// Whether only a newer version can read it, if the log before it ends with this hash. What is as it was stored once it is read in
    /// a format that is known has a wrong number, and that is damage.
    pub(super) fn is_newer(&self, before: ChainHash) -> bool {
        let as_if_of = |format| Self { format, ..self.clone() };
        self.format > FORMAT && !(FORMAT_1..=FORMAT).any(|format| as_if_of(format).prove(before).is_ok())
    }

    fn unsound(&self, problem: SegmentProblem) -> SegmentError {
        self.head().unsound(problem)
    }
}

impl Head {
    /// Its events, which are in this frame.
    pub(super) fn unpack(self, events: Frame<&[u8]>, unpacker: &mut Unpacker) -> Result<Unpacked, SegmentError> {
        let contents = self.of_known_format(|| match self.format {
            FORMAT_1 => unpacker.zstd(events),
            _ => unpacker.lz4(events),
        })?;
        Ok(Unpacked { first: self.first, last: self.last, contents })
    }

    fn commands(self, commands: Frame<&[u8]>) -> Result<Vec<u8>, SegmentError> {
        self.of_known_format(|| Unpacker::default().zstd(commands))
    }

    fn of_known_format<T>(self, unpack: impl FnOnce() -> Result<T, SegmentProblem>) -> Result<T, SegmentError> {
        let unpacked = match self.format {
            _ if !is_range(self.first, self.last) => Err(SegmentProblem::Range),
            FORMAT_1..=FORMAT => unpack(),
            newer => Err(SegmentProblem::Format(newer)),
        };
        unpacked.map_err(|problem| self.unsound(problem))
    }

    fn unsound(self, problem: SegmentProblem) -> SegmentError {
        SegmentError { first: self.first, problem }
    }
}

impl Frame {
    fn lz4(contents: &[u8]) -> Result<Self, SegmentProblem> {
        let bytes = of_usual_size(contents.len())?;
        let mut packed = crc32fast::hash(contents).to_le_bytes().to_vec();
        packed.append(&mut lz4_flex::block::compress(contents));
        Ok(Self { bytes, packed })
    }

    fn zstd(contents: &[u8]) -> Result<Self, SegmentProblem> {
        let bytes = of_usual_size(contents.len())?;
        let mut packer = zstd::bulk::Compressor::new(LEVEL)?;
        packer.include_checksum(true)?;
        Ok(Self { bytes, packed: packer.compress(contents)? })
    }

    fn as_ref(&self) -> Frame<&[u8]> {
        Frame { bytes: self.bytes, packed: &self.packed }
    }
}

fn of_usual_size(bytes: usize) -> Result<usize, SegmentProblem> {
    if bytes > UNPACKED_MAX_BYTES { Err(SegmentProblem::TooLarge(bytes)) } else { Ok(bytes) }
}

/// Unpacks one frame after the other, into the same memory.
#[derive(Default)]
pub(super) struct Unpacker {
    /// Of a segment that nobody needs any more.
    spare: Vec<u8>,
}

impl Unpacker {
    fn zstd(&mut self, frame: Frame<&[u8]>) -> Result<Vec<u8>, SegmentProblem> {
        let mut contents = std::mem::take(&mut self.spare);
        contents.clear();
        contents.reserve(of_usual_size(frame.bytes)?);
        zstd::bulk::Decompressor::new()?.decompress_to_buffer(frame.packed, &mut contents)?;
        Ok(contents)
    }

    fn lz4(&mut self, frame: Frame<&[u8]>) -> Result<Vec<u8>, SegmentProblem> {
        let (crc, block) = frame.packed.split_first_chunk::<CRC_BYTES>().ok_or(SegmentProblem::Checksum)?;
        let mut contents = std::mem::take(&mut self.spare);
        contents.resize(of_usual_size(frame.bytes)?, 0);
        let bytes = lz4_flex::block::decompress_into(block, &mut contents)?;
        if bytes != contents.len() || crc32fast::hash(&contents) != u32::from_le_bytes(*crc) {
            return Err(SegmentProblem::Checksum);
        }
        Ok(contents)
    }

    /// Takes back what is no longer needed.
    pub(super) fn take_back(&mut self, unpacked: Unpacked) {
        self.spare = unpacked.contents;
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
    let (mut places, mut commands, mut contents) = (Tabled::default(), Vec::new(), Vec::new());
    for event in events {
        contents = postcard::to_extend(&places.event(event, &mut commands)?, contents)?;
    }
    let Tabled { streams, kinds, ids, correlations } = places;
    let (streams, kinds, ids) = (streams.order, kinds.order, ids.order);
    let tables = Tables { streams, kinds, commands: ids, correlations: correlations.order };
    let mut before = postcard::to_stdvec(&tables)?;
    before.append(&mut contents);
    Ok(Segment {
        first,
        last: last.position,
        format: FORMAT,
        tip: ChainHash(last.hash),
        events: Frame::lz4(&before)?,
        commands: Frame::zstd(&postcard::to_stdvec(&commands)?)?,
    })
}

/// The same on the wire as text is.
fn as_bytes<S: Serializer>(payload: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(payload)
}

impl<'s> Packed<'s> {
    /// Its payload.
    pub(super) fn payload(&self) -> Result<&'s str, SegmentError> {
        let (first, problem) = (first_of(self.position), SegmentProblem::Payload(self.position));
        std::str::from_utf8(self.payload).map_err(|_| SegmentError { first, problem })
    }

    fn link<'a>(&'a self, command: &'a ChainHash) -> Result<Link<'a>, SegmentError> {
        Ok(Link {
            position: self.position,
            stream: self.stream,
            version: self.version,
            kind: self.kind,
            schema: self.schema,
            payload: self.payload()?,
            causation: self.causation,
            correlation: self.correlation,
            command_id: self.command_id,
            recorded_at: self.recorded_at,
            command,
        })
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
        let mut contents = Contents(&self.contents);
        let tables = Shared::take(&mut contents).map_err(broken)?;
        for position in self.first..=self.last {
            let event = Event::take(&mut contents).map_err(broken)?;
            if position < from {
                continue;
            }
            let packed =
                tables.resolve(position, &event).ok_or_else(|| unsound(SegmentProblem::Reference(position)))?;
            if take(&packed)?.is_break() {
                return Ok(());
            }
        }
        if contents.is_empty() { Ok(()) } else { Err(unsound(SegmentProblem::Range)) }
    }
}

/// Things in the order in which they came first, and their places in it.
struct Places<T> {
    order: Vec<T>,
    places: HashMap<T, usize>,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self { order: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Copy + Eq + Hash> Places<T> {
    fn of(&mut self, thing: T) -> usize {
        *self.places.entry(thing).or_insert_with(|| {
            self.order.push(thing);
            self.order.len() - 1
        })
    }
}

/// The tables of a segment that is being made.
#[derive(Default)]
struct Tabled<'a> {
    streams: Places<(i64, &'a str)>,
    kinds: Places<(&'a str, u32)>,
    ids: Places<[u8; 16]>,
    correlations: Places<[u8; 16]>,
}

impl<'a> Tabled<'a> {
    fn event(&mut self, row: &'a EventRow, commands: &mut Vec<Command<'a>>) -> Result<Event<'a>, SegmentProblem> {
        let asked = row.command.as_ref().ok_or(SegmentProblem::NoCommand(row.position))?;
        let command = self.ids.of(row.command_id);
        if command == commands.len() {
            commands.push(Command { name: &asked.name, body: &asked.body });
        }
        let back = row.causation.map_or(Some(0), |cause| row.position.checked_sub(cause));
        Ok(Event {
            stream: self.streams.of((row.stream_id, row.stream.as_str())),
            version: row.version,
            kind: self.kinds.of((row.kind.as_str(), row.schema)),
            command,
            back: back.ok_or(SegmentProblem::Reference(row.position))?,
            correlation: row.correlation.map(|id| self.correlations.of(id)),
            recorded_at: row.recorded_at,
            payload: row.payload.as_bytes(),
        })
    }
}
#[cfg(test)]
mod tests;
