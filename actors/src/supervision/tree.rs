//! The tree of supervised parts: added in order, steered by name, shut down in reverse order.
//!
//! A part that is added to the tree itself stands on its own. [`Tree::group`] makes a group, whose members depend on each
//! other as its [`Strategy`](super::Strategy) says, and which may belong to a group itself.

use std::collections::BTreeMap;
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
use super::conductor::{Board, Line, conduct};
use super::group::Group;
use super::health::{Entry, Registry, State};
use super::meter::{Gauge, Load};
use super::plan::{Fact, Index, Plan, Wish};
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
    /// The part has no incarnation at this moment.
    #[error("the part {0:?} is not running")]
    NotRunning(String),
}

/// The parts of the desk. Clones are the same tree; its methods may be called from any thread. When the last clone
/// is dropped, the parts shut themselves down, in no order.
#[derive(Clone)]
pub struct Tree {
    shared: Arc<Shared>,
    /// The group to which parts are added.
    group: Option<Index>,
}

pub(super) struct Shared {
    health: Registry,
    runtime: Handle,
    jitter_seed: u64,
    board: Arc<Board>,
    /// `None` once shut down.
    parts: Mutex<Option<Parts>>,
}

/// Everybody in the tree.
pub(super) struct Parts {
    pub(super) plan: Plan,
    pub(super) children: BTreeMap<Index, Child>,
    /// The groups' lines in the health, with the falls that are shown.
    pub(super) groups: BTreeMap<Index, (Entry, u64)>,
    /// Who is to be told when everything is as an operator wants it; `None` if the part has ended for good.
    pub(super) waiting: Vec<(Index, oneshot::Sender<Option<()>>)>,
    conductor: JoinHandle<()>,
}

pub(super) struct Child {
    name: String,
    pub(super) commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
    entry: Entry,
    gauge: Gauge,
}

