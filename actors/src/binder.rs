//! Gives out deposit addresses: the owner of the address book.
//!
//! Every claim (the next number, one more address of a customer) is made in memory before the append is waited for, so
//! that many binds share a commit and none exceeds a limit. A number is never given out twice; one whose append failed
//! is left out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::Address;
use millrace_model::address_book::{AddressBook, AddressIssued};
use millrace_model::binding::{self, Bound as BoundEvent};
use millrace_model::deposit::{Customer, Method};
use millrace_model::desk::{Desk, Setting, Switch};
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, Position, StreamName};
use millrace_protocols::receive::AccountKey;
use tokio::sync::{oneshot, watch};
use xtra::{Context, Handler, Mailbox};

use crate::door::{Door, Inside, door};
use crate::event_store::{Append, AppendError, Committed, Epoch, Expected, Origin, ReadError, Store, Write};
use crate::supervision::{AskError, Incarnation, Policy, Reporter, Scope, Tree, TreeError, WeakAddress, ask};

/// The part's name in the tree.
pub const PART: &str = "binder";
/// How many binds may wait at the door.
const WAITING_MAX: usize = 4_096;
/// How many are in hand at once.
const AT_ONCE_MAX: usize = 1_024;
const BIND_WITHIN: Duration = Duration::from_secs(10);
/// How many customers' counts are kept; beyond it all are forgotten and counted again.
const COUNTS_MAX: usize = 200_000;
/// Numbers are claimed in order and committed nearly so: never further from their place than binds can be in hand. The
/// highest one is therefore among so many newest events.
const OUT_OF_ORDER_MAX: u64 = 10_000;

/// Where addresses come from.
#[derive(Debug, Clone)]
pub enum AddressSource {
    /// Derived from an account key, watch-only; there is always another.
    Key(Box<AccountKey>),
    /// Made elsewhere; the list ends.
    List(Arc<[Address]>),
}

impl AddressSource {
    /// The address with a number; `None` past the end.
    pub fn address(&self, number: u32) -> Option<Address> {
        match self {
            Self::Key(key) => key.address(number).ok(),
            Self::List(addresses) => addresses.get(number as usize).cloned(),
        }
    }

    fn left(&self, next: u32) -> Option<usize> {
        match self {
            Self::Key(_) => None,
            Self::List(addresses) => Some(addresses.len().saturating_sub(next as usize)),
        }
    }
}

/// How the binder is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where addresses come from.
    pub addresses: AddressSource,
    /// How many one customer may have.
    pub per_customer_max: u64,
    /// So few unused addresses are worth a warning.
    pub low_pool_warning: usize,
    /// Where the operator's switches stand.
    pub switches: watch::Receiver<Desk>,
}

/// An address that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The deposit address.
    pub address: String,
    /// The position of the binding.
    pub position: Position,
}

/// Why no address was given out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The customer has as many as allowed.
    #[error("the customer has as many addresses as allowed")]
    LimitReached,
    /// There is none left.
    #[error("no address is left in the pool")]
    PoolEmpty,
    /// An operator has switched it off.
    #[error("an operator has switched binding off")]
    Switched,
    /// Too many are asking.
    #[error("too many are asking")]
    Busy,
    /// The log does not take it, or did not answer: with the same command id the call may be repeated.
    #[error("the desk cannot give out addresses: {0}")]
    Unavailable(String),
}

/// Gives out addresses, from any thread.
#[derive(Debug, Clone)]
pub struct Binder {
    door: Door<Request>,
}

impl Binder {
    /// Binds a fresh address to a customer's Skycoin address, which was checked. With a command id a repeated call
    /// answers the first one's address.
    pub async fn bind(
        &self,
        target: String,
        method: Method,
        command_id: Option<CommandId>,
    ) -> Result<Bound, BindError> {
        let customer = Customer { target, bound_method: method };
        match self.door.call(|reply| Request { customer, command_id, reply }, BIND_WITHIN).await {
            Ok(outcome) => outcome,
            Err(AskError::Busy) => Err(BindError::Busy),
            Err(error @ (AskError::Down | AskError::Unknown)) => Err(BindError::Unavailable(error.to_string())),
        }
    }
}

/// What comes through the door.
#[derive(Debug)]
struct Request {
    customer: Customer,
    command_id: Option<CommandId>,
    reply: oneshot::Sender<Result<Bound, BindError>>,
}

