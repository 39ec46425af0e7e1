//! Ten lives of a desk, each drawn from a seed and lived twice, and those again that once found something.
//!
//! The seeds are the same every time, so that whoever changes the desk is judged by his change alone. `MILLRACE_SEED=… cargo
//! nextest run -p millrace-tests --test simulation` lives others, from that seed on, `MILLRACE_LIVES=…` so many of them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use millrace_tests::seed;
use millrace_tests::simulation::{Ending, tell};

const LIVES: u64 = 10;
/// Lives in which something came to light: a payout of a forgotten life that only a person can place, and a clock turned back
/// while a purchase looked at the market.
const REMEMBERED: [u64; 2] = [13_764_539_810_259_160_236, 900_041];

#[test]
fn whatever_befalls_the_desk_nobody_is_paid_twice_and_nothing_is_left_lying() -> Result<()> {
    let lives = 0..seed::lives(LIVES);
    let seeds: Vec<u64> = match seed::asked_for() {
        Some(first) => lives.map(|life| first.wrapping_add(life)).collect(),
        None => lives.chain(REMEMBERED).collect(),
    };
    for seed in seeds {
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
