//! One endpoint among the others: what it claimed, what of that may be sent, what is under way.

use std::collections::{HashMap, VecDeque};

use super::super::cursor::{Cursor, Open, OrderKey, Pending, Position, Tries};
use super::super::endpoint::{Load, Order};
use super::super::policy::Chance;
use super::super::verdict::{Fate, Outcome, Past, Verdict, judge};
use super::{Change, EndpointNo, PASSED_MAX, Standing, Terms};

/// How many an endpoint claims for each that it may have under way, so that it has something to send while a claim is stored.
const CLAIMED_PER_PLACE: usize = 2;
/// How many it claims in any case.
const CLAIMED_MIN: usize = 16;
/// The same with an order, where those of a deposit that waits take up room.
const CLAIMED_MIN_ORDERED: usize = 256;
/// How many are claimed at most, with those that wait for others of their deposit.
const CLAIMED_MAX: usize = 1_024;

/// By how much two neighbours' places differ at which they are stored: a prime, so that all places come up.
const SHIFT: u64 = 1_009;

/// A claimed notification.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) position: Position,
    pub(super) payload: Option<T>,
    pub(super) open: Open,
}

#[derive(Debug)]
pub(super) struct Lane<T> {
    pub(super) terms: Terms,
    pub(super) standing: Standing,
    pub(super) cursor: Cursor,
    pub(super) load: Load,
    /// Claimed since changes were last taken.
    pub(super) claimed: VecDeque<Entry<T>>,
    /// Claimed by changes that are being stored.
    committing: VecDeque<Entry<T>>,
    /// May be sent.
    pub(super) ready: VecDeque<Entry<T>>,
    /// Under way, each with when it began.
    pub(super) flying: Vec<(Position, u64)>,
    /// With an order: which notification of a deposit the others wait for.
    holders: HashMap<OrderKey, Position>,
    pub(super) is_in_ring: bool,
    pub(super) is_hungry: bool,
    pub(super) is_changed: bool,
    is_told_removed: bool,
    /// Up to where it passed when that was last stored.
    stored_through: Position,
    pub(super) alarm_ms: Option<u64>,
}

impl<T> Lane<T> {
    pub(super) fn new(terms: Terms, standing: Standing, mut cursor: Cursor) -> Self {
        let mut claimed = VecDeque::new();
        for (position, open) in cursor.note_unknown() {
            claimed.push_back(Entry { position, payload: None, open });
        }
        let mut lane = Self {
            stored_through: cursor.dispatched_through(),
            load: Load::new(terms.rate),
            terms,
            standing,
            cursor,
            claimed,
            committing: VecDeque::new(),
            ready: VecDeque::new(),
            flying: Vec::new(),
            holders: HashMap::new(),
            is_in_ring: false,
            is_hungry: false,
            is_changed: false,
            is_told_removed: false,
            alarm_ms: None,
        };
        lane.find_holders();
        lane
    }

