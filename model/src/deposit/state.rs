//! Where a deposit stands: a fold of its events.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::event::*;
use super::payout::SignedPayout;
use crate::ids::Hash32;
use crate::money::{Amount, Btc, Sky};
use crate::purchase::{Fact, Price, Purchase};

/// A deposit as its events leave it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Deposit {
    /// What was detected.
    pub receipt: Detected,
    /// Where its transaction stands on the chain.
    pub sighting: Sighting,
    /// The height of the lowest block that ever held it; a reorganisation may have moved it since.
    pub lowest_height: Option<u64>,
    /// Whether a reorganisation undid its receipt and it has not been deep enough since.
    pub is_undone: bool,
    /// Where the deposit stands at the desk.
    pub stage: Stage,
    /// The purchase, from the decision to buy on.
    pub purchase: Option<Purchase>,
    /// The cheapest ask seen at the decision to buy; orders stay within a band above it.
    pub best_ask: Option<Price>,
    /// What of the deposit no order could spend, once booked.
    pub remainder: Option<RemainderBooked>,
    /// The payout, from the decision on how much on.
    pub payout: Option<Payout>,
    /// Whether the desk's limits hold for it.
    pub limits: Limits,
}

/// Whether the desk's limits on the amount of a deposit hold for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limits {
    /// They do.
    Kept,
    /// An operator released it after they had stopped it.
    Waived,
}

/// Where a deposit's transaction stands on the chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sighting {
    /// In the mempool.
    Unconfirmed,
    /// In a block of the best chain.
    Mined(BlockRef),
    /// Its block left the best chain.
    Orphaned,
    /// Out of the mempool.
    Vanished {
        /// The transaction that took its coins, if one was seen.
        replaced_by: Option<Hash32>,
    },
}

/// Where a deposit stands at the desk.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not deep enough yet.
    Pending,
    /// Received on an address that belongs to no customer.
    Quarantined,
    /// Received; to be decided.
    WaitDecide,
    /// Being bought.
    WaitBuy,
    /// To be paid out.
    WaitSend,
    /// Paid out, not final yet.
    WaitConfirm,
    /// Stopped.
    Held {
        /// Why.
        reason: HoldReason,
        /// Where it goes on when released.
        interrupted: Box<Stage>,
    },
    /// To be paid back by an operator.
    RefundDue {
        /// How much.
        amount: Amount<Btc>,
    },
    /// Ended.
    Done(Outcome),
}

/// How a deposit ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Paid out for good.
    Paid,
    /// Paid back.
    Refunded {
        /// By this transaction.
        txid: Hash32,
    },
    /// The transaction never came to be.
    Vanished,
    /// Ended without a payout.
    Failed {
        /// Why.
        reason: String,
    },
    /// Its coins were spent elsewhere, and what was bought for it is the desk's.
    WrittenOff {
        /// Where it goes on if it is mined after all.
        interrupted: Box<Stage>,
    },
}

/// A payout and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Payout {
    /// What the amount rests on.
    pub basis: PayoutBasis,
    /// How much.
    pub amount: Amount<Sky>,
    /// What was cut off to reach the payout's decimals.
    pub rounding: Amount<Sky>,
    /// How often it was begun; 0 before the first intention.
    pub attempt: u32,
    /// The bytes of the current attempt, once signed.
    pub signed: Option<SignedPayout>,
    /// How often these bytes have left their block since they were last final.
    pub reorgs: u32,
}

/// A stage's name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageName {
    /// [`Stage::Pending`]
    Pending,
    /// [`Stage::Quarantined`]
    Quarantined,
    /// [`Stage::WaitDecide`]
    WaitDecide,
    /// [`Stage::WaitBuy`]
    WaitBuy,
    /// [`Stage::WaitSend`]
    WaitSend,
    /// [`Stage::WaitConfirm`]
    WaitConfirm,
    /// [`Stage::Held`]
    Held,
    /// [`Stage::RefundDue`]
    RefundDue,
    /// [`Stage::Done`]
    Done,
}

