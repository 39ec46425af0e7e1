//! Reading JSON objects field by field, so that an answer that makes no sense is refused by the name of the field.
//!
//! Numbers are read from their text: C2CX writes the same number now as a JSON number, now as a string, and neither may
//! pass through a float.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use millrace_model::money::{Amount, Coin};
use millrace_model::purchase::Price;

/// The longest text of a number that is read, in bytes.
const NUMBER_MAX_BYTES: usize = 40;

/// A field of an answer that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}` of the exchange's answer is {problem}")]
pub struct DecodeError {
    /// Where it is, such as `data.rows[3].avgPrice`.
    pub field: String,
    /// What it is.
    pub problem: &'static str,
}

/// A JSON value with its place in the answer.
#[derive(Debug, Clone)]
pub(super) struct Value<'a> {
    place: String,
    raw: &'a RawValue,
}

/// A JSON object with its place in the answer.
#[derive(Debug)]
pub(super) struct Object<'a> {
    place: String,
    fields: BTreeMap<String, &'a RawValue>,
}

impl<'a> Value<'a> {
    pub(super) fn new(place: impl Into<String>, raw: &'a RawValue) -> Self {
        Self { place: place.into(), raw }
    }

    pub(super) fn wrong(&self, problem: &'static str) -> DecodeError {
        DecodeError { field: self.place.clone(), problem }
    }

    pub(super) fn is_null(&self) -> bool {
        self.raw.get() == "null"
    }

    pub(super) fn is_object(&self) -> bool {
        self.raw.get().starts_with('{')
    }

    pub(super) fn object(&self) -> Result<Object<'a>, DecodeError> {
        let fields = serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("not an object"))?;
        Ok(Object { place: self.place.clone(), fields })
    }

    pub(super) fn list(&self) -> Result<Vec<Value<'a>>, DecodeError> {
        let items: Vec<&RawValue> = serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("not a list"))?;
        Ok(items.into_iter().enumerate().map(|(i, raw)| Value { place: format!("{}[{i}]", self.place), raw }).collect())
    }

    pub(super) fn text(&self) -> Result<String, DecodeError> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("not a text"))
    }

    /// A number, or a string that holds one.
    pub(super) fn decimal(&self) -> Result<Decimal, DecodeError> {
        let text = self.raw.get();
        let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        decimal(digits).ok_or_else(|| self.wrong("not a number"))
    }

    /// A whole number, or a string that holds one.
    pub(super) fn integer(&self) -> Result<i64, DecodeError> {
        let number = self.decimal()?.normalize();
        if number.scale() > 0 {
            return Err(self.wrong("not a whole number"));
        }
        i64::try_from(number.mantissa()).map_err(|_| self.wrong("too large"))
    }

    /// A whole number that is not negative.
    pub(super) fn unsigned(&self) -> Result<u64, DecodeError> {
        u64::try_from(self.integer()?).map_err(|_| self.wrong("negative"))
    }

    /// An amount, what is beyond the smallest unit cut off.
    pub(super) fn amount_floor<C: Coin>(&self) -> Result<Amount<C>, DecodeError> {
        Amount::floor_decimal(self.decimal()?).map_err(|_| self.wrong("negative or too large"))
    }

    /// An amount, rounded up to the smallest unit.
    pub(super) fn amount_ceil<C: Coin>(&self) -> Result<Amount<C>, DecodeError> {
        let number = self.decimal()?;
        let floor = Amount::<C>::floor_decimal(number).map_err(|_| self.wrong("negative or too large"))?;
        let one = if floor.to_decimal() == number { 0 } else { 1 };
        Amount::from_units(floor.units() + one).ok_or_else(|| self.wrong("too large"))
    }

    /// A price; zero and null stand for none. Decimals beyond those of a price are rounded.
    pub(super) fn price(&self) -> Result<Option<Price>, DecodeError> {
        if self.is_null() {
            return Ok(None);
        }
        let number = self.decimal()?.round_dp(Price::DECIMALS_MAX);
        if number.is_zero() {
            return Ok(None);
        }
        Price::new(number).map(Some).map_err(|_| self.wrong("not a price"))
    }
}

impl<'a> Object<'a> {
    /// A field that must be there.
    pub(super) fn get(&self, name: &str) -> Result<Value<'a>, DecodeError> {
        self.find(name).ok_or_else(|| DecodeError { field: self.place_of(name), problem: "missing" })
    }

    /// A field that may be absent.
    pub(super) fn find(&self, name: &str) -> Option<Value<'a>> {
        self.fields.get(name).map(|raw| Value { place: self.place_of(name), raw })
    }

    /// All fields.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Value<'a>)> + '_ {
        self.fields.iter().map(|(name, raw)| (name.as_str(), Value { place: self.place_of(name), raw }))
    }

    fn place_of(&self, name: &str) -> String {
        // a name comes from outside and ends in errors that are shown
        let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        format!("{}.{name}", self.place)
    }
}

/// An exact decimal from its text, with or without an exponent.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let plausible = text.len() <= NUMBER_MAX_BYTES
        && text.bytes().any(|b| b.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    if !plausible {
        return None;
    }
    let number = match text.contains(['e', 'E']) {
        true => Decimal::from_scientific(text),
        false => Decimal::from_str_exact(text),
    };
    number.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_model::money::{Btc, Sky};

    fn value(json: &str) -> Value<'_> {
        Value::new("data", serde_json::from_str(json).unwrap())
    }

    /// P8: no number goes through a float.
    #[test]
    fn numbers_are_exact_whether_written_as_number_string_or_power_of_ten() {
        for (json, text) in [
            ("0.00189", "0.00189"),
            ("\"0.00189\"", "0.00189"),
            ("1.89e-3", "0.00189"),
            ("1.89E-03", "0.00189"),
            ("9007199254740993", "9007199254740993"),
            ("0.1000000000000000055511151231", "0.1000000000000000055511151231"),
            ("-3", "-3"),
        ] {
            assert_eq!(value(json).decimal().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_number_is_refused_by_the_name_of_its_field() {
        for json in ["\"\"", "\"1_000\"", "\"0x1\"", "\"NaN\"", "null", "[]", "true", "\"1e400\"", "1e-400", "\"--1\""]
        {
            assert_eq!(value(json).decimal().unwrap_err().field, "data", "{json}");
        }
        assert!(value(&"9".repeat(41)).decimal().is_err());
    }

    #[test]
    fn amounts_round_the_way_that_is_asked_for() {
        assert_eq!(value("1.23456789").amount_floor::<Sky>().unwrap().units(), 1_234_567);
        assert_eq!(value("0.000000011").amount_ceil::<Btc>().unwrap().units(), 2);
        assert_eq!(value("0.00000001").amount_ceil::<Btc>().unwrap().units(), 1);
        assert!(value("-1").amount_ceil::<Btc>().is_err());
        assert!(value("1e20").amount_floor::<Btc>().is_err());
    }

    #[test]
    fn a_price_written_by_a_float_is_the_price_that_was_meant() {
        assert_eq!(value("0.0018900000000000002").price().unwrap().unwrap().to_string(), "0.00189");
        assert_eq!(value("0").price().unwrap(), None);
        assert!(value("-0.1").price().is_err());
    }
}
