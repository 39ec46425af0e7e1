//! What the job's database has to hold, whichever it is: places, leases, what is sent again, and versions.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use chrono::DateTime;
use futures::future::try_join_all;
use hyper::body::Bytes;
use millrace_actors::delivery::endpoint::Outgoing;
use millrace_actors::job::feed::Told;
use millrace_actors::job::progress::{Moment, Progress, Step, Stopped};
use millrace_actors::job::store::{GivenUp, Kept, Known, Lease, Location, Store, StoreError};
use millrace_protocols::delivery::policy::{Chance, Schedule};
use millrace_protocols::delivery::verdict::{Outcome, Trouble};
use uuid::Uuid;

/// How long a lease is here, in milliseconds.
const LEASE_MS: u64 = 60_000;
const NOW_MS: u64 = 1_790_000_000_000;
const OPS: Known<'static> = Known { name: "ops", address_sha256: "a1", since_ms: Some(5) };

fn lease(owner: u128, at_ms: u64) -> Lease {
    Lease { owner: Uuid::from_u128(owner), until_ms: at_ms + LEASE_MS }
}

fn told(number: u128) -> Told {
    let created = DateTime::from_timestamp_millis(1_000 + i64::try_from(number).unwrap_or(0)).unwrap_or_default();
    let outgoing = Outgoing {
        position: 1,
        id: Uuid::from_u128(number),
        key: None,
        kind: Arc::from("Deposit.Confirmed"),
        customer: None,
        about: None,
        body: Bytes::new(),
        recorded_ms: None,
    };
    Told { outgoing, created_ms: created.timestamp_millis() }
}

/// A place with everything in it that there can be.
fn full() -> Progress {
    let mut progress = Progress::beginning(Some(5));
    progress.turn_page("AQcursor".to_owned());
    progress.settle(&told(1));
    let schedule = Schedule::standard();
    let now = Moment { now_ms: NOW_MS, schedule: &schedule, chance: Chance(0) };
    let step =
        progress.attempted(&told(2), (Outcome::Failed(Trouble::Connect), Some("no connection: ünreachable")), now);
    assert_eq!(step, Step::Later);
    progress
}

/// All of it, on an empty database. `execute` does something to it beside the job, and gives back what that prints.
pub async fn holds(location: &Location, execute: impl Fn(&str) -> Result<String>) -> Result<()> {
    many_open_it_at_once(location).await?;
    one_of_many_gets_the_lease(location, &execute).await?;
    what_is_kept_comes_back(location).await?;
    whose_lease_ended_changes_nothing(location, &execute).await?;
    another_address_forgets_the_receiver_and_keeps_the_place(location).await?;
    what_is_given_up_is_kept_with_the_place(location, &execute).await?;
    a_newer_version_is_refused(location, &execute).await
}

async fn many_open_it_at_once(location: &Location) -> Result<()> {
    for store in try_join_all((0..4).map(|_| Store::open(location))).await? {
        store.close().await;
    }
    Ok(())
}

async fn one_of_many_gets_the_lease(location: &Location, execute: &impl Fn(&str) -> Result<String>) -> Result<()> {
    let stores = try_join_all((0..4).map(|_| Store::open(location))).await?;
    let taken = stores.iter().zip(1..).map(|(store, owner)| store.take(&OPS, lease(owner, NOW_MS), NOW_MS));
    let taken: Vec<_> = try_join_all(taken).await?.into_iter().flatten().collect();
    ensure!(taken == [Progress::beginning(Some(5))], "{taken:?}");
    let is_free =
        async |now_ms: u64| Ok::<_, StoreError>(stores[0].take(&OPS, lease(9, now_ms), now_ms).await?.is_some());
    ensure!(!is_free(NOW_MS + LEASE_MS - 1).await? && is_free(NOW_MS + LEASE_MS).await?, "it ends when it ends");
    stores[0].release(OPS.name, Uuid::from_u128(1)).await?;
    ensure!(!is_free(NOW_MS + LEASE_MS).await?, "nobody gives back what is another's");
    stores[0].release(OPS.name, Uuid::from_u128(9)).await?;
    ensure!(execute("SELECT count(*) FROM millrace_job_sinks WHERE lease_owner IS NULL")? == "1");
    Ok(())
}

