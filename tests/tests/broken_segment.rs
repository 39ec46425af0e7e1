//! The real program on a log with a broken segment: its page answers, it says which segment it is and halts, and when somebody has looked
//! it goes on with everybody of whom nothing is lost.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_actors::clock::{Clock, SystemClock};
use millrace_tests::desk::{Desk, books_of, fresh_target};
use millrace_tests::drawn_log::seal;
use millrace_tests::idle_events;
use millrace_tests::operator::OperatorApi;
use millrace_tests::tampering::damage;
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(50);
/// More than a segment, and less than two.
const IDLE_EVENTS: usize = 600;
const BREAK: &str = "UPDATE segments SET events = zeroblob(length(events)) WHERE first = 513";
const SAID: &str = "the segment that begins at position 513 is not what was sealed there";

async fn switch_sends(desk: &Desk, setting: &str) -> Result<()> {
    let operator = OperatorApi::of(desk)?;
    let turned = desk.until(WITHIN, "the switch can be turned", async || {
        Ok(operator.post("/switches/sends", &json!({"setting": setting, "note": "n"})).await.ok())
    });
    turned.await.map(drop)
}

/// The customer's deposits, once there are so many in this status.
async fn shown(desk: &Desk, target: &str, status: &str, deposits: usize) -> Result<Vec<Value>> {
    desk.until(WITHIN, status, async || {
        let customer = desk.get(&format!("/api/v1/customers/{target}")).await?;
        let shown = customer["deposits"].as_array().context("deposits")?.clone();
        let there = shown.iter().filter(|deposit| deposit["status"] == status).count();
        Ok((there == deposits).then_some(shown))
    })
    .await
}

/// Half a segment passes between what was and what is to come, at least. The desk must be down.
fn let_pass(desk: &Desk) -> Result<()> {
    idle_events::record(&desk.data_dir().join("log.db"), IDLE_EVENTS, SystemClock.now())
}

/// The second segment of its log is of no use, with the only payloads of what happened to every deposit that has ended by now. The
/// desk must be down.
fn break_a_segment(desk: &Desk) -> Result<()> {
    let_pass(desk)?;
    let_pass(desk)?;
    seal(&desk.data_dir().join("log.db"))?;
    ensure!(desk.log()?.verify().is_ok(), "sealed, it is sound");
    damage(&desk.data_dir(), BREAK)
}

/// Waits until a part says this of itself.
async fn is_told(desk: &Desk, part: &str, kind: &str, what: &str) -> Result<()> {
    let operator = OperatorApi::of(desk)?;
    desk.until(WITHIN, what, async || {
        let part = operator.part(part).await?;
        let mut conditions = part["conditions"].as_array().context("conditions")?.iter();
        let is_it =
            |told: &Value| told["kind"] == kind && told["text"].as_str().is_some_and(|text| text.contains(what));
        Ok(conditions.any(is_it).then_some(()))
    })
    .await
}

/// Waits until the desk is halted for this.
async fn is_halted_for(desk: &Desk, cause: &str) -> Result<()> {
    let operator = OperatorApi::of(desk)?;
    desk.until(WITHIN, cause, async || {
        let switches = operator.get("/switches").await?;
        Ok(switches["halted"].as_str().is_some_and(|halted| halted.contains(cause)).then_some(()))
    })
    .await
}

/// The segment is named wherever somebody looks.
async fn is_halted_for_the_segment(desk: &Desk) -> Result<()> {
    is_halted_for(desk, &format!("the log is damaged; {SAID}")).await?;
    is_told(desk, "auditor", "damaged", SAID).await?;
    let health = desk.get("/api/health").await?;
    ensure!(health["status"] != "OK", "{health}");
    let proof = desk.failing_command(&["verify"]).await?;
    ensure!(proof.contains(SAID), "{proof}");
    Ok(())
}

/// What is lost of a deposit is said wherever somebody asks for it, and it is counted once.
async fn is_set_aside(desk: &Desk, id: &str, deposits: u64) -> Result<()> {
    let operator = OperatorApi::of(desk)?;
    let refused = operator.post(&format!("/deposits/{id}/hold"), &json!({"note": "n"})).await;
    let refused = refused.err().context("nobody knows where it stands")?.to_string();
    ensure!(refused.contains("unreadable_deposit"), "{refused}");
    let overview = operator.get("/overview").await?;
    let aside = overview["unreadable"].as_array().context("a list")?;
    ensure!(aside.len() == 1 && aside[0]["id"] == id, "{overview}");
    assert_eq!(overview["deposits"], deposits, "{overview}");
    // The views have it as it was before, until they are made anew.
    desk.command(&["rebuild", "--all"]).await?;
    let listed = desk.command(&["deposits", "--status", "unreadable", "--json"]).await?;
    ensure!(listed.lines().count() == 1 && listed.contains(id), "{listed}");
    is_told(desk, "projection", "unreadable", id).await
}

/// O4: the segment is named, and the desk halted until somebody has looked.
/// O7: what a broken segment took is missing from its own deposits, and from nobody else's.
#[tokio::test]
async fn a_desk_whose_log_has_a_broken_segment_says_which_and_goes_on_with_everybody_else() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let (lost, waiting, later) = (fresh_target(46), fresh_target(47), fresh_target(48));
    let address = desk.bind(&lost).await?;
    switch_sends(&desk, "off").await?;
    desk.pay(&address, "0.01").await?;
    shown(&desk, &lost, "wait_send", 1).await?;
    desk.terminate().await?;
    let_pass(&desk)?;
    desk.start_again()?;
    desk.ready().await?;
    switch_sends(&desk, "on").await?;
    let id = desk.settled(&lost, 1).await?[0]["id"].as_str().context("an id")?.to_owned();
    switch_sends(&desk, "off").await?;
    desk.pay(&desk.bind(&waiting).await?, "0.01").await?;
    shown(&desk, &waiting, "wait_send", 1).await?;
    desk.terminate().await?;
    break_a_segment(&desk)?;

    desk.start_again()?;
    desk.ready().await?;
    is_halted_for_the_segment(&desk).await?;
    assert!(books_of(&desk, &waiting).await?.is_empty(), "nothing leaves a desk that is halted");

    desk.command(&["resume", "one segment, there is a backup of it"]).await?;
    // The chain knows of a payout that the log has lost: the desk cannot know that it was its own.
    is_halted_for(&desk, "transactions that are no payouts spent from the hot wallet").await?;
    assert!(books_of(&desk, &waiting).await?.is_empty(), "nothing left it in between");
    is_halted_for(&desk, "where the log is damaged, such a transaction may be a payout that it has lost").await?;
    desk.command(&["resume", "it is the payout that was lost"]).await?;
    switch_sends(&desk, "on").await?;
    desk.pay(&desk.bind(&later).await?, "0.02").await?;
    shown(&desk, &waiting, "done", 1).await?;
    shown(&desk, &later, "done", 1).await?;
    is_set_aside(&desk, &id, 3).await?;
    shown(&desk, &lost, "held", 1).await?;
    let paid = [books_of(&desk, &lost).await?, books_of(&desk, &waiting).await?, books_of(&desk, &later).await?];
    assert_eq!(paid.map(|payments| payments.len()), [1, 1, 1], "everybody was paid once");
    Ok(())
}
