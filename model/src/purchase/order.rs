//! One order on an exchange, as values: its price, the id we give it, what was intended and what was seen of it.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::money::{Amount, Btc, Sky};

/// How many characters of an exchange's words are kept.
pub const REASON_MAX_CHARS: usize = 200;

/// BTC for one SKY: more than zero, at most a million, at most twelve decimals. Text and JSON are plain decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Price(Decimal);

/// Why a number is not a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Not a plain decimal number.
    #[error("not a decimal number")]
    Malformed,
    /// Zero or negative.
    #[error("a price must be more than zero")]
    NotPositive,
    /// More than twelve decimals.
    #[error("a price has at most twelve decimals")]
    TooPrecise,
    /// More than a million.
    #[error("the price is too large")]
    TooLarge,
}

impl Price {
    /// The most decimals a price has.
    pub const DECIMALS_MAX: u32 = 12;

    /// A price of exactly this many BTC for one SKY.
    pub fn new(btc_per_sky: Decimal) -> Result<Self, PriceError> {
        let price = btc_per_sky.normalize();
        if price <= Decimal::ZERO {
            Err(PriceError::NotPositive)
        } else if price > Decimal::from(1_000_000) {
            Err(PriceError::TooLarge)
        } else if price.scale() > Self::DECIMALS_MAX {
            Err(PriceError::TooPrecise)
        } else {
            Ok(Self(price))
        }
    }

    /// BTC for one SKY.
    pub fn btc_per_sky(self) -> Decimal {
        self.0
    }

    /// This price and so many percent more, cut to the decimals of a price; `None` when that is none.
    pub fn raised_by(self, percent: Decimal) -> Option<Self> {
        let factor = percent.checked_div(Decimal::ONE_HUNDRED)?.checked_add(Decimal::ONE)?;
        Self::new(self.0.checked_mul(factor)?.trunc_with_scale(Self::DECIMALS_MAX)).ok()
    }

    /// The largest amount of satoshi that is not more than this quantity's cost; `None` above [`Amount::MAX`].
    pub fn cost_rounded_down(self, quantity: Amount<Sky>) -> Option<Amount<Btc>> {
        let (above, below) = self.cost(quantity)?;
        u64::try_from(above / below).ok().and_then(Amount::from_units)
    }

    /// The smallest amount of satoshi that is not less than this quantity's cost; `None` above [`Amount::MAX`].
    pub fn cost_rounded_up(self, quantity: Amount<Sky>) -> Option<Amount<Btc>> {
        let (above, below) = self.cost(quantity)?;
        u64::try_from(above.div_ceil(below)).ok().and_then(Amount::from_units)
    }

    /// The most SKY, in steps of `decimals` decimals, that cost no more than `budget`; `None` above [`Amount::MAX`].
    pub fn affordable(self, budget: Amount<Btc>, decimals: u32) -> Option<Amount<Sky>> {
        // sat / 10^8 BTC, divided by mantissa / 10^scale BTC a SKY, times 10^6 droplets a SKY
        let above = u128::from(budget.units()).checked_mul(10u128.pow(self.0.scale()))?;
        let below = self.mantissa().checked_mul(100)?;
        u64::try_from(above / below).ok().and_then(Amount::from_units).map(|quantity| quantity.floor_to(decimals))
    }

    /// The cost in satoshi as a fraction: droplets / 10^6 SKY, times mantissa / 10^scale BTC a SKY, times 10^8.
    fn cost(self, quantity: Amount<Sky>) -> Option<(u128, u128)> {
        let above = u128::from(quantity.units()).checked_mul(self.mantissa())?.checked_mul(100)?;
        Some((above, 10u128.pow(self.0.scale())))
    }

    fn mantissa(self) -> u128 {
        self.0.mantissa().unsigned_abs()
    }
}

impl FromStr for Price {
    type Err = PriceError;

    /// Plain decimal text, without sign, exponent or white space.
    fn from_str(text: &str) -> Result<Self, PriceError> {
        let plain = !text.is_empty() && text.len() <= 28 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if !plain {
            return Err(PriceError::Malformed);
        }
        Self::new(Decimal::from_str_exact(text).map_err(|_| PriceError::Malformed)?)
    }
}