async fn what_is_kept_comes_back(location: &Location) -> Result<()> {
    let (store, held) = (Store::open(location).await?, lease(1, NOW_MS));
    store.take(&OPS, held, NOW_MS).await?.context("it is free")?;
    let mut stopped = full();
    stopped.stopped = Some(Stopped::Asked);
    for progress in [full(), stopped, Progress::beginning(None)] {
        ensure!(store.keep(&OPS, &progress, held).await? == Kept::Yes);
        store.release(OPS.name, held.owner).await?;
        let again = Store::open(location).await?;
        ensure!(again.take(&OPS, held, NOW_MS).await?.context("it is free")? == progress, "{progress:?}");
    }
    store.release(OPS.name, held.owner).await?;
    Ok(())
}

async fn whose_lease_ended_changes_nothing(
    location: &Location,
    execute: &impl Fn(&str) -> Result<String>,
) -> Result<()> {
    let (store, later_ms) = (Store::open(location).await?, NOW_MS + LEASE_MS);
    store.take(&OPS, lease(1, NOW_MS), NOW_MS).await?.context("it is free")?;
    let before = store.take(&OPS, lease(2, later_ms), later_ms).await?.context("the lease is over")?;
    ensure!(store.keep(&OPS, &full(), lease(1, later_ms)).await? == Kept::Lost);
    let given_up = GivenUp { told: &told(3), at_ms: later_ms, attempts: 1, error: None };
    ensure!(store.give_up(&OPS, &full(), lease(1, later_ms), given_up).await? == Kept::Lost);
    ensure!(execute("SELECT count(*) FROM millrace_job_given_up")? == "0");
    store.release(OPS.name, Uuid::from_u128(2)).await?;
    ensure!(store.take(&OPS, lease(3, NOW_MS), NOW_MS).await? == Some(before));
    store.release(OPS.name, Uuid::from_u128(3)).await?;
    Ok(())
}

async fn another_address_forgets_the_receiver_and_keeps_the_place(location: &Location) -> Result<()> {
    let (store, held) = (Store::open(location).await?, lease(1, NOW_MS));
    store.take(&OPS, held, NOW_MS).await?.context("it is free")?;
    store.keep(&OPS, &full(), held).await?;
    store.release(OPS.name, held.owner).await?;
    let moved = Known { address_sha256: "b2", ..OPS };
    let found = store.take(&moved, held, NOW_MS).await?.context("it is free")?;
    ensure!((&found.place, found.last, found.retry) == (&full().place, full().last, None));
    store.release(OPS.name, held.owner).await?;
    Ok(())
}

async fn what_is_given_up_is_kept_with_the_place(
    location: &Location,
    execute: &impl Fn(&str) -> Result<String>,
) -> Result<()> {
    let (store, held) = (Store::open(location).await?, lease(1, NOW_MS));
    let mut progress = store.take(&OPS, held, NOW_MS).await?.context("it is free")?;
    progress.settle(&told(7));
    for attempts in [9, 10] {
        let given_up = GivenUp { told: &told(7), at_ms: NOW_MS, attempts, error: Some("it answered 500") };
        ensure!(store.give_up(&OPS, &progress, held, given_up).await? == Kept::Yes);
    }
    let row = execute("SELECT sink || ' ' || kind || ' ' || attempts || ' ' || error FROM millrace_job_given_up")?;
    ensure!(row == "ops Deposit.Confirmed 10 it answered 500", "{row}");
    store.release(OPS.name, held.owner).await?;
    ensure!(store.take(&OPS, held, NOW_MS).await? == Some(progress));
    store.release(OPS.name, held.owner).await?;
    Ok(())
}

async fn a_newer_version_is_refused(location: &Location, execute: &impl Fn(&str) -> Result<String>) -> Result<()> {
    execute("UPDATE millrace_job_version SET version = 99")?;
    let refused = Store::open(location).await;
    ensure!(matches!(refused, Err(StoreError::Newer { found: 99, known: 1 })), "{refused:?}");
    ensure!(execute("SELECT version FROM millrace_job_version")? == "99");
    ensure!(execute("SELECT count(*) FROM millrace_job_sinks")? == "1");
    Ok(())
}