/// Adds the binder to the tree.
pub fn start(tree: &Tree, store: Store, settings: Settings) -> Result<Binder, TreeError> {
    let (outside, inside) = door(WAITING_MAX);
    tree.add(PART, Policy::permanent(), move |incarnation: Incarnation<Actor>| Actor {
        store: store.clone(),
        settings: settings.clone(),
        inside: inside.clone(),
        me: incarnation.me,
        scope: incarnation.scope,
        report: incarnation.report,
        epoch: Epoch(0),
        next: 0,
        counts: HashMap::new(),
    })?;
    Ok(Binder { door: outside })
}

/// The actor.
pub struct Actor {
    store: Store,
    settings: Settings,
    inside: Inside<Request>,
    me: WeakAddress<Self>,
    scope: Scope,
    report: Reporter,
    epoch: Epoch,
    /// The next number nobody has.
    next: u32,
    /// Addresses a customer has, claims included.
    counts: HashMap<String, u64>,
}

/// Why the binder starts afresh.
#[derive(Debug, thiserror::Error)]
pub enum BinderError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log does not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log's bell is gone.
    #[error("the event store is gone")]
    StoreGone,
}

impl Actor {
    async fn take_over(&mut self) -> Result<(), BinderError> {
        self.store.ready().await;
        let owned = self.store.own(StreamName::AddressBook).await?;
        self.epoch = owned.epoch;
        let reader = self.store.reader()?;
        let mut book = AddressBook::default();
        for recorded in reader.stream(&StreamName::AddressBook, owned.version.saturating_sub(OUT_OF_ORDER_MAX))? {
            if let Event::AddressBook(event) = &recorded.event {
                book = book.evolve(event);
            }
        }
        self.next = book.next_index();
        self.warn_of_low_pool();
        Ok(())
    }

    fn warn_of_low_pool(&self) {
        match self.settings.addresses.left(self.next) {
            Some(left) if left <= self.settings.low_pool_warning => {
                self.report.set("address_pool", format!("{left} deposit address(es) left"));
            }
            Some(_) | None => self.report.clear("address_pool"),
        }
    }

    fn claim(&mut self, customer: &Customer, command_id: Option<CommandId>) -> Result<Append, BindError> {
        if self.settings.switches.borrow().setting(Switch::Binds) == Setting::Off {
            return Err(BindError::Switched);
        }
        let count = self.count(&customer.target)?;
        if count >= self.settings.per_customer_max {
            return Err(BindError::LimitReached);
        }
        let address = self.settings.addresses.address(self.next).ok_or(BindError::PoolEmpty)?.to_string();
        self.counts.insert(customer.target.clone(), count + 1);
        let index = self.next;
        self.next += 1;
        self.warn_of_low_pool();
        Ok(self.append(address, index, customer, command_id))
    }

    fn count(&mut self, target: &str) -> Result<u64, BindError> {
        if let Some(count) = self.counts.get(target) {
            return Ok(*count);
        }
        if self.counts.len() >= COUNTS_MAX {
            self.counts.clear();
        }
        let count = self.store.reader().and_then(|reader| reader.count_of_label(target));
        count.map_err(|error| unavailable(&error))
    }

    fn append(&self, address: String, index: u32, customer: &Customer, command_id: Option<CommandId>) -> Append {
        let body = serde_json::json!({ "address": address, "index": index, "customer": customer }).to_string();
        let stream = StreamName::Binding(address.as_str().into());
        let command_id = command_id.unwrap_or_else(|| CommandId::of_fact(&["bind", &address]));
        let bound = BoundEvent { address, index, customer: customer.clone() };
        let issued = Event::AddressBook(AddressIssued { index }.into());
        let book = Write::new(StreamName::AddressBook, Expected::Owner(self.epoch), vec![issued]);
        let binding = Write {
            label: Some(customer.target.clone()),
            ..Write::new(stream, Expected::Exactly(0), vec![Event::Binding(bound.into())])
        };
        Append { command_id, command: "Bind", body, causation: None, correlation: None, writes: vec![book, binding] }
    }
}

impl xtra::Actor for Actor {
    type Stop = Result<(), BinderError>;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        self.take_over().await.map_err(Err)?;
        let (inside, store, me, scope) = (self.inside.clone(), self.store.clone(), self.me.clone(), self.scope.clone());
        self.scope.spawn(async move {
            inside.serve(AT_ONCE_MAX, |request| serve(request, store.clone(), me.clone(), scope.clone())).await;
        });
        Ok(())
    }

    async fn stopped(self) -> Self::Stop {
        Ok(())
    }
}

