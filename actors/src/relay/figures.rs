//! What relaying comes to, counted since the process began.

use std::sync::atomic::{AtomicU64, Ordering};

use super::file::Taken;

/// The counts, which only grow, and for how many customers messages are taken.
#[derive(Debug, Default)]
pub struct Figures {
    accepted: AtomicU64,
    repeated: AtomicU64,
    undeliverable: AtomicU64,
    bad: AtomicU64,
    lost: AtomicU64,
    failures: AtomicU64,
    customers: AtomicU64,
}

/// The counts of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Records that are to be delivered.
    pub accepted: u64,
    /// Records that were seen before.
    pub repeated: u64,
    /// Records that nobody subscribed to.
    pub undeliverable: u64,
    /// Records that are no notifications, or cannot be read.
    pub bad: u64,
    /// Records that the queue forgot before they were read, or did not hand out: at most so many, as far as its offsets tell.
    pub lost: u64,
    /// How often the queue, or a partition of it, could not be read.
    pub failures: u64,
}

impl Figures {
    /// As they are now.
    pub fn counted(&self) -> Counted {
        Counted {
            accepted: get(&self.accepted),
            repeated: get(&self.repeated),
            undeliverable: get(&self.undeliverable),
            bad: get(&self.bad),
            lost: get(&self.lost),
            failures: get(&self.failures),
        }
    }

    /// How many customers messages are taken for.
    pub fn customers(&self) -> u64 {
        get(&self.customers)
    }

    pub(super) fn wanted_by(&self, customers: usize) {
        self.customers.store(customers as u64, Ordering::Relaxed);
    }

    pub(super) fn took(&self, taken: Taken, bad: u64) {
        add(&self.accepted, taken.accepted);
        add(&self.repeated, taken.repeated);
        add(&self.undeliverable, taken.undeliverable);
        add(&self.bad, bad);
    }

    /// A record that nobody can read is none.
    pub(super) fn passed_over(&self) {
        add(&self.bad, 1);
    }

    pub(super) fn lost(&self, records: u64) {
        add(&self.lost, records);
    }

    pub(super) fn failed(&self) {
        add(&self.failures, 1);
    }
}

/// Nothing else rests on the order in which others see it.
fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
