//! A disk that fills up while a running desk makes its projections anew: what is shown stays, the reason is said, and once there is room they
//! are made.
//!
//! It needs a disk of its own, which only root may have; without it, nothing is tested here.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_tests::desk::Desk;
use millrace_tests::drawn_log::draw;
use millrace_tests::drill::Disk;
use millrace_tests::operator::OperatorApi;
use millrace_tests::process;
use millrace_tests::sandbox::{Sandbox, Timing};
use millrace_tests::world::settings_of;
use rusqlite::{Connection, OptionalExtension};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(60);
/// Some thousand deposits: their rows are written in several pieces.
const EVENTS: u64 = 80_000;
const DISK_MIB: u32 = 512;
/// Room for some of the rows that are made anew, and not for all.
const ROOM_BYTES: u64 = 4 << 20;
const DEPOSITS_PAGE: &str = "/deposits?limit=100";
const FULL: &str = "the disk is full";
const TIMING: Timing = Timing { bitcoin_block_ms: 500, skycoin_block_ms: 500, market_step_ms: 0 };

/// How often each projection was made and why the last attempt failed, once all are shown and none is being made.
async fn made(operator: &OperatorApi) -> Result<Option<Vec<(u64, Option<String>)>>> {
    let page = operator.get("/projections").await?;
    let rows = page["projections"].as_array().context("projections")?;
    let is_done = rows.iter().all(|row| row["rebuild"].is_null() && row["position"].as_u64() >= Some(EVENTS));
    let of = |row: &Value| {
        let generation = row["generation"].as_u64().context("a generation")?;
        Ok((generation, row["failure"].as_str().map(str::to_owned)))
    };
    if is_done { rows.iter().map(of).collect::<Result<_>>().map(Some) } else { Ok(None) }
}

/// Whether some of the rows of deposits that are being made were written.
fn is_under_way(data: &Path) -> Result<bool> {
    let views = Connection::open(data.join("views.db"))?;
    let sql = "SELECT position FROM projections WHERE name = 'deposits' AND place = 'next'";
    let position: Option<u64> = views.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(position.is_some_and(|position| (1..EVENTS).contains(&position)))
}

/// The deposits of a page.
async fn shown(operator: &OperatorApi) -> Result<Vec<Value>> {
    let page = operator.get(DEPOSITS_PAGE).await?;
    let deposits = page["deposits"].as_array().context("a list")?;
    Ok(deposits.iter().map(|deposit| deposit["id"].clone()).collect())
}

/// Has all made anew on a disk without room for it; what is shown stays all the while.
async fn fails_for_want_of_room(desk: &Desk, operator: &OperatorApi) -> Result<()> {
    let (core, before, generations) = (desk.core()?, shown(operator).await?, made(operator).await?);
    let generations = generations.context("nothing is being made")?;
    ensure!(before.len() == 100, "{before:?}");
    operator.post("/projections/all/rebuild", &json!({})).await?;
    let mut was_under_way = false;
    let outcome = desk.until(WITHIN, "it is known what became of it", async || {
        was_under_way |= is_under_way(&desk.data_dir())?;
        ensure!(shown(operator).await? == before, "something else is shown");
        Ok(made(operator).await?.filter(|made| made.iter().any(|(_, failed)| failed.is_some())))
    });
    let outcome = outcome.await?;
    ensure!(was_under_way, "it failed before it had begun");
    for ((made, failed), (earlier, _)) in outcome.iter().zip(&generations) {
        ensure!(made == earlier && failed.as_ref().is_some_and(|why| why.contains(FULL)), "{outcome:?}");
    }
    ensure!(!process::has_ended(core), "the desk ended of a full disk");
    ensure!(shown(operator).await? == before, "something else is shown");
    Ok(())
}

/// O3: amid a rebuild.
#[tokio::test]
async fn a_disk_that_is_full_amid_a_rebuild_takes_nothing_away_and_with_room_it_is_made() -> Result<()> {
    let (folder, beside) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let data = folder.path().join("data");
    std::fs::create_dir(&data)?;
    let Some(disk) = Disk::where_permitted(&beside.path().join("image"), &data, DISK_MIB)? else {
        println!("LEFT OUT, not permitted here: a disk of its own");
        return Ok(());
    };
    draw(&data.join("log.db"), EVENTS, 4)?;
    // Its files are elsewhere, and it has all the room it needs.
    let sandbox = Sandbox::start_with(&beside.path().join("sandbox"), TIMING, &["--any-ports"]).await?;
    let settings = settings_of(&sandbox.info);
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // Otherwise the room is the sealer's, too.
    settings.push(("MILLRACE_DESK__SEAL_AFTER_HOURS", "87600"));
    let mut desk = Desk::launch_in(folder, &settings)?;
    desk.ready().await?;
    let operator = OperatorApi::of(&desk)?;
    let before = desk.until(WITHIN, "the log is shown", async || made(&operator).await).await?;

    disk.fill_but_for(ROOM_BYTES)?;
    fails_for_want_of_room(&desk, &operator).await?;
    disk.make_room()?;
    // It was halted since it came without its head file; that this can be lifted says that the log is written to.
    desk.command(&["resume", "drawn by chance"]).await?;
    operator.post("/projections/all/rebuild", &json!({})).await?;
    let once_more: Vec<_> = before.iter().map(|(generation, _)| (generation + 1, None)).collect();
    let is_made = async || Ok(made(&operator).await?.filter(|now| *now == once_more));
    desk.until(WITHIN, "all are made anew", is_made).await?;
    let said = desk.command(&["rebuild", "--all", "--verify"]).await?;
    ensure!(said.contains("as the log has it, up to position "), "{said}");
    desk.kill()?;
    drop(disk);
    Ok(())
}
