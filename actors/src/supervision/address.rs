//! A supervised actor's address: xtra's, without the ways to send that have no deadline, and with a gate that tells
//! at once when nobody will answer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The address of a supervised actor; the same through all its incarnations. Used with [`ask`](super::ask).
///
/// Only for use on the actor runtime; other threads go through a [`Door`](crate::door::Door).
pub struct Address<A> {
    pub(super) mailbox: xtra::Address<A>,
    pub(super) gate: Gate,
    pub(super) mailbox_max: usize,
}

impl<A> Address<A> {
    /// An address that does not keep an actor of [`Lifetime::Addresses`](super::Lifetime::Addresses) alive.
    pub fn downgrade(&self) -> WeakAddress<A> {
        WeakAddress { mailbox: self.mailbox.downgrade(), gate: self.gate.clone(), mailbox_max: self.mailbox_max }
    }
}

impl<A> Clone for Address<A> {
    fn clone(&self) -> Self {
        Self { mailbox: self.mailbox.clone(), gate: self.gate.clone(), mailbox_max: self.mailbox_max }
    }
}

impl<A> fmt::Debug for Address<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("gate", &self.gate).finish_non_exhaustive()
    }
}

/// What an actor and its tasks hold of their own address.
pub struct WeakAddress<A> {
    mailbox: xtra::WeakAddress<A>,
    gate: Gate,
    mailbox_max: usize,
}

impl<A> WeakAddress<A> {
    /// The address, unless every strong one is gone.
    pub fn upgrade(&self) -> Option<Address<A>> {
        let mailbox = self.mailbox.try_upgrade()?;
        Some(Address { mailbox, gate: self.gate.clone(), mailbox_max: self.mailbox_max })
    }
}

impl<A> Clone for WeakAddress<A> {
    fn clone(&self) -> Self {
        Self { mailbox: self.mailbox.clone(), gate: self.gate.clone(), mailbox_max: self.mailbox_max }
    }
}

impl<A> fmt::Debug for WeakAddress<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakAddress").field("gate", &self.gate).finish_non_exhaustive()
    }
}

/// Shut while the part is down or stopped. xtra reports a message dropped unhandled just as one whose handler
/// died half-way; the gate lets an ask say with certainty that nothing was sent.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn shut(&self) {
        self.0.store(false, Ordering::Release);
    }
}
