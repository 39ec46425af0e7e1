//! The head file: what is known of the log outside the data folder, so that a copy of the log is found out before it acts.
//!
//! It says how far the log reached and which numbers of deposit addresses may be in use. It is compared each time the log
//! was opened, before anybody has the log; a log that does not reach so far, or went on otherwise, is halted by an event
//! of its own. From then on the file follows the log: a position goes into it after its commit, never before, so that no
//! crash makes a log look like a copy; a number goes into it before it is given out, many at once.
//!
//! Not responsible for what a halted desk does: that is the brakes' and the binder's business.

mod file;
mod keeper;
mod standing;
#[cfg(test)]
mod tests;
mod told;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millrace_model::head::Head;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::event_store::{Execution, Log, Opening, Reader, Store};
use crate::supervision::{Incarnation, Policy, Reporter, Tree, TreeError};

pub use file::FileError;
use file::HeadPath;
use standing::{Finding, Unclear, compare};

/// The part's name in the tree.
pub const PART: &str = "head_file";
/// How many numbers are noted beyond the one that is asked for, at least. So many addresses are passed over when a log was
/// restored.
const STEP_MIN: u32 = 100;
/// And at most, while they are given out so fast that the file would be written all the time.
const STEP_MAX: u32 = 8_192;
/// How long a number may have to wait for the disk.
const RESERVE_WITHIN: Duration = Duration::from_secs(5);

/// What becomes of a head that another log left behind, or one whose log is gone altogether.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// Nothing goes out.
    Refused,
    /// The log begins anew with it: a sandbox may be thrown away.
    TakenOver,
}

/// Where the file is and how it is dealt with.
#[derive(Clone)]
pub struct Settings {
    /// The file, which is not in the data folder.
    pub path: PathBuf,
    /// What becomes of a head that is not this log's.
    pub foreign: Foreign,
    /// Where it is written.
    pub execution: Execution,
    /// Dates the halt.
    pub clock: Arc<dyn Clock>,
}

/// The number may not be given out: the file does not say so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no number can be taken: {0}")]
pub struct NotReserved(String);

/// The head file as others hold it. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct HeadFile(Option<Arc<Shared>>);

struct Shared {
    settings: Settings,
    kept: Mutex<Kept>,
    state: Mutex<State>,
    /// Rings when the state is another.
    changed: Notify,
    /// Rings when the keeper has something to do.
    called: Notify,
}

/// Held while the disk is asked.
struct Kept {
    file: HeadPath,
    /// Counts how often the log was opened.
    opening: u64,
}

struct State {
    compared: Result<(), String>,
    opening: u64,
    /// What stands in the file, for certain.
    head: Head,
    /// Numbers below this one are wanted.
    wanted: u32,
    step: u32,
    attempts: u64,
    failure: Option<String>,
}

/// What stands in a head file, for somebody who only looks; `None` when there is no file.
pub fn read(path: &Path) -> Result<Option<Head>, FileError> {
    HeadPath::new(path.to_owned()).read()
}

/// Puts a head file in place.
#[cfg(test)]
pub(crate) fn place(path: &Path, head: &Head) {
    HeadPath::new(path.to_owned()).replace(head).unwrap();
}

/// Adds the part that keeps the file to the tree.
pub fn start(tree: &Tree, head_file: &HeadFile, store: Store) -> Result<(), TreeError> {
    let Some(shared) = head_file.0.clone() else { return Ok(()) };
    tree.add(PART, Policy::permanent(), move |incarnation: Incarnation<keeper::Actor>| {
        keeper::Actor::new(Arc::clone(&shared), store.clone(), incarnation)
    })?;
    Ok(())
}

impl HeadFile {
    /// A head file that was not looked at yet. [`Self::opening`] is for the store, [`start`] for the tree.
    pub fn new(settings: Settings) -> Self {
        let kept = Kept { file: HeadPath::new(settings.path.clone()), opening: 0 };
        let state = State {
            compared: Err("the log was not opened yet".to_owned()),
            opening: 0,
            head: Head::EMPTY,
            wanted: 0,
            step: STEP_MIN,
            attempts: 0,
            failure: None,
        };
        let (kept, state) = (Mutex::new(kept), Mutex::new(state));
        Self(Some(Arc::new(Shared { settings, kept, state, changed: Notify::new(), called: Notify::new() })))
    }

