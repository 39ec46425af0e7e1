//! The whole desk at any position of its log, soon: folded on from the nearest station.
//!
//! A station is the desk as it stood at a position, kept in a file of its own whenever a fold passes one. Stations are derived from the
//! log, never more than that: one that is missing, damaged, of another log or made by a version that reads the log otherwise
//! is passed over and made anew, and all of them can be thrown away at any time.

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use millrace_model::deposit::Deposit;
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{Hash32, Position};
use millrace_model::overview::Overview;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::deposits::fold;
use crate::event_store::{ReadError, Reader};

/// How many events lie between two stations.
const EVERY: Position = 65_536;
/// The folder of a log's stations, beside the log.
const FOLDER: &str = "stations";
/// To be raised whenever the same events come to another overview, or an overview to another text.
const FOLDED_AS: u32 = 1;
/// The largest file that is taken for a station.
const FILE_MAX_BYTES: u64 = 1 << 30;
/// Fewer events than this are read by one thread: the others would hardly have begun.
const THREADS_FROM: Position = 4_096;

/// Why nobody can say how the desk stood.
#[derive(Debug, thiserror::Error)]
pub enum OverviewError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no such position.
    #[error("there is no position {position}: the log ends at {head}")]
    Beyond {
        /// The position asked for.
        position: Position,
        /// The newest one.
        head: Position,
    },
}

/// A folder with stations of one log.
#[derive(Debug, Clone)]
pub struct Stations {
    folder: PathBuf,
    every: Position,
    is_only_read: bool,
}

/// What is kept of a station.
#[derive(Debug, Serialize, Deserialize)]
struct Station {
    folded_as: u32,
    /// Which kinds of events, of which schemas, whoever made it could read.
    kinds: Hash32,
    /// The log's hash at this position, which covers everything before it.
    log: Hash32,
    overview: Overview,
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

    /// The same, of which none is made: for whoever looks at what may be somebody else's.
    pub fn only_read(self) -> Self {
        Self { is_only_read: true, ..self }
    }

    /// The same with another distance between two of them.
    pub fn every(self, events: Position) -> Self {
        Self { every: events.max(1), ..self }
    }

    /// The newest station after a position and up to another.
    fn nearest(&self, reader: &Reader, after: Position, until: Position) -> Result<Option<Overview>, ReadError> {
        let mut known = self.known();
        known.retain(|known| (after + 1..=until).contains(known));
        known.sort_unstable();
        for at in known.into_iter().rev() {
            let log = reader.hash_at(at)?;
            match self.read(at) {
                Ok(station) if Some(station.log) == log && station.fits(at) => return Ok(Some(station.overview)),
                Ok(_) => tracing::debug!(position = at, "the station is of another log or version"),
                Err(error) => tracing::warn!(position = at, %error, "the station cannot be used"),
            }
        }
        Ok(None)
    }

    /// The positions of which there is a station, as far as their names say.
    fn known(&self) -> Vec<Position> {
        let Ok(files) = fs::read_dir(&self.folder) else { return Vec::new() };
        files.flatten().filter_map(|file| file.file_name().to_str()?.strip_suffix(".station")?.parse().ok()).collect()
    }

    fn path(&self, position: Position) -> PathBuf {
        self.folder.join(format!("{position}.station"))
    }

    fn read(&self, position: Position) -> io::Result<Station> {
        let path = self.path(position);
        if fs::metadata(&path)?.len() > FILE_MAX_BYTES {
            return Err(io::Error::other("it is too large"));
        }
        let text = fs::read_to_string(&path)?;
        let (digest, body) = text.split_once('\n').ok_or_else(|| io::Error::other("it has no digest"))?;
        if digest.parse() != Ok(digest_of(body)) {
            return Err(io::Error::other("it is not what was stored"));
        }
        Ok(serde_json::from_str(body)?)
    }

    /// One that cannot be kept costs time and nothing else.
    fn keep(&self, overview: &Overview, log: Option<Hash32>) {
        let Some(log) = log else { return };
        let station = Station { folded_as: FOLDED_AS, kinds: kinds(), log, overview: overview.clone() };
        if let Err(error) = self.write(&station) {
            tracing::warn!(position = overview.position, %error, "a station cannot be kept");
        }
    }

    fn write(&self, station: &Station) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let path = self.path(station.overview.position);
        let body = serde_json::to_string(station)?;
        // Two who fold at once write the same.
        let partial = path.with_extension(format!("{:?}.partial", std::thread::current().id()));
        let mut file = fs::File::create(&partial)?;
        file.write_all(format!("{}\n{body}", digest_of(&body)).as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &path)
    }
}

impl Station {
    fn fits(&self, position: Position) -> bool {
        (self.folded_as, self.kinds, self.overview.position) == (FOLDED_AS, kinds(), position)
    }
}

/// The whole desk after the event at a position; without stations, from the log's beginning.
pub fn overview_at(
    reader: &Reader,
    stations: Option<&Stations>,
    position: Position,
) -> Result<Overview, OverviewError> {
    overview_after(reader, stations, Overview::default(), position)
}

/// The same, where the desk at an earlier position is at hand.
pub fn overview_after(
    reader: &Reader,
    stations: Option<&Stations>,
    earlier: Overview,
    position: Position,
) -> Result<Overview, OverviewError> {
    let head = reader.head()?;
    if position > head {
        return Err(OverviewError::Beyond { position, head });
    }
    let nearer = stations.map(|stations| stations.nearest(reader, earlier.position, position)).transpose()?.flatten();
    let mut overview = nearer.unwrap_or(earlier);
    let threads = if position - overview.position < THREADS_FROM { 1 } else { 2 };
    fold_on(reader, &mut overview, position, threads, stations.filter(|stations| !stations.is_only_read))?;
    reader.check_still_alone()?;
    Ok(overview)
}

/// Takes in the events up to a position, and leaves a station where there is to be one.
fn fold_on(
    reader: &Reader,
    overview: &mut Overview,
    until: Position,
    threads: usize,
    stations: Option<&Stations>,
) -> Result<(), ReadError> {
    reader.scan(overview.position + 1, until, threads)?.each(|recorded| {
        let earlier = if overview.needs(&recorded).is_some() { before(reader, &recorded)? } else { None };
        overview.take_in(&recorded, earlier);
        if let Some(stations) = stations.filter(|stations| overview.position.is_multiple_of(stations.every)) {
            stations.keep(overview, reader.hash_at(overview.position)?);
        }
        Ok(())
    })
}

/// The deposit as it was before this event.
fn before(reader: &Reader, recorded: &Recorded) -> Result<Option<Deposit>, ReadError> {
    let events = reader.stream(&recorded.stream, 0)?;
    let earlier = events.partition_point(|earlier| earlier.version < recorded.version);
    Ok(fold(&events[..earlier]).map(|tracked| tracked.deposit))
}

fn kinds() -> Hash32 {
    let kinds: String = Event::kinds().map(|(kind, schema)| format!("{kind} {schema}\n")).collect();
    digest_of(&kinds)
}

fn digest_of(text: &str) -> Hash32 {
    Hash32(Sha256::digest(text).into())
}
