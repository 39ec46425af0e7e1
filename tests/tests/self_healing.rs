//! The desk breaks on purpose and heals: whatever it is, the health says so within two seconds, everything else goes on, and
//! nobody is needed for it to come back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use millrace_tests::desk::{Desk, books_of, fresh_target};
use millrace_tests::operator::OperatorApi;
use millrace_tests::tampering::{change, rename};
use serde_json::{Value, json};

/// How soon everybody can see what is wrong, on a machine that is four times as busy as it should be: two seconds else.
const SAID_WITHIN: Duration = Duration::from_secs(8);
/// A part that failed once rests for a moment only.
const HEALED_WITHIN: Duration = Duration::from_secs(50);
const RATE: (&str, &str) = ("MILLRACE_DESK__RATE", "500");

/// O10: parts panic while a customer is served; each comes back by itself, and he is paid once.
#[tokio::test]
async fn every_part_that_panics_says_so_and_comes_back_by_itself() -> Result<()> {
    let desk = Desk::start(&[RATE]).await?;
    let operator = OperatorApi::of(&desk)?;
    let target = fresh_target(41);
    let address = desk.bind(&target).await?;
    let parts = operator.get("/parts").await?;
    let parts = parts["parts"].as_array().context("parts")?;
    let names: Vec<_> = parts.iter().filter(|part| part["strategy"].is_null()).filter_map(name).collect();
    ensure!(names.len() > 8 && names.contains(&"event_store".to_owned()), "{names:?}");

    for name in &names {
        well(&desk).await?;
        desk.pay(&address, "0.01").await?;
        let running = || async {
            let part = operator.part(name).await?;
            Ok((part["state"] == "running").then_some(part))
        };
        let before = desk.until(HEALED_WITHIN, "the part runs", running).await?["restarts"].as_u64();
        let told = Instant::now();
        let broken = operator.post(&format!("/sandbox/parts/{name}/panic"), &json!({})).await;
        broken.with_context(|| name.clone())?;
        let says_so = async || {
            let part = operator.part(name).await?;
            let text = part["last_error"]["text"].as_str().unwrap_or_default();
            Ok((part["state"] != "running" || part["restarts"].as_u64() > before).then(|| text.to_owned()))
        };
        let text = desk.until(SAID_WITHIN, name, says_so).await?;
        ensure!(text.contains("told to panic") && told.elapsed() < SAID_WITHIN, "{name}: {text:?}");
        desk.until(HEALED_WITHIN, name, async || {
            Ok(running().await?.filter(|part| part["restarts"].as_u64() > before))
        })
        .await?;
    }
    desk.settled(&target, names.len()).await?;
    assert_eq!(books_of(&desk, &target).await?.len(), names.len(), "everybody was paid once");
    well(&desk).await
}

/// O7: an event that this version cannot read takes its own deposit out, and nobody else's.
/// O4: as long as it is what was stored, it is no damage and halts nothing.
#[tokio::test]
async fn an_unreadable_event_quarantines_its_deposit_and_nobody_else() -> Result<()> {
    let mut desk = Desk::start(&[RATE]).await?;
    let (poisoned, neighbour, later) = (fresh_target(42), fresh_target(43), fresh_target(44));
    switch_sends(&desk, "off").await?;
    for target in [&poisoned, &neighbour] {
        desk.pay(&desk.bind(target).await?, "0.01").await?;
        shown(&desk, target, "wait_send").await?;
    }
    let id = customer(&desk, &poisoned).await?["id"].as_str().context("an id")?.to_owned();
    desk.terminate().await?;
    let stream = format!("deposit/{id}");
    rename(&desk.data_dir(), &stream, "StatusWaitSend", "StatusTeleported")?;

    desk.start_again()?;
    desk.ready().await?;
    let told = Instant::now();
    let said = desk.until(SAID_WITHIN, "the health says so", async || {
        let part = OperatorApi::of(&desk)?.part("projection").await?;
        let conditions = part["conditions"].as_array().cloned().unwrap_or_default();
        Ok(conditions.into_iter().find(|condition| condition["kind"] == "unreadable"))
    });
    let said = said.await?["text"].to_string();
    ensure!(OperatorApi::of(&desk)?.get("/switches").await?["halted"].is_null(), "nothing is damaged");
    ensure!(said.contains(&id) && said.contains("StatusTeleported") && told.elapsed() < SAID_WITHIN, "{said}");
    assert_eq!(desk.get("/api/health").await?["status"], "DEGRADED");
    let text = shown(&desk, &poisoned, "held").await?["status_text"].to_string();
    assert!(text.contains("the operator is looking at it"), "{text}");
    let listed = desk.command(&["deposits", "--status", "unreadable", "--json"]).await?;
    assert!(listed.lines().count() == 1 && listed.contains(&id), "{listed}");
    let refused = OperatorApi::of(&desk)?.post(&format!("/deposits/{id}/hold"), &json!({"note": "n"})).await;
    assert!(refused.expect_err("nobody knows where it stands").to_string().contains("unreadable_deposit"));

    switch_sends(&desk, "on").await?;
    desk.pay(&desk.bind(&later).await?, "0.02").await?;
    for target in [&neighbour, &later] {
        desk.settled(target, 1).await?;
    }
    assert!(books_of(&desk, &poisoned).await?.is_empty());

    // A version that can read it takes the deposit up where it was.
    desk.terminate().await?;
    rename(&desk.data_dir(), &stream, "StatusTeleported", "StatusWaitSend")?;
    desk.start_again()?;
    desk.ready().await?;
    desk.settled(&poisoned, 1).await?;
    for target in [&poisoned, &neighbour, &later] {
        assert_eq!(books_of(&desk, target).await?.len(), 1, "{target}");
    }
    well(&desk).await?;
    ensure!(desk.log()?.verify().is_ok(), "the log is as it was written");
    Ok(())
}

