//! A part that nobody asks anything: its whole work is one task.

use std::future::Future;

use xtra::Mailbox;

use super::{Incarnation, IntoExit, Policy, Reporter, Scope, Tree, TreeError};

impl Tree {
    /// Adds such a part and starts it. `task` is called for every incarnation and does nothing slow; what it returns runs until
    /// the incarnation ends. An error or a panic of it is a failure of the part, which then starts anew.
    pub fn add_task<F>(&self, name: &str, mut task: impl FnMut(Reporter) -> F + Send + 'static) -> Result<(), TreeError>
    where
        F: Future + Send + 'static,
        F::Output: IntoExit,
    {
        let incarnate = move |seat: Incarnation<Task<F>>| Task { work: Some(task(seat.report)), scope: seat.scope };
        self.add(name, Policy::permanent(), incarnate).map(drop)
    }
}

struct Task<F> {
    work: Option<F>,
    scope: Scope,
}

impl<F> xtra::Actor for Task<F>
where
    F: Future + Send + 'static,
    F::Output: IntoExit,
{
    type Stop = ();

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        self.scope.spawn(self.work.take().expect("an incarnation starts once"));
        Ok(())
    }

    async fn stopped(self) -> Self::Stop {}
}