impl Tree {
    /// An empty tree on the runtime this is called in; all its supervisors run there. `jitter_seed` decides the
    /// random part of every back-off.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(health: Registry, jitter_seed: u64) -> Self {
        let (runtime, board) = (Handle::current(), Arc::<Board>::default());
        let shared = Arc::new_cyclic(|shared| {
            let conducting = conduct(shared.clone(), Arc::clone(&board));
            #[expect(clippy::disallowed_methods, reason = "it ends with the tree")]
            let conductor = runtime.spawn(conducting);
            let (children, groups) = (BTreeMap::new(), BTreeMap::new());
            let parts = Parts { plan: Plan::default(), children, groups, waiting: Vec::new(), conductor };
            Shared { health, runtime: runtime.clone(), jitter_seed, board, parts: Mutex::new(Some(parts)) }
        });
        Self { shared, group: None }
    }

    /// The health of the parts.
    pub fn health(&self) -> &Registry {
        &self.shared.health
    }

    /// Adds a group behind what is here already. The result is this tree, with everything added to it becoming a member
    /// of that group, in the order of adding.
    ///
    /// A group that gives up is [`State::Down`] and its members are stopped until an operator starts the group.
    pub fn group(&self, name: &str, group: Group) -> Result<Self, TreeError> {
        let mut parts = self.shared.parts();
        let parts = parts.as_mut().ok_or_else(|| TreeError::Ended(name.to_owned()))?;
        let entry = self.enter(&parts.plan, name, Some(group))?;
        let index = parts.plan.add_group(name, self.group, group);
        parts.groups.insert(index, (entry, 0));
        self.shared.board.ring();
        Ok(Self { shared: Arc::clone(&self.shared), group: Some(index) })
    }

    /// Adds a part and starts it, as soon as what it depends on is up. `constructor` is called for every incarnation:
    /// nothing in it may be slow, and what can fail, such as connecting, belongs into [`Actor::started`].
    pub fn add<A, C>(&self, name: &str, policy: Policy, constructor: C) -> Result<Address<A>, TreeError>
    where
        A: Actor,
        A::Stop: IntoExit,
        C: FnMut(Incarnation<A>) -> A + Send + 'static,
    {
        let mut parts = self.shared.parts();
        let parts = parts.as_mut().ok_or_else(|| TreeError::Ended(name.to_owned()))?;
        let entry = self.enter(&parts.plan, name, None)?;
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        // Each part draws from a sequence of its own, so that one part's failures do not change another's pauses.
        let seed = self.shared.jitter_seed.wrapping_add(parts.children.len() as u64);
        let index = parts.plan.add_part(name, self.group);
        let line = Line { board: Arc::clone(&self.shared.board), index };
        line.say(if parts.plan.begins(index) { Fact::Starting } else { Fact::Resting });
        let (address, gauge, supervisor) = supervise(policy, constructor, (entry.clone(), line), seed, received);
        #[expect(clippy::disallowed_methods, reason = "here a part's own task begins; the tree ends it in order")]
        let task = self.shared.runtime.spawn(supervisor);
        parts.children.insert(index, Child { name: name.to_owned(), commands, task, entry, gauge });
        Ok(address)
    }

    /// Starts a part that is down or stopped, or ends its back-off; its restarts are forgotten. Does nothing to one
    /// that runs. A part that may not run yet is started when it may.
    ///
    /// A group that is down or stopped is started with all its members but those that were stopped by name.
    pub async fn start(&self, name: &str) -> Result<(), TreeError> {
        self.wish(name, Wish::Start).await
    }

    /// Stops a part, or all members of a group, and comes back when all incarnations have ended that are to end. Until
    /// it is started, asks answer [`Down`](super::AskError::Down). Whoever depends on it is stopped first, and waits.
    pub async fn stop(&self, name: &str) -> Result<(), TreeError> {
        self.wish(name, Wish::Stop).await
    }

    /// Ends a part's incarnation in order and makes the next at once; comes back when that is being made. What
    /// waits in its mailbox waits on. Whoever depends on it is stopped first, and started when it is up.
    ///
    /// The members of a group are all stopped, and then all started.
    pub async fn restart(&self, name: &str) -> Result<(), TreeError> {
        self.wish(name, Wish::Restart).await
    }

    /// Makes a part panic as a fault of its own would, for whoever wants to see it heal.
    pub async fn panic(&self, name: &str) -> Result<(), TreeError> {
        let commands = self.shared.parts().as_ref().and_then(|parts| {
            let index = parts.plan.find(name)?;
            Some((parts.children.get(&index)?.commands.clone(), parts.plan.runs(index)))
        });
        let (commands, runs) = commands.ok_or_else(|| TreeError::NoSuchPart(name.to_owned()))?;
        if !runs {
            return Err(TreeError::NotRunning(name.to_owned()));
        }
        let (done, carried_out) = oneshot::channel();
        let sent = commands.send(Command { order: Order::Panic, done }).await.is_ok();
        if sent && carried_out.await.is_ok() { Ok(()) } else { Err(TreeError::Ended(name.to_owned())) }
    }

    /// Shuts all parts down for good, the last in order first, each when the one before has ended.
    ///
    /// All together may take `within`; each part its even share of what is left, and is then cut off. Only the
    /// first call does anything.
    pub async fn shutdown(&self, within: Duration) {
        let deadline = Instant::now() + within;
        let Some(mut parts) = self.shared.parts().take() else { return };
        parts.conductor.abort();
        let _ = parts.conductor.await;
        let mut order = parts.plan.parts();
        while let Some(index) = order.pop() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / (order.len() as u32 + 1);
            let child = parts.children.get_mut(&index).expect("every part has its supervisor");
            child.shut_down(Instant::now() + share).await;
        }
        for (entry, _) in parts.groups.values() {
            entry.set(State::Stopped, Some("shut down".to_owned()));
        }
    }

    /// Ends all parts at one moment, as the end of the process would: none of them does anything after it.
    pub async fn cut_off(&self) {
        let Some(mut parts) = self.shared.parts().take() else { return };
        parts.conductor.abort();
        parts.children.values().for_each(|child| child.task.abort());
        for child in parts.children.values_mut() {
            let _ = timeout(ABORT_WITHIN, &mut child.task).await;
        }
    }

    /// Where the supervisors run.
    pub(super) fn runtime(&self) -> &Handle {
        &self.shared.runtime
    }

    /// How busy each part is; `None` once shut down. Only for the actors' own thread.
    pub(super) fn loads_now(&self) -> Option<Vec<Load>> {
        let parts = self.shared.parts();
        Some(parts.as_ref()?.children.values().map(|child| child.gauge.read(&child.name)).collect())
    }

    fn enter(&self, plan: &Plan, name: &str, group: Option<Group>) -> Result<Entry, TreeError> {
        let within = self.group.map(|group| plan.name(group).to_owned());
        let entry = self.shared.health.enter(name, within, group.map(|group| group.strategy));
        entry.ok_or_else(|| TreeError::NameTaken(name.to_owned()))
    }

    async fn wish(&self, name: &str, wish: Wish) -> Result<(), TreeError> {
        let told = {
            let mut parts = self.shared.parts();
            let found = parts.as_mut().and_then(|parts| Some((parts.plan.find(name)?, parts)));
            let (index, parts) = found.ok_or_else(|| TreeError::NoSuchPart(name.to_owned()))?;
            if parts.plan.is_gone(index) {
                return Err(TreeError::Ended(name.to_owned()));
            }
            parts.plan.wish(index, wish);
            let (done, told) = oneshot::channel();
            parts.waiting.push((index, done));
            self.shared.board.ring();
            told
        };
        told.await.ok().flatten().ok_or_else(|| TreeError::Ended(name.to_owned()))
    }
}

impl Shared {
    pub(super) fn parts(&self) -> MutexGuard<'_, Option<Parts>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // So that the conductor sees that it is gone.
        self.board.ring();
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
