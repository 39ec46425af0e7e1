//! What an operator may do: hold, release and pay back deposits, turn switches, halt and resume, declare transfers.
//!
//! A service on the actor runtime behind a [`Door`], so that HTTP threads can use it. It is the writer of the
//! desk's own stream (only the head file tells it besides that the log was restored), and keeps what that stream says of the switches at hand for the parts that obey them.
//!
//! Not responsible for who may ask: the faces in front of it check the operator's token or session, and say by whom each request is.

mod deeds;
mod desk;
mod note;
mod sealing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use millrace_model::alert::Alert;
use millrace_model::deposit::{Command, Rejection, Request as Wish};
use millrace_model::desk::{Coins, Desk, HaltCause, Place, Setting, Switch, TransferKind};
use millrace_model::ids::{DepositId, Hash32, Position, Version};
use millrace_model::operator::By;
use millrace_model::spend::Spend;
use tokio::sync::{oneshot, watch};
use xtra::Mailbox;

use crate::customer_keys::CustomerKeys;
use crate::deposits::{Deposits, ExecuteError, Tracked};
use crate::door::{Door, Inside, door};
use crate::event_store::{AppendError, ReadError};
use crate::supervision::{AskError, Incarnation, Policy, Reporter, Scope, Tree, TreeError};

use deeds::Deeds;
pub use deeds::{Deed, KEPT_MAX, Waiting};
use desk::{DeskStream, closed};
pub use note::{NOTE_CHARS_MAX, Note, NoteError};

/// The part's name in the tree.
pub const PART: &str = "operations";
/// Operators are few; more than this at once is not one.
const REQUESTS_MAX: usize = 64;
/// How many requests are carried out at once.
const AT_ONCE_MAX: usize = 8;
/// Longer than an append may take, so that an answer is lost only when the log's own is.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);

/// Why an operation was not carried out, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperateError {
    /// There is no such deposit.
    #[error("there is no deposit {0}")]
    NoSuchDeposit(DepositId),
    /// An event of it cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// A rule forbids it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It is no more as it was when somebody looked at it; nothing was done.
    #[error("it is at version {version} by now, and was seen at version {seen}; nothing was done")]
    MovedOn {
        /// Where its stream was seen to end.
        seen: Version,
        /// Where it ends.
        version: Version,
    },
    /// The note cannot be made ciphertext; nothing was done.
    #[error("the note cannot be sealed, nothing was done: {0}")]
    NotSealed(String),
    /// Too much is waiting; nothing was done.
    #[error("the desk is busy; nothing was done, try again")]
    Busy,
    /// The log or this service is not there; nothing was done.
    #[error("the desk cannot do this at the moment, nothing was done: {0}")]
    Unavailable(String),
    /// Done or not: look before asking again.
    #[error("no answer in time; it may have been done, look before asking again")]
    Unknown,
}

/// A movement of coins that no customer asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// What it is.
    pub kind: TransferKind,
    /// Where.
    pub place: Place,
    /// How much.
    pub coins: Coins,
}

/// A deposit as an operation left it.
pub type Operated = Result<Arc<Tracked>, OperateError>;
/// The position of the event that says so.
pub type Declared = Result<Position, OperateError>;

/// What may be asked. Cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct Operations {
    door: Door<Request>,
    switches: watch::Receiver<Desk>,
    keys: CustomerKeys,
    deeds: Deeds,
}

/// Who asks for something to be done to a deposit.
#[derive(Debug)]
struct Asked {
    by: By,
    /// Where he saw its stream end, if he looked.
    seen: Option<Version>,
}

#[derive(Debug)]
enum Request {
    Deposit { id: DepositId, command: Command, asked: Asked, reply: oneshot::Sender<Operated> },
    Switch { switch: Switch, setting: Setting, note: Note, by: By, reply: oneshot::Sender<Declared> },
    Halt { cause: HaltCause, by: Option<By>, reply: oneshot::Sender<Declared> },
    Resume { note: Note, by: By, reply: oneshot::Sender<Declared> },
    Transfer { transfer: Transfer, note: Note, key: Option<String>, by: Option<By>, reply: oneshot::Sender<Declared> },
    SweepSeen { spend: Spend, reply: oneshot::Sender<Declared> },
    SpendsMatched { block_seq: u64, reply: oneshot::Sender<Declared> },
    Alert { alert: Alert, reply: oneshot::Sender<Declared> },
    Acted { deed: Deed, reply: oneshot::Sender<Declared> },
}

