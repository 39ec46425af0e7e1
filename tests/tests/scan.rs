//! The fast way through the log gives what the slow one does, whatever is in it, and names the position where something is wrong.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use millrace_actors::event_store::{Log, Names, ReadError, Reader, Stored, VerifyError};
use millrace_actors::proof::{Subject, prove};
use millrace_model::damage::Damage;
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{Category, DepositId, Position, StreamName};
use millrace_tests::drawn_log::{draw, seal};
use millrace_tests::tampering::{change, damage};
use rusqlite::Connection;
use tempfile::TempDir;

/// More than a page for each of three threads, and no whole number of pages.
const EVENTS: u64 = 1_600;
/// How many events a segment has.
const SEGMENT: u64 = 512;

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
        one_by_one.push(recorded.clone());
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

/// A log with sealed parts, and what it was before.
fn sealed(events: u64) -> Result<(TempDir, PathBuf, Vec<Recorded>)> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log.db");
    draw(&log, events, 5)?;
    let before = slowly(&Reader::open(&log)?, 1, Position::MAX)?;
    seal(&log)?;
    Ok((folder, log, before))
}

#[test]
fn what_is_sealed_is_read_like_what_is_not() -> Result<()> {
    let (folder, log, before) = sealed(3 * SEGMENT)?;
    let reader = Reader::open(&log)?;
    ensure!(reader.sealed_until()? >= 2 * SEGMENT, "{}", reader.sealed_until()?);
    is_alike(&reader)?;
    is_alike(&Reader::look_at(&log)?)?;
    // That segments are what is read: the rows say something else now.
    damage(folder.path(), "UPDATE events SET version = version + 1000 WHERE position <= 1024")?;
    for threads in 1..=3 {
        for (first, last) in [(1, Position::MAX), (500, 600), (513, 1_024), (1_000, 1_300), (1_025, 1_026)] {
            let scanned = scanned(&reader, first, last, threads)?;
            let expected = before.iter().filter(|event| (first..=last).contains(&event.position));
            ensure!(scanned.iter().eq(expected), "{first} to {last} by {threads}");
        }
    }
    Ok(())
}

/// All that can be asked about one deposit.
fn told_of(reader: &Reader, id: DepositId) -> Result<String> {
    let stream = StreamName::Deposit(id);
    let positions = reader.positions_of(id)?;
    let stored: Vec<_> = positions.iter().map(|position| reader.stored_at(*position)).collect::<Result<_, _>>()?;
    let events = reader.stream(&stream, 0)?;
    let commands: Vec<_> =
        events.iter().map(|recorded| reader.command(recorded.command_id)).collect::<Result<_, _>>()?;
    let (history, asked) = (reader.history(&stream, 0, 100)?, reader.with_commands(&stream)?);
    Ok(format!("{positions:?} {stored:?} {events:?} {commands:?} {history:?} {asked:?}"))
}

#[test]
fn a_deposit_whose_rows_are_lean_is_told_of_as_before() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log.db");
    draw(&log, 3 * SEGMENT, 8)?;
    let reader = Reader::open(&log)?;
    let (_, deposits) = reader.stream_names(Category::Deposit)?;
    let ids = deposits.iter().filter_map(|name| if let StreamName::Deposit(id) = name { Some(*id) } else { None });
    let ids: Vec<_> = ids.step_by(3).collect();
    let told = || -> Result<Vec<String>> { ids.iter().map(|id| told_of(&reader, *id)).collect() };
    let whole = || -> Result<_> {
        let (stored, events) = (reader.stored_after(0, usize::MAX >> 1)?, reader.after(0, usize::MAX >> 1)?);
        let payouts = (reader.payouts_signed(0, Position::MAX)?, reader.payouts_after(0)?);
        Ok(format!("{stored:?} {events:?} {payouts:?} {:?}", reader.payouts_voided_after(0)?))
    };
    let before = (told()?, whole()?);
    seal(&log)?;
    let lean =
        "SELECT (SELECT count(*) FROM events WHERE payload = ''), (SELECT count(*) FROM commands WHERE body = '')";
    let lean: (u64, u64) = Connection::open(&log)?.query_row(lean, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    ensure!(lean.0 > SEGMENT / 2 && lean.1 > SEGMENT / 4, "too few are lean: {lean:?}");
    ensure!((told()?, whole()?) == before, "sealed, it tells something else");
    ensure!(reader.verify()?.head == reader.head()?);
    Ok(())
}

