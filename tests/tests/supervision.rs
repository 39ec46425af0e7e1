//! The desk while what it needs is dead: it answers, says what is dead and why, heals by itself when that comes back, and
//! ends in time whatever state it is in.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use millrace_daemon::sandbox::info::Info;
use millrace_daemon::sandbox::process::{self, Config, Elsewhere, Ports, Running};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use millrace_tests::ports::OwnPorts;
use millrace_tests::world::{payers, settings_of};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpSocket;

/// The back-off of what failed again and again is at most half a minute.
const HEALED_WITHIN: Duration = Duration::from_secs(50);
/// How soon the health says what is dead, on a machine that is four times as busy as it should be: two seconds else.
const SAID_WITHIN: Duration = Duration::from_secs(8);
/// How long the desk may take to end, open streams included.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// O9: everything dead, and back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_everything_dead_the_desk_answers_and_heals_when_it_comes_back() -> Result<()> {
    let outside = Outside::new().await?;
    let dead = outside.dead()?;
    let desk = outside.desk(|data| Ok(std::fs::create_dir(data.join("log.db"))?)).await?;
    let target = fresh_target(21);

    let operator = OperatorApi::of(&desk)?;
    let store = operator.until(&desk, "event_store", |part| part["state"] == "backing_off").await?;
    assert!(store["last_error"]["text"].as_str().is_some_and(|text| text.contains("log.db")), "{store}");
    for waiting in ["followers", "operations", "projection", "binder", "scanner", "decider", "sender", "buyer"] {
        let part = operator.until(&desk, waiting, |part| part["state"] == "waiting").await?;
        assert_eq!((&part["why"], &part["conditions"]), (&json!("waits for event_store"), &json!([])), "one cause");
    }
    let told = Instant::now();
    let refused = operator.post("/switches/sends", &json!({"setting": "off", "note": "n"})).await.expect_err("no log");
    assert!(refused.to_string().contains("desk_unavailable") && told.elapsed() < Duration::from_secs(2), "{refused}");
    let health = desk.get("/api/health").await?;
    assert_eq!(health["status"], "DEGRADED");
    assert!(health["parts"].as_array().is_some_and(|parts| parts.iter().any(|part| part["name"] == "event_store")));
    assert_eq!(operator.probe("/livez").await?.0, StatusCode::OK);
    let (status, text) = operator.probe("/readyz").await?;
    assert_eq!((status, text.contains("the log is not open")), (StatusCode::SERVICE_UNAVAILABLE, true), "{text}");
    let (status, page) = look(&desk, "/").await?;
    assert_eq!((status, page.contains("Your Skycoin address")), (StatusCode::OK, true), "{page}");
    let refused = desk.bind(&target).await.expect_err("nothing can be given out").to_string();
    assert!(refused.contains("desk_unavailable"), "{refused}");
    assert_eq!(look(&desk, &format!("/api/v1/customers/{target}")).await?.0, StatusCode::SERVICE_UNAVAILABLE);

    std::fs::rename(desk.data_dir().join("log.db"), desk.data_dir().join("in-the-way"))?;
    drop(dead);
    let sandbox = outside.alive().await?;
    operator.until(&desk, "event_store", |part| part["state"] == "running").await?;
    let address = desk.bind(&target).await?;
    pay(&sandbox, &address)?;
    desk.settled(&target, 1).await?;
    assert_eq!(paid(&sandbox, &target)?, 1);
    assert_eq!(operator.probe("/readyz").await?.0, StatusCode::OK);
    outside.declare_openings(&desk, &operator).await?;
    operator.until_well(&desk).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_paid_while_the_nodes_were_dead_is_found_when_they_come_back() -> Result<()> {
    let outside = Outside::new().await?;
    let dead = outside.dead()?;
    let desk = outside.desk(|_| Ok(())).await?;
    let operator = OperatorApi::of(&desk)?;
    let target = fresh_target(22);
    let address = desk.bind(&target).await?;
    let refused = |kind: &'static str| {
        move |part: &Value| conditions(part)[kind].as_str().is_some_and(|text| text.contains("refused"))
    };
    operator.until(&desk, "scanner", refused("bitcoin_node")).await?;
    assert_eq!(operator.probe("/readyz").await?.0, StatusCode::OK, "a dead node does not make the desk useless");

    // Out of the desk's sight, the customer pays and the payment is buried below the tip.
    let elsewhere = outside.elsewhere().await?;
    pay(&elsewhere, &address)?;
    elsewhere.servers.bitcoin.mine(5)?;
    elsewhere.stop().await;
    drop(dead);
    let sandbox = outside.alive().await?;
    desk.settled(&target, 1).await?;
    assert_eq!(paid(&sandbox, &target)?, 1);
    outside.declare_openings(&desk, &operator).await?;
    operator.until_well(&desk).await
}