impl StageName {
    /// The word used in the log's views, the APIs and the page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Quarantined => "quarantined",
            Self::WaitDecide => "wait_decide",
            Self::WaitBuy => "wait_buy",
            Self::WaitSend => "wait_send",
            Self::WaitConfirm => "wait_confirm",
            Self::Held => "held",
            Self::RefundDue => "refund_due",
            Self::Done => "done",
        }
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Stage {
    /// The stage's name.
    pub fn name(&self) -> StageName {
        match self {
            Self::Pending => StageName::Pending,
            Self::Quarantined => StageName::Quarantined,
            Self::WaitDecide => StageName::WaitDecide,
            Self::WaitBuy => StageName::WaitBuy,
            Self::WaitSend => StageName::WaitSend,
            Self::WaitConfirm => StageName::WaitConfirm,
            Self::Held { .. } => StageName::Held,
            Self::RefundDue { .. } => StageName::RefundDue,
            Self::Done(_) => StageName::Done,
        }
    }
}

impl Deposit {
    fn new(receipt: &Detected) -> Self {
        Self {
            receipt: receipt.clone(),
            sighting: Sighting::Unconfirmed,
            lowest_height: None,
            is_undone: false,
            stage: Stage::Pending,
            purchase: None,
            best_ask: None,
            remainder: None,
            payout: None,
            limits: Limits::Kept,
        }
    }

