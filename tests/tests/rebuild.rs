//! `millrace rebuild` with the real program: while deposits come in, where no desk runs, cut off by a kill, and at a start on
//! projections of another version; by a desk whose core is killed meanwhile.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_actors::projection::Projection;
use millrace_actors::stations::overview_at;
use millrace_tests::desk::{Desk, fresh_target, program, signal};
use millrace_tests::drawn_log::draw;
use millrace_tests::operator::OperatorApi;
use millrace_tests::peers::http_client;
use millrace_tests::process;
use reqwest::Response;
use rusqlite::{Connection, OptionalExtension};
use serde_json::{Value, json};
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_secs(120);
/// How many deposits come in while everything is made anew.
const DEPOSITS: usize = 8;
/// More than are written at once.
const EVENTS: u64 = 80_000;
const DEPOSITS_PAGE: &str = "/deposits?limit=100";

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

/// A customer's live stream, as his page has it.
struct Live {
    response: Response,
    read: String,
    shown: usize,
}

impl Live {
    async fn open(desk: &Desk, target: &str) -> Result<Self> {
        let url = format!("{}/api/v1/customers/{target}/live", desk.page());
        let response = http_client().get(url).send().await?.error_for_status()?;
        Ok(Self { response, read: String::new(), shown: 0 })
    }

    /// Reads on until so many deposits are shown; never are there fewer than before.
    async fn until_shown(&mut self, deposits: usize) -> Result<()> {
        while self.shown < deposits {
            let Some((event, rest)) = self.read.split_once("\n\n") else {
                let chunk = timeout(WITHIN, self.response.chunk()).await??.context("the stream ended")?;
                self.read.push_str(std::str::from_utf8(&chunk)?);
                continue;
            };
            if let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) {
                let customer: Value = serde_json::from_str(data)?;
                let shown = customer["deposits"].as_array().context("a list")?.len();
                ensure!(shown >= self.shown, "{} were shown before {customer}", self.shown);
                self.shown = shown;
            }
            self.read = rest.to_owned();
        }
        Ok(())
    }
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
    ensure!(
        said.starts_with(
            "deposits, addresses, ledger, statistics, notifications, pace, names: as the log has it, up to position "
        ),
        "{said}"
    );
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
    let mut live = Live::open(&desk, &target).await?;
    live.until_shown(1).await?;
    tokio::try_join!(watch(&desk, &target), load(&desk, &address), rebuild(&desk))?;
    desk.settled(&target, DEPOSITS + 1).await?;
    // What was open all the while shows what comes after the last of the tables was put in place.
    desk.pay(&address, "0.01").await?;
    live.until_shown(DEPOSITS + 2).await?;
    drop(live);
    desk.settled(&target, DEPOSITS + 2).await?;
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
    ensure!(customer["deposits"].as_array().is_some_and(|all| all.len() == DEPOSITS + 2), "{customer}");
    desk.until(WITHIN, "all projections are of this version", async || {
        let sql = "SELECT count(*) FROM projections WHERE place = 'live' AND version > 0";
        let projections: u64 = views(&desk)?.query_row(sql, [], |row| row.get(0))?;
        Ok((projections == Projection::ALL.len() as u64).then_some(()))
    })
    .await?;
    verified(&desk).await
}

/// How often each projection was made, once none is being made.
async fn generations(operator: &OperatorApi) -> Result<Option<Vec<u64>>> {
    let page = operator.get("/projections").await?;
    let rows = page["projections"].as_array().context("projections")?;
    let is_done = rows.iter().all(|row| row["rebuild"].is_null() && row["position"].as_u64() >= Some(EVENTS));
    Ok(is_done.then(|| rows.iter().filter_map(|row| row["generation"].as_u64()).collect()))
}

/// What people look at while the core comes and goes.
struct Pages {
    desk: Desk,
    operator: OperatorApi,
    customer: String,
    shown: [Vec<Value>; 2],
}

impl Pages {
    async fn of(desk: Desk) -> Result<Self> {
        let operator = OperatorApi::of(&desk)?;
        let listed = operator.get(DEPOSITS_PAGE).await?;
        let target = listed["deposits"][50]["target"].as_str().context("a customer")?;
        let customer = format!("/api/v1/customers/{target}");
        let shown = [ids(&desk.get(&customer).await?)?, ids(&listed)?];
        ensure!(!shown[0].is_empty() && shown[1].len() == 100, "{shown:?}");
        Ok(Self { desk, operator, customer, shown })
    }

