//! An engine that delivers a made-up log, and what its file says of the attempts.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::routing::post;
use futures::future::BoxFuture;
use hyper::body::Bytes;
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::delivery::address::Reach;
use millrace_actors::delivery::attempts::{Attempt, Limits, Reader};
use millrace_actors::delivery::endpoint::{Content, Endpoint, Filter, Outgoing, Service, Told};
use millrace_actors::delivery::engine::{self, Command, Settings};
use millrace_actors::delivery::shelf::{Source, SourceError};
use millrace_actors::delivery::sinks::Sinks;
use millrace_actors::delivery::sinks::broker;
use millrace_actors::delivery::sinks::destination::Kind;
use millrace_protocols::delivery::endpoint::Order;
use millrace_protocols::delivery::policy::Schedule;
use millrace_protocols::delivery::scheduler::Terms;
use millrace_protocols::webhook::secret::HmacSecret;
use millrace_protocols::webhook::sign::{Key, Signer};
use millrace_protocols::webhook::verify::{self, Headers, verify};
use millrace_tests::peers::brokers::Arrived;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

/// How long attempts take to be as they should.
const WITHIN: Duration = Duration::from_secs(90);
/// After so long it is tried again, in milliseconds; and then, until somebody mended it.
const AGAIN_MS: u64 = 1_000;

/// A log that grows when told to.
struct Log {
    head: watch::Sender<u64>,
}

