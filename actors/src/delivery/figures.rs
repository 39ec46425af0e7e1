//! What the deliveries come to, counted since the process began: attempts by outcome, how long notifications took from their
//! event to their receiver, and what was written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use millrace_protocols::delivery::verdict::Outcome;

use super::attempts::class;

/// Up to how many milliseconds the latencies of each bucket are.
pub const LATENCY_MS: [u64; 15] =
    [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000, 86_400_000];

/// The counts. They only grow.
#[derive(Debug, Default)]
pub struct Figures {
    /// By the word of their outcome.
    attempts: Mutex<BTreeMap<&'static str, u64>>,
    delivered: AtomicU64,
    /// One more than there are limits: what took longer than all.
    latencies: [AtomicU64; LATENCY_MS.len() + 1],
    latency_ms: AtomicU64,
    batches: AtomicU64,
    rows: AtomicU64,
}

/// How long notifications took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latencies {
    /// For each of [`LATENCY_MS`], how many took no longer.
    pub within: [u64; LATENCY_MS.len()],
    /// How many there were.
    pub count: u64,
    /// All of them together, in milliseconds.
    pub sum_ms: u64,
}

impl Figures {
    /// An attempt ended.
    pub(super) fn ended(&self, outcome: Outcome) {
        *self.counted().entry(class(outcome)).or_default() += 1;
    }

    /// A notification arrived, so long after its event was committed, in milliseconds, where that is known.
    pub(super) fn delivered(&self, latency_ms: Option<u64>) {
        add(&self.delivered, 1);
        if let Some(latency_ms) = latency_ms {
            add(&self.latencies[LATENCY_MS.partition_point(|limit_ms| *limit_ms < latency_ms)], 1);
            add(&self.latency_ms, latency_ms);
        }
    }

    /// A batch with so many attempts is durable.
    pub(super) fn wrote(&self, rows: usize) {
        add(&self.batches, 1);
        add(&self.rows, rows as u64);
    }

    /// Attempts that ended, by the word of their outcome: those that there were.
    pub fn attempts(&self) -> BTreeMap<&'static str, u64> {
        self.counted().clone()
    }

    fn counted(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notifications that arrived, at each endpoint.
    pub fn arrived(&self) -> u64 {
        get(&self.delivered)
    }

    /// How long they took.
    pub fn latencies(&self) -> Latencies {
        let mut count = 0;
        let mut through = |bucket: &AtomicU64| {
            count += get(bucket);
            count
        };
        let within = std::array::from_fn(|index| through(&self.latencies[index]));
        let last = through(&self.latencies[LATENCY_MS.len()]);
        Latencies { within, count: last, sum_ms: get(&self.latency_ms) }
    }

    /// Batches that were written, and attempts in them.
    pub fn written(&self) -> (u64, u64) {
        (get(&self.batches), get(&self.rows))
    }
}

/// Nothing else rests on the order in which others see it.
fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use millrace_protocols::delivery::verdict::Trouble;

    use super::*;

    #[test]
    fn a_latency_is_in_every_bucket_that_reaches_so_far() {
        let figures = Figures::default();
        [Some(10), Some(11), Some(86_400_001), None].into_iter().for_each(|latency| figures.delivered(latency));
        let Latencies { within, count, sum_ms } = figures.latencies();
        assert_eq!((within[0], within[1], within[14]), (1, 2, 2));
        assert_eq!((count, sum_ms, figures.arrived()), (3, 86_400_022, 4));
    }

    #[test]
    fn attempts_are_counted_by_what_came_of_them() {
        let figures = Figures::default();
        figures.ended(Outcome::Failed(Trouble::Timeout));
        figures.ended(Outcome::Answered { status: 500, retry_after_ms: None, directive: None });
        figures.ended(Outcome::Answered { status: 204, retry_after_ms: None, directive: None });
        figures.wrote(3);
        let counted = BTreeMap::from([("delivered", 1), ("status", 1), ("timeout", 1)]);
        assert_eq!((figures.attempts(), figures.written()), (counted, (1, 3)));
    }
}
