//! The one shape of everybody who moves deposits along: follow the log, look at each deposit that changed, and when it
//! is one of ours, work on it until it is not.
//!
//! Nothing about what is in hand is stored. A start looks at every open deposit and then follows the log from there, so a
//! restart and a live event are the same code. A deposit is worked on by one piece of work at a time; work that is not
//! over asks to be called again after a pause.
//!
//! A deposit on which the work panics again and again is set aside.

mod blame;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use millrace_model::deposit::Deposit;
use millrace_model::ids::{DepositId, Position, StreamName};
use tokio::task::coop::{consume_budget, unconstrained};
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

use blame::Blame;

use crate::canary::{self, Canary};
use crate::deposits::{Deposits, Tracked};
use crate::event_store::ReadError;
use crate::supervision::{Reporter, Tree, TreeError};

/// How many events are read at once.
const PAGE_EVENTS_MAX: usize = 2_048;
/// How many deposits are worked on at once.
const AT_ONCE_MAX: usize = 1_024;

/// What somebody does to deposits.
pub trait Duty: Send + Sync + 'static {
    /// What has to be done before the first deposit is looked at, such as connecting; an error is a restart.
    fn prepare(&self) -> impl Future<Output = Result<(), String>> + Send {
        std::future::ready(Ok(()))
    }

    /// Whether this deposit is one to work on.
    fn concerns(&self, deposit: &Deposit) -> bool;

    /// Takes the next step, or several. Called once at a time for each deposit.
    fn perform(&self, tracked: Arc<Tracked>) -> impl Future<Output = Next> + Send;
}

/// What follows a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Look at the deposit again now: it has changed, or may have.
    Look,
    /// Look at it again after a pause, or when something happens to it.
    After(Duration),
    /// Look at it again when something happens to it.
    Wait,
}

/// Adds a worker to the tree. `duty` is made anew for every incarnation; it gets what it may report its troubles to.
pub fn start<D: Duty>(
    tree: &Tree,
    name: &str,
    deposits: Deposits,
    mut duty: impl FnMut(Reporter) -> D + Send + 'static,
) -> Result<(), TreeError> {
    let blame = Blame::default();
    tree.add_task(name, move |report| {
        let (duty, deposits, blame) = (duty(report.clone()), deposits.clone(), blame.clone());
        async move {
            deposits.store().ready_for(&report).await;
            blame.tell(&report);
            Worker::new(deposits, duty, blame).run().await.map(|never| match never {})
        }
    })
}

/// Why a worker starts afresh.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It could not prepare.
    #[error("{0}")]
    Prepare(String),
    /// The log's bell is gone.
    #[error("the event store is gone")]
    StoreGone,
}

struct Worker<D> {
    deposits: Deposits,
    duty: Arc<D>,
    blame: Blame,
    position: Position,
    in_hand: HashMap<DepositId, Hand>,
    /// Whom there was no room for yet, first come, first served.
    queue: VecDeque<DepositId>,
    working: FuturesUnordered<BoxFuture<'static, (DepositId, Next)>>,
    resting: DelayQueue<DepositId>,
}

/// How a deposit is in hand.
enum Hand {
    Queued,
    /// Being worked on; something may have happened to it meanwhile.
    Working {
        changed: bool,
    },
    Resting(Key),
}

impl<D: Duty> Worker<D> {
    fn new(deposits: Deposits, duty: D, blame: Blame) -> Self {
        Self {
            deposits,
            duty: Arc::new(duty),
            blame,
            position: 0,
            in_hand: HashMap::new(),
            queue: VecDeque::new(),
            working: FuturesUnordered::new(),
            resting: DelayQueue::new(),
        }
    }

    async fn run(mut self) -> Result<Infallible, WorkerError> {
        self.duty.prepare().await.map_err(WorkerError::Prepare)?;
        let mut bell = self.deposits.store().bell();
        let (head, ids) = self.deposits.open()?;
        self.position = head;
        if !canary::lives(Canary::StartsBlind) {
            ids.into_iter().try_for_each(|id| self.look_at(id))?;
        }
        loop {
            self.take_in()?;
            self.set_to_work()?;
            tokio::select! { biased;
                rung = bell.changed() => rung.map_err(|_| WorkerError::StoreGone)?,
                Some((id, next)) = self.working.next() => {
                    self.performed(id, next)?;
                    // Whoever else has something to do gets a turn.
                    consume_budget().await;
                }
                Some(rested) = self.resting.next() => {
                    self.in_hand.remove(rested.get_ref());
                    self.look_at(rested.into_inner())?;
                }
            }
        }
    }

    fn take_in(&mut self) -> Result<(), WorkerError> {
        while self.position < self.deposits.store().head() {
            let page = self.deposits.store().after(self.position, PAGE_EVENTS_MAX)?;
            let Some(last) = page.last() else { break };
            for recorded in page.events() {
                if let StreamName::Deposit(id) = recorded.stream {
                    self.look_at(id)?;
                }
            }
            self.position = last;
        }
        Ok(())
    }

    fn look_at(&mut self, id: DepositId) -> Result<(), WorkerError> {
        if self.blame.sets_aside(id) {
            return Ok(());
        }
        match self.in_hand.entry(id) {
            Entry::Occupied(mut hand) => match hand.get_mut() {
                Hand::Queued => return Ok(()),
                Hand::Working { changed } => {
                    *changed = true;
                    return Ok(());
                }
                Hand::Resting(key) => {
                    self.resting.remove(key);
                    hand.remove();
                }
            },
            Entry::Vacant(_) => {}
        }
        if self.deposits.get(id)?.is_some_and(|tracked| self.duty.concerns(&tracked.deposit)) {
            self.in_hand.insert(id, Hand::Queued);
            self.queue.push_back(id);
        }
        Ok(())
    }

    /// Gives work to as many as there is room for.
    fn set_to_work(&mut self) -> Result<(), WorkerError> {
        while self.working.len() < AT_ONCE_MAX
            && let Some(id) = self.queue.pop_front()
        {
            match self.deposits.get(id)?.filter(|tracked| self.duty.concerns(&tracked.deposit)) {
                Some(tracked) => {
                    self.in_hand.insert(id, Hand::Working { changed: false });
                    self.working.push(self.piece(id, tracked));
                }
                None => drop(self.in_hand.remove(&id)),
            }
        }
        Ok(())
    }

    /// A piece of work. A panic in it ends the incarnation as any other would, and is remembered.
    fn piece(&self, id: DepositId, tracked: Arc<Tracked>) -> BoxFuture<'static, (DepositId, Next)> {
        let (duty, blame) = (Arc::clone(&self.duty), self.blame.clone());
        // All pieces are one task to tokio, whose budget would let a few of a thousand go on at a time.
        Box::pin(unconstrained(async move {
            let next = AssertUnwindSafe(duty.perform(tracked)).catch_unwind().await;
            (
                id,
                next.unwrap_or_else(|panic| {
                    blame.panicked(id);
                    resume_unwind(panic)
                }),
            )
        }))
    }

    fn performed(&mut self, id: DepositId, next: Next) -> Result<(), WorkerError> {
        // What it did itself may still be on its way to us: that is a change too.
        self.take_in()?;
        let changed = matches!(self.in_hand.remove(&id), Some(Hand::Working { changed: true }));
        match next {
            Next::After(pause) if !changed => {
                self.in_hand.insert(id, Hand::Resting(self.resting.insert(id, pause)));
                Ok(())
            }
            Next::Wait if !changed => Ok(()),
            Next::Look | Next::After(_) | Next::Wait => self.look_at(id),
        }
    }
}

#[cfg(test)]
mod tests;
