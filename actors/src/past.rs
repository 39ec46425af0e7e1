//! What may have been dealt with before this process began.
//!
//! A log that was restored from a backup has forgotten the desk's last hours: deposits that it paid or bought for are open in
//! it, or are detected anew. All of them were in blocks that were there when the process began. For these, and only for these,
//! the outside world is looked at before the first effect; what comes later was certainly not dealt with before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_model::deposit::{Deposit, Sighting};

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
    /// The chain's tip had this height when it was first reached. Said again, it changes nothing.
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
        match &deposit.sighting {
            Sighting::Mined(block) => block.height <= self.0.load(Ordering::Relaxed),
            Sighting::Unconfirmed | Sighting::Orphaned | Sighting::Vanished => true,
        }
    }
}
