//! The job's places in a real PostgreSQL: everything that SQLite has to hold, too, and runs of the real program there.

use anyhow::{Result, ensure};
use http::StatusCode;
use millrace_actors::job::store::Location;
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::job::Job;
use millrace_tests::job_store;
use millrace_tests::peers::postgres::Postgres;
use millrace_tests::receiver::Receiver;

#[tokio::test]
async fn places_and_leases_hold() -> Result<()> {
    let Some(server) = Postgres::start().await? else { return Ok(()) };
    // Other tables in the same database are nobody's business.
    server.execute("CREATE TABLE of_others (x INT)")?;
    job_store::holds(&Location::parse(&server.url())?, |sql| server.execute(sql)).await
}

#[tokio::test]
async fn runs_tell_everything_once_and_overlap_without_harm() -> Result<()> {
    let Some(server) = Postgres::start().await? else { return Ok(()) };
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let target = fresh_target(71);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.1").await?;
    desk.settled(&target, 1).await?;
    let (healthy, down) = (Receiver::start().await?, Receiver::start().await?);
    down.answers(StatusCode::SERVICE_UNAVAILABLE).await;
    let mut job = Job::of(&desk)?;
    job.set("JOB__DATABASE", &server.url());
    job.add("healthy", healthy.url());
    job.add("down", down.url());
    healthy.stands_still_after(2);
    let running = job.start(&[])?;
    healthy.told(3).await?;
    let beside = job.run(&[]).await?;
    ensure!(beside.sink("healthy")? == ("busy", 0), "{beside:?}");
    healthy.goes_on();
    let ended = running.wait_with_output().await?;
    ensure!(ended.status.code() == Some(75), "{ended:?}");
    ensure!(healthy.arrived().len() == 7);

    down.answers(StatusCode::OK).await;
    server.execute("UPDATE millrace_job_sinks SET not_before_ms = 0")?;
    let again = job.run(&[]).await?;
    ensure!(again.code == Some(0) && again.sink("down")? == ("caught_up", 7), "{again:?}");
    ensure!(again.sink("healthy")? == ("caught_up", 0) && !job.database().exists());
    server.empty()?;
    server
        .execute("CREATE TABLE millrace_job_version (version BIGINT); INSERT INTO millrace_job_version VALUES (2)")?;
    let newer = job.run(&[]).await?;
    ensure!(newer.code == Some(1) && newer.said.contains("newer version"), "{newer:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_or_knows_nobody_is_said_without_its_password() -> Result<()> {
    let Some(server) = Postgres::start().await? else { return Ok(()) };
    let desk = Desk::start(&[]).await?;
    let receiver = Receiver::start().await?;
    let mut job = Job::of(&desk)?;
    job.add("ops", receiver.url());
    let wrong = server.url().replace("of%20the%20test", "canary");
    for url in [wrong.as_str(), "postgres://desk:canary@127.0.0.1:9/desk"] {
        job.set("JOB__DATABASE", url);
        let ran = job.run(&[]).await?;
        ensure!(ran.code == Some(69) && ran.summary["outcome"] == "failed", "{ran:?}");
        ensure!(!ran.said.contains("canary"), "{ran:?}");
    }
    Ok(())
}
