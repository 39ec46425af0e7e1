//! The blocks whose payouts are watched.

use std::collections::{BTreeMap, BTreeSet};

use millrace_model::ids::DepositId;

/// With more payouts than this the oldest block is watched no more.
const PAYOUTS_MAX: usize = 20_000;

/// The blocks, each with the payouts that it is believed to hold.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    payouts: BTreeMap<u64, BTreeSet<DepositId>>,
    /// Those of them that are to be read: new ones, and all after a reorganisation.
    doubtful: BTreeSet<u64>,
    count: usize,
}

impl Blocks {
    pub(super) fn is_empty(&self) -> bool {
        self.payouts.is_empty()
    }

    /// Watches a payout in this block.
    pub(super) fn insert(&mut self, seq: u64, id: DepositId) {
        if self.payouts.entry(seq).or_default().insert(id) {
            self.count += 1;
            self.doubtful.insert(seq);
        }
        while self.count > PAYOUTS_MAX
            && let Some((oldest, payouts)) = self.payouts.pop_first()
        {
            self.count -= payouts.len();
            self.doubtful.remove(&oldest);
        }
    }

    pub(super) fn remove(&mut self, seq: u64, id: DepositId) {
        if let Some(payouts) = self.payouts.get_mut(&seq)
            && payouts.remove(&id)
        {
            self.count -= 1;
        }
    }

    /// The payouts believed to be in this block.
    pub(super) fn payouts(&self, seq: u64) -> Vec<DepositId> {
        self.payouts.get(&seq).into_iter().flatten().copied().collect()
    }

    /// The newest block that is to be read.
    pub(super) fn doubtful(&self) -> Option<u64> {
        self.doubtful.last().copied()
    }

    /// The block holds what it is believed to hold.
    pub(super) fn trust(&mut self, seq: u64) {
        self.doubtful.remove(&seq);
    }

    pub(super) fn doubt_all(&mut self) {
        self.doubtful.extend(self.payouts.keys());
    }

    /// Watches no block below this one any more.
    pub(super) fn forget_below(&mut self, seq: u64) {
        self.doubtful = self.doubtful.split_off(&seq);
        self.forget_known_below(seq);
    }

    /// The same, except for those that are still to be read.
    pub(super) fn forget_known_below(&mut self, seq: u64) {
        let doubtful = &self.doubtful;
        self.payouts.retain(|block, payouts| (*block >= seq && !payouts.is_empty()) || doubtful.contains(block));
        self.count = self.payouts.values().map(BTreeSet::len).sum();
    }
}
