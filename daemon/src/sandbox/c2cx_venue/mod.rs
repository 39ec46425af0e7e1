//! A C2CX exchange on loopback: its wire protocol on a real matching engine, with a market around the desk.
//!
//! One account trades over the wire; makers quote around a moving price. Everything the account did is in a journal that is
//! replayed when the exchange is opened; the makers begin anew around the last price, and faults are forgotten.
//! The exchange keeps its own [`Books`], so that a test can ask it what was really bought, and for which deposit.

mod account;
mod books;
mod engine;
mod exchange;
mod json;
mod market;
mod rest;
mod wire_faults;

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use millrace_model::money::{Amount, Btc, Sky};
use millrace_protocols::wire::c2cx::{Credentials, Side};

use self::account::{Change, Holdings};
use self::exchange::{Exchange, Faults, Makers};
use self::wire_faults::WireFaults;
use super::journal::Journal;

pub use books::{BookedOrder, Books};
pub use engine::{Lots, Steps};
pub use market::MarketConfig;
pub use rest::router;
pub use wire_faults::WireFault;

/// What the exchange is opened with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The account's key and secret.
    pub credentials: Credentials,
    /// Bitcoin of a new account.
    pub btc: Amount<Btc>,
    /// Skycoin of a new account.
    pub sky: Amount<Sky>,
    /// What the exchange charges, in millionths of what is paid.
    pub fee_ppm: u64,
    /// The market.
    pub market: MarketConfig,
}

impl Default for Config {
    /// 1 000 BTC, no SKY, a fee of 0.2 % and a deep market around 0.00188.
    fn default() -> Self {
        Self {
            credentials: Credentials { key: "SANDBOX-KEY".into(), secret: "SANDBOX-SECRET".into() },
            btc: Amount::from_units(100_000_000_000).expect("a thousand BTC"),
            sky: Amount::ZERO,
            fee_ppm: 2_000,
            market: MarketConfig::default(),
        }
    }
}

/// The exchange. Times are Unix milliseconds.
#[derive(Debug)]
pub struct Venue {
    credentials: Credentials,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    exchange: Exchange,
    journal: Journal,
    wire_faults: WireFaults,
    /// How many orders were refused because their client id was used before.
    repeats: u64,
}

impl Venue {
    /// Opens the exchange whose journal is at `journal`, or a new one.
    pub fn open(config: Config, journal: &Path, now_ms: u64) -> io::Result<Self> {
        let mut changes = Vec::new();
        let journal = Journal::open(journal, |entry: Vec<Change>| changes.extend(entry))?;
        let is_new = changes.is_empty();
        let exchange = Exchange::new(config.fee_ppm, config.market, changes);
        let inner = Inner { exchange, journal, wire_faults: WireFaults::default(), repeats: 0 };
        let venue = Self { credentials: config.credentials, inner: Mutex::new(inner) };
        if is_new {
            venue.set_balance(config.btc, config.sky)?;
        }
        venue.step_market(now_ms)?;
        Ok(venue)
    }

    /// Moves the market on: makers take back what they offer and offer anew around a price that may have moved.
    pub fn step_market(&self, now_ms: u64) -> io::Result<()> {
        self.change(|exchange| exchange.step_market(now_ms))
    }

    /// One offer of a maker, which stays until [`Self::step_market`].
    pub fn quote(&self, side: Side, price: Steps, lots: Lots, now_ms: u64) -> io::Result<()> {
        self.change(|exchange| exchange.quote(side, price, lots, now_ms))
    }

    /// Sets what the account has, as if it had been deposited or withdrawn.
    pub fn set_balance(&self, btc: Amount<Btc>, sky: Amount<Sky>) -> io::Result<()> {
        let units = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
        let holdings = Holdings { satoshi: units(btc.units()), droplets: units(sky.units()) };
        self.change(|exchange| exchange.set_balance(holdings))
    }

    /// Every order of the account with its fills, and what they add up to.
    pub fn books(&self) -> Books {
        let inner = self.lock();
        Books::of(&inner.exchange, inner.repeats)
    }

    /// Fault: orders are filled up to `percent` of their quantity and no further; 0: never; `None`: as usual again.
    /// Orders taken under the fault keep it.
    pub fn limit_fills(&self, percent: Option<u8>) {
        self.lock().exchange.faults.fill_percent_max = percent;
    }

    /// Fault: orders and cancellations wait this long; 0: as usual again.
    pub fn delay_matching(&self, ms: u64) {
        self.lock().exchange.faults.matching_delay_ms = ms;
    }

    /// Fault: from now on the book is shown as it is now, with its time.
    pub fn freeze_book(&self, now_ms: u64) {
        let mut inner = self.lock();
        let book = inner.exchange.book(now_ms);
        inner.exchange.faults.stale_book = Some(book);
    }

    /// Fault: the makers take back what they offer and offer nothing more, until [`Self::clear_faults`].
    pub fn empty_book(&self, now_ms: u64) -> io::Result<()> {
        self.change(|exchange| {
            exchange.faults.makers = Makers::Gone;
            exchange.step_market(now_ms);
        })
    }

    /// Fault: the exchange freezes this much of the account for reasons of its own; at most all of it.
    pub fn freeze_balance(&self, btc: Amount<Btc>) {
        self.lock().exchange.faults.held_satoshi = btc.units();
    }

    /// Fault: the next `count` requests to `endpoint` (such as `createorder`; all of them for `None`) go wrong.
    pub fn fail_requests(&self, endpoint: Option<&str>, fault: WireFault, count: u32) {
        self.lock().wire_faults.add(endpoint, fault, count);
    }

    /// Behaves again, from now on.
    pub fn clear_faults(&self, now_ms: u64) -> io::Result<()> {
        self.lock().wire_faults = WireFaults::default();
        self.change(|exchange| {
            exchange.faults = Faults::default();
            exchange.step_market(now_ms);
        })
    }

    /// Does something to the exchange and writes down what that changed before anybody is told.
    fn change<T>(&self, doing: impl FnOnce(&mut Exchange) -> T) -> io::Result<T> {
        let mut inner = self.lock();
        let done = doing(&mut inner.exchange);
        inner.write()?;
        Ok(done)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self) -> io::Result<()> {
        let changes = self.exchange.take_changes();
        if changes.is_empty() { Ok(()) } else { self.journal.append(&changes) }
    }
}

#[cfg(test)]
mod tests;
