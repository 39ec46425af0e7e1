//! What the ways to people have in common: a notification is put into words, and somebody tells them.
//!
//! Who tells does not know what: the same way carries the question whether a subscription is wanted at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use millrace_protocols::delivery::verdict::{Outcome, Refusal, Trouble};
use millrace_protocols::webhook::code::{Purpose, code};
use millrace_protocols::words::Words;
use millrace_protocols::words::confirm::LEAVE_PATH;

use super::super::endpoint::Endpoint;
use super::destination::{Destination, DestinationError, Kind};
use super::{Channel, Ended, Message, Sink};
use crate::clock::Clock;

/// For all of an attempt: as long as a webhook's.
const TOTAL: Duration = Duration::from_secs(20);

/// What came of telling it, and what there is to be said of that to the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    /// For the schedule.
    pub outcome: Outcome,
    /// What went wrong.
    pub error: Option<String>,
}

impl Came {
    /// It is there.
    pub fn there() -> Self {
        Self { outcome: Outcome::Accepted, error: None }
    }

    /// It is not taken, and why.
    pub fn refused(refusal: Refusal, error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Refused(refusal), error: Some(error.into()) }
    }

    /// It is not taken now, and why.
    pub fn later(retry_at_ms: Option<u64>, error: impl Into<String>) -> Self {
        Self::refused(Refusal::ForNow { retry_at_ms }, error)
    }

    /// It is not known to be there, and why.
    pub fn failed(trouble: Trouble, error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed(trouble), error: Some(error.into()) }
    }
}

/// A way to people.
pub trait Teller: Send + Sync {
    /// Whether it leads there; asks nobody.
    fn leads_to(&self, to: &Destination) -> bool;

    /// Tells it once. Whoever asks sets a limit of time, and drops it then.
    fn tell<'a>(&'a self, to: &'a Destination, words: &'a Words, clock: &'a dyn Clock) -> BoxFuture<'a, Came>;

    /// Closes what was idle for too long. Called about once a second; has to be quick.
    fn close_idle(&self) {}
}

/// The ways to people there are, and where they find the desk.
#[derive(Clone, Default)]
pub struct Ways {
    pub(super) public: Option<Arc<str>>,
    tellers: Arc<BTreeMap<Kind, Arc<dyn Teller>>>,
}

impl Ways {
    pub(super) fn add(&mut self, kind: Kind, teller: Arc<dyn Teller>) {
        let mut tellers = (*self.tellers).clone();
        tellers.insert(kind, teller);
        self.tellers = Arc::new(tellers);
    }

    /// The desk's public address, without a slash at its end.
    pub fn public(&self) -> Option<&str> {
        self.public.as_deref()
    }

    /// Who tells people of this kind.
    pub fn teller(&self, kind: Kind) -> Option<Arc<dyn Teller>> {
        self.tellers.get(&kind).cloned()
    }
}

/// A way to people as a channel of notifications.
pub struct People {
    teller: Arc<dyn Teller>,
    public: Option<Arc<str>>,
}

impl People {
    /// Those this way leads to. `public` is the desk's public address, for links, without a slash at its end.
    pub fn new(teller: Arc<dyn Teller>, public: Option<Arc<str>>) -> Self {
        Self { teller, public }
    }
}

impl Channel for People {
    fn sink(&self, endpoint: &Endpoint) -> Result<Arc<dyn Sink>, DestinationError> {
        if !self.teller.leads_to(&endpoint.destination) {
            return Err(DestinationError::Unfit);
        }
        let (teller, public, to) = (Arc::clone(&self.teller), self.public.clone(), endpoint.destination.clone());
        let leave = public.as_deref().and_then(|public| leave(public, endpoint));
        Ok(Arc::new(Person { teller, public, to, leave }))
    }
}

/// One of them.
struct Person {
    teller: Arc<dyn Teller>,
    public: Option<Arc<str>>,
    to: Destination,
    leave: Option<String>,
}

/// The address that ends this subscription and no other: whoever has it may.
fn leave(public: &str, endpoint: &Endpoint) -> Option<String> {
    let id = endpoint.id.hyphenated().to_string();
    let code = code(&endpoint.signer, Purpose::Leave, &id, 0)?;
    Some(format!("{public}{LEAVE_PATH}{id}.{code}"))
}

impl Sink for Person {
    fn deliver<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Ended> {
        async move {
            match Words::read(&message.outgoing.body, self.public.as_deref()) {
                Ok(words) => tell(&*self.teller, &self.to, &words.with_leave(self.leave.clone()), message.clock).await,
                // Reading it again would come to the same.
                Err(error) => Ended::refused(Refusal::Message, error.to_string(), Duration::ZERO),
            }
        }
        .boxed()
    }

    fn close_idle(&self) {
        self.teller.close_idle();
    }
}

/// Tells it once, within the time there is.
pub async fn tell(teller: &dyn Teller, to: &Destination, words: &Words, clock: &dyn Clock) -> Ended {
    let begun = Instant::now();
    let came = tokio::time::timeout(TOTAL, teller.tell(to, words, clock)).await;
    let Came { outcome, error } = came.unwrap_or_else(|_| Came::failed(Trouble::Timeout, "it took too long"));
    Ended { outcome, error, ..Ended::accepted(begun.elapsed()) }
}
