//! One sentence and one subject for each type of the catalogue.
//!
//! They say what is and what comes next, and promise nothing that the notification does not say.

use millrace_model::notification::{NotificationType as Kind, SubmitState};

use super::Transaction;

/// A few words for a mail's subject or a phone's first line.
pub(super) fn subject(kind: Kind, about: &Transaction, coins: &str) -> String {
    let what = match kind {
        Kind::DepositPending if about.submit_state == SubmitState::Orphan => "Deposit waits for a block again",
        Kind::DepositPending => "Deposit seen",
        Kind::DepositWaitForConfirmation => "Deposit waits for confirmations",
        Kind::DepositConfirmed if about.submit_state == SubmitState::PendingManual => "Deposit waits for a person",
        Kind::DepositConfirmed => "Deposit received",
        Kind::DepositFailed | Kind::WithdrawalFailed if about.refund_txid.is_some() => "Deposit paid back",
        Kind::DepositFailed => "Deposit failed",
        Kind::WithdrawalAddedToQueue => "Payout is next",
        Kind::WithdrawalInConsensus => "Payout signed",
        Kind::WithdrawalSubmitted => "Payout sent",
        Kind::WithdrawalFailed => "Payout not made",
        Kind::WithdrawalConfirmed => "Payout final",
        Kind::SubscriptionDisabled
        | Kind::DeskHalted
        | Kind::DeskResumed
        | Kind::DeskWebhookDisabled
        | Kind::DeskPartDown
        | Kind::DeskPartUp
        | Kind::DeskBalanceLow
        | Kind::DeskBalanceRestored => of_desk(kind).0,
    };
    format!("{what}: {coins}")
}

/// What happened to a deposit or withdrawal.
pub(super) fn of_transaction(kind: Kind, about: &Transaction, coins: &str) -> String {
    match kind {
        Kind::DepositPending if about.submit_state == SubmitState::Orphan => {
            format!("A reorganisation took the block of your deposit of {coins}; it waits to be in another one.")
        }
        Kind::DepositPending => format!("Your deposit of {coins} was seen; it is not in a block yet."),
        Kind::DepositWaitForConfirmation => {
            format!("Your deposit of {coins} is in block {} and waits for more confirmations.", about.block_id)
        }
        Kind::DepositConfirmed if about.submit_state == SubmitState::PendingManual => {
            format!("A deposit of {coins} was received; a person has to look at it before anything goes on.")
        }
        Kind::DepositConfirmed => format!("Your deposit of {coins} is received."),
        Kind::DepositFailed => failed(about, "deposit", coins),
        Kind::WithdrawalAddedToQueue => format!("Your payout of {coins} is decided and waits for its turn."),
        Kind::WithdrawalInConsensus => format!("Your payout of {coins} is signed and goes out next."),
        Kind::WithdrawalSubmitted => format!("Your payout of {coins} was sent; it is not final yet."),
        Kind::WithdrawalFailed => failed(about, "payout", coins),
        Kind::WithdrawalConfirmed => format!("Your payout of {coins} is final."),
        Kind::SubscriptionDisabled
        | Kind::DeskHalted
        | Kind::DeskResumed
        | Kind::DeskWebhookDisabled
        | Kind::DeskPartDown
        | Kind::DeskPartUp
        | Kind::DeskBalanceLow
        | Kind::DeskBalanceRestored => of_desk(kind).1.to_owned(),
    }
}

/// Subject and sentence of what is about no deposit.
pub(super) const fn of_desk(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::SubscriptionDisabled => (
            "You are not told elsewhere any more",
            "One of the places where you are told of your deposits cannot be reached, so nothing is sent there any more until it is \
             subscribed again. You are still told here.",
        ),
        Kind::DeskHalted => {
            ("The desk is halted", "The desk is halted: no order and no payout goes out until an operator resumes.")
        }
        Kind::DeskWebhookDisabled => {
            ("A webhook is disabled", "A webhook is disabled: nothing is sent to it until an operator resumes it.")
        }
        Kind::DeskPartDown => (
            "A part is down",
            "A part of the desk, or a node or exchange it depends on, is down; what needs it waits until it is up again.",
        ),
        Kind::DeskPartUp => ("A part is up again", "A part of the desk, or what it depends on, works again."),
        Kind::DeskBalanceLow => (
            "A balance is low",
            "The desk holds less there than you want it to; refill it before payouts or purchases wait.",
        ),
        Kind::DeskBalanceRestored => ("A balance is restored", "The desk holds enough there again."),
        _ => ("The desk goes on", "The desk goes on: orders and payouts go out again."),
    }
}

fn failed(about: &Transaction, what: &str, coins: &str) -> String {
    let end = format!("Your {what} of {coins} {}", why(about, what));
    match (&about.refund, &about.refund_txid) {
        (Some(refund), Some(_)) => format!("{end}; {refund} BTC was paid back."),
        (Some(refund), None) => format!("{end}; {refund} BTC is to be paid back."),
        (None, _) if about.is_bounced => format!("{end}; the deposit is to be paid back."),
        (None, _) => format!("{end}."),
    }
}

fn why(about: &Transaction, what: &str) -> &'static str {
    match about.submit_state {
        SubmitState::AmountTooSmall => "is too small to deal in",
        SubmitState::BadAddress => "cannot be made, since its address cannot be paid",
        SubmitState::Orphan => "ended, since the transaction that paid in is no longer in the chain",
        _ if what == "payout" => "is not made",
        _ => "ended without a payout",
    }
}
