//! A deposit in the log with all that workers have in mind about it beside the log, which a crash takes away.

use millrace_model::deposit::{
    Command, Customer, DecisionTerms, Deposit, Detected, Event, HoldReason, Method, PayoutTerms, RemainderPolicy,
    Stage, Terms, evolve,
};
use millrace_model::ids::{DepositId, Hash32, Outpoint};
use millrace_model::money::Amount;
use millrace_model::purchase::OrderPhase;
use millrace_protocols::payout;

use super::buying::Course;
use super::shared::Shared;
use super::wallet::Input;

/// Whom a deposit is paid out to.
pub const CUSTOMER: &str = "2GgFvqoyk9RjwVzj8tqfcXVXB4orBwoc9qv";
/// What a deposit of one bitcoin comes to, both ways.
pub const OWED: &str = "500";

/// How the desk comes by the coins.
pub type Way = Method;

/// One deposit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Life {
    /// As the log has it.
    pub deposit: Shared<Deposit>,
    /// Whether it is received by the log's own words: matured, and not undone since. Told from the events alone.
    pub is_received: bool,
    /// What the sender has in mind.
    pub sender: Sender,
    /// What the buyer has in mind.
    pub buyer: Option<Course>,
}

/// What the sender has in mind about one payout.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sender {
    /// What it is at.
    pub task: Task,
    /// Whether it saw the payout in a block when it looked last.
    pub saw_block: bool,
}

/// What the sender is at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Task {
    /// To be found out from the log.
    None,
    /// The wallet signed; the log does not have it.
    Signed(Input),
    /// Waits for the node to take the bytes.
    Injecting(Input),
    /// The payout's next step, to be carried out.
    Step(payout::Step),
}

impl Sender {
    /// After a start.
    pub const FRESH: Self = Self { task: Task::None, saw_block: false };
}

/// Something the log now says that it must not say.
pub type Breach = &'static str;

impl Life {
    /// A deposit detected just now.
    pub fn detected(number: u128) -> Self {
        let event = Event::Detected(Detected {
            id: DepositId(uuid::Uuid::from_u128(number)),
            outpoint: Outpoint { txid: Hash32([1; 32]), index: 0 },
            address: "deposit".to_owned(),
            amount: "1".parse().expect("one bitcoin is an amount"),
            customer: Some(Customer { target: CUSTOMER.to_owned(), bound_method: Method::Direct }),
            spends: vec![],
            coinbase: false,
        });
        let deposit = Shared::new(evolve(None, &event).expect("it is detected"));
        Self { deposit, is_received: false, sender: Sender::FRESH, buyer: None }
    }

    /// Decides and commits in one; whether the command was allowed. What is told of money before the receipt is a breach.
    pub fn commit(&mut self, command: &Command) -> Result<bool, Breach> {
        let Ok(events) = self.deposit.decide(command) else { return Ok(false) };
        let mut deposit = Deposit::clone(&self.deposit);
        for event in &events {
            match event {
                Event::Mined(_) | Event::Orphaned(_) | Event::Vanished(_) => self.is_received = false,
                Event::Matured(_) => self.is_received = true,
                Event::OrderIntended(_) if !self.is_received => return Err("bought for what is not received"),
                Event::PayoutSigned(_) if !self.is_received => return Err("paid for what is not received"),
                _ => {}
            }
            deposit = evolve(Some(deposit), event).expect("a detected deposit stays one");
        }
        self.deposit = Shared::new(deposit);
        Ok(true)
    }

    /// Everything in mind is gone.
    pub fn forget(&mut self) {
        (self.sender, self.buyer) = (Sender::FRESH, None);
    }

    /// The payout that the log has.
    pub fn signed(&self) -> Option<Input> {
        self.deposit.signed_payout().map(Input::of)
    }

    /// How much was bought for it by the log, in smallest units.
    pub fn bought(&self) -> u64 {
        self.deposit.purchase.as_ref().map_or(0, |purchase| purchase.bought().units())
    }

    /// Whether an order is open by the log.
    pub fn has_order(&self) -> bool {
        self.deposit.purchase.as_ref().is_some_and(|purchase| purchase.open_order().is_some())
    }

    /// Whether an operator holds it, or could let it go on.
    pub fn is_held(&self) -> bool {
        matches!(self.deposit.stage, Stage::Held { .. })
    }

    /// Whether the buyer has something to do for it: as the buyer sees it itself.
    pub fn concerns_buyer(&self) -> bool {
        match &self.deposit.stage {
            Stage::WaitBuy => true,
            Stage::Held { reason, .. } => self.buyer.is_some() || self.has_order_to_follow(reason),
            _ => false,
        }
    }

    fn has_order_to_follow(&self, reason: &HoldReason) -> bool {
        match self.deposit.purchase.as_ref().and_then(|purchase| purchase.open_order()).map(|order| order.phase) {
            None => false,
            Some(OrderPhase::Placed { .. } | OrderPhase::Cancelling { .. }) => true,
            Some(OrderPhase::Intended) => !matches!(reason, HoldReason::OrderUnaccounted | HoldReason::PurchaseStopped),
        }
    }
}

fn payout_terms() -> PayoutTerms {
    PayoutTerms { decimals: 3, maximum: "1000".parse().expect("it is an amount") }
}

/// The decision, by the way that is configured.
pub fn decision(way: Way) -> Command {
    let terms = match way {
        Method::Direct => Terms::Direct { rate: OWED.parse().expect("it is a rate") },
        Method::Passthrough => Terms::Passthrough { best_ask: super::buying::price(), book: None },
    };
    let (minimum, maximum) = (Amount::ZERO, "2".parse().expect("it is an amount"));
    Command::Decide(DecisionTerms { terms, minimum, maximum, payout: payout_terms() })
}

/// The end of a purchase.
pub fn finish() -> Command {
    Command::FinishPurchase(RemainderPolicy { rounding_maximum: Amount::ZERO, payout: payout_terms() })
}
