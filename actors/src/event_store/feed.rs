//! Recent events, decoded once for all who follow; and the bell that rings after a commit.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use millrace_model::event::{Batch, Recorded};
use millrace_model::ids::Position;

use super::bell::{Bell, Ringer};

/// How many events are kept at hand; whoever is further behind reads the database.
const RECENT_EVENTS_MAX: usize = 16_384;

/// Committed events in memory, newest last.
#[derive(Debug)]
pub struct Feed {
    recent: Mutex<Recent>,
    ringer: Ringer,
}

#[derive(Debug, Default)]
struct Recent {
    batches: VecDeque<Batch>,
    events: usize,
}

/// Events after a position, in order, without gaps.
#[derive(Debug, Clone, Default)]
pub struct Page {
    batches: Vec<Batch>,
    after: Position,
}

impl Page {
    /// A page of these events.
    pub fn of(events: Vec<Recorded>) -> Self {
        Self { batches: vec![events.into()], after: 0 }
    }

    /// The events, oldest first.
    pub fn events(&self) -> impl Iterator<Item = &Recorded> + Clone {
        self.batches.iter().flat_map(|batch| batch.iter()).skip_while(|recorded| recorded.position <= self.after)
    }

    /// The position of the newest event, `None` for an empty page.
    pub fn last(&self) -> Option<Position> {
        self.batches.last()?.last().map(|recorded| recorded.position).filter(|position| *position > self.after)
    }
}

impl Feed {
    /// A feed for a log whose newest position is `head`.
    pub fn new(head: Position) -> Self {
        Self { recent: Mutex::default(), ringer: Ringer::new(head) }
    }

    /// Rings whenever something was committed.
    pub fn bell(&self) -> Bell {
        self.ringer.bell()
    }

    /// The newest position.
    pub fn head(&self) -> Position {
        self.ringer.head()
    }

    /// Takes a commit's events in and rings.
    pub fn publish(&self, batch: Batch) {
        let last = batch.last().expect("a commit has events").position;
        {
            let mut recent = self.lock();
            recent.events += batch.len();
            recent.batches.push_back(batch);
            while recent.events > RECENT_EVENTS_MAX && recent.batches.len() > 1 {
                let dropped = recent.batches.pop_front().expect("there is more than one");
                recent.events -= dropped.len();
            }
        }
        self.ringer.ring(last);
    }

    /// Forgets what is in memory: the log is at `head`, and what led there is read from the database.
    pub fn reset(&self, head: Position) {
        *self.lock() = Recent::default();
        self.ringer.ring(head);
    }

    /// Events after a position, about `events_max` of them (whole commits); `None` when the position is too old.
    pub fn after(&self, position: Position, events_max: usize) -> Option<Page> {
        let recent = self.lock();
        let first = recent.batches.front().map(|batch| batch[0].position);
        match first {
            None => return (position >= self.head()).then(Page::default),
            Some(first) if position + 1 < first => return None,
            Some(_) => {}
        }
        let from = recent.batches.partition_point(|batch| batch[batch.len() - 1].position <= position);
        let mut events = 0;
        let batches = recent
            .batches
            .range(from..)
            .take_while(|batch| {
                let more = events < events_max;
                events += batch.len();
                more
            })
            .cloned()
            .collect();
        Some(Page { batches, after: position })
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().expect("nothing panics while it holds the recent events")
    }
}
