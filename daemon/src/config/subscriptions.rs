//! `[subscriptions]`: how long those are kept that nothing can be sent to, and how much of what was attempted.

use millrace_model::subscription::Kept;

use super::layers::Layers;
use super::section::Section;

const MINUTE_S: u32 = 60;
const MEGABYTE: u64 = 1_000_000;
const DAY_S: u32 = 24 * 60 * MINUTE_S;

/// The `[subscriptions]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriptions {
    /// How long they are kept (`unproved_kept_minutes`, `idle_kept_days`).
    pub kept: Kept,
    /// How large the file of attempts may become (`attempts_max_mb`), in bytes.
    pub attempts_bytes_max: u64,
}

impl Subscriptions {
    /// A receiver that has to prove itself is asked for some nine minutes, so it has a quarter of an hour at least.
    pub(super) fn read(layers: &mut Layers<'_>) -> Self {
        let mut section = Section::new(layers, "subscriptions");
        Self {
            kept: Kept {
                unproved_s: section.within("unproved_kept_minutes", 15..=10_080, 60) * MINUTE_S,
                idle_s: section.within("idle_kept_days", 1..=3_650, 30) * DAY_S,
            },
            attempts_bytes_max: section.within("attempts_max_mb", 16..=1_000_000, 1_000) * MEGABYTE,
        }
    }
}
