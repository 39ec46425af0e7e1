//! Whether paying out is allowed at this moment.

use std::sync::{Mutex, PoisonError};

use millrace_model::desk::{Desk, Setting, Switch};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{Position, StreamName};

use crate::event_store::{ReadError, Store};

/// How many events are looked through at once.
const PAGE_EVENTS_MAX: usize = 4_096;

/// The operator's switches as the log has them; follows the log at every look.
pub(super) struct Switches {
    store: Store,
    seen: Mutex<Option<(Position, Desk)>>,
}

impl Switches {
    pub(super) fn new(store: Store) -> Self {
        Self { store, seen: Mutex::default() }
    }

    /// Where the switch for paying out stands.
    pub(super) fn sends(&self) -> Result<Setting, ReadError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut position, mut desk) = match *seen {
            Some(seen) => seen,
            None => self.read_all()?,
        };
        while position < self.store.head() {
            let page = self.store.recent_after(position, PAGE_EVENTS_MAX);
            (position, desk) = match page.as_ref().and_then(|page| Some((page.last()?, page))) {
                Some((last, page)) => (last, page.events().fold(desk, after)),
                // More has happened than is in memory; the desk's own stream is short.
                None => self.read_all()?,
            };
        }
        *seen = Some((position, desk));
        Ok(desk.setting(Switch::Sends))
    }

    fn read_all(&self) -> Result<(Position, Desk), ReadError> {
        // The position first: what is committed in between is folded twice, which changes nothing.
        let position = self.store.head();
        let events = self.store.reader()?.stream(&StreamName::Desk, 0)?;
        Ok((position, events.iter().fold(Desk::default(), after)))
    }
}

fn after(desk: Desk, recorded: &Recorded) -> Desk {
    match &recorded.event {
        Event::Desk(event) => desk.evolve(event),
        _ => desk,
    }
}
