//! `millrace rebuild` with the real program: while deposits come in, where no desk runs, cut off by a kill, and at a start on
//! projections of another version.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_tests::desk::{Desk, fresh_target, program};
use millrace_tests::drawn_log::draw;
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(60);
/// How many deposits come in while everything is made anew.
const DEPOSITS: usize = 8;
/// More than are written at once.
const EVENTS: u64 = 80_000;

/// Looks at the customer's page again and again; what was shown once is shown ever after.
async fn watch(desk: &Desk, target: &str) -> Result<()> {
    let mut before = 1;
    loop {
        let customer: Value = desk.get(&format!("/api/v1/customers/{target}")).await?;
        let shown = customer["deposits"].as_array().context("a list")?.len();
        ensure!(shown >= before && customer["addresses"].as_array().is_some_and(|all| !all.is_empty()), "{customer}");
        before = shown;
        if shown > DEPOSITS {
            return Ok(());
        }
    }
}

async fn load(desk: &Desk, address: &str) -> Result<()> {
    for _ in 0..DEPOSITS {
        desk.pay(address, "0.01").await?;
    }
    Ok(())
}

async fn rebuild(desk: &Desk) -> Result<()> {
    for names in [["--all"].as_slice(), &["ledger", "deposits"], &["--all"]] {
        let said = desk.command(&[&["rebuild"], names].concat()).await?;
        ensure!(said.contains("deposits: made anew, up to position "), "{said}");
    }
    Ok(())
}

async fn verified(desk: &Desk) -> Result<()> {
    let said = desk.command(&["rebuild", "--all", "--verify"]).await?;
    ensure!(said.starts_with("deposits, addresses, ledger, statistics: as the log has it, up to position "), "{said}");
    Ok(())
}

fn views(desk: &Desk) -> Result<Connection> {
    Ok(Connection::open(desk.data_dir().join("views.db"))?)
}

#[tokio::test]
async fn projections_are_made_anew_under_load_and_nobody_sees_an_empty_page() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let target = fresh_target(71);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.05").await?;
    desk.settled(&target, 1).await?;
    tokio::try_join!(watch(&desk, &target), load(&desk, &address), rebuild(&desk))?;
    desk.settled(&target, DEPOSITS + 1).await?;
    verified(&desk).await?;

    // Where no desk runs, it is done by the command itself, and what differs is named.
    desk.terminate().await?;
    verified(&desk).await?;
    let row = "UPDATE deposits SET body = replace(body, '\"outcome\":\"paid\"', '\"outcome\":\"lost\"') WHERE seq =
               (SELECT min(seq) FROM deposits)";
    ensure!(views(&desk)?.execute(row, [])? == 1, "there are deposits");
    let said = desk.failing_command(&["rebuild", "--all", "--verify"]).await?;
    ensure!(said.contains(": body.outcome is \"lost\", and made anew it is \"paid\""), "{said}");
    let said = desk.command(&["rebuild", "deposits"]).await?;
    ensure!(said.starts_with("deposits: made anew, up to position "), "{said}");
    verified(&desk).await?;

    // Another version is made anew at the start, and what it had is shown until then.
    views(&desk)?.execute("UPDATE projections SET version = 0", [])?;
    desk.start_again()?;
    desk.ready().await?;
    let customer = desk.get(&format!("/api/v1/customers/{target}")).await?;
    ensure!(customer["deposits"].as_array().is_some_and(|all| all.len() == DEPOSITS + 1), "{customer}");
    desk.until(WITHIN, "all projections are of this version", async || {
        let projections = views(&desk)?
            .query_row("SELECT count(*) FROM projections WHERE version > 0", [], |row| row.get::<_, u64>(0))?;
        Ok((projections == 4).then_some(()))
    })
    .await?;
    verified(&desk).await
}

/// A data folder with a log and nothing else.
struct Folder(tempfile::TempDir);

impl Folder {
    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn millrace(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program()?);
        command.args(arguments).env("MILLRACE_DESK__DATA_DIR", self.data()).stdin(Stdio::null());
        Ok(command)
    }

    fn said(&self, arguments: &[&str]) -> Result<String> {
        let output = self.millrace(arguments)?.output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// How far the deposits are that are being made.
    fn made(&self) -> Option<u64> {
        let views = Connection::open(self.data().join("views.db")).ok()?;
        let sql = "SELECT position FROM projections WHERE name = 'deposits' AND place = 'next'";
        views.query_row(sql, [], |row| row.get(0)).optional().ok()?
    }
}

/// Kills it once a part of the rows is written.
fn killed_on_the_way(folder: &Folder, mut process: Child) -> Result<u64> {
    let made = loop {
        if let Some(made) = folder.made().filter(|made| *made > 0) {
            break made;
        }
        ensure!(process.try_wait()?.is_none(), "it was faster than anybody could look");
    };
    process.kill()?;
    process.wait()?;
    Ok(made)
}

#[test]
fn what_a_kill_cut_off_is_gone_on_with() -> Result<()> {
    let folder = Folder(tempfile::tempdir()?);
    std::fs::create_dir(folder.data())?;
    let log: &Path = &folder.data().join("log.db");
    draw(log, EVENTS, 3)?;
    let process = folder.millrace(&["rebuild", "--all"])?.stderr(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let made = killed_on_the_way(&folder, process)?;
    ensure!(folder.made() == Some(made), "what was written is there");
    // Of what was written already nothing is made again.
    let views = Connection::open(folder.data().join("views.db"))?;
    let change =
        "UPDATE deposits_next SET address = 'kept ' || address WHERE seq = (SELECT min(seq) FROM deposits_next)";
    ensure!(views.execute(change, [])? == 1, "there are deposits");
    ensure!(folder.said(&["rebuild", "--all"])?.contains("deposits, addresses, ledger, statistics: made anew"));
    let back = "UPDATE deposits SET address = substr(address, 6) WHERE address LIKE 'kept %'";
    ensure!(views.execute(back, [])? == 1, "it was made from the beginning");
    ensure!(folder.said(&["rebuild", "--all", "--verify"])?.contains("as the log has it, up to position "));
    Ok(())
}