/// O4: the real program on a log with a changed digit: it is halted, says where, and pays when somebody has looked.
#[tokio::test]
async fn a_changed_digit_in_the_log_halts_the_desk_until_somebody_has_looked() -> Result<()> {
    let mut desk = Desk::start(&[RATE]).await?;
    let target = fresh_target(45);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.01").await?;
    desk.settled(&target, 1).await?;
    desk.terminate().await?;
    let paid = desk.log()?.after(0, 1_000)?.into_iter().find(|recorded| recorded.event.kind() == "PayoutSigned");
    let position = paid.context("a payout was signed")?.position;
    change(&desk.data_dir(), &format!("UPDATE events SET recorded_at = recorded_at + 1 WHERE position = {position}"))?;

    desk.start_again()?;
    desk.ready().await?;
    let said = desk.until(HEALED_WITHIN, "the desk is halted", async || {
        let switches = OperatorApi::of(&desk)?.get("/switches").await?;
        Ok(switches["halted"].as_str().map(str::to_owned))
    });
    let said = said.await?;
    ensure!(said == format!("the log is damaged; position {position} is not what was stored there"), "{said}");
    desk.pay(&address, "0.02").await?;
    desk.until(HEALED_WITHIN, "the second deposit waits", async || {
        let deposits = desk.get(&format!("/api/v1/customers/{target}")).await?["deposits"].clone();
        let waiting = |deposit: &Value| deposit["status"] == "wait_send";
        Ok(deposits.as_array().is_some_and(|all| all.iter().any(waiting)).then_some(()))
    })
    .await?;
    assert_eq!(books_of(&desk, &target).await?.len(), 1);

    desk.command(&["resume", "a digit of a time, and harmless"]).await?;
    desk.settled(&target, 2).await?;
    assert_eq!(books_of(&desk, &target).await?.len(), 2);
    let part = OperatorApi::of(&desk)?.part("auditor").await?;
    let conditions = part["conditions"].as_array().cloned().unwrap_or_default();
    ensure!(conditions.iter().any(|condition| condition["kind"] == "damaged"), "it is still told: {part}");
    Ok(())
}

fn name(part: &Value) -> Option<String> {
    part["name"].as_str().map(str::to_owned)
}

async fn switch_sends(desk: &Desk, setting: &str) -> Result<()> {
    let operator = OperatorApi::of(desk)?;
    let turned = desk.until(HEALED_WITHIN, "the switch can be turned", async || {
        Ok(operator.post("/switches/sends", &json!({"setting": setting, "note": "n"})).await.ok())
    });
    turned.await.map(drop)
}

/// The customer's only deposit.
async fn customer(desk: &Desk, target: &str) -> Result<Value> {
    Ok(desk.get(&format!("/api/v1/customers/{target}")).await?["deposits"][0].clone())
}

/// Waits until the customer sees his deposit there.
async fn shown(desk: &Desk, target: &str, status: &str) -> Result<Value> {
    desk.until(HEALED_WITHIN, status, async || {
        let Ok(deposit) = customer(desk, target).await else { return Ok(None) };
        Ok((deposit["status"] == status).then_some(deposit))
    })
    .await
}

/// Waits until nothing is wrong any more.
async fn well(desk: &Desk) -> Result<()> {
    desk.until(HEALED_WITHIN, "every part is well", async || {
        Ok((desk.get("/api/health").await?["status"] == "OK").then_some(()))
    })
    .await
}
