//! Which questions to people can still be answered, and how many an address was asked lately, answered or not.
//!
//! Subscriptions that nobody confirmed end, but not before their last question is too old, and make room for others at any time
//! ([`super::endings`]); neither lets anybody have the same mailbox asked again and again. Kept in memory alone: what was asked before a start
//! counts as asked at that start.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use millrace_model::ids::SubscriptionId;

use super::people::CONFIRM_WITHIN_S;
use super::{Known, SUBSCRIPTIONS_MAX};

/// For how long a registration that nobody confirmed counts at its address, whether it still stands or not.
const COUNTED: TimeDelta = TimeDelta::days(1);

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Questions {
    started: DateTime<Utc>,
    all: Arc<Mutex<All>>,
}

#[derive(Debug, Default)]
struct All {
    /// When each was asked last, while that can be answered.
    last: BTreeMap<SubscriptionId, DateTime<Utc>>,
    /// Those that nobody confirmed, the oldest first; at most [`SUBSCRIPTIONS_MAX`].
    registered: VecDeque<Registered>,
}

#[derive(Debug)]
struct Registered {
    at: DateTime<Utc>,
    id: SubscriptionId,
    whose: String,
}

impl Questions {
    /// None yet, at the time of the start.
    pub(super) fn new(started: DateTime<Utc>) -> Self {
        Self { started, all: Arc::default() }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question is about to be sent.
    pub(super) fn ask(&self, id: SubscriptionId, now: DateTime<Utc>) {
        let mut all = self.all();
        all.last.retain(|_, at| can_be_answered(*at, now));
        all.last.insert(id, now);
    }

    /// Whether a person may have a question of this subscription that he can still answer.
    pub(super) fn is_open(&self, known: &Known, now: DateTime<Utc>) -> bool {
        let is_of_a_person = known.endpoint.as_ref().is_ok_and(|endpoint| endpoint.leads_to_a_person());
        let asked = self.all().last.get(&known.subscription.id).copied().unwrap_or(self.started);
        is_of_a_person && known.is_asked() && can_be_answered(asked, now)
    }

    /// Somebody registered an address.
    pub(super) fn register(&self, id: SubscriptionId, address: &str, now: DateTime<Utc>) {
        let mut all = self.all();
        all.registered.retain(|registered| now - registered.at < COUNTED);
        if all.registered.len() >= SUBSCRIPTIONS_MAX {
            all.registered.pop_front();
        }
        all.registered.push_back(Registered { at: now, id, whose: whose(address) });
    }

    /// Whoever is there wants it: it does not count any more.
    pub(super) fn confirm(&self, id: SubscriptionId) {
        self.all().registered.retain(|registered| registered.id != id);
    }

    /// How often an address was registered lately and not confirmed.
    pub(super) fn registered_at(&self, address: &str, now: DateTime<Utc>) -> usize {
        let whose = whose(address);
        let counts = |it: &&Registered| it.whose == whose && now - it.at < COUNTED;
        self.all().registered.iter().filter(counts).count()
    }
}

/// For counting: the same for all spellings of a mailbox that many servers take for one.
pub(super) fn whose(address: &str) -> String {
    let address = address.to_ascii_lowercase();
    match address.rsplit_once('@') {
        Some((name, host)) => format!("{}@{host}", name.split('+').next().unwrap_or(name).replace('.', "")),
        None => address,
    }
}

fn can_be_answered(asked: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - asked).num_seconds() <= i64::try_from(CONFIRM_WITHIN_S).expect("an hour has few seconds")
}
