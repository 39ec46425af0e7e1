//! The configuration: a file's text, with variables over it.

use std::ffi::OsString;
use std::path::Path;

use millrace_daemon::config::{Loaded, parse};

use super::assert_printable;

/// Stands alone on the line between the file's text and the variables.
const VARIABLES: &str = "%variables";

/// The input is a file's text; after a line `%variables` come variables, one `NAME=VALUE` a line.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (file, variables) = text.split_once(&format!("{VARIABLES}\n")).unwrap_or((text, ""));
    if names_a_file(text) {
        return;
    }
    let variables: Vec<_> = variables.lines().filter_map(|line| line.split_once('=')).collect();
    let environment = variables.iter().map(|(name, value)| (OsString::from(*name), OsString::from(*value)));
    match parse(Path::new("/etc/millrace.toml"), file, environment) {
        Ok(loaded) => is_read_back(&loaded),
        Err(error) => {
            assert!(!error.problems.is_empty(), "a refusal without a reason");
            error.problems.iter().for_each(|problem| assert_printable(problem));
        }
    }
}

/// What the desk would read from the disk of the machine that runs the test is another's subject.
fn names_a_file(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["_file", "tls_", "addresses"].iter().any(|name| text.contains(name))
}

/// The effective configuration is a configuration, and the same one.
fn is_read_back(loaded: &Loaded) {
    let shown = loaded.effective();
    if shown.contains("[secret]") {
        return;
    }
    // Its paths are relative to nothing any more.
    match parse(Path::new(""), &shown, []) {
        Ok(again) => assert_eq!(again.config, loaded.config, "{shown}"),
        Err(error) => panic!("what was in effect is refused: {error}\n{shown}"),
    }
}
