//! Spends deposits on the exchange: drives the purchase machine of every deposit that is to be bought.
//!
//! Every intention is in the log before its request is sent, and every answer before the next step is taken. What is kept
//! in memory beside the log (pauses, how often something failed) makes a purchase patient, not right: it may be lost at any
//! await, and the machine begins anew with what the log says.

mod course;
mod history;
mod troubles;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millrace_model::deposit::{Command, Deposit, HoldReason, RemainderPolicy, Stage};
use millrace_model::ids::DepositId;
use millrace_model::purchase::OrderPhase;
use millrace_protocols::purchase::{self, Policy, Trouble, Waiting};

use crate::brakes::{self, Brakes};
use crate::clock::Clock;
use crate::deposits::{Deposits, ExecuteError, Tracked};
use crate::exchange::Exchange;
use crate::market::{Claim, Market, unix_ms};
use crate::supervision::{Reporter, Tree, TreeError};
use crate::worker::{self, Duty, Next};

use course::Course;
use history::{History, Unread};
use troubles::Troubles;

/// The part's name in the tree.
pub const PART: &str = "buyer";

/// The pause after the exchange did not tell of earlier orders.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);
/// How often a purchase that may not order now looks again.
const BRAKES_PAUSE: Duration = Duration::from_secs(1);
/// The pause after the log did not take something.
const LOG_PAUSE: Duration = Duration::from_millis(500);

/// How the desk buys.
#[derive(Clone)]
pub struct Settings {
    /// How orders are chosen, watched and given up.
    pub policy: Policy,
    /// What becomes of what no order can spend.
    pub remainder: RemainderPolicy,
    /// What stops purchases besides the log.
    pub outer: brakes::Outer,
}

/// Adds the buyer to the tree.
pub fn start(
    tree: &Tree,
    deposits: Deposits,
    exchange: Arc<dyn Exchange>,
    market: Market,
    settings: Settings,
    clock: Arc<dyn Clock>,
) -> Result<(), TreeError> {
    let history = History::default();
    let brakes = Brakes::new(deposits.store().clone(), Arc::clone(&settings.outer));
    let desk = Arc::new(Desk { deposits: deposits.clone(), exchange, market, settings, clock, history, brakes });
    worker::start(tree, PART, deposits, move |report| Buyer::new(Arc::clone(&desk), report))
}

/// What the buyer works with.
struct Desk {
    deposits: Deposits,
    exchange: Arc<dyn Exchange>,
    market: Market,
    settings: Settings,
    clock: Arc<dyn Clock>,
    history: History,
    brakes: Brakes,
}

impl Desk {
    fn now_ms(&self) -> u64 {
        unix_ms(self.clock.now())
    }
}

/// One incarnation's purchases.
struct Buyer {
    desk: Arc<Desk>,
    /// Purchases that rest between two steps.
    courses: Mutex<HashMap<DepositId, Course>>,
    troubles: Troubles,
}

impl Duty for Buyer {
    /// Promises what every open purchase needs before any of them goes on.
    async fn prepare(&self) -> Result<(), String> {
        self.desk.market.forget_promises();
        let (_, ids) = self.desk.deposits.open().map_err(|error| error.to_string())?;
        for id in ids {
            let tracked = self.desk.deposits.get(id).map_err(|error| error.to_string())?;
            if let Some(tracked) = tracked.filter(|tracked| self.concerns(&tracked.deposit)) {
                self.promise(&tracked.deposit);
            }
        }
        Ok(())
    }

    fn concerns(&self, deposit: &Deposit) -> bool {
        match &deposit.stage {
            Stage::WaitBuy => true,
            // One that rests here has promises to give back.
            Stage::Held { reason, .. } => {
                has_order_to_follow(deposit, reason) || self.courses().contains_key(&deposit.receipt.id)
            }
            Stage::Pending
            | Stage::Quarantined
            | Stage::WaitDecide
            | Stage::WaitSend
            | Stage::WaitConfirm
            | Stage::RefundDue { .. }
            | Stage::Done(_) => false,
        }
    }

    async fn perform(&self, tracked: Arc<Tracked>) -> Next {
        let id = tracked.deposit.receipt.id;
        let mut course = match self.take_up(&tracked.deposit).await {
            Ok(Some(course)) => course,
            Ok(None) => return Next::Wait,
            Err(Unread) => {
                self.troubles.note(id, &Waiting::Retry(Trouble::Unavailable));
                return Next::After(HISTORY_PAUSE);
            }
        };
        let end = course.go_on(&self.desk, &tracked.deposit, &self.troubles).await;
        match end {
            End::Rests(pause) => {
                self.courses().insert(id, course);
                Next::After(pause)
            }
            End::Finished => self.finish(id).await,
            End::Stopped => {
                self.leave(id);
                // Stopped because it was held; whoever released it meanwhile wants it to go on.
                Next::Look
            }
            End::Held(reason) => self.hold(id, &reason, course).await,
            End::Anew(pause) => {
                self.begin_anew(id);
                Next::After(pause)
            }
        }
    }
}

