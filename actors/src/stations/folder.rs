//! A folder with the stations of a log, a file each: a digest of the rest, what the station is of, the desk.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::RangeInclusive;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use millrace_model::event::Event;
use millrace_model::ids::{Hash32, Position};
use millrace_model::overview::Overview;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event_store::{ReadError, Reader};

/// How many events lie between two stations.
const EVERY: Position = 65_536;
/// The folder of a log's stations, beside the log.
const FOLDER: &str = "stations";
/// To be raised whenever the same events come to another overview, or an overview to another text.
const FOLDED_AS: u32 = 2;
/// The largest file that is taken for a station.
const FILE_MAX_BYTES: u64 = 1 << 30;
/// What a station says of itself takes less than this.
const HEADER_MAX_BYTES: u64 = 4_096;
/// Of more stations than this every second one goes.
const STATIONS_MAX: usize = 256;
/// The same of more bytes.
const BYTES_MAX: u64 = 1 << 30;
/// What a file is called that is not whole yet.
const UNFINISHED: &str = "partial";

/// A folder with stations of one log.
#[derive(Debug, Clone)]
pub struct Stations {
    folder: PathBuf,
    pub(super) every: Position,
    pub(super) is_only_read: bool,
}

/// What a station is of.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    folded_as: u32,
    /// Which kinds of events, of which schemas, whoever made it could read.
    kinds: Hash32,
    /// The log's hash at this position, which covers everything before it.
    log: Hash32,
    position: Position,
}

impl Header {
    fn new(position: Position, log: Hash32) -> Self {
        let kinds: String = Event::kinds().map(|(kind, schema)| format!("{kind} {schema}\n")).collect();
        Self { folded_as: FOLDED_AS, kinds: digest_of(&[&kinds]), log, position }
    }
}

impl Stations {
    /// The stations in this folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, every: EVERY, is_only_read: false }
    }

    /// The stations of the log in this file.
    pub fn beside(log: &Path) -> Self {
        Self::new(log.with_file_name(FOLDER))
    }

    /// The same with another distance between two of them.
    pub fn every(self, events: Position) -> Self {
        Self { every: events.max(1), ..self }
    }

    /// The same, of which none is made: for whoever looks at what may be somebody else's.
    pub fn only_read(self) -> Self {
        Self { is_only_read: true, ..self }
    }

    /// The newest station at one of these positions.
    pub(super) fn nearest(
        &self,
        reader: &Reader,
        within: RangeInclusive<Position>,
    ) -> Result<Option<Overview>, ReadError> {
        for (at, _) in self.known().into_iter().rev().filter(|(at, _)| within.contains(at)) {
            let Some(log) = reader.hash_at(at)? else { continue };
            match self.read(at, &Header::new(at, log)) {
                Ok(Some(overview)) if is_as_read(&overview, reader)? => return Ok(Some(overview)),
                Ok(Some(_)) => tracing::debug!(position = at, "the station lacks what can be read again"),
                Ok(None) => tracing::debug!(position = at, "the station is of another log or version"),
                Err(error) => tracing::warn!(position = at, %error, "the station cannot be used"),
            }
        }
        Ok(None)
    }

    /// Keeps what an overview that stands at its place comes to.
    pub(super) fn keep(&self, overview: &Overview, log: Hash32) -> io::Result<()> {
        let body = serde_json::to_string(overview)?;
        let header = serde_json::to_string(&Header::new(overview.position, log))?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let path = self.path(overview.position);
        // Two who fold at once write the same.
        let partial = path.with_extension(format!("{:?}.{UNFINISHED}", std::thread::current().id()));
        let text = format!("{}\n{header}\n{body}", digest_of(&[&header, "\n", &body]));
        let write = || {
            let mut file = File::create(&partial)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, &path)
        };
        write().inspect_err(|_| {
            // On a disk that is full, what is there of it takes room from what is needed.
            let _ = fs::remove_file(&partial);
        })
    }

    /// Removes what somebody began to write who was killed. Whoever writes at this moment writes once more another time.
    pub(super) fn remove_unfinished(&self) {
        let Ok(files) = fs::read_dir(&self.folder) else { return };
        let unfinished = files.flatten().map(|file| file.path());
        unfinished.filter(|path| path.extension().is_some_and(|end| end == UNFINISHED)).for_each(|path| remove(&path));
    }

    /// Removes those of another log or version, and of too many every second one.
    pub(super) fn tidy(&self, reader: &Reader) -> Result<(), ReadError> {
        let mut ours = BTreeMap::new();
        for (position, bytes) in self.known() {
            let log = reader.hash_at(position)?;
            let is_ours = log.is_some_and(|log| self.header(position).is_ok_and(|it| it == Header::new(position, log)));
            if is_ours {
                ours.insert(position, bytes);
            } else {
                remove(&self.path(position));
            }
        }
        surplus(&ours, self.every).for_each(|position| remove(&self.path(position)));
        Ok(())
    }

    /// The positions of which there is a station, as far as their names say, with the sizes of their files.
    fn known(&self) -> BTreeMap<Position, u64> {
        let Ok(files) = fs::read_dir(&self.folder) else { return BTreeMap::new() };
        let named = files.flatten().filter_map(|file| {
            let position = file.file_name().to_str()?.strip_suffix(".station")?.parse().ok()?;
            Some((position, file.metadata().ok()?.len()))
        });
        named.filter(|(position, _)| i64::try_from(*position).is_ok()).collect()
    }

    fn path(&self, position: Position) -> PathBuf {
        self.folder.join(format!("{position}.station"))
    }

    fn header(&self, position: Position) -> io::Result<Header> {
        let mut lines = BufReader::new(File::open(self.path(position))?.take(HEADER_MAX_BYTES)).lines();
        let header = lines.nth(1).ok_or_else(|| io::Error::other("it has no header"))??;
        Ok(serde_json::from_str(&header)?)
    }

    /// The desk at a position; nothing if what is stored is of something else.
    fn read(&self, position: Position, expected: &Header) -> io::Result<Option<Overview>> {
        let path = self.path(position);
        if fs::metadata(&path)?.len() > FILE_MAX_BYTES {
            return Err(io::Error::other("it is too large"));
        }
        let text = fs::read_to_string(&path)?;
        let (digest, rest) = text.split_once('\n').ok_or_else(|| io::Error::other("it has no digest"))?;
        if digest.parse() != Ok(digest_of(&[rest])) {
            return Err(io::Error::other("it is not what was stored"));
        }
        let (header, body) = rest.split_once('\n').ok_or_else(|| io::Error::other("it has no header"))?;
        if serde_json::from_str::<Header>(header)? != *expected {
            return Ok(None);
        }
        let overview: Overview = serde_json::from_str(body)?;
        Ok(Some(overview).filter(|overview| overview.position == position))
    }
}

