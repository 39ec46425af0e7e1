//! Where notifications lead: one small trait, and whoever keeps it.
//!
//! A subscription's address says by its scheme which [`Channel`] it leads through ([`destination`]). A channel is what the
//! desk's operator configured, with its hosts and passwords, and is shared: one connection to a broker, whatever subscribes.
//! It makes a [`Sink`] for each endpoint. The schedule, the limits and the file of attempts know nothing of either: a sink
//! delivers one message once, says what came of it, and never retries by itself.
//!
//! Webhooks are a channel that is always there.

pub mod broker;
pub mod destination;
pub mod signed;
pub mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use millrace_protocols::delivery::verdict::{Outcome, Refusal, Trouble};

use super::address::Reach;
use super::client::{Client, SystemResolver};
use super::endpoint::{Endpoint, Outgoing};
use crate::clock::Clock;
use destination::{Destination, DestinationError, Kind};
use webhook::Webhooks;

/// A notification on its way, for the length of an attempt.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// What is told. Its id is the same in every attempt, so a receiver knows what he has already.
    pub outgoing: &'a Outgoing,
    /// Which attempt it is, from 1.
    pub attempt: u16,
    /// When the attempt began, in milliseconds since 1970: what is signed.
    pub started_ms: u64,
    /// What time it is later on, for an answer that says how long to wait.
    pub clock: &'a dyn Clock,
}

/// What takes an endpoint's messages.
///
/// Attempts at one endpoint, and at many that share a channel, run at once. What it does is bounded in time (20 s at most), in
/// memory and in connections, keeps no other endpoint waiting, and may be dropped at any moment: the engine then counts what was
/// under way as unknown.
pub trait Sink: Send + Sync {
    /// Delivers it once and says what came of it. Only what the receiver, or a broker for him, said that he has is
    /// [`Outcome::Accepted`].
    fn deliver<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Ended>;

    /// Closes what was idle for too long. Called about once a second; has to be quick.
    fn close_idle(&self) {}
}

/// A way out that the operator configured.
pub trait Channel: Send + Sync {
    /// What takes this endpoint's messages. Connects to nobody yet.
    fn sink(&self, endpoint: &Endpoint) -> Result<Arc<dyn Sink>, DestinationError>;
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// For the schedule.
    pub outcome: Outcome,
    /// What there was of an answer, to be kept for a person.
    pub answer: Vec<u8>,
    /// What went wrong, for a person.
    pub error: Option<String>,
    /// Whom it was sent to.
    pub peer: Option<SocketAddr>,
    /// How long it took.
    pub took: Duration,
}

impl Ended {
    /// The receiver has it.
    pub fn accepted(took: Duration) -> Self {
        Self { outcome: Outcome::Accepted, answer: Vec::new(), error: None, peer: None, took }
    }

    /// The receiver does not take it, and why.
    pub fn refused(refusal: Refusal, error: impl Into<String>, took: Duration) -> Self {
        Self { error: Some(error.into()), outcome: Outcome::Refused(refusal), ..Self::accepted(took) }
    }

    /// It is not known that he has it.
    pub fn failed(trouble: Trouble, error: impl Into<String>, took: Duration) -> Self {
        Self { error: Some(error.into()), outcome: Outcome::Failed(trouble), ..Self::accepted(took) }
    }
}

/// All ways out there are. Cheap to clone.
#[derive(Clone)]
pub struct Sinks {
    reach: Reach,
    channels: Arc<BTreeMap<Kind, Arc<dyn Channel>>>,
}

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.channels.keys()).finish()
    }
}

impl Sinks {
    /// Webhooks that reach so far, and nothing else yet.
    pub fn webhooks(reach: Reach) -> Self {
        let client = Client::new(reach, Arc::new(SystemResolver));
        let channel: Arc<dyn Channel> = Arc::new(Webhooks::new(client));
        Self { reach, channels: Arc::new(BTreeMap::from([(Kind::Webhook, channel)])) }
    }

    /// The same with one more, or another of this kind.
    pub fn with(mut self, kind: Kind, channel: Arc<dyn Channel>) -> Self {
        let mut channels = (*self.channels).clone();
        channels.insert(kind, channel);
        self.channels = Arc::new(channels);
        self
    }

    /// How far webhooks may be away.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Reads an address to which there is a way. Asks nobody whether anything is there.
    pub fn parse(&self, address: &str) -> Result<Destination, DestinationError> {
        let destination = Destination::parse(address, self.reach)?;
        self.channel(destination.kind()).map(|_| destination)
    }

    /// What takes this endpoint's messages.
    pub fn sink(&self, endpoint: &Endpoint) -> Result<Arc<dyn Sink>, DestinationError> {
        self.channel(endpoint.destination.kind())?.sink(endpoint)
    }

    fn channel(&self, kind: Kind) -> Result<&Arc<dyn Channel>, DestinationError> {
        self.channels.get(&kind).ok_or(match kind.is_compiled() {
            true => DestinationError::NotConfigured(kind),
            false => DestinationError::NotCompiled(kind),
        })
    }
}
