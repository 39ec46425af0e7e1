//! A log of every schema there ever was, as it was stored then: brought forward, proved, and folded to the state that is kept
//! beside it. Whoever changes what is stored adds one, and changes none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::DateTime;
use millrace_actors::clock::ManualClock;
use millrace_actors::event_store::{Execution, Reader, Settings, Store};
use millrace_actors::projection::{self, Filter, PAGE_ROWS_MAX, Views};
use millrace_actors::proof::{Compared, Report, Subject, prove};
use millrace_actors::supervision::{Registry, Tree};
use millrace_model::chain::Chain;
use millrace_model::desk::Desk;
use millrace_model::event::Event;
use millrace_model::wallet::Wallet;
use millrace_tests::golden::{self, LOGS, restore};
use rusqlite::Connection;
use serde_json::{Value, json};

/// More than any of them has.
const EVENTS_MAX: usize = 10_000;
const WITHIN: Duration = Duration::from_secs(60);

fn proved(log: &Path, views: Result<PathBuf, String>) -> Result<Report> {
    let subject = Subject { log: log.to_owned(), views, head_file: Err("it has none".to_owned()) };
    let report = prove(&subject, &mut |_, _| {})?;
    ensure!(report.is_well() && report.events > 0, "{report:#?}");
    Ok(report)
}

/// Everything that a desk on this log would show and go by.
async fn state_of(log: &Path, views: &Path) -> Result<Value> {
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let tree = Tree::new(Registry::new(clock.clone()), 7);
    let settings = Settings { path: log.to_owned(), execution: Execution::Inline, clock };
    let store = Store::start(&tree, settings)?;
    tokio::time::timeout(WITHIN, store.ready()).await.context("the log opens")?;
    let views = Views::new(views);
    projection::start(&tree, store.clone(), views.clone())?;
    views.caught_up(store.head(), WITHIN).await;
    ensure!(views.position() == store.head(), "{:?}", tree.health());
    let events = store.reader()?.after(0, EVENTS_MAX)?;
    let (mut desk, mut chain, mut wallet) = (Desk::default(), Chain::default(), Wallet::default());
    for recorded in &events {
        match &recorded.event {
            Event::Desk(event) => desk = desk.evolve(event),
            Event::Chain(event) => chain = chain.evolve(event),
            Event::Wallet(event) => wallet = wallet.evolve(event),
            Event::Deposit(_)
            | Event::Binding(_)
            | Event::AddressBook(_)
            | Event::Subscription(_)
            | Event::Unreadable(_) => {}
        }
    }
    let state = json!({
        "deposits": views.deposits(&Filter { rows_max: PAGE_ROWS_MAX, ..Filter::default() }).await?,
        "bindings": views.bindings(None, PAGE_ROWS_MAX).await?,
        "totals": *views.totals(),
        "ledger": views.ledger().balances,
        "desk": desk,
        "cursor": chain.cursor(),
        "wallet": wallet,
    });
    tree.shutdown(Duration::from_secs(5)).await;
    Ok(state)
}

/// O8: what any earlier version stored comes to the same state.
#[tokio::test]
async fn a_log_of_every_schema_is_proved_and_comes_to_the_state_it_always_came_to() -> Result<()> {
    for name in LOGS {
        let folder = tempfile::tempdir()?;
        let (log, views) = (restore(name, folder.path())?, folder.path().join("views.db"));
        let as_stored = proved(&log, Err("it has none yet".to_owned()))?;
        let state = state_of(&log, &views).await?;
        let expected: Value = serde_json::from_str(&golden::text(name, "json")?)?;
        ensure!(state == expected, "{name} comes to another state:\n{state:#}");
        let forward = proved(&log, Ok(views))?;
        assert_eq!((forward.hash, &forward.views), (as_stored.hash, &Compared::UpTo(as_stored.position)), "{name}");
    }
    Ok(())
}

/// Whoever gives a kind a new schema keeps a log with the one before.
#[test]
fn every_schema_of_every_kind_that_ever_changed_is_in_a_golden_log() -> Result<()> {
    let mut stored = BTreeSet::new();
    for name in LOGS {
        let folder = tempfile::tempdir()?;
        let log = Connection::open(restore(name, folder.path())?)?;
        let mut kinds = log.prepare("SELECT DISTINCT kind, schema FROM events")?;
        let kinds = kinds.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)))?;
        stored.extend(kinds.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    let changed = Event::kinds().filter(|(_, newest)| *newest > 1);
    let all = changed.flat_map(|(kind, newest)| (1..=newest).map(move |schema| (kind.to_owned(), schema)));
    let missing: Vec<_> = all.filter(|schema| !stored.contains(schema)).collect();
    ensure!(missing.is_empty(), "in no golden log: {missing:?}");
    Ok(())
}

/// The layouts of the log have one each.
#[test]
fn every_layout_of_the_log_has_a_golden_one() -> Result<()> {
    let mut layouts = BTreeSet::new();
    let newest = tempfile::tempdir()?;
    drop(millrace_actors::event_store::Log::open(&newest.path().join("log.db"))?);
    let layout = |path: &Path| -> Result<u32> {
        Ok(Connection::open(path)?.pragma_query_value(None, "user_version", |row| row.get(0))?)
    };
    for name in LOGS {
        let folder = tempfile::tempdir()?;
        let log = restore(name, folder.path())?;
        layouts.insert(layout(&log)?);
        ensure!(Reader::open(&log)?.verify().is_ok(), "{name}");
    }
    let all: BTreeSet<u32> = (1..=layout(&newest.path().join("log.db"))?).collect();
    ensure!(layouts == all, "{layouts:?}");
    Ok(())
}
