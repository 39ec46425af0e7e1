//! A desk whose log is put back to an earlier copy: it starts halted, addresses included, and when an operator lets it go on
//! nobody is paid twice and nobody gets an address that may be another's.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_model::deposit::{Event as DepositEvent, Stage};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::Category;
use millrace_tests::desk::{Desk, books_of, fresh_target};
use millrace_tests::judge::{Outside, judge};
use millrace_tests::operator::OperatorApi;
use millrace_tests::receiver::{Receiver, WEBHOOKS};
use serde_json::{Value, json};

/// More than the whole log has.
const EVENTS_MAX: usize = 10_000;
/// How often a deposit that goes well is told of.
const LIFE: usize = 7;
const WITHIN: Duration = Duration::from_secs(60);

/// Puts a copy in place of the log of a desk that does not run.
fn restore(data: &Path, copy: &Path) -> Result<()> {
    for file in fs::read_dir(data)? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("log.db") || name.starts_with("views.db") {
            fs::remove_file(path)?;
        }
    }
    fs::copy(copy, data.join("log.db"))?;
    Ok(())
}

/// What the operations part says of a halted desk.
async fn halted(desk: &Desk) -> Result<String> {
    desk.until(WITHIN, "the desk says that it is halted", async || {
        let health = desk.get("/api/health").await?;
        let parts = health["parts"].as_array().context("parts")?;
        let operations = parts.iter().find(|part| part["name"] == "operations").context("a part operations")?;
        let said = operations["conditions"].as_array().context("conditions")?.iter();
        let texts = said.filter(|it| it["kind"] == "halted").filter_map(|it| it["text"].as_str().map(str::to_owned));
        Ok(texts.into_iter().next())
    })
    .await
}

/// The status and the body of a bind.
async fn refused_bind(desk: &Desk) -> Result<(u16, Value)> {
    let url = format!("{}/api/v1/bindings", desk.page());
    let body = json!({ "target": fresh_target(99), "coin": "BTC" });
    let response = millrace_tests::peers::http_client().post(url).json(&body).send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}

/// Waits until the desk has found so many deposits of nobody's.
async fn quarantined(desk: &Desk, many: usize) -> Result<()> {
    desk.until(WITHIN, "the deposits to forgotten addresses are quarantined", async || {
        let log = desk.log()?;
        let mut found = 0;
        for stream in log.stream_names(Category::Deposit)?.1 {
            let events = log.stream(&stream, 0)?;
            let is_quarantined = |event: &Event| matches!(event, Event::Deposit(DepositEvent::Quarantined(_)));
            found += usize::from(events.iter().any(|recorded| is_quarantined(&recorded.event)));
        }
        Ok((found >= many).then_some(()))
    })
    .await
}

/// O5: the real program on a copy from before some addresses and a payout.
/// D9: what is paid to an address whose customer the copy has forgotten is quarantined.
#[tokio::test]
async fn a_desk_on_a_copy_of_its_log_waits_for_an_operator_and_then_pays_nobody_twice() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let copies = tempfile::tempdir()?;
    let copy = copies.path().join("copy.db");
    let (alice, bob, receiver) = (fresh_target(81), fresh_target(82), Receiver::start().await?);
    let everything = json!({ "url": receiver.url(), "events": [{ "name": "*" }] });
    OperatorApi::of(&desk)?.post(WEBHOOKS, &everything).await?;
    let alices = desk.bind(&alice).await?;
    let mut addresses = vec![alices.clone(), desk.bind(&bob).await?];
    desk.command(&["backup", copy.to_str().context("a path")?]).await?;
    addresses.extend([desk.bind(&alice).await?, desk.bind(&bob).await?]);
    desk.pay(&alices, "0.05").await?;
    desk.settled(&alice, 1).await?;
    receiver.told(LIFE).await?;
    let head_file = desk.data_dir().with_extension("head");
    let known = desk.log()?.head()?;
    desk.until(WITHIN, "the head file knows of the payout", async || {
        let text = fs::read_to_string(&head_file)?;
        let line: Value = serde_json::from_str(text.lines().next().context("a line")?)?;
        Ok((line["head"]["position"].as_u64() >= Some(known)).then_some(()))
    })
    .await?;
    desk.kill()?;
    restore(&desk.data_dir(), &copy)?;
    desk.start_again()?;
    desk.ready().await?;

    // Its place lies beyond the copy's end, and the halt is the first thing behind that.
    desk.until(WITHIN, "the halt is told", async || {
        let is_halt = |body: &[u8]| body.windows(13).any(|part| part == b"\"Desk.Halted\"");
        Ok(receiver.arrived().iter().any(|(_, body)| is_halt(body)).then_some(()))
    })
    .await?;
    let said = halted(&desk).await?;
    ensure!(said.contains("no address, order or payout goes out") && said.contains("copy from before"), "{said}");
    let (status, body) = refused_bind(&desk).await?;
    ensure!(status == 503 && body.to_string().contains("desk_unavailable"), "{status} {body}");
    let switches = OperatorApi::of(&desk)?.get("/switches").await?;
    ensure!(switches["halted"].as_str().is_some_and(|why| why.contains("copy from before")), "{switches}");
    // Detection goes on: what is paid to an address that this log knows waits, to one that it has forgotten is nobody's.
    desk.pay(&addresses[1], "0.07").await?;
    desk.pay(&addresses[3], "0.09").await?;
    quarantined(&desk, 1).await?;
    desk.kill_and_restart().await?;
    halted(&desk).await?;
    ensure!(books_of(&desk, &bob).await?.is_empty(), "nothing is paid before an operator says so");

    desk.until(WITHIN, "the forgotten payout is found", async || {
        let log = desk.log()?;
        let is_signed = |recorded: &Recorded| matches!(recorded.event, Event::Deposit(DepositEvent::PayoutSigned(_)));
        Ok(log.after(0, EVENTS_MAX)?.iter().any(is_signed).then_some(()))
    })
    .await?;

    desk.command(&["resume", "the copy is what we have"]).await?;
    desk.settled(&bob, 1).await?;
    desk.settled(&alice, 1).await?;
    for target in [&alice, &bob] {
        let payments = books_of(&desk, target).await?;
        ensure!(payments.len() == 1, "{target}: {payments:?}");
    }
    addresses.push(desk.bind(&alice).await?);
    let distinct: BTreeSet<_> = addresses.iter().collect();
    ensure!(distinct.len() == addresses.len(), "{addresses:?}");

    let outside = Outside::of_sandbox(&desk.sandbox()?.get("/books").await?)?;
    desk.kill()?;
    let judgement = judge(&desk.log()?, &outside)?;
    let stages: Vec<_> = judgement.accounts.values().map(|account| &account.deposit.stage).collect();
    ensure!(
        stages.len() == 3 && stages.iter().filter(|stage| matches!(stage, Stage::Quarantined)).count() == 1,
        "{stages:?}"
    );
    Ok(())
}
