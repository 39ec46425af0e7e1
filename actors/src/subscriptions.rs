//! Subscriptions as everybody at the desk sees and changes them: one service that decides and stores, and one list that
//! follows the log.
//!
//! Where a subscription leads and what signs for it is sealed before it is in a command ([`endpoint`]), each under a key of its
//! own. What is delivered follows from the list ([`delivery`]), and so does who is asked for a proof ([`ownership`]).
//!
//! Not responsible for who may subscribe to what: the faces are.

mod asked;
mod book;
mod customer;
pub mod deliveries;
pub mod delivery;
pub mod endings;
pub mod endpoint;
mod failing;
pub mod ownership;
pub mod people;
pub mod questions;
pub mod simulation;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_model::ids::{Hash32, Position, SubscriptionId, Version};
use millrace_model::operator::By;
use millrace_model::subscription::{
    Address, Change, Command, Kept, Ownership, Proof, Rejection, Subscribe, Subscription, Terms,
};
use millrace_protocols::webhook::code::Purpose;
use tokio::sync::{oneshot, watch};
use xtra::Mailbox;

use crate::clock::Clock;
use crate::customer_keys::{CustomerKeys, KeysError};
use crate::delivery::sinks::Sinks;
use crate::delivery::sinks::destination::{Destination, DestinationError};
use crate::door::{Door, Inside, door};
use crate::event_store::{AppendError, ReadError, Store};
use crate::ids::TimeOrderedIds;
use crate::operations::Note;
use crate::supervision::{AskError, Incarnation, Policy, Reporter, Scope, Tree, TreeError};

use asked::Questions;
use book::Book;
use customer::Renewals;
pub use customer::Signed;
use endpoint::{Endpoint, NotOpen, Secret};
use failing::Failures;
use people::WrongCodes;

/// The part's name in the tree.
pub const PART: &str = "subscriptions";
/// How many subscriptions there may be that are not over.
pub const SUBSCRIPTIONS_MAX: usize = 10_000;
/// How many of one customer.
pub const OF_A_CUSTOMER_MAX: usize = 10;
/// How many requests wait at the door.
const REQUESTS_MAX: usize = 256;
/// How many are carried out at once. One at a time, so that the limits hold.
const AT_ONCE_MAX: usize = 1;
/// Longer than an append may take, so that an answer is lost only when the log's own is.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);

/// What somebody wants.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where to.
    pub endpoint: Endpoint,
    /// What of, and how.
    pub terms: Terms,
    /// Whether its receiver has to prove that it holds the secret.
    pub ownership: Ownership,
}

/// What is to be otherwise.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// Where to.
    pub url: Option<String>,
    /// What of.
    pub events: Option<Vec<String>>,
    /// What signs from now on, beside what signed before until then.
    pub rotation: Option<(Secret, DateTime<Utc>)>,
}

/// A subscription and what is known of it.
#[derive(Debug, Clone)]
pub struct Known {
    /// It.
    pub subscription: Subscription,
    /// Where it leads, if that can be opened.
    pub endpoint: Result<Endpoint, NotOpen>,
    /// Its stream's version.
    pub version: Version,
    /// The position of its first event: what is told begins after it.
    pub begun: Position,
    /// The position of its newest event.
    pub position: Position,
    /// The position of the newest event that moved its cursor.
    pub moved_at: Option<Position>,
    /// The position of the newest event that had it served again.
    pub resumed_at: Option<Position>,
    /// When it began.
    pub since: DateTime<Utc>,
    /// Since when nothing can be sent to it; made, changed, resumed or disabled since then it is counted anew.
    pub unserved_since: Option<DateTime<Utc>>,
    /// Why nobody knows where it stands, if an event of it cannot be read: then it is as it was before that, and nothing is
    /// done with it.
    pub unreadable: Option<String>,
}

impl Known {
    /// Whether its receiver is asked for a proof now and then.
    fn is_asked(&self) -> bool {
        self.unreadable.is_none() && self.subscription.is_asked()
    }
}

/// Those that are not over.
pub type List = Arc<BTreeMap<SubscriptionId, Arc<Known>>>;

