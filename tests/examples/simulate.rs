//! Many lives of a desk as a program: `simulate LIVES FIRST_SEED`. (An example, because a runtime whose time is paused is for
//! tests alone, and no program of the desk is to be built with one.)

use std::io::Write;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use millrace_tests::simulation::many::{self, Tally, Violation};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

/// Who lives one life wants to know everything of it.
const TELL_ALL: u64 = 1;

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_time().event_interval(1).start_paused(true).build()
}

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |name: &str| -> Result<u64> {
        let text = arguments.next().with_context(|| format!("{name} is missing"))?;
        text.parse().with_context(|| format!("{name} is a number, not {text:?}"))
    };
    let (lives, first) = (number("LIVES")?, number("FIRST_SEED")?);
    let filter = EnvFilter::builder().with_default_directive(tracing::level_filters::LevelFilter::OFF.into());
    tracing_subscriber::fmt().with_env_filter(filter.from_env_lossy()).with_writer(std::io::stderr).init();
    let seeds: Vec<u64> = (0..lives).map(|life| first.wrapping_add(life)).collect();
    let began = Instant::now();
    let (tally, violation) = many::live(&seeds, available_parallelism()?.get(), runtime, |tally| {
        eprint!("\r{} of {lives} lives, {} a second", tally.lives, rate(tally, began.elapsed()));
        let _ = std::io::stderr().flush();
    });
    eprintln!();
    if lives == TELL_ALL || violation.is_none() {
        let (rest, seed) = tally.longest_rest;
        eprintln!("deposits: {:?}\nlongest until rest: {rest:.1?} (seed {seed})", tally.endings);
    }
    println!("{}", summary(&tally, usize::from(violation.is_some()), began.elapsed()));
    let Some(Violation { seed, error }) = violation else { return Ok(ExitCode::SUCCESS) };
    eprintln!(
        "VIOLATION in seed {seed}: {error:#}\nagain, with the desk's own words: RUST_LOG=info tests/simulate 1 {seed}"
    );
    Ok(ExitCode::FAILURE)
}

fn rate(tally: &Tally, took: Duration) -> u128 {
    u128::from(tally.lives) * 1_000 / took.as_millis().max(1)
}

fn summary(tally: &Tally, violations: usize, took: Duration) -> String {
    format!(
        "{} lives, each twice, in {:.0?} ({} a second): {} virtual hours, {} events ({} sealed), {} deposits, {} orders, {} crashes, {} logs \
         lost, {} final payouts lost, {violations} violations",
        tally.lives,
        took,
        rate(tally, took),
        tally.lasted.as_secs() / 3_600,
        tally.events,
        tally.sealed.0,
        tally.deposits(),
        tally.orders,
        tally.crashes,
        tally.restored,
        tally.payouts_lost,
    )
}
