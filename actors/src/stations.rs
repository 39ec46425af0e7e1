//! The whole desk at any position of its log, soon: folded on from the nearest station.
//!
//! A station is the desk as it stood at a position, kept in a file of its own whenever a fold passes one. Stations are derived from the
//! log, never more than that: one that is missing, damaged, of another log or made by a version that reads the log otherwise
//! is passed over and made anew, and all of them can be thrown away at any time.

mod folder;
pub mod keeper;
mod newest;
#[cfg(test)]
mod tests;

use millrace_model::deposit::Deposit;
use millrace_model::event::Recorded;
use millrace_model::ids::Position;
use millrace_model::overview::Overview;

pub use folder::Stations;
pub use newest::Newest;

use crate::deposits::fold;
use crate::event_store::{ReadError, Reader};

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
    let nearer = match stations {
        Some(stations) => stations.nearest(reader, earlier.position + 1..=position)?,
        None => None,
    };
    let mut overview = nearer.unwrap_or(earlier);
    let threads = if position - overview.position < THREADS_FROM { 1 } else { 2 };
    let made = stations.filter(|stations| !stations.is_only_read);
    fold_on(reader, &mut overview, position, threads, |overview| {
        let Some(stations) = made.filter(|stations| overview.position.is_multiple_of(stations.every)) else {
            return Ok(());
        };
        // One that cannot be kept costs time and nothing else.
        if let Some(log) = reader.hash_at(overview.position)?
            && let Err(error) = stations.keep(overview, log)
        {
            tracing::warn!(position = overview.position, %error, "a station cannot be kept");
        }
        Ok(())
    })?;
    reader.check_still_alone()?;
    Ok(overview)
}

/// Takes in the events up to a position, and shows the desk after each.
fn fold_on(
    reader: &Reader,
    overview: &mut Overview,
    until: Position,
    threads: usize,
    mut show: impl FnMut(&Overview) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    reader.scan(overview.position + 1, until, threads)?.each(|recorded| {
        let earlier = if overview.needs(recorded).is_some() { before(reader, recorded)? } else { None };
        overview.take_in(recorded, earlier);
        show(overview)
    })
}

/// The deposit as it was before this event.
fn before(reader: &Reader, recorded: &Recorded) -> Result<Option<Deposit>, ReadError> {
    let events = reader.stream(&recorded.stream, 0)?;
    let earlier = events.partition_point(|earlier| earlier.version < recorded.version);
    Ok(fold(&events[..earlier]).map(|tracked| tracked.deposit))
}
