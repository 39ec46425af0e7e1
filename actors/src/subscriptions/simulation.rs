//! Notifications that tell of nothing, sent once to try a receiver out. They are in no log and in no file of attempts, and
//! cannot be taken for others: their ids are of another version, and their bodies say so.

use std::sync::Arc;

use hyper::body::Bytes;
use millrace_model::notification::NotificationType;
use millrace_model::subscription::{Proof, Stopped};
use millrace_protocols::delivery::endpoint::Order;
use millrace_protocols::delivery::policy::Schedule;
use millrace_protocols::delivery::scheduler::Terms;
use millrace_protocols::webhook::sign::Signer;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::endpoint::NotOpen;
use super::{Known, delivery};
use crate::clock::Clock;
use crate::delivery::address::Target;
use crate::delivery::endpoint::{Content, Endpoint, Filter, Outgoing, Service, Told};
use crate::delivery::sinks::destination::{Destination, DestinationError};
use crate::delivery::sinks::{Ended, Message, Sinks};
use crate::ids::TimeOrderedIds;

/// How many are under way at once, each for as long as any attempt may take.
const AT_ONCE_MAX: usize = 4;

/// Sends them. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Simulator {
    sinks: Sinks,
    clock: Arc<dyn Clock>,
    places: Arc<Semaphore>,
}

/// Whom one is sent to.
#[derive(Debug, Clone)]
pub enum Receiver {
    /// A subscription's, signed for it, served or not.
    Of(Arc<Known>),
    /// Whoever is at this address of a webhook, unsigned.
    At(String),
}

/// One that was sent, or could not be.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// Its id.
    pub id: Uuid,
    /// What was sent, to the byte.
    pub body: String,
    /// Where to.
    pub url: String,
    /// What came of it.
    pub ended: Ended,
}

/// Why none is sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimulateError {
    /// The address is none that may be sent to.
    #[error(transparent)]
    Address(#[from] DestinationError),
    /// It is not known where the subscription leads.
    #[error(transparent)]
    NotOpen(#[from] NotOpen),
    /// The subscription's receiver did not prove that it holds the secret: it may be anybody.
    #[error("its receiver did not prove that it holds the secret")]
    NotProved,
    /// Too many are under way.
    #[error("too many are under way")]
    Busy,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Simulator {
    /// One with these ways out.
    pub fn new(sinks: Sinks, clock: Arc<dyn Clock>) -> Self {
        Self { sinks, clock, places: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }

    /// Sends one of this type, with one attempt on a connection of its own, and says what came of it.
    pub async fn send(&self, kind: NotificationType, receiver: &Receiver) -> Result<Simulation, SimulateError> {
        let (endpoint, url) = self.endpoint(receiver)?;
        let sink = self.sinks.sink(&endpoint)?;
        let _place = self.places.try_acquire().map_err(|_| SimulateError::Busy)?;
        let (id, now) = (TimeOrderedIds(Arc::clone(&self.clock)).simulation_id(), self.clock.now());
        let body = kind.simulation(id, now);
        let outgoing = outgoing(kind, id, body.clone());
        let started_ms = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let message = Message { outgoing: &outgoing, attempt: 1, started_ms, clock: &*self.clock };
        let ended = sink.deliver(message).await;
        tracing::info!(%id, %kind, outcome = ?ended.outcome, "a simulated notification was sent");
        Ok(Simulation { id, body, url, ended })
    }

    fn endpoint(&self, receiver: &Receiver) -> Result<(Endpoint, String), SimulateError> {
        match receiver {
            Receiver::At(url) => Ok((self.bare(url)?, url.clone())),
            Receiver::Of(known) => {
                let subscription = &known.subscription;
                let is_missing = matches!(subscription.proof, Proof::Missing { .. });
                if is_missing || subscription.stopped == Some(Stopped::Unproved) {
                    return Err(SimulateError::NotProved);
                }
                let url = known.endpoint.as_ref().map_err(NotOpen::clone)?.url.clone();
                self.sinks.parse(&url)?;
                let endpoint = delivery::endpoint(known, &self.sinks, self.clock.now());
                Ok((endpoint.ok_or(NotOpen::Changed)?, url))
            }
        }
    }

    /// An endpoint that nobody subscribed.
    fn bare(&self, url: &str) -> Result<Endpoint, DestinationError> {
        Ok(Endpoint {
            id: Uuid::nil(),
            destination: Destination::Webhook(Target::parse(url, self.sinks.reach())?),
            signer: Signer::new(&[], None).expect("no key is not too many"),
            terms: Terms { schedule: Schedule::standard(), order: Order::Free, rate: None },
            filter: Filter::default(),
            content: Content::Json,
            service: Service::Running,
            begins_after: 0,
            told: Told::default(),
        })
    }
}

/// At no position of the log: the first is 1.
fn outgoing(kind: NotificationType, id: Uuid, body: String) -> Outgoing {
    let (kind, body) = (Arc::from(kind.name()), Bytes::from(body));
    Outgoing { position: 0, id, key: None, kind, customer: None, about: None, body, recorded_ms: None }
}
