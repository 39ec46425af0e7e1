//! How often something changed within the last hour, in what was told of it.

use std::collections::VecDeque;

use super::HOUR_MS;

/// The times of the last changes, oldest first.
#[derive(Debug, Default)]
pub(super) struct Changes(VecDeque<u64>);

impl Changes {
    /// It changed; no more than `max` changes are remembered.
    pub(super) fn note(&mut self, at_ms: u64, max: usize) {
        self.0.push_back(at_ms);
        while self.0.len() > max {
            self.0.pop_front();
        }
    }

    /// How many there were in the hour before now. One that lies ahead was told by a clock that was put back since, and is
    /// none.
    pub(super) fn count(&self, now_ms: u64) -> usize {
        self.0.iter().filter(|at| now_ms.checked_sub(**at).is_some_and(|age| age < HOUR_MS)).count()
    }

    /// Whether something may be told to have become worse.
    pub(super) fn have_room_for_worse(&self, now_ms: u64, max: usize) -> bool {
        self.count(now_ms) < max
    }

    /// Whether something may be told to have become better: there has to be room for it to become worse again.
    pub(super) fn have_room_for_better(&self, now_ms: u64, max: usize) -> bool {
        self.count(now_ms) + 1 < max
    }

    /// Whether after one more change there is no room for it to become better.
    pub(super) fn are_nearly_used_up(&self, now_ms: u64, max: usize) -> bool {
        self.count(now_ms) + 2 >= max
    }
}
