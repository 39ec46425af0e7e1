//! The core dies and the page stays: a front without a database answers for it, tells the truth and starts it again.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use millrace_tests::desk::{Desk, books_of, fresh_target, signal};
use millrace_tests::operator::OperatorApi;
use millrace_tests::process;
use reqwest::{Client, StatusCode};

/// A bound for a machine that is busy with other tests; the promise of a second is `tests/drill`'s.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// How long the desk may take to end: less than after which a core that hangs is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(8);
const SETTINGS: &[(&str, &str)] = &[("MILLRACE_DESK__METHOD", "direct"), ("MILLRACE_DESK__RATE", "500")];

/// A look at the page: what it says, if it says so in time. A connection that a dying core had taken is cut; whoever comes
/// again at once is answered, as a browser does by itself.
async fn look(desk: &Desk) -> Result<(StatusCode, String)> {
    let began = Instant::now();
    let client = Client::builder().timeout(ANSWERS_WITHIN).build()?;
    let answer = match ask(&client, desk.page()).await {
        Err(error) if !error.is_timeout() => ask(&client, desk.page()).await,
        answer => answer,
    };
    let answer = answer.context("the page does not answer in time")?;
    ensure!(began.elapsed() < ANSWERS_WITHIN, "the page took {:?}", began.elapsed());
    Ok(answer)
}

async fn ask(client: &Client, page: &str) -> reqwest::Result<(StatusCode, String)> {
    let response = client.get(page).send().await?;
    Ok((response.status(), response.text().await?))
}

/// Looks at the page all the while until another core serves; it has to answer every time.
async fn until_another_serves(desk: &Desk, before: u32) -> Result<()> {
    desk.until(BACK_WITHIN, "another core serves", async || {
        let (status, text) = look(desk).await?;
        let is_page = status == StatusCode::OK && text.contains("Your Skycoin address");
        let is_truth = status == StatusCode::SERVICE_UNAVAILABLE && text.contains("start");
        ensure!(is_page || is_truth, "{status}: {text}");
        Ok((is_page && desk.core().is_ok_and(|core| core != before)).then_some(()))
    })
    .await
}

/// Cuts off the file that SQLite has mapped, as a disk that fails does: the next touch is the core's end (SIGBUS).
fn cut_shared_memory(data_dir: &Path) -> Result<()> {
    Ok(File::options().write(true).open(data_dir.join("log.db-shm"))?.set_len(0)?)
}

/// Kills the core and keeps others from starting as long as the lock is held.
fn without_core(desk: &Desk) -> Result<(u32, File)> {
    let (core, front) = (desk.core()?, desk.front());
    let lock = File::create(desk.data_dir().join("core.lock"))?;
    signal("STOP", front)?;
    signal("KILL", core)?;
    process::wait_for_end(core)?;
    lock.lock()?;
    signal("CONT", front)?;
    Ok((core, lock))
}

/// O1: the core dies of its disk or is killed, and the page answers all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_core_that_dies_of_its_disk_is_started_again_behind_a_page_that_answers_all_the_while() -> Result<()> {
    let desk = Desk::start(SETTINGS).await?;
    let target = fresh_target(41);
    let address = desk.bind(&target).await?;
    let (core, front) = (desk.core()?, desk.front());
    cut_shared_memory(&desk.data_dir())?;
    desk.pay(&address, "0.01").await?;
    until_another_serves(&desk, core).await?;
    ensure!(desk.said("SIGBUS"), "it died of something else");

    // The same with the bluntest of all ends, in the middle of the deposit's life.
    let core = desk.core()?;
    signal("KILL", core)?;
    until_another_serves(&desk, core).await?;
    desk.settled(&target, 1).await?;
    let paid: Vec<_> = books_of(&desk, &target).await?.iter().map(|payment| payment["coins"].clone()).collect();
    assert_eq!((paid, desk.front()), (vec!["5.000000".into()], front), "paid once, and the front is the same");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_no_core_can_start_people_programs_and_probes_are_told_so() -> Result<()> {
    let mut desk = Desk::start(SETTINGS).await?;
    let operator = OperatorApi::of(&desk)?;
    let (core, lock) = without_core(&desk)?;

    let told = desk.until(BACK_WITHIN, "the page says so", async || {
        let (status, text) = look(&desk).await?;
        Ok((status == StatusCode::SERVICE_UNAVAILABLE && text.contains("being started again")).then_some(text))
    });
    assert!(told.await?.contains("The core is restarting"));
    let refused = desk.get("/api/config").await.expect_err("there is nobody to ask").to_string();
    assert!(refused.contains("503") && refused.contains("\"restarting\""), "{refused}");
    assert_eq!(operator.probe("/livez").await?.0, StatusCode::OK, "nobody has to start the process anew");
    assert_eq!(operator.probe("/readyz").await?.0, StatusCode::SERVICE_UNAVAILABLE);
    // The core waits for five seconds for the one before it, and gives up; the next one waits again.
    desk.until(BACK_WITHIN, "the page says that it goes on", async || {
        Ok(look(&desk).await?.1.contains("did not come up again").then_some(()))
    })
    .await?;

    lock.unlock()?;
    until_another_serves(&desk, core).await?;
    let (status, took) = desk.terminate().await?;
    assert!(status.success() && took < ENDS_WITHIN, "{status} after {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_while_there_is_no_core_it_ends_at_once() -> Result<()> {
    let mut desk = Desk::start(SETTINGS).await?;
    let (_, _lock) = without_core(&desk)?;
    let (status, took) = desk.terminate().await?;
    assert!(status.success() && took < ENDS_WITHIN, "{status} after {took:?}");
    Ok(())
}

/// P2: two desks on the same data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_front_that_is_killed_takes_its_core_along_and_a_second_desk_is_refused() -> Result<()> {
    let mut desk = Desk::start(SETTINGS).await?;
    for _ in 0..2 {
        let second = desk.command(&["run"]).await.expect_err("one desk runs already").to_string();
        assert!(second.contains("another desk runs on"), "{second}");
        // Also while the first stands still.
        signal("STOP", desk.front())?;
        let stopped = desk.command(&["run"]).await;
        signal("CONT", desk.front())?;
        assert!(stopped.is_err());
    }
    let core = desk.core()?;
    signal("KILL", desk.front())?;
    process::wait_for_end(core)?;
    desk.kill_and_restart().await
}
