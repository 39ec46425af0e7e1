//! The projections for pages and APIs: what is kept of the log so that it can be read fast.
//!
//! A projection has a name, a version, a table of its own, and a pure fold from events to changes of its rows; rows and the
//! position they stand for are committed together, so a restart goes on where they are. One follower reads the log once
//! for all of them and writes in one transaction. One whose version is another than the program's, or that somebody asks
//! for, is made anew from the log beside what is shown, and takes its place when it is as far.
//!
//! No effect rests on a projection. An event that cannot be read is passed over, and its deposit shown as unreadable; when a
//! start finds that other deposits can be read than before, what rests on deposits is made anew.

mod aside;
mod beside;
mod board;
mod build;
mod catalog;
mod cohort;
mod compare;
mod database;
mod fold;
mod followed;
mod follower;
mod milestones;
mod offline;
mod pace;
mod quarantine;
mod read_models;
mod row;
mod stored;
#[cfg(test)]
mod tests;
mod totals;
mod views;

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millrace_model::ids::Position;
use tokio::task::JoinHandle;

use crate::event_store::{OpenError, ReadError, Reader, Store};
use crate::supervision::{Reporter, Tree, TreeError};

use crate::background::in_the_background;
pub use board::{Asked, ProjectionStatus, Rebuild};
use build::{Build, Company, Ended, Source};
pub use catalog::{Projection, UnknownProjection};
use cohort::Cohort;
pub use compare::{Checked, Checks, CompareError, UNLIKE_KEPT_MAX, Unlike, UnlikeRow, check, compare};
use fold::Shown;
use follower::{Follower, Found};
pub use milestones::Milestones;
pub use offline::rebuild;
pub use pace::{Pace, Waits};
pub(crate) use read_models::addresses::row as binding_row;
pub use read_models::names::name_given;
pub use row::{DepositRow, UNREADABLE, UnreadableFrom};
pub use stored::{StoredDeposit, StoredError, StoredSums, StoredViews};
pub(crate) use totals::Summand;
pub use totals::{Line, Totals};
pub use views::{
    BindingRow, Change, Filter, HistoryEntry, LedgerCut, NOTIFICATIONS_MAX, NotificationFilter, NotificationPage,
    OFFSET_MAX, PAGE_ROWS_MAX, StoredNotification, Trouble, ViewError, Views, Whose,
};

/// The part's name in the tree.
pub const PART: &str = "projection";
/// How many events are folded into one transaction of the views.
const PAGE_EVENTS_MAX: usize = 8_192;
/// How long the projection rests after a transaction when it is not far behind, so that what happens meanwhile shares the
/// next one; whoever waits to see something ends the rest.
const REST: Duration = Duration::from_millis(50);
/// The condition of a part that shows what is not of this version.
const REBUILDING: &str = "rebuilding";

/// Adds the projection to the tree.
pub fn start(tree: &Tree, store: Store, views: Views) -> Result<(), TreeError> {
    tree.add_task(PART, move |report| {
        let (store, views) = (store.clone(), views.clone());
        async move {
            store.ready_for(&report).await;
            Work { store, views, report, stale: Vec::new() }.run().await.map(|never| match never {})
        }
    })
}

/// Why the projection starts afresh, or a projection is not made.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The views cannot be written.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The log's bell is gone.
    #[error("the event store is gone")]
    StoreGone,
}

/// What an incarnation does.
struct Work {
    store: Store,
    views: Views,
    report: Reporter,
    /// What is not of this version and not made anew yet.
    stale: Vec<Projection>,
}

/// A building under way, on a thread of its own. It ends soon after this is dropped.
struct Building {
    projections: Vec<Projection>,
    outcome: JoinHandle<Result<Option<Cohort>, ProjectionError>>,
    is_over: Arc<AtomicBool>,
}

impl Drop for Building {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Work {
    async fn run(mut self) -> Result<Infallible, ProjectionError> {
        let mut bell = self.store.bell();
        let mut follower = self.begin().await?;
        let mut building = None;
        loop {
            follower = self.go_on(follower).await?;
            if building.is_none() {
                building = self.build_what_is_asked();
            }
            let is_behind = follower.position().is_some_and(|position| position < self.store.head());
            tokio::select! {
                biased;
                made = outcome_of(&mut building) => follower = self.made(follower, made).await?,
                () = self.views.board().asked() => {}
                () = std::future::ready(()), if is_behind => {}
                rung = bell.changed() => rung.map_err(|_| ProjectionError::StoreGone)?,
            }
        }
    }

    /// Whoever wrote for the incarnation before has ended when this one looks: sums and position of two moments would count
    /// deposits twice.
    async fn begin(&mut self) -> Result<Follower, ProjectionError> {
        let turn = Arc::clone(&self.views.turns().write).lock_owned().await;
        let (path, reader, head) = (self.views.path().to_owned(), self.store.reader()?, self.store.head());
        let (follower, found) = on_a_thread(move || {
            let _turn = turn;
            Follower::begin(&path, &reader, head)
        })
        .await?;
        let Found { marks, stale, unfinished, shown } = found;
        self.views.board().begin(marks);
        self.show(shown);
        for projection in stale.iter().chain(&unfinished) {
            self.views.rebuild(*projection);
        }
        self.stale = stale;
        self.tell_stale();
        Ok(follower)
    }

    fn tell_stale(&self) {
        if self.stale.is_empty() {
            return self.report.clear(REBUILDING);
        }
        let names = catalog::named(&self.stale);
        self.report
            .set(REBUILDING, format!("made anew from the log: {names}; until then what is shown of them may be old"));
    }