/// Why nothing was done, or why that is not known.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// A rule forbids it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The address is none that may be sent to.
    #[error(transparent)]
    Address(#[from] DestinationError),
    /// There are too many.
    #[error("there are as many subscriptions as there may be")]
    Full,
    /// The customer has too many.
    #[error("there are {OF_A_CUSTOMER_MAX} subscriptions of this customer already")]
    CustomerFull,
    /// Too many of the customer's failed lately.
    #[error("too many subscriptions of this customer were disabled within a day; try again tomorrow")]
    CustomerFails,
    /// Nobody knows where it stands.
    #[error("an event of the subscription cannot be read: {0}")]
    Unreadable(String),
    /// Too many at an address were never answered.
    #[error("too many questions at this address wait for an answer")]
    AddressFull,
    /// Nobody who is asked could answer.
    #[error("this desk tells people nothing: public.url is not configured")]
    NoPublicAddress,
    /// It is none of a question that is open, or was tried too often.
    #[error("the code is unknown, or too old")]
    WrongCode,
    /// What it leads to cannot be sealed, or what is sealed not be opened.
    #[error("the subscription's address cannot be sealed or opened: {0}")]
    Keys(String),
    /// The log does not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Too much is waiting; nothing was done.
    #[error("the desk is busy; nothing was done, try again")]
    Busy,
    /// Nobody is there who could.
    #[error("the desk cannot do this at the moment; nothing was done")]
    Down,
    /// Done or not: look before asking again.
    #[error("no answer in time; it may have been done, look before asking again")]
    Unknown,
}

impl From<KeysError> for SubscribeError {
    fn from(error: KeysError) -> Self {
        Self::Keys(error.to_string())
    }
}

impl From<NotOpen> for SubscribeError {
    fn from(error: NotOpen) -> Self {
        Self::Keys(error.to_string())
    }
}

/// A subscription as a request left it.
pub type Done = Result<Arc<Known>, SubscribeError>;

/// What may be asked. Cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    door: Door<Request>,
    list: watch::Receiver<Option<List>>,
    renewals: Renewals,
    unasked: Renewals,
    questions: Questions,
    sinks: Sinks,
}

#[derive(Debug)]
enum Request {
    Subscribe { wanted: Box<Wanted>, by: By, reply: oneshot::Sender<Done> },
    SubscribeCustomer { customer: Hash32, url: String, reply: oneshot::Sender<Done> },
    Register { customer: Hash32, address: String, reply: oneshot::Sender<Done> },
    Answer { id: SubscriptionId, purpose: Purpose, code: String, reply: oneshot::Sender<Done> },
    Patch { id: SubscriptionId, patch: Box<Patch>, by: By, reply: oneshot::Sender<Done> },
    Do { id: SubscriptionId, command: Command, by: Option<By>, why: Option<Note>, reply: oneshot::Sender<Done> },
    SweepKeys { reply: oneshot::Sender<Result<usize, SubscribeError>> },
    EndUnserved { kept: Kept, reply: oneshot::Sender<Result<usize, SubscribeError>> },
}

/// What the service works with.
#[derive(Clone)]
pub struct Settings {
    /// What seals.
    pub keys: CustomerKeys,
    /// Where endpoints may be.
    pub sinks: Sinks,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// Adds the service to the tree.
pub fn start(tree: &Tree, store: Store, settings: Settings) -> Result<Subscriptions, TreeError> {
    let (door, inside) = door(REQUESTS_MAX);
    let list = watch::Sender::new(None);
    let (renewals, unasked, wrong_codes) = (Renewals::default(), Renewals::default(), WrongCodes::default());
    let (questions, failures) = (Questions::new(settings.clock.now()), Failures::default());
    let subscriptions = Subscriptions {
        door,
        list: list.subscribe(),
        renewals: renewals.clone(),
        unasked: unasked.clone(),
        questions: questions.clone(),
        sinks: settings.sinks.clone(),
    };
    tree.add(PART, Policy::permanent(), move |incarnation: Incarnation<Actor>| Actor {
        inside: inside.clone(),
        service: Service {
            book: Book::new(store.clone(), settings.keys.clone(), list.clone()),
            ids: TimeOrderedIds(Arc::clone(&settings.clock)),
            keys: settings.keys.clone(),
            clock: Arc::clone(&settings.clock),
            renewals: renewals.clone(),
            unasked: unasked.clone(),
            questions: questions.clone(),
            failures: failures.clone(),
            wrong_codes: wrong_codes.clone(),
            sinks: settings.sinks.clone(),
        },
        report: incarnation.report,
        scope: incarnation.scope,
    })?;
    Ok(subscriptions)
}

impl Subscriptions {
    /// Begins one for an operator.
    pub async fn subscribe(&self, wanted: Wanted, by: By) -> Done {
        self.call(|reply| Request::Subscribe { wanted: Box::new(wanted), by, reply }).await
    }

    /// Begins one of ton.events' kind for a customer, of his own deposits alone, to a receiver that has to prove itself. Asked
    /// again while one stands, it is that one, and a receiver that was given up is asked again.
    pub async fn subscribe_customer(&self, customer: Hash32, url: String) -> Done {
        self.call(|reply| Request::SubscribeCustomer { customer, url, reply }).await
    }

