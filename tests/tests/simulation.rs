//! Ten lives of a desk, each drawn from a seed and lived twice.
//!
//! `MILLRACE_SEED=… cargo nextest run -p millrace-tests --test simulation` lives the same ones again, `MILLRACE_LIVES=…`
//! so many of them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use millrace_tests::seed;
use millrace_tests::simulation::{Ending, tell};

const LIVES: u64 = 10;

#[test]
fn whatever_befalls_the_desk_nobody_is_paid_twice_and_nothing_is_left_lying() -> Result<()> {
    let first = seed::printed("simulation");
    for seed in (0..seed::lives(LIVES)).map(|life| first.wrapping_add(life)) {
        let began = Instant::now();
        let ending = life(seed)?;
        let Ending { verified, crashes, restored, endings, orders } = &ending;
        let tip = hex::encode(&verified.tip.0[..8]);
        println!(
            "seed {seed}: {} events up to {tip}…, {crashes} crashes, {restored} logs lost, {orders} orders, {endings:?}, {:.1?}",
            verified.head,
            began.elapsed()
        );
        let again = life(seed)?;
        ensure!(ending == again, "seed {seed} ended once as {ending:?} and once as {again:?}");
    }
    Ok(())
}

fn life(seed: u64) -> Result<Ending> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let ending = runtime.block_on(tell(seed)).with_context(|| format!("seed {seed}"))?;
    runtime.shutdown_timeout(Duration::ZERO);
    Ok(ending)
}
