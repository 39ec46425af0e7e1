//! Time in a story: the runtime's own, which stands still while anybody has work, told as the time of day.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use millrace_actors::clock::Clock;
use tokio::time::Instant;

/// The desk's clock. It can be wrong, as a machine's clock can.
pub struct StoryClock {
    began: Instant,
    wrong_by: Mutex<TimeDelta>,
}

impl StoryClock {
    /// A clock that is right.
    pub fn new() -> Self {
        Self { began: Instant::now(), wrong_by: Mutex::new(TimeDelta::zero()) }
    }

    /// From now on the desk's clock is wrong by this.
    pub fn set_wrong_by(&self, wrong_by: TimeDelta) {
        *self.wrong_by.lock().unwrap_or_else(PoisonError::into_inner) = wrong_by;
    }

    /// For how long the world has been there.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What everybody else's clock says.
    pub fn true_time(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.elapsed()).unwrap_or(TimeDelta::MAX);
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + elapsed
    }
}

impl Default for StoryClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for StoryClock {
    fn now(&self) -> DateTime<Utc> {
        self.true_time() + *self.wrong_by.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
