//! Appends through cqrs-es on SQLite, for `append_ratio`: so many writers, one event a command, durable, for so many
//! seconds; prints how many a second.
//!
//! The set-up is the library's own (`sqlite_cqrs`, its tables, ten connections), but for `synchronous=FULL`, without which
//! a commit may be lost with the power. An aggregate gets as many events as a deposit has: the library reads all of them
//! before each command.

use std::time::{Duration, Instant};

use anyhow::Context;
use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use futures::future::try_join_all;
use millrace_model::deposit::{Customer, Detected, Method};
use millrace_model::ids::{DepositId, Hash32, Outpoint};
use serde::{Deserialize, Serialize};
use sqlite_es::{SqliteCqrs, sqlite_cqrs};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use uuid::Uuid;

/// As many as the events of a deposit that is sold from stock.
const EVENTS_EACH: u64 = 9;
/// As `default_sqlite_pool` has it.
const CONNECTIONS: u32 = 10;

/// The library's own table.
const TABLE: &str = "CREATE TABLE events (
  aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence integer CHECK (sequence >= 0) NOT NULL,
  event_type text NOT NULL, event_version text NOT NULL, payload text NOT NULL, metadata text NOT NULL,
  PRIMARY KEY (aggregate_type, aggregate_id, sequence)) STRICT";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Happened(Detected);

impl DomainEvent for Happened {
    fn event_type(&self) -> String {
        "Detected".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("nothing is refused")]
struct Never;

#[derive(Default, Serialize, Deserialize)]
struct Deposit {
    events: u64,
}

impl Aggregate for Deposit {
    const TYPE: &'static str = "deposit";
    type Command = Happened;
    type Event = Happened;
    type Error = Never;
    type Services = ();

    async fn handle(&mut self, event: Happened, (): &(), sink: &EventSink<Self>) -> Result<(), Never> {
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, _: Happened) {
        self.events += 1;
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |name| arguments.next().and_then(|text| text.parse::<u64>().ok()).with_context(|| name);
    let (writers, seconds) = (number("how many writers?")?, number("for how many seconds?")?);
    let folder = tempfile::tempdir()?;
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("events.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(60))
        .foreign_keys(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(60))
        .connect_with(options)
        .await?;
    sqlx::query(TABLE).execute(&pool).await?;
    let cqrs = sqlite_cqrs::<Deposit>(pool, vec![], ());
    let begin = Instant::now();
    let until = begin + Duration::from_secs(seconds);
    let appended: u64 = try_join_all((0..writers).map(|writer| write(&cqrs, writer, until))).await?.into_iter().sum();
    println!("{:.0}", appended as f64 / begin.elapsed().as_secs_f64());
    Ok(())
}

async fn write(cqrs: &SqliteCqrs<Deposit>, writer: u64, until: Instant) -> anyhow::Result<u64> {
    let mut appended = 0;
    while Instant::now() < until {
        let id = Uuid::from_u64_pair(appended / EVENTS_EACH, writer);
        cqrs.execute(&format!("deposit/{id}"), Happened(detected(id))).await?;
        appended += 1;
    }
    Ok(appended)
}

/// The event that the other side appends.
fn detected(id: Uuid) -> Detected {
    Detected {
        id: DepositId(id),
        outpoint: Outpoint { txid: Hash32([7; 32]), index: 0 },
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
