//! What everything that reads from outside holds for any input at all: it never panics, does bounded work, says what is
//! wrong in a sentence that can be printed, and what it takes for good is written and read back as the same.
//!
//! One function a target; it takes the bytes and panics when a property is broken. `tests/fuzz` hands them what libFuzzer
//! thinks of, `tests/tests/fuzz_corpus.rs` what libFuzzer thought of earlier.
//!
//! An input is as readable as the decoder allows: where a decoder needs to know more than the body, such as the HTTP status,
//! that stands in the input's first line.

mod addresses;
mod api;
mod bitcoind;
mod c2cx;
mod config;
mod events;
mod export_lines;
mod log_file;
mod money;
mod skycoin;

use std::fmt::Display;
use std::path::PathBuf;

/// What a target does with an input.
pub type Body = fn(&[u8]);

/// Every target's name and body.
pub const TARGETS: [(&str, Body); 12] = [
    ("addresses", addresses::run),
    ("bitcoind", bitcoind::run),
    ("c2cx", c2cx::run),
    ("config", config::run),
    ("events", events::run),
    ("export_lines", export_lines::run),
    ("log_file", log_file::run),
    ("money", money::run),
    ("operator_api", api::operator),
    ("public_api", api::public),
    ("skycoin_answers", skycoin::answers),
    ("skycoin_transaction", skycoin::transaction),
];

/// No sentence about bad input is longer: it ends in logs and in answers. The longest name all sections and settings.
const SENTENCE_CHARS_MAX: usize = 2_000;

/// Runs a target on an input.
///
/// # Panics
/// When a property does not hold, or there is no such target.
pub fn replay(target: &str, input: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, run) = found.unwrap_or_else(|| panic!("there is no target {target}"));
    run(input);
}

/// The folder of a target's inputs.
pub fn corpus(target: &str) -> PathBuf {
    crate::house::root().join("tests/fuzz/corpus").join(target)
}

/// An input's first line as text, and what follows it.
fn first_line(input: &[u8]) -> Option<(&str, &[u8])> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&input[..end]).ok()?, &input[end + 1..]))
}

/// An HTTP status and a body. A status has three digits, whoever sends it.
fn status_and_body(input: &[u8]) -> Option<(u16, &[u8])> {
    let (status, body) = first_line(input)?;
    let status = status.parse().ok().filter(|status| (100..1000).contains(status))?;
    Some((status, body))
}

/// A sentence about something from outside is short and harms no terminal.
fn assert_printable(sentence: &dyn Display) {
    let text = sentence.to_string();
    assert!(!text.trim().is_empty(), "a sentence without words");
    assert!(text.chars().count() <= SENTENCE_CHARS_MAX, "a long sentence: {} characters", text.chars().count());
    assert!(!text.chars().any(char::is_control), "a sentence with control characters: {text:?}");
}

/// Lets go of what targets keep from one input to the next.
pub fn let_go() {
    api::let_go();
}
