//! The whole desk at two positions of its log, and which deposits moved between them.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use millrace_model::comparison::{Comparison, Moved};
use millrace_model::ids::{DepositId, Position, StreamName};
use millrace_model::overview::Overview;
use millrace_model::replay::Until;

use crate::event_store::{ReadError, Reader};
use crate::stations::{OverviewError, Stations, overview_after, overview_at};

/// How many threads read.
const THREADS: usize = 2;
/// How many deposits are listed that moved. Any more are counted.
const MOVED_MAX: usize = 10_000;

/// The position of the newest event that was recorded by a time; 0 before the first.
pub fn position_at(reader: &Reader, at: DateTime<Utc>) -> Result<Position, ReadError> {
    let at = Until::time(at);
    // What was recorded at this very moment counts.
    reader.position_before(at.checked_add_signed(TimeDelta::microseconds(1)).unwrap_or(at))
}

/// Holds the desk at one position against the desk at another that is not before it.
pub fn compare(
    reader: &Reader,
    stations: Option<&Stations>,
    from: Position,
    to: Position,
) -> Result<Comparison, OverviewError> {
    let before = overview_at(reader, stations, from)?;
    let after = overview_after(reader, stations, before.clone(), to)?;
    compare_looks(reader, &before, &after)
}

/// The same, where both are at hand.
pub fn compare_looks(reader: &Reader, before: &Overview, after: &Overview) -> Result<Comparison, OverviewError> {
    let (from, to) = (before.position, after.position);
    let touched = touched(reader, from, to)?;
    let more = touched.len().saturating_sub(MOVED_MAX) as u64;
    let moved = touched.into_iter().take(MOVED_MAX).map(|id| {
        let events = reader.stream(&StreamName::Deposit(id), 0)?;
        Ok(Moved::of(id, &events, (from, to)))
    });
    let moved = moved.filter_map(Result::transpose).collect::<Result<_, ReadError>>()?;
    reader.check_still_alone()?;
    Ok(Comparison::of(before, after, moved, more))
}

/// The deposits to which something happened after a position and up to another.
fn touched(reader: &Reader, from: Position, to: Position) -> Result<BTreeSet<DepositId>, ReadError> {
    let mut touched = BTreeSet::new();
    let streams = reader.scan_through(from + 1, to, THREADS, |stored, names| match names.of(stored)? {
        StreamName::Deposit(id) => Ok(Some(id)),
        _ => Ok(None),
    });
    streams?.each::<ReadError>(|id| {
        touched.insert(*id);
        Ok(())
    })?;
    Ok(touched)
}