/// Adds the service to the tree. What operators say of a deposit is sealed with these keys.
pub fn start(tree: &Tree, deposits: Deposits, keys: CustomerKeys) -> Result<Operations, TreeError> {
    let (door, inside) = door(REQUESTS_MAX);
    let switches = watch::Sender::new(closed());
    let deeds = Deeds::default();
    let operations = Operations { door, switches: switches.subscribe(), keys: keys.clone(), deeds: deeds.clone() };
    tree.add(PART, Policy::permanent(), move |incarnation: Incarnation<Actor>| Actor {
        inside: inside.clone(),
        deposits: deposits.clone(),
        keys: keys.clone(),
        desk: DeskStream::new(deposits.store().clone(), switches.clone()),
        deeds: deeds.clone(),
        report: incarnation.report,
        scope: incarnation.scope,
    })?;
    Ok(operations)
}

impl Operations {
    /// Stops a deposit that is to be decided, bought or sent.
    pub async fn hold(&self, id: DepositId, note: Note, by: By) -> Operated {
        self.deposit(id, Wish::Hold, note, Asked { by, seen: None }).await
    }

    /// Lets a held deposit go on where it was stopped. Where the desk's own limits stopped it, they are waived for it;
    /// anything else may stop it again.
    pub async fn release(&self, id: DepositId, note: Note, by: By) -> Operated {
        self.deposit(id, Wish::Release, note, Asked { by, seen: None }).await
    }

    /// Declares that a held or quarantined deposit is to be paid back.
    pub async fn mark_refund_due(&self, id: DepositId, note: Note, by: By) -> Operated {
        self.deposit(id, Wish::RefundDue, note, Asked { by, seen: None }).await
    }

    /// Declares that a deposit was paid back by this Bitcoin transaction.
    pub async fn mark_refunded(&self, id: DepositId, txid: Hash32, note: Note, by: By) -> Operated {
        self.deposit(id, Wish::Refunded { txid }, note, Asked { by, seen: None }).await
    }

    /// One of these, asked for by somebody who saw the deposit at this version; nothing is done when it has moved on.
    pub async fn on_seen(&self, (id, seen): (DepositId, Version), wish: Wish, note: Note, by: By) -> Operated {
        self.deposit(id, wish, note, Asked { by, seen: Some(seen) }).await
    }

    /// Turns a switch; nothing is stored when it stands there already.
    pub async fn set_switch(&self, switch: Switch, setting: Setting, note: Note, by: By) -> Declared {
        self.call(|reply| Request::Switch { switch, setting, note, by, reply }).await
    }

    /// Halts the desk: no order and no payout goes out until it is resumed. Nothing is stored when it is halted already.
    pub async fn halt(&self, cause: HaltCause) -> Declared {
        self.call(|reply| Request::Halt { cause, by: None, reply }).await
    }

    /// The same for an operator.
    pub async fn halt_by(&self, note: Note, by: By) -> Declared {
        let cause = HaltCause::Operator { note: note.as_str().to_owned() };
        self.call(|reply| Request::Halt { cause, by: Some(by), reply }).await
    }

    /// Lets orders and payouts go out again, for the reason given; nothing is stored when the desk is not halted.
    pub async fn resume(&self, note: Note, by: By) -> Declared {
        self.call(|reply| Request::Resume { note, by, reply }).await
    }

    /// Declares a transfer. The same transfer declared again with the same key is the same one; without a key it is
    /// another. Nobody's is what the desk found when it began.
    pub async fn declare(&self, transfer: Transfer, note: Note, key: Option<String>, by: Option<By>) -> Declared {
        self.call(|reply| Request::Transfer { transfer, note, key, by, reply }).await
    }

    /// Stores that a spend of the hot wallet was taken for a declared sweep; nothing when it is known, or none covers it.
    pub async fn sweep_seen(&self, spend: Spend) -> Declared {
        self.call(|reply| Request::SweepSeen { spend, reply }).await
    }

