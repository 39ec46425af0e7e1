//! `state_at_version_ms`, `desk_at_position_ms`, `verify_rate`: what can be asked of a log of a million events, sealed as a desk has it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use millrace_actors::event_store::Reader;
use millrace_actors::proof::{Subject, prove};
use millrace_actors::stations::{Stations, overview_at};
use millrace_model::ids::{Category, Position, StreamName, Version};
use millrace_model::ledger::Ticker;
use millrace_model::replay::{Until, moment};
use rand::Rng;

use super::timed::Timed;
use super::{Figure, kept_log};
use crate::seed;

/// How often each is asked, each time for something else.
const ASKED: usize = 200;

pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let log = kept_log::of_a_million_sealed()?;
    Ok(vec![state(&log)?, desk(&log)?])
}

/// A deposit at a version, as the state endpoint does it: its events, folded up to there, as JSON.
fn state(log: &Path) -> anyhow::Result<Figure> {
    let reader = Reader::open(log)?;
    let (_, streams) = reader.stream_names(Category::Deposit)?;
    let mut chance = seed::chance(1, "moments");
    let mut took = Vec::new();
    for _ in 0..ASKED {
        let stream: &StreamName = &streams[chance.random_range(0..streams.len())];
        let version: Version = chance.random_range(1..=5);
        let begin = Instant::now();
        let found = moment(&reader.stream(stream, 0)?, Until { version: Some(version), at: None })
            .with_context(|| format!("{stream} at {version}"))?;
        let json = found.state.to_json();
        took.push(begin.elapsed());
        ensure!(found.version == version && json.is_object(), "{stream} at {version}: {json}");
    }
    took.sort_unstable();
    Ok(Figure {
        name: "state_at_version_ms",
        value: ms(took[ASKED * 99 / 100]),
        unit: "ms",
        note: format!("p99 of {ASKED} deposits of {}; p50 {:.2}", streams.len(), ms(took[ASKED / 2])),
    })
}

/// The whole desk at positions all over the log, with the stations that one look at its end leaves.
fn desk(log: &Path) -> anyhow::Result<Figure> {
    let (reader, folder) = (Reader::open(log)?, tempfile::tempdir()?);
    let stations = Stations::new(folder.path().join("stations"));
    let head = reader.head()?;
    let from_the_beginning = Timed::of(|| {
        let overview = overview_at(&reader, Some(&stations), head)?;
        ensure!(Ticker::ALL.map(|coin| overview.balances.sum(coin)) == [0, 0], "the ledger does not sum to zero");
        Ok(overview.position)
    })?;
    let mut chance = seed::chance(1, "positions");
    let (mut took, mut open) = (Vec::new(), 0);
    let all = Timed::of(|| {
        for _ in 0..ASKED {
            let position: Position = chance.random_range(1..=head);
            let begin = Instant::now();
            let overview = overview_at(&reader, Some(&stations), position)?;
            took.push(begin.elapsed());
            ensure!(overview.position == position, "it stands at {}", overview.position);
            open = open.max(overview.open.len());
        }
        Ok(ASKED as u64)
    })?;
    took.sort_unstable();
    let files = std::fs::read_dir(folder.path().join("stations"))?.map(|file| Ok(file?.metadata()?.len()));
    let bytes: u64 = files.collect::<std::io::Result<Vec<_>>>()?.into_iter().sum();
    Ok(Figure {
        name: "desk_at_position_ms",
        value: ms(took[ASKED - 1]),
        unit: "ms",
        note: format!(
            "slowest of {ASKED}, p50 {:.0}, {:.0} of CPU each; the first look, from the beginning and leaving stations of {} KiB \
             together, {:.0}, {:.0} of CPU; up to {open} deposits open",
            ms(took[ASKED / 2]),
            ms(all.cpu) / ASKED as f64,
            bytes / 1_024,
            ms(from_the_beginning.wall),
            ms(from_the_beginning.cpu),
        ),
    })
}

pub(super) fn verify() -> anyhow::Result<Vec<Figure>> {
    let log = kept_log::of_a_million_sealed()?;
    let chain = Timed::of(|| Ok(Reader::open(&log)?.verify()?.head))?;
    let none = || "it has none".to_owned();
    let subject = Subject { log, views: Err(none()), head_file: Err(none()) };
    let proved = Timed::of(|| {
        let report = prove(&subject, &mut |_, _| {})?;
        ensure!(report.is_well(), "{report:#?}");
        Ok(report.events)
    })?;
    Ok(vec![Figure {
        name: "verify_rate",
        value: proved.rate(),
        unit: "events/s",
        note: format!(
            "everything that `millrace verify` proves without views, {:.0} ns of CPU an event; the chain of hashes alone \
             {:.0}/s, {:.0} ns",
            proved.cpu_ns(),
            chain.rate(),
            chain.cpu_ns()
        ),
    }])
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
