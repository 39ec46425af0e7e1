//! The bell that rings after a commit.
//!
//! Whoever waits for it is woken in the order in which he began to wait. (Tokio's `watch` draws that order by lot, and then
//! a run could not be repeated.)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use millrace_model::ids::Position;
use tokio::sync::Notify;

/// Rings the bell, and knows how far the log is.
#[derive(Debug)]
pub(super) struct Ringer(Arc<Rope>);

#[derive(Debug)]
struct Rope {
    head: AtomicU64,
    rings: AtomicU64,
    is_gone: AtomicBool,
    waiting: Notify,
}

/// Hears the bell. Clones hear it on their own.
#[derive(Debug, Clone)]
pub struct Bell {
    rope: Arc<Rope>,
    heard: u64,
}

/// Nobody rings any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event store is gone")]
pub struct BellGone;

impl Ringer {
    pub(super) fn new(head: Position) -> Self {
        Self(Arc::new(Rope {
            head: AtomicU64::new(head),
            rings: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
            waiting: Notify::new(),
        }))
    }

    pub(super) fn head(&self) -> Position {
        self.0.head.load(Ordering::Acquire)
    }

    /// The log is at `head` now.
    pub(super) fn ring(&self, head: Position) {
        self.0.head.store(head, Ordering::Release);
        self.0.rings.fetch_add(1, Ordering::Release);
        self.0.waiting.notify_waiters();
    }

    pub(super) fn bell(&self) -> Bell {
        Bell { rope: Arc::clone(&self.0), heard: self.0.rings.load(Ordering::Acquire) }
    }
}

impl Drop for Ringer {
    fn drop(&mut self) {
        self.0.is_gone.store(true, Ordering::Release);
        self.0.waiting.notify_waiters();
    }
}

impl Bell {
    /// Waits until it has rung since this was last heard, or since [`Self::mark_unchanged`]. Nothing is lost when this is
    /// dropped.
    pub async fn changed(&mut self) -> Result<(), BellGone> {
        loop {
            // Whoever rings from here on wakes it.
            let rung = self.rope.waiting.notified();
            let rings = self.rope.rings.load(Ordering::Acquire);
            if rings != self.heard {
                self.heard = rings;
                return Ok(());
            }
            if self.rope.is_gone.load(Ordering::Acquire) {
                return Err(BellGone);
            }
            rung.await;
        }
    }

    /// What rang until now counts as heard.
    pub fn mark_unchanged(&mut self) {
        self.heard = self.rope.rings.load(Ordering::Acquire);
    }

    /// The log's newest position.
    pub fn head(&self) -> Position {
        self.rope.head.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt;
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_are_woken_in_the_order_in_which_they_came() {
        let ringer = Ringer::new(0);
        let woken = Mutex::new(Vec::new());
        let waits = (0..100).map(|number| {
            let (mut bell, woken) = (ringer.bell(), &woken);
            async move {
                bell.changed().await.unwrap();
                woken.lock().unwrap().push(number);
            }
        });
        let mut waits = join_all(waits).boxed_local();
        assert!(waits.as_mut().now_or_never().is_none());
        ringer.ring(7);
        waits.await;
        assert_eq!(woken.into_inner().unwrap(), (0..100).collect::<Vec<_>>());
        assert_eq!(ringer.bell().head(), 7);
    }

    #[tokio::test]
    async fn a_ring_that_nobody_waited_for_is_heard_once() {
        let ringer = Ringer::new(0);
        let mut bell = ringer.bell();
        ringer.ring(1);
        ringer.ring(2);
        assert_eq!(bell.changed().now_or_never(), Some(Ok(())));
        assert_eq!(bell.changed().now_or_never(), None);
        ringer.ring(3);
        bell.mark_unchanged();
        assert_eq!(bell.changed().now_or_never(), None);
        drop(ringer);
        assert_eq!(bell.changed().await, Err(BellGone));
    }
}
