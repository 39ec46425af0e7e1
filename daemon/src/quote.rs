//! What an amount would buy, or what a payout would cost: the rate of a direct sale, or a walk of the watched book.
//!
//! Indicative, never a promise: what is paid out is decided when a deposit is deep enough, at the rate configured then, or bought
//! at the prices of that time.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use millrace_actors::clock::Clock;
use millrace_actors::market::{Market, NoQuote};
use millrace_actors::stock::Stock;
use millrace_model::deposit::Method;
use millrace_model::money::{Amount, Btc, MoneyError, Rate, Sky};
use rust_decimal::Decimal;
use serde::Serialize;

/// What an amount would buy now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// Where the coins would come from.
    pub method: Method,
    /// The amount deposited.
    pub amount: Amount<Btc>,
    /// What would be paid out for it.
    pub payout: Amount<Sky>,
    /// SKY for one BTC, on average.
    #[serde(with = "rust_decimal::serde::str")]
    pub rate: Decimal,
    /// What the rate rests on.
    pub basis: Basis,
    /// How long it is meant to hold.
    pub holds: Holds,
    /// How many confirmations a deposit needs before it is decided.
    pub confirmations: u32,
    /// What is taken off on the way.
    pub fees: Fees,
    /// What the desk deals in.
    pub bounds: Bounds,
    /// When this was so: of a book, when it was read.
    pub at: DateTime<Utc>,
    /// How old the book was, in milliseconds; nothing for a fixed rate.
    pub book_age_ms: Option<u64>,
    /// Always `true`: what is paid out is decided when the deposit is received.
    pub indicative: bool,
}

/// What a rate rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The rate the operator configured.
    FixedRate,
    /// What the exchange's order book shows.
    WatchedBook,
}

/// How long a quote is meant to hold. Neither is a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// Until the operator changes the rate.
    UntilChanged,
    /// For this moment.
    ThisMoment,
}

/// What is taken off on the way, as far as the desk knows. The fee of the customer's own transaction it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fees {
    /// The desk's own fee: it has none.
    pub desk: Amount<Btc>,
    /// What of the exchange's fee the customer bears: nothing, the desk does.
    pub exchange: Amount<Btc>,
    /// What is cut off to reach a payout's decimals.
    pub rounding: Amount<Sky>,
    /// What of the amount no order could spend; owed back unless it is a few satoshi.
    pub unspent: Amount<Btc>,
}

/// What the desk deals in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// A smaller deposit is held for the operator.
    pub minimum: Amount<Btc>,
    /// A larger one is.
    pub maximum: Amount<Btc>,
    /// A larger payout waits for the operator.
    pub payout_maximum: Amount<Sky>,
    /// What the hot wallet held, or the book offered, when it was last looked at; nothing before the first time. A payout that
    /// is larger than the wallet waits until there is enough.
    pub available: Option<Amount<Sky>>,
}

/// Why there is no quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// Less than the desk deals in, or so little that nothing would be paid out.
    #[error("the amount is less than the desk deals in")]
    TooSmall,
    /// More than the desk deals in.
    #[error("the amount is more than the desk deals in")]
    TooLarge,
    /// More than the book holds.
    #[error("the amount is more than is on offer at the moment")]
    BeyondBook,
    /// The book is stale, empty or not there.
    #[error("the market cannot be quoted at the moment")]
    NoMarket,
}

impl From<MoneyError> for QuoteError {
    fn from(_: MoneyError) -> Self {
        Self::TooLarge
    }
}

impl From<NoQuote> for QuoteError {
    fn from(why: NoQuote) -> Self {
        match why {
            NoQuote::Untrusted => Self::NoMarket,
            NoQuote::BeyondBook => Self::BeyondBook,
            NoQuote::Nothing => Self::TooSmall,
        }
    }
}

/// All decimals of SKY.
const SKY_DECIMALS: u32 = 6;

/// Makes quotes.
#[derive(Clone)]
pub struct Quotes {
    /// Where the coins come from.
    pub source: Source,
    /// The least the desk deals in.
    pub minimum: Amount<Btc>,
    /// The most it deals in.
    pub maximum: Amount<Btc>,
    /// The most it pays out without an operator.
    pub payout_maximum: Amount<Sky>,
    /// Decimals of a payout.
    pub payout_decimals: u32,
    /// How deep a deposit must be.
    pub confirmations: u32,
    /// Dates the quotes.
    pub clock: Arc<dyn Clock>,
}

/// Where the coins come from.
#[derive(Clone)]
pub enum Source {
    /// From stock.
    Direct(Rate, Stock),
    /// From the exchange.
    Passthrough(Market),
}

/// What an amount comes to, before it is cut.
struct Sale {
    sold: Amount<Sky>,
    unspent: Amount<Btc>,
    available: Option<Amount<Sky>>,
    at: DateTime<Utc>,
}

impl Quotes {
    /// What `amount` would buy.
    pub fn quote(&self, amount: Amount<Btc>) -> Result<Quote, QuoteError> {
        if amount < self.minimum || amount.is_zero() {
            return Err(QuoteError::TooSmall);
        }
        if amount > self.maximum {
            return Err(QuoteError::TooLarge);
        }
        let sale = self.sale(amount)?;
        let payout = sale.sold.floor_to(self.payout_decimals);
        if payout.is_zero() {
            return Err(QuoteError::TooSmall);
        }
        Ok(self.told(amount, payout, &sale))
    }

