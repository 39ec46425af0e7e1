//! A fault of a running desk taken home with the real program: written down beside the desk, stepped through from the file, made
//! a log of, decided again, and shown by a desk in the sandbox that does nothing with it; a real desk does not open it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_tests::command_line::{json_lines, said};
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use millrace_tests::{golden, tampering};

const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_deposit_of_a_running_desk_is_taken_home_and_stepped_through_there() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__METHOD", "passthrough")]).await?;
    let target = fresh_target(73);
    let address = desk.bind(&target).await?;
    let txid = desk.pay(&address, "0.05").await?;
    let small = desk.bind(&fresh_target(74)).await?;
    desk.pay(&small, "0.003").await?;
    desk.settled(&target, 1).await?;
    desk.until(WITHIN, "the small one is held", async || {
        let held = desk.command(&["deposits", "--status", "held", "--json"]).await?;
        Ok((!held.is_empty()).then_some(()))
    })
    .await?;
    let deposits = json_lines(&desk.command(&["deposits", "--json"]).await?)?;
    let deposit = deposits.iter().find(|deposit| deposit["target"] == target.as_str()).context("a deposit")?;
    let id = deposit["id"].as_str().context("an id")?;

    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let [one, redacted, whole, past] = ["one.jsonl", "redacted.jsonl", "desk.jsonl", "past"].map(path);
    desk.command(&["export", "--deposit", id, "--out", &one]).await?;
    desk.command(&["export", "--deposit", id, "--redact", "--out", &redacted]).await?;
    let again = said(&["export", "--deposit", id, "--out", &one]).await?;
    ensure!(again.0 == Some(64) && again.2.contains("exists already"), "{again:?}");

    for command in
        [vec!["replay", id, "--diff"], vec!["replay", id, "--json"], vec!["why", id], vec!["why", id, "--json"]]
    {
        let from_the_log = desk.command(&command).await?;
        let from_the_file = said(&[&command[..], &["--file", &one]].concat()).await?;
        assert_eq!(from_the_file, (Some(0), from_the_log, String::new()), "{command:?}");
    }
    let text = fs::read_to_string(&redacted)?;
    for personal in [target.as_str(), &address, &txid, deposit["payout_txid"].as_str().context("a payout")?] {
        ensure!(fs::read_to_string(&one)?.contains(personal), "{personal} is not in the deposit");
        ensure!(!text.contains(personal), "{personal} is in the redacted deposit");
    }
    let (code, told, _) = said(&["why", id, "--file", &redacted]).await?;
    ensure!(code == Some(0) && told.contains("Decided: passthrough.") && told.contains("It is done"), "{told}");

    let (code, counted, error) = said(&["redecide", "--file", &redacted]).await?;
    ensure!(code == Some(0) && counted.contains(" 0 otherwise,"), "{counted}{error}");
    let redecided = json_lines(&desk.command(&["redecide", "--all", "--json"]).await?)?;
    let [summary] = &redecided[..] else { panic!("{redecided:?}") };
    ensure!(summary["summary"]["deposits"] == 2 && summary["summary"]["different"] == 0, "{summary}");

    let (stopped, _) = desk.terminate().await?;
    ensure!(stopped.success(), "the desk ended with {stopped}");
    desk.command(&["export", "--out", &whole]).await?;
    let imported = said(&["import", &whole, "--into", &past]).await?;
    assert_eq!(imported.0, Some(0), "{imported:?}");
    let log = format!("{past}/log.db");
    assert_eq!(said(&["verify", "--log", &log]).await?.0, Some(0));
    assert_eq!(said(&["why", id, "--log", &log]).await?.1, desk.command(&["why", id]).await?);
    looked_at_in_the_sandbox(&whole, id).await?;
    kept_from_a_real_desk(&whole, folder.path()).await
}

/// The page and the operator's API show what was, and nothing goes out.
async fn looked_at_in_the_sandbox(export: &str, id: &str) -> Result<()> {
    let desk = Desk::start_on(&[], |data| {
        millrace_actors::import::import(export.as_ref(), data)?;
        Ok(())
    })
    .await?;
    let operator = OperatorApi::of(&desk)?;
    let shown = desk
        .until(WITHIN, "the operator sees the deposit", async || {
            Ok(operator.get(&format!("/deposits/{id}")).await.ok())
        })
        .await?;
    assert_eq!((&shown["deposit"]["status"], &shown["deposit"]["reason"]), (&"done".into(), &"paid".into()), "{shown}");
    desk.until(WITHIN, "the desk is halted", async || {
        let switches = operator.get("/switches").await?;
        Ok(switches["halted"].as_str().is_some_and(|why| why.contains("may be a copy")).then_some(()))
    })
    .await?;
    ensure!(desk.log()?.is_imported()?, "it is still marked");
    Ok(())
}

