//! How long work took, by the clock and by the processors: on a machine that is shared, only the second can be compared.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How long work on so many things took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timed {
    /// How many.
    pub count: u64,
    /// By the clock.
    pub wall: Duration,
    /// By the processors, all threads together.
    pub cpu: Duration,
}

impl Timed {
    /// Does the work, which says how many things there were.
    pub(super) fn of(work: impl FnOnce() -> anyhow::Result<u64>) -> anyhow::Result<Self> {
        let (begin, before) = (Instant::now(), used());
        let count = work()?;
        Ok(Self { count, wall: begin.elapsed(), cpu: used() - before })
    }

    /// The one in the middle.
    pub(super) fn median(mut turns: Vec<Self>) -> Self {
        turns.sort_by_key(|turn| turn.cpu);
        turns[turns.len() / 2]
    }

    /// So many a second, by the clock.
    pub(super) fn rate(&self) -> f64 {
        self.count as f64 / self.wall.as_secs_f64()
    }

    /// What each took of the processors.
    pub(super) fn cpu_ns(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.count as f64
    }
}

/// What all threads of this process have used so far.
pub(super) fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).expect("time used is not negative")
}
