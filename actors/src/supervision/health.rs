//! The health of every part: what it does, since when, why, how often it was restarted, what ails it.
//!
//! Readable from any thread and depending on nothing else, so that the pages can show it whatever is broken.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use tokio::sync::watch;

use super::group::Strategy;
use super::policy::Exit;
use crate::clock::Clock;

/// Texts come from errors, which may quote the outside world; what is kept of one is at most this.
const TEXT_BYTES_MAX: usize = 500;

/// What a part is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Being made, or connecting.
    Starting,
    /// Held back until what it depends on is up.
    Waiting,
    /// Handling messages.
    Running,
    /// Failed, and waiting before the next incarnation.
    BackingOff {
        /// When it will be tried again, by the wall clock.
        next_try: DateTime<Utc>,
    },
    /// Failed, and not restarted until an operator starts it.
    Down,
    /// Running, but told by the desk's brake to do nothing outside.
    Halted,
    /// Ended in order: stopped by an operator, shut down, or done.
    Stopped,
}

impl State {
    /// The state's word, as pages and metrics show it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::BackingOff { .. } => "backing off",
            Self::Down => "down",
            Self::Halted => "halted",
            Self::Stopped => "stopped",
        }
    }

    /// Whether nobody needs to wait for an answer of such a part: it failed, waits or was stopped.
    pub fn is_out(self) -> bool {
        match self {
            Self::Waiting | Self::BackingOff { .. } | Self::Down | Self::Stopped => true,
            Self::Starting | Self::Running | Self::Halted => false,
        }
    }
}

/// Something wrong that a part lives with while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// What is wrong; a part has each kind at most once.
    pub kind: &'static str,
    /// The sentence a person needs.
    pub text: String,
    /// Since when, also if the text has changed since.
    pub since: DateTime<Utc>,
}

/// The last failure of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// What it was.
    pub text: String,
    /// When it was.
    pub at: DateTime<Utc>,
}

/// Failures since a part ran for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// When the first of them was.
    pub since: DateTime<Utc>,
    /// How many there were.
    pub times: u64,
}

/// The health of one part, or of a group of parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartHealth {
    /// The part's name in the tree.
    pub name: String,
    /// The group it belongs to; none for what stands on its own.
    pub group: Option<String>,
    /// For a group, how its members depend on each other; none for a part.
    pub strategy: Option<Strategy>,
    /// What it is doing.
    #[serde(flatten)]
    pub state: State,
    /// Since when it has been doing that.
    pub since: DateTime<Utc>,
    /// Why, unless that goes without saying.
    pub why: Option<String>,
    /// How many incarnations followed the first one; for a group, how often members were stopped and started together.
    pub restarts: u64,
    /// The last failure, also when it has recovered since.
    pub last_error: Option<LastError>,
    /// What is wrong with it now, oldest first.
    pub conditions: Vec<Condition>,
    /// What went wrong since it ran, over all its incarnations; none while it runs.
    #[serde(skip)]
    pub failing: Option<Failing>,
    #[serde(skip)]
    incarnations: u64,
}

impl PartHealth {
    /// Running, and nothing wrong.
    pub fn is_well(&self) -> bool {
        self.state == State::Running && self.conditions.is_empty()
    }

    /// Whether it does no work of its own that it should do; supervisors only pass on what their parts suffer from.
    pub fn ails(&self) -> bool {
        self.strategy.is_none() && !self.is_well()
    }
}

/// The health of all parts, in the order in which they were added. Clones are the same registry.
#[derive(Clone)]
pub struct Registry {
    parts: Arc<watch::Sender<Vec<PartHealth>>>,
    clock: Arc<dyn Clock>,
}

impl Registry {
    /// A registry without parts.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { parts: Arc::new(watch::Sender::new(Vec::new())), clock }
    }

    /// The health of all parts at this moment.
    pub fn snapshot(&self) -> Vec<PartHealth> {
        self.parts.borrow().clone()
    }

    /// The health of the part of this name.
    pub fn part(&self, name: &str) -> Option<PartHealth> {
        self.parts.borrow().iter().find(|part| part.name == name).cloned()
    }

    /// A receiver that is rung at every change. Its borrow blocks reporting, so keep it short.
    pub fn subscribe(&self) -> watch::Receiver<Vec<PartHealth>> {
        self.parts.subscribe()
    }

    /// Adds a part of this group, or a group if there is a strategy; `None` if the name is taken.
    pub(super) fn enter(&self, name: &str, group: Option<String>, strategy: Option<Strategy>) -> Option<Entry> {
        let mut index = None;
        let now = self.clock.now();
        self.parts.send_if_modified(|parts| {
            if parts.iter().any(|part| part.name == name) {
                return false;
            }
            index = Some(parts.len());
            parts.push(PartHealth {
                name: name.to_owned(),
                group,
                strategy,
                state: State::Starting,
                since: now,
                why: None,
                restarts: 0,
                last_error: None,
                conditions: Vec::new(),
                failing: None,
                incarnations: 0,
            });
            true
        });
        index.map(|index| Entry { registry: self.clone(), index })
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Registry").field(&*self.parts.borrow()).finish()
    }
}