    /// Changes one for an operator.
    pub async fn patch(&self, id: SubscriptionId, patch: Patch, by: By) -> Done {
        self.call(|reply| Request::Patch { id, patch: Box::new(patch), by, reply }).await
    }

    /// Carries out a command on one.
    pub async fn execute(&self, id: SubscriptionId, command: Command) -> Done {
        self.call(|reply| Request::Do { id, command, by: None, why: None, reply }).await
    }

    /// The same for an operator, who may say why.
    pub async fn execute_by(&self, id: SubscriptionId, command: Command, (by, why): (By, Option<Note>)) -> Done {
        self.call(|reply| Request::Do { id, command, by: Some(by), why, reply }).await
    }

    /// Ends some that nothing could be sent to for too long; says how many.
    async fn end_unserved(&self, kept: Kept) -> Result<usize, SubscribeError> {
        self.call(|reply| Request::EndUnserved { kept, reply }).await
    }

    /// Destroys keys of subscriptions that are over; says how many.
    async fn sweep_keys(&self) -> Result<usize, SubscribeError> {
        self.call(|reply| Request::SweepKeys { reply }).await
    }

    /// Those that are not over, as the log's newest events leave them; nothing before it was read.
    pub fn list(&self) -> Option<List> {
        self.list.borrow().clone()
    }

    /// Those that a customer made for himself and that are not over.
    pub fn of_customer(&self, customer: Hash32) -> Vec<Arc<Known>> {
        let list = self.list().unwrap_or_default();
        list.values().filter(|known| known.subscription.owner() == Some(customer)).cloned().collect()
    }

    /// Rings when one of them changed.
    pub fn changes(&self) -> watch::Receiver<Option<List>> {
        self.list.clone()
    }

    /// Whether there is a way to where a subscription leads: what is configured may be otherwise than when it began.
    pub fn way(&self, known: &Known) -> Result<(), DestinationError> {
        // Where it is not known where it leads, that is said for itself.
        known.endpoint.as_ref().map_or(Ok(()), |endpoint| self.sinks.parse(&endpoint.url).map(drop))
    }

    /// Where endpoints may be.
    pub fn sinks(&self) -> &Sinks {
        &self.sinks
    }

    async fn call<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, SubscribeError>>) -> Request,
    ) -> Result<T, SubscribeError> {
        self.door.call(request, ANSWER_WITHIN).await.map_err(|error| match error {
            AskError::Busy => SubscribeError::Busy,
            AskError::Down => SubscribeError::Down,
            AskError::Unknown => SubscribeError::Unknown,
        })?
    }
}

/// The actor: its work is two tasks of its incarnation, and ends with it.
pub struct Actor {
    inside: Inside<Request>,
    service: Service,
    report: Reporter,
    scope: Scope,
}

impl xtra::Actor for Actor {
    type Stop = Result<(), ReadError>;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        let (book, report) = (self.service.book.clone(), self.report.clone());
        book.store().ready_for(&report).await;
        let mut followed = book.begin(report).await.map_err(Err)?;
        self.scope.spawn(async move { followed.follow().await.map(|never| match never {}) });
        let (inside, service) = (self.inside.clone(), self.service.clone());
        self.scope.spawn(async move {
            inside.serve(AT_ONCE_MAX, |request| service.carry_out(request)).await;
            // Every handle is gone; the list is still to be followed.
            std::future::pending::<()>().await
        });
        Ok(())
    }

    async fn stopped(self) -> Self::Stop {
        Ok(())
    }
}

#[derive(Clone)]
struct Service {
    book: Book,
    ids: TimeOrderedIds,
    keys: CustomerKeys,
    clock: Arc<dyn Clock>,
    renewals: Renewals,
    unasked: Renewals,
    questions: Questions,
    failures: Failures,
    wrong_codes: WrongCodes,
    sinks: Sinks,
}

impl Service {
    /// A caller who has given up is not served: nothing is what it became.
    async fn carry_out(&self, request: Request) {
        match request {
            Request::Subscribe { wanted, by, reply } => answer(reply, self.subscribe(*wanted, &by)).await,
            Request::SubscribeCustomer { customer, url, reply } => {
                answer(reply, self.subscribe_customer(customer, url)).await;
            }
            Request::Register { customer, address, reply } => answer(reply, self.register(customer, address)).await,
            Request::Answer { id, purpose, code, reply } => answer(reply, self.answer(id, purpose, &code)).await,
            Request::Patch { id, patch, by, reply } => answer(reply, self.patch(id, *patch, &by)).await,
            Request::Do { id, command, by, why, reply } => answer(reply, self.execute_by(id, command, (by, why))).await,
            Request::SweepKeys { reply } => answer(reply, self.sweep_keys()).await,
            Request::EndUnserved { kept, reply } => answer(reply, self.end_unserved(kept)).await,
        }
    }

