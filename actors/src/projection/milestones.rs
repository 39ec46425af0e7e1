//! When a deposit passed what its customer waits for, as far as it still holds.

use chrono::{DateTime, Utc};
use millrace_model::deposit::{Event, PayoutBasis};
use serde::{Deserialize, Serialize};

/// The times of the events that a customer sees as steps. Each is that of the last such event, and nothing once it was undone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Milestones {
    /// The transaction came into a block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mined_at: Option<DateTime<Utc>>,
    /// It was deep enough: the money is the desk's and an outcome is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<DateTime<Utc>>,
    /// It was decided how the coins are come by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<DateTime<Utc>>,
    /// The purchase was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bought_at: Option<DateTime<Utc>>,
    /// The node took the payout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<DateTime<Utc>>,
    /// It was held, or found to be owed back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<DateTime<Utc>>,
    /// It ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
}

impl Milestones {
    pub(super) fn take_in(&mut self, event: &Event, at: DateTime<Utc>) {
        let now = Some(at);
        match event {
            Event::Mined(_) => self.mined_at = now,
            Event::Orphaned(_) => self.mined_at = None,
            Event::StatusWaitDecide(_) => self.received_at = now,
            Event::StatusWaitBuy(_) => self.decided_at = now,
            Event::StatusWaitSend(owed) if owed.basis != PayoutBasis::Bought => self.decided_at = now,
            Event::Bought(_) | Event::PurchaseStopped(_) => self.bought_at = now,
            Event::PayoutVoided(_) => self.sent_at = None,
            Event::Sent(_) => (self.sent_at, self.ended_at) = (now, None),
            Event::PayoutReorged(_) => self.ended_at = None,
            Event::Held(_) | Event::RefundDue(_) => self.stopped_at = now,
            Event::Released(_) => self.stopped_at = None,
            Event::Confirmed(_) | Event::RefundMarked(_) | Event::Failed(_) | Event::WrittenOff(_) => {
                self.ended_at = now
            }
            // Whether one that vanished ended, or one that is mined again goes on, depends on what became of it; its row knows.
            Event::Vanished(_)
            | Event::Detected(_)
            | Event::Matured(_)
            | Event::Quarantined(_)
            | Event::StatusWaitSend(_)
            | Event::OrderIntended(_)
            | Event::OrderPlaced(_)
            | Event::OrderRefused(_)
            | Event::OrderCancelIntended(_)
            | Event::OrderObserved(_)
            | Event::RemainderBooked(_)
            | Event::PayoutIntended(_)
            | Event::PayoutSigned(_)
            | Event::ReorgLoss(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_model::deposit::{BlockRef, Confirmed, Mined, Orphaned, PayoutReorged, Sent};
    use millrace_model::ids::Hash32;

    use super::*;

    #[test]
    fn what_is_undone_has_no_time_any_more() {
        let block = BlockRef { height: 7, hash: Hash32([7; 32]) };
        let at = |second| DateTime::from_timestamp(second, 0);
        let mut times = Milestones::default();
        let mut pass = |event: Event, second| {
            times.take_in(&event, at(second).unwrap());
            times
        };
        assert_eq!(pass(Mined { block }.into(), 1).mined_at, at(1));
        assert_eq!(pass(Orphaned { block }.into(), 2).mined_at, None);
        assert_eq!(pass(Sent {}.into(), 3).sent_at, at(3));
        assert_eq!(pass(Confirmed { block_seq: 1, confirmations: 1 }.into(), 4).ended_at, at(4));
        let reorged = pass(PayoutReorged {}.into(), 5);
        assert_eq!((reorged.sent_at, reorged.ended_at), (at(3), None));
    }
}
