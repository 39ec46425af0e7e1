//! The fast way through the log gives what the slow one does, whatever is in it, and names the position where something is wrong.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use millrace_actors::event_store::{Names, ReadError, Reader, Stored};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::Position;
use millrace_tests::drawn_log::draw;
use millrace_tests::tampering::change;
use rusqlite::Connection;
use tempfile::TempDir;

/// More than a page for each of three threads, and no whole number of pages.
const EVENTS: u64 = 1_600;

fn drawn() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log.db");
    draw(&log, EVENTS, 3)?;
    Ok((folder, log))
}

fn slowly(reader: &Reader, first: Position, last: Position) -> Result<Vec<Recorded>> {
    let mut events = reader.after(first.saturating_sub(1), usize::MAX >> 1)?;
    events.retain(|recorded| recorded.position <= last);
    Ok(events)
}

/// Both ways through a range, by as many threads as that.
fn scanned(reader: &Reader, first: Position, last: Position, threads: usize) -> Result<Vec<Recorded>, ReadError> {
    let mut one_by_one = Vec::new();
    reader.scan(first, last, threads)?.each::<ReadError>(|recorded| {
        one_by_one.push(recorded);
        Ok(())
    })?;
    let pages: Vec<_> = reader.scan(first, last, threads)?.collect::<Result<_, _>>()?;
    assert!(pages.concat() == one_by_one, "page by page they are others");
    Ok(one_by_one)
}

fn is_alike(reader: &Reader) -> Result<()> {
    let head = reader.head()?;
    for threads in 1..=3 {
        for (first, last) in
            [(0, Position::MAX), (1, head), (7, 7), (500, 1_300), (head, head + 9), (9, 8), (head + 1, head + 9)]
        {
            let (slow, fast) = (slowly(reader, first, last)?, scanned(reader, first, last, threads)?);
            ensure!(slow == fast, "{first} to {last} by {threads}: {} events instead of {}", fast.len(), slow.len());
        }
    }
    Ok(())
}

#[test]
fn a_scan_gives_what_the_slow_way_gives_in_its_order() -> Result<()> {
    let (_folder, log) = drawn()?;
    is_alike(&Reader::open(&log)?)?;
    is_alike(&Reader::look_at(&log)?)
}

#[test]
fn events_of_older_schemas_and_those_that_cannot_be_read_come_through_alike() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for name in ["schema-1", "schema-2"] {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.sql"));
        let log = folder.path().join(name);
        Connection::open(&log)?.execute_batch(&std::fs::read_to_string(golden)?)?;
        is_alike(&Reader::open(&log)?)?;
    }
    let (folder, log) = drawn()?;
    let any =
        "UPDATE events SET kind = 'Beamed' WHERE position = (SELECT max(position) FROM events WHERE kind = 'Sent')";
    change(folder.path(), any)?;
    let reader = Reader::open(&log)?;
    is_alike(&reader)?;
    let unreadable = |recorded: &Recorded| matches!(recorded.event, Event::Unreadable(_));
    ensure!(scanned(&reader, 1, Position::MAX, 2)?.iter().filter(|recorded| unreadable(recorded)).count() == 1);
    Ok(())
}

#[test]
fn a_lens_sees_each_event_as_it_is_stored() -> Result<()> {
    let (_folder, log) = drawn()?;
    let reader = Reader::open(&log)?;
    let lens = |stored: &Stored<'_>, names: &mut Names<'_>| {
        let is_wanted = stored.kind()? == "Detected";
        let seen = (stored.position(), names.of(stored)?, stored.version()?, stored.payload()?.to_owned());
        Ok(is_wanted.then_some(seen))
    };
    let seen: Vec<_> = reader.scan_through(1, Position::MAX, 2, lens)?.collect::<Result<_, _>>()?;
    let expected =
        slowly(&reader, 1, Position::MAX)?.into_iter().filter(|recorded| recorded.event.kind() == "Detected");
    let expected: Vec<_> =
        expected.map(|event| (event.position, event.stream, event.version, event.event.payload())).collect();
    ensure!(!expected.is_empty() && seen.concat() == expected);
    Ok(())
}

#[test]
fn where_something_is_wrong_the_position_is_said_and_nothing_behind_it_comes() -> Result<()> {
    type Fits = fn(&ReadError, Position) -> bool;
    let wrongs: [(&str, &str, Fits); 4] = [
        (
            "kind = 'BlockScanned'",
            "UPDATE events SET kind = 'Beamed' WHERE position = {at}",
            |error, at| matches!(error, ReadError::Decode { position, .. } if *position == at),
        ),
        (
            "kind = 'Mined'",
            "UPDATE events SET payload = CAST(x'ff' AS TEXT) WHERE position = {at}",
            |error, at| matches!(error, ReadError::Row { position, .. } if *position == at),
        ),
        (
            "kind = 'Detected'",
            "DELETE FROM streams WHERE id = (SELECT stream FROM events WHERE position = {at})",
            |error, at| matches!(error, ReadError::NoStream { position, .. } if *position == at),
        ),
        (
            "kind = 'Bound'",
            "UPDATE streams SET name = 'elsewhere' WHERE id = (SELECT stream FROM events WHERE position = {at})",
            |error, at| matches!(error, ReadError::StreamAt { position, .. } if *position == at),
        ),
    ];
    for (which, wrong, fits) in wrongs {
        let (folder, log) = drawn()?;
        let at = format!("SELECT max(position) FROM events WHERE {which} AND position < 1500");
        let at: Position = Connection::open(&log)?.query_row(&at, [], |row| row.get(0))?;
        change(folder.path(), &wrong.replace("{at}", &at.to_string()))?;
        let reader = Reader::open(&log)?;
        for threads in 1..=3 {
            let mut last = 0;
            let scan = reader.scan(1, Position::MAX, threads)?.each::<ReadError>(|recorded| {
                last = recorded.position;
                Ok(())
            });
            let error = scan.err().context("nothing is wrong")?;
            ensure!(fits(&error, at) && last < at, "{which} at {at} by {threads}: {error:?} after {last}");
            let mut pages = reader.scan(1, Position::MAX, threads)?.skip_while(Result::is_ok);
            ensure!(matches!(pages.next(), Some(Err(error)) if fits(&error, at)) && pages.next().is_none(), "{which}");
        }
    }
    Ok(())
}

#[test]
fn whoever_has_seen_enough_lets_the_threads_go() -> Result<()> {
    let (_folder, log) = drawn()?;
    let reader = Reader::open(&log)?;
    let first = reader.scan(1, Position::MAX, 3)?.next().context("a page")??;
    ensure!(first.first().is_some_and(|recorded| recorded.position == 1));
    let stopped = reader.scan(1, Position::MAX, 2)?.each(|recorded| {
        if recorded.position < 1_000 { Ok(()) } else { anyhow::bail!("enough at {}", recorded.position) }
    });
    ensure!(stopped.err().context("it was stopped")?.to_string() == "enough at 1000");
    Ok(())
}