    /// Stores that everything which the blocks up to this one took from the hot wallet is accounted for; nothing when that
    /// is known.
    pub async fn spends_matched(&self, block_seq: u64) -> Declared {
        self.call(|reply| Request::SpendsMatched { block_seq, reply }).await
    }

    /// Stores that a part is down or a balance low, or that it is over; nothing when that was told last.
    pub async fn alert(&self, alert: Alert) -> Declared {
        self.call(|reply| Request::Alert { alert, reply }).await
    }

    /// Stores that somebody does what is no other event; once for each id.
    pub async fn acted(&self, deed: Deed) -> Declared {
        self.call(|reply| Request::Acted { deed, reply }).await
    }

    /// Keeps what the log did not take, or may not have taken, until it does; at most [`KEPT_MAX`].
    pub fn keep(&self, deed: Deed) {
        self.deeds.keep(deed);
    }

    /// What is not in the log yet.
    pub fn waiting(&self) -> Waiting {
        self.deeds.waiting()
    }

    /// Where the switches stand. Until the log was read everything is off, so that nobody acts before he knows; the
    /// first change, which may leave them as they are, says that it was read.
    pub fn switches(&self) -> watch::Receiver<Desk> {
        self.switches.clone()
    }

    /// The keys that open the notes of these operators.
    pub fn keys(&self) -> &CustomerKeys {
        &self.keys
    }

    async fn deposit(&self, id: DepositId, wish: Wish, note: Note, asked: Asked) -> Operated {
        let command = wish.command(note.as_str());
        self.call(|reply| Request::Deposit { id, command, asked, reply }).await
    }

    async fn call<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, OperateError>>) -> Request,
    ) -> Result<T, OperateError> {
        self.door.call(request, ANSWER_WITHIN).await.map_err(|error| match error {
            AskError::Busy => OperateError::Busy,
            AskError::Down => OperateError::Unavailable("the desk is stopping".to_owned()),
            AskError::Unknown => OperateError::Unknown,
        })?
    }
}

/// The actor: its work is four tasks of its incarnation, and ends with it.
pub struct Actor {
    inside: Inside<Request>,
    deposits: Deposits,
    keys: CustomerKeys,
    desk: DeskStream,
    deeds: Deeds,
    report: Reporter,
    scope: Scope,
}

impl xtra::Actor for Actor {
    type Stop = Result<(), OperateError>;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        let (follower, store, report) = (self.desk.clone(), self.deposits.store().clone(), self.report.clone());
        self.scope.spawn(async move {
            store.ready_for(&report).await;
            follower.follow(&report).await.map(|never| match never {})
        });
        let (keys, store, report) = (self.keys.clone(), self.deposits.store().clone(), self.report.clone());
        self.scope.spawn(async move {
            store.ready().await;
            sealing::watch(keys, store, report).await
        });
        let (deeds, desk, store) = (self.deeds.clone(), self.desk.clone(), self.deposits.store().clone());
        self.scope.spawn(deeds::write_down(deeds, desk, store));
        let (inside, deposits, desk) = (self.inside.clone(), self.deposits.clone(), self.desk.clone());
        let keys = self.keys.clone();
        self.scope.spawn(async move {
            inside.serve(AT_ONCE_MAX, |request| carry_out(&deposits, &keys, &desk, request)).await;
            // Every handle is gone; the switches are still to be followed.
            std::future::pending::<()>().await
        });
        Ok(())
    }

    async fn stopped(self) -> Self::Stop {
        Ok(())
    }
}

