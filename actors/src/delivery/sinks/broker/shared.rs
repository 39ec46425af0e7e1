//! One connection, and whoever delivers through it.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::Bytes;
use millrace_protocols::delivery::verdict::{Outcome, Refusal, Trouble};
use millrace_protocols::webhook::sign::Signer;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::super::super::endpoint::{Content, Endpoint};
use super::super::destination::{Destination, DestinationError};
use super::super::signed::Signed;
use super::super::{Channel, Ended, Message, Sink};

/// For a connection, with who we are said and taken.
const CONNECT: Duration = Duration::from_secs(5);
/// From a message to the broker's word that it has it.
const ANSWER: Duration = Duration::from_secs(10);
/// For all of it, with waiting for a place and a connection.
const TOTAL: Duration = Duration::from_secs(20);
/// How many messages are under way on a connection.
pub(in super::super) const PLACES: usize = 128;
/// How long nobody connects after that failed.
const AGAIN: Duration = Duration::from_secs(1);

/// A message as a broker gets it.
pub(in super::super) struct Letter {
    /// Its id, time and signatures.
    pub(in super::super) signed: Signed,
    /// The media type of its body.
    pub(in super::super) content_type: &'static str,
    /// What is told.
    pub(in super::super) body: Bytes,
}

/// Why a broker does not have a message, or why that is not known.
#[derive(Debug, Clone)]
pub(in super::super) struct Miss {
    outcome: Outcome,
    error: String,
}

impl Miss {
    /// It says that it does not take it.
    pub(in super::super) fn refused(error: impl Into<String>) -> Self {
        let outcome = Outcome::Refused(Refusal::ForNow { retry_at_ms: None });
        Self { outcome, error: error.into() }
    }

    /// It said nothing.
    pub(in super::super) fn failed(trouble: Trouble, error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed(trouble), error: error.into() }
    }
}

/// A kind of broker.
pub(in super::super) trait Broker: Send + Sync + 'static {
    /// A connection to it. Ends when it is dropped.
    type Link: Send + Sync + 'static;
    /// Where to on it.
    type Place: Send + Sync + 'static;

    /// Where a destination of its kind leads to.
    fn place(destination: &Destination) -> Option<Self::Place>;

    /// Connects. Whoever notices that the connection ended cancels `down`.
    fn connect(&self, down: CancellationToken) -> impl Future<Output = Result<Self::Link, Miss>> + Send;

    /// Whether it can be used, as far as `down` does not say it.
    fn is_up(_: &Self::Link) -> bool {
        true
    }

    /// Publishes once, and waits for the broker's word that it has it.
    fn publish(link: &Self::Link, place: &Self::Place, letter: Letter)
    -> impl Future<Output = Result<(), Miss>> + Send;

    /// There was no answer in time: whether that ends the connection.
    fn unanswered(_: &CancellationToken) {}
}

/// A broker and the connection to it.
pub(in super::super) struct Brokered<B: Broker>(Arc<Shared<B>>);

struct Shared<B: Broker> {
    broker: B,
    places: Semaphore,
    kept: Mutex<Kept<B::Link>>,
}

struct Kept<L> {
    line: Option<Arc<Line<L>>>,
    failed: Option<(Instant, Miss)>,
}

struct Line<L> {
    link: L,
    down: CancellationToken,
}

impl<B: Broker> Brokered<B> {
    pub(in super::super) fn new(broker: B) -> Self {
        let kept = Mutex::new(Kept { line: None, failed: None });
        Self(Arc::new(Shared { broker, places: Semaphore::new(PLACES), kept }))
    }
}

impl<B: Broker> Channel for Brokered<B> {
    fn sink(&self, endpoint: &Endpoint) -> Result<Arc<dyn Sink>, DestinationError> {
        let place = B::place(&endpoint.destination).ok_or(DestinationError::Unfit)?;
        let content_type = match endpoint.content {
            Content::Json => "application/json",
            Content::Text => "text/plain",
        };
        let (shared, signer) = (Arc::clone(&self.0), endpoint.signer.clone());
        Ok(Arc::new(Subscriber { shared, place, signer, content_type }))
    }
}

/// One subscription's place at a broker.
struct Subscriber<B: Broker> {
    shared: Arc<Shared<B>>,
    place: B::Place,
    signer: Signer,
    content_type: &'static str,
}

impl<B: Broker> Sink for Subscriber<B> {
    fn deliver<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Ended> {
        let signed = Signed::new(&self.signer, message);
        let letter = Letter { signed, content_type: self.content_type, body: message.outgoing.body.clone() };
        async move {
            let begun = Instant::now();
            let delivering = timeout(TOTAL, self.shared.deliver(&self.place, letter)).await;
            let delivered = delivering.unwrap_or_else(|_| Err(too_slow("waiting for other messages")));
            match delivered {
                Ok(()) => Ended::accepted(begun.elapsed()),
                Err(Miss { outcome, error }) => {
                    Ended { outcome, error: Some(error), ..Ended::accepted(begun.elapsed()) }
                }
            }
        }
        .boxed()
    }
}

impl<B: Broker> Shared<B> {
    async fn deliver(&self, place: &B::Place, letter: Letter) -> Result<(), Miss> {
        let _place = self.places.acquire().await.expect("nobody closes the places");
        let line = self.line().await?;
        let publishing = line.down.run_until_cancelled(B::publish(&line.link, place, letter));
        match timeout(ANSWER, publishing).await {
            Ok(Some(published)) => published,
            Ok(None) => Err(Miss::failed(Trouble::Broken, "the connection ended before the broker answered")),
            Err(_) => {
                B::unanswered(&line.down);
                Err(too_slow("the broker's answer"))
            }
        }
    }

    /// The connection there is, or a new one.
    async fn line(&self) -> Result<Arc<Line<B::Link>>, Miss> {
        let mut kept = self.kept.lock().await;
        let usable = kept.line.take().filter(|line| !line.down.is_cancelled() && B::is_up(&line.link));
        if let Some(line) = usable {
            kept.line = Some(Arc::clone(&line));
            return Ok(line);
        }
        if let Some((at, miss)) = &kept.failed
            && at.elapsed() < AGAIN
        {
            return Err(miss.clone());
        }
        let down = CancellationToken::new();
        let connected = timeout(CONNECT, self.broker.connect(down.clone())).await;
        match connected.unwrap_or_else(|_| Err(too_slow("connecting"))) {
            Ok(link) => {
                let line = Arc::new(Line { link, down });
                *kept = Kept { line: Some(Arc::clone(&line)), failed: None };
                Ok(line)
            }
            Err(miss) => {
                kept.failed = Some((Instant::now(), miss.clone()));
                Err(miss)
            }
        }
    }
}

fn too_slow(what: &str) -> Miss {
    Miss::failed(Trouble::Timeout, format!("{what} took too long"))
}

#[cfg(test)]
mod tests;
