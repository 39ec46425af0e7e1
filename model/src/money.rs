//! Exact money: checked integers of a coin's smallest unit, with the coin in the type.
//!
//! JSON and text show fixed-scale decimal strings (`"0.00100000"` BTC, `"1.500000"` SKY). Nothing here rounds
//! silently: parsing refuses more decimals than the coin has, and arithmetic is checked.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A coin the desk handles. Implemented by zero-sized marker types only.
pub trait Coin: Copy + Clone + fmt::Debug + Eq + Ord + std::hash::Hash + Send + Sync + 'static {
    /// The ticker, as shown and as stored.
    const CODE: &'static str;
    /// Decimals of the smallest unit.
    const SCALE: u32;
}

/// Bitcoin; the smallest unit is the satoshi (1e-8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Btc;
/// Skycoin; the smallest unit is the droplet (1e-6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sky;

impl Coin for Btc {
    const CODE: &'static str = "BTC";
    const SCALE: u32 = 8;
}
impl Coin for Sky {
    const CODE: &'static str = "SKY";
    const SCALE: u32 = 6;
}

/// A non-negative amount of one coin, at most [`Amount::MAX`] smallest units.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount<C: Coin>(u64, PhantomData<C>);

/// Why a number is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a plain decimal number such as `12` or `0.5`.
    #[error("not a decimal number")]
    Malformed,
    /// A minus sign.
    #[error("an amount cannot be negative")]
    Negative,
    /// More decimals than the coin has.
    #[error("more decimals than the coin has")]
    TooPrecise,
    /// Larger than any amount the desk handles.
    #[error("the amount is too large")]
    TooLarge,
}

impl<C: Coin> Amount<C> {
    /// Nothing.
    pub const ZERO: Self = Self(0, PhantomData);
    /// The largest amount: what a signed 64-bit database column holds.
    pub const MAX: Self = Self(i64::MAX as u64, PhantomData);

    /// An amount of smallest units; `None` above [`Amount::MAX`].
    pub const fn from_units(units: u64) -> Option<Self> {
        if units <= Self::MAX.0 { Some(Self(units, PhantomData)) } else { None }
    }