/// A supervisor's hand on its part's line. Parts are never taken out, so the index stays true.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    registry: Registry,
    index: usize,
}

impl Entry {
    pub(super) fn name(&self) -> String {
        self.registry.parts.borrow()[self.index].name.clone()
    }

    /// A new incarnation begins; the reporter it gets is deaf once the next one begins or this one ends.
    pub(super) fn begin(&self) -> Reporter {
        let mut incarnation = 0;
        self.change(|part, now| {
            part.restarts = part.incarnations;
            part.incarnations += 1;
            incarnation = part.incarnations;
            shift(part, State::Starting, None, now)
        });
        Reporter { entry: self.clone(), incarnation }
    }

    /// The incarnation has ended: nothing it reported holds any longer.
    pub(super) fn ended(&self, exit: &Exit) {
        self.change(|part, now| {
            part.conditions.clear();
            if exit.is_failure() {
                part.last_error = Some(LastError { text: cut(exit.to_string()), at: now });
            }
            true
        });
    }

    /// Whether that is another state than before.
    pub(super) fn set(&self, state: State, why: Option<String>) -> bool {
        let mut is_new = false;
        self.change(|part, now| {
            is_new = part.state != state;
            shift(part, state, why, now)
        });
        is_new
    }

    /// Its members are stopped and started together once more.
    pub(super) fn count_restart(&self) {
        self.change(|part, _| {
            part.restarts += 1;
            true
        });
    }

    pub(super) fn failed(&self, why: String) {
        self.change(|part, now| {
            part.last_error = Some(LastError { text: cut(why), at: now });
            true
        });
    }

    pub(super) fn backing_off(&self, pause: Duration, why: String) {
        let pause = TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX);
        self.change(|part, now| {
            let failing = part.failing.unwrap_or(Failing { since: now, times: 0 });
            part.failing = Some(Failing { times: failing.times + 1, ..failing });
            let next_try = now.checked_add_signed(pause).unwrap_or(DateTime::<Utc>::MAX_UTC);
            shift(part, State::BackingOff { next_try }, Some(why), now)
        });
    }

    fn change(&self, change: impl FnOnce(&mut PartHealth, DateTime<Utc>) -> bool) {
        let now = self.registry.clock.now();
        self.registry.parts.send_if_modified(|parts| change(&mut parts[self.index], now));
    }
}

/// Where a running actor reports what it lives with. Clones are the same reporter; the reports of an earlier
/// incarnation are ignored.
#[derive(Debug, Clone)]
pub struct Reporter {
    entry: Entry,
    incarnation: u64,
}

impl Reporter {
    /// Something is wrong, such as `set("node", "unreachable: connection refused")`. Repeating it changes nothing.
    /// Of `text`, the first 500 bytes are kept.
    pub fn set(&self, kind: &'static str, text: impl Into<String>) {
        let text = cut(text.into());
        self.change(|part, now| match part.conditions.iter_mut().find(|condition| condition.kind == kind) {
            Some(condition) if condition.text == text => false,
            Some(condition) => {
                condition.text = text;
                true
            }
            None => {
                part.conditions.push(Condition { kind, text, since: now });
                true
            }
        });
    }

    /// It is well again.
    pub fn clear(&self, kind: &'static str) {
        self.change(|part, _| {
            let before = part.conditions.len();
            part.conditions.retain(|condition| condition.kind != kind);
            part.conditions.len() != before
        });
    }

    /// The desk's brake holds this part; it goes on answering.
    pub fn halt(&self, why: impl Into<String>) {
        let why = Some(why.into());
        self.change(|part, now| shift(part, State::Halted, why, now));
    }

    /// The brake is off.
    pub fn resume(&self) {
        self.change(|part, now| part.state == State::Halted && shift(part, State::Running, None, now));
    }

    /// Its `started` has come back; a brake found on while starting stays shown.
    pub(super) fn running(&self) {
        self.change(|part, now| part.state == State::Starting && shift(part, State::Running, None, now));
    }

    fn change(&self, change: impl FnOnce(&mut PartHealth, DateTime<Utc>) -> bool) {
        self.entry
            .change(|part, now| part.incarnations == self.incarnation && !part.state.is_out() && change(part, now));
    }
}

/// Moves the part to `state`; `since` is kept if that is where it was.
fn shift(part: &mut PartHealth, state: State, why: Option<String>, now: DateTime<Utc>) -> bool {
    if part.state != state {
        part.since = now;
    }
    if state == State::Running {
        part.failing = None;
    }
    let why = why.map(cut);
    let changed = part.state != state || part.why != why;
    part.state = state;
    part.why = why;
    changed
}

/// Shortens `text` to the limit, at a character's boundary.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}
