//! A log taken home: written down, read back as the same log, decided again; and every file that is not what was written
//! refused with its line, with nothing left behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bitcoin::hashes::{Hash, sha256};
use millrace_actors::event_store::{EventRow, ReadError, Reader};
use millrace_actors::export::{Wanted, export};
use millrace_actors::import::{ImportError, import, look_at};
use millrace_actors::moments;
use millrace_actors::proof::{Subject, prove};
use millrace_actors::redecision::{self, Summary};
use millrace_model::comparison::Place;
use millrace_model::ids::DepositId;
use millrace_model::ledger::Account;
use millrace_model::redaction::{self, Pseudonyms};
use millrace_model::redecision::{Outcome, Redecided};
use millrace_tests::golden::{LOGS, restore};
use millrace_tests::{house, tampering};
use rusqlite::Connection;
use rusqlite::types::Value as Cell;

const ALL: Wanted = Wanted::Positions { from: 1, to: None };

fn exported(log: &Path, wanted: Wanted, pseudonyms: Option<&Pseudonyms>) -> Result<String> {
    let mut text = Vec::new();
    export(&Reader::look_at(log)?, wanted, pseudonyms, ("0.1.0", &mut text))?;
    Ok(String::from_utf8(text)?)
}

/// Everything that a log says, sealed or not, but for states that can be made again.
fn content(log: &Path) -> Result<(Vec<Vec<Cell>>, Vec<EventRow>)> {
    let events = Reader::look_at(log)?.stored_after(0, usize::MAX >> 1)?;
    let log = Connection::open(log)?;
    let mut statement = log.prepare("SELECT * FROM streams ORDER BY name")?;
    let columns = statement.column_count();
    let streams = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?;
    Ok((streams.collect::<rusqlite::Result<_>>()?, events))
}

fn is_well(log: &Path) -> Result<()> {
    let none = || Err("it has none".to_owned());
    let report = prove(&Subject { log: log.to_owned(), views: none(), head_file: none() }, &mut |_, _| {})?;
    ensure!(report.is_well() && report.events > 0, "{report:#?}");
    Ok(())
}

/// Writes a text into a file and makes a log of it.
fn imported(text: &str, folder: &Path) -> Result<PathBuf> {
    let (file, into) = (folder.join("export.jsonl"), folder.join("past"));
    fs::write(&file, text)?;
    import(&file, &into)?;
    Ok(into.join("log.db"))
}

fn redecided(reader: &Reader) -> Result<(Summary, Vec<(DepositId, Redecided)>)> {
    let mut different = Vec::new();
    let summary = redecision::run::<ReadError>(reader, &[], &mut |id, redecided| {
        if matches!(redecided.outcome, Outcome::Different(_)) {
            different.push((id, redecided.clone()));
        }
        Ok(())
    })?;
    Ok((summary, different))
}

#[test]
fn what_is_written_down_of_a_log_of_any_schema_becomes_the_same_log_again() -> Result<()> {
    for name in LOGS {
        let folder = tempfile::tempdir()?;
        let log = restore(name, folder.path())?;
        let text = exported(&log, ALL, None)?;
        let again = imported(&text, folder.path())?;
        is_well(&again)?;
        let before = content(&log)?;
        ensure!(before.1.len() > 200 && content(&again)? == before, "{name} is another log");
        ensure!(Reader::look_at(&again)?.is_imported()? && !Reader::look_at(&log)?.is_imported()?);
        // What was made of it says the same once more, but for the layout, which is the newest now.
        let (first, once) = (text.split_once('\n').context("lines")?, exported(&again, ALL, None)?);
        let second = once.split_once('\n').context("lines")?;
        let without_end = |lines: &str| lines.trim_end().rsplit_once('\n').map(|(lines, _)| lines.to_owned());
        ensure!(without_end(first.1) == without_end(second.1), "{name} is written down otherwise");
        let copy = folder.path().join("copy.db");
        Reader::open(&again)?.back_up(&copy)?;
        ensure!(Reader::look_at(&copy)?.is_imported()?, "a copy of it is marked as well");
    }
    Ok(())
}

