//! What stopped it and let it go on, and the ends that are no payout.

use super::buying::closed;
use super::{Turn, standing};
use crate::deposit::{Failed, Held, RefundDue, RefundMarked, Released, Stage, WrittenOff};

pub(super) fn held(it: &Held, turn: &Turn<'_>) -> String {
    let interrupted = match &turn.after.stage {
        Stage::Held { interrupted, .. } => format!(" It was interrupted in {}.", interrupted.name()),
        _ => String::new(),
    };
    format!("It was held: {}{interrupted}", closed(&standing::why(&it.reason)))
}

pub(super) fn released(it: &Released, turn: &Turn<'_>) -> String {
    let note = closed(&it.note);
    format!("It was released: {note} {}.", standing::capital(&standing::of(&turn.after.stage)))
}

pub(super) fn refund_due(it: &RefundDue) -> String {
    format!("An operator decided that {} BTC are to be paid back: {}", it.amount, closed(&it.note))
}

pub(super) fn refunded(it: &RefundMarked) -> String {
    format!("An operator paid it back by transaction {}: {}", it.txid, closed(&it.note))
}

pub(super) fn failed(it: &Failed) -> String {
    format!("It ended without a payout: {}", closed(&it.reason))
}

pub(super) fn written_off(it: &WrittenOff) -> String {
    let WrittenOff { bought, spent, note } = it;
    let note = closed(note);
    if bought.is_zero() {
        return format!("It was written off: {note}");
    }
    format!("It was written off: {note} The {bought} SKY that were bought for it, for {spent} BTC, are the desk's.")
}
