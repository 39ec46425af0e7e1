//! The accounts' file, looked at beside the threads that answer requests: whoever asks waits a moment for the disk, and while
//! that hangs he is answered from what was read last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use millrace_actors::clock::Clock;
use tokio::sync::Semaphore;

use super::accounts::{Accounts, AccountsFile};
use super::last_read::LastRead;
use super::sessions::Presence;

/// Nobody waits longer for a look.
const LOOKED_WITHIN: Duration = Duration::from_secs(2);
/// Pages that ask by themselves are many, and have it looked at no more often than this.
const PAGES_LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is known of the accounts.
pub(super) struct Watch {
    file: AccountsFile,
    clock: Arc<dyn Clock>,
    /// Held for moments, never while the disk is waited for.
    known: Mutex<Known>,
    /// One look at a time, however long it takes.
    turn: Arc<Semaphore>,
}

#[derive(Default)]
struct Known {
    last: LastRead,
    /// When the newest look began that came to its end.
    looked_at: Option<DateTime<Utc>>,
    /// When the one began that is under way.
    under_way: Option<Instant>,
}

impl Watch {
    pub(super) fn new(file: AccountsFile, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { file, clock, known: Mutex::default(), turn: Arc::new(Semaphore::new(1)) })
    }

    /// The accounts as the file has them now, or as it had them last. Somebody who asks has it looked at each time, so that
    /// whose account is gone is out at his next click.
    pub(super) async fn accounts(self: &Arc<Self>, presence: Presence) -> Option<Arc<Accounts>> {
        if self.is_old(presence) && !self.is_stuck() {
            // A look that takes longer goes on, and those who come later have what it finds.
            let _ = tokio::time::timeout(LOOKED_WITHIN, self.look(presence)).await;
        }
        self.known().last.accounts()
    }

    async fn look(self: &Arc<Self>, presence: Presence) {
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else { return };
        // Others may have looked meanwhile.
        if !self.is_old(presence) {
            return;
        }
        self.known().under_way = Some(Instant::now());
        let watch = Arc::clone(self);
        let looking = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            watch.look_now();
        });
        let _ = looking.await;
    }

    /// Waits for the disk.
    pub(super) fn look_now(&self) {
        let (at, stamp) = (self.clock.now(), self.file.stamp());
        let is_known = self.known().last.is_of(stamp);
        let read = (!is_known).then(|| self.file.read());
        let mut known = self.known();
        if let Some(read) = read {
            known.last.take(stamp, read);
        }
        (known.looked_at, known.under_way) = (Some(at), None);
    }

    fn is_old(&self, presence: Presence) -> bool {
        let looked_at = self.known().looked_at;
        // A clock that was set back makes everything old.
        let age = looked_at.and_then(|at| (self.clock.now() - at).to_std().ok());
        presence == Presence::Somebody || age.is_none_or(|age| age >= PAGES_LOOK_EVERY)
    }

    /// Whether the disk has kept a look waiting for so long that nobody else need wait for it.
    fn is_stuck(&self) -> bool {
        let under_way = self.known().under_way;
        self.turn.available_permits() == 0 && under_way.is_some_and(|since| since.elapsed() >= LOOKED_WITHIN)
    }

    /// A panic while the lock was held leaves something usable.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::super::accounts::Account;
    use super::*;

    #[derive(Default)]
    struct Hands(AtomicI64);

    impl Clock for Hands {
        fn now(&self) -> DateTime<Utc> {
            DateTime::from_timestamp(self.0.load(Ordering::Relaxed), 0).unwrap()
        }
    }

    #[tokio::test]
    async fn pages_have_the_file_looked_at_once_a_second_and_somebody_each_time() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(Hands::default()));
        let file = AccountsFile::of(folder.path());
        let watch = Watch::new(file.clone(), Arc::clone(&clock) as _);
        let known = async |presence| watch.accounts(presence).await.map(|accounts| accounts.operators.len());
        assert_eq!(known(Presence::PageAlone).await, None, "there is no file yet");
        file.make(clock.now()).unwrap();
        assert_eq!(known(Presence::PageAlone).await, None);
        assert_eq!(known(Presence::Somebody).await, Some(1));
        let alice = Account::new("alice", "a sentence of mine", clock.now()).unwrap();
        file.change(|accounts| accounts.add(alice)).unwrap();
        assert_eq!(known(Presence::PageAlone).await, Some(1), "within the second");
        clock.0.store(1, Ordering::Relaxed);
        assert_eq!(known(Presence::PageAlone).await, Some(2));
        file.change(|accounts| accounts.remove("alice")).unwrap();
        clock.0.store(0, Ordering::Relaxed);
        assert_eq!(known(Presence::PageAlone).await, Some(1), "the clock was set back");
    }
}
