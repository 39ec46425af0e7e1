//! The task that owns the scheduler: hands endpoints what comes after their cursors, stores what they claim and what came of
//! it, and makes the attempts.
//!
//! One batch is written at a time, and what changes meanwhile is the next one. An attempt begins when the batch with its claim
//! is durable; its row is in a batch after it ended. So there is never a send that the file does not know of.

mod attempt;
mod commands;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millrace_protocols::delivery::cursor::Position;
use millrace_protocols::delivery::policy::Chance;
use millrace_protocols::delivery::scheduler::{Change, EndpointNo, Scheduler};
use millrace_protocols::delivery::verdict::{Fate, Reason, Verdict};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use uuid::Uuid;

use super::attempts::{Batch, Limits, OpenError, Place, Row, Stored, Writer};
use super::endpoint::{Filter, Outgoing, Told};
use super::figures::Figures;
use super::shelf::{Page, Shelf, Source, SourceError};
use super::sinks::Sinks;
use crate::clock::Clock;
use attempt::{Common, Job, Made, Way};

pub use commands::Command;

/// After a batch of this many rows the next one waits so long, so that it has many too: a commit costs about the same
/// whatever is in it. Where little happens nobody waits.
const LINGER: [(usize, Duration); 2] = [(64, Duration::from_millis(5)), (8, Duration::from_millis(2))];
/// With this many rows it waits for no more.
const LINGER_ROWS_MAX: usize = 512;
/// How many pages are read at once.
const READS_MAX: usize = 8;
/// How long nothing is read after that failed.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// How long a stop waits for what is under way.
const STOP_WAITS: Duration = Duration::from_secs(5);
/// The longest sleep, after which the clock is looked at again: it may have been set.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// What the engine works with.
pub struct Settings {
    /// The file of attempts.
    pub path: PathBuf,
    /// How much of the attempts is kept.
    pub limits: Limits,
    /// Where it is said why nothing can be written, and so nothing is sent, while that is so.
    pub trouble: watch::Sender<Option<String>>,
    /// Where to.
    pub sinks: Sinks,
    /// Where notifications come from.
    pub source: Arc<dyn Source>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What it all comes to.
    pub figures: Arc<Figures>,
    /// The log's last position: a cursor beyond it is of a log that was put back since.
    pub log_head: Position,
}

/// What others have to hear: an endpoint was disabled. Told again by every process until it is resumed or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disabled {
    /// Which endpoint.
    pub endpoint: Uuid,
    /// Why.
    pub reason: Reason,
}

struct Entry {
    id: Uuid,
    filter: Filter,
    way: Arc<Way>,
    /// What was followed of the log; stored with every change.
    told: Told,
}

enum Done {
    Made(Made),
    Read(Position, Result<Page, SourceError>),
}

struct Engine {
    common: Arc<Common>,
    sinks: Sinks,
    writer: Writer,
    writer_trouble: watch::Receiver<Option<String>>,
    trouble: watch::Sender<Option<String>>,
    figures: Arc<Figures>,
    scheduler: Scheduler<Arc<Outgoing>>,
    entries: Vec<Entry>,
    numbers: HashMap<Uuid, EndpointNo>,
    /// Endpoints of the file that nobody has put yet.
    stored: HashMap<Uuid, Stored>,
    shelf: Shelf,
    /// What is being read, and who waits for it.
    reading: HashMap<Position, Vec<EndpointNo>>,
    read_again: Option<Instant>,
    tasks: JoinSet<Done>,
    rows: Vec<Row>,
    committing: Option<oneshot::Receiver<()>>,
    /// Whoever is told when the next batch is durable, and when the one that is being written is.
    asked: Vec<oneshot::Sender<()>>,
    promised: Vec<oneshot::Sender<()>>,
    committed_rows: usize,
    committed_at: Instant,
    /// When idle connections were last looked through.
    swept_at: Instant,
    log_head: Position,
    head: watch::Receiver<Position>,
    notices: mpsc::Sender<Disabled>,
    untold: VecDeque<Disabled>,
}

/// Delivers until nobody can send commands any more; then what is under way is waited for and stored. Ends with an error when
/// the file does not open, or when its thread is gone.
pub async fn run(
    settings: Settings,
    mut commands: mpsc::Receiver<Command>,
    notices: mpsc::Sender<Disabled>,
) -> Result<(), OpenError> {
    let mut engine = Engine::open(settings, notices)?;
    loop {
        engine.work();
        let wake = engine.wake();
        tokio::select! {
            biased;
            Some(done) = engine.tasks.join_next() => engine.take(done),
            committed = durable(&mut engine.committing) => if !engine.committed(committed) { return Err(gone()) },
            command = commands.recv() => match command {
                Some(command) => engine.obey(command),
                None => return engine.stop().await,
            },
            Ok(()) = engine.writer_trouble.changed() => {
                let trouble = engine.writer_trouble.borrow_and_update().clone();
                engine.trouble.send_replace(trouble);
            }
            Ok(()) = engine.head.changed() => engine.scheduler.feed_all(),
            () = sleep_until(wake) => {}
        }
        while let Some(done) = engine.tasks.try_join_next() {
            engine.take(done);
        }
        while let Ok(command) = commands.try_recv() {
            engine.obey(command);
        }
    }
}