impl Source for Log {
    fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    fn after(&self, position: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Outgoing>, SourceError>> {
        let last = (*self.head.borrow()).min(position.saturating_add(limit as u64));
        let found = (position + 1..=last).map(outgoing).collect();
        Box::pin(std::future::ready(Ok(found)))
    }
}

fn outgoing(position: u64) -> Outgoing {
    let (id, kind) = (Uuid::from_u128(position.into()), Arc::from("Deposit.Confirmed"));
    let body = Bytes::from(format!(r#"{{"Type":"Deposit.Confirmed","Seq":{position}}}"#));
    Outgoing { position, id, key: None, kind, customer: None, about: None, body, recorded_ms: None }
}

fn secret() -> HmacSecret {
    HmacSecret::new(vec![7; 32]).expect("32 bytes are a secret")
}

/// A broker without a user, at a port of this machine.
pub fn broker(kind: Kind, port: u16, password: Option<&str>) -> Result<Sinks> {
    let url = format!("{}://127.0.0.1:{port}", kind.scheme()).parse()?;
    let settings = broker::Settings {
        url,
        user: password.map(|_| "desk".to_owned()),
        password: password.map(str::to_owned),
        authority: None,
    };
    Ok(Sinks::webhooks(Reach::Sandbox).with_broker(kind, settings)?)
}

/// The same, encrypted, and vouched for by nobody but this certificate.
pub fn encrypted_broker(kind: Kind, scheme: &str, port: u16, authority: Option<&str>) -> Result<Sinks> {
    let url = format!("{scheme}://127.0.0.1:{port}").parse()?;
    let settings = broker::Settings { url, user: None, password: None, authority: authority.map(str::to_owned) };
    Ok(Sinks::webhooks(Reach::Sandbox).with_broker(kind, settings)?)
}

/// The engine.
pub struct Rig {
    log: Arc<Log>,
    sinks: Sinks,
    commands: mpsc::Sender<Command>,
    file: PathBuf,
    _folder: tempfile::TempDir,
    _running: JoinSet<Result<()>>,
}

impl Rig {
    /// One that delivers there.
    pub fn start(sinks: Sinks) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (log, file) = (Arc::new(Log { head: watch::Sender::new(0) }), folder.path().join("attempts.db"));
        let settings = Settings {
            path: file.clone(),
            limits: Limits { kept: Duration::from_secs(3_600), bytes_max: 1 << 30 },
            trouble: watch::Sender::default(),
            sinks: sinks.clone(),
            source: Arc::clone(&log) as Arc<dyn Source>,
            clock: Arc::new(SystemClock),
            log_head: u64::MAX,
            figures: Arc::default(),
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
        Ok(Self { log, sinks, commands, file, _folder: folder, _running: running })
    }

    /// Another endpoint, which gets everything from now on.
    pub async fn subscribe(&self, number: u128, address: &str) -> Result<()> {
        let endpoint = Endpoint {
            id: Uuid::from_u128(number),
            destination: self.sinks.parse(address)?,
            signer: Signer::new(&[Key::Symmetric(secret())], None)?,
            terms: Terms { schedule: schedule(), order: Order::Free, rate: None },
            filter: Filter::default(),
            content: Content::Json,
            service: Service::Running,
            begins_after: *self.log.head.borrow(),
            told: Told::default(),
        };
        Ok(self.commands.send(Command::Put(Box::new(endpoint))).await?)
    }

    /// So many more notifications.
    pub fn publish(&self, count: u64) {
        self.log.head.send_modify(|head| *head += count);
    }

    /// Sends one once more.
    pub async fn resend(&self, number: u128, position: u64) -> Result<()> {
        let (endpoint, positions) = (Uuid::from_u128(number), vec![position]);
        let (answer, asked) = oneshot::channel();
        self.commands.send(Command::Resend { endpoint, positions, answer }).await?;
        asked.await.context("the engine answers").map(drop)
    }

    /// The attempts at an endpoint, once they are as wanted.
    pub async fn attempts(&self, number: u128, is_wanted: impl Fn(&[Attempt]) -> bool) -> Result<Vec<Attempt>> {
        let last = Mutex::new(Vec::new());
        let looking = async {
            loop {
                // While the file is being made there is nothing in it.
                let attempts = self.read(number).unwrap_or_default();
                if is_wanted(&attempts) {
                    return attempts;
                }
                *last.lock().unwrap_or_else(PoisonError::into_inner) = attempts;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(WITHIN, looking).await;
        found.with_context(|| format!("these are not as wanted: {last:#?}"))
    }

    fn read(&self, number: u128) -> Result<Vec<Attempt>> {
        if !self.file.is_file() {
            return Ok(Vec::new());
        }
        Ok(Reader::open(&self.file)?.attempts(Uuid::from_u128(number), 0, 1_000_000)?)
    }

    /// Waits until so many were delivered to an endpoint.
    pub async fn delivered(&self, number: u128, count: usize) -> Result<Vec<Attempt>> {
        self.attempts(number, |attempts| of_class(attempts, "delivered").count() == count).await
    }

    /// Waits until an attempt at an endpoint ended so, and says what was said of it.
    pub async fn missed(&self, number: u128, class: &str) -> Result<String> {
        let attempts = self.attempts(number, |attempts| of_class(attempts, class).next().is_some()).await?;
        let attempt = of_class(&attempts, class).next().context("it was just there")?;
        ensure!(attempt.next_ms.is_some(), "it is not made again: {attempt:?}");
        attempt.error.clone().context("nothing is said of it")
    }
}

/// More than enough, and one in so long that an endpoint is not left alone for failing.
fn schedule() -> Schedule {
    Schedule::Doubling { first_ms: AGAIN_MS, cap_ms: 8 * AGAIN_MS, retries: 50 }
}

pub fn of_class<'a>(attempts: &'a [Attempt], class: &str) -> impl Iterator<Item = &'a Attempt> {
    attempts.iter().filter(move |attempt| attempt.class == class)
}

/// Whether each of these positions arrived once, whole and signed.
pub fn check(arrived: &[Arrived], positions: impl Iterator<Item = u64>) -> Result<()> {
    let mut wanted: Vec<_> = positions.map(|position| Uuid::from_u128(position.into()).to_string()).collect();
    let mut ids: Vec<_> = arrived.iter().map(|arrived| arrived.headers["webhook-id"].clone()).collect();
    wanted.sort();
    ids.sort();
    ensure!(ids == wanted, "{ids:?} arrived instead of {wanted:?}");
    let now_s = u64::try_from(SystemClock.now().timestamp())?;
    for Arrived { headers, body, .. } in arrived {
        let said = Headers {
            id: &headers["webhook-id"],
            timestamp: &headers["webhook-timestamp"],
            signature: &headers["webhook-signature"],
        };
        verify(&[verify::Key::Symmetric(secret())], said, body.as_bytes(), now_s)?;
    }
    Ok(())
}

/// A webhook on this machine that takes everything; it serves as long as the tasks live.
pub async fn webhook(tasks: &mut JoinSet<std::io::Result<()>>) -> Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/", post(async || http::StatusCode::NO_CONTENT));
    tasks.spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/"))
}
