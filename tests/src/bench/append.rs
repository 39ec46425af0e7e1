//! `append_ratio`: many writers through the store actor against raw SQLite on the same work.
//!
//! Raw is what a careful program without our guarantees would do: one connection, prepared inserts, one row an event and
//! one a command, as many to a commit as there are writers, WAL with `synchronous=FULL`. The load generator of the other
//! side runs on the same two cores. Beside them, in the note, cqrs-es on SQLite: a program of its own
//! (`tests/comparison`), since it wants another version of SQLite.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use millrace_actors::clock::SystemClock;
use millrace_actors::event_store::{Append, Execution, Expected, Settings, Store, Write};
use millrace_actors::supervision::{Registry, Tree};
use millrace_model::deposit::{Customer, Detected, Method};
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, DepositId, Hash32, Outpoint, StreamName};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::Figure;

/// How long each side runs in each turn.
const TURN: Duration = Duration::from_secs(2);
const TURNS: usize = 5;

pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    [("append_ratio", 256), ("append_ratio_1", 1)].map(|(name, writers)| measure(name, writers)).into_iter().collect()
}

fn measure(name: &'static str, writers: u64) -> anyhow::Result<Figure> {
    let mut turns = (0..TURNS).map(|_| turn(writers)).collect::<anyhow::Result<Vec<_>>>()?;
    turns.sort_by(|one, other| one.against_raw().total_cmp(&other.against_raw()));
    let median = &turns[TURNS / 2];
    let mut against_cqrs_es: Vec<_> = turns.iter().map(|turn| turn.ours / turn.cqrs_es).collect();
    against_cqrs_es.sort_by(f64::total_cmp);
    Ok(Figure {
        name,
        value: median.against_raw(),
        unit: "ratio",
        note: format!(
            "{writers} writer(s), one event an append: {:.0}/s against raw {:.0}/s; ratios {:.2} to {:.2}; cqrs-es on \
             SQLite, durable, {:.0}/s: {:.1} times as fast ({:.1} to {:.1})",
            median.ours,
            median.raw,
            turns[0].against_raw(),
            turns[TURNS - 1].against_raw(),
            median.cqrs_es,
            against_cqrs_es[TURNS / 2],
            against_cqrs_es[0],
            against_cqrs_es[TURNS - 1]
        ),
    })
}

/// What each side appended a second.
struct Turn {
    raw: f64,
    ours: f64,
    cqrs_es: f64,
}

impl Turn {
    fn against_raw(&self) -> f64 {
        self.ours / self.raw
    }
}

fn turn(writers: u64) -> anyhow::Result<Turn> {
    Ok(Turn { raw: raw(writers)?, ours: ours(writers)?, cqrs_es: cqrs_es(writers)? })
}

fn cqrs_es(writers: u64) -> anyhow::Result<f64> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).context("the benchmarks run from a target folder")?;
    let program = target.join("comparison/release/millrace-comparison");
    let output = Command::new(&program)
        .args([writers, TURN.as_secs()].map(|number| number.to_string()))
        .output()
        .with_context(|| format!("{} does not run; tests/bench builds it", program.display()))?;
    ensure!(output.status.success(), "cqrs-es: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn event(n: u64) -> Detected {
    Detected {
        id: DepositId(Uuid::from_u128(u128::from(n))),
        outpoint: Outpoint { txid: Hash32([n as u8; 32]), index: 0 },
        address: "bcrt1qcr8te4kr609gcawutmrza0j4xv80jy8zeqchgx".to_owned(),
        amount: "0.12345678".parse().expect("an amount"),
        customer: Some(Customer {
            target: "2GgFvqoyk9RjwVzj8tqfcXVXB4orBwoc9qv".to_owned(),
            bound_method: Method::Direct,
        }),
        spends: vec![],
        coinbase: false,
    }
}

fn raw(batch: u64) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut connection = Connection::open(folder.path().join("raw.db"))?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768;")?;
    connection.execute_batch(
        "CREATE TABLE events (position INTEGER PRIMARY KEY, stream INTEGER NOT NULL, version INTEGER NOT NULL,
                              kind TEXT NOT NULL, schema INTEGER NOT NULL, payload TEXT NOT NULL, command_id BLOB NOT NULL,
                              recorded_at INTEGER NOT NULL) STRICT;
         CREATE UNIQUE INDEX events_stream_version ON events (stream, version);
         CREATE TABLE commands (id BLOB NOT NULL PRIMARY KEY, first_position INTEGER NOT NULL, name TEXT NOT NULL,
                                body TEXT NOT NULL) STRICT, WITHOUT ROWID;",
    )?;
    let payload = serde_json::to_string(&event(1))?;
    let (begin, mut position) = (Instant::now(), 0u64);
    while begin.elapsed() < TURN {
        let transaction = connection.transaction()?;
        {
            let mut events =
                transaction.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
            let mut commands = transaction.prepare_cached("INSERT INTO commands VALUES (?1, ?2, ?3, ?4)")?;
            for writer in 0..batch {
                position += 1;
                let id = CommandId::following(position, &[]);
                let version = position / batch + 1;
                events.execute(params![position, writer, version, "Detected", 1, payload, id.0, position])?;
                commands.execute(params![id.0, position, "Detect", BODY])?;
            }
        }
        transaction.commit()?;
    }
    Ok(position as f64 / begin.elapsed().as_secs_f64())
}

const BODY: &str = r#"{"ObserveMined":{"block":{"height":7,"hash":"0707070707070707"}}}"#;

fn ours(writers: u64) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rate = runtime.block_on(async {
        let clock = Arc::new(SystemClock);
        let tree = Tree::new(Registry::new(clock.clone()), 1);
        let store = Store::start(&tree, settings(folder.path(), clock))?;
        store.ready().await;
        let begin = Instant::now();
        let work = (0..writers).map(|writer| write(store.clone(), writer, begin));
        let appended: u64 = futures::future::try_join_all(work).await?.into_iter().sum();
        let rate = appended as f64 / begin.elapsed().as_secs_f64();
        tree.shutdown(Duration::from_secs(5)).await;
        anyhow::Ok(rate)
    })?;
    Ok(rate)
}

fn settings(folder: &Path, clock: Arc<SystemClock>) -> Settings {
    Settings { path: folder.join("log.db"), execution: Execution::Thread, clock }
}

/// One writer: its own stream, the next append when the last is durable.
async fn write(store: Store, writer: u64, begin: Instant) -> anyhow::Result<u64> {
    let stream = StreamName::Deposit(DepositId(Uuid::from_u128(u128::from(writer))));
    let mut appended = 0;
    let mut position = 0;
    while begin.elapsed() < TURN {
        let events = vec![Event::Deposit(event(writer).into())];
        let append = Append {
            command_id: CommandId::following(position, &[&stream.to_string()]),
            command: "Detect",
            body: BODY.to_owned(),
            causation: Some(position),
            correlation: None,
            writes: vec![Write::new(stream.clone(), Expected::Exactly(appended), events)],
        };
        position = store.append(append).await?.last;
        appended += 1;
    }
    Ok(appended)
}
