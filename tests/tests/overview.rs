//! The whole desk at a position of its log: what the views show of it, and the same whichever stations there are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bitcoin::hashes::{Hash, sha256};
use millrace_actors::event_store::Reader;
use millrace_actors::moments::compare;
use millrace_actors::stations::{OverviewError, Stations, overview_at};
use millrace_model::ids::Position;
use millrace_model::overview::Overview;
use millrace_tests::drawn_log::draw;
use rusqlite::Connection;
use serde_json::{Value, json};

const EVENTS: u64 = 1_200;
const EVERY: Position = 250;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

fn golden_log(name: &str, folder: &Path) -> Result<Reader> {
    let log = folder.join(name);
    Connection::open(&log)?.execute_batch(&fs::read_to_string(golden(&format!("{name}.sql")))?)?;
    Ok(Reader::open(&log)?)
}

/// The folds of the views and this one know nothing of each other.
#[test]
fn at_the_end_of_a_log_it_is_what_the_views_and_the_parts_show() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for name in ["schema-1", "schema-2"] {
        let reader = golden_log(name, folder.path())?;
        let overview = overview_at(&reader, None, reader.head()?)?;
        let expected: Value = serde_json::from_str(&fs::read_to_string(golden(&format!("{name}.json")))?)?;
        let mut lines: BTreeMap<String, [i64; 2]> = BTreeMap::new();
        for line in expected["totals"]["lines"].as_array().context("lines")? {
            let of = |field: &str| line[field].as_i64().context("a number");
            let place = format!("{} {}", line["status"], line["outcome"]);
            lines.insert(place, [of("deposits")?, of("received")?]);
        }
        for line in &overview.lines {
            let place = format!("{} {}", json!(line.stage), json!(line.ended));
            let shown = lines.remove(&place);
            let counted = [i64::try_from(line.deposits)?, i64::try_from(line.received)?];
            ensure!(shown.unwrap_or_default() == counted, "{name}: {place}: {shown:?} is shown, {counted:?} counted");
        }
        ensure!(lines.values().all(|counts| *counts == [0, 0]), "{name}: not counted: {lines:?}");
        let folded = json!([overview.balances, overview.addresses, overview.desk, overview.cursor, overview.wallet]);
        let [ledger, desk, cursor, wallet] = ["ledger", "desk", "cursor", "wallet"].map(|part| &expected[part]);
        let shown = json!([ledger, expected["totals"]["addresses"], desk, cursor, wallet]);
        ensure!(folded == shown, "{name}: {folded:#}\n{shown:#}");
        let held = overview.lines.iter().filter(|line| line.ended.is_none()).map(|line| line.deposits).sum::<u64>();
        ensure!(overview.open.len() as u64 == held && overview.aside.is_empty());
    }
    Ok(())
}

fn stations(folder: &Path) -> Stations {
    Stations::new(folder.join("stations")).every(EVERY)
}

fn kept(folder: &Path) -> Result<Vec<PathBuf>> {
    let stations = folder.join("stations");
    if !stations.exists() {
        return Ok(Vec::new());
    }
    Ok(fs::read_dir(stations)?.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?)
}

#[test]
fn at_every_position_it_is_the_same_with_stations_and_without_and_whatever_became_of_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log.db");
    draw(&log, EVENTS, 5)?;
    let reader = Reader::open(&log)?;
    let head = reader.head()?;
    let stations = stations(folder.path());
    let positions = [head, 0, 1, EVERY - 1, EVERY, EVERY + 1, 777, head - 1];
    let plain: Vec<Overview> =
        positions.iter().map(|position| overview_at(&reader, None, *position)).collect::<Result<_, _>>()?;
    let check = |what: &str| -> Result<()> {
        for (position, plain) in positions.iter().zip(&plain) {
            ensure!(overview_at(&reader, Some(&stations), *position)? == *plain, "{what}: another at {position}");
        }
        ensure!(kept(folder.path())?.len() as u64 == head / EVERY, "{what}: {:?}", kept(folder.path())?);
        Ok(())
    };
    check("made")?;
    ensure!(plain[0].position == head && !plain[0].open.is_empty() && !plain[0].lines.is_empty());
    for path in kept(folder.path())? {
        let text = fs::read_to_string(&path)?;
        fs::write(&path, text.replacen("\"position\":", "\"position\": 1", 1))?;
    }
    check("with a changed digit")?;
    for path in kept(folder.path())? {
        fs::write(&path, &fs::read_to_string(&path)?[..100])?;
    }
    check("cut off")?;
    kept(folder.path())?.iter().try_for_each(fs::remove_file)?;
    check("thrown away")?;
    let beyond = overview_at(&reader, Some(&stations), head + 1);
    ensure!(matches!(beyond, Err(OverviewError::Beyond { head: end, .. }) if end == head), "{beyond:?}");
    Ok(())
}

#[test]
fn two_moments_are_held_against_each_other_from_whatever_stations_there_are() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log.db");
    draw(&log, EVENTS, 7)?;
    let reader = Reader::open(&log)?;
    let (stations, head) = (stations(folder.path()), reader.head()?);
    let moments = [(0, 0), (0, head), (EVERY, EVERY + 1), (EVERY - 10, 3 * EVERY + 10), (777, head), (head, head)];
    let plain = moments.map(|(from, to)| compare(&reader, None, from, to));
    let plain = plain.into_iter().collect::<Result<Vec<_>, _>>()?;
    ensure!(plain[3].moved.len() > 10 && plain[3].deposits.len() > 2 && plain[0].moved.is_empty(), "{:#?}", plain[3]);
    for (looks, made) in [(stations.clone().only_read(), 0), (stations.clone(), head / EVERY), (stations, head / EVERY)]
    {
        for ((from, to), plain) in moments.iter().zip(&plain) {
            ensure!(compare(&reader, Some(&looks), *from, *to)? == *plain, "another from {from} to {to}");
        }
        ensure!(kept(folder.path())?.len() as u64 == made, "{:?}", kept(folder.path())?);
    }
    Ok(())
}

/// As when a log was put back and went on otherwise.
#[test]
fn the_stations_of_another_log_are_not_taken() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stations = stations(folder.path());
    let mut last = Vec::new();
    for seed in [5, 6] {
        let log = folder.path().join(format!("{seed}.db"));
        draw(&log, EVENTS, seed)?;
        let reader = Reader::open(&log)?;
        last.push(overview_at(&reader, Some(&stations), EVENTS)?);
        ensure!(last.last() == Some(&overview_at(&reader, None, EVENTS)?), "seed {seed}");
    }
    ensure!(last[0] != last[1]);
    Ok(())
}

/// Whoever changes what an overview holds, or how events come to it, raises `FOLDED_AS` in `actors/src/stations/folder.rs` so that no
/// station from before is taken, and puts what this says here.
#[test]
fn an_overview_that_changes_is_folded_as_another() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let digests = ["schema-1", "schema-2"].map(|name| -> Result<String> {
        let reader = golden_log(name, folder.path())?;
        let text = serde_json::to_string(&overview_at(&reader, None, reader.head()?)?)?;
        Ok(sha256::Hash::hash(text.as_bytes()).to_string()[..16].to_owned())
    });
    let digests = digests.into_iter().collect::<Result<Vec<_>>>()?;
    ensure!(digests == ["40b267a118c4be30"; 2], "raise FOLDED_AS; these are {digests:?}");
    Ok(())
}
