//! When an incarnation is followed by another, how soon, and when the supervisor gives up. No tasks, no waiting.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

/// Which exits are followed by another incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Every exit, also a normal one.
    Permanent,
    /// Every exit but a normal one.
    Transient,
    /// None.
    Temporary,
}

/// What keeps a part alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// The tree: it lives until it is stopped, also when nobody holds its address.
    Tree,
    /// Its addresses: it ends for good, as [`Exit::Orphaned`], when the last one is dropped.
    Addresses,
}

/// The pause before the next incarnation: doubled with every failure in a row, then shortened by up to a half at
/// random, so that parts that failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The pause never grows beyond this.
    pub longest: Duration,
}

/// How many restarts are borne before the supervisor gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// One more restart than this within `window`, and the part is down until an operator starts it.
    pub restarts_max: u32,
    /// The window; an incarnation that lived this long also starts the back-off afresh.
    pub window: Duration,
}

/// How a part is supervised. Begin with [`Policy::permanent`] and change what differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Which exits are followed by another incarnation.
    pub restart: Restart,
    /// What keeps the part alive.
    pub lifetime: Lifetime,
    /// The pause between incarnations.
    pub backoff: Backoff,
    /// When to give up.
    pub intensity: Intensity,
    /// Limit of `started`; connecting to the outside happens there.
    pub start_within: Duration,
    /// Limit of one message's handler, and of `stopped`. A handler that blocks the thread is beyond any limit.
    pub handle_within: Duration,
    /// How long a handler at work may go on once the part is told to stop or restart.
    pub grace: Duration,
    /// Messages that may wait (at least 1); with more, an ask is refused as busy.
    pub mailbox_max: usize,
}

impl Policy {
    /// Restarted for ever. The defaults never give up on a dependency that stays dead, because the back-off soon
    /// holds the restarts below the intensity; for a part that must give up, lower `restarts_max`.
    pub const fn permanent() -> Self {
        Self {
            restart: Restart::Permanent,
            lifetime: Lifetime::Tree,
            backoff: Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(30) },
            intensity: Intensity { restarts_max: 20, window: Duration::from_secs(60) },
            start_within: Duration::from_secs(30),
            handle_within: Duration::from_secs(30),
            grace: Duration::from_secs(1),
            mailbox_max: 1024,
        }
    }

    /// Restarted unless it ends by itself without an error.
    pub const fn transient() -> Self {
        Self { restart: Restart::Transient, ..Self::permanent() }
    }

    /// Never restarted.
    pub const fn temporary() -> Self {
        Self { restart: Restart::Temporary, ..Self::permanent() }
    }
}

/// How an incarnation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// By its own decision, without an error.
    Normal,
    /// By its own decision, with an error.
    Failed(String),
    /// Its constructor, a handler, or a task of its scope panicked.
    Panicked(String),
    /// Starting, stopping or handling a message took longer than the policy allows.
    TimedOut,
    /// It was told to stop or restart.
    Told,
    /// Nobody holds its address any more.
    Orphaned,
}

impl Exit {
    /// Whether this exit is a fault, as opposed to an orderly end.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Failed(_) | Self::Panicked(_) | Self::TimedOut => true,
            Self::Normal | Self::Told | Self::Orphaned => false,
        }
    }

    /// The exit that stands for a caught panic. Panics carry a `String` when formatted, else a `&str`.
    pub(super) fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        Self::Panicked(text.unwrap_or("no text").to_owned())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("ended by itself"),
            Self::Failed(error) => f.write_str(error),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
            Self::TimedOut => f.write_str("took longer than its limit"),
            Self::Told => f.write_str("was told to stop"),
            Self::Orphaned => f.write_str("nobody holds its address"),
        }
    }
}

/// What an actor's `Stop`, or the outcome of a task in its scope, means to the supervisor.
pub trait IntoExit {
    /// The exit it stands for.
    fn into_exit(self) -> Exit;
}

impl IntoExit for () {
    fn into_exit(self) -> Exit {
        Exit::Normal
    }
}

impl<E: fmt::Display> IntoExit for Result<(), E> {
    /// An error is told in its alternate form, which for report types includes the causes.
    fn into_exit(self) -> Exit {
        match self {
            Ok(()) => Exit::Normal,
            Err(error) => Exit::Failed(format!("{error:#}")),
        }
    }
}

/// What follows an exit nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another incarnation after this pause.
    Again(Duration),
    /// None: it ended in order.
    Finished,
    /// None: it failed, and may not be restarted (again).
    GiveUp,
    /// None ever: nobody can reach it.
    Gone,
}

/// A part's recent restarts, and the judgement that follows from them.
#[derive(Debug)]
pub(super) struct History {
    policy: Policy,
    jitter: SmallRng,
    recent: VecDeque<Instant>,
    in_a_row: u32,
}

impl History {
    /// An empty history; equal seeds give equal pauses.
    pub(super) fn new(policy: Policy, jitter_seed: u64) -> Self {
        Self { policy, jitter: SmallRng::seed_from_u64(jitter_seed), recent: VecDeque::new(), in_a_row: 0 }
    }

    /// Forgets all restarts: an operator has taken the matter in hand.
    pub(super) fn forget(&mut self) {
        self.recent.clear();
        self.in_a_row = 0;
    }

    /// Judges the exit of an incarnation that ended at `now` after having lived for `lived`.
    pub(super) fn judge(&mut self, exit: &Exit, lived: Duration, now: Instant) -> Verdict {
        match (exit, self.policy.restart) {
            (Exit::Orphaned, _) => Verdict::Gone,
            (Exit::Told, _) | (Exit::Normal, Restart::Transient | Restart::Temporary) => Verdict::Finished,
            (Exit::Failed(_) | Exit::Panicked(_) | Exit::TimedOut, Restart::Temporary) => Verdict::GiveUp,
            (Exit::Normal, Restart::Permanent)
            | (Exit::Failed(_) | Exit::Panicked(_) | Exit::TimedOut, Restart::Permanent | Restart::Transient) => {
                self.again(lived, now)
            }
        }
    }

    fn again(&mut self, lived: Duration, now: Instant) -> Verdict {
        let Intensity { restarts_max, window } = self.policy.intensity;
        while self.recent.front().is_some_and(|at| now.duration_since(*at) >= window) {
            self.recent.pop_front();
        }
        if self.recent.len() >= restarts_max as usize {
            return Verdict::GiveUp;
        }
        self.recent.push_back(now);
        self.in_a_row = if lived >= window { 1 } else { self.in_a_row.saturating_add(1) };
        Verdict::Again(self.pause())
    }

    fn pause(&mut self) -> Duration {
        let Backoff { first, longest } = self.policy.backoff;
        let doublings = (self.in_a_row - 1).min(31);
        let whole = first.saturating_mul(1 << doublings).min(longest);
        whole.mul_f64(self.jitter.random_range(0.5..=1.0))
    }
}
