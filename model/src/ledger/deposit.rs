//! What the events of a deposit post.

use super::{Account, Entry, Ticker, signed};
use crate::deposit::{Deposit, Event, Outcome, Payout, PayoutBasis, RemainderUse, Sighting, Stage};
use crate::money::{Amount, Btc, Coin, Sky};
use crate::purchase::Purchase;

/// What the next entry of a deposit rests on, of the deposit as it is before the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    is_received: bool,
    is_there: bool,
    is_paid: bool,
    is_written_off: bool,
    /// What is to be paid back.
    refund: Amount<Btc>,
    /// What is to be paid out.
    payout: Amount<Sky>,
    trade: Option<Trade>,
}

/// What a purchase has come to at the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trade {
    frozen: Amount<Btc>,
    spent: Amount<Btc>,
    fee: Amount<Btc>,
    rounding: Amount<Btc>,
    bought: Amount<Sky>,
}

impl Standing {
    /// That of a deposit.
    pub fn of(deposit: &Deposit) -> Self {
        let refund = if let Stage::RefundDue { amount } = deposit.stage { amount } else { Amount::ZERO };
        Self {
            is_received: !matches!(deposit.stage, Stage::Pending | Stage::Done(Outcome::Vanished)),
            is_there: is_there(deposit),
            is_paid: deposit.stage == Stage::Done(Outcome::Paid),
            is_written_off: matches!(deposit.stage, Stage::Done(Outcome::WrittenOff { .. })),
            refund,
            payout: deposit.payout.as_ref().map_or(Amount::ZERO, |payout| payout.amount),
            trade: deposit.purchase.as_ref().map(Trade::of),
        }
    }
}

impl Trade {
    fn of(purchase: &Purchase) -> Self {
        Self {
            frozen: purchase.frozen(),
            spent: purchase.spent(),
            fee: purchase.fee(),
            rounding: purchase.rounding(),
            bought: purchase.bought(),
        }
    }
}

/// What an event of a deposit posts; `before` is how it stood without it, `after` the deposit with it.
pub fn of_deposit(before: &Standing, event: &Event, after: &Deposit) -> Entry {
    let mut entry = Entry::default();
    let deposited = after.receipt.amount;
    match event {
        Event::StatusWaitDecide(_) => entry.btc(Account::DepositAddresses, Account::Customer, deposited),
        Event::Quarantined(_) => entry.btc(Account::DepositAddresses, Account::Suspense, deposited),
        Event::OrderIntended(_) | Event::OrderRefused(_) | Event::OrderObserved(_) => {
            if let (Some(before), Some(after)) = (before.trade, after.purchase.as_ref()) {
                trade(&mut entry, before, Trade::of(after));
            }
        }
        Event::RemainderBooked(remainder) => {
            entry.btc(Account::Customer, account_of(remainder.to), remainder.amount);
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
        Event::PayoutSigned(_) => entry.sky(Account::Payout, Account::PayoutInFlight, before.payout),
        Event::PayoutVoided(_) => entry.sky(Account::PayoutInFlight, Account::Payout, before.payout),
        Event::Confirmed(_) => entry.sky(Account::PayoutInFlight, Account::HotWallet, before.payout),
        Event::PayoutReorged(_) if before.is_paid => {
            entry.sky(Account::HotWallet, Account::PayoutInFlight, before.payout);
        }
        Event::Vanished(_) if before.is_received && after.stage == Stage::Done(Outcome::Vanished) => {
            undo_sale(&mut entry, after);
            // The reorganisation that undid it has made a receivable of it; nobody was paid, so nobody owes it.
            entry.btc(Account::Customer, Account::Receivable, deposited);
        }
        Event::WrittenOff(_) => write_off(&mut entry, after),
        // Mined after all, it is owed again, and so is what was bought for it.
        Event::Mined(_) if before.is_written_off => {
            write_off(&mut entry, after);
            entry.reverse();
        }
        Event::RefundDue(due) => {
            undo_sale(&mut entry, after);
            let from = if after.receipt.customer.is_some() { Account::Customer } else { Account::Suspense };
            entry.btc(from, Account::Refund, due.amount);
        }
        // By other means: the owners paid it.
        Event::RefundMarked(_) => entry.btc(Account::Refund, Account::Capital, before.refund),
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
    let now = Standing::of(after);
    if before.is_received && now.is_received {
        match (before.is_there, now.is_there) {
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

/// What was undone and spent elsewhere is nobody's claim any more: nobody owes it, and it is owed to nobody. What was bought for
/// it stays, as a purchase of the desk's own.
fn write_off(entry: &mut Entry, deposit: &Deposit) {
    undo_sale(entry, deposit);
    if let Some(remainder) = &deposit.remainder {
        entry.btc(account_of(remainder.to), Account::Customer, remainder.amount);
    }
    let owed_to = if deposit.receipt.customer.is_some() { Account::Customer } else { Account::Suspense };
    entry.btc(owed_to, Account::Receivable, deposit.receipt.amount);
    let Some(purchase) = &deposit.purchase else { return };
    entry.btc(Account::Trading, Account::Customer, purchase.spent());
    entry.sky(Account::Payout, Account::Trading, purchase.bought());
    if let Some(Payout { basis: PayoutBasis::Bought, rounding, .. }) = &deposit.payout {
        entry.sky(Account::Rounding, Account::Payout, *rounding);
    }
}

fn account_of(remainder: RemainderUse) -> Account {
    match remainder {
        RemainderUse::Rounding => Account::Rounding,
        RemainderUse::Refund => Account::Refund,
    }
}

/// Whether the chain as it is now has what was received. Nobody waits for the depth of what has ended: there, mined again is
/// enough.
fn is_there(deposit: &Deposit) -> bool {
    let is_mined_again = matches!(deposit.stage, Stage::Done(_)) && matches!(deposit.sighting, Sighting::Mined(_));
    !deposit.is_undone || is_mined_again
}

/// What changed at the exchange: coins kept back for an order, fills, fees.
fn trade(entry: &mut Entry, before: Trade, after: Trade) {
    let [frozen, spent, fee, rounding] = [
        change(before.frozen, after.frozen),
        change(before.spent, after.spent),
        change(before.fee, after.fee),
        change(before.rounding, after.rounding),
    ];
    entry.shift(Ticker::Btc, Account::ExchangeFrozen, Account::ExchangeFree, frozen);
    entry.shift(Ticker::Btc, Account::Customer, Account::ExchangeFree, spent);
    entry.shift(Ticker::Btc, Account::ExchangeFee, Account::ExchangeFree, fee);
    entry.shift(Ticker::Btc, Account::Rounding, Account::ExchangeFree, rounding);
    entry.shift(Ticker::Sky, Account::ExchangeFree, Account::Payout, change(before.bought, after.bought));
}

fn change<C: Coin>(before: Amount<C>, after: Amount<C>) -> i64 {
    signed(after) - signed(before)
}