#[test]
fn a_redacted_log_names_nobody_and_is_a_log_all_the_same() -> Result<()> {
    for name in LOGS {
        let folder = tempfile::tempdir()?;
        let log = restore(name, folder.path())?;
        let text = exported(&log, ALL, Some(&Pseudonyms::new([5; 32])))?;
        let columns = [
            "substr(name, 9) FROM streams WHERE category = 2",
            "label FROM streams WHERE label IS NOT NULL",
            "substr(key, 5, 64) FROM streams WHERE key IS NOT NULL",
            "payload ->> 'txid' FROM events WHERE kind IN ('PayoutSigned', 'RefundMarked')",
            "substr(payload ->> 'bytes', 30, 60) FROM events WHERE kind = 'PayoutSigned'",
            "payload ->> '$.order.cid' FROM events WHERE kind = 'OrderIntended'",
            "payload ->> 'note' FROM events WHERE length(payload ->> 'note') > 3",
            "lower(hex(hash)) FROM events",
            "lower(hex(id)) FROM commands",
        ];
        // In a log that was read back nothing is sealed.
        let whole = tempfile::tempdir()?;
        let source = Connection::open(imported(&exported(&log, ALL, None)?, whole.path())?)?;
        for column in columns {
            let mut statement = source.prepare(&format!("SELECT DISTINCT {column}"))?;
            let personal: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            ensure!(!personal.is_empty(), "{column} of {name} is empty, so nothing was looked for");
            let found: Vec<_> = personal.iter().filter(|it| text.contains(it.as_str())).collect();
            ensure!(found.is_empty(), "{column} of {name}: {found:?}");
        }
        let again = imported(&text, folder.path())?;
        is_well(&again)?;
        let (summary, different) = redecided(&Reader::look_at(&again)?)?;
        ensure!(different.is_empty() && summary.same > 20, "{summary:?} {different:#?}");
        let other = exported(&log, ALL, Some(&Pseudonyms::new([6; 32])))?;
        let binding = |text: &str| text.lines().find(|line| line.contains("\"Bound\"")).map(str::to_owned);
        ensure!(binding(&text) != binding(&other), "another key makes other pseudonyms");
    }
    Ok(())
}

/// The rules of today decide everything that is recorded as it was decided then. Whoever changes a rule sees here what that
/// changes.
#[test]
fn what_earlier_versions_decided_is_decided_again() -> Result<()> {
    for name in LOGS {
        let folder = tempfile::tempdir()?;
        let log = restore(name, folder.path())?;
        let (summary, different) = redecided(&Reader::look_at(&log)?)?;
        ensure!(different.is_empty(), "{name}: {different:#?}");
        assert_eq!((summary.deposits, summary.commands, summary.same), (5, 36, 32), "{name}");
        let fact = "RecordSightings: what was seen is a fact, and nothing was decided".to_owned();
        assert_eq!(summary.undecidable.into_iter().collect::<Vec<_>>(), [(fact, 4)], "{name}");
    }
    Ok(())
}

#[test]
fn what_the_rules_of_today_decide_otherwise_is_found_with_its_field() -> Result<()> {
    for (change, command, path) in [
        (
            "payload = replace(payload, '61.728000', '61.729000') WHERE kind = 'StatusWaitSend'
          AND payload LIKE '%61.728000%'",
            "Decide",
            Some("amount"),
        ),
        ("kind = 'Quarantined' WHERE kind = 'StatusWaitDecide' AND position = 163", "RecordMaturity", None),
        (
            "payload = replace(payload, '\"confirmations\":2', '\"confirmations\":3') WHERE position = 162",
            "RecordMaturity",
            Some("confirmations"),
        ),
    ] {
        let folder = tempfile::tempdir()?;
        let log = restore("schema-2", folder.path())?;
        tampering::change(folder.path(), &format!("UPDATE events SET {change}"))?;
        let (_, different) = redecided(&Reader::look_at(&log)?)?;
        let (_, first) = different.first().context(change)?;
        let Outcome::Different(difference) = &first.outcome else { unreachable!("only these are kept") };
        assert_eq!(first.command.as_deref(), Some(command), "{change}");
        assert_eq!(difference.field.as_ref().map(|field| field.path.as_str()), path, "{change}");
    }
    Ok(())
}

