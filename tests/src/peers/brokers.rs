//! Brokers that notifications lead to, and stock clients that receive there: Mosquitto and its `mosquitto_sub`, a NATS server and
//! nats-py, RabbitMQ and pika.
//!
//! Each broker begins at the port and in the folder it is given, so that one that was ended begins again where it was.

mod rabbitmq;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::program::Program;
use super::{Missing, folder, or_skip};

pub use rabbitmq::{RabbitMq, RabbitPorts};

/// How long a broker or a client takes to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(30);
/// How long something takes to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);
/// How often what came is looked at.
const POLL: Duration = Duration::from_millis(20);
const MOSQUITTO: &str = "/usr/sbin/mosquitto";
const MOSQUITTO_SUB: &str = "/usr/bin/mosquitto_sub";

/// Whether both programs of Mosquitto are there; `None` when not and nobody requires them.
pub fn mosquitto_installed() -> Option<()> {
    let is_there = [MOSQUITTO, MOSQUITTO_SUB].iter().all(|program| Path::new(program).is_file());
    or_skip(is_there.then_some(()).ok_or(Missing { program: "Mosquitto (Debian)" }))
}

/// Whether the server of NATS and its client are there; `None` when not and nobody requires them.
pub fn nats_installed() -> Option<()> {
    let is_there = in_venv("nats-server").is_file();
    or_skip(is_there.then_some(()).ok_or(Missing { program: "nats-server (PyPI)" }))
}

fn in_venv(program: &str) -> PathBuf {
    folder().join("venv/bin").join(program)
}

/// A certificate of this machine's address, which vouches for itself, and its key.
#[derive(Debug)]
pub struct Certificate {
    /// PEM.
    pub certificate: String,
    folder: tempfile::TempDir,
}

impl Certificate {
    /// Another one.
    pub fn make() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let (folder, certificate) = (tempfile::tempdir()?, made.cert.pem());
        std::fs::write(folder.path().join("certificate.pem"), &certificate)?;
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem())?;
        Ok(Self { certificate, folder })
    }

    /// The file of the certificate.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// The file of its key.
    pub fn key_path(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }
}

/// Begins Mosquitto. With a password, nobody else than `desk` with it is taken.
pub async fn mosquitto(port: u16, password: Option<&str>) -> Result<Program> {
    mosquitto_with(port, password, "").await
}

/// The same without a password, with another listener, which is encrypted.
pub async fn encrypted_mosquitto(port: u16, encrypted: u16, certificate: &Certificate) -> Result<Program> {
    let (file, key) = (certificate.path(), certificate.key_path());
    let more = format!("listener {encrypted} 127.0.0.1\ncertfile {}\nkeyfile {}\n", file.display(), key.display());
    mosquitto_with(port, None, &more).await
}

async fn mosquitto_with(port: u16, password: Option<&str>, more: &str) -> Result<Program> {
    let mut broker = Program::start("mosquitto", |folder| {
        let users = folder.join("users");
        let access = match password {
            Some(password) => {
                let mut made = Command::new("/usr/bin/mosquitto_passwd");
                let _ = made.args(["-b", "-c"]).arg(&users).args(["desk", password]).status();
                format!("allow_anonymous false\npassword_file {}\n", users.display())
            }
            None => "allow_anonymous true\n".to_owned(),
        };
        let configuration = folder.join("mosquitto.conf");
        let text = format!("listener {port} 127.0.0.1\nuser root\n{access}{more}");
        std::fs::write(&configuration, text).expect("a new folder can be written to");
        let mut command = Command::new(MOSQUITTO);
        command.arg("-v").arg("-c").arg(configuration);
        command
    })?;
    broker.wait_for(BEGINS_WITHIN, |line| line.contains("running").then_some(())).await?;
    Ok(broker)
}

/// Begins a server of NATS with JetStream, which keeps its streams in this folder.
pub async fn nats(port: u16, store: &Path) -> Result<Program> {
    nats_with(port, store, &[]).await
}

/// The same that speaks encrypted alone.
pub async fn encrypted_nats(port: u16, store: &Path, certificate: &Certificate) -> Result<Program> {
    let (file, key) = (certificate.path(), certificate.key_path());
    nats_with(port, store, &["--tls".as_ref(), "--tlscert".as_ref(), file.as_ref(), "--tlskey".as_ref(), key.as_ref()])
        .await
}

async fn nats_with(port: u16, store: &Path, more: &[&OsStr]) -> Result<Program> {
    let mut server = Program::start("nats-server", |_| {
        let mut command = Command::new(in_venv("nats-server"));
        command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(store).args(more);
        command
    })?;
    server.wait_for(BEGINS_WITHIN, |line| line.contains("Server is ready").then_some(())).await?;
    Ok(server)
}

