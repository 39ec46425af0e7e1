//! A deposit of the real program explained and stepped through, beside the running desk, without it, and from a copy.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use millrace_tests::command_line::{json_lines, said};
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use millrace_tests::tampering;
use serde_json::Value;

/// Everything that the data folder holds of the log.
fn log_files(data: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for file in fs::read_dir(data)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name.starts_with("log.db") && !name.ends_with("-shm") {
            files.insert(name, fs::read(file.path())?);
        }
    }
    Ok(files)
}

#[tokio::test]
async fn a_purchase_is_explained_and_replayed_with_the_desk_and_without_it() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__METHOD", "passthrough")]).await?;
    let target = fresh_target(71);
    desk.pay(&desk.bind(&target).await?, "0.05").await?;
    let deposit = desk.settled(&target, 1).await?.remove(0);
    let payout_txid = deposit["payout_txid"].as_str().context("a payout")?;
    let id = id_of(&desk).await?;

    let story = desk.command(&["why", &id]).await?;
    for wanted in
        ["0.05000000 BTC to ", "Decided: passthrough.", "the best ask seen was ", "filled for good", payout_txid]
    {
        assert!(story.contains(wanted), "{wanted} is not in:\n{story}");
    }
    assert!(story.contains("\nIt is done: paid out for good."), "{story}");
    let told: Value = serde_json::from_str(&desk.command(&["why", &id, "--json"]).await?)?;
    let steps = told["steps"].as_array().context("steps")?.clone();

    let replayed = json_lines(&desk.command(&["replay", &id, "--json"]).await?)?;
    assert_eq!(kinds(&replayed), kinds(&steps), "an event, a sentence");
    assert!(replayed.iter().all(|line| line["command"].is_string()), "the log has every command");
    let last = replayed.last().context("events")?;
    assert_eq!(last["after"]["stage"]["done"], "paid");

    let operator = OperatorApi::of(&desk)?;
    for line in &replayed {
        let version = &line["version"];
        let shown = operator.get(&format!("/deposits/{id}/state?version={version}")).await?;
        assert_eq!(shown["state"], line["after"], "the operator's API and the command line agree at {version}");
    }

    let (stopped, _) = desk.terminate().await?;
    ensure!(stopped.success(), "the desk ended with {stopped}");
    let before = log_files(&desk.data_dir())?;
    assert_eq!(desk.command(&["why", &id]).await?, story, "the same without the desk");
    let stream = format!("deposit/{id}");
    let differences = json_lines(&desk.command(&["replay", &stream, "--diff", "--to", "2", "--json"]).await?)?;
    assert_eq!((kinds(&differences[..2]), differences.len()), (kinds(&replayed[..2]), 3));
    assert_eq!(differences[2]["state"], replayed[1]["after"]);
    assert_eq!(log_files(&desk.data_dir())?, before, "nothing was written");
    assert_eq!(before.keys().collect::<Vec<_>>(), ["log.db"]);

    let elsewhere = tempfile::tempdir()?;
    let copy = elsewhere.path().join("copy of a log.db");
    fs::copy(desk.data_dir().join("log.db"), &copy)?;
    let copy = copy.to_str().context("a path of text")?;
    assert_eq!(said(&["why", &id, "--log", copy]).await?, (Some(0), story, String::new()));
    for stream in ["address_book", "chain/btc", "wallet/sky"] {
        let (code, out, _) = said(&["replay", stream, "--log", copy, "--diff"]).await?;
        assert_eq!((code, out.starts_with("#1  ")), (Some(0), true), "{stream}: {out}");
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_told_is_an_error_with_its_place() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let target = fresh_target(72);
    desk.pay(&desk.bind(&target).await?, "0.05").await?;
    desk.settled(&target, 1).await?;
    let id = id_of(&desk).await?;
    desk.terminate().await?;
    tampering::rename(&desk.data_dir(), &format!("deposit/{id}"), "Sent", "Beamed")?;
    let log = desk.data_dir().join("log.db");
    let log = log.to_str().context("a path of text")?;

    let (code, told, error) = said(&["why", &id, "--log", log]).await?;
    assert_eq!(code, Some(1));
    assert!(told.contains("was signed as transaction") && error.contains("\"Beamed\" is unknown"), "{told}{error}");
    let (code, replayed, error) = said(&["replay", &id, "--json", "--log", log]).await?;
    assert_eq!(code, Some(1));
    assert_eq!(json_lines(&replayed)?.last().context("events")?["kind"], "PayoutSigned");
    assert!(error.contains(&format!("deposit/{id}#")) && error.contains("\"Beamed\" is unknown"), "{error}");

    let unknown = "0199d6c1-3f0e-7aa2-9d51-7c1f0e6b2a44";
    for (arguments, expected) in [
        (["why", unknown, "--log", log], "there is no such deposit"),
        (["replay", unknown, "--log", log], "there is no stream deposit/"),
        (["replay", "desk", "--log", "/nowhere/log.db"], "/nowhere/log.db: "),
        (["why", unknown, "--log", "/dev/null"], "/dev/null"),
    ] {
        let (code, _, error) = said(&arguments).await?;
        assert_eq!((code, error.starts_with("error: ")), (Some(1), true), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    Ok(())
}

/// The id of the one deposit there is.
async fn id_of(desk: &Desk) -> Result<String> {
    let deposits = json_lines(&desk.command(&["deposits", "--json"]).await?)?;
    ensure!(deposits.len() == 1, "{deposits:?}");
    deposits[0]["id"].as_str().map(str::to_owned).context("an id")
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["kind"].as_str()).collect()
}
