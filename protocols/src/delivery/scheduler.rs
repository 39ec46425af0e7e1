//! What is sent next, over all endpoints: fair, within limits, and never before its claim is durable.
//!
//! Whoever drives it does four things in turn: gives [hungry](Scheduler::next_hungry) endpoints what comes after their cursor;
//! stores the [changes](Scheduler::take_changes) and says when they are [durable](Scheduler::committed); sends what comes
//! [next](Scheduler::next); and says how each attempt [ended](Scheduler::finished). Endpoints take turns. Those that are slow, or
//! were never heard of, share a quarter of the places, so that the others always find one.

mod lane;
mod sums;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::cursor::{Cursor, Open, OrderKey, Pending, Position, Tries};
use super::endpoint::{Circuit, Gate, Order, Rate, SLOW_MS};
use super::policy::{Chance, Schedule};
use super::verdict::{Outcome, Reason, Verdict};
use lane::{Entry, Lane};
pub use sums::Sums;

/// How many notifications are under way at once, over all endpoints.
pub const IN_FLIGHT_MAX: u32 = 512;
/// How many of them to slow endpoints.
pub const SLOW_IN_FLIGHT_MAX: u32 = IN_FLIGHT_MAX / 4;

/// That a cursor only passed is stored after so many positions at the latest. After a crash it passes them again.
pub const PASSED_MAX: Position = 4_096;

/// An endpoint's number, given out in their order and never twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointNo(pub u32);

/// How an endpoint wants to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// When what failed is sent again.
    pub schedule: Schedule,
    /// Whether notifications have an order.
    pub order: Order,
    /// How many a second at most.
    pub rate: Option<Rate>,
}

/// Whether an endpoint is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Running,
    /// Somebody asked not to.
    Paused,
    /// It was disabled; what it is owed is kept.
    Disabled(Reason),
    /// It is no more.
    Removed,
}

/// An attempt to make now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt<T> {
    /// At whom.
    pub endpoint: EndpointNo,
    /// With what.
    pub position: Position,
    /// The same as it was handed in; `None` when it has to be looked up.
    pub payload: Option<T>,
    /// What was tried before.
    pub tries: Tries,
}

/// An endpoint's state, to be stored before anything that follows from it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub endpoint: EndpointNo,
    /// The last position that was claimed or passed over.
    pub dispatched_through: Position,
    /// All that is under way or about to be sent.
    pub open: Vec<(Position, Open)>,
    /// The retries that changed: as each stands, or `None` when it waits no more.
    pub retries: BTreeMap<Position, Option<Pending>>,
    /// Whether it is served.
    pub standing: Standing,
    /// It is left alone until this time, in milliseconds since 1970; 0 or long ago when it is not.
    pub closed_until_ms: u64,
    /// How many arrived at it.
    pub arrivals: u64,
}

/// How an endpoint does, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Whether it is served.
    pub standing: Standing,
    /// Everything up to here is settled.
    pub acked_through: Position,
    /// Everything up to here was claimed or passed over.
    pub dispatched_through: Position,
    /// How many are claimed and not settled, those under way among them.
    pub open: usize,
    /// How many wait to be sent again.
    pub retries: usize,
    /// When the first of them is due, in milliseconds since 1970.
    pub next_due_ms: Option<u64>,
    /// How many are under way.
    pub in_flight: u32,
    /// How many may be.
    pub at_once: u32,
    /// It is left alone until this time, in milliseconds since 1970; 0 or long ago when it is not.
    pub closed_until_ms: u64,
    /// Whether that is because it failed again and again.
    pub circuit: Circuit,
}

/// All endpoints. `T` is what is sent, shared and cheap to clone.
#[derive(Debug)]
pub struct Scheduler<T> {
    lanes: Vec<Lane<T>>,
    /// Endpoints that have something to send.
    ring: VecDeque<EndpointNo>,
    /// Slow ones among them that wait for a place.
    slow_ring: VecDeque<EndpointNo>,
    /// Endpoints that may claim more.
    hungry: VecDeque<EndpointNo>,
    changed: Vec<EndpointNo>,
    committing: Vec<EndpointNo>,
    alarms: BinaryHeap<Reverse<(u64, EndpointNo)>>,
    /// Attempts by when they began, to find those that take long.
    begun: VecDeque<(u64, EndpointNo, Position)>,
    in_flight: u32,
    slow_in_flight: u32,
}

impl<T> Default for Scheduler<T> {
    fn default() -> Self {
        Self {
            lanes: Vec::new(),
            ring: VecDeque::new(),
            slow_ring: VecDeque::new(),
            hungry: VecDeque::new(),
            changed: Vec::new(),
            committing: Vec::new(),
            alarms: BinaryHeap::new(),
            begun: VecDeque::new(),
            in_flight: 0,
            slow_in_flight: 0,
        }
    }
}

