//! The desk's configuration: one TOML file, environment variables over it, defaults under it.
//!
//! A variable is `MILLRACE_SECTION__KEY`, for instance `MILLRACE_DESK__RATE=500`. Without a file the desk runs in
//! the sandbox. Unknown keys, missing secrets and impossible values are all refused at once, each with its file and
//! line or its variable, and how to mend it. `millrace.example.toml` at the top of the repository explains every key.

mod alerts;
mod c2cx;
mod desk;
mod job;
mod layers;
mod listeners;
mod nodes;
mod notify;
mod people;
mod problem;
mod relay;
mod rules;
mod sandbox;
mod secret;
mod section;
mod setting;
mod show;
mod subscriptions;
#[cfg(test)]
mod tests;
mod ton_events;

use std::ffi::OsString;
use std::path::Path;

pub use alerts::Alerts;
pub use c2cx::C2cx;
pub use desk::{Desk, LogFilter, LogFormat, head_file_of};
pub use job::{Begin, Job, JobSink};
pub use layers::Entry;
pub use listeners::{Operator, Origin, Pace, Public, TlsFiles, TxidTemplate};
pub use nodes::{ADDRESS_FILE_BYTES_MAX, Bitcoin, Skycoin};
pub use notify::{Broker, Notify};
pub use people::{FcmSettings, MailSettings, People, TelegramSettings, Wrong};
pub use problem::{ConfigError, Origin as Layer, Problem};
pub use relay::Relay;
pub use sandbox::Sandbox;
pub use secret::Secret;
pub use setting::{BrokerUrl, Setting};
pub use subscriptions::Subscriptions;
pub use ton_events::Ignored;

use crate::bounded_file::read_text;

/// A configuration file larger than this is not one.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Everything that can be configured. Made by [`load`] only, so every rule holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What the desk does with deposits.
    pub desk: Desk,
    /// The listener for customers.
    pub public: Public,
    /// The listener for operators.
    pub operator: Operator,
    /// The Bitcoin node.
    pub bitcoin: Bitcoin,
    /// The Skycoin node.
    pub skycoin: Skycoin,
    /// The exchange.
    pub c2cx: C2cx,
    /// Who is told.
    pub subscriptions: Subscriptions,
    /// When operators are told of the desk's own troubles.
    pub alerts: Alerts,
    /// The ways out for notifications, besides webhooks.
    pub notify: Notify,
    /// And those to people.
    pub people: People,
    /// What `millrace notify` tells to whom.
    pub job: Job,
    /// The queue that others' notifications come from.
    pub relay: Relay,
    /// The stand-ins.
    pub sandbox: Sandbox,
}

/// A configuration, and where each of its values comes from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Every setting as it took effect.
    pub entries: Vec<Entry>,
    /// Variables that are set and have no effect, where something is relayed.
    pub ignored: Vec<Ignored>,
}

impl Loaded {
    /// The effective configuration as a TOML text without secrets, each line with the layer it comes from.
    pub fn effective(&self) -> String {
        show::effective(&self.entries, &self.ignored)
    }
}

/// What a configuration is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A desk, and whoever works with it.
    Desk,
    /// A run of `millrace notify`, which needs no desk here.
    Job,
}

/// Reads the file, if one is given, and the variables of `environment` (others than ours are ignored).
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigError> {
    load_for(Purpose::Desk, file, environment)
}

/// The same for this purpose.
pub fn load_for(
    purpose: Purpose,
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigError> {
    match file {
        None => parse_for(purpose, Path::new(""), "", environment),
        Some(path) => parse_for(purpose, path, &read_file(path)?, environment),
    }
}

/// As [`load`], with the file's text at hand; `path` is for messages and for what relative paths are relative to.
pub fn parse(
    path: &Path,
    text: &str,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigError> {
    parse_for(Purpose::Desk, path, text, environment)
}

/// The same for this purpose.
pub fn parse_for(
    purpose: Purpose,
    path: &Path,
    text: &str,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigError> {
    let mut layers = layers::Layers::new(path, text, environment);
    let in_sandbox = Sandbox::read_enabled(&mut layers, purpose);
    let desk = Desk::read(&mut layers, in_sandbox);
    let config = Config {
        public: Public::read(&mut layers),
        operator: Operator::read(&mut layers, &desk.data_dir),
        bitcoin: Bitcoin::read(&mut layers, in_sandbox),
        skycoin: Skycoin::read(&mut layers),
        c2cx: C2cx::read(&mut layers),
        subscriptions: Subscriptions::read(&mut layers),
        alerts: Alerts::read(&mut layers),
        notify: Notify::read(&mut layers),
        people: People::read(&mut layers),
        job: Job::read(&mut layers),
        relay: Relay::read(&mut layers),
        sandbox: Sandbox::read(&mut layers, in_sandbox, &desk.data_dir),
        desk,
    };
    match purpose {
        Purpose::Desk => rules::check(&mut layers, &config),
        Purpose::Job => rules::check_job(&mut layers, &config),
    }
    // Without brokers they are somebody else's.
    let ignored = if config.relay.brokers.is_empty() { Vec::new() } else { std::mem::take(&mut layers.ignored) };
    Ok(Loaded { config, entries: layers.finish()?, ignored })
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    read_text(path, FILE_BYTES_MAX).map_err(|error| {
        let sentence = format!("cannot be read: {error}; check --config or MILLRACE_CONFIG");
        ConfigError::of_file(path.to_owned(), sentence)
    })
}
