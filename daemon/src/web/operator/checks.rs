//! Projections held against the log as an operator asks for it, beside the running desk: one look at a time, on a thread that gives
//! way, and no longer than [`LASTS_MAX`].

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use millrace_actors::background::in_the_background;
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::projection::{self, Checked, CompareError, Projection, Views};
use tokio::sync::watch;

use super::proofs::PANICKED;
use crate::web::problem::Problem;

/// A look that takes longer is given up: the desk has had no time for it.
const LASTS_MAX: Duration = Duration::from_secs(4 * 3_600);
const GIVEN_UP: &str = "It was given up after four hours: the desk's own work left no time for it.";

/// Whoever follows the page hears how far a look is no more often than this: each time his stream wakes and looks at everything.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What became of the looks since the desk was started, and the one that is under way. It ends with whoever holds this.
#[derive(Debug)]
pub(in crate::web) struct Checks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    now: watch::Sender<Looked>,
}

/// How it stands with them.
#[derive(Debug, Clone, Default)]
pub(in crate::web) struct Looked {
    /// The one that is under way.
    pub(in crate::web) running: Option<Running>,
    /// What the newest of each projection found.
    pub(in crate::web) newest: BTreeMap<Projection, Arc<Check>>,
}

/// A look under way.
#[derive(Debug, Clone)]
pub(in crate::web) struct Running {
    /// At which of them.
    pub(in crate::web) projections: Vec<Projection>,
    /// Since when.
    pub(in crate::web) since: DateTime<Utc>,
    /// The event up to which they are folded.
    pub(in crate::web) position: u64,
    /// The event up to which they will be; 0 until that is known.
    pub(in crate::web) end: u64,
}

/// What a look found.
#[derive(Debug)]
pub(in crate::web) struct Check {
    /// When it ended.
    pub(in crate::web) at: DateTime<Utc>,
    /// How often the projection had been made by then.
    pub(in crate::web) generation: i64,
    /// What it found, or why it found nothing out.
    pub(in crate::web) outcome: Result<Checked, String>,
}

impl Checks {
    pub(super) fn new() -> Self {
        Self { shared: Arc::new(Shared { now: watch::Sender::default() }) }
    }

    /// How it stands with them now.
    pub(in crate::web) fn now(&self) -> Looked {
        self.shared.now.borrow().clone()
    }

    /// Rings when that changes.
    pub(in crate::web) fn subscribe(&self) -> watch::Receiver<Looked> {
        self.shared.now.subscribe()
    }

    /// Begins to look at these; refused while others are looked at.
    pub(super) fn begin(&self, log: PathBuf, views: Views, wanted: Vec<Projection>) -> Result<(), Problem> {
        self.begin_heard(log, views, wanted, || ())
    }

    /// The same; `heard` is called, on the look's thread, at each page that is folded and each row.
    pub(in crate::web) fn begin_heard(
        &self,
        log: PathBuf,
        views: Views,
        wanted: Vec<Projection>,
        heard: impl FnMut() + Send + 'static,
    ) -> Result<(), Problem> {
        self.claim(&wanted)?;
        let shared = Arc::downgrade(&self.shared);
        tokio::task::spawn_blocking(move || {
            let looked =
                catch_unwind(AssertUnwindSafe(|| in_the_background(|| look((&log, &views), &wanted, &shared, heard))));
            if let (Some(found), Some(shared)) =
                (looked.unwrap_or_else(|_| Some(Err(PANICKED.to_owned()))), shared.upgrade())
            {
                shared.ended(&views, &wanted, found);
            }
        });
        Ok(())
    }

    /// From here on nobody else's look begins until what was found is noted.
    pub(in crate::web) fn claim(&self, wanted: &[Projection]) -> Result<(), Problem> {
        let running = Running { projections: wanted.to_vec(), since: SystemClock.now(), position: 0, end: 0 };
        let has_begun = self.shared.now.send_if_modified(|looked| {
            let is_free = looked.running.is_none();
            looked.running.get_or_insert(running);
            is_free
        });
        let message = "A projection is being verified already; there is one look at a time.";
        if has_begun { Ok(()) } else { Err(Problem::conflict("not_allowed", message)) }
    }
}

/// Each with what was found of it, or why nothing was of any.
type Found = Result<Vec<(Projection, Result<Checked, String>)>, String>;

/// Nothing when nobody is there any more who wants to know.
fn look(
    (log, views): (&Path, &Views),
    wanted: &[Projection],
    shared: &Weak<Shared>,
    mut heard: impl FnMut(),
) -> Option<Found> {
    let (began, mut is_late, mut teller) = (Instant::now(), false, Teller::default());
    let checks = projection::check(log, views, wanted, &mut |position, end| {
        heard();
        let now = Instant::now();
        is_late = now.duration_since(began) > LASTS_MAX;
        let Some(shared) = shared.upgrade().filter(|_| !is_late) else { return ControlFlow::Break(()) };
        if teller.is_due(now) {
            shared.reached(position, end);
        }
        ControlFlow::Continue(())
    });
    match checks {
        Ok(Some(checks)) => {
            Some(Ok(checks.into_iter().map(|(of, checked)| (of, checked.map_err(|why| sentence(&why)))).collect()))
        }
        Ok(None) => is_late.then(|| Err(GIVEN_UP.to_owned())),
        Err(why) => Some(Err(sentence(&why))),
    }
}

/// When it was told last how far a look is.
#[derive(Debug, Default)]
struct Teller {
    told: Option<Instant>,
}

impl Teller {
    /// Whether it is time again; the first time it is.
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.told.is_none_or(|told| now.duration_since(told) >= TOLD_EVERY);
        if is_due {
            self.told = Some(now);
        }
        is_due
    }
}

/// Why nothing was found out, for whoever is at the console.
fn sentence(why: &CompareError) -> String {
    match why {
        CompareError::OfAnother(_) => {
            "What is shown is of another version, or was not made yet; once it is made anew it can be verified."
                .to_owned()
        }
        other => other.to_string(),
    }
}

impl Shared {
    fn reached(&self, at: u64, of: u64) {
        self.now.send_if_modified(|looked| {
            let Some(Running { position, end, .. }) = &mut looked.running else { return false };
            let is_new = (*position, *end) != (at, of);
            (*position, *end) = (at, of);
            is_new
        });
    }

    fn ended(&self, views: &Views, wanted: &[Projection], found: Found) {
        let at = SystemClock.now();
        let found = found.unwrap_or_else(|why| wanted.iter().map(|of| (*of, Err(why.clone()))).collect());
        let made = views.projections(0);
        let generation = |of| made.iter().find(|status| status.name == of).map_or(0, |status| status.generation);
        self.now.send_modify(|looked| {
            looked.running = None;
            for (of, outcome) in found {
                let generation = outcome.as_ref().map_or_else(|_| generation(of), |checked| checked.generation);
                looked.newest.insert(of, Arc::new(Check { at, generation, outcome }));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ten_thousand_pages_a_millisecond_apart_ten_are_told() {
        let (began, mut teller) = (Instant::now(), Teller::default());
        let told = (0..10_000).filter(|passed| teller.is_due(began + Duration::from_millis(*passed))).count();
        assert_eq!(told, 10);
    }
}
