//! The store as everybody else holds it: append, read, follow.

use std::path::Path;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use millrace_model::ids::{Position, StreamName};
use tokio::sync::{oneshot, watch};

use super::actor::{Actor, Keep, Opening, Own, Settings, Submit};
use super::append::{Append, AppendError, Committed};
use super::bell::Bell;
use super::feed::{Feed, Page};
use super::log::Ownership;
use super::reader::{ReadError, Reader};
use super::segment::Segment;
use super::writer::Turns;
use crate::supervision::{Address, AskError, Incarnation, Policy, Reporter, Tree, TreeError, ask};

/// How long an append may take before its outcome counts as unknown.
const APPEND_WITHIN: Duration = Duration::from_secs(10);

/// What the actor's incarnations and the holders of the store share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) feed: Arc<Feed>,
    reader: RwLock<Option<Arc<Reader>>>,
    ready: watch::Sender<bool>,
    found: OnceLock<Position>,
    pub(super) turns: Arc<Turns>,
}

impl Shared {
    /// The newest position of the log as this process first found it.
    pub(super) fn found(&self, head: Position) {
        // A later incarnation finds what this process wrote.
        let _ = self.found.set(head);
    }

    pub(super) fn opened(&self, reader: Reader) {
        *self.reader.write().expect("nothing panics while it holds the reader") = Some(Arc::new(reader));
        self.ready.send_replace(true);
    }
}

/// A handle to the event store. Cheap to clone, usable from any thread; appending is for the actor runtime only.
#[derive(Debug, Clone)]
pub struct Store {
    address: Address<Actor>,
    shared: Arc<Shared>,
}

impl Store {
    /// The part's name in the tree.
    pub const PART: &str = "event_store";

    /// Adds the store to the tree and starts it.
    pub fn start(tree: &Tree, settings: Settings) -> Result<Self, TreeError> {
        Self::start_after(tree, settings, None)
    }

    /// The same, with something that is done each time the log was opened and before anybody has it.
    pub fn start_after(tree: &Tree, settings: Settings, opening: Option<Opening>) -> Result<Self, TreeError> {
        let feed = Arc::new(Feed::new(0));
        let shared = Arc::new(Shared {
            feed,
            reader: RwLock::default(),
            ready: watch::Sender::new(false),
            found: OnceLock::new(),
            turns: Arc::default(),
        });
        let incarnation = Arc::clone(&shared);
        let address = tree.add(Self::PART, Policy::permanent(), move |seat: Incarnation<Actor>| {
            Actor::new(settings.clone(), opening.clone(), Arc::clone(&incarnation), seat.report)
        })?;
        Ok(Self { address, shared })
    }

    /// Waits until the log was opened for the first time.
    pub async fn ready(&self) {
        // The sender lives as long as this handle.
        let _ = self.shared.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// The same, for a part that says what it waits for.
    pub async fn ready_for(&self, report: &Reporter) {
        if !self.is_ready() {
            report.set(Self::PART, "waiting for the log to be opened");
            self.ready().await;
            report.clear(Self::PART);
        }
    }

    /// Whether the log was opened.
    pub fn is_ready(&self) -> bool {
        *self.shared.ready.borrow()
    }

    /// Stores a command's events durably.
    pub async fn append(&self, append: Append) -> Result<Committed, AppendError> {
        let pending = ask(&self.address, Submit(append), APPEND_WITHIN).await.map_err(not_asked)??;
        answer(pending).await?
    }

    /// Makes the caller the owner of a stream.
    pub async fn own(&self, stream: StreamName) -> Result<Ownership, AppendError> {
        let pending = ask(&self.address, Own(stream), APPEND_WITHIN).await.map_err(not_asked)??;
        answer(pending).await?
    }

    /// Keeps a segment that [`Reader::next_segment`] made.
    pub async fn keep(&self, segment: Segment) -> Result<(), AppendError> {
        let pending = ask(&self.address, Keep(segment), APPEND_WITHIN).await.map_err(not_asked)??;
        answer(pending).await?
    }

    /// The newest position.
    pub fn head(&self) -> Position {
        self.shared.feed.head()
    }

    /// The newest position when this process first opened the log, before anything was appended; 0 before that.
    pub fn found_head(&self) -> Position {
        self.shared.found.get().copied().unwrap_or(0)
    }

    /// Rings after every commit.
    pub fn bell(&self) -> Bell {
        self.shared.feed.bell()
    }

    /// Events after a position, about `events_max` of them; from memory when they are recent.
    pub fn after(&self, position: Position, events_max: usize) -> Result<Page, ReadError> {
        match self.shared.feed.after(position, events_max) {
            Some(page) => Ok(page),
            None => Ok(Page::of(self.reader()?.after(position, events_max)?)),
        }
    }

    /// Events after a position if they are in memory.
    pub fn recent_after(&self, position: Position, events_max: usize) -> Option<Page> {
        self.shared.feed.after(position, events_max)
    }

    /// The log for reading.
    pub fn reader(&self) -> Result<Arc<Reader>, ReadError> {
        self.shared.reader.read().expect("nothing panics while it holds the reader").clone().ok_or(ReadError::NotOpen)
    }

    /// Writes a consistent copy of the log to a new file while it is in use.
    pub fn back_up(&self, to: &Path) -> Result<(), ReadError> {
        self.reader()?.back_up(to)
    }
}

async fn answer<T>(pending: oneshot::Receiver<T>) -> Result<T, AppendError> {
    match tokio::time::timeout(APPEND_WITHIN, pending).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(AppendError::Unknown),
    }
}

fn not_asked(error: AskError) -> AppendError {
    match error {
        AskError::Busy => AppendError::Busy,
        AskError::Down => AppendError::Unavailable("the event store is not running".to_owned()),
        AskError::Unknown => AppendError::Unknown,
    }
}
