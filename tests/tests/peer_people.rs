//! A customer who registers his mailbox at the real program, answers its question, hears of his deposit by a real mail server, and
//! leaves.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_model::subscription::customer_hash;
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use millrace_tests::peers::http_client;
use millrace_tests::peers::mail::{Encryption, MailServer};
use millrace_tests::receiver::Receiver;
use serde_json::{Value, json};

const PUBLIC: &str = "https://desk.example.org";
const WEBHOOKS: &str = "/notifications/webhooks";
const BOT_TOKEN: &str = "42:canary-of-the-bot";
const SOON: Duration = Duration::from_secs(30);
const LIFE: [&str; 7] = [
    "Deposit seen: 0.10000000 BTC",
    "Deposit waits for confirmations: 0.10000000 BTC",
    "Deposit received: 0.10000000 BTC",
    "Payout is next: 50.000000 SKY",
    "Payout signed: 50.000000 SKY",
    "Payout sent: 50.000000 SKY",
    "Payout final: 50.000000 SKY",
];

async fn desk_with(server: &MailServer) -> Result<Desk> {
    let smtp = format!("smtp://127.0.0.1:{}", server.port);
    Desk::start(&[
        ("MILLRACE_DESK__RATE", "500"),
        ("MILLRACE_PUBLIC__URL", PUBLIC),
        ("MILLRACE_NOTIFY__MAIL__SMTP", &smtp),
        ("MILLRACE_NOTIFY__MAIL__FROM", "Coin desk <desk@example.org>"),
        ("MILLRACE_NOTIFY__TELEGRAM__TOKEN", BOT_TOKEN),
        // Nobody is there.
        ("MILLRACE_NOTIFY__TELEGRAM__API_URL", "http://127.0.0.1:1"),
        ("MILLRACE_DESK__LOG", "trace"),
    ])
    .await
}

async fn register(desk: &Desk, hash: &str, channel: &str, address: &str) -> Result<()> {
    let door = at(desk, &format!("{PUBLIC}/api/v1/registrations"))?;
    let wanted = json!({ "hash": hash, "channel": channel, "address": address });
    let taken = http_client().post(&door).json(&wanted).send().await?;
    ensure!(taken.status() == 202, "{}", taken.text().await?);
    Ok(())
}

/// Where a link of a letter leads on this desk.
fn at(desk: &Desk, link: &str) -> Result<String> {
    let path = link.strip_prefix(PUBLIC).context("a link leads to the desk's public address")?;
    Ok(format!("{}{path}", desk.page().trim_end_matches('/')))
}

/// The first link of a text that leads below this path.
fn link_in(letter: &Value, path: &str) -> Result<String> {
    let text = letter["plain"].as_str().context("a letter has a text")?;
    let link = text.split_whitespace().find(|word| word.starts_with(&format!("{PUBLIC}{path}")));
    link.map(str::to_owned).with_context(|| format!("{path} is not in: {text}"))
}

async fn status_of(desk: &Desk) -> Result<Option<Value>> {
    let list = OperatorApi::of(desk)?.get(WEBHOOKS).await?;
    Ok(list["webhooks"].as_array().and_then(|webhooks| webhooks.first()).map(|webhook| webhook["status"].clone()))
}