/// A deposit alone, with its customer's bindings and what led to everything, and nothing of others.
#[test]
fn one_deposit_is_taken_with_what_belongs_to_it_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = restore("schema-2", folder.path())?;
    let reader = Reader::look_at(&log)?;
    for (_, stream) in reader.streams_after(millrace_model::ids::Category::Deposit, 0, 100)? {
        let millrace_model::ids::StreamName::Deposit(id) = stream else { continue };
        let text = exported(&log, Wanted::Deposit(id), None)?;
        let file = folder.path().join("one.jsonl");
        fs::write(&file, &text)?;
        let (part, _) = look_at(&file)?;
        assert_eq!(part.with_commands(&stream)?, reader.with_commands(&stream)?);
        assert_eq!(part.history(&stream, 0, 100)?.len(), reader.history(&stream, 0, 100)?.len());
        let causes = part.history(&stream, 0, 100)?.into_iter().flatten();
        ensure!(
            causes.filter_map(|entry| entry.cause).all(|cause| cause.event.is_some()),
            "a cause of {id} is missing"
        );
        let others = Connection::open(&log)?
            .prepare("SELECT substr(name, 9) FROM streams WHERE category = 1 AND name <> ?1")?
            .query_map([stream.to_string()], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()?;
        ensure!(others.len() == 4 && others.iter().all(|other| !text.contains(other.as_str())), "{text}");
        ensure!(text.contains("\"kind\":\"Bound\"") && text.contains("\"kind\":\"AddressIssued\""), "{text}");
        let (summary, different) = redecided(&part)?;
        ensure!(summary.deposits == 1 && different.is_empty(), "{different:#?}");
        let refused = import(&file, &folder.path().join("past")).unwrap_err();
        ensure!(matches!(refused, ImportError::Part(_)), "{refused}");
    }
    Ok(())
}

/// Gives changed lines the counts and the digest that belong to them, as somebody who means it would.
fn mended(mut lines: Vec<String>) -> String {
    lines.pop();
    let (mut events, mut commands, mut text) = (0, 0, String::new());
    for line in &lines {
        events += u32::from(line.starts_with("{\"event\""));
        commands += u32::from(line.starts_with("{\"command\""));
        text.push_str(line);
        text.push('\n');
    }
    let digest = sha256::Hash::hash(text.as_bytes());
    format!("{text}{{\"end\":{{\"events\":{events},\"commands\":{commands},\"sha256\":\"{digest}\"}}}}\n")
}

/// What is said of a text that is no export; nothing is left of it.
fn refused(text: &[u8]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let (file, into) = (folder.path().join("export.jsonl"), folder.path().join("past"));
    fs::write(&file, text)?;
    let error = import(&file, &into).err().context("it was taken")?;
    let left = fs::read_dir(folder.path())?.count();
    ensure!(left == 1, "something is left behind");
    ensure!(look_at(&file).is_err(), "a look takes what an import refuses");
    Ok(error.to_string())
}

