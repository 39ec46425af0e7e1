//! How long the front waits before it starts the next core.

use std::time::Duration;

use super::life::End;

/// A core that served for so long was well.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// So many that were not are followed by the next one at once.
const AT_ONCE: u32 = 3;
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(2);

/// Counts what went wrong in a row.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// Cores that ended soon.
    short_lived: u32,
    /// Cores that never served.
    failures: u32,
    has_one_served: bool,
}

impl Pauses {
    pub(super) fn after(&mut self, end: &End) -> Duration {
        self.failures = if end.served { 0 } else { self.failures.saturating_add(1) };
        self.has_one_served |= end.served;
        let was_well = end.served && end.lived >= WELL_AFTER;
        self.short_lived = if was_well { 0 } else { self.short_lived.saturating_add(1) };
        match self.short_lived.checked_sub(AT_ONCE + 1) {
            None => Duration::ZERO,
            Some(doublings) => SHORTEST.saturating_mul(2u32.saturating_pow(doublings)).min(LONGEST),
        }
    }

    /// Whether any core ever served: what kept the first from it is for whoever starts the desk to mend.
    pub(super) fn has_one_served(&self) -> bool {
        self.has_one_served
    }

    /// How many cores in a row never served.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_was_well_is_followed_at_once_and_others_ever_later() {
        let end =
            |served, lived_s| End { served, lived: Duration::from_secs(lived_s), status: None, how: String::new() };
        let mut pauses = Pauses::default();
        assert_eq!(pauses.after(&end(true, 60)), Duration::ZERO);
        let waits: Vec<_> = (0..40).map(|_| pauses.after(&end(false, 1)).as_millis()).collect();
        assert_eq!(waits[..6], [0, 0, 0, 250, 500, 1_000]);
        assert_eq!((waits[39], pauses.failures()), (2_000, 40));
        assert_eq!(pauses.after(&end(true, 9)), LONGEST, "it served, but not for long");
        assert_eq!(pauses.failures(), 0);
        assert_eq!(pauses.after(&end(true, 10)), Duration::ZERO);
    }
}
