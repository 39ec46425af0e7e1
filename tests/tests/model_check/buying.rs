//! The buyer's part: the real purchase machine, driven step by step as the buyer drives it.
//!
//! The machine keeps times. They are written down as if every answer came at 0, and it is asked again at 0, at
//! [`PATIENCE_MS`] or at [`READ_MS`]: which of two pauses ends first is left open, and no time grows without bound.

use std::sync::{Arc, LazyLock};

use millrace_model::deposit::{Command, Deposit, HoldReason, Stage};
use millrace_model::money::{Amount, Btc, Sky};
use millrace_model::purchase::{Fact, OrderIntent, Price};
use millrace_protocols::book::{Book, Level, Rules};
use millrace_protocols::purchase::{
    CancelReply, Failure, HoldReason as Why, ListingReply, Machine, Market, PlaceReply, Policy, ReadReply, Step,
};

use super::desk::{Breach, Life, finish};
use super::exchange::{Exchange, FILL};
use super::shared::Shared;

/// When the machine loses patience with an order that is not filled.
pub const PATIENCE_MS: u64 = 1;
/// When it reads the order again.
pub const READ_MS: u64 = 2;

/// A purchase under way, in the buyer's mind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Course {
    machine: Shared<Machine>,
    is_stopping: bool,
    /// Whether it waits for the exchange's answer.
    pub is_asking: bool,
}

/// A request that the buyer sends to the exchange.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// Take this order.
    Place(Arc<OrderIntent>),
    /// Cancel this order.
    Cancel(u64),
}

/// What a step of the buyer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Something was read or recorded.
    Moved,
    /// This is to be sent.
    Sends(Request),
    /// Nothing to do now.
    Waits,
}

struct Trade {
    policy: Policy,
    book: Book,
    available: Amount<Btc>,
}

static TRADE: LazyLock<Trade> = LazyLock::new(|| {
    let volume_min = Amount::from_units(FILL).expect("a fill is an amount");
    let mut policy = Policy::new(Rules { price_decimals: 5, volume_decimals: 2, volume_min });
    (policy.patience_ms, policy.read_every_ms, policy.recancel_every_ms) = (PATIENCE_MS, READ_MS, PATIENCE_MS);
    (policy.look_again_ms, policy.retry_first_ms, policy.retry_max_ms, policy.throttled_ms) = (0, 0, 0, 0);
    policy.tries_max = 3;
    let volume: Amount<Sky> = "10000".parse().expect("it is an amount");
    let book = Book::new(vec![Level { price: price(), volume }], vec![], 0);
    Trade { policy, book, available: "10".parse().expect("it is an amount") }
});

/// What one SKY costs, always.
pub fn price() -> Price {
    "0.002".parse().expect("it is a price")
}

impl Course {
    fn new(deposit: &Deposit) -> Option<Self> {
        let (purchase, best_ask) = deposit.purchase.clone().zip(deposit.best_ask)?;
        let machine = Machine::new(purchase, deposit.receipt.outpoint, best_ask, TRADE.policy.clone(), 0);
        Some(Self { machine: Shared::new(machine), is_stopping: false, is_asking: false })
    }

    fn stands_for(&self, deposit: &Deposit) -> bool {
        let released = self.is_stopping && deposit.stage == Stage::WaitBuy;
        deposit.purchase.as_ref() == Some(self.machine.purchase()) && !released
    }

    fn heed(&mut self, deposit: &Deposit) {
        if deposit.stage != Stage::WaitBuy && !self.is_stopping {
            self.is_stopping = true;
            self.change(Machine::request_stop);
        }
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = Machine::clone(&self.machine);
        let answer = change(&mut machine);
        self.machine = Shared::new(machine);
        answer
    }

    fn poll(&mut self, now_ms: u64) -> Step {
        let market = Market { book: Some((&TRADE.book, 0)), available: Some(TRADE.available) };
        self.change(|machine| machine.poll_step(&market, now_ms))
    }

    /// The exchange's answer to an order.
    pub fn placed(&mut self, reply: PlaceReply) {
        self.is_asking = false;
        self.change(|machine| machine.handle_place(reply, 0));
    }

    /// The exchange's answer to a cancellation.
    pub fn cancelled(&mut self, reply: CancelReply) {
        self.is_asking = false;
        self.change(|machine| machine.handle_cancel(reply, 0));
    }

    /// No answer came.
    pub fn unanswered(&mut self, request: &Request) {
        match request {
            Request::Place(_) => self.placed(PlaceReply::Failed(Failure::Unavailable)),
            Request::Cancel(_) => self.cancelled(CancelReply::Failed(Failure::Unavailable)),
        }
    }
}

/// One step of the buyer for this deposit; at a later time than 0 only what was not to be done before it.
pub fn step(life: &mut Life, exchange: &Exchange, now_ms: u64) -> Result<Done, Breach> {
    let deposit = life.deposit.clone();
    let rested = life.buyer.take().filter(|course| course.stands_for(&deposit));
    let Some(mut course) = rested.or_else(|| Course::new(&deposit)) else { return Ok(Done::Waits) };
    course.heed(&deposit);
    let now = course.poll(0);
    let next = match (now, now_ms) {
        (Step::Wait { .. }, 1..) => course.poll(now_ms),
        (_, 1..) => return Ok(Done::Waits),
        (step, 0) => step,
    };
    take(life, course, next, exchange)
}

fn take(life: &mut Life, mut course: Course, step: Step, exchange: &Exchange) -> Result<Done, Breach> {
    let done = match step {
        Step::Record(fact) => return record(life, course, fact),
        Step::Place(order) => Done::Sends(Request::Place(Arc::new(order))),
        Step::Cancel { order_id } => Done::Sends(Request::Cancel(order_id)),
        Step::Read { order_id } => {
            let reply = ReadReply::Order(exchange.show(order_id));
            course.change(|machine| machine.handle_read(reply, 0));
            Done::Moved
        }
        Step::FindByCid { .. } => {
            let reply = ListingReply::LastPage(exchange.listing());
            course.change(|machine| machine.handle_listing(reply, 0));
            Done::Moved
        }
        Step::Wait { .. } => Done::Waits,
        Step::Finish(_) => return life.commit(&finish()).map(|_| Done::Moved),
        Step::Stop(_) => return Ok(Done::Moved),
        Step::Hold(_) if course.is_stopping => Done::Waits,
        Step::Hold(why) => return life.commit(&Command::StopPurchase { reason: recorded(&why) }).map(|_| Done::Moved),
    };
    course.is_asking = matches!(done, Done::Sends(_));
    life.buyer = Some(course);
    Ok(done)
}

fn record(life: &mut Life, mut course: Course, fact: Fact) -> Result<Done, Breach> {
    if life.commit(&Command::RecordPurchase(fact))? {
        course.change(|machine| machine.handle_recorded(0));
        life.buyer = Some(course);
    }
    Ok(Done::Moved)
}

fn recorded(why: &Why) -> HoldReason {
    match why {
        Why::Unaccounted { .. } | Why::Vanished { .. } => HoldReason::OrderUnaccounted,
        Why::Refused { .. }
        | Why::Mismatch { .. }
        | Why::Nonsense { .. }
        | Why::AboveLimit { .. }
        | Why::TooManyOrders
        | Why::TooLarge => HoldReason::PurchaseStopped,
    }
}