#[tokio::test]
async fn a_customer_registers_his_mailbox_hears_of_his_deposit_and_leaves() -> Result<()> {
    let Some(mut server) = MailServer::start(Encryption::None, "", "").await? else { return Ok(()) };
    let (desk, http, target) = (desk_with(&server).await?, http_client(), fresh_target(1));
    register(&desk, &customer_hash(&target).to_string(), "email", "customer@example.net").await?;

    let question = server.letter(0).await?;
    assert_eq!(question["headers"]["subject"], "Do you want to hear of deposits?");
    let answer = at(&desk, &link_in(&question, "/confirm/")?)?;
    ensure!(http.get(&answer).send().await?.status() == 200);
    assert_eq!(status_of(&desk).await?, Some("unproved".into()), "looking at it does nothing");
    ensure!(http.post(&answer).send().await?.status() == 200);
    assert_eq!(status_of(&desk).await?, Some("enabled".into()));

    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.1").await?;
    desk.settled(&target, 1).await?;
    let mut leave = String::new();
    for (number, subject) in (1..).zip(LIFE) {
        let letter = server.letter(number).await?;
        assert_eq!(letter["headers"]["subject"], subject, "letter {number}");
        ensure!(link_in(&letter, "/customer/")?.ends_with(&target));
        letter["headers"]["list-unsubscribe"].as_str().context("a way to leave")?.clone_into(&mut leave);
    }
    // As a mail program does it by itself (RFC 8058).
    let leave = at(&desk, leave.trim_matches(['<', '>']))?;
    let left = http.post(&leave).header("content-type", "application/x-www-form-urlencoded");
    ensure!(left.body("List-Unsubscribe=One-Click").send().await?.status() == 200);
    desk.until(SOON, "it is over", async || Ok(status_of(&desk).await?.is_none().then_some(()))).await
}

#[tokio::test]
async fn whose_receiver_fails_for_good_gets_a_letter_about_it_and_only_one() -> Result<()> {
    let Some(mut server) = MailServer::start(Encryption::None, "", "").await? else { return Ok(()) };
    let (mut desk, http, target) = (desk_with(&server).await?, http_client(), fresh_target(2));
    register(&desk, &customer_hash(&target).to_string(), "email", "customer@example.net").await?;
    let answer = at(&desk, &link_in(&server.letter(0).await?, "/confirm/")?)?;
    ensure!(http.post(&answer).send().await?.status() == 200);
    let receiver = Receiver::start().await?;
    receiver.holds(receiver.subscribe(&desk, &target).await?);
    receiver.stands(&desk, |webhook| webhook["status"] == "enabled").await?;
    receiver.answers(http::StatusCode::GONE).await;

    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.1").await?;
    desk.settled(&target, 1).await?;
    let id = receiver.stands(&desk, |webhook| webhook["status"] == "disabled").await?["id"].clone();
    let mut letters = Vec::new();
    for number in 1..=LIFE.len() + 1 {
        letters.push(server.letter(number).await?);
    }
    desk.terminate().await?;
    desk.start_again()?;
    desk.ready().await?;
    desk.pay(&address, "0.1").await?;
    desk.settled(&target, 2).await?;
    for number in 1..=LIFE.len() {
        letters.push(server.letter(LIFE.len() + 1 + number).await?);
    }
    let is_it = |letter: &&Value| letter["headers"]["subject"] == "You are not told elsewhere any more";
    let told: Vec<_> = letters.iter().filter(is_it).collect();
    assert_eq!(told.len(), 1, "{letters:?}");
    let (plain, html) = (told[0]["plain"].as_str().context("a text")?, told[0]["html"].as_str().context("a page")?);
    let id = id.as_str().context("an id")?;
    for text in [plain, html] {
        assert!(text.contains(id) && text.contains("subscribe the same address again"), "{text}");
        assert!(!text.contains(receiver.url()), "where it led is sealed: {text}");
    }
    assert!(
        receiver.arrived().iter().all(|(_, body)| !String::from_utf8_lossy(body).contains("Subscription.Disabled"))
    );
    Ok(())
}

#[tokio::test]
async fn neither_whom_it_tells_nor_the_bots_token_is_in_what_the_desk_logs() -> Result<()> {
    let Some(mut server) = MailServer::start(Encryption::None, "", "").await? else { return Ok(()) };
    let desk = desk_with(&server).await?;
    let hash = customer_hash(&fresh_target(2)).to_string();
    register(&desk, &hash, "telegram", "4242424242").await?;
    register(&desk, &hash, "email", "gone@example.net").await?;
    register(&desk, &hash, "email", "customer@example.net").await?;
    server.letter(0).await?;
    let both = async || Ok((desk.count_said("a question did not get through") >= 2).then_some(()));
    desk.until(SOON, "two questions did not get through", both).await?;
    for secret in ["canary-of-the-bot", "gone@example.net", "customer@example.net", "4242424242"] {
        ensure!(!desk.said(secret), "{secret} is in the log");
    }
    Ok(())
}
