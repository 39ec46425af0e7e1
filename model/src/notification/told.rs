//! What is told of a deposit: which of its events are told, as what, and in which order.
//!
//! One event is told once at most. What the desk does in between (buying, holding, trying a payout anew) is its own affair, and
//! an end is told as the failure of what the customer was waiting for: of the deposit before it was decided how much is paid
//! out, of the withdrawal after it.

use chrono::{DateTime, Utc};

use super::kind::{NotificationType, ResourceType};
use super::row::SubmitState;
use crate::deposit::{BlockRef, Deposit, Event, HoldReason, Outcome, RemainderUse, Stage};
use crate::ids::Position;
use crate::money::{Amount, Btc};

/// What was told of a deposit so far: what its next notification rests on besides the deposit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// How many notifications there were.
    pub(super) sequence: u32,
    /// The first that was told of it, and of the coins that came in.
    deposit_began: Option<Position>,
    /// The first that was told of the coins that go out.
    withdrawal_began: Option<Position>,
    /// When the deposit was seen.
    pub(super) seen_at: DateTime<Utc>,
    /// When it was decided for the first time how much is paid out.
    pub(super) queued_at: Option<DateTime<Utc>>,
    /// The block that holds it, or held it last.
    pub(super) block: Option<BlockRef>,
    /// What is owed back, or was paid back.
    pub(super) refund: Option<Amount<Btc>>,
    /// What an end would be, by the reason for which it was held last.
    held_for: Option<SubmitState>,
}

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling {
    /// As what.
    pub kind: NotificationType,
    /// Where the row stands now.
    pub state: SubmitState,
    /// The event that was the first to be told of its deposit; this one, if it is.
    pub deposit_began: Position,
    /// The event that was the first to be told of its row; this one, if it is.
    pub row_began: Position,
}

/// The same before it is known whether it is the first.
type Said = (NotificationType, SubmitState);

impl Told {
    /// Takes the deposit's next event in, which leaves it as `after`, with where it is in the log and when it came there; says
    /// what it tells, if anything.
    pub fn take_in(&mut self, event: &Event, after: &Deposit, of: (Position, DateTime<Utc>)) -> Option<Telling> {
        let (position, at) = of;
        self.remember(event, at);
        let (kind, state) = self.said(event, after)?;
        let deposit_began = *self.deposit_began.get_or_insert(position);
        let row_began = match kind.resource() {
            ResourceType::Deposit | ResourceType::Subscription | ResourceType::Desk => deposit_began,
            ResourceType::Withdrawal => *self.withdrawal_began.get_or_insert(position),
        };
        self.sequence = self.sequence.saturating_add(1);
        Some(Telling { kind, state, deposit_began, row_began })
    }

    /// What later notifications show besides the deposit.
    fn remember(&mut self, event: &Event, at: DateTime<Utc>) {
        if let Event::Detected(_) = event {
            self.seen_at = at;
        } else if let Event::Mined(mined) = event {
            self.block = Some(mined.block);
        } else if let Event::Held(held) = event {
            self.held_for = Some(state_of_an_end(&held.reason));
        } else if let Event::StatusWaitSend(_) = event {
            self.queued_at = self.queued_at.or(Some(at));
        } else if let Event::RemainderBooked(booked) = event {
            self.refund = (booked.to == RemainderUse::Refund).then_some(booked.amount);
        } else if let Event::RefundDue(due) = event {
            self.refund = Some(due.amount);
        }
    }

