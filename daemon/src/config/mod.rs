//! The desk's configuration: one TOML file, environment variables over it, defaults under it.
//!
//! A variable is `MILLRACE_SECTION__KEY`, for instance `MILLRACE_DESK__RATE=500`. Without a file the desk runs in
//! the sandbox. Unknown keys, missing secrets and impossible values are all refused at once, each with its file and
//! line or its variable, and how to mend it. `millrace.example.toml` at the top of the repository explains every key.

mod c2cx;
mod desk;
mod layers;
mod listeners;
mod nodes;
mod notify;
mod people;
mod problem;
mod rules;
mod sandbox;
mod secret;
mod section;
mod setting;
mod show;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::Path;

pub use c2cx::C2cx;
pub use desk::{Desk, LogFilter, LogFormat, head_file_of};
pub use layers::Entry;
pub use listeners::{Operator, Origin, Pace, Public, TlsFiles};
pub use nodes::{ADDRESS_FILE_BYTES_MAX, Bitcoin, Skycoin};
pub use notify::{Broker, Notify};
pub use people::{FcmSettings, MailSettings, People, TelegramSettings, Wrong};
pub use problem::{ConfigError, Origin as Layer, Problem};
pub use sandbox::Sandbox;
pub use secret::Secret;
pub use setting::{BrokerUrl, Setting};
pub use subscriptions::Subscriptions;

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
    /// The ways out for notifications, besides webhooks.
    pub notify: Notify,
    /// And those to people.
    pub people: People,
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
}

impl Loaded {
    /// The effective configuration as a TOML text without secrets, each line with the layer it comes from.
    pub fn effective(&self) -> String {
        show::effective(&self.entries)
    }
}

/// Reads the file, if one is given, and the variables of `environment` (others than ours are ignored).
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigError> {
    match file {
        None => parse(Path::new(""), "", environment),
        Some(path) => parse(path, &read_file(path)?, environment),
    }
}

/// As [`load`], with the file's text at hand; `path` is for messages and for what relative paths are relative to.
pub fn parse(
    path: &Path,
    text: &str,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigError> {
    let mut layers = layers::Layers::new(path, text, environment);
    let in_sandbox = Sandbox::read_enabled(&mut layers);
    let desk = Desk::read(&mut layers, in_sandbox);
    let config = Config {
        public: Public::read(&mut layers),
        operator: Operator::read(&mut layers, &desk.data_dir),
        bitcoin: Bitcoin::read(&mut layers, in_sandbox),
        skycoin: Skycoin::read(&mut layers),
        c2cx: C2cx::read(&mut layers),
        subscriptions: Subscriptions::read(&mut layers),
        notify: Notify::read(&mut layers),
        people: People::read(&mut layers),
        sandbox: Sandbox::read(&mut layers, in_sandbox, &desk.data_dir),
        desk,
    };
    rules::check(&mut layers, &config);
    Ok(Loaded { config, entries: layers.finish()? })
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    read_text(path, FILE_BYTES_MAX).map_err(|error| {
        let sentence = format!("cannot be read: {error}; check --config or MILLRACE_CONFIG");
        ConfigError::of_file(path.to_owned(), sentence)
    })
}