impl<T> Scheduler<T> {
    /// Takes in an endpoint, which is left alone until `closed_until_ms`. What its cursor has open was claimed by a process that ended: each is an attempt of which nothing
    /// is known, counted as such, to be noted with the next change and made again.
    pub fn add(&mut self, terms: Terms, standing: Standing, cursor: Cursor, closed_until_ms: u64) -> EndpointNo {
        let number = EndpointNo(u32::try_from(self.lanes.len()).expect("there are fewer than four thousand million"));
        let mut lane = Lane::new(terms, standing, cursor);
        lane.load.close_until(closed_until_ms);
        self.lanes.push(lane);
        self.touch(number);
        self.feed(number);
        number
    }

    /// What an endpoint that was taken in had open, with the number of the attempt of which nothing is known.
    pub fn unknown(&self, endpoint: EndpointNo) -> impl Iterator<Item = (Position, Tries)> + '_ {
        let claimed = self.lane(endpoint).claimed.iter();
        claimed.filter(|entry| entry.open.tries.attempts > 0).map(|entry| (entry.position, entry.open.tries))
    }

    /// Changes how an endpoint is served.
    pub fn set_terms(&mut self, endpoint: EndpointNo, terms: Terms) {
        let lane = self.lane_mut(endpoint);
        lane.load.set_rate(terms.rate);
        lane.set_terms(terms);
        self.touch(endpoint);
        self.feed(endpoint);
    }

    /// Changes whether an endpoint is served. One that is served again has its failures forgiven.
    pub fn set_standing(&mut self, endpoint: EndpointNo, standing: Standing) {
        let lane = self.lane_mut(endpoint);
        if lane.standing == Standing::Removed {
            return;
        }
        lane.standing = standing;
        match standing {
            Standing::Running => lane.load.forgive(),
            Standing::Removed => lane.forget(),
            Standing::Paused | Standing::Disabled(_) => {}
        }
        self.touch(endpoint);
        self.feed(endpoint);
    }

    /// Goes on as if `through` were the last that was dispatched; what is owed stays owed.
    pub fn move_cursor(&mut self, endpoint: EndpointNo, through: Position) {
        self.lane_mut(endpoint).cursor.move_to(through);
        self.touch(endpoint);
        self.feed(endpoint);
    }

    /// Sends some once more, each that was dispatched before.
    pub fn resend(&mut self, endpoint: EndpointNo, positions: &[Position], now_ms: u64) {
        let lane = self.lane_mut(endpoint);
        positions.iter().for_each(|position| lane.cursor.resend(*position, now_ms));
        self.touch(endpoint);
        self.feed(endpoint);
    }

    /// An endpoint's cursor.
    pub fn cursor(&self, endpoint: EndpointNo) -> &Cursor {
        &self.lane(endpoint).cursor
    }

    /// Whether an endpoint is served.
    pub fn standing(&self, endpoint: EndpointNo) -> Standing {
        self.lane(endpoint).standing
    }

    /// How an endpoint does.
    pub fn view(&self, endpoint: EndpointNo) -> View {
        let Lane { standing, cursor, load, .. } = self.lane(endpoint);
        View {
            standing: *standing,
            acked_through: cursor.acked_through(),
            dispatched_through: cursor.dispatched_through(),
            open: cursor.open().len(),
            retries: cursor.retries().len(),
            next_due_ms: cursor.next_due_ms(),
            in_flight: load.in_flight(),
            at_once: load.at_once(),
            closed_until_ms: load.closed_until_ms(),
            circuit: load.circuit(),
        }
    }

    /// How many attempts are under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// There are new notifications: everybody may claim more.
    pub fn feed_all(&mut self) {
        (0..self.lanes.len() as u32).for_each(|number| self.feed(EndpointNo(number)));
    }

    /// These may claim more.
    pub fn feed_some(&mut self, endpoints: &[EndpointNo]) {
        endpoints.iter().for_each(|endpoint| self.feed(*endpoint));
    }

    /// The next endpoint that may be able to claim more.
    pub fn next_hungry(&mut self) -> Option<EndpointNo> {
        let endpoint = self.hungry.pop_front()?;
        self.lane_mut(endpoint).is_hungry = false;
        Some(endpoint)
    }

    /// Claims what is due again, and says how many new ones may be claimed after that.
    pub fn claim_due(&mut self, endpoint: EndpointNo, now_ms: u64) -> usize {
        let lane = self.lane_mut(endpoint);
        let mut room = lane.room_for_due(now_ms);
        let mut is_changed = false;
        while room > 0 && lane.claim_due(now_ms) {
            (room, is_changed) = (room - 1, true);
        }
        let room = lane.room(now_ms);
        if is_changed {
            self.touch(endpoint);
        }
        self.watch(endpoint, now_ms);
        room
    }

    /// Claims the next notification that the endpoint wants, unless it is owed already.
    pub fn claim(&mut self, endpoint: EndpointNo, position: Position, key: Option<OrderKey>, payload: T) {
        let lane = self.lane_mut(endpoint);
        let key = key.filter(|_| lane.terms.order == Order::PerDeposit);
        if lane.cursor.claim(position, key) {
            let open = Open { tries: Tries::default(), key };
            lane.claimed.push_back(Entry { position, payload: Some(payload), open });
        }
        self.touch(endpoint);
    }

    /// Passes over notifications up to this position that the endpoint does not want. That alone is stored seldom, and with
    /// the next change.
    pub fn pass(&mut self, endpoint: EndpointNo, through: Position) {
        let lane = self.lane_mut(endpoint);
        if through > lane.cursor.dispatched_through() {
            lane.cursor.pass(through);
            if lane.has_passed_far(endpoint) {
                self.touch(endpoint);
            }
        }
    }

    /// The process is about to end: what was claimed and not sent waits for the next one.
    pub fn release_unsent(&mut self, now_ms: u64) {
        for number in 0..self.lanes.len() as u32 {
            let endpoint = EndpointNo(number);
            let lane = self.lane_mut(endpoint);
            if lane.release_unsent(now_ms) | lane.has_passed() {
                self.touch(endpoint);
            }
        }
    }

    /// Whether something has to be stored.
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What has to be stored. Nothing of it is sent before [`Scheduler::committed`], and nothing is taken again before that.
    pub fn take_changes(&mut self) -> Vec<Change> {
        assert!(self.committing.is_empty(), "one set of changes is stored at a time");
        self.committing = std::mem::take(&mut self.changed);
        let changed = self.committing.clone();
        changed.into_iter().filter_map(|endpoint| self.lane_mut(endpoint).take_change(endpoint)).collect()
    }

    /// What was taken is durable.
    pub fn committed(&mut self) {
        for endpoint in std::mem::take(&mut self.committing) {
            self.lane_mut(endpoint).committed();
            self.enter(endpoint);
        }
    }

    /// What to send now, if anything.
    pub fn next(&mut self, now_ms: u64) -> Option<Attempt<T>> {
        while self.in_flight < IN_FLIGHT_MAX {
            let endpoint = self.ring.pop_front()?;
            self.lane_mut(endpoint).is_in_ring = false;
            if let Some(attempt) = self.next_of(endpoint, now_ms) {
                self.enter(endpoint);
                return Some(attempt);
            }
        }
        None
    }

    fn next_of(&mut self, endpoint: EndpointNo, now_ms: u64) -> Option<Attempt<T>> {
        let is_full = self.slow_in_flight >= SLOW_IN_FLIGHT_MAX;
        let lane = &mut self.lanes[endpoint.0 as usize];
        if lane.standing != Standing::Running || lane.ready.is_empty() {
            return None;
        }
        match lane.load.gate(now_ms) {
            Gate::Open if lane.load.is_slow() && is_full => {
                lane.is_in_ring = true;
                self.slow_ring.push_back(endpoint);
                return None;
            }
            Gate::Open => {}
            Gate::Busy => return None,
            Gate::Until(at_ms) => {
                self.alarm(endpoint, at_ms);
                return None;
            }
        }
        let entry = lane.take_ready()?;
        lane.flying.push((entry.position, now_ms));
        self.weigh(endpoint, |lane| lane.load.begin(now_ms));
        self.begun.push_back((now_ms, endpoint, entry.position));
        Some(Attempt { endpoint, position: entry.position, payload: entry.payload, tries: entry.open.tries })
    }

    /// An attempt ended after `took_ms`. `None` when none was under way.
    pub fn finished(
        &mut self,
        endpoint: EndpointNo,
        position: Position,
        ended: (Outcome, u64),
        now_ms: u64,
        chance: Chance,
    ) -> Option<Verdict> {
        let (outcome, took_ms) = ended;
        let verdict = self.lane_mut(endpoint).finish(position, outcome, now_ms, chance)?;
        self.weigh(endpoint, |lane| lane.load.end(verdict.health, verdict.pause_until_ms, took_ms, now_ms));
        self.touch(endpoint);
        self.leave_slow_ring(endpoint);
        self.enter(endpoint);
        self.feed(endpoint);
        Some(verdict)
    }

    /// Slow endpoints take the places that became free; one that is slow no more does not wait for them.
    fn leave_slow_ring(&mut self, endpoint: EndpointNo) {
        if !self.lane(endpoint).load.is_slow()
            && let Some(index) = self.slow_ring.iter().position(|waiting| *waiting == endpoint)
        {
            self.slow_ring.remove(index);
            self.ring.push_back(endpoint);
        }
        let free = SLOW_IN_FLIGHT_MAX.saturating_sub(self.slow_in_flight) as usize;
        let waiting = self.slow_ring.len().min(free);
        self.ring.extend(self.slow_ring.drain(..waiting));
    }

    /// Time passed: what waited for it goes on.
    pub fn advance(&mut self, now_ms: u64) {
        while let Some(Reverse((at_ms, endpoint))) = self.alarms.peek().copied()
            && at_ms <= now_ms
        {
            self.alarms.pop();
            let lane = self.lane_mut(endpoint);
            if lane.alarm_ms == Some(at_ms) {
                lane.alarm_ms = None;
                self.enter(endpoint);
                self.feed(endpoint);
            }
        }
        while let Some((begun_ms, endpoint, position)) = self.begun.front().copied()
            && begun_ms + SLOW_MS < now_ms
        {
            self.begun.pop_front();
            if self.lane(endpoint).flying.contains(&(position, begun_ms)) {
                self.weigh(endpoint, |lane| lane.load.suspect());
            }
        }
    }

    /// When to come again if nothing happens before, in milliseconds since 1970.
    pub fn wake_ms(&mut self) -> Option<u64> {
        while let Some((begun_ms, endpoint, position)) = self.begun.front()
            && !self.lane(*endpoint).flying.contains(&(*position, *begun_ms))
        {
            self.begun.pop_front();
        }
        let suspicion_ms = self.begun.front().map(|(begun_ms, _, _)| begun_ms + SLOW_MS + 1);
        let alarm_ms = self.alarms.peek().map(|Reverse((at_ms, _))| *at_ms);
        suspicion_ms.into_iter().chain(alarm_ms).min()
    }

    fn lane(&self, endpoint: EndpointNo) -> &Lane<T> {
        &self.lanes[endpoint.0 as usize]
    }

    fn lane_mut(&mut self, endpoint: EndpointNo) -> &mut Lane<T> {
        &mut self.lanes[endpoint.0 as usize]
    }

    /// Changes an endpoint's load and keeps count of all and of the slow ones.
    fn weigh(&mut self, endpoint: EndpointNo, change: impl FnOnce(&mut Lane<T>)) {
        let lane = &mut self.lanes[endpoint.0 as usize];
        let (all, slow) = lane.weight();
        change(lane);
        let (all_after, slow_after) = lane.weight();
        self.in_flight = self.in_flight - all + all_after;
        self.slow_in_flight = self.slow_in_flight - slow + slow_after;
    }

    fn touch(&mut self, endpoint: EndpointNo) {
        let lane = &mut self.lanes[endpoint.0 as usize];
        if !std::mem::replace(&mut lane.is_changed, true) {
            self.changed.push(endpoint);
        }
    }

    fn feed(&mut self, endpoint: EndpointNo) {
        let lane = &mut self.lanes[endpoint.0 as usize];
        if lane.standing == Standing::Running && !std::mem::replace(&mut lane.is_hungry, true) {
            self.hungry.push_back(endpoint);
        }
    }

    fn enter(&mut self, endpoint: EndpointNo) {
        let lane = &mut self.lanes[endpoint.0 as usize];
        if !lane.ready.is_empty() && !std::mem::replace(&mut lane.is_in_ring, true) {
            self.ring.push_back(endpoint);
        }
    }

    /// Comes back when the endpoint may claim something again that it may not now.
    fn watch(&mut self, endpoint: EndpointNo, now_ms: u64) {
        let lane = self.lane(endpoint);
        let closed_until_ms = lane.load.closed_until_ms();
        if closed_until_ms > now_ms {
            self.alarm(endpoint, closed_until_ms);
        } else if let Some(due_ms) = lane.cursor.next_due_ms().filter(|due_ms| *due_ms > now_ms) {
            self.alarm(endpoint, due_ms);
        }
    }

    fn alarm(&mut self, endpoint: EndpointNo, at_ms: u64) {
        let lane = &mut self.lanes[endpoint.0 as usize];
        if lane.alarm_ms.is_none_or(|set_ms| at_ms < set_ms) {
            lane.alarm_ms = Some(at_ms);
            self.alarms.push(Reverse((at_ms, endpoint)));
        }
    }
}

#[cfg(test)]
mod tests;
