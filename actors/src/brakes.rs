//! Whether orders and payouts may go out at this moment.

use std::sync::{Arc, Mutex, PoisonError};

use millrace_model::desk::{Closed, Desk, Switch};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{Position, StreamName};

use crate::canary::{self, Canary};
use crate::event_store::{ReadError, Reader, Store};

/// How many events are looked through at once.
const PAGE_EVENTS_MAX: usize = 4_096;

/// What stops something besides the log, such as the configuration; in words for a person. Asked before every effect.
pub type Outer = Arc<dyn Fn(Switch) -> Option<&'static str> + Send + Sync>;

/// The operator's switches and the halt as the log has them, followed at every look; and what stops the desk besides.
pub(crate) struct Brakes {
    store: Store,
    outer: Outer,
    seen: Mutex<Option<(Position, Desk)>>,
}

impl Brakes {
    pub(crate) fn new(store: Store, outer: Outer) -> Self {
        Self { store, outer, seen: Mutex::default() }
    }

    /// Why this may not go out now; `None` when it may.
    pub(crate) fn closed(&self, switch: Switch) -> Result<Option<String>, ReadError> {
        if canary::lives(Canary::HaltUnchecked) {
            return Ok(None);
        }
        let closed = self.by_the_log(switch)?.map(|closed| closed.to_string());
        Ok(closed.or_else(|| (self.outer)(switch).map(str::to_owned)))
    }

    fn by_the_log(&self, switch: Switch) -> Result<Option<Closed>, ReadError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut position, mut desk) = match seen.take() {
            Some(seen) => seen,
            None => read_desk(&self.store)?,
        };
        while position < self.store.head() {
            let page = self.store.recent_after(position, PAGE_EVENTS_MAX);
            (position, desk) = match page.as_ref().and_then(|page| Some((page.last()?, page))) {
                Some((last, page)) => (last, page.events().fold(desk, after)),
                // More has happened than is in memory; the desk's own stream is short.
                None => read_desk(&self.store)?,
            };
        }
        let closed = desk.closed(switch);
        *seen = Some((position, desk));
        Ok(closed)
    }
}

/// The desk as the log has it now, and a position that this holds for at least.
pub(crate) fn read_desk(store: &Store) -> Result<(Position, Desk), ReadError> {
    // The position first: what is committed in between is folded twice, which changes nothing.
    let position = store.head();
    Ok((position, desk(&*store.reader()?)?))
}

/// The desk as the log has it.
pub(crate) fn desk(reader: &Reader) -> Result<Desk, ReadError> {
    Ok(reader.stream(&StreamName::Desk, 0)?.iter().fold(Desk::default(), after))
}

fn after(desk: Desk, recorded: &Recorded) -> Desk {
    match &recorded.event {
        Event::Desk(event) => desk.evolve(event),
        _ => desk,
    }
}