#[test]
fn what_is_wrong_with_a_segment_is_found_and_named() -> Result<()> {
    let (folder, log, before) = sealed(3 * SEGMENT)?;
    let whole = std::fs::read(&log)?;
    ensure!(Reader::open(&log)?.verify().is_ok());
    for wrong in [
        "UPDATE segments SET events = CAST(substr(events, 1, 900) || x'ff' || substr(events, 902) AS BLOB) WHERE first = 513",
        "UPDATE segments SET commands = CAST(substr(commands, 1, 900) || x'00' || substr(commands, 902) AS BLOB) WHERE first = 513",
        "UPDATE segments SET events = (SELECT events FROM segments WHERE first = 1) WHERE first = 513",
        "UPDATE segments SET tip = zeroblob(32) WHERE first = 513",
        "UPDATE segments SET format = 9 WHERE first = 513",
        "UPDATE segments SET event_bytes = 1 << 40 WHERE first = 513",
        "UPDATE segments SET event_bytes = -1 WHERE first = 513",
        "UPDATE segments SET tip = x'00' WHERE first = 513",
        "UPDATE segments SET first = 514 WHERE first = 513",
    ] {
        std::fs::write(&log, &whole)?;
        damage(folder.path(), wrong)?;
        let found = Reader::open(&log)?.verify();
        let expected = Damage::Segment { position: SEGMENT + 1 };
        ensure!(matches!(&found, Err(VerifyError::Damaged(found)) if *found == expected), "{wrong}: {found:?}");
        let subject = Subject { log: log.clone(), views: Err(String::new()), head_file: Err(String::new()) };
        let findings = prove(&subject, &mut |_, _| {})?.findings;
        let said: Vec<_> = findings.iter().map(ToString::to_string).collect();
        ensure!(said[0].contains("segment that begins at position 513"), "{wrong}: {said:?}");
    }
    // Deposits of which something is lost are set aside, everything else is as it was.
    let reader = Reader::open(&log)?;
    let (fast, slow) = (scanned(&reader, 1, Position::MAX, 2)?, slowly(&reader, 1, Position::MAX)?);
    ensure!(fast == slow && fast.len() == before.len());
    let is_lost = |recorded: &Recorded| matches!(recorded.event, Event::Unreadable(_));
    ensure!(fast.iter().filter(|recorded| is_lost(recorded)).count() > 100);
    let kept = fast.iter().zip(&before).filter(|(found, _)| !is_lost(found));
    ensure!(kept.into_iter().all(|(found, before)| found == before));
    Ok(())
}

#[test]
fn only_what_is_old_enough_and_whole_is_sealed_and_each_part_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log.db");
    draw(&log, 2 * SEGMENT + 10, 5)?;
    let (mut writer, reader) = (Log::open(&log)?, Reader::open(&log)?);
    let recorded_at = |position| -> Result<_> { Ok(reader.event_at(position)?.context("an event")?.recorded_at) };
    ensure!(reader.next_segment(recorded_at(SEGMENT)?)?.is_none(), "its last event is too young");
    let segment = reader.next_segment(DateTime::<Utc>::MAX_UTC)?.context("a segment")?;
    writer.keep(&segment)?;
    writer.keep(&segment)?;
    ensure!(reader.sealed_until()? == SEGMENT);
    seal(&log)?;
    let (sealed, head) = (reader.sealed_until()?, reader.head()?);
    ensure!(
        (SEGMENT..2 * SEGMENT).contains(&(head - sealed)),
        "the newest events stay as they are: {sealed} of {head}"
    );

    let other = folder.path().join("other.db");
    draw(&other, 2 * SEGMENT + 10, 6)?;
    let refused = Log::open(&other)?.keep(&segment).err().context("it is another log's")?;
    ensure!(refused.to_string().contains("is not of this log"), "{refused}");
    let guarded = Connection::open(&log)?.execute("UPDATE segments SET tip = zeroblob(32)", []);
    ensure!(guarded.is_err_and(|error| error.to_string().contains("never changed")));
    Ok(())
}

#[test]
fn rows_that_are_not_what_was_stored_are_not_sealed() -> Result<()> {
    for wrong in [
        "UPDATE events SET payload = replace(payload, '0', '1') WHERE position = 300",
        "DELETE FROM events WHERE position = 300",
        "UPDATE commands SET body = '{}' WHERE first_position = (SELECT min(first_position) FROM commands WHERE first_position > 200)",
    ] {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log.db");
        draw(&log, 2 * SEGMENT + 10, 5)?;
        damage(folder.path(), wrong)?;
        let refused = Reader::open(&log)?.next_segment(DateTime::<Utc>::MAX_UTC);
        ensure!(matches!(&refused, Err(ReadError::Segment(_))), "{wrong}: {refused:?}");
    }
    Ok(())
}