/// A caller who has given up is not served: he was told that the outcome is unknown, and nothing is what it became.
async fn carry_out(deposits: &Deposits, keys: &CustomerKeys, desk: &DeskStream, request: Request) {
    match request {
        Request::Deposit { id, command, asked, reply } if !reply.is_closed() => {
            let name = command.name();
            let done = execute(deposits, keys, id, command, &asked).await;
            told(name, Some(id), (None, Some(&asked.by)), done.as_ref().err());
            let _ = reply.send(done);
        }
        Request::Switch { switch, setting, note, by, reply } if !reply.is_closed() => {
            let done = desk.set_switch(switch, setting, &note, &by).await;
            told(&format!("switch {switch:?} {setting:?}"), None, (Some(&note), Some(&by)), done.as_ref().err());
            let _ = reply.send(done);
        }
        Request::Halt { cause, by, reply } if !reply.is_closed() => {
            let asked_by = by.as_ref().map(tracing::field::display);
            tracing::error!(%cause, by = asked_by, "the desk is to be halted");
            let _ = reply.send(desk.halt(cause, by.as_ref()).await);
        }
        Request::Resume { note, by, reply } if !reply.is_closed() => {
            let done = desk.resume(&note, &by).await;
            told("resume", None, (Some(&note), Some(&by)), done.as_ref().err());
            let _ = reply.send(done);
        }
        Request::Transfer { transfer, note, key, by, reply } if !reply.is_closed() => {
            let done = desk.declare(transfer, (&note, by.as_ref()), key.as_deref()).await;
            told(&format!("transfer {transfer:?}"), None, (Some(&note), by.as_ref()), done.as_ref().err());
            let _ = reply.send(done);
        }
        Request::SweepSeen { spend, reply } if !reply.is_closed() => {
            tracing::info!(%spend, "taken for a declared sweep");
            let _ = reply.send(desk.sweep_seen(spend).await);
        }
        Request::SpendsMatched { block_seq, reply } if !reply.is_closed() => {
            let _ = reply.send(desk.spends_matched(block_seq).await);
        }
        Request::Alert { alert, reply } if !reply.is_closed() => {
            let done = desk.alert(alert.clone()).await;
            if done.is_ok() {
                tracing::info!(?alert, "operators are told");
            }
            let _ = reply.send(done);
        }
        Request::Acted { deed, reply } if !reply.is_closed() => {
            let _ = reply.send(desk.acted(deed.id, deed.acted).await);
        }
        Request::Deposit { .. }
        | Request::Switch { .. }
        | Request::Halt { .. }
        | Request::Resume { .. }
        | Request::Transfer { .. }
        | Request::SweepSeen { .. }
        | Request::SpendsMatched { .. }
        | Request::Alert { .. }
        | Request::Acted { .. } => {}
    }
}

async fn execute(deposits: &Deposits, keys: &CustomerKeys, id: DepositId, command: Command, asked: &Asked) -> Operated {
    // Whoever saw it as it was is told so, before the rules speak of how it is.
    deposits.known_at(id, asked.seen)?;
    let command = sealing::sealed(deposits, keys, id, command).await?;
    Ok(deposits.execute_by(id, &command, (&asked.by, asked.seen)).await?)
}

/// What is said of a customer's deposit is not said again in lines that nobody can take back.
fn told(
    operation: &str,
    deposit: Option<DepositId>,
    (note, by): (Option<&Note>, Option<&By>),
    error: Option<&OperateError>,
) {
    let (deposit, note) = (deposit.map(tracing::field::display), note.map(Note::as_str));
    let by = by.map(tracing::field::display);
    match error {
        None => tracing::info!(operation, deposit, note, by, "an operator's request was carried out"),
        Some(error) => tracing::warn!(operation, deposit, note, by, %error, "an operator's request was not"),
    }
}

impl From<ExecuteError> for OperateError {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::NoSuchDeposit(id) => Self::NoSuchDeposit(id),
            ExecuteError::Unreadable { .. } => Self::Unreadable(error.to_string()),
            ExecuteError::Rejected(rejection) => Self::Rejected(rejection),
            ExecuteError::MovedOn { seen, version, .. } => Self::MovedOn { seen, version },
            ExecuteError::Append(error) => error.into(),
            ExecuteError::Read(error) => error.into(),
        }
    }
}

impl From<AppendError> for OperateError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Busy | AppendError::Conflict { .. } => Self::Busy,
            AppendError::Unknown => Self::Unknown,
            AppendError::KeyTaken { .. }
            | AppendError::Fenced { .. }
            | AppendError::TooLarge { .. }
            | AppendError::Unavailable(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<ReadError> for OperateError {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
