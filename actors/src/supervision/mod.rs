//! What OTP has and xtra lacks: names, a tree, restart policies, back-off, health, per-incarnation tasks, deadlines.
//!
//! An actor is an ordinary [`xtra::Actor`] whose `Stop` says how it ended ([`IntoExit`]). [`Tree::add`] gives it a
//! supervisor: a task that owns its only mailbox, makes one incarnation after the other, and drives each under a
//! panic net. The [`Address`] stays the same through all of them. Giving up is a state the operator can see and
//! lift ([`State::Down`], [`Tree::start`]), never the end of the process.
//!
//! A part that nobody asks anything is one task: [`Tree::add_task`] makes an actor of it.
//!
//! xtra's traps decide the shape: a mailbox is never cloned (the clone's unread broadcasts pile up), a pending
//! receive is never dropped (the message that just landed would go with it), tasks are bound to the incarnation and
//! not to the mailbox (they would pile up over restarts), and nobody sends without a deadline (a cycle of asks, or
//! an ask during back-off, would wait for ever).
//!
//! ```
//! # use std::{sync::Arc, time::Duration};
//! # use millrace_actors::{clock::SystemClock, supervision::{Incarnation, Policy, Registry, Tree, ask}};
//! struct Scanner { seat: Incarnation<Scanner>, polls: u64 }
//! struct Poll;
//!
//! impl xtra::Actor for Scanner {
//!     type Stop = Result<(), String>;
//!     async fn started(&mut self, _: &xtra::Mailbox<Self>) -> Result<(), Self::Stop> {
//!         let me = self.seat.me.clone(); // connect here; an `Err(Err(..))` is a failure, and leads to back-off
//!         self.seat.scope.spawn(async move {
//!             while let Some(me) = me.upgrade() {
//!                 let _ = ask(&me, Poll, Duration::from_secs(5)).await;
//!                 drop(me);
//!                 tokio::time::sleep(Duration::from_secs(1)).await;
//!             }
//!         });
//!         Ok(())
//!     }
//!     async fn stopped(self) -> Self::Stop { Ok(()) }
//! }
//!
//! impl xtra::Handler<Poll> for Scanner {
//!     type Return = u64;
//!     async fn handle(&mut self, _: Poll, _: &mut xtra::Context<Self>) -> u64 {
//!         self.seat.report.set("node", "unreachable: connection refused"); // and `clear("node")` when it answers
//!         self.polls += 1;
//!         self.polls
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let health = Registry::new(Arc::new(SystemClock));
//! let tree = Tree::new(health.clone(), 42);
//! let scanner = tree.add("scanner", Policy::permanent(), |seat| Scanner { seat, polls: 0 })?;
//! ask(&scanner, Poll, Duration::from_secs(5)).await?;
//! assert_eq!(health.snapshot()[0].conditions[0].text, "unreachable: connection refused");
//! tree.restart("scanner").await?;
//! tree.shutdown(Duration::from_secs(4)).await;
//! # Ok(()) }
//! ```

mod address;
mod alarm;
mod ask;
mod child;
mod conductor;
mod group;
mod health;
mod inbox;
mod meter;
mod plan;
mod policy;
mod scope;
mod task;
mod tree;

#[cfg(test)]
mod tests;

pub use address::{Address, WeakAddress};
pub(crate) use alarm::Alarm;
pub use ask::{AskError, ask};
pub use child::Incarnation;
pub use group::{Group, Strategy};
pub use health::{Condition, Failing, LastError, PartHealth, Registry, Reporter, State};
pub use meter::Load;
pub use policy::{Backoff, Exit, Intensity, IntoExit, Lifetime, Policy, Restart};
pub use scope::Scope;
pub use tree::{Tree, TreeError};