    pub(super) fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
        self.find_holders();
    }

    /// The first of each deposit that is owed is the one the others wait for.
    fn find_holders(&mut self) {
        self.holders.clear();
        if self.terms.order == Order::Free {
            return;
        }
        let retries = self.cursor.retries().iter().filter_map(|(position, pending)| Some((pending.key?, *position)));
        let open = self.cursor.open().iter().filter_map(|(position, open)| Some((open.key?, *position)));
        for (key, position) in retries.chain(open) {
            let holder = self.holders.entry(key).or_insert(position);
            *holder = position.min(*holder);
        }
    }

    /// Drops what a removed endpoint was owed; what is under way ends by itself.
    pub(super) fn forget(&mut self) {
        self.claimed.clear();
        self.committing.clear();
        self.ready.clear();
        self.holders.clear();
        self.cursor = Cursor::default();
    }

    /// How many are under way, and how many of them to a slow endpoint.
    pub(super) fn weight(&self) -> (u32, u32) {
        let all = self.load.in_flight();
        (all, if self.load.is_slow() { all } else { 0 })
    }

    /// How many more may be claimed of what was never sent.
    pub(super) fn room(&self, now_ms: u64) -> usize {
        self.room_for_due(now_ms).min(CLAIMED_MAX.saturating_sub(self.cursor.open().len()))
    }

    /// How many more may be claimed of what is due again. What waits for others takes no room: it may be one of these that it
    /// waits for.
    pub(super) fn room_for_due(&self, now_ms: u64) -> usize {
        if self.standing != Standing::Running || self.load.closed_until_ms() > now_ms {
            return 0;
        }
        let least = match self.terms.order {
            Order::Free => CLAIMED_MIN,
            Order::PerDeposit => CLAIMED_MIN_ORDERED,
        };
        let most = least.max(self.load.at_once() as usize * CLAIMED_PER_PLACE);
        most.saturating_sub(self.cursor.open().len() - self.waiting())
    }

    /// How many of what is claimed wait for another of their deposit.
    fn waiting(&self) -> usize {
        if self.holders.is_empty() {
            return 0;
        }
        let waits = |position: &Position, open: &Open| {
            let holder = open.key.and_then(|key| self.holders.get(&key));
            holder.is_some_and(|holder| holder != position)
        };
        self.cursor.open().iter().filter(|(position, open)| waits(position, open)).count()
    }

    pub(super) fn claim_due(&mut self, now_ms: u64) -> bool {
        let Some((position, open)) = self.cursor.claim_due(now_ms) else { return false };
        self.claimed.push_back(Entry { position, payload: None, open });
        true
    }

    /// Whether it passed over something that is not stored.
    pub(super) fn has_passed(&self) -> bool {
        self.standing != Standing::Removed && self.cursor.dispatched_through() != self.stored_through
    }

    /// Whether that was enough to be stored for its own sake. Each has other places for that, so that not all come at once.
    pub(super) fn has_passed_far(&self, endpoint: EndpointNo) -> bool {
        let shift = u64::from(endpoint.0).wrapping_mul(SHIFT) % PASSED_MAX;
        let section = |position: Position| (position + shift) / PASSED_MAX;
        section(self.cursor.dispatched_through()) > section(self.stored_through)
    }

    /// That it was removed is told once: its owner may have come back by then, under another number.
    pub(super) fn take_change(&mut self, endpoint: EndpointNo) -> Option<Change> {
        self.is_changed = false;
        if std::mem::replace(&mut self.is_told_removed, self.standing == Standing::Removed) {
            return None;
        }
        self.committing.append(&mut self.claimed);
        self.stored_through = self.cursor.dispatched_through();
        Some(Change {
            endpoint,
            dispatched_through: self.cursor.dispatched_through(),
            open: self.cursor.open().iter().map(|(position, open)| (*position, *open)).collect(),
            retries: self.cursor.take_moved(),
            standing: self.standing,
            closed_until_ms: self.load.closed_until_ms(),
            arrivals: self.cursor.arrivals(),
        })
    }

    pub(super) fn committed(&mut self) {
        for entry in self.committing.drain(..) {
            // What is sent again comes before what was never sent: others of its deposit may wait for it.
            if entry.open.tries.attempts > 0 {
                self.ready.push_front(entry);
            } else {
                self.ready.push_back(entry);
            }
        }
    }

    /// Whether there was something.
    pub(super) fn release_unsent(&mut self, now_ms: u64) -> bool {
        let claimed = self.claimed.drain(..).chain(self.committing.drain(..)).chain(self.ready.drain(..));
        let unsent: Vec<_> = claimed.map(|entry| (entry.position, entry.open)).collect();
        for (position, Open { tries, key }) in &unsent {
            self.cursor.postpone(*position, Pending { not_before_ms: now_ms, tries: *tries, key: *key });
        }
        !unsent.is_empty()
    }

    /// The first that waits for no other of its deposit.
    pub(super) fn take_ready(&mut self) -> Option<Entry<T>> {
        if self.terms.order == Order::Free {
            return self.ready.pop_front();
        }
        let is_free = |entry: &Entry<T>| {
            let holder = entry.open.key.and_then(|key| self.holders.get(&key));
            holder.is_none_or(|holder| *holder == entry.position)
        };
        let free = self.ready.iter().position(is_free)?;
        let entry = self.ready.remove(free)?;
        if let Some(key) = entry.open.key {
            self.holders.insert(key, entry.position);
        }
        Some(entry)
    }

    /// Judges an attempt that ended and changes the cursor by it.
    pub(super) fn finish(
        &mut self,
        position: Position,
        outcome: Outcome,
        now_ms: u64,
        chance: Chance,
    ) -> Option<Verdict> {
        let flying = self.flying.iter().position(|(flying, _)| *flying == position)?;
        self.flying.swap_remove(flying);
        let open = self.cursor.open().get(&position).copied();
        let Open { tries, key } = open.unwrap_or(Open { tries: Tries::default(), key: None });
        let arrived = self.cursor.arrivals();
        let past = Past { failures: tries.failures.into(), arrived_then: tries.arrivals, arrived };
        let verdict = judge(outcome, &self.terms.schedule, past, now_ms, chance);
        if open.is_none() {
            return Some(verdict);
        }
        let attempts = tries.attempts.saturating_add(1);
        let arrivals = if tries.failures == 0 { arrived } else { tries.arrivals };
        let pending = |not_before_ms: u64, failures: u32| Pending {
            not_before_ms,
            tries: Tries { attempts, failures: u16::try_from(failures).unwrap_or(u16::MAX), arrivals },
            key,
        };
        match verdict.fate {
            Fate::Delivered => {
                self.cursor.arrive(position);
                self.free(position, key);
            }
            Fate::Aborted | Fate::GivenUp => {
                self.cursor.settle(position);
                self.free(position, key);
            }
            Fate::Retry { not_before_ms } => self.cursor.postpone(position, pending(not_before_ms, verdict.failures)),
            Fate::Disable(reason) => {
                self.cursor.postpone(position, pending(now_ms, 0));
                self.standing = Standing::Disabled(reason);
            }
        }
        Some(verdict)
    }

    /// Others of its deposit wait for it no more.
    fn free(&mut self, position: Position, key: Option<OrderKey>) {
        if let Some(key) = key
            && self.holders.get(&key) == Some(&position)
        {
            self.holders.remove(&key);
        }
    }
}
