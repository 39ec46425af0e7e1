//! Many lives, on several threads: every life twice, until one goes wrong.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use tokio::runtime::Runtime;

use super::{Ending, tell};

/// How often somebody is told how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What many lives come to.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// How many seeds were lived, each twice.
    pub lives: u64,
    /// Events in their logs.
    pub events: u64,
    /// How many of these were sealed, and in how many lives something was.
    pub sealed: (u64, u64),
    /// Time that passed in them.
    pub lasted: Duration,
    /// Crashes of the desk.
    pub crashes: u64,
    /// Logs lost and restored from a backup.
    pub restored: u64,
    /// Orders that the exchanges took.
    pub orders: u64,
    /// Payouts that left their block after they were final.
    pub payouts_lost: u64,
    /// The longest that anybody needed to come to rest once everything worked again, and who.
    pub longest_rest: (Duration, u64),
    /// Deposits, by how they ended.
    pub endings: BTreeMap<String, usize>,
}

impl Tally {
    fn add(&mut self, seed: u64, ending: &Ending) {
        self.lives += 1;
        self.events += ending.verified.head;
        self.sealed = (self.sealed.0 + ending.sealed, self.sealed.1 + u64::from(ending.sealed > 0));
        self.lasted += ending.lasted;
        self.crashes += u64::from(ending.crashes);
        self.restored += u64::from(ending.restored);
        self.orders += ending.orders as u64;
        self.payouts_lost += ending.payouts_lost as u64;
        self.longest_rest = self.longest_rest.max((ending.rested_after, seed));
        for (ending, count) in &ending.endings {
            *self.endings.entry(ending.clone()).or_default() += count;
        }
    }

    /// How many deposits there were.
    pub fn deposits(&self) -> usize {
        self.endings.values().sum()
    }
}

/// A life that went wrong.
#[derive(Debug)]
pub struct Violation {
    /// Which.
    pub seed: u64,
    /// What happened in it.
    pub error: anyhow::Error,
}

/// Lives these lives and stops at the first that goes wrong; of several at once the one with the smallest seed is told.
/// `runtime` makes runtimes of one thread with paused time.
pub fn live(
    seeds: &[u64],
    threads: usize,
    runtime: fn() -> std::io::Result<Runtime>,
    tell_how_far: impl Fn(&Tally),
) -> (Tally, Option<Violation>) {
    let shared = Shared { next: AtomicU64::new(0), stop: AtomicBool::new(false), outcome: Mutex::default() };
    std::thread::scope(|scope| {
        let (working, finished) = mpsc::sync_channel::<()>(1);
        for _ in 0..threads.max(1) {
            let (working, shared) = (working.clone(), &shared);
            scope.spawn(move || {
                let _working = working;
                shared.work(seeds, runtime);
            });
        }
        drop(working);
        while finished.recv_timeout(TOLD_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
            tell_how_far(&shared.lock().0.clone());
        }
    });
    shared.outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}

struct Shared {
    next: AtomicU64,
    stop: AtomicBool,
    outcome: Mutex<(Tally, Option<Violation>)>,
}

impl Shared {
    fn work(&self, seeds: &[u64], runtime: fn() -> std::io::Result<Runtime>) {
        while !self.stop.load(Ordering::Relaxed) {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(&seed) = usize::try_from(next).ok().and_then(|next| seeds.get(next)) else { return };
            let ending = twice(seed, runtime);
            let (tally, violation) = &mut *self.lock();
            match ending {
                Ok(ending) => tally.add(seed, &ending),
                Err(error) => {
                    self.stop.store(true, Ordering::Relaxed);
                    if violation.as_ref().is_none_or(|earlier| seed < earlier.seed) {
                        *violation = Some(Violation { seed, error });
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Tally, Option<Violation>)> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lives a life, and once more: it has to be the same.
pub fn twice(seed: u64, runtime: fn() -> std::io::Result<Runtime>) -> Result<Ending> {
    let (first, second) = (once(seed, runtime)?, once(seed, runtime).context("the second time")?);
    ensure!(first == second, "it ended once as {first:?} and once as {second:?}");
    Ok(first)
}

/// Lives a life.
pub fn once(seed: u64, runtime: fn() -> std::io::Result<Runtime>) -> Result<Ending> {
    count_panics();
    let panics_before = PANICS.get();
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let runtime = runtime()?;
        let ending = runtime.block_on(tell(seed));
        runtime.shutdown_timeout(Duration::ZERO);
        ending
    }));
    let ending = lived.unwrap_or_else(|panic| Err(anyhow!("the world panicked: {}", text(&*panic))))?;
    ensure!(PANICS.get() == panics_before, "a part of the desk panicked, and was started anew");
    Ok(ending)
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

thread_local! {
    /// A life stays on its thread, and a part that panics is caught by its supervisor.
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            before(panic);
        }));
    });
}
