//! What somebody says of a deposit in words of his own: the one free text in a command or an event that may tell of the customer.
//!
//! No rule looks into it, so it may be ciphertext.

use super::command::Command;
use super::event::{Event, Held, HoldReason, RefundDue, RefundMarked, Released, WrittenOff};

impl HoldReason {
    /// The operator's note in it.
    pub fn note_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Operator { note } => Some(note),
            Self::BelowMinimum
            | Self::AboveMaximum
            | Self::NothingToSend
            | Self::PayoutAboveMaximum
            | Self::DepositOrphaned
            | Self::CoinsSeenBefore { .. }
            | Self::OrderUnaccounted
            | Self::PurchaseStopped
            | Self::PayoutTooManyInputs
            | Self::InvalidTarget
            | Self::PaidBefore { .. }
            | Self::WalletMisbehaved => None,
        }
    }
}

impl Command {
    /// The operator's note in it.
    pub fn note_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Hold { reason } | Self::StopPurchase { reason } => reason.note_mut(),
            Self::Release { note } | Self::MarkRefundDue { note } | Self::MarkRefunded { note, .. } => Some(note),
            Self::ObserveMined { .. }
            | Self::ObserveOrphaned
            | Self::ObserveVanished { .. }
            | Self::ObserveMature { .. }
            | Self::Decide(_)
            | Self::RecordPurchase(_)
            | Self::IntendOrder { .. }
            | Self::FinishPurchase(_)
            | Self::RecordSigned(_)
            | Self::RecordVoided { .. }
            | Self::RecordSent
            | Self::RecordPayoutReorged
            | Self::RecordConfirmed { .. } => None,
        }
    }
}

impl Event {
    /// The note in it, which is an operator's or says why the desk went on by itself.
    pub fn note_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Held(Held { reason }) => reason.note_mut(),
            Self::Released(Released { note })
            | Self::RefundDue(RefundDue { note, .. })
            | Self::RefundMarked(RefundMarked { note, .. })
            | Self::WrittenOff(WrittenOff { note, .. }) => Some(note),
            Self::Detected(_)
            | Self::Mined(_)
            | Self::Orphaned(_)
            | Self::Vanished(_)
            | Self::Matured(_)
            | Self::Quarantined(_)
            | Self::StatusWaitDecide(_)
            | Self::StatusWaitBuy(_)
            | Self::OrderIntended(_)
            | Self::OrderPlaced(_)
            | Self::OrderRefused(_)
            | Self::OrderCancelIntended(_)
            | Self::OrderObserved(_)
            | Self::Bought(_)
            | Self::PurchaseStopped(_)
            | Self::RemainderBooked(_)
            | Self::StatusWaitSend(_)
            | Self::PayoutIntended(_)
            | Self::PayoutSigned(_)
            | Self::PayoutVoided(_)
            | Self::Sent(_)
            | Self::PayoutReorged(_)
            | Self::Confirmed(_)
            | Self::ReorgLoss(_)
            | Self::Failed(_) => None,
        }
    }
}
