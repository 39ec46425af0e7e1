//! How fast the desk is: what came in, went out and became final in a minute, and how long customers waited for the desk.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One minute of the desk, or several taken together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Deposits that became the desk's.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub received: u64,
    /// Payouts that the node took.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sent: u64,
    /// Payouts that became final.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub confirmed: u64,
    /// How long it took from the one to the other: what the customer waited for the desk.
    #[serde(default, skip_serializing_if = "Waits::is_empty")]
    pub waits: Waits,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Pace {
    /// Both together.
    pub fn with(mut self, other: &Self) -> Self {
        self.received += other.received;
        self.sent += other.sent;
        self.confirmed += other.confirmed;
        self.waits.take_in(&other.waits);
        self
    }
}

/// How often it took how long, in steps of which four double the time: a quantile is right to a fifth.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits(BTreeMap<u8, u64>);

/// Steps in an octave, as a power of two.
const STEPS_LOG: u32 = 2;

impl Waits {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One more.
    pub fn note(&mut self, wait: Duration) {
        *self.0.entry(step(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))).or_default() += 1;
    }

    fn take_in(&mut self, other: &Self) {
        other.0.iter().for_each(|(step, count)| *self.0.entry(*step).or_default() += count);
    }

    /// The time within which so many of a thousand were done; nothing without any.
    pub fn quantile(&self, per_mille: u64) -> Option<Duration> {
        let all: u64 = self.0.values().sum();
        let wanted = (all * per_mille).div_ceil(1_000).max(1);
        let mut counted = 0;
        let found = self.0.iter().find(|(_, count)| {
            counted += **count;
            counted >= wanted
        });
        found.map(|(step, _)| Duration::from_millis(end_of(*step)))
    }
}

/// The step that a time in milliseconds falls into.
fn step(ms: u64) -> u8 {
    let ms = ms.max(1);
    let octave = ms.ilog2();
    let rest = match octave.checked_sub(STEPS_LOG) {
        Some(shift) => (ms >> shift) & ((1 << STEPS_LOG) - 1),
        None => (ms << (STEPS_LOG - octave)) & ((1 << STEPS_LOG) - 1),
    };
    // At most 63 octaves of four steps.
    (octave << STEPS_LOG) as u8 + rest as u8
}

/// The end of a step, in milliseconds.
fn end_of(step: u8) -> u64 {
    let (octave, rest) = (u32::from(step) >> STEPS_LOG, u128::from(step) & ((1 << STEPS_LOG) - 1));
    let end = ((1 << STEPS_LOG) + rest + 1) << octave >> STEPS_LOG;
    u64::try_from(end).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A time is within its step, and no step is wider than a quarter of what it holds.
        #[test]
        fn a_time_is_told_to_a_quarter(ms in 1u64..=1 << 50) {
            let end = end_of(step(ms));
            prop_assert!(ms <= end && end <= ms + ms.div_ceil(4) + 1, "{ms} {end}");
        }

        #[test]
        fn a_longer_time_is_in_no_lower_step(ms in 1u64..1 << 40, more in 0u64..1 << 40) {
            prop_assert!(step(ms) <= step(ms + more));
        }
    }

    #[test]
    fn quantiles_are_of_all_minutes_together() {
        let mut one = Pace { sent: 9, ..Pace::default() };
        (0..9).for_each(|_| one.waits.note(Duration::from_millis(100)));
        let mut other = Pace { received: 2, ..Pace::default() };
        other.waits.note(Duration::from_secs(60));
        let both = one.with(&other);
        assert_eq!((both.received, both.sent), (2, 9));
        assert_eq!(both.waits.quantile(500), Some(Duration::from_millis(112)));
        assert!(both.waits.quantile(950).unwrap() >= Duration::from_secs(60));
        assert_eq!(Waits::default().quantile(500), None);
    }
}