    /// The number of smallest units.
    pub const fn units(self) -> u64 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` above [`Amount::MAX`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_units)
    }

    /// The difference, or `None` below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(|units| Self(units, PhantomData))
    }

    /// The difference, or zero.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0), PhantomData)
    }

    /// The amount in whole coins, exact.
    pub fn to_decimal(self) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(self.0), C::SCALE)
    }

    /// The largest amount that is not more than `coins` whole coins.
    pub fn floor_decimal(coins: Decimal) -> Result<Self, MoneyError> {
        if coins.is_sign_negative() && !coins.is_zero() {
            return Err(MoneyError::Negative);
        }
        let mut units = coins.trunc_with_scale(C::SCALE);
        units.rescale(C::SCALE);
        if units.scale() != C::SCALE {
            return Err(MoneyError::TooLarge);
        }
        u64::try_from(units.mantissa()).ok().and_then(Self::from_units).ok_or(MoneyError::TooLarge)
    }

    /// The amount of exactly `coins` whole coins.
    pub fn from_decimal(coins: Decimal) -> Result<Self, MoneyError> {
        let floor = Self::floor_decimal(coins)?;
        if floor.to_decimal() == coins { Ok(floor) } else { Err(MoneyError::TooPrecise) }
    }

    /// The amount cut down to `decimals` decimals (no change when the coin has no more than that).
    pub fn floor_to(self, decimals: u32) -> Self {
        let step = 10u64.pow(C::SCALE.saturating_sub(decimals));
        Self(self.0 - self.0 % step, PhantomData)
    }

    /// The amount raised to `decimals` decimals; `None` above [`Amount::MAX`].
    pub fn ceil_to(self, decimals: u32) -> Option<Self> {
        let floor = self.floor_to(decimals);
        if floor == self {
            return Some(self);
        }
        floor.checked_add(Self::from_units(10u64.pow(C::SCALE.saturating_sub(decimals)))?)
    }

    /// The sum of many; `None` above [`Amount::MAX`].
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

impl<C: Coin> Default for Amount<C> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl<C: Coin> fmt::Display for Amount<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10u64.pow(C::SCALE);
        write!(f, "{}.{:0width$}", self.0 / one, self.0 % one, width = C::SCALE as usize)
    }
}

impl<C: Coin> fmt::Debug for Amount<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {}", C::CODE)
    }
}

impl<C: Coin> FromStr for Amount<C> {
    type Err = MoneyError;

    /// Plain decimal text: digits, optionally a point and more digits. No sign, exponent or white space.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        if text.starts_with('-') {
            return Err(MoneyError::Negative);
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if text.len() > 64 || !digits(whole) || !digits(fraction) {
            return Err(MoneyError::Malformed);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > C::SCALE as usize {
            return Err(MoneyError::TooPrecise);
        }
        // Without a detour over a text of the units: a log is full of these.
        let number =
            |digits: &str| if digits.is_empty() { Ok(0) } else { digits.parse().map_err(|_| MoneyError::TooLarge) };
        let (whole, parts): (u64, u64) = (number(whole)?, number(fraction)?);
        let parts = parts * 10u64.pow(C::SCALE - fraction.len() as u32);
        let units = whole.checked_mul(10u64.pow(C::SCALE)).and_then(|units| units.checked_add(parts));
        let units = units.ok_or(MoneyError::TooLarge)?;
        Self::from_units(units).ok_or(MoneyError::TooLarge)
    }
}

impl<C: Coin> Serialize for Amount<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, C: Coin> Deserialize<'de> for Amount<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<C>(PhantomData<C>);
        impl<C: Coin> de::Visitor<'_> for Text<C> {
            type Value = Amount<C>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an amount of {} as a decimal string", C::CODE)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount<C>, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text(PhantomData))
    }
}

/// How many SKY the desk gives for one BTC when it sells from stock.
///
/// Written as an integer, a decimal or a fraction such as `2/3`; a fraction is taken to eight decimals, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(Decimal);

/// The longest text of a decimal: 29 digits and a point, or 28 of them behind `0.`. A rate is read back from its own text.
const RATE_CHARS_MAX: usize = 30;

/// Why a text is not a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not an integer, a decimal or a fraction.
    #[error("a rate is an integer, a decimal or a fraction such as 2/3")]
    Malformed,
    /// Zero or negative, or so small that nothing is left at eight decimals.
    #[error("a rate must be more than zero")]
    NotPositive,
}

impl Rate {
    /// SKY for one BTC.
    pub fn sky_per_btc(self) -> Decimal {
        self.0
    }

    /// What a deposit buys, rounded down to `decimals` decimals of SKY.
    pub fn sky_for(self, deposit: Amount<Btc>, decimals: u32) -> Result<Amount<Sky>, MoneyError> {
        let sky = deposit.to_decimal().checked_mul(self.0).ok_or(MoneyError::TooLarge)?;
        Ok(Amount::floor_decimal(sky)?.floor_to(decimals))
    }

    /// The smallest deposit that buys at least so much.
    pub fn btc_for(self, sky: Amount<Sky>) -> Result<Amount<Btc>, MoneyError> {
        let btc = sky.to_decimal().checked_div(self.0).ok_or(MoneyError::TooLarge)?;
        let floor: Amount<Btc> = Amount::floor_decimal(btc)?;
        if self.sky_for(floor, 6)? >= sky {
            return Ok(floor);
        }
        floor.checked_add(Amount(1, PhantomData)).ok_or(MoneyError::TooLarge)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let number = |s: &str| {
            let plain =
                !s.is_empty() && s.len() <= RATE_CHARS_MAX && s.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            if plain { Decimal::from_str_exact(s).map_err(|_| RateError::Malformed) } else { Err(RateError::Malformed) }
        };
        let rate = match text.split_once('/') {
            None => number(text)?,
            Some((above, below)) => {
                number(above)?.checked_div(number(below)?).ok_or(RateError::NotPositive)?.trunc_with_scale(8)
            }
        };
        if rate > Decimal::ZERO { Ok(Self(rate.normalize())) } else { Err(RateError::NotPositive) }
    }
}

impl TryFrom<String> for Rate {
    type Error = RateError;
    fn try_from(text: String) -> Result<Self, RateError> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> String {
        rate.to_string()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn btc(units: u64) -> Amount<Btc> {
        Amount::from_units(units).unwrap()
    }

    #[test]
    fn a_deposit_for_a_payout_is_the_smallest_that_buys_it() {
        for (droplets, rate, satoshi) in [
            (50_000_000, "500", 10_000_000),
            (1, "500", 1),
            (1_000_000, "3", 33_333_334),
            (58_436_000_000, "2/3", 8_765_400_087_655),
        ] {
            let (rate, wanted): (Rate, _) = (rate.parse().unwrap(), Amount::from_units(droplets).unwrap());
            let deposit = rate.btc_for(wanted).unwrap();
            assert_eq!(deposit, btc(satoshi), "{wanted} at {rate}");
            assert!(rate.sky_for(deposit, 6).unwrap() >= wanted);
            assert!(rate.sky_for(btc(satoshi - 1), 6).unwrap() < wanted);
        }
        assert_eq!(btc(123).ceil_to(6), Some(btc(200)));
        assert_eq!((btc(200).ceil_to(6), Amount::<Btc>::MAX.ceil_to(0)), (Some(btc(200)), None));
    }

    /// P8: a sale is rounded down.
    #[test]
    fn a_direct_sale_rounds_down_as_tellers_vectors_do() {
        for (satoshi, rate, decimals, droplets) in [
            (12_345_678, "512", 0, 63_000_000),
            (12_345_678, "512", 1, 63_200_000),
            (12_345_678, "512", 3, 63_209_000),
            (8_765_432_190_000, "2/3", 0, 58_436_000_000),
            (8_765_432_190_000, "2/3", 3, 58_436_214_000),
            (100_000_000, "1/2", 0, 0),
            (100_000_000, "1/2", 1, 500_000),
            (100_000_000, "0.0001", 3, 0),
            (100_000_000, "0.0001", 4, 100),
            (1_250_000, "1250", 3, 15_625_000),
            (200_000, "500", 0, 1_000_000),
        ] {
            let rate: Rate = rate.parse().unwrap();
            assert_eq!(rate.sky_for(btc(satoshi), decimals).unwrap().units(), droplets, "{satoshi} at {rate}");
        }
    }

    #[test]
    fn a_rate_that_is_no_positive_number_is_refused() {
        for text in ["", "12k", "1b", "-1", "0", "0/1", "1/0", "1/", "/2", "1e3", " 1", "1/2/3"] {
            assert!(text.parse::<Rate>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_rate_is_read_back_from_its_text_however_many_digits_it_has() {
        for text in
            ["997639763787808250.0281/.0017", "7.9228162514264337593543950335", "0.0000000000000000000000000001"]
        {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.to_string().parse(), Ok(rate), "{text}");
        }
    }

    /// P8: what is no exact amount is refused.
    #[test]
    fn hostile_amounts_are_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e8", "0x1", " 1", "1 ", "1,5", "NaN", "1.000000001"] {
            assert!(text.parse::<Amount<Btc>>().is_err(), "{text:?} was accepted");
        }
        assert_eq!("99999999999999999999".parse::<Amount<Btc>>(), Err(MoneyError::TooLarge));
        assert_eq!("1.50".parse::<Amount<Sky>>().unwrap().units(), 1_500_000);
    }

    proptest! {
        #[test]
        fn text_and_decimal_bring_back_the_same_amount(units in 0..=i64::MAX as u64) {
            let amount = btc(units);
            prop_assert_eq!(amount.to_string().parse::<Amount<Btc>>().unwrap(), amount);
            prop_assert_eq!(Amount::<Btc>::from_decimal(amount.to_decimal()).unwrap(), amount);
        }

        #[test]
        fn what_a_floor_takes_is_less_than_one_step(units in 0..=i64::MAX as u64, decimals in 0u32..9) {
            let amount = btc(units);
            let rest = amount.checked_sub(amount.floor_to(decimals)).unwrap();
            prop_assert!(rest.units() < 10u64.pow(8 - decimals));
        }
    }
}
