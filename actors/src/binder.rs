//! Gives deposit addresses to customers. Owns the address book: a number is claimed here, in memory, before anything is
//! awaited, so no two customers ever get the same address and nobody gets more than the limit, however many ask at once.
//!
//! It does not wait for the disk: each bind is a task that awaits its own append, so all that is asked for together
//! shares one commit. It does not judge addresses of customers; whoever asks has validated them.

mod book;
mod claims;
mod source;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::Shared;
use millrace_model::address_book::AddressIssued;
use millrace_model::binding;
use millrace_model::deposit::{Customer, Method};
use millrace_model::desk::{self, Closed, Switch};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{CommandId, Position, StreamName};
use millrace_protocols::receive::DeriveError;
use tokio::sync::{oneshot, watch};
use xtra::{Context, Handler, Mailbox};

use crate::door::{Door, Inside, door};
use crate::event_store::{Append, AppendError, Committed, Epoch, Expected, Origin, Progress, ReadError, Store, Write};
use crate::head_file::{HeadFile, NotReserved};
use crate::supervision::{AskError, Incarnation, Policy, Reporter, Scope, Tree, TreeError, WeakAddress, ask};
pub(crate) use book::next_index;
use claims::Claims;

pub use source::AddressSource;

/// The part's name in the tree.
pub const PART: &str = "binder";

/// How many binds may wait at the door, and how many are under way at once.
const REQUESTS_MAX: usize = 1_024;
/// How long the binder may take to claim; the append has its own limit.
const CLAIM_WITHIN: Duration = Duration::from_secs(5);
/// How many addresses of another time's list are passed over for one bind.
const PASSED_OVER_MAX: u32 = 100_000;

/// How addresses are given out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where they come from.
    pub source: Arc<AddressSource>,
    /// How many one customer may have.
    pub addresses_max_per_target: u64,
    /// Warn when no more than this many are left.
    pub low_pool: u32,
    /// Where the operator's switches stand.
    pub switches: watch::Receiver<desk::Desk>,
    /// Where it is noted, outside the log, which numbers may be in use.
    pub head_file: HeadFile,
}

/// Give this customer a deposit address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The Skycoin address to pay, validated.
    pub target: String,
    /// The method of the day, for the record.
    pub method: Method,
    /// Recognises the request when it is repeated: the first outcome is given again.
    pub command_id: CommandId,
}

/// An address that belongs to a customer now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The deposit address.
    pub address: String,
    /// Its number.
    pub index: u32,
    /// Where the log has it.
    pub position: Position,
}

