//! The tree of supervised parts: added in order, steered by name, shut down in reverse order.
//!
//! Each part is restarted on its own (one for one). The order of adding is kept, so that a group whose later members
//! restart with an earlier one would be a range of this order.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use xtra::Actor;

use super::address::Address;
use super::child::{Command, Incarnation, Order, supervise};
use super::health::{Entry, Registry, State};
use super::policy::{IntoExit, Policy};

/// Orders that may wait for one part.
const COMMANDS_MAX: usize = 8;

/// How long a part that is cut off may take to let go of what it holds.
const ABORT_WITHIN: Duration = Duration::from_millis(50);

/// Why the tree did not do as told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// No part has this name.
    #[error("there is no part named {0:?}")]
    NoSuchPart(String),
    /// A part has this name already.
    #[error("there is a part named {0:?} already")]
    NameTaken(String),
    /// The part has ended for good, because it was shut down or nobody holds its address.
    #[error("the part {0:?} has ended for good")]
    Ended(String),
}

/// The parts of the desk. Clones are the same tree; its methods may be called from any thread. When the last clone
/// is dropped, the parts shut themselves down, in no order.
#[derive(Clone)]
pub struct Tree {
    shared: Arc<Shared>,
}

struct Shared {
    health: Registry,
    runtime: Handle,
    jitter_seed: u64,
    /// In the order of adding; `None` once shut down.
    children: Mutex<Option<Vec<Child>>>,
}

struct Child {
    name: String,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
    entry: Entry,
}

impl Tree {
    /// An empty tree on the runtime this is called in; all its supervisors run there. `jitter_seed` decides the
    /// random part of every back-off.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(health: Registry, jitter_seed: u64) -> Self {
        let children = Mutex::new(Some(Vec::new()));
        Self { shared: Arc::new(Shared { health, runtime: Handle::current(), jitter_seed, children }) }
    }

    /// The health of the parts.
    pub fn health(&self) -> &Registry {
        &self.shared.health
    }

    /// Adds a part and starts it. `constructor` is called for every incarnation: nothing in it may be slow, and what
    /// can fail, such as connecting, belongs into [`Actor::started`].
    pub fn add<A, C>(&self, name: &str, policy: Policy, constructor: C) -> Result<Address<A>, TreeError>
    where
        A: Actor,
        A::Stop: IntoExit,
        C: FnMut(Incarnation<A>) -> A + Send + 'static,
    {
        let mut children = self.children();
        let children = children.as_mut().ok_or_else(|| TreeError::Ended(name.to_owned()))?;
        let entry = self.shared.health.enter(name).ok_or_else(|| TreeError::NameTaken(name.to_owned()))?;
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        // Each part draws from a sequence of its own, so that one part's failures do not change another's pauses.
        let seed = self.shared.jitter_seed.wrapping_add(children.len() as u64);
        let (address, supervisor) = supervise(policy, constructor, entry.clone(), seed, received);
        #[expect(clippy::disallowed_methods, reason = "here a part's own task begins; the tree ends it in order")]
        let task = self.shared.runtime.spawn(supervisor);
        children.push(Child { name: name.to_owned(), commands, task, entry });
        Ok(address)
    }

    /// Starts a part that is down or stopped, or ends its back-off; its restarts are forgotten. Does nothing to one
    /// that runs.
    pub async fn start(&self, name: &str) -> Result<(), TreeError> {
        self.order(name, Order::Start).await
    }

    /// Stops a part and comes back when its incarnation has ended. Until it is started, asks answer
    /// [`Down`](super::AskError::Down).
    pub async fn stop(&self, name: &str) -> Result<(), TreeError> {
        self.order(name, Order::Stop).await
    }

    /// Ends a part's incarnation in order and makes the next at once; comes back when that is being made. What
    /// waits in its mailbox waits on.
    pub async fn restart(&self, name: &str) -> Result<(), TreeError> {
        self.order(name, Order::Restart).await
    }

    /// Shuts all parts down for good, the last added first, each when the one before has ended.
    ///
    /// All together may take `within`; each part its even share of what is left, and is then cut off. Only the
    /// first call does anything.
    pub async fn shutdown(&self, within: Duration) {
        let deadline = Instant::now() + within;
        let mut children = self.children().take().unwrap_or_default();
        while let Some(mut child) = children.pop() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / (children.len() as u32 + 1);
            child.shut_down(Instant::now() + share).await;
        }
    }

    /// Ends all parts at one moment, as the end of the process would: none of them commits anything after it.
    pub async fn cut_off(&self) {
        let mut children = self.children().take().unwrap_or_default();
        children.iter().for_each(|child| child.task.abort());
        for child in &mut children {
            let _ = timeout(ABORT_WITHIN, &mut child.task).await;
        }
    }

    async fn order(&self, name: &str, order: Order) -> Result<(), TreeError> {
        let commands = self.children().as_ref().and_then(|children| {
            let child = children.iter().find(|child| child.name == name)?;
            Some(child.commands.clone())
        });
        let commands = commands.ok_or_else(|| TreeError::NoSuchPart(name.to_owned()))?;
        let (done, carried_out) = oneshot::channel();
        let sent = commands.send(Command { order, done }).await.is_ok();
        if sent && carried_out.await.is_ok() { Ok(()) } else { Err(TreeError::Ended(name.to_owned())) }
    }

    fn children(&self) -> MutexGuard<'_, Option<Vec<Child>>> {
        self.shared.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("health", &self.shared.health).finish_non_exhaustive()
    }
}

impl Child {
    async fn shut_down(&mut self, deadline: Instant) {
        let ended = timeout_at(deadline, async {
            let (done, _) = oneshot::channel();
            // Refused means that it has ended before.
            let _ = self.commands.send(Command { order: Order::Shutdown, done }).await;
            (&mut self.task).await
        });
        if ended.await.is_err() {
            tracing::warn!(part = self.name, "did not end in time and is cut off");
            self.task.abort();
            // Not for ever: a handler that blocks its thread cannot be cut off.
            let _ = timeout(ABORT_WITHIN, &mut self.task).await;
            self.entry.set(State::Stopped, Some("cut off at shutdown".to_owned()));
        }
    }
}
