//! `millrace verify` with the real program: beside a desk that runs, on a copy, on a log that was changed, cut or put back, and
//! on views that show something else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use millrace_actors::event_store::Reader;
use millrace_tests::desk::{Desk, fresh_target};
use rusqlite::Connection;
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(60);

/// Changes one bit of the file, in the payload of the first event of this kind; says where that event is.
fn flip_a_bit(copy: &Path, kind: &str) -> Result<u64> {
    let events = Reader::open(copy)?.after(0, 1_000)?;
    let event = events.iter().find(|recorded| recorded.event.kind() == kind).context("there is one")?;
    // So a row is stored: text after text, a schema of 1 takes no room.
    let stored = format!("{kind}{}", event.event.payload());
    let bytes = fs::read(copy)?;
    let digit = stored.rfind(|letter: char| letter.is_ascii_digit()).context("it has a digit")?;
    let places = bytes.windows(stored.len()).enumerate().filter(|(_, window)| *window == stored.as_bytes());
    // A page that was filled in a hurry may still hold what was moved out of it; nobody reads that.
    for (place, _) in places {
        let mut flipped = bytes.clone();
        flipped[place + digit] ^= 1;
        fs::write(copy, flipped)?;
        if Reader::open(copy)?.range(event.position, event.position)?[0] != *event {
            return Ok(event.position);
        }
    }
    bail!("the event is not found in the file");
}

/// Proves the desk's log again and again, until views and head file are compared at least up to here.
async fn well(desk: &Desk, position: u64) -> Result<()> {
    desk.until(WITHIN, "views and head file are up with the log", async || {
        let report: Value = serde_json::from_str(&desk.command(&["verify", "--json"]).await?)?;
        ensure!(report["well"] == true, "{report}");
        let is_up = |part: &str| report[part]["up_to"].as_u64() >= Some(position);
        Ok((is_up("views") && is_up("head_file")).then_some(()))
    })
    .await
}

/// O4: whatever was changed is found by a command, beside a desk that runs and without one.
#[tokio::test]
async fn a_log_is_proved_while_the_desk_runs_and_whatever_was_changed_is_named() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let folder = tempfile::tempdir()?;
    let [early, late] = ["early.db", "late.db"].map(|name| folder.path().join(name));
    let [early_path, late_path] = [&early, &late].map(|path| path.to_str().unwrap_or_default());
    let target = fresh_target(61);
    let address = desk.bind(&target).await?;
    desk.command(&["backup", early_path]).await?;
    desk.pay(&address, "0.05").await?;
    desk.settled(&target, 1).await?;
    let settled = desk.log()?.head()?;
    well(&desk, settled).await?;
    desk.command(&["backup", late_path]).await?;
    let said = desk.command(&["verify", "--log", late_path]).await?;
    ensure!(said.contains("views      left out: this is a copy") && said.ends_with("as it should be\n"), "{said}");

    let position = flip_a_bit(&late, "StatusWaitSend")?;
    let said = desk.failing_command(&["verify", "--log", late_path]).await?;
    let first = said.lines().next().unwrap_or_default();
    ensure!(first.starts_with(&format!("wrong: position {position}, deposit/")), "{said}");
    ensure!(first.ends_with("StatusWaitSend: it is not what was stored: its hash does not fit"), "{said}");

    // As a power switch leaves it, with a part of the log not in its file yet.
    desk.kill()?;
    well(&desk, settled).await?;
    let views = Connection::open(desk.data_dir().join("views.db"))?;
    let row = "UPDATE deposits SET body = replace(body, '\"outcome\":\"paid\"', '\"outcome\":\"lost\"')";
    ensure!(views.execute(row, [])? == 1, "there is one deposit");
    drop(views);
    let said = desk.failing_command(&["verify"]).await?;
    ensure!(said.contains(": outcome is \"lost\", and by the log it is \"paid\""), "{said}");

    for name in ["log.db-wal", "log.db-shm"] {
        let _ = fs::remove_file(desk.data_dir().join(name));
    }
    fs::copy(&early, desk.data_dir().join("log.db"))?;
    let said = desk.failing_command(&["verify"]).await?;
    ensure!(said.contains("what came after is missing"), "{said}");
    Ok(())
}
