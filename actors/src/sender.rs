//! Pays out: from what is owed to a payout that is final, one set of signed bytes a deposit.
//!
//! The order of things is the whole safety: outputs are claimed, the intention is in the log, the wallet signs without
//! broadcasting, the bytes are in the log together with the reservation of their inputs, and only then does a node get
//! them. Whatever becomes unknown after that is answered by handing in the same bytes again. Other bytes come only when a
//! final transaction of somebody else has spent an input.
//!
//! It does not decide how much is owed, and it does not watch payouts once they are final.

mod alarms;
mod checker;
mod deliver;
mod limits;
mod recall;
mod sign;
mod stranded;
mod sync;
#[cfg(test)]
pub(crate) mod tests;
mod watches;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millrace_model::deposit::{Deposit, Stage};
use millrace_model::desk::Switch;
use millrace_model::ids::{DepositId, Hash32};
use millrace_model::outflow::{Limits, Reached};
use millrace_protocols::payout::{BytesError, Shortage};
use millrace_protocols::wire::skycoin::rest::Lag;

use crate::brakes::{self, Brakes};
use crate::clock::Clock;
use crate::deposits::{Deposits, ExecuteError, Tracked};
use crate::event_store::{AppendError, Execution, ReadError};
use crate::ports::{PortError, SkycoinNode};
use crate::stock::Stock;
use crate::supervision::{Alarm, Reporter, Tree, TreeError};
use crate::wallet::{HotWallet, NoClaim, Stored, WalletError};
use crate::worker::{self, Duty, Next};

use alarms::DepositAlarm;
use checker::Checker;
use limits::PaidOut;
use sync::SyncWatch;
use watches::Watches;

/// The part's name in the tree.
pub const PART: &str = "sender";

/// How long the sender waits before it looks again whether paying out is allowed.
const SWITCH_PAUSE: Duration = Duration::from_millis(500);
/// How long it waits after trouble: no free outputs, no answer, a refusal.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long it waits when a limit is reached: the span of one is an hour at least.
const LIMIT_PAUSE: Duration = Duration::from_secs(5);
/// How long the node is left alone after it was asked which outputs there are.
const REFRESH_PAUSE: Duration = Duration::from_millis(200);
/// How long it waits when the log has too much to do.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// How payouts are made.
#[derive(Clone)]
pub struct Settings {
    /// The hot wallet's id at the node.
    pub wallet_id: String,
    /// Its password, when it has one.
    pub password: Option<String>,
    /// How deep a payout must be, its own block included; at least 1.
    pub confirmations: u64,
    /// The shortest pause between two looks at a payout; for one that waits long it grows up to four times.
    pub poll: Duration,
    /// Bytes that the node does not know are handed in again after this.
    pub resend_after: Duration,
    /// What stops payouts besides the log.
    pub outer: brakes::Outer,
    /// What the hot wallet holds; new payouts wait while that is too little.
    pub stock: Stock,
    /// How much may be paid out in a span of time.
    pub limits: Limits,
    /// The time by which that is counted.
    pub clock: Arc<dyn Clock>,
    /// Where signatures are checked.
    pub execution: Execution,
}

/// Adds the sender to the tree.
pub fn start(tree: &Tree, deposits: Deposits, node: Arc<dyn SkycoinNode>, settings: Settings) -> Result<(), TreeError> {
    let theirs = deposits.clone();
    worker::start(tree, PART, deposits, move |report| {
        Sender::new(theirs.clone(), Arc::clone(&node), settings.clone(), report)
    })
}

/// The duty of one incarnation.
pub struct Sender {
    deposits: Deposits,
    node: Arc<dyn SkycoinNode>,
    settings: Settings,
    brakes: Brakes,
    wallet: HotWallet,
    sync: SyncWatch,
    watches: Watches,
    checker: Checker,
    paid_out: PaidOut,
    /// Held while a forgotten payout is looked for.
    recalling: tokio::sync::Mutex<recall::KnownPayouts>,
    /// For which deposits that was done while nothing may go out.
    looked_for: Mutex<HashSet<DepositId>>,
    void_outputs: tokio::sync::Mutex<stranded::VoidOutputs>,
    alarms: Alarms,
}

struct Alarms {
    /// The node does not answer, or not sensibly.
    node: Alarm,
    /// It may not know what has happened.
    sync: Alarm,
    /// Paying out is switched off.
    sends: Alarm,
    /// Nothing to pay with.
    wallet: DepositAlarm,
    /// A limit is reached.
    limits: DepositAlarm,
    /// Something is wrong with one payout.
    payout: DepositAlarm,
}

