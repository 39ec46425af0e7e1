//! Rebuilt equals followed: projections that came up with their log, in whatever steps and with whatever happened on the way, are
//! those that are made of the whole log at once.

use std::path::Path;

use anyhow::{Result, ensure};
use millrace_actors::projection::{Projection, compare, rebuild};
use millrace_model::ids::Position;
use millrace_tests::drawn_log::{Drawing, draw, seal};
use millrace_tests::followed_log::FollowedLog;
use millrace_tests::seed;
use millrace_tests::tampering::damage;
use rand::Rng;
use rand::rngs::SmallRng;
use rusqlite::Connection;
use rusqlite::types::Value;
use tokio::runtime;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=2;
/// How many groups of each log are stored: the books' opening, and more than a thousand events.
const GROUPS: usize = 2;
/// How many commands are stored between two looks, at most.
const AT_ONCE: usize = 64;

/// What can happen between two commits.
async fn happens(mut desk: FollowedLog, folder: &Path, chance: &mut SmallRng) -> Result<FollowedLog> {
    match chance.random_range(0..12) {
        0..=4 => desk.caught_up().await?,
        5..=6 => {
            let projection = Projection::ALL[chance.random_range(0..Projection::ALL.len())];
            desk.views.rebuild(projection);
        }
        7 => {
            desk.stop().await;
            desk = FollowedLog::start(folder).await?;
        }
        _ => {}
    }
    Ok(desk)
}

/// Every row of every projection, but for how often and when it was made.
fn rows(views: &Path) -> Result<Vec<Vec<Value>>> {
    let views = Connection::open(views)?;
    let mut rows = Vec::new();
    let mut tables = views.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    ensure!(tables.len() == Projection::ALL.len() + 1, "{tables:?}");
    for table in tables.iter().filter(|table| *table != "projections") {
        let mut statement = views.prepare(&format!("SELECT * FROM {table} ORDER BY 1"))?;
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
        for row in statement.query_map([], row)? {
            rows.push(row?);
        }
    }
    Ok(rows)
}

/// A log that was followed while it came to be, as far as that.
async fn live(folder: &Path, drawn_from: u64) -> Result<Position> {
    let mut chance = seed::chance(drawn_from, "followed");
    let mut drawing = Drawing::begin(drawn_from)?;
    let mut desk = FollowedLog::start(folder).await?;
    for _ in 0..GROUPS {
        let mut group = drawing.group()?;
        while !group.is_empty() {
            let rest = group.split_off(chance.random_range(1..=AT_ONCE).min(group.len()));
            desk.store(std::mem::replace(&mut group, rest)).await?;
            desk = happens(desk, folder, &mut chance).await?;
        }
    }
    desk.made_anew().await?;
    desk.caught_up().await?;
    let head = desk.store.head();
    desk.stop().await;
    Ok(head)
}

fn is_as_made_anew(folder: &Path, head: Position, drawn_from: u64) -> Result<()> {
    let [log, followed, made] = ["log.db", "views.db", "made.db"].map(|name| folder.join(name));
    ensure!(rebuild((&log, &made), &Projection::ALL, &mut |_| {})? == head);
    let [followed_rows, made_rows] = [rows(&followed)?, rows(&made)?];
    ensure!(followed_rows.len() > 50, "seed {drawn_from}: of {} rows nothing can be said", followed_rows.len());
    for (followed, made) in followed_rows.iter().zip(&made_rows) {
        ensure!(followed == made, "seed {drawn_from}: {followed:?} was followed, {made:?} is made");
    }
    ensure!(followed_rows.len() == made_rows.len(), "seed {drawn_from}");
    ensure!(compare((&log, &followed), &Projection::ALL, &mut |_| {})? == Ok(head), "seed {drawn_from}");
    Ok(())
}

#[test]
fn what_was_followed_in_any_steps_is_what_is_made_of_the_whole_log() -> Result<()> {
    for drawn_from in SEEDS {
        let folder = tempfile::tempdir()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let head = runtime.block_on(live(folder.path(), drawn_from))?;
        is_as_made_anew(folder.path(), head, drawn_from)?;
    }
    Ok(())
}

/// O7: it is there, with what is known of it. Of the first segment most deposits have ended, so that only it had their beginnings.
#[test]
fn a_deposit_whose_beginning_a_broken_segment_took_is_listed_and_shown_to_nobody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [log, views] = ["log.db", "views.db"].map(|name| folder.path().join(name));
    draw(&log, 3 * 512, 9)?;
    seal(&log)?;
    let counted = |condition: &str| -> Result<u64> {
        let sql = format!("SELECT count(*) FROM deposits WHERE {condition}");
        Ok(Connection::open(&views)?.query_row(&sql, [], |row| row.get(0))?)
    };
    let without =
        "status = 'unreadable' AND target IS NULL AND address = '' AND body ->> '$.unreadable.position' = seq";
    rebuild((&log, &views), &Projection::ALL, &mut |_| {})?;
    let (deposits, before) = (counted("true")?, counted(without)?);
    damage(folder.path(), "UPDATE segments SET events = zeroblob(length(events)) WHERE first = 1")?;
    let head = rebuild((&log, &views), &Projection::ALL, &mut |_| {})?;
    let (listed, lost) = (counted("true")?, counted(without)?);
    ensure!(
        (listed, before) == (deposits, 0) && lost > 0,
        "{listed} of {deposits} are listed, {lost} without beginning"
    );
    ensure!(compare((&log, &views), &Projection::ALL, &mut |_| {})? == Ok(head));
    Ok(())
}