    /// What has to be deposited for `payout`. As amounts come in steps, a little more than it may be paid out.
    pub fn quote_for(&self, payout: Amount<Sky>) -> Result<Quote, QuoteError> {
        if payout.is_zero() {
            return Err(QuoteError::TooSmall);
        }
        let wanted = payout.ceil_to(self.payout_decimals).ok_or(QuoteError::TooLarge)?;
        let amount = match &self.source {
            Source::Direct(rate, _) => rate.btc_for(wanted)?,
            Source::Passthrough(market) => market.cost_of(wanted)?,
        };
        self.quote(amount)
    }

    fn sale(&self, amount: Amount<Btc>) -> Result<Sale, QuoteError> {
        match &self.source {
            Source::Direct(rate, stock) => Ok(Sale {
                sold: rate.sky_for(amount, SKY_DECIMALS)?,
                unspent: Amount::ZERO,
                available: stock.reading().map(|reading| reading.funds.coins),
                at: self.clock.now(),
            }),
            Source::Passthrough(market) => {
                let found = market.quote(amount)?;
                let unspent = amount.saturating_sub(found.spent);
                Ok(Sale { sold: found.bought, unspent, available: Some(found.on_offer), at: found.at })
            }
        }
    }

    fn told(&self, amount: Amount<Btc>, payout: Amount<Sky>, sale: &Sale) -> Quote {
        let age_ms = u64::try_from((self.clock.now() - sale.at).num_milliseconds()).unwrap_or_default();
        let (method, basis, holds, book_age_ms) = match self.source {
            Source::Direct(..) => (Method::Direct, Basis::FixedRate, Holds::UntilChanged, None),
            Source::Passthrough(_) => (Method::Passthrough, Basis::WatchedBook, Holds::ThisMoment, Some(age_ms)),
        };
        let rounding = sale.sold.saturating_sub(payout);
        Quote {
            method,
            amount,
            payout,
            rate: (sale.sold.to_decimal() / amount.to_decimal()).trunc_with_scale(8),
            basis,
            holds,
            confirmations: self.confirmations,
            fees: Fees { desk: Amount::ZERO, exchange: Amount::ZERO, rounding, unspent: sale.unspent },
            bounds: Bounds {
                minimum: self.minimum,
                maximum: self.maximum,
                payout_maximum: self.payout_maximum,
                available: sale.available,
            },
            at: sale.at,
            book_age_ms,
            indicative: true,
        }
    }

    /// The least the exchange deals in, in words for teller's configuration; empty when it does not matter.
    pub fn minimum_volume(&self) -> String {
        match self.source {
            Source::Direct(..) => String::new(),
            Source::Passthrough(_) => self.minimum.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_actors::clock::SystemClock;

    use super::*;

    fn direct(rate: &str) -> Quotes {
        Quotes {
            source: Source::Direct(rate.parse().unwrap(), Stock::unwatched()),
            minimum: "0.005".parse().unwrap(),
            maximum: "10".parse().unwrap(),
            payout_maximum: "1000".parse().unwrap(),
            payout_decimals: 3,
            confirmations: 2,
            clock: Arc::new(SystemClock),
        }
    }

    #[test]
    fn either_side_may_be_said_and_both_tell_the_same() {
        let quotes = direct("512");
        let quote = quotes.quote("0.12345678".parse().unwrap()).unwrap();
        assert_eq!(
            (quote.payout.to_string().as_str(), quote.fees.rounding.to_string().as_str()),
            ("63.209000", "0.000871")
        );
        assert_eq!((quote.basis, quote.holds, quote.book_age_ms), (Basis::FixedRate, Holds::UntilChanged, None));
        let back = quotes.quote_for(quote.payout).unwrap();
        assert_eq!(back.payout, quote.payout);
        assert!(back.amount <= quote.amount);
        // A payout has three decimals: the next that is not less.
        let more = quotes.quote_for("63.2091".parse().unwrap()).unwrap();
        assert_eq!(more.payout.to_string(), "63.210000");
    }

    #[test]
    fn what_the_desk_does_not_deal_in_is_refused_on_either_side() {
        let quotes = direct("500");
        for amount in ["0", "0.00499999"] {
            assert_eq!(quotes.quote(amount.parse().unwrap()), Err(QuoteError::TooSmall), "{amount}");
        }
        assert_eq!(quotes.quote("10.00000001".parse().unwrap()), Err(QuoteError::TooLarge));
        assert_eq!(quotes.quote_for("2.499".parse().unwrap()), Err(QuoteError::TooSmall));
        assert_eq!(quotes.quote_for("5000.001".parse().unwrap()), Err(QuoteError::TooLarge));
        assert_eq!(quotes.quote_for(Amount::MAX), Err(QuoteError::TooLarge));
        assert_eq!(quotes.quote_for(Amount::ZERO), Err(QuoteError::TooSmall));
    }
}