/// A desk with a real network (there is nothing at these addresses) says why it does not use such a log.
async fn kept_from_a_real_desk(export: &str, folder: &std::path::Path) -> Result<()> {
    let addresses = folder.join("addresses.txt");
    fs::write(&addresses, "bcrt1qu27s686mfq0epqs6fwv2zw6qj8p83apckp6s52\n")?;
    let addresses = addresses.to_str().context("a path of text")?;
    let settings = [
        ("MILLRACE_BITCOIN__URL", "http://127.0.0.1:9"),
        ("MILLRACE_BITCOIN__USER", "user"),
        ("MILLRACE_BITCOIN__PASSWORD", "password"),
        ("MILLRACE_BITCOIN__NETWORK", "regtest"),
        ("MILLRACE_BITCOIN__ADDRESS_FILE", addresses),
        ("MILLRACE_SKYCOIN__URL", "http://127.0.0.1:9"),
        ("MILLRACE_SKYCOIN__WALLET_ID", "desk.wlt"),
        ("MILLRACE_DESK__RATE", "500"),
    ];
    let mut desk = Desk::launch(&settings, |data| {
        millrace_actors::import::import(export.as_ref(), data)?;
        Ok(())
    })?;
    desk.up().await?;
    let before = desk.log()?.head()?;
    desk.until(WITHIN, "the desk says that it does not use the log", async || {
        Ok(desk.said("the log is not used: it was imported").then_some(()))
    })
    .await?;
    assert_eq!(desk.log()?.head()?, before, "nothing was added to it");
    Ok(())
}

/// What the commands say, and how they end.
#[tokio::test]
async fn what_is_decided_otherwise_and_what_has_changed_is_said_in_words() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = golden::restore("schema-2", folder.path())?;
    let log = log.to_str().context("a path of text")?;
    let (code, told, error) = said(&["redecide", "--all", "--log", log]).await?;
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let total = "36 commands on 5 deposits: 32 decided the same, 0 otherwise, 4 cannot be decided again\n";
    ensure!(told.starts_with("cannot be decided again: 4 × RecordSightings: ") && told.ends_with(total), "{told}");

    let (code, told, _) = said(&["diff", "--from", "163", "--to", "176", "--log", log]).await?;
    let rows: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().collect()).collect();
    let paid = ["hot_wallet", "SKY", "4000000.000000", "3999973.550000", "-26.450000"];
    let moved = ["01a1ffe3-c928-750e-bf4f-220da07cdac4", "wait_decide", "paid"];
    ensure!(code == Some(0) && rows.iter().any(|row| *row == paid) && rows.iter().any(|row| *row == moved), "{told}");
    let halted = said(&["diff", "--from", "223", "--to", "224", "--log", log]).await?.1;
    ensure!(halted.contains("not halted, then halted by an operator: a look"), "{halted}");
    for (from, to, expected) in [("9999", "9999", 1), ("9", "3", 64), ("yesterday", "9", 64)] {
        assert_eq!(said(&["diff", "--from", from, "--to", to, "--log", log]).await?.0, Some(expected), "{from} {to}");
    }

    let amount = "payload = replace(payload, '61.728000', '61.729000')";
    let change = format!("UPDATE events SET {amount} WHERE kind = 'StatusWaitSend' AND payload LIKE '%61.728000%'");
    tampering::change(folder.path(), &change)?;
    let (code, told, error) = said(&["redecide", "01a1ffe3-d2b9-7473-a131-f7612dbc5f04", "--log", log]).await?;
    assert_eq!((code, error.as_str()), (Some(1), "error: one command is decided otherwise\n"));
    let field = "event 1, field amount: \"61.729000\" recorded, \"61.728000\" decided";
    ensure!(told.contains("#5  position 189  Decide\n") && told.contains(field), "{told}");
    let unknown = "0199d6c1-3f0e-7aa2-9d51-7c1f0e6b2a44";
    for arguments in [vec!["redecide", unknown, "--log", log], vec!["export", "--deposit", unknown, "--log", log]] {
        let (code, _, error) = said(&arguments).await?;
        ensure!(code == Some(1) && error.contains("there is no deposit"), "{arguments:?}: {error}");
    }
    let into = folder.path().join("past").display().to_string();
    let (code, _, error) = said(&["import", log, "--into", &into]).await?;
    ensure!(code == Some(1) && error.starts_with("error: line 1: "), "{error}");
    ensure!(!folder.path().join("past").exists());
    assert_eq!(said(&["redecide"]).await?.0, Some(64), "of what?");
    Ok(())
}
