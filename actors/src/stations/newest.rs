//! The desk as it stood when somebody last looked at it as it is now: the next look goes on from there.

use std::sync::{Arc, Mutex, PoisonError};

use millrace_model::ids::{Hash32, Position};
use millrace_model::overview::Overview;

use super::{OverviewError, Stations, overview_after};
use crate::event_store::{ReadError, Reader};

/// The newest look, if there was one. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Newest(Arc<Mutex<Option<Arc<Seen>>>>);

/// The desk after an event, with that event's place in the chain.
#[derive(Debug)]
struct Seen {
    log: Hash32,
    overview: Overview,
}

impl Newest {
    /// The whole desk after the newest event, which is at this position.
    pub fn overview(&self, reader: &Reader, stations: &Stations, head: Position) -> Result<Overview, OverviewError> {
        let earlier = match self.seen() {
            Some(seen) if seen.overview.position <= head && seen.is_of(reader)? => seen.overview.clone(),
            _ => Overview::default(),
        };
        let overview = overview_after(reader, Some(stations), earlier, head)?;
        // What could not be read may be readable the next time.
        if overview.aside.is_empty()
            && let Some(log) = reader.hash_at(overview.position)?
        {
            self.keep(Seen { log, overview: overview.clone() });
        }
        Ok(overview)
    }

    fn seen(&self) -> Option<Arc<Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, seen: Seen) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(seen));
    }
}

impl Seen {
    fn is_of(&self, reader: &Reader) -> Result<bool, ReadError> {
        Ok(reader.hash_at(self.overview.position)? == Some(self.log))
    }
}