/// Where a purchase is when it is left alone.
#[derive(Debug)]
enum End {
    /// It goes on as it is after a pause.
    Rests(Duration),
    /// All is spent that can be.
    Finished,
    /// No order is open, and no further one was wanted.
    Stopped,
    /// It cannot go on by itself.
    Held(purchase::HoldReason),
    /// It begins anew with what the log says, after a pause.
    Anew(Duration),
}

impl Buyer {
    fn new(desk: Arc<Desk>, report: Reporter) -> Self {
        Self { desk, courses: Mutex::default(), troubles: Troubles::new(report) }
    }

    /// The purchase where it rested, or where the log says it is.
    async fn take_up(&self, deposit: &Deposit) -> Result<Option<Course>, Unread> {
        let id = deposit.receipt.id;
        let rested = self.courses().remove(&id);
        let now_ms = self.desk.now_ms();
        if let Some(course) = rested.filter(|course| course.stands_for(deposit, now_ms)) {
            return Ok(Some(course));
        }
        self.promise(deposit);
        let Some(mut course) = Course::new(deposit, &self.desk.settings.policy, now_ms) else { return Ok(None) };
        if self.desk.deposits.past().may_know(deposit) {
            course.remember(self.desk.history.of(deposit.receipt.outpoint, &*self.desk.exchange).await?);
        }
        Ok(Some(course))
    }

    fn promise(&self, deposit: &Deposit) {
        if let Some(purchase) = &deposit.purchase {
            self.desk.market.promise(deposit.receipt.id, Claim::of(purchase, &self.desk.settings.policy));
        }
    }

    async fn finish(&self, id: DepositId) -> Next {
        let command = Command::FinishPurchase(self.desk.settings.remainder.clone());
        self.end(id, &command).await
    }

    async fn hold(&self, id: DepositId, reason: &purchase::HoldReason, course: Course) -> Next {
        if course.is_stopping() {
            // It is held already; what it found out is kept until something happens to it.
            self.troubles.clear(id);
            self.courses().insert(id, course);
            return Next::Wait;
        }
        tracing::warn!(deposit = %id, %reason, "a purchase is held");
        self.end(id, &Command::StopPurchase { reason: recorded(reason) }).await
    }

    /// Records the purchase's end; when that fails, its last step is found again from the log.
    async fn end(&self, id: DepositId, command: &Command) -> Next {
        match self.desk.deposits.execute(id, command).await {
            Ok(_) => {
                self.leave(id);
                Next::Look
            }
            Err(error) => {
                log(id, &error);
                self.begin_anew(id);
                Next::After(LOG_PAUSE)
            }
        }
    }

    /// Promises what the log says instead of what was in mind. (Unreadable, it is said again by whoever can read it.)
    fn begin_anew(&self, id: DepositId) {
        self.troubles.clear(id);
        match self.desk.deposits.get(id) {
            Ok(Some(tracked)) if self.concerns(&tracked.deposit) => self.promise(&tracked.deposit),
            Ok(_) | Err(_) => self.desk.market.promise(id, Claim::NONE),
        }
    }

    fn leave(&self, id: DepositId) {
        self.desk.market.promise(id, Claim::NONE);
        self.troubles.clear(id);
    }

    fn courses(&self) -> MutexGuard<'_, HashMap<DepositId, Course>> {
        self.courses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An order whose fills are still to be recorded. One that the exchange never admitted to is not, when that is why it is
/// held: it would be looked for for ever.
fn has_order_to_follow(deposit: &Deposit, reason: &HoldReason) -> bool {
    let Some(open) = deposit.purchase.as_ref().and_then(|purchase| purchase.open_order()) else { return false };
    match open.phase {
        OrderPhase::Placed { .. } | OrderPhase::Cancelling { .. } => true,
        OrderPhase::Intended => !matches!(reason, HoldReason::OrderUnaccounted | HoldReason::PurchaseStopped),
    }
}

fn recorded(reason: &purchase::HoldReason) -> HoldReason {
    match reason {
        purchase::HoldReason::Unaccounted { .. } | purchase::HoldReason::Vanished { .. } => {
            HoldReason::OrderUnaccounted
        }
        purchase::HoldReason::Refused { .. }
        | purchase::HoldReason::Mismatch { .. }
        | purchase::HoldReason::Nonsense { .. }
        | purchase::HoldReason::AboveLimit { .. }
        | purchase::HoldReason::TooManyOrders
        | purchase::HoldReason::TooLarge => HoldReason::PurchaseStopped,
    }
}

fn log(id: DepositId, error: &ExecuteError) {
    tracing::warn!(deposit = %id, %error, "a step of a purchase is not recorded");
}
