//! The queue as Kafka has it, if the program was built with the feature `kafka`.

#[cfg(feature = "kafka")]
mod client;

use std::fmt;
use std::sync::Arc;

use super::queue::Queue;

/// Whether this program can read it.
pub const IS_COMPILED: bool = cfg!(feature = "kafka");

/// How the desk proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mechanism {
    /// SCRAM-SHA-512: what the queue provider has.
    #[default]
    ScramSha512,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// PLAIN: the password itself is sent.
    Plain,
}

/// Who the desk is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// How that is proved.
    pub mechanism: Mechanism,
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("mechanism", &self.mechanism).field("user", &self.user).finish_non_exhaustive()
    }
}

/// Whether what goes over the connections can be read on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encryption {
    /// It can.
    #[default]
    None,
    /// TLS, with brokers whose certificates the system trusts.
    Tls,
}

/// What connects.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Some of the brokers, each `host:port`: they know the others.
    pub brokers: Vec<String>,
    /// What is read.
    pub topic: String,
    /// What the brokers' own logs call the desk.
    pub client: String,
    /// Whether connections are encrypted.
    pub encryption: Encryption,
    /// Where brokers want to know who it is.
    pub account: Option<Account>,
}

/// The queue, which connects to nobody yet; nothing where the program was built without it.
#[cfg(feature = "kafka")]
pub fn queue(settings: Settings) -> Option<Arc<dyn Queue>> {
    Some(Arc::new(client::Kafka::new(settings)))
}

/// Nothing: the program was built without it.
#[cfg(not(feature = "kafka"))]
pub fn queue(_: Settings) -> Option<Arc<dyn Queue>> {
    None
}