/// Whether what could not be read when an overview was folded cannot be read today either. A log that is mended has the hashes that it
/// had, so they do not tell.
fn is_as_read(overview: &Overview, reader: &Reader) -> Result<bool, ReadError> {
    for aside in overview.aside.values() {
        let first = reader.event_at(aside.position)?;
        if !first.is_some_and(|recorded| matches!(recorded.event, Event::Unreadable(_))) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Those of too many that go: what stays lies twice as far apart, or four times, but for the newest.
fn surplus(stations: &BTreeMap<Position, u64>, every: Position) -> impl Iterator<Item = Position> + '_ {
    let newest = stations.keys().next_back().copied();
    let stays =
        move |position: Position, distance: Position| position.is_multiple_of(distance) || Some(position) == newest;
    let fits = |distance: &Position| {
        let staying = stations.iter().filter(|(position, _)| stays(**position, *distance));
        let (count, bytes) = staying.fold((0, 0), |(count, bytes), (_, size)| (count + 1, bytes + size));
        count <= 1 || (count <= STATIONS_MAX && bytes <= BYTES_MAX)
    };
    let distances = std::iter::successors(Some(every), |distance| distance.checked_mul(2));
    let distance = distances.into_iter().find(fits).unwrap_or(Position::MAX);
    stations.keys().copied().filter(move |position| !stays(*position, distance))
}

/// What cannot be removed is passed over as long as it is of no use.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(path = %path.display(), %error, "a station cannot be removed");
    }
}

fn digest_of(parts: &[&str]) -> Hash32 {
    let digest = parts.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part));
    Hash32(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(stations: BTreeMap<Position, u64>) -> Vec<Position> {
        let gone: Vec<_> = surplus(&stations, 10).collect();
        stations.into_keys().filter(|position| !gone.contains(position)).collect()
    }

    #[test]
    fn of_too_many_every_second_one_goes_and_the_newest_stays() {
        let of = |count: u64| (1..=count).map(|number| (number * 10, 1)).collect::<BTreeMap<_, _>>();
        assert_eq!(left(of(256)).len(), 256);
        let halved = left(of(257));
        assert_eq!((halved.len(), halved[0], halved[127], halved[128]), (129, 20, 2_560, 2_570));
        let quartered = left(of(1_000));
        assert_eq!((quartered.len(), &quartered[..2], quartered[249]), (250, &[40, 80][..], 10_000));
        assert_eq!(left(of(1)), [10]);
    }

    #[test]
    fn of_too_many_bytes_too_and_one_always_stays() {
        let sizes = [(10, BYTES_MAX / 2), (20, BYTES_MAX / 2), (30, 1)];
        assert_eq!(left(BTreeMap::from(sizes)), [20, 30]);
        assert_eq!(left(BTreeMap::from([(10, 1), (20, 1), (30, 2 * BYTES_MAX)])), [30]);
    }
}
