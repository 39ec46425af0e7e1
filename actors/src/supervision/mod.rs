//! What OTP has and xtra lacks: names, a tree, restart policies, back-off, health, per-incarnation tasks, deadlines.
//!
//! An actor is an ordinary [`xtra::Actor`] whose `Stop` says how it ended ([`IntoExit`]). [`Tree::add`] gives it a
//! supervisor: a task that owns its only mailbox, makes one incarnation after the other, and drives each under a
//! panic net. The [`Address`] stays the same through all of them. Giving up is a state the operator can see and
//! lift ([`State::Down`], [`Tree::start`]), never the end of the process.
//!
//! xtra's traps decide the shape: a mailbox is never cloned (the clone's unread broadcasts pile up), a pending
//! receive is never dropped (the message that just landed would go with it), tasks are bound to the incarnation and
//! not to the mailbox (they would pile up over restarts), and nobody sends without a deadline (a cycle of asks, or
//! an ask during back-off, would wait for ever).

mod address;
mod ask;
mod child;
mod health;
mod policy;
mod scope;
mod tree;

#[cfg(test)]
mod tests;

pub use address::{Address, WeakAddress};
pub use ask::{AskError, ask};
pub use child::Incarnation;
pub use health::{Condition, LastError, PartHealth, Registry, Reporter, State};
pub use policy::{Backoff, Exit, Intensity, IntoExit, Lifetime, Policy, Restart};
pub use scope::Scope;
pub use tree::{Tree, TreeError};
