//! A desk that is started on the log of a newer version, and whoever only looks at one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_actors::event_store::{Log, NewerSegment, OpenError, Reader};
use millrace_actors::projection::{Projection, rebuild};
use millrace_model::ids::Hash32;
use millrace_tests::desk::{Desk, books_of, fresh_target};
use millrace_tests::drawn_log::{draw, seal};
use millrace_tests::operator::OperatorApi;
use millrace_tests::tampering::{damage, rename_back, rename_by_newer};
use rusqlite::Connection;
use tempfile::TempDir;

const WITHIN: Duration = Duration::from_secs(60);

/// Says that the log has this layout; gives back the one it had. The desk must be down.
fn set_layout(desk: &Desk, layout: u32) -> Result<u32> {
    let log = Connection::open(desk.data_dir().join("log.db"))?;
    let before = log.pragma_query_value(None, "user_version", |row| row.get(0))?;
    log.pragma_update(None, "user_version", layout)?;
    Ok(before)
}

/// What the log holds: a newer version's desk must find it as it left it.
fn held(desk: &Desk) -> Result<Vec<(u64, Option<Hash32>)>> {
    let log = desk.log()?;
    (0..=log.head()?).map(|position| Ok((position, log.hash_at(position)?))).collect()
}

async fn text_of(desk: &Desk, path: &str) -> Result<String> {
    let url = format!("{}{path}", desk.page());
    Ok(millrace_tests::peers::http_client().get(url).send().await?.text().await?)
}

/// O8: what was known is shown with the reason, nothing is done, and the version that can goes on where it was.
#[tokio::test]
async fn a_newer_log_is_shown_and_left_alone_until_its_version_runs_again() -> Result<()> {
    let mut desk = Desk::start(&[]).await?;
    let target = fresh_target(91);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.05").await?;
    let shown = desk.settled(&target, 1).await?;
    desk.kill()?;
    let own = set_layout(&desk, 99)?;
    desk.start_again()?;
    desk.up().await?;

    let page = desk
        .until(WITHIN, "the page says why", async || {
            let page = text_of(&desk, "/").await?;
            Ok(page.contains("written by a newer version").then_some(page))
        })
        .await?;
    ensure!(page.contains("no address is given out"), "{page}");
    let customer = format!("/api/v1/customers/{target}");
    let known = desk.until(WITHIN, "the deposit is shown", async || Ok(desk.get(&customer).await.ok())).await?;
    for field in ["id", "outcome", "payout", "payout_txid"] {
        assert_eq!(known["deposits"][0][field], shown[0][field], "{field}");
    }
    let health = desk.get("/api/health").await?.to_string();
    ensure!(health.contains("has schema 99, this version knows up to"), "{health}");
    ensure!(desk.bind(&fresh_target(92)).await.is_err(), "an address was given out");
    desk.pay(&address, "0.06").await?;

    desk.kill()?;
    assert_eq!(set_layout(&desk, own)?, 99, "the log was touched");
    desk.start_again()?;
    desk.ready().await?;
    assert_eq!(desk.settled(&target, 2).await?.len(), 2);
    assert_eq!(books_of(&desk, &target).await?.len(), 2);
    let page = text_of(&desk, "/").await.context("the page")?;
    ensure!(!page.contains("newer version"), "{page}");
    Ok(())
}

