//! What the fuzz targets were given by hand and found by chance, once more: every file of `tests/fuzz/corpus`.

use std::panic::catch_unwind;

use millrace_tests::fuzz;

/// Replays a target's inputs; names every one on which a property does not hold.
fn replay(target: &str) {
    let folder = fuzz::corpus(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a folder is listed").path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} has only {} inputs", folder.display(), files.len());
    let breaking = files.iter().filter(|file| {
        let input = std::fs::read(file).expect("an input is read");
        catch_unwind(|| fuzz::replay(target, &input)).is_err()
    });
    let breaking: Vec<_> = breaking.map(|file| file.display().to_string()).collect();
    fuzz::let_go();
    assert!(breaking.is_empty(), "see above what does not hold on\n{}", breaking.join("\n"));
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(#[test] fn $target() { replay(stringify!($target)); })*

        #[test]
        fn every_target_is_replayed_and_can_be_fuzzed() {
            let replayed = [$(stringify!($target)),*];
            let known: Vec<_> = fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(replayed.as_slice(), known);
            let manifest = millrace_tests::house::source("tests/fuzz/Cargo.toml").text;
            for name in known {
                assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is no program");
                let program = millrace_tests::house::source(&format!("tests/fuzz/fuzz_targets/{name}.rs")).text;
                assert!(program.contains(&format!("replay(\"{name}\", input)")), "{name}'s program runs another");
            }
        }
    };
}

targets! {
    addresses
    bitcoind
    c2cx
    config
    events
    export_lines
    log_file
    money
    operator_api
    public_api
    skycoin_answers
    skycoin_transaction
}
