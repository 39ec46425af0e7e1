//! What is asked of the projections and what is known of them: how far each is, which are being made anew, and which are to be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_model::ids::Position;
use serde::Serialize;
use tokio::sync::Notify;

use super::catalog::Projection;
use super::database::Mark;

/// A projection as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectionStatus {
    /// Which.
    pub name: Projection,
    /// The version that the program makes.
    pub version: i64,
    /// The version that is shown; nothing where nobody knows it.
    pub shown_version: Option<i64>,
    /// How often it was made. It grows when one that was made anew is shown.
    pub generation: i64,
    /// The event up to which it shows the log.
    pub position: Position,
    /// How many events of the log it does not show yet.
    pub lag: u64,
    /// Whether it is being made anew, or waits to be.
    pub rebuild: Option<Rebuild>,
    /// Why making it anew came to nothing the last time.
    pub failure: Option<String>,
}

/// How far a projection is that is being made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rebuild {
    /// The event up to which it goes.
    pub position: Position,
    /// The log's newest.
    pub end: Position,
    /// How many events it has taken in a second.
    pub events_per_second: u64,
    /// How long it will take at this speed.
    pub seconds_left: Option<u64>,
}

impl Rebuild {
    /// After so long, from one position to another, of a log that ends there.
    pub fn after(passed: Duration, (from, position, end): (Position, Position, Position)) -> Self {
        let events = u128::from(position.saturating_sub(from));
        let per_second = u64::try_from(events * 1_000 / passed.as_millis().max(1)).unwrap_or(u64::MAX);
        let left = end.saturating_sub(position);
        Self {
            position,
            end,
            events_per_second: per_second,
            seconds_left: (per_second > 0).then(|| left.div_ceil(per_second)),
        }
    }
}

/// What came of asking for a projection to be made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It will be.
    Noted,
    /// It is being, or will be already.
    Already,
}

/// Shared by the projection's incarnations and everybody who holds the views.
#[derive(Debug, Default)]
pub(super) struct Board {
    state: Mutex<State>,
    asked: Notify,
}

#[derive(Debug, Default)]
struct State {
    shown: BTreeMap<Projection, Mark>,
    wanted: BTreeSet<Projection>,
    making: BTreeSet<Projection>,
    progress: Option<Progress>,
    failures: BTreeMap<Projection, String>,
}

#[derive(Debug)]
struct Progress {
    began: Instant,
    from: Position,
    position: Position,
    end: Position,
}

impl Board {
    pub(super) fn statuses(&self, head: Position) -> Vec<ProjectionStatus> {
        let state = self.lock();
        Projection::ALL.into_iter().map(|of| state.status(of, head)).collect()
    }

    /// How far all of them are.
    pub(super) fn position(&self) -> Position {
        let state = self.lock();
        Projection::ALL.into_iter().map(|of| state.shown.get(&of).map_or(0, |mark| mark.position)).min().unwrap_or(0)
    }

    /// Asks for a projection to be made anew. Who asks while it is being made, or is about to be, asks for the same.
    pub(super) fn ask(&self, of: Projection) -> Asked {
        if self.ask_together(&[of]).is_empty() { Asked::Already } else { Asked::Noted }
    }

    /// The same for several that are to be made together; says which of them nobody had asked for.
    pub(super) fn ask_together(&self, wanted: &[Projection]) -> Vec<Projection> {
        let mut state = self.lock();
        let state = &mut *state;
        let is_new = |of: &Projection| !state.making.contains(of) && state.wanted.insert(*of);
        let noted: Vec<_> = wanted.iter().copied().filter(is_new).collect();
        state.failures.retain(|of, _| !noted.contains(of));
        if !noted.is_empty() {
            self.asked.notify_one();
        }
        noted
    }

    /// Waits until somebody asks.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// A new incarnation begins: nothing is being made.
    pub(super) fn begin(&self, shown: impl IntoIterator<Item = (Projection, Mark)>) {
        let mut state = self.lock();
        let state = &mut *state;
        // What an incarnation before was at was asked for, and is asked for still.
        state.wanted.append(&mut state.making);
        (state.shown, state.progress) = (shown.into_iter().collect(), None);
    }

    /// Those that are to be made, which are being made from now on.
    pub(super) fn take(&self) -> Vec<Projection> {
        let mut state = self.lock();
        state.making = std::mem::take(&mut state.wanted);
        state.progress = None;
        state.making.iter().copied().collect()
    }

    pub(super) fn progressed(&self, position: Position, end: Position) {
        let mut state = self.lock();
        match &mut state.progress {
            Some(progress) => (progress.position, progress.end) = (position, end),
            None => state.progress = Some(Progress { began: Instant::now(), from: position, position, end }),
        }
    }

    pub(super) fn show(&self, marks: impl IntoIterator<Item = (Projection, Mark)>) {
        self.lock().shown.extend(marks);
    }

    /// What was being made is made, or this is why not.
    pub(super) fn made(&self, outcome: Result<(), String>) {
        let mut state = self.lock();
        let made = std::mem::take(&mut state.making);
        state.progress = None;
        if let Err(why) = outcome {
            state.failures.extend(made.into_iter().map(|of| (of, why.clone())));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn status(&self, of: Projection, head: Position) -> ProjectionStatus {
        let shown = self.shown.get(&of);
        let position = shown.map_or(0, |mark| mark.position);
        let rebuild = match &self.progress {
            Some(Progress { began, from, position, end }) if self.making.contains(&of) => {
                Some(Rebuild::after(began.elapsed(), (*from, *position, *end)))
            }
            _ if self.making.contains(&of) || self.wanted.contains(&of) => {
                Some(Rebuild { position: 0, end: head, events_per_second: 0, seconds_left: None })
            }
            _ => None,
        };
        ProjectionStatus {
            name: of,
            version: of.version(),
            shown_version: shown.map(|mark| mark.version),
            generation: shown.map_or(0, |mark| mark.generation),
            position,
            lag: head.saturating_sub(position),
            rebuild,
            failure: self.failures.get(&of).cloned(),
        }
    }
}

/// What is shared with everybody who writes the views' file.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    /// Held while something is written: in order, so that nobody starves.
    pub(super) write: Arc<tokio::sync::Mutex<()>>,
    /// Held by whoever makes projections anew.
    pub(super) build: Arc<tokio::sync::Mutex<()>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asked_twice_it_is_made_once() {
        let board = Board::default();
        board.begin([]);
        assert_eq!(board.ask(Projection::Ledger), Asked::Noted);
        assert_eq!(board.ask(Projection::Ledger), Asked::Already);
        assert_eq!(board.take(), [Projection::Ledger]);
        assert_eq!(board.ask(Projection::Ledger), Asked::Already);
        assert_eq!(board.ask(Projection::Deposits), Asked::Noted);
        board.made(Err("no room".to_owned()));
        let failures = board.statuses(9).into_iter().filter_map(|status| Some((status.name, status.failure?)));
        assert_eq!(failures.collect::<Vec<_>>(), [(Projection::Ledger, "no room".to_owned())]);
        assert_eq!(board.take(), [Projection::Deposits]);
        assert_eq!(board.ask(Projection::Ledger), Asked::Noted);
    }

    #[test]
    fn how_long_it_will_take_follows_from_how_fast_it_was() {
        let rebuild = Rebuild::after(Duration::from_millis(500), (1_000, 2_000, 5_001));
        assert_eq!((rebuild.events_per_second, rebuild.seconds_left), (2_000, Some(2)));
        assert_eq!(Rebuild::after(Duration::ZERO, (0, 0, 9)).seconds_left, None);
    }
}
