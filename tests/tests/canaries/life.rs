//! Simulated lives with a desk that is wrong: the judges of the simulation catch it.

use super::*;
use millrace_tests::seed;
use millrace_tests::simulation::{Ending, many};
use tokio::runtime::{Builder, Runtime};

/// How many lives are looked through: as many as the simulation lives in every run of the tests.
const LIVES: u64 = 500;

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_time().event_interval(1).start_paused(true).build()
}

fn live(canary: Option<Canary>, seed: u64) -> Result<Ending> {
    let _released = canary.map(canary::release);
    many::once(seed, runtime)
}

/// Looks for a life in which it is caught, and lives that once more with the right desk.
pub fn catches(canary: Canary, known: u64, complaints: &[&str]) -> Result<String> {
    let seeds = std::iter::once(known).chain((0..seed::lives(LIVES)).filter(|seed| *seed != known));
    let mut others: Option<anyhow::Error> = None;
    for seed in seeds {
        let Err(error) = live(Some(canary), seed) else { continue };
        let text = format!("{error:#}");
        let fits = |line: &&str| complaints.iter().any(|complaint| line.contains(complaint));
        let Some(line) = text.lines().find(fits) else {
            others.get_or_insert(error.context(format!("only another complaint, in life {seed}")));
            continue;
        };
        live(None, seed).with_context(|| format!("the right desk fails in life {seed} as well"))?;
        return Ok(format!("life {seed}: {}", line.trim()));
    }
    Err(others.unwrap_or_else(|| anyhow!("all lives passed")))
}