    fn said(&self, event: &Event, after: &Deposit) -> Option<Said> {
        use NotificationType as Kind;
        let told = |kind, state| Some((kind, state));
        match event {
            Event::Detected(_) => told(Kind::DepositPending, SubmitState::Pending),
            Event::Mined(_) => of_a_block(after),
            // What has ended already, or is to be paid back, was told its end.
            Event::Orphaned(_) if is_over(after) => None,
            Event::Orphaned(_) => told(Kind::DepositPending, SubmitState::Orphan),
            Event::Vanished(_) => of_vanishing(after),
            // The receipt is told by what follows it; what is deep enough once more has nothing that follows.
            Event::Matured(_) if after.stage == Stage::Pending || is_over(after) => None,
            Event::Matured(_) => told(Kind::DepositConfirmed, received(after)),
            Event::Quarantined(_) | Event::StatusWaitDecide(_) => told(Kind::DepositConfirmed, received(after)),
            // How the desk comes by the coins.
            Event::StatusWaitBuy(_)
            | Event::OrderIntended(_)
            | Event::OrderPlaced(_)
            | Event::OrderRefused(_)
            | Event::OrderCancelIntended(_)
            | Event::OrderObserved(_)
            | Event::Bought(_)
            | Event::PurchaseStopped(_)
            | Event::RemainderBooked(_) => None,
            Event::StatusWaitSend(_) => told(Kind::WithdrawalAddedToQueue, SubmitState::Queue),
            // An attempt is nothing before it is signed.
            Event::PayoutIntended(_) => None,
            Event::PayoutSigned(_) => told(Kind::WithdrawalInConsensus, SubmitState::Consensus),
            // Another transaction is needed: it is where it was before the signature.
            Event::PayoutVoided(_) => told(Kind::WithdrawalAddedToQueue, SubmitState::Queue),
            // On its way, for the first time or again: never a success before it is final.
            Event::Sent(_) | Event::PayoutReorged(_) => {
                told(Kind::WithdrawalSubmitted, SubmitState::WaitForConfirmation)
            }
            Event::Confirmed(_) => told(Kind::WithdrawalConfirmed, SubmitState::Success),
            // Nothing is lost and nothing moves. The page says so; no type of notification does.
            Event::Held(_) | Event::Released(_) => None,
            // The end is that nothing is paid out; that it was paid back is news of the same row.
            Event::RefundDue(_) | Event::RefundMarked(_) => {
                told(failure(after), self.held_for.unwrap_or(SubmitState::Fatal))
            }
            // The desk's loss: the payout stands, and that the block is gone was told.
            Event::ReorgLoss(_) => None,
            Event::Failed(_) => told(failure(after), SubmitState::Fatal),
            Event::WrittenOff(_) => told(failure(after), SubmitState::Orphan),
        }
    }
}

/// Out of the mempool it ends as long as nothing was done for it. What was paid for has no coins any more, and its payout
/// stands. What waits for a person, or is over, is not told: whether it ends is not known yet, or was told.
fn of_vanishing(after: &Deposit) -> Option<Said> {
    let told = |kind| Some((kind, SubmitState::Orphan));
    match &after.stage {
        Stage::Done(Outcome::Vanished) => told(failure(after)),
        Stage::Pending
        | Stage::WaitDecide
        | Stage::WaitBuy
        | Stage::WaitSend
        | Stage::WaitConfirm
        | Stage::Done(Outcome::Paid) => told(NotificationType::DepositFailed),
        Stage::Quarantined
        | Stage::Held { .. }
        | Stage::RefundDue { .. }
        | Stage::Done(Outcome::Refunded { .. } | Outcome::Failed { .. } | Outcome::WrittenOff { .. }) => None,
    }
}

/// In a block it waits for its depth, unless nobody waits for that any more: what was paid out for good counts as received.
fn of_a_block(after: &Deposit) -> Option<Said> {
    let told = |kind, state| Some((kind, state));
    match after.stage {
        Stage::Done(Outcome::Paid) => told(NotificationType::DepositConfirmed, SubmitState::Success),
        _ if is_over(after) => None,
        _ => after
            .ripens_in()
            .and_then(|_| told(NotificationType::DepositWaitForConfirmation, SubmitState::WaitForConfirmation)),
    }
}

/// Whether its end was told: nothing is paid out for it.
fn is_over(deposit: &Deposit) -> bool {
    match &deposit.stage {
        Stage::RefundDue { .. } => true,
        Stage::Done(outcome) => match outcome {
            Outcome::Paid => false,
            Outcome::Refunded { .. } | Outcome::Vanished | Outcome::Failed { .. } | Outcome::WrittenOff { .. } => true,
        },
        Stage::Pending
        | Stage::Quarantined
        | Stage::WaitDecide
        | Stage::WaitBuy
        | Stage::WaitSend
        | Stage::WaitConfirm
        | Stage::Held { .. } => false,
    }
}

/// What fails with a deposit: what its customer was waiting for.
fn failure(deposit: &Deposit) -> NotificationType {
    match deposit.payout {
        Some(_) => NotificationType::WithdrawalFailed,
        None => NotificationType::DepositFailed,
    }
}

/// What belongs to nobody waits for an operator.
fn received(deposit: &Deposit) -> SubmitState {
    match deposit.receipt.customer {
        Some(_) => SubmitState::Success,
        None => SubmitState::PendingManual,
    }
}

fn state_of_an_end(reason: &HoldReason) -> SubmitState {
    match reason {
        HoldReason::BelowMinimum | HoldReason::NothingToSend => SubmitState::AmountTooSmall,
        HoldReason::InvalidTarget => SubmitState::BadAddress,
        HoldReason::DepositOrphaned
        | HoldReason::AboveMaximum
        | HoldReason::PayoutAboveMaximum
        | HoldReason::CoinsSeenBefore { .. }
        | HoldReason::OrderUnaccounted
        | HoldReason::PurchaseStopped
        | HoldReason::PayoutTooManyInputs
        | HoldReason::PaidBefore { .. }
        | HoldReason::WalletMisbehaved
        | HoldReason::Operator { .. } => SubmitState::Fatal,
    }
}
