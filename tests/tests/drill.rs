//! A short drill of the real program: every kind of trouble that this machine permits, a few times.
//!
//! `tests/drill` is the long one. `MILLRACE_SEED=… cargo nextest run -p millrace-tests --test drill` draws the same troubles.

use std::time::Duration;

use anyhow::{Result, ensure};
use millrace_tests::drill::{self, Plan};
use millrace_tests::seed;

const KILLS: u32 = 16;
/// Some segments' worth, to be sealed amid the troubles.
const EVENTS: usize = 4_000;
/// Other tests run at the same time, so this is a bound for a machine that is busy; the promise itself is `tests/drill`'s.
const BUSY: Duration = Duration::from_secs(20);

/// O1: kills at any moment and at system calls, of the whole desk and of its core.
///
/// O2: power cuts, where root may mount a disk.
///
/// O3: a disk that is full or read-only (there as well) and flushes that fail (where strace may be used); health and page
/// say which.
///
/// O6: clocks that jump (where libfaketime is installed), and a desk that stands still.
///
/// P2: a second desk on the same data is refused, also while the first stands still.
///
/// All the while its log is sealed.
#[test]
fn a_desk_that_is_killed_stopped_cut_off_and_lied_to_pays_everybody_once() -> Result<()> {
    let plan = Plan {
        page_within: BUSY,
        recovers_within: BUSY,
        recoveries: 2,
        events: EVENTS,
        ..Plan::with_kills(seed::printed("drill"), KILLS)
    };
    let report = drill::run(&plan, |_| Ok(()))?;
    println!("{report}");
    ensure!(report.sealed > 0, "nothing was sealed");
    Ok(())
}
