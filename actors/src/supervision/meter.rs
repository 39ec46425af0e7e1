//! How busy a part is: what waits in its mailbox, and how long it takes over a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::tree::Tree;

/// A message in so many counts for the average; older ones fade.
const FADING: u64 = 16;
/// The actors' own thread answers within this, or is itself what is wrong.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// How busy a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Its name.
    pub name: String,
    /// Messages that wait in its mailbox.
    pub waiting: usize,
    /// How many can, at most.
    pub waiting_max: usize,
    /// Messages it has handled since it was added.
    pub handled: u64,
    /// How long it took over one, lately.
    pub typical: Duration,
    /// How long it took over the one that took longest since it was added.
    pub slowest: Duration,
}

/// What a supervisor notes of the messages it hands over. It alone writes.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Arc<Notes>);

#[derive(Debug, Default)]
struct Notes {
    handled: AtomicU64,
    typical_ns: AtomicU64,
    slowest_ns: AtomicU64,
}

impl Meter {
    /// One more was handled, in this time.
    pub(super) fn note(&self, took: Duration) {
        let Notes { handled, typical_ns, slowest_ns } = &*self.0;
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let before = typical_ns.load(Ordering::Relaxed);
        let first = handled.fetch_add(1, Ordering::Relaxed) == 0;
        typical_ns.store(if first { took } else { before - before / FADING + took / FADING }, Ordering::Relaxed);
        slowest_ns.fetch_max(took, Ordering::Relaxed);
    }

    fn load(&self, name: String, waiting: usize, waiting_max: usize) -> Load {
        let Notes { handled, typical_ns, slowest_ns } = &*self.0;
        let time = |ns: &AtomicU64| Duration::from_nanos(ns.load(Ordering::Relaxed));
        let (typical, slowest) = (time(typical_ns), time(slowest_ns));
        Load { name, waiting, waiting_max, handled: handled.load(Ordering::Relaxed), typical, slowest }
    }
}

/// A part's meter, with the way to look into its mailbox.
pub(super) struct Gauge {
    pub(super) meter: Meter,
    pub(super) waiting: Box<dyn Fn() -> usize + Send + Sync>,
    pub(super) waiting_max: usize,
}

impl Gauge {
    pub(super) fn read(&self, name: &str) -> Load {
        self.meter.load(name.to_owned(), (self.waiting)(), self.waiting_max)
    }
}

impl Tree {
    /// How busy each part is, in the order of adding. Mailboxes are looked into on the actors' own thread, since others would hold
    /// it up; `None` when that does not answer, or the tree was shut down.
    pub async fn loads(&self) -> Option<Vec<Load>> {
        let tree = self.clone();
        #[expect(clippy::disallowed_methods, reason = "it looks once and is done")]
        let looking = self.runtime().spawn(async move { tree.loads_now() });
        timeout(ANSWER_WITHIN, looking).await.ok()?.ok()?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_slow_once_fades_and_is_kept_as_the_slowest() {
        let meter = Meter::default();
        meter.note(Duration::from_millis(16));
        assert_eq!(meter.load(String::new(), 0, 1).typical, Duration::from_millis(16));
        (0..200).for_each(|_| meter.note(Duration::from_micros(16)));
        let load = meter.load("part".to_owned(), 2, 8);
        assert!(load.typical < Duration::from_micros(20), "{load:?}");
        assert_eq!((load.slowest, load.handled, load.waiting), (Duration::from_millis(16), 201, 2));
    }
}
