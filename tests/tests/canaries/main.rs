//! Variants of the desk that are wrong on purpose, each of which has to be caught by what judges the right one.
//!
//! What caught it is printed (`--no-capture`), and the right desk passes the very same check in the same run: a check that
//! always fails catches nothing. Not part of the ordinary build: `cargo nextest run -p millrace-tests --features canaries
//! --test canaries`.

mod life;
mod log;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use millrace_actors::canary::{self, Canary};

/// What must catch a canary, and how.
enum Check {
    /// A simulated life goes wrong, and the complaint says one of these. The first is lived first, since it is known to show
    /// it; when it does not any more, others are looked through.
    Life { seed: u64, complaints: &'static [&'static str] },
    /// This asks something of a new log, and the complaint says this.
    Log { asks: fn(&Path) -> Result<()>, complaint: &'static str },
}

const fn life(seed: u64, complaints: &'static [&'static str]) -> Check {
    Check::Life { seed, complaints }
}

fn check(canary: Canary) -> Check {
    match canary {
        Canary::SendFirst => life(0, &["before it was in the log"]),
        Canary::OrderFirst => life(0, &["before it was in the log"]),
        Canary::BlindRetry => life(3, &["by the log"]),
        Canary::SignAnew => life(99, &["which never was"]),
        Canary::LookFirstLeftOut => life(213, &["no deposit signed", "was paid twice", "nobody intended"]),
        Canary::HaltUnchecked => life(1, &["the desk was halted"]),
        Canary::NoDepth => life(0, &["was received at block"]),
        Canary::DetectedTwice => life(1, &["has not exactly one deposit"]),
        Canary::CursorFirst => life(189, &["has not exactly one deposit", "Vanished"]),
        Canary::ReservationForgotten => life(37, &["was signed with outputs reserved"]),
        Canary::StartsBlind => life(1, &["still open"]),
        Canary::NoDedup => life(0, &["was given another address"]),
        Canary::Autocommit => Check::Log { asks: log::is_all_or_nothing, complaint: "that the log has refused" },
        Canary::CommitUnchecked => Check::Log { asks: log::is_all_or_nothing, complaint: "whose commit failed" },
        Canary::SyncNormal => Check::Log { asks: log::opens_safely, complaint: "synchronous is 1" },
    }
}

/// What caught it, in words.
fn catch(canary: Canary) -> Result<String> {
    match check(canary) {
        Check::Life { seed, complaints } => life::catches(canary, seed, complaints),
        Check::Log { asks, complaint } => {
            let folder = tempfile::tempdir()?;
            let wrong = {
                let _released = canary::release(canary);
                asks(&folder.path().join("wrong.db"))
            };
            let error = wrong.err().context("nothing was found wrong")?;
            ensure!(format!("{error:#}").contains(complaint), "caught for another reason: {error:#}");
            asks(&folder.path().join("right.db")).context("the right log fails as well")?;
            Ok(error.to_string())
        }
    }
}

#[test]
fn every_canary_is_caught() -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut escaped = String::new();
        while let Some(&canary) = Canary::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let began = Instant::now();
            match catch(canary) {
                Ok(how) => println!("{canary:?}: {how} ({:.1?})", began.elapsed()),
                Err(error) => writeln!(escaped, "{canary:?}: {error:#}").expect("a text takes everything"),
            }
        }
        escaped
    };
    let escaped: String = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..available_parallelism().map_or(1, Into::into)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a catch does not panic")).collect()
    });
    assert!(escaped.is_empty(), "not caught:\n{escaped}");
    Ok(())
}
