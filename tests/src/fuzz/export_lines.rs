//! An export as somebody else wrote it: what is taken of it is what is written down of it once more, and what is not taken is
//! told with its line.

use std::path::Path;

use millrace_actors::export::{Wanted, export};
use millrace_actors::import::look_at;
use millrace_model::export::{Holds, Reading};

/// The newest layout of a log; an export of a newer one is refused in its first line.
const LAYOUT: u32 = 2;

/// The input is the file.
pub fn run(input: &[u8]) {
    lines(input);
    let folder = folder();
    let path = folder.path().join("export.jsonl");
    std::fs::write(&path, input).expect("the folder can be written to");
    file(&path);
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("there is a folder for temporary files")
}

/// Each line that is read is written as the same.
fn lines(input: &[u8]) {
    let mut reading = Reading::begin(LAYOUT);
    for line in input.split(|byte| *byte == b'\n') {
        let Ok(text) = std::str::from_utf8(line) else { return };
        let mut again = reading.clone();
        match reading.line(text) {
            Ok(read) => {
                let written = serde_json::to_string(&read).expect("lines have text keys");
                let read_again = again.line(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
                assert_eq!(serde_json::to_string(&read_again).expect("lines have text keys"), written);
            }
            Err(error) => return assert!(!error.to_string().trim().is_empty(), "an error without words"),
        }
    }
    let _ = reading.finish();
}

/// A log that is made of it holds what it says, and says it again.
fn file(path: &Path) {
    let (reader, imported) = match look_at(path) {
        Ok(taken) => taken,
        Err(error) => return assert!(!error.to_string().trim().is_empty(), "an error without words"),
    };
    let wanted = match imported.header.holds {
        Holds::Positions { from: 1, to, .. } if to > 0 => Wanted::Positions { from: 1, to: Some(to) },
        Holds::Positions { .. } | Holds::Deposit { .. } => return,
    };
    let mut written = Vec::new();
    let end = export(&reader, wanted, None, ("0.0.0", &mut written)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((end.events, end.commands), (imported.end.events, imported.end.commands));
}