    fn show(&self, shown: Shown) {
        if let Some(totals) = &shown.totals {
            quarantine::tell(totals, &self.report);
        }
        if let Some(ledger) = &shown.ledger {
            aside::tell(&ledger.unreadable, &self.views.ledger().unreadable, &self.report);
        }
        self.views.show(shown);
    }

    /// Takes the next page in, if there is one.
    async fn go_on(&self, mut follower: Follower) -> Result<Follower, ProjectionError> {
        let Some(position) = follower.position().filter(|position| *position < self.store.head()) else {
            return Ok(follower);
        };
        let (page, reader) = (self.store.after(position, PAGE_EVENTS_MAX)?, self.store.reader()?);
        let Some(last) = page.last() else { return Ok(follower) };
        follower = self.write(follower, move |follower| follower.take_in(&page, &reader)).await?;
        if self.store.head() < last + PAGE_EVENTS_MAX as Position {
            self.views.rest(REST).await;
        }
        Ok(follower)
    }

    /// Lets the follower write when it is its turn, and shows what it wrote.
    async fn write(
        &self,
        mut follower: Follower,
        work: impl FnOnce(&mut Follower) -> Result<Shown, ProjectionError> + Send + 'static,
    ) -> Result<Follower, ProjectionError> {
        let turn = Arc::clone(&self.views.turns().write).lock_owned().await;
        let (follower, shown) = on_a_thread(move || {
            let shown = work(&mut follower);
            drop(turn);
            (follower, shown)
        })
        .await;
        let shown = shown?;
        self.views.board().show(follower.marks());
        self.show(shown);
        Ok(follower)
    }

    fn build_what_is_asked(&self) -> Option<Building> {
        let projections = self.views.board().take();
        if projections.is_empty() {
            return None;
        }
        tracing::info!(projections = catalog::named(&projections), "made anew from the log");
        let is_over = Arc::new(AtomicBool::new(false));
        let (store, views, wanted, stop) =
            (self.store.clone(), self.views.clone(), projections.clone(), Arc::clone(&is_over));
        let outcome = tokio::task::spawn_blocking(move || in_the_background(|| build(&store, &views, &wanted, &stop)));
        Some(Building { projections, outcome, is_over })
    }

    async fn made(
        &mut self,
        follower: Follower,
        (projections, outcome): (Vec<Projection>, Result<Option<Cohort>, ProjectionError>),
    ) -> Result<Follower, ProjectionError> {
        let made = match outcome {
            Ok(Some(made)) => made,
            Ok(None) => return Ok(follower),
            Err(error) => {
                tracing::error!(projections = catalog::named(&projections), %error, "they are not made anew");
                self.views.board().made(Err(error.to_string()));
                // What is shown is of no use for long: the next incarnation tries again.
                let is_needed = projections.iter().any(|projection| self.stale.contains(projection));
                return if is_needed { Err(error) } else { Ok(follower) };
            }
        };
        let follower = self.until_as_far(follower, made.position()).await?;
        let store = self.store.clone();
        let taken_over = move |follower: &mut Follower| follower.take_over(made, &store, PAGE_EVENTS_MAX);
        let follower = self.write(follower, taken_over).await?;
        tracing::info!(projections = catalog::named(&projections), "what was made anew is shown");
        self.views.board().made(Ok(()));
        self.stale.retain(|stale| !projections.contains(stale));
        self.tell_stale();
        Ok(follower)
    }

    /// Who makes projections anew may be ahead of who shows the others.
    async fn until_as_far(&self, mut follower: Follower, made: Option<Position>) -> Result<Follower, ProjectionError> {
        while follower.position().is_some_and(|position| Some(position) < made) {
            follower = self.go_on(follower).await?;
        }
        Ok(follower)
    }
}

/// The outcome of a building, once it has ended; it is none any more then.
async fn outcome_of(building: &mut Option<Building>) -> (Vec<Projection>, Result<Option<Cohort>, ProjectionError>) {
    let Some(under_way) = building else { return std::future::pending().await };
    let outcome = joined((&mut under_way.outcome).await).await;
    let projections = std::mem::take(&mut under_way.projections);
    *building = None;
    (projections, outcome)
}

/// Makes projections anew; nothing when it was broken off.
fn build(
    store: &Store,
    views: &Views,
    projections: &[Projection],
    stop: &AtomicBool,
) -> Result<Option<Cohort>, ProjectionError> {
    // An incarnation before may still be at it.
    let _building = views.turns().build.blocking_lock();
    let reader = &Reader::open(store.reader()?.path())?;
    let mut build = Build::begin(views.path(), projections, store.head(), Arc::clone(&views.turns().write))?;
    let told = &mut |position, end| {
        views.board().progressed(position, end);
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    match build.run(Source { reader, company: Company::Desk }, &|| store.head(), told) {
        Ok(Ended::Near) => Ok(Some(build.finish())),
        Ok(Ended::BrokenOff) => Ok(None),
        Err(error) => {
            if let (ProjectionError::View(_), Err(error)) = (&error, build.discard()) {
                tracing::warn!(%error, "what was made of them stays in the file for now");
            }
            Err(error)
        }
    }
}

/// Does what takes its time where it is in nobody's way.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(tokio::task::spawn_blocking(work).await).await
}

async fn joined<T>(joined: Result<T, tokio::task::JoinError>) -> T {
    match joined {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and so does whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}
