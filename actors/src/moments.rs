//! The whole desk at two positions of its log, from one way through it.

use std::collections::BTreeSet;

use millrace_model::comparison::{Comparison, Moved};
use millrace_model::deposit::{Deposit, evolve};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{DepositId, Position, StreamName, Version};
use millrace_model::overview::Overview;

use crate::event_store::{ReadError, Reader};

/// How many threads read; one more folds.
const THREADS: usize = 2;
/// How many deposits are listed that moved. Any more are counted.
const MOVED_MAX: usize = 10_000;

/// Holds the desk at one position against the desk at a later one.
pub fn compare(reader: &Reader, from: Position, to: Position) -> Result<Comparison, ReadError> {
    let mut overview = Overview::default();
    let mut before = (from == 0).then(Overview::default);
    let mut touched = BTreeSet::new();
    reader.scan(1, to, THREADS)?.each(|recorded: Recorded| {
        let earlier = overview.needs(&recorded).map(|id| earlier(reader, id, recorded.version)).transpose()?.flatten();
        overview.take_in(&recorded, earlier);
        match &recorded.stream {
            StreamName::Deposit(id) if recorded.position > from => drop(touched.insert(*id)),
            _ => {}
        }
        if recorded.position == from {
            before = Some(overview.clone());
        }
        Ok::<_, ReadError>(())
    })?;
    let before = before.unwrap_or_default();
    let more = touched.len().saturating_sub(MOVED_MAX) as u64;
    let moved = touched.into_iter().take(MOVED_MAX).map(|id| {
        let events = reader.stream(&StreamName::Deposit(id), 0)?;
        Ok(Moved::of(id, &events, (from, to)))
    });
    let moved = moved.filter_map(Result::transpose).collect::<Result<_, ReadError>>()?;
    reader.check_still_alone()?;
    Ok(Comparison::of(&before, &overview, moved, more))
}

/// A deposit that had ended, as it was before a version.
fn earlier(reader: &Reader, id: DepositId, version: Version) -> Result<Option<Deposit>, ReadError> {
    let events = reader.stream(&StreamName::Deposit(id), 0)?;
    let before = events.iter().take_while(|recorded| recorded.version < version);
    Ok(before.fold(None, |deposit, recorded| match &recorded.event {
        Event::Deposit(event) => evolve(deposit, event),
        _ => deposit,
    }))
}
