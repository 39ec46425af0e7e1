//! Schedules of repeated attempts: how long to wait after which failure, and when it is enough.

/// By how much of a delay chance may lengthen it: a fifth.
const JITTER_DIVISOR: u64 = 5;
/// The most delays a schedule lists.
pub const DELAYS_MAX: usize = 64;
/// The longest delay, in milliseconds.
pub const DELAY_MS_MAX: u64 = 7 * 24 * 3_600_000;

/// After the first attempt: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, which is what Standard Webhooks advises.
const STANDARD_DELAYS_MS: [u64; 9] =
    [5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000, 86_400_000];

/// A number drawn evenly from all there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance(pub u32);

/// How often and when a notification is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// The delay doubles up to a cap.
    Doubling {
        /// The first delay, in milliseconds.
        first_ms: u64,
        /// The longest, in milliseconds.
        cap_ms: u64,
        /// How often it is sent again.
        retries: u32,
    },
    /// The delays one by one, in milliseconds.
    Listed(Vec<u64>),
}

impl Schedule {
    /// ton.events' own: 30 s doubling up to 600 s, three times again.
    pub const TON_EVENTS: Self = Self::Doubling { first_ms: 30_000, cap_ms: 600_000, retries: 3 };

    /// Standard Webhooks' advice: nine times again, over three days.
    pub fn standard() -> Self {
        Self::Listed(STANDARD_DELAYS_MS.to_vec())
    }

    /// The delays one by one; `None` for more of them, or longer ones, than are kept.
    pub fn listed(delays_ms: Vec<u64>) -> Option<Self> {
        let is_kept = delays_ms.len() <= DELAYS_MAX && delays_ms.iter().all(|delay_ms| *delay_ms <= DELAY_MS_MAX);
        is_kept.then_some(Self::Listed(delays_ms))
    }

    /// How long to wait after the failure with this number (the first is 1), in milliseconds; `None` when it was the last.
    /// Chance only ever lengthens it, by a fifth at most.
    pub fn delay_ms(&self, failures: u32, chance: Chance) -> Option<u64> {
        let before = failures.saturating_sub(1);
        let delay_ms = match self {
            Self::Doubling { retries, .. } if before >= *retries => return None,
            Self::Doubling { first_ms, cap_ms, .. } => {
                first_ms.checked_shl(before.min(32)).unwrap_or(u64::MAX).min(*cap_ms).min(DELAY_MS_MAX)
            }
            Self::Listed(delays_ms) => *delays_ms.get(before as usize)?,
        };
        Some(delay_ms + jitter(delay_ms / JITTER_DIVISOR, chance))
    }
}

/// A part of `at_most` that chance decides.
pub(super) fn jitter(at_most: u64, Chance(drawn): Chance) -> u64 {
    ((u128::from(at_most) * u128::from(drawn)) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delays(schedule: &Schedule, chance: Chance) -> Vec<u64> {
        (1..).map_while(|failures| schedule.delay_ms(failures, chance)).collect()
    }

    #[test]
    fn ton_events_tries_three_times_again() {
        assert_eq!(delays(&Schedule::TON_EVENTS, Chance(0)), [30_000, 60_000, 120_000]);
    }

    #[test]
    fn doubling_ends_at_its_cap() {
        let schedule = Schedule::Doubling { first_ms: 30_000, cap_ms: 600_000, retries: 100 };
        let all = delays(&schedule, Chance(0));
        assert_eq!(all[..6], [30_000, 60_000, 120_000, 240_000, 480_000, 600_000]);
        assert!(all.len() == 100 && all[6..].iter().all(|delay_ms| *delay_ms == 600_000));
    }

    #[test]
    fn the_standard_one_takes_three_days() {
        let all = delays(&Schedule::standard(), Chance(0));
        let total: u64 = all.iter().sum();
        assert_eq!((all.len(), total / 3_600_000), (9, 75));
    }

    #[test]
    fn a_list_has_its_limits() {
        assert_eq!(Schedule::listed(vec![1; DELAYS_MAX + 1]), None);
        assert_eq!(Schedule::listed(vec![DELAY_MS_MAX + 1]), None);
        assert!(Schedule::listed(vec![]).is_some_and(|none| none.delay_ms(1, Chance(0)).is_none()));
    }

    proptest! {
        #[test]
        fn chance_only_lengthens_a_delay_and_by_a_fifth_at_most(drawn: u32, failures in 1..10u32) {
            for schedule in [Schedule::TON_EVENTS, Schedule::standard()] {
                let (least, drawn) = (schedule.delay_ms(failures, Chance(0)), schedule.delay_ms(failures, Chance(drawn)));
                prop_assert_eq!(least.is_some(), drawn.is_some());
                if let (Some(least), Some(drawn)) = (least, drawn) {
                    prop_assert!(drawn >= least && drawn <= least + least / 5);
                }
            }
        }
    }
}
