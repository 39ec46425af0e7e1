//! Lives of a desk, each drawn from a seed and lived twice, and those again that once found something.
//!
//! The seeds are the same every time, so that whoever changes the desk is judged by his change alone. `MILLRACE_SEED=… cargo
//! nextest run -p millrace-tests --test simulation` lives others, from that seed on, `MILLRACE_LIVES=…` so many of them;
//! `tests/simulate` lives as many as there is time for.

use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Result, ensure};
use millrace_tests::seed;
use millrace_tests::simulation::many::{self, Tally, Violation};
use tokio::runtime::{Builder, Runtime};

const LIVES: u64 = 500;
/// Lives in which something came to light: a payout stranded by a reorganisation deeper than what counts as final, because it
/// spends the change of another that came to nothing.
const REMEMBERED: [u64; 1] = [100_969];

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_time().event_interval(1).start_paused(true).build()
}

/// P1: five hundred lives with crashes in the middle of a step.
/// O1: five hundred simulated lives with crashes at any await.
/// O5: logs restored from a backup, in five hundred lives.
/// O6: a wrong clock, in five hundred lives.
#[test]
fn whatever_befalls_the_desk_nobody_is_paid_twice_and_nothing_is_left_lying() -> Result<()> {
    let lives = 0..seed::lives(LIVES);
    let seeds: Vec<u64> = match seed::asked_for() {
        Some(first) => lives.map(|life| first.wrapping_add(life)).collect(),
        None => lives.chain(REMEMBERED).collect(),
    };
    let began = Instant::now();
    let (tally, violation) = many::live(&seeds, available_parallelism()?.get(), runtime, |_| ());
    println!("{tally:#?}\n{:.1?}", began.elapsed());
    match violation {
        None if tally.lives >= LIVES => ensure_sealed(&tally),
        None => Ok(()),
        Some(Violation { seed, error }) => Err(error.context(format!("seed {seed}; again: tests/simulate 1 {seed}"))),
    }
}

/// One life in eight has a log that grows old.
fn ensure_sealed(tally: &Tally) -> Result<()> {
    let (events, lives) = tally.sealed;
    ensure!(lives > tally.lives / 100, "{events} events were sealed in no more than {lives} lives");
    Ok(())
}
