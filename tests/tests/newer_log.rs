//! A desk that is started on the log of a newer version.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_tests::desk::{Desk, books_of, fresh_target};
use rusqlite::Connection;

const WITHIN: Duration = Duration::from_secs(60);

/// Says that the log has this layout; gives back the one it had. The desk must be down.
fn set_layout(desk: &Desk, layout: u32) -> Result<u32> {
    let log = Connection::open(desk.data_dir().join("log.db"))?;
    let before = log.pragma_query_value(None, "user_version", |row| row.get(0))?;
    log.pragma_update(None, "user_version", layout)?;
    Ok(before)
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
