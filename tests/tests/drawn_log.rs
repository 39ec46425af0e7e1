//! Drawn logs are possible: proving one finds nothing, and the same seed draws the same. With short lives there are deposits wherever
//! one can stand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, ensure};
use millrace_actors::event_store::Reader;
use millrace_actors::proof::{Report, Subject, prove};
use millrace_model::deposit::{Deposit, evolve};
use millrace_model::event::Event;
use millrace_model::ids::{DepositId, StreamName};
use millrace_tests::drawn_log::{draw, draw_deposits};

const EVENTS: u64 = 6_000;
const DEPOSITS: u64 = 8_000;

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

#[test]
fn short_lives_could_have_happened_and_stop_wherever_one_can() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log.db");
    draw_deposits(&log, DEPOSITS, 1)?;
    let report = proved(&log)?;
    ensure!(report.is_well(), "{report:#?}");
    let mut deposits: BTreeMap<DepositId, Option<Deposit>> = BTreeMap::new();
    for recorded in Reader::open(&log)?.after(0, usize::MAX)? {
        if let (StreamName::Deposit(id), Event::Deposit(event)) = (&recorded.stream, &recorded.event) {
            let deposit = deposits.entry(*id).or_default();
            *deposit = evolve(deposit.take(), event);
        }
    }
    ensure!(
        deposits.len() as u64 >= DEPOSITS && report.events < 6 * DEPOSITS,
        "{} of {}",
        deposits.len(),
        report.events
    );
    let stages: BTreeSet<_> = deposits.values().flatten().map(|deposit| deposit.stage.name().as_str()).collect();
    let expected = ["done", "held", "pending", "quarantined", "wait_buy", "wait_confirm", "wait_decide", "wait_send"];
    ensure!(expected.iter().all(|stage| stages.contains(stage)), "{stages:?}");
    Ok(())
}
