//! Paying out: intention, one set of signed bytes, sent, final.

use serde::{Deserialize, Serialize};

use super::command::Rejection;
use super::event::*;
use super::state::{Deposit, Payout, Stage};
use crate::ids::Hash32;

/// A signed payout: once in the log these bytes are the payout, and no others until a final transaction spends one of
/// their inputs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SignedPayout {
    /// The transaction, signed.
    pub txid: Hash32,
    /// Names the transaction whatever its signatures are.
    pub inner_hash: Hash32,
    /// The outputs of the hot wallet that it spends.
    pub inputs: Vec<Hash32>,
    /// The whole transaction, in hexadecimal.
    pub bytes: String,
}

impl From<PayoutSigned> for SignedPayout {
    fn from(event: PayoutSigned) -> Self {
        let PayoutSigned { txid, inner_hash, inputs, bytes } = event;
        Self { txid, inner_hash, inputs, bytes }
    }
}

impl From<SignedPayout> for PayoutSigned {
    fn from(payout: SignedPayout) -> Self {
        let SignedPayout { txid, inner_hash, inputs, bytes } = payout;
        Self { txid, inner_hash, inputs, bytes }
    }
}

impl Deposit {
    fn owed(&self) -> Result<&Payout, Rejection> {
        match (&self.stage, &self.payout) {
            (Stage::WaitSend, Some(payout)) => Ok(payout),
            _ => Err(self.wrong_stage()),
        }
    }

    pub(super) fn record_signed(&self, signed: &SignedPayout) -> Result<Vec<Event>, Rejection> {
        let payout = self.owed()?;
        if payout.signed.is_some() {
            return Err(Rejection::PayoutSigned);
        }
        let intended = PayoutIntended { attempt: payout.attempt + 1 };
        Ok(vec![intended.into(), Event::PayoutSigned(signed.clone().into())])
    }

    pub(super) fn record_voided(&self, conflicting_txid: Hash32) -> Result<Vec<Event>, Rejection> {
        if !matches!(self.stage, Stage::WaitSend | Stage::WaitConfirm) {
            return Err(self.wrong_stage());
        }
        let signed = self.signed_payout().ok_or(Rejection::NoPayoutSigned)?;
        if signed.txid == conflicting_txid {
            return Err(Rejection::Arithmetic("a payout does not conflict with itself"));
        }
        let mut events = vec![PayoutVoided { conflicting_txid }.into()];
        // What was signed went on although the deposit was gone; nothing new is signed before it is back.
        if self.is_undone {
            events.push(Held { reason: HoldReason::DepositOrphaned }.into());
        }
        Ok(self.with_write_off(events))
    }

    pub(super) fn record_sent(&self) -> Result<Vec<Event>, Rejection> {
        self.owed()?.signed.as_ref().ok_or(Rejection::NoPayoutSigned)?;
        Ok(vec![Sent {}.into()])
    }

    pub(super) fn record_payout_reorged(&self) -> Result<Vec<Event>, Rejection> {
        self.signed_payout().ok_or(Rejection::NoPayoutSigned)?;
        match self.stage {
            Stage::WaitConfirm | Stage::Done(_) => Ok(vec![PayoutReorged {}.into()]),
            _ => Err(self.wrong_stage()),
        }
    }

    pub(super) fn record_confirmed(&self, block_seq: u64, confirmations: u64) -> Result<Vec<Event>, Rejection> {
        self.signed_payout().ok_or(Rejection::NoPayoutSigned)?;
        match self.stage {
            Stage::WaitConfirm => Ok(vec![Confirmed { block_seq, confirmations }.into()]),
            _ => Err(self.wrong_stage()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Command;
    use super::super::testing::*;
    use super::*;

    /// P2: a second signature is refused.
    #[test]
    fn a_payout_is_signed_once() {
        let other = SignedPayout { txid: Hash32([77; 32]), ..signed() };
        given(up_to_signed()).when(Command::RecordSigned(other)).rejected_with(Rejection::PayoutSigned);
    }

    #[test]
    fn nothing_unsigned_is_sent() {
        given(up_to_wait_send()).when(Command::RecordSent).rejected_with(Rejection::NoPayoutSigned);
    }

    #[test]
    fn a_voided_payout_is_owed_again_under_the_next_attempt() {
        given(up_to_signed())
            .when(Command::RecordVoided { conflicting_txid: Hash32([66; 32]) })
            .then([PayoutVoided { conflicting_txid: Hash32([66; 32]) }.into()])
            .when(Command::RecordSigned(signed()))
            .then([PayoutIntended { attempt: 2 }.into(), Event::PayoutSigned(signed().into())]);
    }

    /// D3: nothing new is signed for what is gone.
    #[test]
    fn a_payout_voided_after_a_reorganisation_took_the_deposit_is_not_signed_anew_before_it_is_back() {
        let block = BlockRef { height: 8, hash: Hash32([8; 32]) };
        given(up_to_signed())
            .when(Command::ObserveOrphaned)
            .then_any()
            .when(Command::RecordVoided { conflicting_txid: Hash32([66; 32]) })
            .then([
                PayoutVoided { conflicting_txid: Hash32([66; 32]) }.into(),
                Held { reason: HoldReason::DepositOrphaned }.into(),
            ])
            .when(Command::ObserveMined { block })
            .then_any()
            .when(Command::ObserveMature { confirmations: 2, seen_before: None })
            .then([Matured { confirmations: 2 }.into(), Released { note: "mined again".into() }.into()])
            .when(Command::RecordSigned(signed()))
            .then([PayoutIntended { attempt: 2 }.into(), Event::PayoutSigned(signed().into())]);
    }

    #[test]
    fn a_payout_sent_and_deep_enough_ends_the_deposit() {
        given(up_to_signed())
            .when(Command::RecordSent)
            .then([Sent {}.into()])
            .when(Command::RecordConfirmed { block_seq: 5, confirmations: 1 })
            .then([Confirmed { block_seq: 5, confirmations: 1 }.into()])
            .leaves(|deposit| assert!(deposit.is_finished()));
    }

    /// P6: the deposit waits again, with the same bytes.
    #[test]
    fn a_payout_that_leaves_the_chain_waits_to_confirm_again() {
        let mut events = up_to_signed();
        events.extend([Sent {}.into(), Confirmed { block_seq: 5, confirmations: 1 }.into()]);
        given(events).when(Command::RecordPayoutReorged).then([PayoutReorged {}.into()]).leaves(|deposit| {
            assert_eq!(deposit.stage, Stage::WaitConfirm);
            assert_eq!(deposit.payout.as_ref().unwrap().reorgs, 1);
            assert_eq!(deposit.signed_payout(), Some(&signed()), "the same bytes");
        });
    }
}