    /// They show the deposits they showed, or say that there is no core at the moment.
    async fn look(&self) -> Result<()> {
        let looks = [self.desk.get(&self.customer).await, self.operator.get(DEPOSITS_PAGE).await];
        for (look, before) in looks.into_iter().zip(&self.shown) {
            match look {
                Ok(page) => ensure!(ids(&page)? == *before, "{page}"),
                Err(told) => says_that_there_is_no_core(&told)?,
            }
        }
        Ok(())
    }
}

/// The deposits of a page; their states may change.
fn ids(page: &Value) -> Result<Vec<Value>> {
    let deposits = page["deposits"].as_array().context("a list")?;
    Ok(deposits.iter().map(|deposit| deposit["id"].clone()).collect())
}

/// Whoever talks to the core when it is killed is cut off; but there is always somebody to connect to.
fn says_that_there_is_no_core(told: &anyhow::Error) -> Result<()> {
    if told.downcast_ref::<reqwest::Error>().is_some_and(|cut_off| !cut_off.is_connect() && !cut_off.is_timeout()) {
        return Ok(());
    }
    let told = format!("{told:#}");
    ensure!(
        told.contains("503") && ["\"starting\"", "\"restarting\""].iter().any(|code| told.contains(code)),
        "{told}"
    );
    Ok(())
}

#[tokio::test]
async fn what_the_end_of_a_core_cut_off_the_next_one_goes_on_with_behind_pages_that_stay() -> Result<()> {
    let desk = Desk::start_on(&[], |data| draw(&data.join("log.db"), EVENTS, 4)).await?;
    let operator = OperatorApi::of(&desk)?;
    let before = desk.until(WITHIN, "the log is shown", async || generations(&operator).await).await?;
    let pages = Pages::of(desk).await?;
    let (desk, data) = (&pages.desk, pages.desk.data_dir());

    operator.post("/projections/all/rebuild", &json!({})).await?;
    let written = desk.until(WITHIN, "a part of the rows is written", async || {
        pages.look().await?;
        Ok(made(&data).filter(|made| *made > 0))
    });
    let written = written.await?;
    ensure!(written < EVENTS, "there is more to come");
    let core = desk.core()?;
    signal("KILL", core)?;
    process::wait_for_end(core)?;
    ensure!(made(&data) >= Some(written), "it was put in place before the core ended");
    let after = desk.until(WITHIN, "it was put in place", async || {
        pages.look().await?;
        if let Some(made) = made(&data) {
            ensure!(made >= written, "it began anew: {made} after {written}");
            return Ok(None);
        }
        Ok(generations(&operator).await.ok().flatten().filter(|now| *now != before))
    });
    let once_more: Vec<_> = before.iter().map(|generation| generation + 1).collect();
    assert_eq!(after.await?, once_more);
    pages.look().await?;
    is_prepared_for_a_look_at_its_past(desk, &operator).await?;
    verified(desk).await
}

/// Nobody looked yet, and what is found from the station is what a fold of everything comes to.
async fn is_prepared_for_a_look_at_its_past(desk: &Desk, operator: &OperatorApi) -> Result<()> {
    let station = desk.data_dir().join("stations/65536.station");
    desk.until(WITHIN, "a station is made", async || Ok(station.exists().then_some(()))).await?;
    let then = operator.get("/overview?position=70000&limit=1").await?;
    let expected = overview_at(&desk.log()?, None, 70_000)?;
    let counted = ["position", "open", "addresses"].map(|name| then[name].as_u64());
    assert_eq!(counted, [Some(70_000), Some(expected.open.len() as u64), Some(expected.addresses)], "{then}");
    let (first, _) = expected.open.first_key_value().context("some are open")?;
    assert_eq!((&then["open_deposits"][0]["id"], &then["next"]), (&json!(first), &json!(first)));
    Ok(())
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

    fn made(&self) -> Option<u64> {
        made(&self.data())
    }
}

/// How far the deposits are that are being made.
fn made(data: &Path) -> Option<u64> {
    let views = Connection::open(data.join("views.db")).ok()?;
    let sql = "SELECT position FROM projections WHERE name = 'deposits' AND place = 'next'";
    views.query_row(sql, [], |row| row.get(0)).optional().ok()?
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
    ensure!(
        folder
            .said(&["rebuild", "--all"])?
            .contains("deposits, addresses, ledger, statistics, notifications, pace, names: made anew")
    );
    let back = "UPDATE deposits SET address = substr(address, 6) WHERE address LIKE 'kept %'";
    ensure!(views.execute(back, [])? == 1, "it was made from the beginning");
    ensure!(folder.said(&["rebuild", "--all", "--verify"])?.contains("as the log has it, up to position "));
    Ok(())
}
