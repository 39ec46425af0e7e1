//! Makes stations while the desk runs, so that whoever looks at its past need not fold all of it.
//!
//! Nobody needs this part. It reads on a connection of its own, a little at a time with a rest after each, on one thread; and it
//! begins only when there are events enough for a station. What goes wrong is told to the log and tried again later.

use std::path::Path;
use std::time::Duration;

use millrace_model::ids::Position;
use millrace_model::overview::Overview;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Stations, fold_on};
use crate::event_store::{OpenError, ReadError, Reader, Store};
use crate::supervision::{Tree, TreeError};

/// The part's name in the tree.
pub const PART: &str = "stations";
/// How many events are folded at once: some milliseconds of work.
const PAGE_EVENTS: Position = 2_048;
/// The rest after them, in the time that they took: others need the disk and the processor too.
const REST: u32 = 3;
/// After so many new stations those of them that are too many are removed.
const TIDY_EVERY: Position = 16;
/// The pause after something went wrong.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The position up to which every station there is to be was made.
pub type Kept = watch::Receiver<Option<Position>>;

/// Adds the part to the tree.
pub fn start(tree: &Tree, store: Store, stations: Stations) -> Result<Kept, TreeError> {
    let (kept, seen) = watch::channel(None);
    tree.add_task(PART, move |report| {
        let (keeper, kept) = (Keeper { store: store.clone(), stations: stations.clone() }, kept.clone());
        async move {
            keeper.store.ready_for(&report).await;
            keeper.run(&kept).await;
        }
    })?;
    Ok(seen)
}

/// Why no more stations are made for now.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Told by the auditor as well, who halts the desk for it.
    #[error("the log has no event at position {position}")]
    Missing { position: Position },
    #[error("a station cannot be kept: {0}")]
    Keep(#[from] std::io::Error),
    /// The fold panicked: a desk that works must not end for what it can do without.
    #[error("{0}")]
    Panicked(#[from] tokio::task::JoinError),
}

#[derive(Debug, Clone)]
struct Keeper {
    store: Store,
    stations: Stations,
}

/// A fold on its way to the newest station.
struct Fold {
    reader: Reader,
    stations: Stations,
    overview: Overview,
}

impl Keeper {
    async fn run(self, kept: &watch::Sender<Option<Position>>) {
        let mut bell = self.store.bell();
        loop {
            match self.make().await {
                Ok(position) => {
                    kept.send_replace(Some(position));
                    let next = position + self.stations.every;
                    while self.store.head() < next {
                        if bell.changed().await.is_err() {
                            return;
                        }
                    }
                }
                Err(obstacle) => {
                    tracing::warn!(%obstacle, "no stations are made for now; a look at the past takes longer");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Goes on from the newest station, and makes those that come after it. Gives back where the last one is.
    async fn make(&self) -> Result<Position, Obstacle> {
        let (store, stations, newest) = (self.store.clone(), self.stations.clone(), self.newest());
        let begin = move || Fold::begin(store.reader()?.path(), stations, newest);
        let mut fold = tokio::task::spawn_blocking(begin).await??;
        while fold.overview.position < self.newest() {
            let (begun, newest) = (Instant::now(), self.newest());
            fold = tokio::task::spawn_blocking(move || fold.go_on(newest)).await??;
            tokio::time::sleep(begun.elapsed() * REST).await;
        }
        let Fold { reader, stations, overview } = fold;
        tokio::task::spawn_blocking(move || stations.tidy(&reader)).await??;
        Ok(overview.position)
    }

    /// The newest position at which there is to be a station.
    fn newest(&self) -> Position {
        let head = self.store.head();
        head - head % self.stations.every
    }
}

impl Fold {
    fn begin(log: &Path, stations: Stations, newest: Position) -> Result<Self, Obstacle> {
        stations.remove_unfinished();
        let reader = Reader::open(log)?;
        stations.tidy(&reader)?;
        let overview = stations.nearest(&reader, 1..=newest)?.unwrap_or_default();
        Ok(Self { reader, stations, overview })
    }

    /// Folds a few more events, up to where a station is to be at most.
    fn go_on(mut self, newest: Position) -> Result<Self, Obstacle> {
        let Self { reader, stations, overview } = &mut self;
        let station = overview.position - overview.position % stations.every + stations.every;
        let until = newest.min(station).min(overview.position + PAGE_EVENTS);
        fold_on(reader, overview, until, 1, |_| Ok(()))?;
        let log = reader.hash_at(until)?.ok_or(Obstacle::Missing { position: until })?;
        if until == station {
            stations.keep(overview, log)?;
            if (station / stations.every).is_multiple_of(TIDY_EVERY) {
                stations.tidy(reader)?;
            }
        }
        Ok(self)
    }
}