    /// Whether nothing more is expected to happen. (A reorganisation may still wake it up.)
    pub fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Done(_))
    }

    /// The signed payout that stands, if any.
    pub fn signed_payout(&self) -> Option<&SignedPayout> {
        self.payout.as_ref()?.signed.as_ref()
    }

    /// Whether something was done for this deposit that cannot be taken back: an order sent or bytes signed.
    pub fn is_committed(&self) -> bool {
        self.signed_payout().is_some() || self.purchase.as_ref().is_some_and(Purchase::is_begun)
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Detected(receipt) => *self = Self::new(receipt),
            Event::Mined(mined) => {
                let height = mined.block.height;
                self.sighting = Sighting::Mined(mined.block);
                self.lowest_height = Some(self.lowest_height.map_or(height, |lowest| lowest.min(height)));
                if self.stage == Stage::Done(Outcome::Vanished) {
                    self.begin_anew();
                } else if let Stage::Done(Outcome::WrittenOff { interrupted }) = &mut self.stage {
                    self.stage = take_stage(interrupted);
                }
            }
            Event::Orphaned(_) => {
                self.sighting = Sighting::Orphaned;
                self.is_undone = self.stage != Stage::Pending;
            }
            Event::Vanished(vanished) => {
                self.sighting = Sighting::Vanished { replaced_by: vanished.replaced_by };
                let is_nothing_held =
                    matches!(self.stage, Stage::Pending | Stage::WaitDecide | Stage::WaitBuy | Stage::WaitSend);
                if is_nothing_held && !self.is_committed() {
                    self.stage = Stage::Done(Outcome::Vanished);
                }
            }
            Event::Matured(_) => self.is_undone = false,
            Event::ReorgLoss(_) => {}
            Event::RemainderBooked(booked) => self.remainder = Some(booked.clone()),
            Event::Quarantined(_) => self.stage = Stage::Quarantined,
            Event::StatusWaitDecide(_) => self.stage = Stage::WaitDecide,
            Event::StatusWaitBuy(decision) => {
                self.purchase = Some(Purchase::new(decision.budget));
                self.best_ask = Some(decision.best_ask);
                self.stage = Stage::WaitBuy;
            }
            Event::OrderIntended(intended) => self.purchase_fact(&Fact::Intended(intended.order.clone())),
            Event::OrderPlaced(placed) => self.purchase_fact(&Fact::Placed { order_id: placed.order_id }),
            Event::OrderRefused(refused) => self.purchase_fact(&Fact::Refused { reason: refused.reason.clone() }),
            Event::OrderCancelIntended(_) => self.purchase_fact(&Fact::CancelIntended),
            Event::OrderObserved(observed) => self.purchase_fact(&Fact::Observed(observed.observation.clone())),
            Event::Bought(_) | Event::PurchaseStopped(_) => {}
            Event::StatusWaitSend(decision) => {
                let StatusWaitSend { basis, amount, rounding } = decision.clone();
                self.payout = Some(Payout { basis, amount, rounding, attempt: 0, signed: None, reorgs: 0 });
                self.stage = Stage::WaitSend;
            }
            Event::PayoutIntended(intended) => self.on_payout(|payout| payout.attempt = intended.attempt),
            Event::PayoutSigned(signed) => self.on_payout(|payout| payout.signed = Some(signed.clone().into())),
            Event::PayoutVoided(_) => {
                self.on_payout(|payout| (payout.signed, payout.reorgs) = (None, 0));
                self.stage = Stage::WaitSend;
            }
            Event::Sent(_) => self.stage = Stage::WaitConfirm,
            Event::PayoutReorged(_) => {
                self.on_payout(|payout| payout.reorgs += 1);
                self.stage = Stage::WaitConfirm;
            }
            Event::Confirmed(_) => {
                self.on_payout(|payout| payout.reorgs = 0);
                self.stage = Stage::Done(Outcome::Paid);
            }
            Event::Held(held) => {
                let interrupted = Box::new(take_stage(&mut self.stage));
                self.stage = Stage::Held { reason: held.reason.clone(), interrupted };
            }
            Event::Released(_) => {
                if let Stage::Held { reason, interrupted } = &mut self.stage {
                    if matches!(reason, HoldReason::BelowMinimum | HoldReason::AboveMaximum) {
                        self.limits = Limits::Waived;
                    }
                    self.stage = take_stage(interrupted);
                }
            }
            Event::RefundDue(refund) => self.stage = Stage::RefundDue { amount: refund.amount },
            Event::RefundMarked(refund) => self.stage = Stage::Done(Outcome::Refunded { txid: refund.txid }),
            Event::WrittenOff(_) => {
                let interrupted = Box::new(take_stage(&mut self.stage));
                self.stage = Stage::Done(Outcome::WrittenOff { interrupted });
            }
            Event::Failed(failed) => self.stage = Stage::Done(Outcome::Failed { reason: failed.reason.clone() }),
        }
    }

    /// Whatever was decided, nothing was done for it, and it is gone with what was decided.
    fn begin_anew(&mut self) {
        (self.purchase, self.best_ask, self.remainder, self.payout) = (None, None, None, None);
        (self.stage, self.limits) = (Stage::Pending, Limits::Kept);
    }

    fn purchase_fact(&mut self, fact: &Fact) {
        if let Some(purchase) = self.purchase.take() {
            self.purchase = Some(purchase.apply(fact));
        }
    }

    fn on_payout(&mut self, change: impl FnOnce(&mut Payout)) {
        if let Some(payout) = &mut self.payout {
            change(payout);
        }
    }
}

/// A stage that another takes the place of.
fn take_stage(stage: &mut Stage) -> Stage {
    std::mem::replace(stage, Stage::Pending)
}

/// The state after one more event; `None` stands for a deposit that was not detected yet.
pub fn evolve(mut deposit: Option<Deposit>, event: &Event) -> Option<Deposit> {
    take_in(&mut deposit, event);
    deposit
}

/// The same where it stands: a deposit is large, and a rebuild takes in millions of events.
pub fn take_in(deposit: &mut Option<Deposit>, event: &Event) {
    match (deposit, event) {
        (deposit @ None, Event::Detected(receipt)) => *deposit = Some(Deposit::new(receipt)),
        (None, _) => {}
        (Some(deposit), event) => deposit.apply(event),
    }
}
