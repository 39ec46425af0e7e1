//! A customer of the real program is forgotten: his operator's words were never in any file, and afterwards nobody reads them,
//! while the log proves as before.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use rusqlite::Connection;
use serde_json::json;

const SOON: Duration = Duration::from_secs(60);
const HERS: &str = "Quicksilver-Aurelia rang";
const HIS: &str = "Marmaduke-Periwinkle wrote";

/// The files below a folder that hold these bytes. One that goes away meanwhile holds nothing.
fn holding(folder: &Path, bytes: &[u8]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(holding(&path, bytes)?);
        } else if fs::read(&path).is_ok_and(|content| content.windows(bytes.len()).any(|window| window == bytes)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Pays for a customer of whom an operator says something; the deposit's id.
async fn held(desk: &Desk, target: &str, note: &str) -> Result<String> {
    desk.pay(&desk.bind(target).await?, "0.05").await?;
    let path = format!("/api/v1/customers/{target}");
    let id = desk
        .until(SOON, "a deposit waits to be paid out", async || {
            let Ok(customer) = desk.get(&path).await else { return Ok(None) };
            let deposit = &customer["deposits"][0];
            Ok((deposit["status"] == "wait_send").then(|| deposit["id"].as_str().unwrap_or_default().to_owned()))
        })
        .await?;
    OperatorApi::of(desk)?.post(&format!("/deposits/{id}/hold"), &json!({ "note": note })).await?;
    let shown = desk.get(&path).await?;
    ensure!(!shown.to_string().contains(note), "what operators say is not for customers: {shown}");
    Ok(id)
}

fn secret_of(keys: &Path, target: &str) -> Result<Vec<u8>> {
    let file = Connection::open(keys)?;
    Ok(file.query_row("SELECT secret FROM keys WHERE subject = ?1", [target], |row| row.get(0))?)
}

#[tokio::test]
async fn who_is_forgotten_is_forgotten_everywhere_and_the_log_is_as_it_was() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__SEND_ENABLED", "false")]).await?;
    let (alice, bob) = (fresh_target(81), fresh_target(82));
    let (hers, his) = (held(&desk, &alice, HERS).await?, held(&desk, &bob, HIS).await?);
    let operator = OperatorApi::of(&desk)?;

    // Where people read, it is there; where it is kept, it is not.
    let reason = format!("it was held: an operator asked for it: {HERS}.");
    let story = desk.command(&["why", &hers]).await?;
    ensure!(story.to_lowercase().contains(&reason.to_lowercase()), "{story}");
    ensure!(desk.command(&["replay", &hers]).await?.contains(HERS));
    ensure!(desk.command(&["deposits", "--status", "held"]).await?.contains(HIS));
    ensure!(operator.get("/events?kind=Held").await?.to_string().contains(HIS));
    ensure!(operator.get(&format!("/deposits/{hers}")).await?["deposit"]["reason"] == format!("operator: {HERS}"));
    let (data, elsewhere) = (desk.data_dir(), tempfile::tempdir()?);
    for said in [HERS, HIS] {
        ensure!(holding(&data, said.as_bytes())?.is_empty(), "{:?}", holding(&data, said.as_bytes())?);
        ensure!(!desk.said(said), "it is in the lines of the desk");
    }
    ensure!(!holding(&data, b"sealed:1:")?.is_empty(), "this is how files are searched");

    // Copies from before: of the log, of the keys, and an export.
    let (keys, copy) = (data.join("keys.db"), elsewhere.path().join("log.db"));
    let secret = secret_of(&keys, &alice)?;
    ensure!(holding(&data, &secret)?.iter().eq([&keys]));
    desk.command(&["backup", copy.to_str().context("text")?]).await?;
    let export = elsewhere.path().join("export.jsonl");
    let export_text = export.to_str().context("text")?;
    desk.command(&["export", "--deposit", &hers, "--out", export_text]).await?;
    let told = fs::read_to_string(&export)?;
    ensure!(told.contains("sealed:1:") && !told.contains(HERS));
    let with_keys = elsewhere.path().join("backup of keys.db");
    fs::copy(&keys, &with_keys)?;

    // Not by mistake, then for good, beside the running desk.
    ensure!(desk.command(&["forget", &alice]).await.is_err() && desk.command(&["why", &hers]).await?.contains(HERS));
    let forgotten = desk.command(&["forget", &alice, "--yes"]).await?;
    ensure!(forgotten.starts_with(&format!("{alice} is forgotten: ")), "{forgotten}");
    ensure!(holding(&data, &secret)?.is_empty());
    let story = desk.command(&["why", &hers]).await?;
    ensure!(story.contains("an operator asked for it: (forgotten on 20") && !story.contains(HERS), "{story}");
    let shown = operator.get(&format!("/deposits/{hers}")).await?;
    ensure!(shown.to_string().contains("(forgotten on 20") && !shown.to_string().contains(HERS), "{shown}");
    ensure!(desk.command(&["why", &his]).await?.contains(HIS), "others are not forgotten");

    // The other one by the operator's API.
    let path = format!("/customers/{bob}/forget");
    let (first, again) = (operator.post(&path, &json!({})).await?, operator.post(&path, &json!({})).await?);
    ensure!(first["now"] == true && again["now"] == false && first["at"] == again["at"], "{first} {again}");
    ensure!(operator.post("/customers/nobody/forget", &json!({})).await.is_err());
    ensure!(!desk.command(&["deposits", "--status", "held"]).await?.contains(HIS));

    // The log proves as before, here and in its copies; a copy of the keys would still tell.
    let (stopped, _) = desk.terminate().await?;
    ensure!(stopped.success(), "{stopped}");
    desk.command(&["verify"]).await?;
    desk.command(&["redecide", "--all"]).await?;
    let copy = copy.to_str().context("text")?;
    desk.command(&["verify", "--log", copy]).await?;
    for arguments in [["--log", copy], ["--file", export_text]] {
        let story = desk.command(&[&["why", hers.as_str()], &arguments[..]].concat()).await?;
        ensure!(story.contains("an operator asked for it: (sealed)"), "{story}");
    }
    let with_keys = with_keys.to_str().context("text")?;
    ensure!(desk.command(&["why", &hers, "--log", copy, "--keys", with_keys]).await?.contains(HERS));
    ensure!(holding(&data, HERS.as_bytes())?.is_empty() && holding(&data, &secret)?.is_empty());

    // She comes back: another key.
    desk.start_again()?;
    desk.ready().await?;
    OperatorApi::of(&desk)?.post(&format!("/deposits/{hers}/release"), &json!({ "note": "she is back" })).await?;
    let story = desk.command(&["why", &hers]).await?;
    ensure!(story.contains("It was released: she is back.") && story.contains("(forgotten on 20"), "{story}");
    Ok(())
}

