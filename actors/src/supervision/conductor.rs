//! Carries out the plan: looks at what the parts do, takes one step, looks again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::child::{Command, Order};
use super::plan::{Fact, Index, Past, Step};
use super::tree::{Parts, Shared};

/// Where the parts' supervisors say what they do. A fact that the conductor must act on stays until it has.
#[derive(Debug, Default)]
pub(super) struct Board {
    facts: Mutex<BTreeMap<Index, Fact>>,
    changed: Notify,
}

impl Board {
    /// Something is to be looked at.
    pub(super) fn ring(&self) {
        self.changed.notify_one();
    }

    fn facts(&self) -> Vec<(Index, Fact)> {
        self.lock().iter().map(|(index, fact)| (*index, fact.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Index, Fact>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A supervisor's line on the board.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) board: Arc<Board>,
    pub(super) index: Index,
}

impl Line {
    pub(super) fn say(&self, fact: Fact) {
        self.board.lock().insert(self.index, fact);
        self.board.ring();
    }

    /// Whether that was said last.
    pub(super) fn said(&self, fact: &Fact) -> bool {
        self.board.lock().get(&self.index) == Some(fact)
    }
}

/// Conducts until the tree is dropped.
pub(super) async fn conduct(tree: Weak<Shared>, board: Arc<Board>) {
    loop {
        board.changed.notified().await;
        while let Some((step, commands)) = next(&tree, &board) {
            let done = order(&commands, &step).await;
            let Some(shared) = tree.upgrade() else { return };
            let mut parts = shared.parts();
            let Some(parts) = parts.as_mut() else { return };
            // What it has said before it obeyed is seen before the next step.
            parts.plan.carried_out(&step, done);
        }
        if tree.strong_count() == 0 {
            return;
        }
    }
}

/// The next step; without one, the groups' standings are shown and those who wait are told.
fn next(tree: &Weak<Shared>, board: &Board) -> Option<(Step, mpsc::Sender<Command>)> {
    let shared = tree.upgrade()?;
    let mut parts = shared.parts();
    let parts = parts.as_mut()?;
    parts.plan.observe(&board.facts(), Instant::now());
    let step = parts.plan.next();
    show_groups(parts);
    let Some(step) = step else {
        for (index, told) in parts.waiting.drain(..) {
            // Whoever waited may have gone.
            let _ = told.send(if parts.plan.is_gone(index) { None } else { Some(()) });
        }
        return None;
    };
    let (Step::Hold(index, _) | Step::Stop(index) | Step::Start(index, _) | Step::Restart(index)) = &step;
    let commands = parts.children[index].commands.clone();
    Some((step, commands))
}

fn show_groups(parts: &mut Parts) {
    for index in parts.plan.groups() {
        let (state, why, falls) = parts.plan.standing(index);
        let (entry, shown) = parts.groups.get_mut(&index).expect("a group has its line");
        if falls > *shown {
            *shown = falls;
            entry.count_restart();
        }
        if entry.set(state, why.clone()) && state == super::State::Down {
            let why = why.unwrap_or_default();
            tracing::error!(group = entry.name(), why, "gave up; it stays down until it is started by hand");
            entry.failed(why);
        }
    }
}

/// Has a part's supervisor carry out a step; `None` when it has ended.
async fn order(commands: &mpsc::Sender<Command>, step: &Step) -> Option<()> {
    let order = match step {
        Step::Hold(_, why) => Order::Hold(why.clone()),
        Step::Stop(_) => Order::Stop,
        Step::Start(_, Past::Kept) => Order::Again,
        Step::Start(_, Past::Forgotten) => Order::Start,
        Step::Restart(_) => Order::Restart,
    };
    let (done, carried_out) = oneshot::channel();
    commands.send(Command { order, done }).await.ok()?;
    carried_out.await.ok()
}
