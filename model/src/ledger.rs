//! The ledger: what every event moves, as double entry in smallest units.
//!
//! A debit is positive, a credit negative, and what one event posts is zero for each coin. Postings are made from events and
//! from nothing else, so they need not be stored: balances are kept, postings are made again from a stream when asked for.
//! Coin hours are no money and are not in here.

mod accounts;
mod deposit;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use accounts::{Account, Nature, Ticker};
pub use deposit::{Standing, of_deposit};

use crate::desk::{Coins, Place, TransferDeclared, TransferKind};
use crate::money::{Amount, Btc, Coin, Sky};

/// One side of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// Where.
    pub account: Account,
    /// In which coin.
    pub coin: Ticker,
    /// How many smallest units: a debit is positive, a credit negative.
    pub units: i64,
}

/// What one event posts. Postings of nothing are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry(Vec<Posting>);

impl Entry {
    /// Its postings.
    pub fn postings(&self) -> &[Posting] {
        &self.0
    }

    fn shift(&mut self, coin: Ticker, debit: Account, credit: Account, units: i64) {
        if units != 0 {
            self.0.push(Posting { account: debit, coin, units });
            self.0.push(Posting { account: credit, coin, units: -units });
        }
    }

    fn reverse(&mut self) {
        self.0.iter_mut().for_each(|posting| posting.units = -posting.units);
    }

    fn btc(&mut self, debit: Account, credit: Account, amount: Amount<Btc>) {
        self.shift(Ticker::Btc, debit, credit, signed(amount));
    }

    fn sky(&mut self, debit: Account, credit: Account, amount: Amount<Sky>) {
        self.shift(Ticker::Sky, debit, credit, signed(amount));
    }
}

fn signed<C: Coin>(amount: Amount<C>) -> i64 {
    i64::try_from(amount.units()).expect("an amount fits a signed 64-bit column")
}

/// What an operator declared: coins that came from the owners, or went back to them.
pub fn of_transfer(transfer: &TransferDeclared) -> Entry {
    let place = match transfer.place {
        Place::HotWallet => Account::HotWallet,
        Place::Exchange => Account::ExchangeFree,
        Place::DepositAddresses => Account::DepositAddresses,
    };
    let (debit, credit) = match transfer.kind {
        TransferKind::Opening | TransferKind::Refill => (place, Account::Capital),
        TransferKind::Sweep => (Account::Capital, place),
    };
    let mut entry = Entry::default();
    match transfer.coins {
        Coins::Btc(amount) => entry.btc(debit, credit, amount),
        Coins::Sky(amount) => entry.sky(debit, credit, amount),
    }
    entry
}

/// What stands on an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The account.
    pub account: Account,
    /// The coin.
    pub coin: Ticker,
    /// Debits less credits, in smallest units.
    pub units: i128,
}

/// What stands on all accounts, in their order. Accounts on which nothing ever stood are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balances(Vec<Balance>);

impl Balances {
    /// What stands on each account.
    pub fn all(&self) -> &[Balance] {
        &self.0
    }

    /// What stands on one.
    pub fn of(&self, account: Account, coin: Ticker) -> i128 {
        self.place(account, coin).map_or(0, |index| self.0[index].units)
    }

    /// What all accounts come to in a coin: zero, always.
    pub fn sum(&self, coin: Ticker) -> i128 {
        self.0.iter().filter(|balance| balance.coin == coin).map(|balance| balance.units).sum()
    }

    /// Takes in one more entry.
    pub fn post(&mut self, entry: &Entry) {
        for Posting { account, coin, units } in entry.postings().iter().copied() {
            let index = self.place(account, coin).unwrap_or_else(|index| {
                self.0.insert(index, Balance { account, coin, units: 0 });
                index
            });
            self.0[index].units += i128::from(units);
        }
    }

    fn place(&self, account: Account, coin: Ticker) -> Result<usize, usize> {
        self.0.binary_search_by_key(&(account, coin), |balance| (balance.account, balance.coin))
    }
}