#[test]
fn a_file_that_is_not_what_was_written_is_refused_with_its_line_and_leaves_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = exported(&restore("schema-2", folder.path())?, ALL, None)?;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let with = |number: usize, from: &str, to: &str| {
        let mut lines = lines.clone();
        assert!(lines[number - 1].contains(from), "{}", lines[number - 1]);
        lines[number - 1] = lines[number - 1].replacen(from, to, 1);
        mended(lines)
    };
    let swapped = |one: usize, other: usize| {
        let mut lines = lines.clone();
        lines.swap(one - 1, other - 1);
        mended(lines)
    };
    let without = |number: usize| {
        let mut lines = lines.clone();
        lines.remove(number - 1);
        mended(lines)
    };
    let line_of = |text: &str| lines.iter().position(|line| line.contains(text)).map(|index| index + 1).unwrap_or(0);
    let (block, kind) = (line_of("\"BlockScanned\""), line_of("\"StatusWaitSend\""));
    for (text, expected) in [
        (with(3, "\"index\":0", "\"index\":7"), "line 3: position 1 is not what was stored there".to_owned()),
        (with(2, "passthrough", "direct"), "line 3: position 1 is not what was stored there".to_owned()),
        (with(block, "\"height\":0", "\"height\":1"), format!("line {block}: position 6 is not what was stored")),
        (with(kind, "StatusWaitSend", "StatusWaitBeam"), format!("line {kind}: event kind \"StatusWaitBeam\"")),
        (with(kind, "\"schema\":1", "\"schema\":9"), format!("line {kind}: event StatusWaitSend has schema 9")),
        (with(block, "{\"event\"", "{\"event"), format!("line {block}: this is no line of an export")),
        (with(1, "millrace-export", "somebody-else"), "line 1: this is no export of a Millrace log".to_owned()),
        (with(1, "\"version\":1", "\"version\":2"), "line 1: the export has format 2".to_owned()),
        (with(1, "\"schema\":2", "\"schema\":99"), "line 1: the export is of a log with schema 99".to_owned()),
        (with(1, "79cc20023f04", "79cc20023f05"), format!("line {}: the log's head has another hash", lines.len())),
        (swapped(block, block + 1), format!("line {block}: ")),
        (without(block), format!("line {block}: ")),
        (without(block - 1), format!("line {}: the event is not of the command before it", block - 1)),
    ] {
        let said = refused(text.as_bytes())?;
        ensure!(said.starts_with(&expected), "{said}, not {expected}");
    }
    let cut = text.len() / 2;
    let at_a_line = text[..cut].rfind('\n').context("a line")? + 1;
    for (cut, expected) in [(cut, "this is no line of an export"), (at_a_line, "it breaks off before its last line")] {
        let number = text[..cut].lines().count() + usize::from(cut == at_a_line);
        let said = refused(&text.as_bytes()[..cut])?;
        ensure!(said.starts_with(&format!("line {number}: ")) && said.contains(expected), "{said}");
    }
    let endless = [lines[0].as_bytes(), b"\n", &vec![b' '; 2 << 20]].concat();
    assert_eq!(refused(&endless)?, "line 2: the line is longer than 1048576 bytes");
    assert_eq!(refused(b"\xff\xfe\n")?, "line 1: the line is no UTF-8 text");
    assert_eq!(refused(b"")?, "line 1: this is no export of a Millrace log");
    let changed = text.replacen("too little, sent back", "too much, sent back", 2);
    ensure!(refused(changed.as_bytes())?.contains("is not what was stored there"), "by the log's own hashes");
    Ok(())
}

/// Without hashes, because texts were replaced, what the lines say of each other has to fit.
#[test]
fn a_redacted_file_in_which_streams_do_not_fit_together_is_refused_with_its_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = restore("schema-2", folder.path())?;
    let text = exported(&log, ALL, Some(&Pseudonyms::new([5; 32])))?;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line_of = |text: &str| lines.iter().position(|line| line.contains(text)).context("such a line");
    let (sent, bound, detected) = (line_of("\"Sent\"")?, line_of("\"Bound\"")?, line_of("\"Detected\"")?);
    let with = |at: usize, change: &dyn Fn(&str) -> String| {
        let mut lines = lines.clone();
        lines[at] = change(&lines[at]);
        mended(lines)
    };
    let another_id = |line: &str| line.replacen("\"id\":\"01a1ffe3-c928", "\"id\":\"01a1ffe3-c929", 1);
    let ids = |line: &str| lines[2 - 1].get(..50).map_or(line.to_owned(), |first| format!("{first}{}", &line[50..]));
    for (at, change, expected) in [
        (
            sent,
            &(|line: &str| line.replacen("\"version\":14", "\"version\":15", 1)) as &dyn Fn(&str) -> String,
            "version 15 of deposit/01a1ffe3-c928-750e-bf4f-220da07cdac4 is not the next after 13",
        ),
        (bound, &|line: &str| line.replacen("binding/b", "binding/c", 1), "Bound does not begin binding/c"),
        (detected, &another_id, "Detected does not begin deposit/01a1ffe3-c928"),
        (3, &|line: &str| line.replacen("\"hash\":null", "\"hash\":7", 1), "this is no line of an export"),
        (4, &ids, "the command has come before"),
    ] {
        let said = refused(with(at, change).as_bytes())?;
        ensure!(said.starts_with(&format!("line {}: ", at + 1)) && said.contains(expected), "{said}, not {expected}");
    }
    let hashed = exported(&log, ALL, None)?;
    let unhashed = hashed.lines().map(|line| {
        let hash = line.rfind(",\"hash\":\"").filter(|_| line.starts_with("{\"event\""));
        hash.map_or(line.to_owned(), |hash| format!("{},\"hash\":null}}}}", &line[..hash]))
    });
    assert_eq!(refused(mended(unhashed.collect()).as_bytes())?, "line 3: position 1 has no hash");
    Ok(())
}

