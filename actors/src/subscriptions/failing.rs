//! How many subscriptions of a customer were disabled lately.
//!
//! Each of them is told to his others, and whoever knows a customer's hash can subscribe receivers that prove themselves and then
//! fail, again and again. So one whose subscriptions failed too often within a day begins no other one for a while. Kept in memory
//! alone: a start forgets it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use millrace_model::ids::Hash32;

use super::{Known, SUBSCRIPTIONS_MAX};

/// For how long one that was disabled counts.
const COUNTED: TimeDelta = TimeDelta::days(1);
/// After how many within that time a customer begins no other one: as many as he has places.
pub(super) const FAILURES_MAX: usize = super::OF_A_CUSTOMER_MAX;

/// When which customer's failed, the oldest first.
type Failed = VecDeque<(DateTime<Utc>, Hash32)>;

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures(Arc<Mutex<Failed>>);

impl Failures {
    /// A subscription is another one than before; it counts if it is silenced now and was not.
    pub(super) fn look(&self, before: Option<&Known>, after: &Known, now: DateTime<Utc>) {
        let was_silent = before.is_some_and(|before| before.subscription.silence().is_some());
        let Some(owner) = after.subscription.owner().filter(|_| !was_silent && after.subscription.silence().is_some())
        else {
            return;
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(at, _)| now - *at < COUNTED);
        if all.len() >= SUBSCRIPTIONS_MAX {
            all.pop_front();
        }
        all.push_back((now, owner));
    }

    /// Whether a customer begins no other one for now.
    pub(super) fn are_too_many(&self, owner: Hash32, now: DateTime<Utc>) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(at, whose)| *whose == owner && now - *at < COUNTED).count() >= FAILURES_MAX
    }
}