#[tokio::test]
async fn a_desk_without_its_keys_pays_and_says_what_is_missing() -> Result<()> {
    let mut desk = Desk::start(&[]).await?;
    let target = fresh_target(83);
    // Less than the desk deals in, so that it is held.
    desk.pay(&desk.bind(&target).await?, "0.001").await?;
    let operator = OperatorApi::of(&desk)?;
    let id = desk
        .until(SOON, "it is held", async || {
            let held = operator.get("/deposits/held").await?;
            Ok(held["deposits"][0]["id"].as_str().map(str::to_owned))
        })
        .await?;
    operator.post(&format!("/deposits/{id}/refund-due"), &json!({ "note": HERS })).await?;
    desk.terminate().await?;

    // Gone; the desk misses them.
    let keys = desk.data_dir().join("keys.db");
    fs::remove_file(&keys)?;
    desk.start_again()?;
    desk.ready().await?;
    says(&desk, "keys.db is not there").await?;
    ensure!(desk.command(&["why", &id]).await?.contains("are to be paid back: (sealed)."));
    desk.terminate().await?;

    // Damaged: no note is taken, and all else goes on.
    fs::write(&keys, "no database".repeat(1_000))?;
    desk.start_again()?;
    desk.ready().await?;
    says(&desk, "file is not a database").await?;
    let paid = json!({ "note": HIS, "txid": "ab".repeat(32) });
    let refused = OperatorApi::of(&desk)?.post(&format!("/deposits/{id}/refunded"), &paid).await.unwrap_err();
    ensure!(refused.to_string().contains("note_not_sealed"), "{refused}");
    let other = fresh_target(84);
    desk.pay(&desk.bind(&other).await?, "0.05").await?;
    desk.settled(&other, 1).await?;
    Ok(())
}

/// Waits until the health of the part that takes notes says so.
async fn says(desk: &Desk, what: &str) -> Result<()> {
    desk.until(SOON, what, async || {
        let part = OperatorApi::of(desk)?.part("operations").await?;
        Ok(part["conditions"].to_string().contains(what).then_some(()))
    })
    .await
}
