//! Notifications that tell of nothing, sent once to try a receiver out. They are in no log and in no file of attempts, and
//! cannot be taken for others: their ids are of another version, and their bodies say so.

use std::fmt;
use std::sync::Arc;

use hyper::body::Bytes;
use millrace_model::notification::NotificationType;
use millrace_model::subscription::{Proof, Stopped};
use millrace_protocols::webhook::sign::Signer;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::endpoint::NotOpen;
use super::{Known, delivery};
use crate::clock::Clock;
use crate::delivery::address::{AddressError, Reach, Target};
use crate::delivery::client::{Client, Ended, NoLine, SystemResolver};
use crate::delivery::endpoint::Content;
use crate::delivery::once::{Way, send};
use crate::ids::TimeOrderedIds;

/// How many are under way at once, each for as long as any attempt may take.
const AT_ONCE_MAX: usize = 4;

/// Sends them. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Simulator {
    client: Arc<Client>,
    clock: Arc<dyn Clock>,
    places: Arc<Semaphore>,
}

/// Whom one is sent to.
#[derive(Debug, Clone)]
pub enum Receiver {
    /// A subscription's, signed for it, served or not.
    Of(Arc<Known>),
    /// Whoever is at this address, unsigned.
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
    Address(#[from] AddressError),
    /// It cannot be put into a request.
    #[error(transparent)]
    Line(#[from] NoLine),
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

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Simulator {
    /// One that reaches so far.
    pub fn new(reach: Reach, clock: Arc<dyn Clock>) -> Self {
        let client = Arc::new(Client::new(reach, Arc::new(SystemResolver)));
        Self { client, clock, places: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }

    /// Sends one of this type, with one attempt, and says what came of it.
    pub async fn send(&self, kind: NotificationType, receiver: &Receiver) -> Result<Simulation, SimulateError> {
        let (way, url) = self.way(receiver)?;
        let _place = self.places.try_acquire().map_err(|_| SimulateError::Busy)?;
        let id = TimeOrderedIds(Arc::clone(&self.clock)).simulation_id();
        let body = kind.simulation(id, self.clock.now());
        let ended = send(&self.client, way, (id, Bytes::from(body.clone())), &*self.clock).await?;
        tracing::info!(%id, %kind, outcome = ?ended.outcome, "a simulated notification was sent");
        Ok(Simulation { id, body, url, ended })
    }

    fn way(&self, receiver: &Receiver) -> Result<(Way, String), SimulateError> {
        let reach = self.client.reach();
        match receiver {
            Receiver::At(url) => {
                let signer = Signer::new(&[], None).expect("no key is not too many");
                Ok((Way { target: Target::parse(url, reach)?, signer, content: Content::Json }, url.clone()))
            }
            Receiver::Of(known) => {
                let subscription = &known.subscription;
                let is_missing = matches!(subscription.proof, Proof::Missing { .. });
                if is_missing || subscription.stopped == Some(Stopped::Unproved) {
                    return Err(SimulateError::NotProved);
                }
                let url = known.endpoint.as_ref().map_err(NotOpen::clone)?.url.clone();
                let endpoint = delivery::endpoint(known, reach, self.clock.now()).ok_or(NotOpen::Changed)?;
                let crate::delivery::endpoint::Endpoint { target, signer, content, .. } = endpoint;
                Ok((Way { target, signer, content }, url))
            }
        }
    }
}
