//! What an amount would buy: the rate of a direct sale, or a walk of the watched book. Indicative, never a promise.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use millrace_actors::clock::Clock;
use millrace_actors::market::Market;
use millrace_model::deposit::Method;
use millrace_model::money::{Amount, Btc, MoneyError, Rate, Sky};
use rust_decimal::Decimal;
use serde::Serialize;

/// What an amount would buy now.
#[derive(Debug, Clone, Serialize)]
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
    /// When this was so.
    pub at: DateTime<Utc>,
    /// Always `true`: what is paid out is decided when the deposit is received.
    pub indicative: bool,
}

/// Why there is no quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// Less than the desk deals in, or so little that nothing would be paid out.
    #[error("the amount is less than the desk deals in")]
    TooSmall,
    /// More than the desk deals in, or than the book holds.
    #[error("the amount is more than the desk deals in")]
    TooLarge,
    /// The book is stale, empty or not there.
    #[error("the market cannot be quoted at the moment")]
    NoMarket,
}

impl From<MoneyError> for QuoteError {
    fn from(_: MoneyError) -> Self {
        Self::TooLarge
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
    /// Decimals of a payout.
    pub payout_decimals: u32,
    /// Dates the quotes.
    pub clock: Arc<dyn Clock>,
}

/// Where the coins come from.
#[derive(Clone)]
pub enum Source {
    /// From stock.
    Direct(Rate),
    /// From the exchange.
    Passthrough(Market),
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
        let (method, sold, at) = match &self.source {
            Source::Direct(rate) => (Method::Direct, rate.sky_for(amount, SKY_DECIMALS)?, self.clock.now()),
            Source::Passthrough(market) => {
                let (bought, at) = market.quote(amount).ok_or(QuoteError::NoMarket)?;
                (Method::Passthrough, bought, at)
            }
        };
        let payout = sold.floor_to(self.payout_decimals);
        if payout.is_zero() {
            return Err(QuoteError::TooSmall);
        }
        let rate = (sold.to_decimal() / amount.to_decimal()).trunc_with_scale(8);
        Ok(Quote { method, amount, payout, rate, at, indicative: true })
    }

    /// The least the exchange deals in, in words for teller's configuration; empty when it does not matter.
    pub fn minimum_volume(&self) -> String {
        match self.source {
            Source::Direct(_) => String::new(),
            Source::Passthrough(_) => self.minimum.to_string(),
        }
    }
}