#[test]
fn nothing_that_is_there_is_written_over() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = exported(&restore("schema-2", folder.path())?, ALL, None)?;
    let file = folder.path().join("export.jsonl");
    fs::write(&file, &text)?;
    let taken = folder.path().join("taken");
    fs::create_dir(&taken)?;
    fs::write(taken.join("log.db"), "mine")?;
    let error = import(&file, &taken).unwrap_err().to_string();
    ensure!(error.contains("exists and is not empty"), "{error}");
    assert_eq!(fs::read_to_string(taken.join("log.db"))?, "mine");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty)?;
    import(&file, &empty)?;
    is_well(&empty.join("log.db"))?;
    ensure!(import(&file, &empty).is_err(), "a second time");
    ensure!(import(&file, &file.join("inside")).is_err(), "a file is no folder");
    Ok(())
}

/// Two moments of a log are its own sums at either, and what moved in between.
#[test]
fn two_moments_of_a_desk_are_held_against_each_other() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let reader = Reader::look_at(&restore("schema-2", folder.path())?)?;
    // The deposit that waited for its decision at 163 was paid out by 176; others came later.
    let compared = moments::compare(&reader, None, 163, 176)?;
    let moved: Vec<_> =
        compared.moved.iter().map(|it| (it.before.map(Place::as_str), it.after.map(Place::as_str))).collect();
    assert_eq!(moved, [(Some("wait_decide"), Some("paid"))]);
    let change =
        |account: Account| compared.balances.iter().find(|row| row.account == account).map(|row| row.change.as_str());
    assert_eq!(change(Account::HotWallet), Some("-26.450000"));
    assert_eq!(change(Account::DepositAddresses), None, "nothing came in");
    let all = moments::compare(&reader, None, 0, reader.head()?)?;
    let stands: Vec<_> = all.deposits.iter().map(|row| (row.place.as_str(), row.before, row.after)).collect();
    assert_eq!(stands, [("held", 0, 1), ("paid", 0, 3), ("refunded", 0, 1)]);
    ensure!(all.moved.len() == 5 && all.halt.is_none(), "halted and resumed in between: {all:#?}");
    let halted = moments::compare(&reader, None, 223, 224)?;
    assert_eq!(halted.halt, Some((None, Some("by an operator: a look".to_owned()))));
    let expected: serde_json::Value = serde_json::from_str(&millrace_tests::golden::text("schema-2", "json")?)?;
    for row in expected["ledger"].as_array().context("balances")? {
        let account =
            all.balances.iter().find(|it| row["account"] == it.account.as_str() && row["coin"] == it.coin.as_str());
        let units = account.map_or(0, |it| it.after.replace('.', "").parse::<i64>().unwrap_or(i64::MIN));
        assert_eq!(row["units"], units, "{row}");
    }
    Ok(())
}

/// Whoever stores a new command says what of it is personal: else no log with one could be redacted any more.
#[test]
fn every_command_that_a_desk_stores_is_in_the_table_of_what_is_personal() {
    let mut names = BTreeSet::new();
    for source in house::sources("actors/src", "rs").into_iter().filter(|source| !source.is_test_code()) {
        let code = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for before in ["command: \"", ".change(\"", ".append(&stood, id, \""] {
            let after = code.split(before).skip(1);
            names.extend(after.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()));
        }
    }
    let known = ["BindAddress", "DeclareTransfer", "MatchSpends", "RecordBlock", "Resume"];
    assert!(known.iter().all(|name| names.contains(*name)) && names.len() > 12, "{names:?}");
    let made = Pseudonyms::new([5; 32]);
    let refused = names.iter().filter(|name| redaction::command(name, &mut serde_json::json!({}), &made).is_err());
    assert_eq!(refused.collect::<Vec<_>>(), Vec::<&String>::new());
}
