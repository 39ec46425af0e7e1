//! What the events of a deposit post.

use super::{Account, Entry, Ticker, signed};
use crate::deposit::{Deposit, Event, Outcome, Payout, PayoutBasis, RemainderUse, Sighting, Stage};
use crate::money::{Amount, Coin, Sky};
use crate::purchase::Purchase;

/// What an event of a deposit posts; `before` and `after` are the deposit without it and with it.
pub fn of_deposit(before: &Deposit, event: &Event, after: &Deposit) -> Entry {
    let mut entry = Entry::default();
    let deposited = after.receipt.amount;
    match event {
        Event::StatusWaitDecide(_) => entry.btc(Account::DepositAddresses, Account::Customer, deposited),
        Event::Quarantined(_) => entry.btc(Account::DepositAddresses, Account::Suspense, deposited),
        Event::OrderIntended(_) | Event::OrderRefused(_) | Event::OrderObserved(_) => trade(&mut entry, before, after),
        Event::RemainderBooked(remainder) => {
            let to = match remainder.to {
                RemainderUse::Rounding => Account::Rounding,
                RemainderUse::Refund => Account::Refund,
            };
            entry.btc(Account::Customer, to, remainder.amount);
        }
        Event::StatusWaitSend(owed) => {
            if matches!(owed.basis, PayoutBasis::Direct { .. }) {
                entry.btc(Account::Customer, Account::Trading, deposited);
                entry.sky(Account::Trading, Account::Payout, owed.amount);
                entry.sky(Account::Trading, Account::Rounding, owed.rounding);
            } else {
                entry.sky(Account::Payout, Account::Rounding, owed.rounding);
            }
        }
        Event::PayoutSigned(_) => entry.sky(Account::Payout, Account::PayoutInFlight, payout(before)),
        Event::PayoutVoided(_) => entry.sky(Account::PayoutInFlight, Account::Payout, payout(before)),
        Event::Confirmed(_) => entry.sky(Account::PayoutInFlight, Account::HotWallet, payout(before)),
        Event::PayoutReorged(_) if before.stage == Stage::Done(Outcome::Paid) => {
            entry.sky(Account::HotWallet, Account::PayoutInFlight, payout(before));
        }
        Event::RefundDue(due) => {
            undo_sale(&mut entry, before);
            let from = if after.receipt.customer.is_some() { Account::Customer } else { Account::Suspense };
            entry.btc(from, Account::Refund, due.amount);
        }
        // By other means: the owners paid it.
        Event::RefundMarked(_) => {
            if let Stage::RefundDue { amount } = before.stage {
                entry.btc(Account::Refund, Account::Capital, amount);
            }
        }
        Event::Detected(_)
        | Event::Mined(_)
        | Event::Orphaned(_)
        | Event::Vanished(_)
        | Event::Matured(_)
        | Event::StatusWaitBuy(_)
        | Event::OrderPlaced(_)
        | Event::OrderCancelIntended(_)
        | Event::Bought(_)
        | Event::PurchaseStopped(_)
        | Event::PayoutIntended(_)
        | Event::Sent(_)
        | Event::PayoutReorged(_)
        | Event::Held(_)
        | Event::Released(_)
        | Event::ReorgLoss(_)
        | Event::Failed(_) => {}
    }
    if is_received(before) && is_received(after) {
        match (is_there(before), is_there(after)) {
            (true, false) => entry.btc(Account::Receivable, Account::DepositAddresses, deposited),
            (false, true) => entry.btc(Account::DepositAddresses, Account::Receivable, deposited),
            (true, true) | (false, false) => {}
        }
    }
    entry
}

/// What was sold from stock and is paid back instead was never sold.
fn undo_sale(entry: &mut Entry, deposit: &Deposit) {
    if let Some(Payout { basis: PayoutBasis::Direct { .. }, amount, rounding, .. }) = &deposit.payout {
        entry.btc(Account::Trading, Account::Customer, deposit.receipt.amount);
        entry.sky(Account::Payout, Account::Trading, *amount);
        entry.sky(Account::Rounding, Account::Trading, *rounding);
    }
}

fn payout(deposit: &Deposit) -> Amount<Sky> {
    deposit.payout.as_ref().map_or(Amount::ZERO, |payout| payout.amount)
}

fn is_received(deposit: &Deposit) -> bool {
    !matches!(deposit.stage, Stage::Pending | Stage::Done(Outcome::Vanished))
}

/// Whether the chain as it is now has what was received. Nobody waits for the depth of what has ended: there, mined again is
/// enough.
fn is_there(deposit: &Deposit) -> bool {
    let is_mined_again = matches!(deposit.stage, Stage::Done(_)) && matches!(deposit.sighting, Sighting::Mined(_));
    !deposit.is_undone || is_mined_again
}

/// What changed at the exchange: coins kept back for an order, fills, fees.
fn trade(entry: &mut Entry, before: &Deposit, after: &Deposit) {
    let (Some(before), Some(after)) = (&before.purchase, &after.purchase) else { return };
    let (frozen, spent) = (change(before, after, Purchase::frozen), change(before, after, Purchase::spent));
    let (fee, rounding) = (change(before, after, Purchase::fee), change(before, after, Purchase::rounding));
    let bought = change(before, after, Purchase::bought);
    entry.shift(Ticker::Btc, Account::ExchangeFrozen, Account::ExchangeFree, frozen);
    entry.shift(Ticker::Btc, Account::Customer, Account::ExchangeFree, spent);
    entry.shift(Ticker::Btc, Account::ExchangeFee, Account::ExchangeFree, fee);
    entry.shift(Ticker::Btc, Account::Rounding, Account::ExchangeFree, rounding);
    entry.shift(Ticker::Sky, Account::ExchangeFree, Account::Payout, bought);
}

fn change<C: Coin>(before: &Purchase, after: &Purchase, of: impl Fn(&Purchase) -> Amount<C>) -> i64 {
    signed(of(after)) - signed(of(before))
}
