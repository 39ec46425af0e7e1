//! What can be asked of a deposit, and which rule answers no.

use serde::{Deserialize, Serialize};

use super::decide::DecisionTerms;
use super::event::*;
use super::payout::SignedPayout;
use super::purchasing::RemainderPolicy;
use super::state::{Deposit, StageName};
use crate::ids::Hash32;
use crate::purchase::{Fact, OrderIntent, SeenBook, seen_book_kept};

/// A command on one deposit. Times and answers of the outside world are in it; deciding asks nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Its transaction is in this block of the best chain.
    ObserveMined {
        /// The block.
        block: BlockRef,
    },
    /// The block that held it left the best chain.
    ObserveOrphaned,
    /// Its transaction is out of the mempool and in no block.
    ObserveVanished {
        /// The transaction that took its coins, if one was seen.
        replaced_by: Option<Hash32>,
    },
    /// It is deep enough.
    ObserveMature {
        /// How many blocks deep, its own included.
        confirmations: u64,
        /// A decided and orphaned deposit with the same coins, if there is one.
        seen_before: Option<crate::ids::DepositId>,
    },
    /// Decide what to do with it.
    Decide(DecisionTerms),
    /// Record a step of its purchase.
    RecordPurchase(Fact),
    /// Record an order that may be placed from now on, with what it was chosen from.
    IntendOrder {
        /// The order.
        order: OrderIntent,
        /// The order book of that moment; one of its asks is what the order pays at most. One that breaks a rule of today is read
        /// as none, as it is in the event that came of it.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "seen_book_kept")]
        book: Option<SeenBook>,
    },
    /// All that can be spent is spent.
    FinishPurchase(RemainderPolicy),
    /// The purchase cannot go on.
    StopPurchase {
        /// Why.
        reason: HoldReason,
    },
    /// The wallet signed the payout.
    RecordSigned(SignedPayout),
    /// A final transaction spent an input of the signed payout, or of other void bytes that would have made one.
    RecordVoided {
        /// That transaction.
        conflicting_txid: Hash32,
    },
    /// The node took the payout.
    RecordSent,
    /// The payout was in a block and is in none now.
    RecordPayoutReorged,
    /// The payout is final.
    RecordConfirmed {
        /// The Skycoin block that holds it.
        block_seq: u64,
        /// How deep it is, its own block included.
        confirmations: u64,
    },
    /// Stop it.
    Hold {
        /// Why.
        reason: HoldReason,
    },
    /// Go on.
    Release {
        /// Why.
        note: String,
    },
    /// The deposit is to be paid back.
    MarkRefundDue {
        /// Why, in the operator's words.
        note: String,
    },
    /// It was paid back.
    MarkRefunded {
        /// By this transaction.
        txid: Hash32,
        /// In the operator's words.
        note: String,
    },
}

impl Command {
    /// The command's name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ObserveMined { .. } => "ObserveMined",
            Self::ObserveOrphaned => "ObserveOrphaned",
            Self::ObserveVanished { .. } => "ObserveVanished",
            Self::ObserveMature { .. } => "ObserveMature",
            Self::Decide(_) => "Decide",
            Self::RecordPurchase(_) => "RecordPurchase",
            Self::IntendOrder { .. } => "IntendOrder",
            Self::FinishPurchase(_) => "FinishPurchase",
            Self::StopPurchase { .. } => "StopPurchase",
            Self::RecordSigned(_) => "RecordSigned",
            Self::RecordVoided { .. } => "RecordVoided",
            Self::RecordSent => "RecordSent",
            Self::RecordPayoutReorged => "RecordPayoutReorged",
            Self::RecordConfirmed { .. } => "RecordConfirmed",
            Self::Hold { .. } => "Hold",
            Self::Release { .. } => "Release",
            Self::MarkRefundDue { .. } => "MarkRefundDue",
            Self::MarkRefunded { .. } => "MarkRefunded",
        }
    }
}

/// The rule that forbids a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The deposit is not where the command needs it.
    #[error("a deposit in {stage} cannot {command}")]
    WrongStage {
        /// The command's name.
        command: &'static str,
        /// Where the deposit is.
        stage: StageName,
    },
    /// There is nothing new in the command.
    #[error("nothing new")]
    NothingNew,
    /// A purchase that has an order open, or one whose fate is unknown, cannot end.
    #[error("an order is open")]
    OrderOpen,
    /// A step that does not follow from the steps before it.
    #[error("the purchase does not allow this step: {0}")]
    PurchaseStep(String),
    /// A payout is signed; there is never a second one and no refund beside it.
    #[error("a payout is signed")]
    PayoutSigned,
    /// Nothing is signed that could be sent, voided or confirmed.
    #[error("no payout is signed")]
    NoPayoutSigned,
    /// Nothing is held.
    #[error("the deposit is not held")]
    NotHeld,
    /// What holds it has not passed.
    #[error("what holds it has not passed: its transaction is not in the best chain")]
    StillOrphaned,
    /// A reorganisation undid it, and it is not deep enough again.
    #[error("a reorganisation undid the deposit, and it is not deep enough again")]
    NotDeepAgain,
    /// A price that is not that of the order book it is said to rest on.
    #[error("the price is not that of the order book beside it")]
    OtherBook,
    /// Amounts that do not fit together.
    #[error("amounts that do not fit together: {0}")]
    Arithmetic(&'static str),
}

impl Deposit {
    /// The events that follow from a command, or the rule that forbids it. Never empty when `Ok`.
    pub fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::ObserveMined { block } => self.observe_mined(*block),
            Command::ObserveOrphaned => self.observe_orphaned(),
            Command::ObserveVanished { replaced_by } => self.observe_vanished(*replaced_by),
            Command::ObserveMature { confirmations, seen_before } => self.observe_mature(*confirmations, *seen_before),
            Command::Decide(terms) => self.decide_on(terms),
            Command::RecordPurchase(fact) => self.record_purchase(fact),
            Command::IntendOrder { order, book } => self.intend_order(order, book.as_ref()),
            Command::FinishPurchase(policy) => self.finish_purchase(policy),
            Command::StopPurchase { reason } => self.stop_purchase(reason),
            Command::RecordSigned(signed) => self.record_signed(signed),
            Command::RecordVoided { conflicting_txid } => self.record_voided(*conflicting_txid),
            Command::RecordSent => self.record_sent(),
            Command::RecordPayoutReorged => self.record_payout_reorged(),
            Command::RecordConfirmed { block_seq, confirmations } => self.record_confirmed(*block_seq, *confirmations),
            Command::Hold { reason } => self.hold(reason),
            Command::Release { note } => self.release(note),
            Command::MarkRefundDue { note } => self.mark_refund_due(note),
            Command::MarkRefunded { txid, note } => self.mark_refunded(*txid, note),
        }
        .map_err(|rejection| match rejection {
            Rejection::WrongStage { stage, .. } => Rejection::WrongStage { command: command.name(), stage },
            other => other,
        })
    }

    /// The rejection of a command that needs another stage; [`Deposit::decide`] fills in which command.
    pub(super) fn wrong_stage(&self) -> Rejection {
        Rejection::WrongStage { command: "", stage: self.stage.name() }
    }
}
