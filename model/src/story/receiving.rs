//! From the first sighting to the receipt, and what a reorganisation does to both.

use super::{Turn, standing};
use crate::deposit::{
    Detected, Matured, Mined, Orphaned, Outcome, Quarantined, ReorgLoss, Sighting, Stage, StatusWaitDecide, Vanished,
};

pub(super) fn detected(it: &Detected) -> String {
    let Detected { id: _, outpoint, address, amount, customer, spends: _, coinbase } = it;
    let reward = if *coinbase { " It is a block's reward." } else { "" };
    let whose = match customer {
        Some(customer) => {
            format!("to be paid out to {} (bound for {})", customer.target, customer.bound_method.as_str())
        }
        None => "which was never given to anybody".to_owned(),
    };
    format!("A payment of {amount} BTC to {address} was seen, output {outpoint}; {whose}.{reward}")
}

pub(super) fn mined(it: &Mined, turn: &Turn<'_>) -> String {
    let block = it.block;
    let place = format!("block {} ({})", block.height, block.hash);
    let was = turn.before.map(|before| (&before.sighting, &before.stage));
    match was {
        Some((_, Stage::Done(Outcome::Vanished))) => {
            format!("Its transaction was mined after all, in {place}, and the deposit begins anew.")
        }
        Some((_, Stage::Done(Outcome::WrittenOff { .. }))) => {
            format!("Its transaction was mined after all, in {place}, and the deposit is where it was before it ended.")
        }
        Some((Sighting::Orphaned | Sighting::Vanished { .. }, _)) => {
            format!("Its transaction was mined again, in {place}.")
        }
        Some((Sighting::Mined(_), _)) => format!("Its transaction is in {place} now."),
        Some((Sighting::Unconfirmed, _)) | None => format!("Its transaction was mined in {place}."),
    }
}

pub(super) fn orphaned(it: &Orphaned, turn: &Turn<'_>) -> String {
    let consequence = if turn.after.is_undone {
        "that undid the receipt, and its whole depth is waited for again"
    } else {
        "it waits to be mined again"
    };
    format!(
        "A reorganisation of the Bitcoin chain removed block {} ({}), which held it: {consequence}.",
        it.block.height, it.block.hash
    )
}

pub(super) fn vanished(it: &Vanished, turn: &Turn<'_>) -> String {
    let happened = match it.replaced_by {
        Some(txid) => format!("Another transaction, {txid}, took its coins"),
        None => "Its transaction left the node's mempool and is in no block".to_owned(),
    };
    if turn.after.stage == Stage::Done(Outcome::Vanished) {
        format!("{happened}; nothing was ordered or signed for it, and it ends.")
    } else {
        format!("{happened}; {}.", standing::of(&turn.after.stage))
    }
}

pub(super) fn matured(it: &Matured, turn: &Turn<'_>) -> String {
    let again = if turn.before.is_some_and(|before| before.is_undone) { " again" } else { "" };
    format!("It was {} deep in the Bitcoin chain, deep enough{again}.", blocks(it.confirmations))
}

pub(super) fn quarantined(_: &Quarantined, turn: &Turn<'_>) -> String {
    let amount = turn.after.receipt.amount;
    format!("{amount} BTC were received on an address that belongs to nobody; they are quarantined for an operator.")
}

pub(super) fn received(_: &StatusWaitDecide, turn: &Turn<'_>) -> String {
    format!("The desk took receipt of {} BTC; from here on it owes an outcome.", turn.after.receipt.amount)
}

pub(super) fn lost(it: &ReorgLoss) -> String {
    format!("{} BTC were lost: the deposit left the best chain after its payout was signed.", it.amount)
}

pub(super) fn blocks(number: u64) -> String {
    if number == 1 { "one block".to_owned() } else { format!("{number} blocks") }
}