    /// That of a log beside which none is kept: nothing waits for it.
    pub fn unkept() -> Self {
        Self(None)
    }

    /// Compares a log that was just opened.
    pub fn opening(&self) -> Option<Opening> {
        let shared = self.0.clone()?;
        Some(Arc::new(move |log: &mut Log, reader: &Reader| shared.opened(log, reader)))
    }

    /// Why nothing goes out yet; `None` once the log was compared.
    pub fn closed(&self) -> Option<&'static str> {
        let is_compared = self.0.as_ref().is_none_or(|shared| shared.state().compared.is_ok());
        (!is_compared).then_some("the log was not compared with the head file yet")
    }

    /// Waits until the log was compared, and says so.
    pub async fn compared_for(&self, report: &Reporter) {
        let Some(shared) = &self.0 else { return };
        loop {
            let changed = shared.changed.notified();
            if shared.state().compared.is_ok() {
                return report.clear(PART);
            }
            report.set(PART, "waiting for the log to be compared with the head file");
            changed.await;
        }
    }

    /// Waits until the file says that this number may be in use, whatever happens from here on.
    pub async fn reserve(&self, index: u32) -> Result<(), NotReserved> {
        let Some(shared) = &self.0 else { return Ok(()) };
        match tokio::time::timeout(RESERVE_WITHIN, shared.reserve(index)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(NotReserved("the head file was not written in time".to_owned())),
        }
    }
}

impl std::fmt::Debug for HeadFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HeadFile").field(&self.0.as_ref().map(|shared| &shared.settings.path)).finish()
    }
}

impl State {
    /// Whether numbers will soon be short.
    fn is_short(&self) -> bool {
        self.wanted.saturating_add(self.step / 2) > self.head.next_index
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reserve(&self, index: u32) -> Result<(), NotReserved> {
        let mut asked_at = None;
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                state.wanted = state.wanted.max(index.saturating_add(1));
                if state.is_short() {
                    self.called.notify_one();
                }
                if index < state.head.next_index {
                    return Ok(());
                }
                let is_later = state.attempts > *asked_at.get_or_insert(state.attempts);
                if let (true, Some(failure)) = (is_later, &state.failure) {
                    return Err(NotReserved(failure.clone()));
                }
            }
            changed.await;
        }
    }

    /// Before anybody has the log. A log is not begun before it has its head file; one that has begun is opened whatever
    /// the file is like, so that deposits are seen.
    fn opened(&self, log: &mut Log, reader: &Reader) -> Result<(), String> {
        let mut kept = self.kept();
        kept.opening += 1;
        self.uncompared(kept.opening, "it is being compared".to_owned());
        match self.settle(&mut kept, log, reader) {
            Ok(head) => self.compared(kept.opening, head),
            Err(Unclear::Log(error)) => return Err(error.to_string()),
            Err(unclear) if log.head() == 0 => return Err(unclear.to_string()),
            Err(unclear) => self.uncompared(kept.opening, unclear.to_string()),
        }
        Ok(())
    }

    fn settle(&self, kept: &mut Kept, log: &mut Log, reader: &Reader) -> Result<Head, Unclear> {
        loop {
            let found = kept.file.read()?;
            match compare(found, reader, (self.settings.foreign, &self.settings.path))? {
                Finding::New => {
                    kept.file.replace(&Head::EMPTY)?;
                    return Ok(Head::EMPTY);
                }
                Finding::Settled(head) => return Ok(head.unwrap_or(Head::EMPTY)),
                // Then the log says so itself.
                Finding::Departed(append) => {
                    let outcome = log.commit([*append], self.settings.clock.now()).0.pop();
                    outcome.expect("every append has an outcome").map_err(Unclear::NotTold)?;
                }
            }
        }
    }

    fn compared(&self, opening: u64, head: Head) {
        let mut state = self.state();
        if state.opening == opening {
            (state.compared, state.head) = (Ok(()), head);
            self.changed.notify_waiters();
        }
    }

    fn uncompared(&self, opening: u64, why: String) {
        let mut state = self.state();
        (state.compared, state.opening) = (Err(why), opening);
        self.changed.notify_waiters();
        self.called.notify_one();
    }
}
