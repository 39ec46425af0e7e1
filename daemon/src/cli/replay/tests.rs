//! Tests of stepping through a stream.

use clap::Parser;
use serde_json::json;

use super::*;
use crate::cli::Exit;
use crate::cli::log_file::sample::{self, Sample};

/// One who looks at every event.
#[derive(Default)]
struct Patient(usize);

impl Pause for Patient {
    fn after_event(&mut self, _: &mut impl Write) -> anyhow::Result<()> {
        self.0 += 1;
        Ok(())
    }
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    replay: Replay,
}

fn stepped(sample: &Sample, arguments: &str) -> (String, anyhow::Result<()>) {
    let wanted = Line::parse_from(format!("replay {arguments}").split_whitespace()).replay;
    let (mut out, mut patient) = (Vec::new(), Patient::default());
    let outcome = print((&sample.reader(), &sample.notes()), &wanted, &mut patient, &mut out);
    let text = String::from_utf8(out).unwrap();
    if !wanted.json {
        assert_eq!(patient.0, text.lines().filter(|line| line.starts_with('#')).count());
    }
    (text, outcome)
}

fn lines(sample: &Sample, arguments: &str) -> Vec<Value> {
    let (text, outcome) = stepped(sample, &format!("{arguments} --json"));
    outcome.unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn refused(sample: &Sample, arguments: &str) -> String {
    let error = stepped(sample, arguments).1.unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Failed);
    format!("{error:#}")
}

#[test]
fn every_event_stands_between_the_state_before_it_and_the_state_after_it() {
    let sample = Sample::new();
    let lines = lines(&sample, &sample::ID.to_string());
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Detected", "Mined", "Matured", "StatusWaitDecide", "Held", "Released"]);
    assert_eq!(lines[0]["before"], Value::Null);
    assert_eq!(lines[0]["after"]["stage"], "pending");
    lines.windows(2).for_each(|pair| assert_eq!(pair[0]["after"], pair[1]["before"]));
    let held = &lines[4];
    assert_eq!(held["after"]["stage"]["held"]["interrupted"], "wait_decide");
    assert_eq!((&held["command"], &held["asked_by"]), (&json!("Hold"), &json!("operator")));
    assert_eq!(held["since_previous_us"], 60_000_000);
    let stream = format!("deposit/{}", sample::ID);
    assert_eq!(held["cause"], json!({ "position": 4, "stream": stream, "version": 4, "kind": "StatusWaitDecide" }));
    assert_eq!((&lines[2]["asked_by"], &lines[0]["cause"]), (&json!("desk"), &Value::Null));
}

#[test]
fn a_difference_is_what_changed_and_nothing_else() {
    let sample = Sample::new();
    let lines = lines(&sample, &format!("{} --diff", sample::ID));
    let change = |path: &str, before, after| json!({ "path": path, "before": before, "after": after });
    assert_eq!(lines[3]["changes"], json!([change("stage", json!("pending"), json!("wait_decide"))]));
    assert_eq!(lines[2]["changes"], json!([]));
    assert!(lines.iter().all(|line| line.get("before").is_none()));

    let (text, outcome) = stepped(&sample, &format!("{} --diff --to 4", sample::ID));
    outcome.unwrap();
    let third = text.split("\n\n").nth(3).unwrap();
    let expected = format!(
        "#4  StatusWaitDecide  2030-01-01T00:00:01.600123Z  +0.0 ms\n    position 4, by RecordMaturity of the desk, upon \
         Mined (deposit/{}#2, position 2)\n    {{}}\n    * stage: pending -> wait_decide",
        sample::ID
    );
    assert_eq!(third, expected);
    assert!(text.contains("\n      sighting.mined.height: 7\n"), "the state at the end is whole: {text}");
}

#[test]
fn it_stops_at_a_version_or_a_time_and_shows_the_state_there() {
    let sample = Sample::new();
    let of = |arguments: &str| {
        let lines = lines(&sample, &format!("{} {arguments}", sample::ID));
        let last = lines.last().unwrap();
        (lines.len(), last["version"].as_u64().unwrap(), last["state"]["stage"].clone())
    };
    assert_eq!(of("--to 3"), (4, 3, json!("pending")));
    assert_eq!(of("--to 6"), (7, 6, json!("wait_decide")));
    // As `millrace events` prints it, without the microseconds; and one of them too early.
    assert_eq!(of("--at 2030-01-01T00:00:01.600Z"), (5, 4, json!("wait_decide")));
    assert_eq!(of("--at 2030-01-01T00:00:01.600122Z"), (3, 2, json!("pending")));
    assert_eq!(of("--at 2030-01-01T01:00:01.600123+01:00"), (5, 4, json!("wait_decide")));
    assert_eq!(of("--at 2031-01-01T00:00:00Z"), (7, 6, json!("wait_decide")));
}

#[test]
fn what_is_not_there_is_told() {
    let sample = Sample::new();
    assert_eq!(refused(&sample, "wallet/sky"), "there is no stream wallet/sky in this log");
    assert_eq!(refused(&sample, "desk --to 2"), "desk has no version 2: it ends at 1");
    let before = "desk was not there at 2030-01-01T00:00:00.000000Z: it begins at 2030-01-01T01:06:40.000123Z";
    assert_eq!(refused(&sample, "desk --at 2030-01-01T00:00:00Z"), before);
    let unknown = Line::try_parse_from(["replay", "elsewhere"]).map(drop).unwrap_err().to_string();
    assert!(unknown.contains("names no stream"), "{unknown}");
    for wrong in [["--to", "0"], ["--at", "yesterday"]] {
        assert!(Line::try_parse_from(["replay", "desk", wrong[0], wrong[1]]).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_stream_without_deposits_has_its_state_too_and_nothing_moves_the_cursor() {
    let sample = Sample::new();
    let desk = lines(&sample, "desk --diff");
    assert_eq!(desk[0]["changes"], json!([{ "path": "sends", "before": "on", "after": "off" }]));
    assert_eq!(desk[0]["asked_by"], "operator");
    let (text, outcome) = stepped(&sample, &format!("deposit/{}", sample::ID));
    outcome.unwrap();
    assert!(text.contains("+ stage.held.reason.operator.note: look\\u{1b}[2J") && !text.contains('\u{1b}'), "{text}");
    assert!(text.contains("\n      limits: kept\n"), "what did not change is shown as well: {text}");
}