    /// What is over is forgotten: nobody can read any more where it led.
    async fn execute(&self, id: SubscriptionId, command: Command) -> Done {
        self.execute_by(id, command, (None, None)).await
    }

    async fn execute_by(&self, id: SubscriptionId, command: Command, (by, why): (Option<By>, Option<Note>)) -> Done {
        let before = self.book.list().get(&id).cloned();
        let known = self.book.execute(id, command, (by.as_ref(), why.as_ref())).await?;
        self.failures.look(before.as_deref(), &known, self.clock.now());
        if known.subscription.ended.is_some() {
            // It is over either way; whoever ends it again has its key destroyed.
            if let Err(error) = endpoint::forget(&self.keys, id, self.clock.now()).await {
                tracing::error!(%error, subscription = %id, "the key of a subscription that is over is not destroyed");
            }
        }
        Ok(known)
    }

    async fn subscribe(&self, wanted: Wanted, by: &By) -> Done {
        self.destination(&wanted.endpoint.url, wanted.ownership)?;
        self.find_place(wanted.terms.customer).await?;
        self.begin(wanted, Some(by)).await
    }

    async fn begin(&self, wanted: Wanted, by: Option<&By>) -> Done {
        let id = self.ids.subscription_id();
        let Wanted { endpoint, terms, ownership } = wanted;
        let asked = |sealed| Command::Subscribe(Box::new(Subscribe { id, sealed, terms, ownership }));
        let unsealed = asked.clone()(String::new());
        Subscription::decide(None, &unsealed)?;
        let sealed = endpoint.seal(&self.keys, id).await?;
        self.book.execute(id, asked(sealed), (by, None)).await
    }

    /// Who was not vouched for is told by a webhook, which proves that it holds the secret.
    fn destination(&self, url: &str, ownership: Ownership) -> Result<Destination, DestinationError> {
        let destination = self.sinks.parse(url)?;
        match (ownership, &destination) {
            (Ownership::Vouched, _) | (Ownership::ToBeProved, Destination::Webhook(_)) => Ok(destination),
            (Ownership::ToBeProved, _) => Err(DestinationError::NotVouched),
        }
    }

    /// Sees to it that there is a place for another one.
    async fn find_place(&self, customer: Option<Hash32>) -> Result<(), SubscribeError> {
        self.make_room(customer).await?;
        let list = self.book.list();
        if list.len() >= SUBSCRIPTIONS_MAX {
            return Err(SubscribeError::Full);
        }
        let is_his = |known: &&Arc<Known>| known.subscription.terms.customer == customer;
        if customer.is_some() && list.values().filter(is_his).count() >= OF_A_CUSTOMER_MAX {
            return Err(SubscribeError::CustomerFull);
        }
        Ok(())
    }

    async fn patch(&self, id: SubscriptionId, patch: Patch, by: &By) -> Done {
        let known = self.book.known(id).await?;
        let mut endpoint = known.endpoint.clone()?;
        let address = match patch.url {
            Some(url) if url != endpoint.url => {
                let ownership = match known.subscription.proof {
                    Proof::NotNeeded => Ownership::Vouched,
                    Proof::Missing { .. } | Proof::Given { .. } => Ownership::ToBeProved,
                };
                self.destination(&url, ownership)?;
                endpoint.url = url;
                Address::Other
            }
            Some(_) | None => Address::Same,
        };
        if let Some((secret, until)) = patch.rotation {
            endpoint.rotate(secret, until);
        }
        let mut terms = known.subscription.terms.clone();
        terms.events = patch.events.unwrap_or(terms.events);
        let change = |sealed| Command::ChangeSubscription(Box::new(Change { sealed, terms, address }));
        Subscription::decide(Some(&known.subscription), &change.clone()(String::new()))?;
        // Sealed anew it would be another one, and proofs of it would count for nothing.
        let is_same = known.endpoint.as_ref() == Ok(&endpoint);
        let sealed = match is_same {
            true => known.subscription.sealed.clone(),
            false => endpoint.seal(&self.keys, id).await?,
        };
        self.book.execute(id, change(sealed), (Some(by), None)).await
    }
}

async fn answer<T>(
    reply: oneshot::Sender<Result<T, SubscribeError>>,
    doing: impl Future<Output = Result<T, SubscribeError>>,
) {
    if reply.is_closed() {
        return;
    }
    let done = doing.await;
    if let Err(error) = &done {
        tracing::warn!(%error, "a request about a subscription was not carried out");
    }
    let _ = reply.send(done);
}