/// One bind, from the claim to the answer.
async fn serve(request: Request, store: Store, me: WeakAddress<Actor>, scope: Scope) {
    let Request { customer, command_id, reply } = request;
    let target = customer.target.clone();
    let outcome = bind(&store, &me, customer, command_id).await;
    match &outcome {
        Err(Failure::Fenced(error)) => {
            let error = error.clone();
            scope.spawn(async move { Err::<(), _>(error) });
        }
        Err(Failure::NotStored(_)) | Ok((_, Origin::Repeated)) => unclaim(&me, target).await,
        Err(Failure::Refused(_)) | Ok((_, Origin::New)) => {}
    }
    // Whoever has gone meanwhile asks again with the same command id.
    let _ = reply.send(outcome.map(|(bound, _)| bound).map_err(BindError::from));
}

enum Failure {
    /// Nothing was claimed.
    Refused(BindError),
    /// Claimed and not stored, as far as is known.
    NotStored(String),
    /// Somebody else is the owner now; this incarnation is over.
    Fenced(AppendError),
}

impl From<Failure> for BindError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => error,
            Failure::NotStored(reason) => Self::Unavailable(reason),
            Failure::Fenced(error) => Self::Unavailable(error.to_string()),
        }
    }
}

async fn bind(
    store: &Store,
    me: &WeakAddress<Actor>,
    customer: Customer,
    command_id: Option<CommandId>,
) -> Result<(Bound, Origin), Failure> {
    let gone = |error: AskError| Failure::Refused(BindError::Unavailable(error.to_string()));
    if let Some(bound) = earlier(store, command_id).map_err(|error| Failure::Refused(unavailable(&error)))? {
        return Ok((bound, Origin::New));
    }
    let binder = me.upgrade().ok_or_else(|| gone(AskError::Down))?;
    let append = ask(&binder, Claim { customer, command_id }, BIND_WITHIN).await.map_err(gone)?;
    let append = append.map_err(Failure::Refused)?;
    match store.append(append).await {
        Ok(Committed { first, last, origin }) => {
            let address = bound_in(store, first, last).map_err(|error| Failure::NotStored(error.to_string()))?;
            Ok((Bound { address, position: last }, origin))
        }
        Err(error @ AppendError::Fenced { .. }) => Err(Failure::Fenced(error)),
        Err(error) => Err(Failure::NotStored(error.to_string())),
    }
}

/// What the same command gave out before; asked first, so that a repeated call finds its address even at the limit.
fn earlier(store: &Store, command_id: Option<CommandId>) -> Result<Option<Bound>, ReadError> {
    let Some(command_id) = command_id else { return Ok(None) };
    let Some((first, last)) = store.reader()?.outcome(command_id)? else { return Ok(None) };
    Ok(Some(Bound { address: bound_in(store, first, last)?, position: last }))
}

fn unavailable(error: &ReadError) -> BindError {
    BindError::Unavailable(error.to_string())
}

/// The address that the events of a bind give out; a repeated one's lie anywhere in the log.
fn bound_in(store: &Store, first: Position, last: Position) -> Result<String, ReadError> {
    let found = |events: &mut dyn Iterator<Item = &millrace_model::event::Recorded>| {
        events.take_while(|recorded| recorded.position <= last).find_map(|recorded| match &recorded.event {
            Event::Binding(binding::Event::Bound(bound)) => Some(bound.address.clone()),
            _ => None,
        })
    };
    if let Some(page) = store.recent_after(first - 1, (last + 1 - first) as usize)
        && let Some(address) = found(&mut page.events())
    {
        return Ok(address);
    }
    let events = store.reader()?.range(first, last)?;
    Ok(found(&mut events.iter()).unwrap_or_default())
}

async fn unclaim(me: &WeakAddress<Actor>, target: String) {
    if let Some(binder) = me.upgrade() {
        // A binder that is gone counts anew.
        let _ = ask(&binder, Unclaim { target }, BIND_WITHIN).await;
    }
}

/// Claim a number and one more address of a customer.
struct Claim {
    customer: Customer,
    command_id: Option<CommandId>,
}

impl Handler<Claim> for Actor {
    type Return = Result<Append, BindError>;

    async fn handle(&mut self, Claim { customer, command_id }: Claim, _: &mut Context<Self>) -> Self::Return {
        self.claim(&customer, command_id)
    }
}

/// The claim came to nothing: count the customer's addresses anew.
struct Unclaim {
    target: String,
}

impl Handler<Unclaim> for Actor {
    type Return = ();

    async fn handle(&mut self, Unclaim { target }: Unclaim, _: &mut Context<Self>) {
        if let Some(count) = self.counts.get_mut(&target) {
            *count = count.saturating_sub(1);
        }
    }
}
