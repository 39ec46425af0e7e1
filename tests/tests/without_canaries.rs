//! What is wrong on purpose is in nobody's hands but the tests': no crate brings it along unasked, least of all the program.

use std::process::Command;

use millrace_tests::house;

/// The feature that builds the wrong variants.
const FEATURE: &str = "canaries";

/// Every crate and feature that a build is made of, as cargo resolves it.
fn features_of(build: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(house::root())
        .args(["tree", "--offline", "--locked", "--edges", "features", "--prefix", "none", "--format", "{p}|{f}"])
        .args(build)
        .output()
        .expect("cargo runs, since it runs this test");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    text.lines().map(str::to_owned).collect()
}

fn with_canaries(build: &[&str]) -> Vec<String> {
    let has = |line: &String| {
        let features = line.split_once('|').map(|(_, features)| features.trim_end_matches(" (*)"));
        features.is_some_and(|features| features.split(',').any(|feature| feature == FEATURE))
    };
    features_of(build).into_iter().filter(has).collect()
}

#[test]
fn nothing_is_built_with_canaries_unless_it_is_asked_for() {
    assert_eq!(with_canaries(&["--workspace"]), [""; 0]);
    assert_eq!(with_canaries(&["--package", "millrace-daemon", "--all-features"]), [""; 0]);
}

/// The rule above would see them.
#[test]
fn who_asks_for_canaries_gets_them() {
    assert!(!with_canaries(&["--package", "millrace-tests", "--features", FEATURE]).is_empty());
}

#[test]
fn only_the_tests_can_ask_for_them() {
    for folder in house::CRATES {
        let manifest: toml::Table = house::source(&format!("{folder}/Cargo.toml")).text.parse().expect("TOML");
        let features = manifest.get("features").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        let knows = features.contains_key(FEATURE);
        assert_eq!(knows, ["actors", "tests"].contains(&folder), "{folder}");
        assert!(!features.contains_key("default"), "{folder} has features that nobody asked for");
    }
}
