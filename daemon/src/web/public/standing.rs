//! Where a deposit stands, in a sentence of any language.

use millrace_model::deposit::HoldReason;

use super::words::Words;

/// What the sentence depends on.
pub(super) struct Standing<'d> {
    pub(super) status: &'d str,
    pub(super) is_mined: bool,
    pub(super) held: Option<&'d HoldReason>,
    pub(super) outcome: Option<&'d str>,
    /// How deep it is, once that is known, and how deep it has to be.
    pub(super) depth: (Option<u64>, u64),
}

impl Standing<'_> {
    pub(super) fn sentence(&self, words: &Words) -> String {
        let required = self.depth.1;
        let depth = self.depth.0.map(|deep| deep.min(required));
        let status = &words.status;
        let said = match self.status {
            "pending" if self.is_mined => match depth {
                Some(deep) => return (status.confirming)(deep, required),
                None => status.confirming_unknown,
            },
            "pending" => status.seen,
            "quarantined" => status.quarantined,
            "wait_decide" => status.received,
            "wait_buy" => status.buying,
            "wait_send" => status.sending,
            "wait_confirm" => status.sent,
            "held" => match self.held {
                Some(HoldReason::BelowMinimum) => status.below_minimum,
                Some(HoldReason::AboveMaximum) => status.above_maximum,
                Some(HoldReason::PayoutAboveMaximum) => status.payout_above_maximum,
                Some(HoldReason::DepositOrphaned) if self.is_mined => match depth {
                    Some(deep) => return (status.mined_again)(deep, required),
                    None => status.mined_again_unknown,
                },
                Some(HoldReason::DepositOrphaned) => status.orphaned,
                Some(_) | None => status.held,
            },
            "refund_due" => status.refund_due,
            "done" => match self.outcome {
                Some("paid") => status.paid,
                Some("refunded") => status.refunded,
                Some("vanished") => status.vanished,
                Some("written_off") => status.written_off,
                Some(_) | None => status.failed,
            },
            other => other,
        };
        said.to_owned()
    }
}
