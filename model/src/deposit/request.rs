//! What an operator asks of a deposit, and whether its rules would let it happen as it stands now.
//!
//! There are no rules here: each request is a command, and the deposit is asked what it would decide.

use super::command::{Command, Rejection};
use super::event::{Event, HoldReason};
use super::state::Deposit;
use crate::ids::Hash32;

/// What an operator may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Stop it.
    Hold,
    /// Let it go on where it was stopped.
    Release,
    /// It is to be paid back.
    RefundDue,
    /// It was paid back.
    Refunded {
        /// By this Bitcoin transaction.
        txid: Hash32,
    },
}

impl Request {
    /// One of each kind, to ask whether it is possible; the transaction of the last is none.
    pub const EACH: [Self; 4] = [Self::Hold, Self::Release, Self::RefundDue, Self::Refunded { txid: Hash32([0; 32]) }];

    /// The command that it is, with the operator's words.
    pub fn command(self, note: &str) -> Command {
        let note = note.to_owned();
        match self {
            Self::Hold => Command::Hold { reason: HoldReason::Operator { note } },
            Self::Release => Command::Release { note },
            Self::RefundDue => Command::MarkRefundDue { note },
            Self::Refunded { txid } => Command::MarkRefunded { txid, note },
        }
    }
}

impl Deposit {
    /// What would happen if an operator asked for this now, his words left out; or the rule that forbids it.
    pub fn would(&self, request: Request) -> Result<Vec<Event>, Rejection> {
        self.decide(&request.command(""))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::deposit::Detected;
    use crate::deposit::event::Quarantined;

    /// The kinds of requests that this deposit would grant.
    fn granted(deposit: &Deposit) -> Vec<Request> {
        Request::EACH.into_iter().filter(|request| deposit.would(*request).is_ok()).collect()
    }

    #[test]
    fn what_is_possible_follows_from_where_it_stands() {
        let [hold, release, refund_due, refunded] = Request::EACH;
        let decided = given(up_to_wait_send()).deposit();
        assert_eq!(granted(&decided), [hold]);
        let held = given(up_to_wait_send()).when(hold.command("look")).then_any().deposit();
        assert_eq!(granted(&held), [release, refund_due]);
        let owed = given(up_to_wait_send()).when(hold.command("look")).then_any();
        let owed = owed.when(refund_due.command("theirs")).then_any();
        owed.when(refunded.command("by hand")).then_any().leaves(|ended| assert_eq!(granted(ended), []));
        given(up_to_signed()).leaves(|deposit| assert_eq!(granted(deposit), []));
    }

    #[test]
    fn what_belongs_to_nobody_can_only_be_paid_back() {
        let unbound = Detected { customer: None, ..detected() };
        let stray = given([unbound.into(), mined().into(), Quarantined {}.into()]);
        stray.leaves(|deposit| assert_eq!(granted(deposit), [Request::RefundDue]));
    }

    #[test]
    fn what_would_happen_is_what_happens() {
        let held = given(up_to_wait_send()).when(Request::Hold.command("look")).then_any().deposit();
        let would = held.would(Request::Release).map(|events| events.len());
        assert_eq!(would, held.decide(&Request::Release.command("go")).map(|events| events.len()));
        assert_eq!(held.would(Request::Hold), held.decide(&Request::Hold.command("again")));
    }
}