/// Why no address was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// An operator has switched binding off.
    #[error("an operator has switched binding off")]
    Switched,
    /// The log was restored, and nobody has said yet that it may go on.
    #[error("the desk is halted: its log may not know which addresses are taken")]
    Halted,
    /// The number cannot be noted outside the log.
    #[error(transparent)]
    NotReserved(#[from] NotReserved),
    /// The customer has as many as he may have.
    #[error("there are {0} deposit addresses for this payout address already, and no more are given")]
    LimitReached(u64),
    /// No addresses are left.
    #[error("the desk has no more deposit addresses")]
    PoolEmpty,
    /// Another command went by the same id.
    #[error("this request's id was used for something else")]
    IdTaken,
    /// The log did not take it, or does not say whether it did.
    #[error(transparent)]
    Store(#[from] AppendError),
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Unreadable(String),
}

impl From<ReadError> for BindError {
    fn from(error: ReadError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// A bind and where its answer goes; what comes through the [`Door`].
#[derive(Debug)]
pub struct BindRequest {
    /// What is asked for.
    pub bind: Bind,
    /// Who asks.
    pub reply: oneshot::Sender<Result<Bound, BindError>>,
}

/// The answer of a bind that is under way; an error of its own means that its outcome is unknown.
pub type Pending = Shared<oneshot::Receiver<Result<Bound, BindError>>>;

/// Adds the binder to the tree and starts it. Binds come through the door, from any thread.
pub fn start(tree: &Tree, settings: Settings, store: Store) -> Result<Door<BindRequest>, TreeError> {
    let (outside, inside) = door(REQUESTS_MAX);
    tree.add(PART, policy(), move |incarnation: Incarnation<Actor>| Actor {
        settings: settings.clone(),
        store: store.clone(),
        inside: inside.clone(),
        incarnation,
        desk: None,
    })?;
    Ok(outside)
}

/// It waits for the log as long as that takes, and says so.
fn policy() -> Policy {
    Policy { start_within: Duration::from_secs(24 * 60 * 60), ..Policy::permanent() }
}

/// The actor. It asks the store.
pub struct Actor {
    settings: Settings,
    store: Store,
    inside: Inside<BindRequest>,
    incarnation: Incarnation<Self>,
    desk: Option<Arc<Desk>>,
}

/// What the actor and the binds under way share.
#[derive(Debug)]
struct Desk {
    settings: Settings,
    store: Store,
    epoch: Epoch,
    claims: Mutex<Claims>,
    report: Reporter,
}

impl xtra::Actor for Actor {
    type Stop = Result<(), BindError>;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        let report = self.incarnation.report.clone();
        self.store.ready_for(&report).await;
        self.settings.head_file.compared_for(&report).await;
        // Until they were read, "off" means nothing; an error says that nobody will turn them.
        let _ = self.settings.switches.clone().changed().await;
        let desk = Desk::load(self.settings.clone(), self.store.clone(), report).await.map_err(Err)?;
        self.desk = Some(Arc::new(desk));
        let (inside, me) = (self.inside.clone(), self.incarnation.me.clone());
        self.incarnation.scope.spawn(async move { inside.serve(REQUESTS_MAX, |request| serve(&me, request)).await });
        Ok(())
    }

    async fn stopped(self) -> Self::Stop {
        Ok(())
    }
}

/// Passes one request from the door to the actor and its answer back. Who gets none has to count it as unknown.
async fn serve(me: &WeakAddress<Actor>, request: BindRequest) {
    let Some(me) = me.upgrade() else { return };
    let answer = match ask(&me, request.bind, CLAIM_WITHIN).await {
        Ok(Ok(pending)) => pending.await.unwrap_or(Err(AppendError::Unknown.into())),
        Ok(Err(error)) => Err(error),
        Err(AskError::Busy) => Err(AppendError::Busy.into()),
        Err(AskError::Down) => Err(AppendError::Unavailable("the binder is not running".to_owned()).into()),
        Err(AskError::Unknown) => Err(AppendError::Unknown.into()),
    };
    let _ = request.reply.send(answer);
}

impl Handler<Bind> for Actor {
    type Return = Result<Pending, BindError>;

    async fn handle(&mut self, bind: Bind, _: &mut Context<Self>) -> Self::Return {
        match self.settings.switches.borrow().closed(Switch::Binds) {
            Some(Closed::SwitchedOff) => return Err(BindError::Switched),
            Some(Closed::Halted) => return Err(BindError::Halted),
            None => {}
        }
        let desk = self.desk.as_ref().expect("messages come after the start");
        desk.begin(bind, &self.incarnation.scope)
    }
}

impl Desk {
    async fn load(settings: Settings, store: Store, report: Reporter) -> Result<Self, BindError> {
        let owned = store.own(StreamName::AddressBook).await?;
        let claims = Mutex::new(Claims::new(next_index(&*store.reader()?)?));
        let desk = Self { settings, store, epoch: owned.epoch, claims, report };
        desk.warn_of_a_low_pool();
        Ok(desk)
    }

    /// Everything that must not be interleaved: no await in here.
    fn begin(self: &Arc<Self>, bind: Bind, scope: &Scope) -> Result<Pending, BindError> {
        let mut claims = self.claims();
        if let Some(pending) = claims.pending(bind.command_id) {
            return Ok(pending);
        }
        let (reply, answer) = oneshot::channel();
        let answer = answer.shared();
        let room = claims.begin(&bind.target, self.settings.addresses_max_per_target, || {
            Ok(self.store.reader()?.count_of_label(&bind.target)?)
        });
        if let Err(full) = room {
            // A repeated command needs no room. Where there is some, the log says that it is one.
            let bound = self.earlier(bind.command_id)?.ok_or(full)?;
            let _ = reply.send(Ok(bound));
            return Ok(answer);
        }
        claims.under_way(bind.command_id, answer.clone());
        drop(claims);
        let desk = Arc::clone(self);
        scope.spawn(async move {
            let outcome = desk.issue(&bind).await;
            let newly_bound = outcome.as_ref().is_ok_and(|(_, origin)| *origin == Origin::New);
            desk.claims().end(bind.command_id, &bind.target, u64::from(newly_bound));
            let answer = outcome.map(|(bound, _)| bound);
            let end = if answer.as_ref().is_err_and(is_fatal) { answer.clone().map(|_| ()) } else { Ok(()) };
            let _ = reply.send(answer);
            end
        });
        Ok(answer)
    }

    /// Gives out the next address that nobody has.
    async fn issue(&self, bind: &Bind) -> Result<(Bound, Origin), BindError> {
        for _ in 0..PASSED_OVER_MAX {
            let index = self.claims().take_index();
            self.warn_of_a_low_pool();
            let address = match self.settings.source.address(index) {
                Ok(address) => address.to_string(),
                Err(DeriveError::NoKey) => continue,
                Err(DeriveError::Exhausted) => {
                    self.claims().give_back(index);
                    let bound = self.earlier(bind.command_id)?.ok_or(BindError::PoolEmpty)?;
                    return Ok((bound, Origin::Repeated));
                }
            };
            if let Err(error) = self.settings.head_file.reserve(index).await {
                self.claims().give_back(index);
                return Err(error.into());
            }
            match self.store.append(self.append(bind, index, &address)).await {
                Ok(Committed { last, origin: Origin::New, .. }) => {
                    return Ok((Bound { address, index, position: last }, Origin::New));
                }
                Ok(Committed { origin: Origin::Repeated, .. }) => {
                    self.claims().give_back(index);
                    let bound = self.earlier(bind.command_id)?.ok_or(BindError::IdTaken)?;
                    return Ok((bound, Origin::Repeated));
                }
                // Bound when the addresses came from another source, or from a list in another order.
                Err(AppendError::Conflict { stream: StreamName::Binding(_), .. }) => {}
                Err(error) => {
                    if matches!(error, AppendError::Busy | AppendError::Unavailable(_)) {
                        self.claims().give_back(index);
                    }
                    return Err(error.into());
                }
            }
        }
        Err(BindError::PoolEmpty)
    }

    fn append(&self, bind: &Bind, index: u32, address: &str) -> Append {
        let customer = Customer { target: bind.target.clone(), bound_method: bind.method };
        let bound = binding::Bound { address: address.to_owned(), index, customer };
        let body = serde_json::to_string(&bound).expect("events have text keys");
        let issued = Event::AddressBook(AddressIssued { index }.into());
        let book = Write::new(StreamName::AddressBook, Expected::Owner(self.epoch), vec![issued]);
        let stream = StreamName::Binding(address.into());
        let binding = Write {
            label: Some(bind.target.clone()),
            progress: Progress::Finished,
            ..Write::new(stream, Expected::Exactly(0), vec![Event::Binding(bound.into())])
        };
        Append {
            command_id: bind.command_id,
            command: "BindAddress",
            body,
            causation: None,
            correlation: None,
            writes: vec![book, binding],
        }
    }

    /// What came of the command when it was given before.
    fn earlier(&self, command_id: CommandId) -> Result<Option<Bound>, BindError> {
        let reader = self.store.reader()?;
        let Some((first, last)) = reader.outcome(command_id)? else { return Ok(None) };
        reader.range(first, last)?.iter().find_map(bound).map(Some).ok_or(BindError::IdTaken)
    }

    fn warn_of_a_low_pool(&self) {
        let Some(size) = self.settings.source.size() else { return };
        match self.claims().left_of(size) {
            0 => self.report.set("address_pool", "no deposit address is left: nobody can be given one"),
            left if left <= self.settings.low_pool => {
                self.report.set("address_pool", format!("only {left} deposit addresses are left"));
            }
            _ => self.report.clear("address_pool"),
        }
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bound(recorded: &Recorded) -> Option<Bound> {
    let Event::Binding(binding::Event::Bound(bound)) = &recorded.event else { return None };
    Some(Bound { address: bound.address.clone(), index: bound.index, position: recorded.position })
}

/// Whether what is in memory can no longer be trusted, so that the next incarnation has to read the log.
fn is_fatal(error: &BindError) -> bool {
    match error {
        BindError::Store(error) => match error {
            AppendError::Busy | AppendError::Unavailable(_) | AppendError::TooLarge { .. } => false,
            AppendError::Conflict { .. }
            | AppendError::KeyTaken { .. }
            | AppendError::Fenced { .. }
            | AppendError::Unknown => true,
        },
        BindError::Switched
        | BindError::Halted
        | BindError::NotReserved(_)
        | BindError::LimitReached(_)
        | BindError::PoolEmpty
        | BindError::IdTaken
        | BindError::Unreadable(_) => false,
    }
}
