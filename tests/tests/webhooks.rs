//! An operator's ways with single notifications, with the real program and its command line.

use anyhow::{Context, Result};
use http::StatusCode;
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use millrace_tests::receiver::{Receiver, TOLD_WITHIN, WEBHOOKS, header, proved};
use serde_json::{Value, json};

/// A desk whose webhook heard of a deposit, with the webhook's id and secret.
async fn told() -> Result<(Desk, Receiver, String, String)> {
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let (api, receiver) = (OperatorApi::of(&desk)?, Receiver::start().await?);
    let wanted = json!({ "url": receiver.url(), "events": [{ "name": "Deposit.Confirmed" }] });
    let made = api.post(WEBHOOKS, &wanted).await?;
    let text = |field: &str| made[field].as_str().map(str::to_owned).context("a text");
    let (id, secret) = (text("id")?, text("secret")?);
    let target = fresh_target(51);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.1").await?;
    receiver.told(1).await?;
    Ok((desk, receiver, id, secret))
}

#[tokio::test]
async fn what_was_told_is_found_and_sent_once_more_under_its_own_id() -> Result<()> {
    let (desk, receiver, id, secret) = told().await?;
    let events = desk.command(&["webhooks", "events", "--type", "Deposit.Confirmed"]).await?;
    let event: Value = serde_json::from_str(events.trim())?;
    let notification = event["id"].as_str().context("an id")?;
    let said = desk.command(&["webhooks", "resend", notification, "--to", &id]).await?;
    assert_eq!(said, format!("Deposit.Confirmed is sent to {id} once more\n"));
    let arrived = receiver.told(2).await?;
    assert_eq!(arrived[0].1, arrived[1].1, "to the byte");
    assert_eq!((header(&arrived[1].0, "webhook-id"), proved(&secret, &arrived[1]).is_ok()), (notification, true));
    let two = async || {
        let attempts = desk.command(&["webhooks", "attempts", &id]).await?;
        let classes: Vec<Value> = attempts.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok((classes.len() == 2).then_some(classes))
    };
    let attempts = desk.until(TOLD_WITHIN, "both attempts are stored", two).await?;
    assert!(attempts.iter().all(|row| row["outcome"] == "delivered" && row["notification"] == notification));

    desk.command(&["webhooks", "pause", &id]).await?;
    desk.failing_command(&["webhooks", "resend", notification, "--to", &id]).await?;
    desk.failing_command(&["webhooks", "resend", notification]).await?;
    assert_eq!(receiver.arrived().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_receiver_is_tried_out_and_what_it_received_is_verified() -> Result<()> {
    let (desk, receiver, id, secret) = told().await?;
    let sent = desk.command(&["webhooks", "simulate", "Withdrawal.Failed", "--to", &id]).await?;
    let sent: Value = serde_json::from_str(&sent)?;
    assert_eq!((sent["outcome"].as_str(), sent["status"].as_u64()), (Some("delivered"), Some(204)), "{sent}");
    let arrived = receiver.told(2).await?;
    let simulated = proved(&secret, &arrived[1])?;
    assert_eq!((&simulated, &simulated["simulation"]), (&sent["event"], &json!(true)));
    assert_eq!(proved(&secret, &arrived[0])?.get("simulation"), None);
    let attempts = desk.command(&["webhooks", "attempts", &id]).await?;
    assert_eq!(attempts.lines().count(), 1, "{attempts}");

    let file = desk.data_dir().join("received");
    let (headers, body) = &arrived[0];
    let (webhook_id, timestamp, signature) =
        (header(headers, "webhook-id"), header(headers, "webhook-timestamp"), header(headers, "webhook-signature"));
    let path = file.to_str().context("a path")?;
    let verify = ["webhooks", "verify", &id, "--id", webhook_id, "--timestamp", timestamp];
    let verify: Vec<_> = verify.into_iter().chain(["--signature", signature, "--body", path]).collect();
    std::fs::write(&file, body)?;
    assert_eq!(desk.command(&verify).await?, "SUCCESS\n");
    std::fs::write(&file, [body.as_ref(), b" "].concat())?;
    assert_eq!(desk.failing_command(&verify).await?, "");
    Ok(())
}

#[tokio::test]
async fn a_webhook_that_fails_is_explained() -> Result<()> {
    let (desk, receiver, id, _) = told().await?;
    let shows = async |words: &'static str| {
        let shown =
            async || Ok(Some(desk.command(&["webhooks", "show", &id]).await?).filter(|said| said.contains(words)));
        desk.until(TOLD_WITHIN, words, shown).await
    };
    shows("Everything arrived.").await?;
    receiver.answers(StatusCode::INTERNAL_SERVER_ERROR).await;
    let event: Value =
        serde_json::from_str(desk.command(&["webhooks", "events", "--type", "Deposit.Confirmed"]).await?.trim())?;
    desk.command(&["webhooks", "resend", event["id"].as_str().context("an id")?]).await?;
    shows("1 that did not arrive are sent again, the first at ").await?;
    receiver.answers(StatusCode::GONE).await;
    desk.command(&["webhooks", "resend", event["id"].as_str().context("an id")?]).await?;
    shows("Nothing is sent: it is disabled, since it was answered that there is no such receiver any more.").await?;
    Ok(())
}

/// What anybody can try without a server of his own.
#[tokio::test]
async fn the_sandboxs_receiver_is_told_checks_signatures_and_answers_badly() -> Result<()> {
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let steered = async |what: &[&str]| -> Result<Value> {
        Ok(serde_json::from_str(&desk.command(&[&["sandbox", "receiver"], what].concat()).await?)?)
    };
    let empty = steered(&["list"]).await?;
    let url = empty["url"].as_str().context("an address")?;
    let made = desk.command(&["webhooks", "add", url]).await?;
    let id = made.split_whitespace().next().context("an id")?;
    let secret = made.lines().find_map(|line| line.strip_prefix("secret: ")).context("a secret")?;
    steered(&["secret", secret]).await?;
    steered(&["answer", "error", "--times", "1"]).await?;
    for outcome in ["status", "delivered"] {
        let sent = desk.command(&["webhooks", "simulate", "Desk.Halted", "--to", id]).await?;
        let sent: Value = serde_json::from_str(&sent)?;
        assert_eq!(sent["outcome"], outcome, "{sent}");
    }
    let told = steered(&["list"]).await?;
    let seen: Vec<_> = told["received"].as_array().context("a list")?.iter().collect();
    assert_eq!(seen.len(), 2, "{told}");
    assert!(seen.iter().all(|one| one["signature"] == "right" && one["body"]["simulation"] == true), "{told}");
    assert_eq!((seen[0]["answered"].as_str(), seen[1]["answered"].as_str()), (Some("error"), Some("ok")));
    Ok(())
}
