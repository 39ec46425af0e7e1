//! The embedded sandbox is a process of its own: when it dies, the desk starts it again where it was, and goes on.

use std::time::Duration;

use anyhow::{Context, Result};
use millrace_daemon::sandbox::info::Info;
use millrace_tests::desk::{Desk, books_of, fresh_target, signal};
use millrace_tests::operator::OperatorApi;
use millrace_tests::ports::OwnPorts;

/// Its chains are opened again, and the back-off before that is short.
const BACK_WITHIN: Duration = Duration::from_secs(40);

/// D8: three payments to one address, over restarts of the node, are three deposits and three payouts.
#[tokio::test]
async fn a_sandbox_that_is_killed_is_started_again_and_the_desk_goes_on() -> Result<()> {
    let ports = OwnPorts::claim()?;
    let desk = Desk::start_on(&[("MILLRACE_DESK__RATE", "500")], |data| ports.prepare(data)).await?;
    let target = fresh_target(31);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.01").await?;
    desk.settled(&target, 1).await?;
    let before = info(&desk)?;

    // While a payment is on its way, twice.
    desk.pay(&address, "0.02").await?;
    let again = killed(&desk, &before).await?;
    desk.settled(&target, 2).await?;
    killed(&desk, &again).await?;
    desk.pay(&address, "0.03").await?;
    desk.settled(&target, 3).await?;
    let paid: Vec<_> = books_of(&desk, &target).await?.iter().map(|payment| payment["coins"].clone()).collect();
    assert_eq!(paid, ["5.000000", "10.000000", "15.000000"], "the books went on, and everybody was paid once");

    let part = OperatorApi::of(&desk)?.part("sandbox").await?;
    assert!(part["restarts"].as_u64() >= Some(2), "{part}");
    Ok(())
}

/// O9: the sandbox cannot be started, and then can.
#[tokio::test]
async fn while_the_sandbox_cannot_be_started_the_desk_says_why_and_then_goes_on() -> Result<()> {
    let mut desk = Desk::launch(&[("MILLRACE_DESK__RATE", "500")], |data| {
        Ok(std::fs::write(data.join("sandbox"), "a file where the folder should be")?)
    })?;
    desk.up().await?;
    let operator = OperatorApi::of(&desk)?;
    let part = desk.until(BACK_WITHIN, "the sandbox is not there", async || {
        // Until the core has taken over, its front answers for it.
        let Ok(part) = operator.part("sandbox").await else { return Ok(None) };
        Ok(Some(part).filter(|part| part["state"] == "backing_off"))
    });
    assert!(part.await?["why"].as_str().is_some_and(|why| why.contains("cannot be started")));
    assert_eq!(desk.get("/api/health").await?["status"], "DEGRADED");
    let refused = desk.get("/").await.expect_err("there is no desk yet").to_string();
    assert!(refused.contains("503") && refused.contains("sandbox: backing off"), "{refused}");

    std::fs::remove_file(desk.data_dir().join("sandbox"))?;
    desk.ready().await?;
    let target = fresh_target(32);
    desk.pay(&desk.bind(&target).await?, "0.01").await?;
    desk.settled(&target, 1).await?;
    let (status, took) = desk.terminate().await?;
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
    Ok(())
}

/// Kills the sandbox as a power switch would, and waits for the next one.
async fn killed(desk: &Desk, before: &Info) -> Result<Info> {
    signal("KILL", before.pid)?;
    let next = desk.until(BACK_WITHIN, "another sandbox runs", async || {
        let next = info(desk)?;
        Ok((next.pid != before.pid).then_some(next))
    });
    let next = next.await?;
    assert_eq!((&next.bitcoin, &next.skycoin, &next.c2cx), (&before.bitcoin, &before.skycoin, &before.c2cx));
    Ok(next)
}

fn info(desk: &Desk) -> Result<Info> {
    Info::read(&desk.data_dir().join("sandbox")).context("the sandbox says where it is")
}
