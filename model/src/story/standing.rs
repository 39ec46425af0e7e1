//! Where a deposit stands, in words.

use crate::deposit::{HoldReason, Outcome, Stage};

/// What a stage means, as the end of a sentence that begins with anything.
pub(super) fn of(stage: &Stage) -> String {
    match stage {
        Stage::Pending => "it waits to be deep enough in the Bitcoin chain".to_owned(),
        Stage::Quarantined => "it is quarantined: it came in on an address that belongs to nobody".to_owned(),
        Stage::WaitDecide => "it is received and waits for the decision".to_owned(),
        Stage::WaitBuy => "it is being bought on the exchange".to_owned(),
        Stage::WaitSend => "it is to be paid out".to_owned(),
        Stage::WaitConfirm => "it is paid out and waits until the payout is final".to_owned(),
        Stage::Held { reason, .. } => format!("it is held: {}", why(reason)),
        Stage::RefundDue { amount } => format!("{amount} BTC are to be paid back by an operator"),
        Stage::Done(outcome) => ended(outcome),
    }
}

fn ended(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Paid => "it is done: paid out for good".to_owned(),
        Outcome::Refunded { txid } => format!("it is done: paid back by transaction {txid}"),
        Outcome::Vanished => "it is done: its transaction never came to be".to_owned(),
        Outcome::Failed { reason } => format!("it is done, without a payout: {reason}"),
        Outcome::WrittenOff { .. } => {
            "it is done, written off: its coins were spent elsewhere, and what was bought for it is the desk's"
                .to_owned()
        }
    }
}

/// Why a deposit is held, as the end of a sentence.
pub(super) fn why(reason: &HoldReason) -> String {
    match reason {
        HoldReason::BelowMinimum => "it is less than the desk deals in".to_owned(),
        HoldReason::AboveMaximum => "it is more than the desk deals in".to_owned(),
        HoldReason::NothingToSend => "it is worth so little that nothing is left to pay out".to_owned(),
        HoldReason::PayoutAboveMaximum => "the payout is larger than the desk makes without an operator".to_owned(),
        HoldReason::DepositOrphaned => "its transaction left the best chain".to_owned(),
        HoldReason::CoinsSeenBefore { earlier } => {
            format!("the same coins were received before, by deposit {earlier}, which was decided and then undone")
        }
        HoldReason::OrderUnaccounted => "an order was placed that the exchange does not show".to_owned(),
        HoldReason::PurchaseStopped => "the purchase cannot go on".to_owned(),
        HoldReason::PayoutTooManyInputs => {
            "the payout needs more of the wallet's outputs than one transaction may spend".to_owned()
        }
        HoldReason::InvalidTarget => "the address to pay is not one that can be paid".to_owned(),
        HoldReason::PaidBefore { txid } => {
            format!("the wallet paid this customer before, in transaction {txid}, and not what is owed")
        }
        HoldReason::WalletMisbehaved => "what the wallet signed is not what was asked for".to_owned(),
        HoldReason::Operator { note } => format!("an operator asked for it: {note}"),
    }
}

/// The same words as the beginning of a sentence.
pub(super) fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
