//! Keeps the file up with the log, and ahead of the numbers that are given out; and tells of the log's head besides.

use std::sync::Arc;
use std::time::Duration;

use millrace_model::head::Head;
use millrace_model::ids::Position;
use tokio::time::Instant;
use xtra::Mailbox;

use super::file::FileError;
use super::standing::{Finding, Unclear, compare, of_log};
use super::{PART, STEP_MAX, STEP_MIN, Shared, told};
use crate::event_store::{AppendError, BellGone, Execution, ReadError, Store};
use crate::supervision::{Incarnation, Reporter};

/// The pause between two notes of how far the log is: so far the file may be behind.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// The pause after a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Numbers that are used up in less time are noted twice as many at a time.
const STEP_LASTS_MIN: Duration = Duration::from_secs(1);
/// Those that last longer, half as many.
const STEP_LASTS_MAX: Duration = Duration::from_secs(10);

/// The actor: its work is one task of its incarnation.
pub struct Actor {
    shared: Arc<Shared>,
    store: Store,
    incarnation: Incarnation<Self>,
}

impl Actor {
    pub(super) fn new(shared: Arc<Shared>, store: Store, incarnation: Incarnation<Self>) -> Self {
        Self { shared, store, incarnation }
    }

    fn keeper(&self) -> Keeper {
        let (shared, store) = (Arc::clone(&self.shared), self.store.clone());
        Keeper { shared, store, report: self.incarnation.report.clone(), raised: None, noted: None }
    }
}

impl xtra::Actor for Actor {
    type Stop = Result<(), BellGone>;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        self.incarnation.scope.spawn(self.keeper().keep());
        self.incarnation.scope.spawn(told::hourly(self.store.clone()));
        Ok(())
    }

    /// Whoever writes to the log ends before, so a desk that was told to stop leaves a file that knows all.
    async fn stopped(self) -> Self::Stop {
        let mut keeper = self.keeper();
        if matches!(keeper.errand(), Errand::Note)
            && let Err(behind) = keeper.write().await
        {
            tracing::warn!(%behind, "the head file was not brought up with the log");
        }
        told::tell(&self.store);
        Ok(())
    }
}

/// Why the file is behind.
#[derive(Debug, thiserror::Error)]
enum Behind {
    #[error("{0}; no address, order or payout goes out before the log was compared with it")]
    Unclear(#[from] Unclear),
    #[error("{0}; no new address is given out when the numbers noted there are used up")]
    File(#[from] FileError),
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("the log has no event {0}, which it was said to have")]
    Short(Position),
}

/// What is to be done next.
enum Errand {
    Compare,
    /// At once: somebody waits.
    Reserve,
    /// In its time.
    Note,
    Nothing,
}

struct Keeper {
    shared: Arc<Shared>,
    store: Store,
    report: Reporter,
    raised: Option<Instant>,
    noted: Option<Instant>,
}

impl Keeper {
    async fn keep(mut self) -> Result<(), BellGone> {
        self.store.ready_for(&self.report).await;
        let mut bell = self.store.bell();
        loop {
            let done = match self.errand() {
                Errand::Compare => self.compare().await,
                Errand::Reserve => self.write().await,
                Errand::Note => match self.noted.map(|noted| noted + NOTE_EVERY) {
                    Some(next) if next > Instant::now() => {
                        let _ = tokio::time::timeout_at(next, self.shared.called.notified()).await;
                        continue;
                    }
                    _ => self.write().await,
                },
                Errand::Nothing => {
                    tokio::select! {
                        rung = bell.changed() => rung?,
                        () = self.shared.called.notified() => {}
                    }
                    continue;
                }
            };
            match done {
                Ok(()) => self.report.clear(PART),
                Err(behind) => {
                    tracing::warn!(%behind, "the head file is not kept");
                    self.report.set(PART, behind.to_string());
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    fn errand(&self) -> Errand {
        let state = self.shared.state();
        match () {
            () if state.compared.is_err() => Errand::Compare,
            () if state.is_short() => Errand::Reserve,
            () if state.head.position != self.store.head() => Errand::Note,
            () => Errand::Nothing,
        }
    }

    /// For a log that was opened although the file could not be used.
    async fn compare(&self) -> Result<(), Behind> {
        let opening = self.shared.state().opening;
        let found = self.on_disk(|shared| shared.kept().file.read()).await.map_err(Unclear::from)?;
        let reader = self.store.reader()?;
        let settings = &self.shared.settings;
        match compare(found, &reader, (settings.foreign, &settings.path))? {
            Finding::New => self.shared.compared(opening, Head::EMPTY),
            Finding::Settled(head) => self.shared.compared(opening, head.unwrap_or(Head::EMPTY)),
            // Then the log says so itself when it is compared again.
            Finding::Departed(append) => drop(self.store.append(*append).await?),
        }
        Ok(())
    }

    /// Brings the file up with the log, and ahead of it where numbers are short.
    async fn write(&mut self) -> Result<(), Behind> {
        let written = self.try_write().await;
        let mut state = self.shared.state();
        state.attempts += 1;
        state.failure = written.as_ref().err().map(ToString::to_string);
        self.shared.changed.notify_waiters();
        written
    }

    async fn try_write(&mut self) -> Result<(), Behind> {
        let position = self.store.head();
        let opening = self.shared.state().opening;
        let Some((log, hash)) = of_log(&*self.store.reader()?, position)? else {
            return Err(Behind::Short(position));
        };
        let head = Head { log, position, hash, next_index: self.next_index() };
        self.on_disk(move |shared| shared.put(opening, head)).await?;
        self.noted = Some(Instant::now());
        Ok(())
    }

    /// Far enough ahead to last for a while; never less than it was.
    fn next_index(&mut self) -> u32 {
        let mut state = self.shared.state();
        if state.is_short() {
            let now = Instant::now();
            state.step = match self.raised.replace(now).map(|raised| now - raised) {
                Some(lasted) if lasted < STEP_LASTS_MIN => STEP_MAX.min(state.step * 2),
                Some(lasted) if lasted > STEP_LASTS_MAX => STEP_MIN.max(state.step / 2),
                Some(_) | None => state.step,
            };
        }
        if !state.is_short() {
            return state.head.next_index;
        }
        state.wanted.saturating_add(state.step).max(state.head.next_index)
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        match self.shared.settings.execution {
            Execution::Inline => work(&self.shared),
            Execution::Thread => {
                let shared = Arc::clone(&self.shared);
                let worked = tokio::task::spawn_blocking(move || work(&shared)).await;
                worked.expect("the file's work neither panics nor is aborted")
            }
        }
    }
}

impl Shared {
    /// Writes the head of the log as it was opened then.
    fn put(&self, opening: u64, head: Head) -> Result<(), FileError> {
        let mut kept = self.kept();
        if kept.opening != opening {
            return Ok(());
        }
        kept.file.replace(&head)?;
        self.state().head = head;
        Ok(())
    }
}
