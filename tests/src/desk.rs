//! A desk of its own for a test: the real program in a folder of its own, with a sandbox of its own, both ended when the
//! value is dropped. The sandbox's books say what really happened.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::event_store::Reader;
use millrace_daemon::sandbox::client::Client as SandboxClient;
use millrace_daemon::sandbox::info::Info;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::process;

/// How long a deposit may take from payment to confirmation on a loaded machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often a state that has no bell is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A desk with its sandbox.
#[derive(Debug)]
pub struct Desk {
    folder: TempDir,
    settings: Vec<(&'static str, String)>,
    page: String,
    /// How much of its log is from the starts before; each start says once where its page is.
    log_before_bytes: u64,
    process: Child,
    http: Client,
}

impl Desk {
    /// Starts a desk; `settings` are environment variables as a person would set them.
    pub async fn start(settings: &[(&'static str, &str)]) -> Result<Self> {
        Self::start_on(settings, |_| Ok(())).await
    }

    /// The same, on a data folder that was prepared before the first start.
    pub async fn start_on(
        settings: &[(&'static str, &str)],
        prepare: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let mut desk = Self::launch(settings, prepare)?;
        desk.ready().await?;
        Ok(desk)
    }

    /// The same, without waiting for the desk to be ready.
    pub fn launch(settings: &[(&'static str, &str)], prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("data"))?;
        prepare(&folder.path().join("data"))?;
        Self::launch_in(folder, settings)
    }

    /// The same in a folder with a folder `data` in it.
    pub fn launch_in(folder: TempDir, settings: &[(&'static str, &str)]) -> Result<Self> {
        let mut all = vec![
            ("MILLRACE_DESK__DATA_DIR", folder.path().join("data").display().to_string()),
            ("MILLRACE_PUBLIC__LISTEN", "127.0.0.1:0".to_owned()),
            ("MILLRACE_OPERATOR__LISTEN", "127.0.0.2:0".to_owned()),
            ("MILLRACE_DESK__LOG_FORMAT", "json".to_owned()),
            ("MILLRACE_SANDBOX__BITCOIN_BLOCK_MS", "200".to_owned()),
            ("MILLRACE_SANDBOX__SKYCOIN_BLOCK_MS", "200".to_owned()),
            ("MILLRACE_BITCOIN__POLL_MS", "50".to_owned()),
            ("MILLRACE_SKYCOIN__POLL_MS", "50".to_owned()),
            ("MILLRACE_DESK__RECONCILE_EVERY_MS", "300".to_owned()),
            ("MILLRACE_PUBLIC__BIND_PER_MINUTE", "0".to_owned()),
            ("MILLRACE_PUBLIC__READ_PER_MINUTE", "0".to_owned()),
        ];
        all.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let process = spawn(&all, folder.path())?;
        Ok(Self {
            folder,
            settings: all,
            page: String::new(),
            log_before_bytes: 0,
            process,
            http: crate::peers::http_client(),
        })
    }

    /// Kills the desk as a power switch would, and starts it again on the same data.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        self.kill()?;
        self.start_again()?;
        self.ready().await
    }

    /// Kills the desk as a power switch would; the core is gone as well when this returns.
    pub fn kill(&mut self) -> Result<()> {
        let core = process::children_of(self.process.id())?;
        self.process.kill()?;
        self.process.wait()?;
        core.into_iter().try_for_each(process::wait_for_end)
    }

    /// The process that everything happens in; its front, which this desk started, is another. An error while there is none.
    pub fn core(&self) -> Result<u32> {
        let children = process::children_of(self.process.id())?;
        children.first().copied().context("the desk has no core at the moment")
    }

    /// The front's process.
    pub fn front(&self) -> u32 {
        self.process.id()
    }

    /// Starts a desk that was killed on the same data, and does not wait for it.
    pub fn start_again(&mut self) -> Result<()> {
        self.log_before_bytes = std::fs::metadata(self.log_file())?.len();
        self.process = spawn(&self.settings, self.folder.path())?;
        Ok(())
    }

    /// From the next start on, a setting is this, or is not made.
    pub fn set(&mut self, name: &'static str, value: Option<&str>) {
        self.settings.retain(|(set, _)| *set != name);
        self.settings.extend(value.map(|value| (name, value.to_owned())));
    }

    /// The desk's event log, for reading.
    pub fn log(&self) -> Result<Reader> {
        Ok(Reader::open(&self.data_dir().join("log.db"))?)
    }

    /// Tells the desk to stop, as a service manager does; says how it ended and how long that took.
    pub async fn terminate(&mut self) -> Result<(ExitStatus, Duration)> {
        let told = Instant::now();
        signal("TERM", self.process.id())?;
        let deadline = told + READY_WITHIN;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok((status, told.elapsed()));
            }
            ensure!(Instant::now() < deadline, "told to stop, it has not; it said:\n{}", self.tail());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the desk listens.
    pub async fn up(&mut self) -> Result<()> {
        self.page = self.until(READY_WITHIN, "the desk says where its page is", async || Ok(self.announced())).await?;
        Ok(())
    }

    /// Waits until the page is there.
    pub async fn ready(&mut self) -> Result<()> {
        self.up().await?;
        self.until(READY_WITHIN, "the desk is ready", async || Ok(self.get("/api/config").await.ok())).await.map(drop)
    }

    fn announced(&self) -> Option<String> {
        let log = self.log_from(self.log_before_bytes);
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut pages = lines.filter_map(|line| Some(line["page"].as_str()?.trim_end_matches('/').to_owned()));
        pages.next_back()
    }

    /// Where the page is, without a slash at its end.
    pub fn page(&self) -> &str {
        &self.page
    }

    /// The desk's data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the desk writes to its log.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("desk.log")
    }

    /// Gets JSON from the public API.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let response = self.http.get(format!("{}{path}", self.page)).send().await?;
        let status = response.status();
        let body = response.text().await?;
        ensure!(status.is_success(), "{path}: {status}: {body}");
        Ok(serde_json::from_str(&body)?)
    }

    /// Binds a deposit address to a Skycoin address.
    pub async fn bind(&self, target: &str) -> Result<String> {
        let url = format!("{}/api/v1/bindings", self.page);
        let response = self.http.post(url).json(&json!({"target": target, "coin": "BTC"})).send().await?;
        let body: Value = response.json().await?;
        body["address"].as_str().map(str::to_owned).with_context(|| format!("no address in {body}"))
    }

    /// Subscribes an address to a customer's own deposits, at ton.events' door: the answer's status and body.
    pub async fn subscribe(&self, hash: &str, address: &str) -> Result<(u16, Value)> {
        let wanted = json!({ "hash": hash, "data": BASE64.encode(address.as_bytes()) });
        let response = self.http.post(format!("{}/api/v1/subscribe", self.page)).json(&wanted).send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    }

    /// Ends that, with what proves that one holds the secret: the answer's status. `sign` makes the `x-te-signature` of a text.
    pub async fn unsubscribe(&self, hash: &str, address: &str, sign: impl Fn(&str) -> String) -> Result<u16> {
        let (data, at) = (BASE64.encode(address.as_bytes()), SystemClock.now().timestamp());
        let signature = sign(&format!("unsubscribe {hash} {data} {at}"));
        let unwanted = json!({ "hash": hash, "data": data, "at": at, "signature": signature });
        let response = self.http.post(format!("{}/api/v1/unsubscribe", self.page)).json(&unwanted).send().await?;
        Ok(response.status().as_u16())
    }

    /// Steers the sandbox.
    pub fn sandbox(&self) -> Result<SandboxClient> {
        let info = Info::read(&self.data_dir().join("sandbox")).context("the sandbox has no sandbox.json")?;
        Ok(SandboxClient::new(&info)?)
    }

    /// The sandbox's customer pays an address.
    pub async fn pay(&self, address: &str, amount: &str) -> Result<String> {
        let paid = self.sandbox()?.post("/pay", &json!({"address": address, "amount": amount})).await?;
        paid["txid"].as_str().map(str::to_owned).with_context(|| format!("no txid in {paid}"))
    }

    /// Runs a command of the program beside the desk, with the desk's configuration; gives back what it said.
    pub async fn command(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {}: {said}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The same for a command that is to fail with exit code 1.
    pub async fn failing_command(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments).await?;
        ensure!(output.status.code() == Some(1), "{arguments:?}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn output(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = tokio::process::Command::new(program()?);
        command.args(arguments).envs(self.settings.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        Ok(command.output().await?)
    }

    /// Waits until a customer has so many deposits and all of them are done; gives them back.
    pub async fn settled(&self, target: &str, deposits: usize) -> Result<Vec<Value>> {
        let path = format!("/api/v1/customers/{target}");
        self.until(SETTLED_WITHIN, "every deposit is done", async || {
            let Ok(customer) = self.get(&path).await else { return Ok(None) };
            let shown = customer["deposits"].as_array().cloned().unwrap_or_default();
            let done = shown.iter().filter(|deposit| deposit["status"] == "done").count();
            Ok((done >= deposits).then_some(shown))
        })
        .await
    }

    /// Looks again and again until there is something, at most `within`.
    pub async fn until<T>(
        &self,
        within: Duration,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!("not so within {within:?}: {what}; the desk said:\n{}", self.tail());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether a line of its log has this in it, since it was last started.
    pub fn said(&self, text: &str) -> bool {
        self.log_from(self.log_before_bytes).contains(text)
    }

    /// How many lines have it.
    pub fn count_said(&self, text: &str) -> u32 {
        let log = self.log_from(self.log_before_bytes);
        log.lines().map(|line| u32::from(line.contains(text))).sum()
    }

    fn log_from(&self, start: u64) -> String {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(self.log_file()).and_then(|mut file| {
            file.seek(SeekFrom::Start(start))?;
            file.read_to_end(&mut bytes)
        });
        // There is none before the first line.
        drop(read);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn tail(&self) -> String {
        let log = self.log_from(self.log_before_bytes);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Both may have ended by themselves; then there is nothing to do.
        let _ = self.kill();
        if let Some(info) = Info::read(&self.data_dir().join("sandbox")) {
            let _ = Command::new("kill").arg(info.pid.to_string()).status();
        }
    }
}

/// Sends a signal to one process, by the name `kill` knows it by.
pub fn signal(name: &str, process: u32) -> Result<()> {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status()?;
    ensure!(sent.success(), "process {process} cannot be sent {name}");
    Ok(())
}

fn spawn(settings: &[(&'static str, String)], folder: &Path) -> Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("desk.log"))?;
    Command::new(program()?)
        .arg("run")
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("the desk does not start")
}

/// The program beside the test's own binary; `tests/run` builds it first.
pub fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().nth(2).context("the test runs from a target folder")?;
    let program = [folder.join("millrace"), own.with_file_name("millrace")].into_iter().find(|path| path.is_file());
    program.context("the program is not built: cargo build -p millrace-daemon")
}

/// A valid Skycoin address that belongs to nobody, another one for every number.
pub fn fresh_target(number: u8) -> String {
    let secp = bitcoin::secp256k1::Secp256k1::new();
    let key = bitcoin::secp256k1::SecretKey::from_slice(&[number.max(1); 32]).expect("a small number is a key");
    SkyAddress::from_public_key(&key.public_key(&secp)).to_string()
}

/// What the sandbox's Skycoin chain says was paid to an address.
pub async fn books_of(desk: &Desk, target: &str) -> Result<Vec<Value>> {
    let books = desk.sandbox()?.get("/books").await?;
    let paid = &books["skycoin"]["payments"][target];
    Ok(paid.as_array().cloned().unwrap_or_default())
}
