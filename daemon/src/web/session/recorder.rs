//! What is done at the gate, on its way into the log; what strangers can make happen at most so often, so that nobody fills
//! the log from outside.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_actors::operations::Operations;
use millrace_model::operator::{Action, OperatorActed};

use crate::web::acts;

const WITHIN: Duration = Duration::from_secs(60);
/// Of lock-outs, in a minute.
const STRANGERS_MAX: u32 = 6;
/// Of everything else.
const OPERATORS_MAX: u32 = 60;

/// Tells the log.
pub(super) struct Recorder {
    operations: Option<Operations>,
    strangers: Mutex<Minute>,
    operators: Mutex<Minute>,
}

/// How many there were since this minute began.
#[derive(Debug, Default)]
struct Minute {
    began: DateTime<Utc>,
    count: u32,
}

impl Minute {
    /// Whether there is room for one more.
    fn take(&mut self, most: u32, now: DateTime<Utc>) -> bool {
        // A clock that was set back begins a new one as well.
        if (now - self.began).to_std().map_or(true, |age| age >= WITHIN) {
            *self = Self { began: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= most
    }
}

impl Recorder {
    pub(super) fn new(operations: Option<Operations>) -> Self {
        Self { operations, strangers: Mutex::default(), operators: Mutex::default() }
    }

    pub(super) async fn record(&self, acted: OperatorActed, now: DateTime<Utc>) {
        let (minute, most) = match acted.action {
            Action::LockOut => (&self.strangers, STRANGERS_MAX),
            _ => (&self.operators, OPERATORS_MAX),
        };
        let has_room = minute.lock().unwrap_or_else(PoisonError::into_inner).take(most, now);
        match &self.operations {
            Some(operations) if has_room => acts::record(operations, acted).await,
            Some(_) => acts::unrecorded(&acted, &"there were too many within a minute"),
            None => acts::unrecorded(&acted, &"there is no log"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_in_a_minute_and_then_again() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let mut minute = Minute::default();
        let taken = (0..100).filter(|_| minute.take(6, at(1_000))).count();
        assert_eq!(taken, 6);
        assert!(!minute.take(6, at(1_059)) && minute.take(6, at(1_060)));
        assert!(minute.take(6, at(0)), "the clock was set back");
    }
}