fn gone() -> OpenError {
    OpenError::Thread(std::io::Error::other("what was left to be written was not"))
}

/// Never, while nothing is being committed.
async fn durable(committing: &mut Option<oneshot::Receiver<()>>) -> Result<(), oneshot::error::RecvError> {
    match committing {
        Some(answer) => answer.await,
        None => std::future::pending().await,
    }
}

impl Engine {
    fn open(settings: Settings, notices: mpsc::Sender<Disabled>) -> Result<Self, OpenError> {
        let Settings { path, limits, trouble, sinks, source, clock, figures, log_head } = settings;
        let head = source.head();
        let common = Arc::new(Common { source, clock });
        let (writer, stored) = Writer::start(&path, common.now_ms(), limits)?;
        trouble.send_replace(None);
        Ok(Self {
            common,
            sinks,
            writer_trouble: writer.trouble(),
            trouble,
            writer,
            figures,
            scheduler: Scheduler::default(),
            entries: Vec::new(),
            numbers: HashMap::new(),
            stored,
            shelf: Shelf::default(),
            reading: HashMap::new(),
            read_again: None,
            tasks: JoinSet::new(),
            rows: Vec::new(),
            committing: None,
            asked: Vec::new(),
            promised: Vec::new(),
            committed_rows: 0,
            committed_at: Instant::now(),
            swept_at: Instant::now(),
            log_head,
            head,
            notices,
            untold: VecDeque::new(),
        })
    }

    /// Everything that can be done without waiting.
    fn work(&mut self) {
        let now_ms = self.common.now_ms();
        self.scheduler.advance(now_ms);
        self.fill(now_ms);
        self.commit(now_ms);
        while let Some(attempt) = self.scheduler.next(now_ms) {
            let payload = attempt.payload.or_else(|| self.shelf.at(attempt.position));
            let (endpoint, position) = (attempt.endpoint, attempt.position);
            let job = Job { endpoint, position, payload, attempt: attempt.tries.attempts.saturating_add(1) };
            let (common, way) = (Arc::clone(&self.common), Arc::clone(&self.entries[endpoint.0 as usize].way));
            self.tasks.spawn(async move { Done::Made(job.make(common, way).await) });
        }
        self.tell();
        if self.swept_at.elapsed() >= SLEEP_MAX {
            self.swept_at = Instant::now();
            self.entries.iter().for_each(|entry| entry.way.sink.close_idle());
        }
    }

    fn tell(&mut self) {
        while let Some(notice) = self.untold.front() {
            if let Err(mpsc::error::TrySendError::Full(_)) = self.notices.try_send(*notice) {
                return;
            }
            self.untold.pop_front();
        }
    }

    fn wake(&mut self) -> Instant {
        let (now, now_ms) = (Instant::now(), self.common.now_ms());
        let scheduled = self.scheduler.wake_ms().map(|at_ms| now + Duration::from_millis(at_ms.saturating_sub(now_ms)));
        let lingering = (self.committing.is_none() && self.has_news()).then(|| self.committed_at + self.linger());
        let wakes = [Some(now + SLEEP_MAX), scheduled, lingering, self.read_again];
        wakes.into_iter().flatten().min().expect("the longest sleep is among them")
    }

    fn has_news(&self) -> bool {
        self.scheduler.has_changes() || !self.rows.is_empty()
    }

    /// Hands hungry endpoints what comes after their cursors, as far as it is at hand, and has the rest read.
    fn fill(&mut self, now_ms: u64) {
        if self.read_again.is_some_and(|at| at <= Instant::now()) {
            self.read_again = None;
            self.scheduler.feed_all();
        }
        while let Some(endpoint) = self.scheduler.next_hungry() {
            let mut room = self.scheduler.claim_due(endpoint, now_ms);
            while room > 0 && self.scheduler.cursor(endpoint).dispatched_through() < *self.head.borrow() {
                match self.claim_of_shelf(endpoint, room) {
                    Some(left) => room = left,
                    None => {
                        self.read_for(endpoint);
                        break;
                    }
                }
            }
        }
    }

    /// Claims what the page at hand has; says how much room is left, or that there is no page.
    fn claim_of_shelf(&mut self, endpoint: EndpointNo, mut room: usize) -> Option<usize> {
        let through = self.scheduler.cursor(endpoint).dispatched_through();
        let (page, items) = self.shelf.after(through)?;
        let filter = &self.entries[endpoint.0 as usize].filter;
        for item in items {
            if room == 0 {
                return Some(0);
            }
            if filter.wants(item) {
                self.scheduler.claim(endpoint, item.position, item.key, Arc::clone(item));
                room -= 1;
            } else {
                self.scheduler.pass(endpoint, item.position);
            }
        }
        self.scheduler.pass(endpoint, page.through);
        Some(room)
    }

