//! `model` and `protocols` stay pure: nothing in their dependency tree performs IO, and their sources ask no
//! clock, no randomness and no operating system, and hold no binary fraction.

use std::process::Command;

use millrace_tests::house;
use millrace_tests::house::mentions::{self, Mention};

/// Packages that perform IO, make randomness, ask the time or run tasks.
const IMPURE_PACKAGES: &[&str] = &[
    "async-io",
    "async-std",
    "axum",
    "clap",
    "futures-executor",
    "getrandom",
    "governor",
    "hyper",
    "iana-time-zone",
    "libsqlite3-sys",
    "metrics",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "rustls",
    "smol",
    "socket2",
    "sqlx",
    "sqlx-core",
    "sqlx-sqlite",
    "tokio",
    "tokio-util",
    "tracing",
    "tracing-subscriber",
    "xtra",
];

/// What the pure crates' sources never mention. `std::time::Duration` is a value and allowed.
const IMPURE_MENTIONS: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "SystemTime",
    "Instant",
    "Utc::now",
    "Local::now",
    "Uuid::new_v4",
    "Uuid::now_v7",
    "async",
    "await",
    "f32",
    "f64",
    "println",
    "eprintln",
];

/// Crates whose names never begin a path there (a module or field of that name is nobody's business).
const IMPURE_CRATES: &[&str] =
    &["futures", "getrandom", "log", "rand", "reqwest", "rusqlite", "sqlx", "tokio", "tracing", "xtra"];

fn is_impure(mention: &Mention) -> bool {
    let of_a_crate = mention.path.len() > 1 && IMPURE_CRATES.contains(&mention.path[0].as_str());
    of_a_crate || IMPURE_MENTIONS.iter().any(|pattern| mention.contains(pattern))
}

/// The packages `package` is built from, itself included, without what only its tests need.
fn packages_of(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(house::root())
        .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--package", package])
        .output()
        .expect("cargo runs, since it runs this test");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn assert_built_without(package: &str, forbidden: &[&str]) {
    let packages = packages_of(package);
    assert!(packages.iter().any(|found| found == package), "the tree of {package} does not even hold itself");
    let found: Vec<_> = forbidden.iter().filter(|name| packages.iter().any(|package| package == **name)).collect();
    assert!(
        found.is_empty(),
        "{package} is built with {found:?}; if a feature brings it, switch the feature on in the crate that needs it \
         and not in the workspace"
    );
}

fn assert_mentions_nothing_impure(folder: &str) {
    let sources = house::sources(folder, "rs");
    assert!(!sources.is_empty(), "{folder} has no sources");
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test_code()) {
        for mention in mentions::mentions(source) {
            if is_impure(&mention) {
                found.push(format!("{}:{}: {}", source.path, mention.line, mention.path.join("::")));
            }
        }
    }
    assert!(found.is_empty(), "time, ids and answers come in as arguments; here they do not:\n{}", found.join("\n"));
}

#[test]
fn the_model_is_built_without_anything_that_performs_io() {
    assert_built_without("millrace-model", IMPURE_PACKAGES);
    assert_built_without("millrace-model", &["millrace-protocols", "millrace-actors", "millrace-daemon"]);
}

#[test]
fn the_protocols_are_built_without_anything_that_performs_io() {
    assert_built_without("millrace-protocols", IMPURE_PACKAGES);
    assert_built_without("millrace-protocols", &["millrace-actors", "millrace-daemon"]);
}

#[test]
fn the_actors_know_neither_pages_nor_configuration_files() {
    assert_built_without("millrace-actors", &["millrace-daemon", "axum", "clap", "maud", "toml"]);
}

#[test]
fn the_sources_of_the_model_ask_no_clock_no_randomness_and_no_system() {
    assert_mentions_nothing_impure("model/src");
}

#[test]
fn the_sources_of_the_protocols_ask_no_clock_no_randomness_and_no_system() {
    assert_mentions_nothing_impure("protocols/src");
}