/// O8: the same where only one event is of a kind that this version does not know.
#[tokio::test]
async fn a_log_with_a_newer_kind_of_event_is_shown_and_left_alone_until_its_version_runs_again() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let targets = [fresh_target(93), fresh_target(94)];
    let mut addresses = Vec::new();
    for target in &targets {
        addresses.push(desk.bind(target).await?);
        desk.pay(addresses.last().context("it was given out")?, "0.05").await?;
        desk.settled(target, 1).await?;
    }
    let customer = |target: &str| format!("/api/v1/customers/{target}");
    let shown = desk.get(&customer(&targets[0])).await?;
    let id = shown["deposits"][0]["id"].as_str().context("an id")?.to_owned();
    desk.terminate().await?;
    let stream = format!("deposit/{id}");
    rename_by_newer(&desk.data_dir(), &stream, "Sent", "Beamed")?;
    let before = held(&desk)?;
    desk.start_again()?;
    desk.up().await?;

    let page = desk
        .until(WITHIN, "the page says why", async || {
            let page = text_of(&desk, "/").await?;
            Ok(page.contains("written by a newer version").then_some(page))
        })
        .await?;
    ensure!(page.contains("no address is given out") && page.contains("is Beamed of schema 1."), "{page}");
    for target in &targets {
        let known = desk.until(WITHIN, "the deposit is shown", async || Ok(desk.get(&customer(target)).await.ok()));
        assert_eq!(known.await?["deposits"][0]["outcome"], "paid", "{target}");
    }
    let health = desk.get("/api/health").await?.to_string();
    let part = OperatorApi::of(&desk)?.part("event_store").await?.to_string();
    for said in [&health, &part] {
        ensure!(said.contains("is Beamed of schema 1, which this version does not know"), "{said}");
    }
    ensure!(desk.bind(&fresh_target(95)).await.is_err(), "an address was given out");
    for address in &addresses {
        desk.pay(address, "0.06").await?;
    }
    ensure!(desk.command(&["rebuild", "--all"]).await.is_err(), "the views were made anew");
    desk.kill()?;
    let refused = desk.command(&["rebuild", "--all"]).await.expect_err("the views were made anew").to_string();
    ensure!(refused.contains("start the newer version again"), "{refused}");
    assert_eq!(held(&desk)?, before, "the log was touched");

    rename_back(&desk.data_dir(), &stream, "Beamed", "Sent")?;
    desk.start_again()?;
    desk.ready().await?;
    for target in &targets {
        desk.settled(target, 2).await?;
        assert_eq!(books_of(&desk, target).await?.len(), 2, "{target}");
    }
    let page = text_of(&desk, "/").await.context("the page")?;
    ensure!(!page.contains("newer version"), "{page}");
    Ok(())
}

/// A log of three segments, two of them sealed, and what is done to the second.
fn sealed_log(done: &str) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log.db");
    draw(&log, 3 * 512, 8)?;
    seal(&log)?;
    damage(folder.path(), &format!("UPDATE segments SET {done} WHERE first = 513"))?;
    Ok((folder, log))
}

fn refusal(opened: Result<impl Sized, OpenError>) -> Result<String> {
    let error = opened.err().context("it was opened")?;
    let segment = NewerSegment { first: 513, format: 3 };
    ensure!(matches!(&error, OpenError::NewerSegment { segment: found, .. } if *found == segment), "{error}");
    Ok(error.to_string())
}

/// What lies in the file of a log that nobody has open.
fn bytes(log: &Path) -> Result<Vec<u8>> {
    Ok(std::fs::read(log)?)
}

/// O8: nobody takes for lost what only a newer version's segment has: the log is refused, to be written and to be read.
#[test]
fn a_log_with_a_newer_segment_is_refused_and_left_as_it_is() -> Result<()> {
    let (folder, log) = sealed_log("format = 3, events = zeroblob(100)")?;
    let before = bytes(&log)?;
    let said = refusal(Log::open(&log))?;
    ensure!(OpenError::tells_of_newer(&said), "{said}");
    assert_eq!(OpenError::unknown_in(&said), Some("the segment from position 513 on is of format 3"));
    assert_eq!(refusal(Reader::look_at(&log))?, said);
    let made = rebuild((&log, &folder.path().join("views.db")), &Projection::ALL, &mut |_| {});
    assert_eq!(made.err().context("views were made")?.to_string(), said);
    ensure!(bytes(&log)? == before, "the log was touched");
    Ok(())
}

/// O7: a segment that is what was stored but for the number of its format is damaged, like one with a number that no format will have.
#[test]
fn a_wrong_number_of_a_format_is_no_newer_version() -> Result<()> {
    for wrong in ["format = 3", "format = 1 << 40", "format = -1"] {
        let (_folder, log) = sealed_log(wrong)?;
        drop(Log::open(&log).with_context(|| wrong.to_owned())?);
        let found = Reader::look_at(&log)?.verify();
        ensure!(found.is_err(), "{wrong}: {found:?}");
    }
    Ok(())
}
