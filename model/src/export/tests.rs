//! Files as they are written, and what is said of those that are not.

use chrono::DateTime;
use serde_json::value::RawValue;

use super::*;

const SCHEMA: u32 = 2;

fn header(from: Position, to: Position) -> Header {
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        millrace: "0.1.0".to_owned(),
        schema: SCHEMA,
        head: ExportHead { position: 9, hash: Some(Hash32([9; 32])) },
        holds: Holds::Positions { from, to, before: None },
        redacted: vec![],
    }
}

fn command<'a>(id: u8, (first, last): (Position, Position), body: &'a RawValue) -> Line<'a> {
    Line::Command(StoredCommand { id: [id; 16], name: "BindAddress".into(), first, last, body })
}

fn event<'a>(id: u8, position: Position, payload: &'a RawValue) -> Line<'a> {
    Line::Event(StoredEvent {
        position,
        stream: "address_book".into(),
        version: position,
        kind: "AddressIssued".into(),
        schema: 1,
        payload,
        causation: (position > 1).then(|| position - 1),
        correlation: None,
        command: [id; 16],
        recorded_at: DateTime::from_timestamp_micros(1_000_001).unwrap(),
        hash: None,
    })
}

/// Two commands with three events.
fn written(header: Header) -> Vec<String> {
    let (body, payload): (&RawValue, &RawValue) =
        (serde_json::from_str(r#"{"a": 1}"#).unwrap(), serde_json::from_str(r#"{"index":0}"#).unwrap());
    let first = match header.holds {
        Holds::Positions { from, .. } => from,
        Holds::Deposit { .. } => 3,
    };
    let mut writing = Writing::default();
    let lines = [
        Line::Export(header),
        command(1, (first, first + 1), body),
        event(1, first, payload),
        event(1, first + 1, payload),
        command(2, (first + 2, first + 2), body),
        event(2, first + 2, payload),
    ];
    let mut lines: Vec<String> = lines.iter().map(|line| writing.line(line).unwrap()).collect();
    lines.push(writing.line(&Line::End(writing.end())).unwrap());
    lines
}

/// The number of the line on which reading fails, and why; number 0 stands for the end.
fn refused(lines: &[String]) -> (usize, String) {
    let mut reading = Reading::begin(SCHEMA);
    for (number, line) in lines.iter().enumerate() {
        if let Err(error) = reading.line(line.trim_end_matches('\n')) {
            return (number + 1, error.to_string());
        }
    }
    (0, reading.finish().unwrap_err().to_string())
}

fn changed(number: usize, from: &str, to: &str) -> Vec<String> {
    let mut lines = written(header(1, 3));
    assert!(lines[number - 1].contains(from), "{} has no {from}", lines[number - 1]);
    lines[number - 1] = lines[number - 1].replacen(from, to, 1);
    lines
}

#[test]
fn what_was_written_is_read_letter_by_letter() {
    for holds in [header(1, 3).holds, header(5, 7).holds, Holds::Deposit { id: DepositId(Uuid::from_u128(7)) }] {
        let lines = written(Header { holds, ..header(1, 3) });
        let mut reading = Reading::begin(SCHEMA);
        for text in &lines {
            let line = reading.line(text.trim_end()).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(format!("{}\n", serde_json::to_string(&line).unwrap()), *text);
            if let Line::Command(command) = line {
                assert_eq!(command.body.get(), r#"{"a": 1}"#, "with its white space");
            }
        }
        let (read, end) = reading.finish().unwrap();
        assert_eq!((read.holds, end.events, end.commands), (holds, 3, 2));
    }
}

#[test]
fn an_empty_log_is_a_file_too() {
    let mut writing = Writing::default();
    let first = writing.line(&Line::Export(Header { head: ExportHead { position: 0, hash: None }, ..header(1, 0) }));
    let lines = [first.unwrap(), writing.line(&Line::End(writing.end())).unwrap()];
    let mut reading = Reading::begin(SCHEMA);
    lines.iter().for_each(|line| drop(reading.line(line.trim_end()).unwrap()));
    assert_eq!(reading.finish().unwrap().1.events, 0);
}

#[test]
fn what_is_no_export_or_a_newer_one_is_told_at_once() {
    let first = |text: &str| refused(&[text.to_owned()]);
    for foreign in ["", "hello", "{}", "[]", r#"{"event":{}}"#, r#"{"export":{"format":"another","version":1}}"#] {
        assert_eq!(first(foreign), (1, "this is no export of a Millrace log".to_owned()), "{foreign}");
    }
    let newer = r#"{"export":{"format":"millrace-export","version":2,"colour":"blue"}}"#;
    assert_eq!(first(newer), (1, "the export has format 2, this version knows up to 1".to_owned()));
    let (line, why) = refused(&changed(1, r#""schema":2"#, r#""schema":3"#));
    assert_eq!((line, why.as_str()), (1, "the export is of a log with schema 3, this version knows up to 2"));
    let (line, why) = refused(&changed(3, r#""schema":1"#, r#""schema":2"#));
    assert_eq!((line, why.as_str()), (3, "event AddressIssued has schema 2, this version knows up to 1"));
    assert_eq!(refused(&changed(3, "AddressIssued", "Beamed")).0, 3);
}

#[test]
fn a_line_that_is_broken_or_misplaced_is_named_with_its_number() {
    for (number, from, to, expected) in [
        (3, r#""index""#, "index", "this is no line of an export"),
        (3, r#""position":1"#, r#""position":2"#, "position 2 is not the next after 0"),
        (4, r#""position":2"#, r#""position":1"#, "position 1 is not the next after 1"),
        (4, r#""position":2"#, r#""position":3"#, "position 3 is not the next after 1"),
        (4, r#""causation":1"#, r#""causation":2"#, "position 2 cannot have led to it"),
        (4, "01010101", "02020202", "the event is not of the command before it"),
        (4, "address_book", "elsewhere", "names no stream"),
        (3, "01.000001Z", "01.000001001Z", "a time is stored in whole microseconds"),
        (5, r#""first":3"#, r#""first":4"#, "position 4 is not the next after 2"),
        (2, r#""last":2"#, r#""last":0"#, "position 1 is not the next"),
        (2, r#""id":"01"#, r#""id":"0"#, "not 32 hexadecimal digits"),
        (3, r#""kind""#, r#""sort""#, "unknown field `sort`"),
        (1, r#""to":3"#, r#""to":99"#, "position 99 is not after 1 and in the log"),
    ] {
        let (line, why) = refused(&changed(number, from, to));
        assert!(line == number && why.contains(expected), "{from} → {to}: {line}: {why}");
    }
}

#[test]
fn lines_in_another_order_or_left_out_are_found() {
    let lines = written(header(1, 3));
    let without = |number: usize| {
        let mut lines = lines.clone();
        lines.remove(number - 1);
        refused(&lines)
    };
    assert_eq!(without(1), (1, "this is no export of a Millrace log".to_owned()));
    assert_eq!(without(2), (2, "a command is expected here".to_owned()));
    assert_eq!(without(3).0, 3);
    assert_eq!(without(4), (4, "another event of the command before is expected here".to_owned()));
    assert_eq!(without(5), (5, "the event is not of the command before it".to_owned()));
    assert_eq!(without(6), (6, "an event of the command before is expected here".to_owned()));
    assert_eq!(without(7), (0, "the file is not what was written: it breaks off before its last line".to_owned()));
    let more = [lines.clone(), vec![lines[2].clone()]].concat();
    assert_eq!(refused(&more), (8, "nothing more is expected here".to_owned()));
    assert_eq!(refused(&[]).1, "this is no export of a Millrace log");
}

#[test]
fn a_changed_letter_and_a_wrong_count_are_found_at_the_last_line() {
    for (number, from, to, expected) in [
        (3, r#"{"index":0}"#, r#"{"index":1}"#, "the digest of other lines"),
        (2, r#"{"a": 1}"#, r#"{"a":1}"#, "the digest of other lines"),
        (7, r#""events":3"#, r#""events":4"#, "counts other lines"),
        (1, r#""to":3"#, r#""to":4"#, "the digest of other lines"),
    ] {
        let (line, why) = refused(&changed(number, from, to));
        assert!(line == 7 && why.contains(expected), "{from} → {to}: {line}: {why}");
    }
}

#[test]
fn a_line_has_a_limit_for_who_writes_and_who_reads() {
    let long = format!("\"{}\"", "x".repeat(LINE_BYTES_MAX));
    let payload: &RawValue = serde_json::from_str(&long).unwrap();
    assert!(Writing::default().line(&event(1, 1, payload)).is_err());
    let (line, why) = refused(&[written(header(1, 3))[0].clone(), long]);
    assert_eq!((line, why.as_str()), (2, "the line is longer than 1048576 bytes"));
}
