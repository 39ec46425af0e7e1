//! What may have been dealt with before this process began.
//!
//! A log that was restored from a backup has forgotten the desk's last hours: deposits that it paid or bought for are open in
//! it, or are detected anew. All of them were in blocks that were there when the process began. For these, and only for these,
//! the outside world is looked at before the first effect; what comes later was certainly not dealt with before.
//!
//! The Bitcoin node may have been restored as well, and have yet to catch up with those blocks. So its tip alone is no proof:
//! the past ends below the first blocks that are younger than the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use millrace_model::deposit::{Deposit, Sighting};

use crate::canary::{self, Canary};

/// Not known yet: everything may be from before.
const UNKNOWN: u64 = u64::MAX;

/// Where the past ends. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Past(Arc<AtomicU64>);

impl Default for Past {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(UNKNOWN)))
    }
}

impl Past {
    /// Blocks above this height were not there when the process began. Said again, it changes nothing.
    pub(crate) fn ended_at(&self, height: u64) {
        // An error says that it was known already.
        let _ = self.0.compare_exchange(UNKNOWN, height, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether every deposit that may be from before is in the log by now.
    pub(crate) fn is_known(&self) -> bool {
        self.0.load(Ordering::Relaxed) != UNKNOWN
    }

    /// Whether the deposit may have been dealt with in a life of the desk that its log has forgotten.
    pub(crate) fn may_know(&self, deposit: &Deposit) -> bool {
        if canary::lives(Canary::LookFirstLeftOut) {
            return false;
        }
        match &deposit.sighting {
            Sighting::Mined(_) => deposit.lowest_height <= Some(self.0.load(Ordering::Relaxed)),
            Sighting::Unconfirmed | Sighting::Orphaned | Sighting::Vanished { .. } => true,
        }
    }
}

/// Finds out where the past ends, from the blocks as they are read.
#[derive(Debug)]
pub(crate) struct Horizon {
    began: DateTime<Utc>,
    /// The tip as it was first reached; whatever the clock says, what is below was there.
    first_tip: Option<u64>,
    /// The highest block read that is not younger than the process.
    old_to: u64,
    /// Whether the newest block read is younger than the process.
    is_passed: bool,
}

impl Horizon {
    /// For a process that began at this time.
    pub(crate) fn new(began: DateTime<Utc>) -> Self {
        Self { began, first_tip: None, old_to: 0, is_passed: false }
    }

    /// A block was read; its time is in seconds since 1970.
    pub(crate) fn read(&mut self, height: u64, time: u32) {
        self.is_passed = i64::from(time) > self.began.timestamp();
        if !self.is_passed {
            self.old_to = self.old_to.max(height);
        }
    }

    /// Everything up to the node's tip was read. Where the past ends, if that is known.
    pub(crate) fn at_tip(&mut self, height: u64) -> Option<u64> {
        let first_tip = *self.first_tip.get_or_insert(height);
        self.is_passed.then(|| first_tip.max(self.old_to))
    }
}
