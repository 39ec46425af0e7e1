//! The payout: how much, which bytes, and how far it is.

use super::Turn;
use super::receiving::blocks;
use crate::deposit::{
    Confirmed, PayoutBasis, PayoutIntended, PayoutReorged, PayoutSigned, PayoutVoided, Sent, StatusWaitSend,
};

pub(super) fn owed(it: &StatusWaitSend) -> String {
    let StatusWaitSend { basis, amount, rounding } = it;
    let basis = match basis {
        PayoutBasis::Direct { rate } => {
            format!("Decided: direct. Sold from stock at {rate} SKY for one BTC, {amount} SKY are to be paid out")
        }
        PayoutBasis::Bought => format!("Of what was bought, {amount} SKY are to be paid out"),
    };
    if rounding.is_zero() {
        return format!("{basis}.");
    }
    format!("{basis}; {rounding} SKY beyond the payout's decimals went to the desk's rounding account.")
}

pub(super) fn intended(it: &PayoutIntended) -> String {
    format!("Attempt {} at the payout began.", it.attempt)
}

pub(super) fn signed(it: &PayoutSigned, turn: &Turn<'_>) -> String {
    let outputs = match it.inputs.len() {
        1 => "one output".to_owned(),
        several => format!("{several} outputs"),
    };
    let to = turn.after.receipt.customer.as_ref().map(|customer| format!(" to {}", customer.target));
    let amount = turn.after.payout.as_ref().map(|payout| format!(" of {} SKY", payout.amount));
    format!(
        "The payout{}{} was signed as transaction {}, which spends {outputs} of the hot wallet; from here on these bytes \
         are the payout.",
        amount.unwrap_or_default(),
        to.unwrap_or_default(),
        it.txid
    )
}

pub(super) fn voided(it: &PayoutVoided, turn: &Turn<'_>) -> String {
    let signed = turn.before.and_then(|before| before.signed_payout());
    let which = signed.map(|signed| format!("transaction {}", signed.txid)).unwrap_or_else(|| "the payout".to_owned());
    format!(
        "The payout became void: {which} can never be final since {} is. It has to be signed anew.",
        it.conflicting_txid
    )
}

pub(super) fn sent(_: &Sent, turn: &Turn<'_>) -> String {
    format!("The Skycoin node took the payout{}.", transaction(turn))
}

pub(super) fn reorged(_: &PayoutReorged, turn: &Turn<'_>) -> String {
    format!(
        "The block that held the payout left the Skycoin chain{}; the same bytes are handed in again.",
        transaction(turn)
    )
}

pub(super) fn confirmed(it: &Confirmed, turn: &Turn<'_>) -> String {
    format!(
        "The payout is final{}: it is in Skycoin block {}, {} deep.",
        transaction(turn),
        it.block_seq,
        blocks(it.confirmations)
    )
}

fn transaction(turn: &Turn<'_>) -> String {
    turn.after.signed_payout().map(|signed| format!(" (transaction {})", signed.txid)).unwrap_or_default()
}
