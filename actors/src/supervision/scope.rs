//! The tasks of one incarnation, which end with it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::policy::{Exit, IntoExit};

/// Where an actor spawns the tasks of its incarnation. Clones are the same scope.
///
/// A task should hold a [`WeakAddress`](super::WeakAddress) to its own actor, and come back to it by an ask.
#[derive(Debug, Clone)]
pub struct Scope {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// `None` once the incarnation has ended.
    tasks: Mutex<Option<JoinSet<()>>>,
    failed: mpsc::Sender<Exit>,
}

impl Scope {
    /// Runs `task` until it is done or the incarnation ends, whichever comes first.
    ///
    /// A task that panics or ends with an error ends its incarnation as a failure: an actor whose pump died
    /// unnoticed would wait for ever. After the incarnation has ended, `task` is dropped unrun.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future + Send + 'static,
        F::Output: IntoExit,
    {
        let failed = self.inner.failed.clone();
        let linked = async move {
            let exit = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(outcome) => outcome.into_exit(),
                Err(payload) => Exit::from_panic(payload.as_ref()),
            };
            if exit.is_failure() {
                // Full means that another task has failed before; one failure is enough.
                let _ = failed.try_send(exit);
            }
        };
        if let Some(tasks) = self.tasks().as_mut() {
            // A set keeps what has ended until it is joined; a long-lived actor must not collect these.
            while tasks.try_join_next().is_some() {}
            tasks.spawn(linked);
        }
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Option<JoinSet<()>>> {
        self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The supervisor's end of a scope. Dropping it ends the tasks too: a task may hold its own [`Scope`], and
/// without this end that circle would keep itself alive.
#[derive(Debug)]
pub(super) struct ScopeOwner {
    scope: Scope,
    failures: mpsc::Receiver<Exit>,
}

impl ScopeOwner {
    pub(super) fn new() -> Self {
        let (failed, failures) = mpsc::channel(1);
        Self { scope: Scope { inner: Arc::new(Inner { tasks: Mutex::new(Some(JoinSet::new())), failed }) }, failures }
    }

    pub(super) fn scope(&self) -> Scope {
        self.scope.clone()
    }

    /// Waits until a task has failed. May be dropped and asked again.
    pub(super) async fn failed(&mut self) -> Exit {
        match self.failures.recv().await {
            Some(exit) => exit,
            None => std::future::pending().await, // our own `scope` holds a sender
        }
    }

    /// Aborts all tasks and waits, at most `grace`, until they have let go of what they held, so that the next
    /// incarnation finds sockets, locks and permits free.
    pub(super) async fn end(self, grace: Duration) {
        let tasks = self.scope.tasks().take();
        if let Some(mut tasks) = tasks {
            let _ = tokio::time::timeout(grace, tasks.shutdown()).await;
        }
    }
}

impl Drop for ScopeOwner {
    fn drop(&mut self) {
        let tasks = self.scope.tasks().take();
        drop(tasks); // after the lock: a task's own drop may look at the scope
    }
}
