//! What is done at the gate, on its way into the log. What strangers can make happen is stored at most so often, so that nobody
//! fills the log from outside; what operators do is stored all of it, beyond a pace a little later.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_actors::operations::Operations;
use millrace_model::operator::{Action, OperatorActed};

use crate::web::acts;

const WITHIN: Duration = Duration::from_secs(60);
/// Of lock-outs, in a minute.
const STRANGERS_MAX: u32 = 6;
/// Of everything else, before the act; what comes beyond that is stored after it.
const OPERATORS_MAX: u32 = 60;
const TOO_MANY: &str = "there were too many within a minute";

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
            Some(_) if acted.action == Action::LockOut => acts::unrecorded(&acted, &TOO_MANY),
            // Sixty acts that matter to nobody must not hide the next one.
            Some(operations) => acts::record_later(operations, acted, &TOO_MANY),
            None => acts::unrecorded(&acted, &"there is no log"),
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_model::operator::By;

    use super::*;
    use crate::web::operator::tests::{Desk, acts};

    #[tokio::test]
    async fn acts_of_operators_are_all_in_the_log_and_lock_outs_so_many_a_minute() {
        let desk = Desk::start().await;
        let recorder = Recorder::new(Some(desk.state.operations.clone()));
        let tell = async |by: By, action| {
            let acted = OperatorActed { by, action, subject: None, note: None };
            recorder.record(acted, DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1)).await;
        };
        for _ in 0..OPERATORS_MAX + 2 {
            tell(By::Operator("mallory".to_owned()), Action::EndSessions).await;
        }
        tell(By::Operator("mallory".to_owned()), Action::TurnOffCode).await;
        for _ in 0..STRANGERS_MAX + 2 {
            tell(By::Stranger, Action::LockOut).await;
        }
        let mut bell = desk.store.bell();
        let written = async {
            while !desk.state.operations.waiting().deeds.is_empty() {
                let _ = tokio::time::timeout(Duration::from_millis(50), bell.changed()).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), written).await.unwrap();
        let most = |most: u32| usize::try_from(most).unwrap();
        assert_eq!(acts(&desk, Action::EndSessions), most(OPERATORS_MAX) + 2);
        assert_eq!(acts(&desk, Action::TurnOffCode), 1, "nobody hides it behind what he did before");
        assert_eq!(acts(&desk, Action::LockOut), most(STRANGERS_MAX));
    }

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
