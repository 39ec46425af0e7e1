//! Who delivers and who receives: an engine on two threads in this process or one of its own, and the receivers' process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use millrace_actors::clock::SystemClock;
use millrace_actors::delivery::address::Reach;
use millrace_actors::delivery::attempts::Limits;
use millrace_actors::delivery::endpoint::{Content, Endpoint, Filter, Service};
use millrace_actors::delivery::engine::{self, Command as Told, Settings};
use millrace_actors::delivery::sinks::Sinks;
use millrace_actors::delivery::sinks::destination::Destination;
use millrace_protocols::delivery::endpoint::Order;
use millrace_protocols::delivery::policy::Schedule;
use millrace_protocols::delivery::scheduler::Terms;
use millrace_protocols::webhook::secret::HmacSecret;
use millrace_protocols::webhook::sign::{Key, Signer};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::super::http::Connection;
use super::receiver::Stats;
use super::source::MadeUp;

/// The first argument of the receivers' process.
pub(super) const RECEIVER: &str = "--receiver";
/// The first argument of an engine that is a process of its own.
pub(super) const SENDER: &str = "--sender";

/// How long one is waited for that begins.
const BEGINS_WITHIN: Duration = Duration::from_secs(30);

/// The receivers.
pub(super) struct Receivers {
    process: Child,
    pub(super) address: SocketAddr,
}

impl Drop for Receivers {
    fn drop(&mut self) {
        // One that is gone already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Receivers {
    /// `program` is the benchmarks'.
    pub(super) fn start(program: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        let mut process = command.arg(RECEIVER).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("it is piped")?).read_line(&mut line)?;
        let address = line.trim().parse().with_context(|| format!("the receivers say {line:?}"))?;
        Ok(Self { process, address })
    }

    pub(super) async fn stats(&self) -> anyhow::Result<Stats> {
        let answer = Connection::open(self.address).await?.get("/stats").await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    pub(super) async fn reset(&self) -> anyhow::Result<()> {
        Connection::open(self.address).await?.get("/reset").await?.ok()
    }

    /// How often each notification came to each endpoint.
    pub(super) async fn counts(&self) -> anyhow::Result<Vec<(u64, u64, u32)>> {
        let answer = Connection::open(self.address).await?.get("/counts").await?;
        let line = |line: &str| {
            let mut numbers = line.split(' ');
            let mut number = || numbers.next().context("three numbers a line");
            anyhow::Ok((number()?.parse()?, number()?.parse()?, number()?.parse()?))
        };
        std::str::from_utf8(&answer.body)?.lines().map(line).collect()
    }

    /// Waits until so many came.
    pub(super) async fn until(&self, count: u64, within: Duration) -> anyhow::Result<Stats> {
        let until = Instant::now() + within;
        loop {
            let stats = self.stats().await?;
            if stats.count >= count {
                return Ok(stats);
            }
            ensure!(Instant::now() < until, "{} of {count} notifications came", stats.count);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What signs in all benchmarks.
pub(super) fn signer() -> Signer {
    let secret = HmacSecret::new(vec![7; 32]).expect("32 bytes are a secret");
    Signer::new(&[Key::Symmetric(secret)], None).expect("one key is allowed")
}

/// The endpoint with a number, whose path is what it does.
pub(super) fn endpoint(receivers: SocketAddr, does: &str, number: u64) -> Endpoint {
    let url = format!("http://{receivers}/{does}/{number}");
    Endpoint {
        id: Uuid::from_u128(number.into()),
        destination: Destination::parse(&url, Reach::Sandbox).expect("it is an address of this machine"),
        signer: signer(),
        terms: Terms { schedule: Schedule::standard(), order: Order::Free, rate: None },
        filter: Filter::default(),
        content: Content::Json,
        service: Service::Running,
        begins_after: 0,
        told: Default::default(),
    }
}

/// Two threads, as many as the machine has processors.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// An engine that delivers until it is dropped.
pub(super) struct Engine {
    commands: mpsc::Sender<Told>,
    running: JoinSet<anyhow::Result<()>>,
}

impl Engine {
    pub(super) async fn start(
        folder: &Path,
        source: Arc<MadeUp>,
        endpoints: impl IntoIterator<Item = Endpoint>,
    ) -> anyhow::Result<Self> {
        let settings = Settings {
            path: folder.join("attempts.db"),
            limits: Limits { kept: Duration::from_secs(86_400), bytes_max: 1 << 40 },
            trouble: watch::Sender::default(),
            sinks: Sinks::webhooks(Reach::Sandbox),
            source,
            clock: Arc::new(SystemClock),
            figures: Arc::default(),
            log_head: u64::MAX,
        };
        let (commands, received) = mpsc::channel(64);
        let (notices, mut heard) = mpsc::channel(64);
        let mut running = JoinSet::new();
        running.spawn(async move { Ok(engine::run(settings, received, notices).await?) });
        running.spawn(async move {
            let disabled = heard.recv().await;
            ensure!(disabled.is_none(), "an endpoint was disabled: {disabled:?}");
            Ok(())
        });
        for endpoint in endpoints {
            commands.send(Told::Put(Box::new(endpoint))).await?;
        }
        Ok(Self { commands, running })
    }

    /// Ends in order.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.commands);
        while let Some(ended) = self.running.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Delivers for as long as nothing goes wrong.
    async fn go_on(mut self) -> anyhow::Result<()> {
        let ended = self.running.join_next().await.context("it runs")?;
        ended?.context("the engine ended")
    }
}

/// An engine as a process of its own, to be killed.
pub(super) struct Sender {
    process: Child,
}

impl Sender {
    /// Delivers so many notifications to so many endpoints; `program` is the benchmarks'.
    pub(super) fn start(
        program: &Path,
        folder: &Path,
        receivers: SocketAddr,
        endpoints: u64,
        count: u64,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg(SENDER).arg(folder).args([receivers.to_string(), endpoints.to_string(), count.to_string()]);
        Ok(Self { process: command.spawn()? })
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// With `kill -9`.
    pub(super) fn kill(mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

/// What such a process does: delivers so many notifications to so many endpoints, and then nothing.
pub(super) fn send(arguments: &[String]) -> anyhow::Result<()> {
    let [folder, receivers, endpoints, count] = arguments else { anyhow::bail!("four arguments") };
    let (receivers, endpoints, count) = (receivers.parse()?, endpoints.parse::<u64>()?, count.parse()?);
    runtime()?.block_on(async {
        let endpoints = (1..=endpoints).map(|number| endpoint(receivers, "e", number));
        let source = MadeUp::of(count);
        Engine::start(Path::new(folder), source, endpoints).await?.go_on().await
    })
}

/// Waits until an engine that begins has delivered something.
pub(super) async fn first_arrival(receivers: &Receivers) -> anyhow::Result<Stats> {
    receivers.until(1, BEGINS_WITHIN).await
}