/// O9: the nodes and the exchange die in the middle of a purchase's life, and come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_and_exchange_that_die_are_named_at_once_and_the_purchase_goes_on_when_they_are_back() -> Result<()> {
    let outside = Outside::new().await?;
    let sandbox = outside.alive().await?;
    let desk = outside.desk_with(&[("MILLRACE_DESK__METHOD", "passthrough")], |_| Ok(())).await?;
    let operator = OperatorApi::of(&desk)?;
    outside.declare_openings(&desk, &operator).await?;
    operator.until_well(&desk).await?;
    let target = fresh_target(26);
    pay(&sandbox, &desk.bind(&target).await?)?;
    sandbox.stop().await;
    let (died, dead) = (Instant::now(), outside.dead()?);
    for (part, kind) in [("scanner", "bitcoin_node"), ("stock", "skycoin_node"), ("market", "c2cx")] {
        operator.until(&desk, part, |part| conditions(part)[kind].is_string()).await?;
    }
    assert_eq!(desk.get("/api/health").await?["status"], "DEGRADED");
    assert!(died.elapsed() < SAID_WITHIN, "it took {:?}", died.elapsed());
    assert_eq!(look(&desk, "/").await?.0, StatusCode::OK, "the page is up");

    drop(dead);
    let sandbox = outside.alive().await?;
    desk.settled(&target, 1).await?;
    assert_eq!(paid(&sandbox, &target)?, 1);
    operator.until_well(&desk).await
}