/// Makes a queue of RabbitMQ that holds one message and refuses the next.
pub fn make_full_queue(port: u16, queue: &str) -> Result<()> {
    full_queue(port, queue, "make")
}

/// Empties it.
pub fn empty_full_queue(port: u16, queue: &str) -> Result<()> {
    full_queue(port, queue, "empty")
}

fn full_queue(port: u16, queue: &str, what: &str) -> Result<()> {
    let script = folder().join("amqp_full_queue.py");
    let status = Command::new(in_venv("python")).arg(script).args([&port.to_string(), queue, what]).status()?;
    ensure!(status.success(), "{what} {queue}: {status}");
    Ok(())
}

/// A notification as a stock client received it.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Where.
    pub place: String,
    /// What was said beside it.
    pub headers: BTreeMap<String, String>,
    /// It.
    pub body: String,
}

/// A stock client.
pub struct Receiver {
    program: Program,
}

impl Receiver {
    /// `mosquitto_sub` at a topic.
    pub async fn of_mqtt(port: u16, topic: &str, password: Option<&str>) -> Result<Self> {
        let program = Program::start("mosquitto_sub", |_| {
            // What it says is to be there when it said it, and not when there is more of it.
            let mut command = Command::new("stdbuf");
            command.args(["-oL", MOSQUITTO_SUB]);
            command.args([
                "-d",
                "-V",
                "5",
                "-h",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-q",
                "1",
                "-F",
                "%j",
                "-t",
                topic,
            ]);
            command.args(password.into_iter().flat_map(|password| ["-u", "desk", "-P", password]));
            command
        })?;
        Self { program }.ready(|line| line.starts_with("Subscribed ")).await
    }

    /// nats-py, encrypted, as [`Receiver::of_nats`].
    pub async fn of_encrypted_nats(port: u16, stream: &str, subject: &str, of: &Certificate) -> Result<Self> {
        let path = of.path().display().to_string();
        Self::python("nats_receiver.py", &[&port.to_string(), stream, subject, &path]).await
    }

    /// nats-py at a stream of this name, which it makes for the subject.
    pub async fn of_nats(port: u16, stream: &str, subject: &str) -> Result<Self> {
        Self::python("nats_receiver.py", &[&port.to_string(), stream, subject]).await
    }

    /// pika at a queue, which it makes and binds to the exchange by the key.
    pub async fn of_amqp(port: u16, exchange: &str, key: &str, queue: &str) -> Result<Self> {
        Self::python("amqp_receiver.py", &[&port.to_string(), exchange, key, queue]).await
    }

    async fn python(script: &str, arguments: &[&str]) -> Result<Self> {
        let program = Program::start("a client in Python", |_| {
            let mut command = Command::new(in_venv("python"));
            command.arg(folder().join(script)).args(arguments.iter().map(OsStr::new));
            command
        })?;
        Self { program }.ready(|line| line == "ready").await
    }

    async fn ready(mut self, is_ready: impl Fn(&str) -> bool) -> Result<Self> {
        self.program.wait_for(BEGINS_WITHIN, |line| is_ready(line).then_some(())).await?;
        Ok(self)
    }

    /// What came so far, in its order.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.program.output().lines().filter_map(arrived).collect()
    }

    /// Waits until so many came, and has no more come than that.
    pub async fn exactly(&self, count: usize) -> Result<Vec<Arrived>> {
        self.exactly_of(count, |_| true).await
    }

    /// The same of those that are meant: after a broker was killed it may hand out again what was received from it.
    pub async fn exactly_of(&self, count: usize, is_meant: impl Fn(&Arrived) -> bool) -> Result<Vec<Arrived>> {
        let meant = || self.arrived().into_iter().filter(|arrived| is_meant(arrived)).collect::<Vec<_>>();
        let came = async {
            while meant().len() < count {
                tokio::time::sleep(POLL).await;
            }
        };
        let came = tokio::time::timeout(ARRIVES_WITHIN, came).await;
        came.with_context(|| format!("{count} notifications in time: {}", self.program.output()))?;
        let arrived = meant();
        ensure!(arrived.len() == count, "{count} notifications, and these came: {arrived:?}");
        Ok(arrived)
    }
}

/// A line of JSON. `mosquitto_sub` has its own names for what our scripts print.
fn arrived(line: &str) -> Option<Arrived> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let place = text(&value["topic"]).or_else(|| text(&value["place"]))?;
    let body = text(&value["payload"]).or_else(|| text(&value["body"]))?;
    let headers = value["headers"].as_object().or_else(|| value["properties"]["user-properties"].as_object());
    let pairs = headers?.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?)));
    Some(Arrived { place, headers: pairs.collect(), body })
}
