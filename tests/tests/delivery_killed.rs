//! An engine that delivers notifications is killed in full flow: every send is in its file, and everything arrives.

use std::path::Path;
use std::time::Duration;

use millrace_tests::bench::kills;

/// Few enough for every run; `tests/bench delivery_kill_unlogged` does it twenty times with more to deliver.
const KILLS: u32 = 3;
const COUNT: u64 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_send_of_an_engine_that_is_killed_has_its_row_and_everything_arrives() -> anyhow::Result<()> {
    let program = Path::new(env!("CARGO_BIN_EXE_bench"));
    let killed = kills::kill(program, KILLS, COUNT).await?;
    assert_eq!((killed.unlogged, killed.never_sent), (0, 0), "{killed:?}");
    assert!(killed.sent >= kills::ENDPOINTS * COUNT && killed.first_after < Duration::from_secs(30), "{killed:?}");
    Ok(())
}