/// O4: what is no log is left as it is and named, the page is up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_log_is_named_and_the_desk_goes_on_once_it_is_gone() -> Result<()> {
    let outside = Outside::new().await?;
    let sandbox = outside.alive().await?;
    let rubbish = |data: &Path| Ok(std::fs::write(data.join("log.db"), "no database at all\n".repeat(1_000))?);
    let mut desk = outside.desk(rubbish).await?;
    let operator = OperatorApi::of(&desk)?;
    let store = operator.until(&desk, "event_store", |part| part["state"] == "backing_off").await?;
    assert!(store["last_error"]["text"].as_str().is_some_and(|text| text.contains("not a database")), "{store}");
    let rubbish = std::fs::read(desk.data_dir().join("log.db"))?;
    assert!(rubbish.starts_with(b"no database at all"), "what it cannot read it leaves as it is");

    std::fs::rename(desk.data_dir().join("log.db"), desk.data_dir().join("rubbish"))?;
    operator.post("/parts/event_store/start", &json!({})).await?;
    let target = fresh_target(23);
    let address = desk.bind(&target).await?;
    pay(&sandbox, &address)?;
    desk.settled(&target, 1).await?;
    assert_eq!(paid(&sandbox, &target)?, 1);
    let (status, took) = desk.terminate().await?;
    assert!(status.success() && took < ENDS_WITHIN, "{status} after {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_is_stopped_started_and_restarted_by_name() -> Result<()> {
    let outside = Outside::new().await?;
    let sandbox = outside.alive().await?;
    let desk = outside.desk(|_| Ok(())).await?;
    let operator = OperatorApi::of(&desk)?;
    outside.declare_openings(&desk, &operator).await?;
    operator.until_well(&desk).await?;
    let target = fresh_target(24);
    let address = desk.bind(&target).await?;

    let parts = operator.get("/parts").await?;
    let names: Vec<_> =
        parts["parts"].as_array().context("parts")?.iter().filter_map(|part| part["name"].as_str()).collect();
    for name in &names {
        let stopped = operator.post(&format!("/parts/{name}/stop"), &json!({})).await?;
        assert_eq!(stopped["state"], "stopped", "{stopped}");
        let shown = desk.get("/api/health").await?;
        let shown = shown["parts"].as_array().context("parts")?.iter().find(|part| part["name"] == *name).cloned();
        assert_eq!(shown.context("the part is in the health")?["state"], "stopped");
    }
    assert_eq!(operator.probe("/readyz").await?.0, StatusCode::SERVICE_UNAVAILABLE, "without a log there is no desk");
    pay(&sandbox, &address)?;
    for name in &names {
        operator.post(&format!("/parts/{name}/start"), &json!({})).await?;
    }
    desk.settled(&target, 1).await?;
    for name in &names {
        operator.post(&format!("/parts/{name}/restart"), &json!({})).await?;
        operator.until(&desk, name, |part| part["state"] == "running" && part["restarts"].as_u64() >= Some(2)).await?;
    }
    pay(&sandbox, &address)?;
    desk.settled(&target, 2).await?;
    assert_eq!(paid(&sandbox, &target)?, 2);
    assert!(operator.post("/parts/nobody/stop", &json!({})).await.is_err());
    operator.until_well(&desk).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_ends_in_time_with_everything_dead() -> Result<()> {
    let outside = Outside::new().await?;
    let _dead = outside.dead()?;
    let mut desk = outside.desk(|data| Ok(std::fs::create_dir(data.join("log.db"))?)).await?;
    let operator = OperatorApi::of(&desk)?;
    operator.until(&desk, "event_store", |part| part["state"] == "backing_off").await?;
    let (status, took) = desk.terminate().await?;
    assert!(status.success() && took < ENDS_WITHIN, "{status} after {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_ends_in_time_with_streams_open() -> Result<()> {
    let outside = Outside::new().await?;
    let _dead = outside.dead()?;
    let mut desk = outside.desk(|_| Ok(())).await?;
    let target = fresh_target(25);
    desk.bind(&target).await?;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(stream(&desk, &target).await?);
    }
    let (status, took) = desk.terminate().await?;
    assert!(status.success() && took < ENDS_WITHIN, "{status} after {took:?}");
    for mut stream in streams {
        while let Ok(Some(_)) = stream.chunk().await {}
    }
    Ok(())
}

/// An open stream of which something was read.
async fn stream(desk: &Desk, target: &str) -> Result<reqwest::Response> {
    let url = format!("{}/api/v1/customers/{target}/live", desk.page());
    let mut stream = millrace_tests::peers::http_client().get(url).send().await?.error_for_status()?;
    stream.chunk().await?.context("the stream says where the customer stands")?;
    Ok(stream)
}

/// A sandbox that a desk takes for real nodes, and that can be dead.
struct Outside {
    folder: TempDir,
    info: Info,
    /// What lies there at first: where, of which coin, how much.
    openings: [(&'static str, &'static str, String); 3],
    ports: OwnPorts,
}

impl Outside {
    async fn new() -> Result<Self> {
        let (folder, ports) = (tempfile::tempdir()?, OwnPorts::claim()?);
        let first = process::start(payers(&folder.path().join("sandbox"), ports.ports())).await?;
        let info = first.info.clone();
        let (hot_wallet, account) = (first.servers.skycoin.books().hot_wallet, first.servers.venue.books());
        let openings = [
            ("hot_wallet", "SKY", hot_wallet.to_string()),
            ("exchange", "BTC", account.btc.to_string()),
            ("exchange", "SKY", account.sky.to_string()),
        ];
        first.stop().await;
        Ok(Self { folder, info, openings, ports })
    }

    /// What an operator does first: a place is watched from its opening balance on.
    async fn declare_openings(&self, desk: &Desk, operator: &OperatorApi) -> Result<()> {
        for (place, coin, amount) in &self.openings {
            let note = "as counted";
            let opening = json!({ "kind": "opening", "place": place, "coin": coin, "amount": amount, "note": note });
            // A desk that has only just come up says that it did nothing.
            let declared = async || Ok(operator.post("/transfers", &opening).await.ok());
            desk.until(HEALED_WITHIN, "an opening is declared", declared).await?;
        }
        Ok(())
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("sandbox")
    }

    /// Holds its ports so that nobody else gets them; who connects is refused.
    fn dead(&self) -> Result<Vec<TcpSocket>> {
        let urls = [&self.info.control, &self.info.bitcoin.url, &self.info.skycoin.url, &self.info.c2cx.url];
        let held = urls.map(|url| {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(url.trim_start_matches("http://").parse()?)?;
            anyhow::Ok(socket)
        });
        held.into_iter().collect()
    }

    /// The sandbox where the desk looks for it.
    async fn alive(&self) -> Result<Running> {
        let config = payers(&self.dir(), self.ports.ports());
        Ok(process::start(Config { elsewhere: Elsewhere::Refused, ..config }).await?)
    }

    /// The sandbox where the desk does not look for it; the next one is back in its place.
    async fn elsewhere(&self) -> Result<Running> {
        let (ports, aside) = (self.dir().join("ports.json"), self.folder.path().join("ports.json"));
        std::fs::rename(&ports, &aside)?;
        let running = process::start(payers(&self.dir(), Ports::ANY)).await?;
        std::fs::rename(&aside, &ports)?;
        Ok(running)
    }

    async fn desk(&self, prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Desk> {
        self.desk_with(&[], prepare).await
    }

    async fn desk_with(&self, own: &[(&'static str, &str)], prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Desk> {
        let mut settings = settings_of(&self.info);
        settings.push(("MILLRACE_BITCOIN__CONFIRMATIONS", "1".to_owned()));
        let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        settings.extend(own);
        Desk::start_on(&settings, prepare).await
    }
}

/// The customer pays a twentieth of a bitcoin, and it is mined.
fn pay(sandbox: &Running, address: &str) -> Result<()> {
    sandbox.servers.bitcoin.pay(&[(address, "0.05".parse()?)])?;
    sandbox.servers.bitcoin.mine(1)?;
    Ok(())
}

/// How often the Skycoin node's books say that the target was paid.
fn paid(sandbox: &Running, target: &str) -> Result<usize> {
    let target: SkyAddress = target.parse()?;
    Ok(sandbox.servers.skycoin.books().live(&target).count())
}

async fn look(desk: &Desk, path: &str) -> Result<(StatusCode, String)> {
    let response = millrace_tests::peers::http_client().get(format!("{}{path}", desk.page())).send().await?;
    Ok((response.status(), response.text().await?))
}

/// What is wrong with a part, by kind.
fn conditions(part: &Value) -> Value {
    let conditions = part["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().filter_map(|one| Some((one["kind"].as_str()?.to_owned(), one["text"].clone()))).collect()
}

/// Waiting for the health to be as it should.
trait Waiting {
    async fn until(&self, desk: &Desk, name: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value>;
    async fn until_well(&self, desk: &Desk) -> Result<()>;
}

impl Waiting for OperatorApi {
    async fn until(&self, desk: &Desk, name: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        desk.until(HEALED_WITHIN, name, async || Ok(Some(self.part(name).await?).filter(&wanted))).await
    }

    async fn until_well(&self, desk: &Desk) -> Result<()> {
        desk.until(HEALED_WITHIN, "every part is well", async || {
            let health = desk.get("/api/health").await?;
            Ok((health["status"] == "OK").then_some(()))
        })
        .await
    }
}