impl TryFrom<String> for Price {
    type Error = PriceError;
    fn try_from(text: String) -> Result<Self, PriceError> {
        text.parse()
    }
}

impl From<Price> for String {
    fn from(price: Price) -> String {
        price.to_string()
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id we give an order, under which the exchange shows it: 1 to 36 letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientOrderId(String);

/// What the ids of all orders of one deposit begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderFamily([u8; 12]);

impl OrderFamily {
    /// The family of a deposit's orders. It comes of a hash: ids that sort by time share their first digits.
    pub fn of_deposit(deposit: impl fmt::Display) -> Self {
        let digest = Sha256::digest(deposit.to_string().as_bytes());
        Self(digest[..12].try_into().expect("a SHA-256 digest has 32 bytes"))
    }

    /// The family that an order's id names; `None` when no desk made this id.
    pub fn of_order(cid: &str) -> Option<Self> {
        let (digits, attempt) = cid.rsplit_once('-')?;
        let mut family = [0; 12];
        hex::decode_to_slice(digits, &mut family).ok()?;
        let made = Self(family);
        (made.id(attempt.parse().ok()?) == cid).then_some(made)
    }

    fn id(self, attempt: u32) -> String {
        format!("{}-{attempt}", hex::encode(self.0))
    }
}

/// A text that is no client order id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client order id has 1 to 36 letters, digits and hyphens")]
pub struct ClientOrderIdError;

impl ClientOrderId {
    /// The id of a deposit's order number `attempt`.
    ///
    /// 24 hexadecimal digits that stand for the deposit, a hyphen and the number, so that all orders of one deposit can
    /// be told from their ids.
    pub fn for_attempt(deposit: impl fmt::Display, attempt: u32) -> Self {
        Self(OrderFamily::of_deposit(deposit).id(attempt))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientOrderId {
    type Error = ClientOrderIdError;
    fn try_from(text: String) -> Result<Self, ClientOrderIdError> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if plain && (1..=36).contains(&text.len()) { Ok(Self(text)) } else { Err(ClientOrderIdError) }
    }
}

impl From<ClientOrderId> for String {
    fn from(id: ClientOrderId) -> String {
        id.0
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A limit order to buy, as it is going to be placed. Its request is the same each time it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderIntent {
    /// The number of the order within its purchase: 1 for the first.
    pub attempt: u32,
    /// The id under which it can be found again.
    pub cid: ClientOrderId,
    /// The most it pays.
    pub price: Price,
    /// How much it buys.
    pub quantity: Amount<Sky>,
}

impl OrderIntent {
    /// The most it can spend, fee not counted; `None` above [`Amount::MAX`].
    pub fn cost(&self) -> Option<Amount<Btc>> {
        self.price.cost_rounded_up(self.quantity)
    }
}

/// Which way an order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// SKY for BTC.
    Buy,
    /// BTC for SKY.
    Sell,
}

impl Side {
    /// The word in APIs and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }

    /// Reads the word, in whatever case.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Buy, Self::Sell].into_iter().find(|side| word.eq_ignore_ascii_case(side.as_str()))
    }
}

/// Where an order is, in words that fit any exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Taken and not yet in the book, or waiting for something.
    Pending,
    /// In the book, perhaps filled in part.
    Open,
    /// Put aside by the exchange; it may come back.
    Suspended,
    /// The exchange is cancelling it.
    Cancelling,
    /// A word we do not know; never taken for an end.
    Unknown,
    /// Filled for good.
    Filled,
    /// Cancelled, perhaps after fills.
    Cancelled,
    /// Ended by its time.
    Expired,
    /// Ended by an error of the exchange.
    Failed,
}

impl OrderState {
    /// Whether nothing more can be filled.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Open | Self::Suspended | Self::Cancelling | Self::Unknown => false,
            Self::Filled | Self::Cancelled | Self::Expired | Self::Failed => true,
        }
    }
}

/// What an exchange told of an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderObservation {
    /// How much was filled.
    pub completed: Amount<Sky>,
    /// The average price of the fills, rounded by the exchange; `None` before the first.
    pub avg_price: Option<Price>,
    /// What the exchange charged beyond the fills.
    pub fee: Amount<Btc>,
    /// Where the order is.
    pub state: OrderState,
}