/// Why a payout goes no further for now. Nothing of this is final.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Short(#[from] Shortage),
    #[error(transparent)]
    Node(#[from] PortError),
    /// The node may not know of payouts that were made.
    #[error("{0}")]
    Lags(Lag),
    #[error(transparent)]
    Limit(#[from] Reached),
    /// The wallet's outputs have moved under the claim; others will do.
    #[error("the outputs claimed are not to be had any more")]
    Stale,
    #[error("the wallet refuses: {0}")]
    WalletRefuses(String),
    #[error(transparent)]
    Bytes(#[from] BytesError),
    /// Found in the wallet's history, not in the log, and perhaps another deposit's.
    #[error("transaction {0}, which the log has forgotten, may be this payout or another's")]
    Unclear(Hash32),
    /// It was held instead, for a person to look at.
    #[error("held")]
    Held,
}

impl From<NoClaim> for Trouble {
    fn from(none: NoClaim) -> Self {
        match none {
            NoClaim::Short(shortage) => Self::Short(shortage),
            NoClaim::Node(error) => Self::Node(error),
        }
    }
}

impl Sender {
    fn new(deposits: Deposits, node: Arc<dyn SkycoinNode>, settings: Settings, report: Reporter) -> Self {
        let store = deposits.store().clone();
        let alarms = Alarms {
            node: Alarm::new("skycoin_node", report.clone()),
            sync: Alarm::new("skycoin_sync", report.clone()),
            sends: Alarm::new("sends", report.clone()),
            wallet: DepositAlarm::new("wallet", report.clone()),
            limits: DepositAlarm::new("limits", report.clone()),
            payout: DepositAlarm::new("payout", report),
        };
        Self {
            brakes: Brakes::new(store.clone(), Arc::clone(&settings.outer)),
            wallet: HotWallet::new(store, Arc::clone(&node), REFRESH_PAUSE, settings.confirmations),
            sync: SyncWatch::default(),
            watches: Watches::default(),
            checker: Checker::new(settings.execution),
            paid_out: PaidOut::new(settings.limits),
            recalling: Default::default(),
            looked_for: Mutex::default(),
            void_outputs: Default::default(),
            deposits,
            node,
            settings,
            alarms,
        }
    }

    async fn advance(&self, tracked: Arc<Tracked>) -> Result<Next, Trouble> {
        let tracked = match tracked.deposit.signed_payout() {
            Some(_) => tracked,
            None if !self.may_send()? => match self.look_while_closed(&tracked).await? {
                Some(found) => found,
                None => return Ok(Next::After(SWITCH_PAUSE)),
            },
            None => self.sign(tracked).await?,
        };
        self.deliver(tracked).await
    }

    fn looked_for(&self) -> MutexGuard<'_, HashSet<DepositId>> {
        self.looked_for.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_send(&self) -> Result<bool, ReadError> {
        let closed = self.brakes.closed(Switch::Sends)?;
        match &closed {
            None => self.alarms.sends.clear(),
            Some(why) => self.alarms.sends.raise(format!("payouts wait: {why}")),
        }
        Ok(closed.is_none())
    }

    fn live_with(&self, id: DepositId, trouble: Trouble) -> Next {
        match trouble {
            Trouble::Short(shortage) => self.alarms.wallet.raise(id, shortage.to_string()),
            Trouble::Limit(reached) => {
                self.alarms.limits.raise(id, reached.to_string());
                return Next::After(LIMIT_PAUSE);
            }
            Trouble::Lags(lag) => self.alarms.sync.raise(format!("{lag}; new payouts wait")),
            Trouble::Node(error) => self.alarms.node.raise(error.to_string()),
            Trouble::WalletRefuses(why) => self.alarms.payout.raise(id, format!("the wallet refuses: {why}")),
            trouble @ Trouble::Unclear(_) => self.alarms.payout.raise(id, trouble.to_string()),
            Trouble::Bytes(error) => self.alarms.payout.raise(id, error.to_string()),
            Trouble::Execute(ExecuteError::Append(AppendError::Busy)) => return Next::After(BUSY_PAUSE),
            Trouble::Stale | Trouble::Held => {}
            trouble @ (Trouble::Execute(_) | Trouble::Wallet(_) | Trouble::Read(_)) => {
                tracing::warn!(deposit = %id, error = %trouble, "a step of a payout is to be taken again");
            }
        }
        Next::After(RETRY_PAUSE)
    }

    /// The node answered, so it is well.
    fn heard<T>(&self, answer: Result<T, PortError>) -> Result<T, PortError> {
        if answer.is_ok() {
            self.alarms.node.clear();
        }
        answer
    }
}

impl Duty for Sender {
    async fn prepare(&self) -> Result<(), String> {
        self.wallet.take_over().await.map_err(|error| error.to_string())
    }

    fn concerns(&self, deposit: &Deposit) -> bool {
        let concerns = matches!(deposit.stage, Stage::WaitSend | Stage::WaitConfirm);
        if !concerns {
            let id = deposit.receipt.id;
            self.watches.forget(id);
            self.looked_for().remove(&id);
            self.wallet.give_back(id);
            self.alarms.wallet.clear(id);
            self.alarms.limits.clear(id);
            self.alarms.payout.clear(id);
        }
        concerns
    }

    async fn perform(&self, tracked: Arc<Tracked>) -> Next {
        let id = tracked.deposit.receipt.id;
        self.advance(tracked).await.unwrap_or_else(|trouble| self.live_with(id, trouble))
    }
}

/// What an answer of the log says about whether the append was stored.
fn stored<T>(answer: &Result<T, ExecuteError>) -> Stored {
    match answer {
        Ok(_) => Stored::Yes,
        Err(
            ExecuteError::NoSuchDeposit(_)
            | ExecuteError::Unreadable { .. }
            | ExecuteError::Rejected(_)
            | ExecuteError::MovedOn { .. },
        ) => Stored::No,
        Err(ExecuteError::Append(error)) => match error {
            AppendError::Conflict { .. }
            | AppendError::KeyTaken { .. }
            | AppendError::TooLarge { .. }
            | AppendError::Busy => Stored::No,
            // A commit that failed may be found to have happened; one that is fenced needs a new epoch.
            AppendError::Fenced { .. } | AppendError::Unavailable(_) | AppendError::Unknown => Stored::Unknown,
        },
        // What was appended is read back at the end.
        Err(ExecuteError::Read(_)) => Stored::Unknown,
    }
}