    fn read_for(&mut self, endpoint: EndpointNo) {
        let after = self.scheduler.cursor(endpoint).dispatched_through();
        if let Some(waiting) = self.reading.get_mut(&after) {
            waiting.push(endpoint);
            return;
        }
        if self.reading.len() >= READS_MAX || self.read_again.is_some() {
            // Whoever comes too late is fed again when something was read.
            self.reading.values_mut().next().into_iter().for_each(|waiting| waiting.push(endpoint));
            return;
        }
        self.reading.insert(after, vec![endpoint]);
        let (common, head) = (Arc::clone(&self.common), *self.head.borrow());
        self.tasks.spawn(async move { Done::Read(after, Page::read(&*common.source, after, head).await) });
    }

    /// How long after the last batch the next one is made.
    fn linger(&self) -> Duration {
        let long = LINGER.iter().find(|(rows, _)| self.committed_rows >= *rows);
        long.map_or(Duration::ZERO, |(_, linger)| *linger)
    }

    /// Stores what changed, unless something is being stored.
    fn commit(&mut self, now_ms: u64) {
        if self.committing.is_some() || !self.has_news() {
            return;
        }
        if self.rows.len() < LINGER_ROWS_MAX && self.committed_at.elapsed() < self.linger() {
            return;
        }
        let changes = self.scheduler.take_changes();
        let place = |change: Change| {
            let entry = &self.entries[change.endpoint.0 as usize];
            Place { endpoint: entry.id, applied: entry.told.through, change }
        };
        let changes = changes.into_iter().map(place).collect();
        let rows = std::mem::take(&mut self.rows);
        self.committed_rows = rows.len();
        self.promised.append(&mut self.asked);
        self.committing = Some(self.writer.commit(Batch { changes, rows }, now_ms));
    }

    /// Whether the writer is still there.
    fn committed(&mut self, answer: Result<(), oneshot::error::RecvError>) -> bool {
        self.committing = None;
        self.committed_at = Instant::now();
        self.scheduler.committed();
        let promised = std::mem::take(&mut self.promised);
        if answer.is_ok() {
            self.figures.wrote(self.committed_rows);
            // Whoever gave up needs no answer.
            promised.into_iter().for_each(|asked| asked.send(()).unwrap_or_default());
        }
        answer.is_ok()
    }

    fn take(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done.expect("a task catches its panics and is never aborted") {
            Done::Made(made) => self.judge(made),
            Done::Read(after, page) => {
                let waiting = self.reading.remove(&after).unwrap_or_default();
                match page {
                    Ok(page) => self.shelf.put(page),
                    Err(error) => {
                        tracing::warn!(%error, "notifications wait");
                        self.read_again = Some(Instant::now() + READ_AGAIN);
                    }
                }
                self.scheduler.feed_some(&waiting);
            }
        }
    }

    fn judge(&mut self, made: Made) {
        let now_ms = self.common.now_ms();
        let (outcome, took) = (made.ended.outcome, made.ended.took);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let ended = (outcome, took_ms);
        let verdict = self.scheduler.finished(made.endpoint, made.position, ended, now_ms, Chance(rand::random()));
        let Some(Verdict { fate, .. }) = verdict else { return };
        let id = self.entries[made.endpoint.0 as usize].id;
        self.figures.ended(outcome);
        let next_ms = match fate {
            Fate::Retry { not_before_ms } => Some(not_before_ms),
            Fate::Delivered => {
                self.figures.delivered(made.recorded_ms.map(|recorded_ms| now_ms.saturating_sub(recorded_ms)));
                None
            }
            Fate::Aborted => None,
            Fate::GivenUp => {
                tracing::warn!(endpoint = %id, position = made.position, "a notification is given up, others arrive");
                None
            }
            Fate::Disable(reason) => {
                tracing::warn!(endpoint = %id, ?reason, position = made.position, "an endpoint is disabled");
                self.untold.push_back(Disabled { endpoint: id, reason });
                None
            }
        };
        self.rows.push(Row {
            endpoint: id,
            position: made.position,
            notification: made.notification,
            attempt: made.attempt,
            started_ms: made.started_ms,
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            outcome,
            fate: Some(fate),
            answer: made.ended.answer,
            error: made.ended.error,
            next_ms,
        });
    }

    /// Sends nothing more, waits a while for what is under way, and stores where everybody stands.
    async fn stop(mut self) -> Result<(), OpenError> {
        let until = Instant::now() + STOP_WAITS;
        while self.scheduler.in_flight() > 0
            && let Ok(Some(done)) = timeout_at(until, self.tasks.join_next()).await
        {
            self.take(done);
        }
        self.await_commit().await?;
        let now_ms = self.common.now_ms();
        self.scheduler.release_unsent(now_ms);
        self.committed_rows = 0;
        self.commit(now_ms);
        self.await_commit().await
    }

    /// A disk that takes nothing is not waited for: then the next process finds what was claimed.
    async fn await_commit(&mut self) -> Result<(), OpenError> {
        let Some(answer) = self.committing.take() else { return Ok(()) };
        match timeout(STOP_WAITS, answer).await {
            Ok(Ok(())) => self.scheduler.committed(),
            Ok(Err(_)) | Err(_) => return Err(gone()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
