//! Logs that grow old: in some lives much else is recorded while the desk is down, so that what it does comes to lie in finished parts of
//! the log, which are sealed while the desk goes on.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::idle_events;
use crate::seed::chance;

/// One life of so many has a past. They take longer.
const ONE_IN: u32 = 8;
/// Events that are there before the desk: with its first ones less than a segment.
const BEFORE_MAX: usize = 480;
/// Events that come at once: at least, at most.
const MEANWHILE: (usize, usize) = (600, 1_000);
/// How much further than other clocks the clock of such a life goes wrong: by two days at most.
const CLOCK_TIMES: i32 = 48;

/// What becomes of a log beside what the desk does.
pub struct Past {
    /// How old something is that is sealed. What is not sealed at once is sealed while the clock is far enough ahead.
    pub sealed_after: Duration,
    chance: SmallRng,
}

impl Past {
    /// The past of this life, if it has one.
    pub fn of(seed: u64) -> Option<Self> {
        let mut chance = chance(seed, "past");
        let has_one = chance.random_ratio(1, ONE_IN);
        let sealed_after = Duration::from_hours([0, 24][usize::from(chance.random_ratio(1, 3))]);
        has_one.then_some(Self { sealed_after, chance })
    }

    /// What was there before the desk.
    pub fn begin(&mut self, log: &Path, now: DateTime<Utc>) -> Result<()> {
        let events = self.chance.random_range(1..=BEFORE_MAX);
        idle_events::record(log, events, now)
    }

    /// What is recorded each time that the desk is down.
    pub fn go_on(&mut self, log: &Path, now: DateTime<Utc>) -> Result<()> {
        let events = self.chance.random_range(MEANWHILE.0..=MEANWHILE.1);
        idle_events::record(log, events, now)
    }

    /// How wrong the clock is.
    pub fn stretched(wrong_by: TimeDelta) -> TimeDelta {
        wrong_by * CLOCK_TIMES
    }
}
