//! Drawn logs are possible: proving one finds nothing, and the same seed draws the same.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};
use millrace_actors::event_store::Reader;
use millrace_actors::proof::{Report, Subject, prove};
use millrace_tests::drawn_log::draw;

const EVENTS: u64 = 6_000;

fn proved(log: &Path) -> Result<Report> {
    let none = || "it has none".to_owned();
    let subject = Subject { log: log.to_owned(), views: Err(none()), head_file: Err(none()) };
    Ok(prove(&subject, &mut |_, _| {})?)
}

#[test]
fn a_drawn_log_is_one_that_could_have_happened() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log.db");
    draw(&log, EVENTS, 1)?;
    let report = proved(&log)?;
    ensure!(report.is_well() && report.events >= EVENTS, "{report:#?}");
    let kinds: BTreeSet<_> =
        Reader::open(&log)?.after(0, usize::MAX)?.iter().map(|recorded| recorded.event.kind().to_owned()).collect();
    let expected = [
        "Bought",
        "Bound",
        "Confirmed",
        "Held",
        "InputsSpent",
        "PayoutSigned",
        "RefundMarked",
        "RemainderBooked",
        "StatusWaitBuy",
        "StatusWaitSend",
        "TransferDeclared",
    ];
    ensure!(expected.iter().all(|kind| kinds.contains(*kind)), "{kinds:?}");
    Ok(())
}

#[test]
fn the_same_seed_draws_the_same_log() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut hashes = Vec::new();
    for (name, seed) in [("one.db", 7), ("again.db", 7), ("other.db", 8)] {
        let log = folder.path().join(name);
        draw(&log, 2_000, seed)?;
        hashes.push(Reader::open(&log)?.verify()?.tip);
    }
    ensure!(hashes[0] == hashes[1] && hashes[0] != hashes[2], "{hashes:?}");
    Ok(())
}
