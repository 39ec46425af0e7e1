//! The arguments of a request, by position or by name, and the complaints about them.

use std::str::FromStr;

use bitcoin::consensus::Decodable;
use serde_json::Value;

use super::{Fault, code};

/// Arguments in the method's order; one that was left out or is `null` counts as absent.
pub struct Params {
    values: Vec<Value>,
}

impl Params {
    /// Brings the arguments of a method into its order. `names` are its parameters.
    pub fn read(method: &str, names: &[&str], params: Value) -> Result<Self, Fault> {
        let values = match params {
            Value::Null => vec![],
            Value::Array(values) => values,
            Value::Object(mut named) => {
                let values = names.iter().map(|name| named.remove(*name).unwrap_or_default()).collect();
                if let Some(unknown) = named.keys().next() {
                    let unknown: String = unknown.chars().take(100).collect();
                    return Err(Fault::new(code::INVALID_PARAMETER, format!("Unknown named parameter {unknown}")));
                }
                values
            }
            _ => return Err(Fault::new(code::INVALID_REQUEST, "Params must be an array or object")),
        };
        if values.len() > names.len() {
            return Err(Fault::new(code::MISC, format!("{method} {}", names.join(" ")).trim_end()));
        }
        Ok(Self { values })
    }

    fn get(&self, index: usize) -> Option<&Value> {
        self.values.get(index).filter(|value| !value.is_null())
    }

    /// A text that must be there.
    pub fn text(&self, index: usize) -> Result<&str, Fault> {
        match self.get(index) {
            Some(Value::String(text)) => Ok(text),
            other => Err(wrong_type(other, "string")),
        }
    }

    /// A whole number that must be there and in range.
    pub fn whole<N: TryFrom<i64>>(&self, index: usize) -> Result<N, Fault> {
        let number = match self.get(index) {
            Some(Value::Number(number)) => number.as_i64(),
            other => return Err(wrong_type(other, "number")),
        };
        let number = number.and_then(|number| N::try_from(number).ok());
        number.ok_or_else(|| Fault::new(code::MISC, "JSON integer out of range"))
    }

    /// A switch.
    pub fn truth(&self, index: usize, default: bool) -> Result<bool, Fault> {
        match self.get(index) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            other => Err(wrong_type(other, "bool")),
        }
    }

    /// How much to tell: a number, or a switch of former days.
    pub fn verbosity(&self, index: usize, default: i64) -> Result<i64, Fault> {
        match self.get(index) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(i64::from(*value)),
            Some(_) => self.whole(index),
        }
    }

    /// A hash that must be there; `name` is what it is called in the complaint.
    pub fn hash<H: FromStr>(&self, index: usize, name: &str) -> Result<H, Fault> {
        let text = self.text(index)?;
        let shown: String = text.chars().take(100).collect();
        let complaint = |words: String| Fault::new(code::INVALID_PARAMETER, format!("{name} must be {words}"));
        if text.len() != 64 {
            return Err(complaint(format!("of length 64 (not {}, for '{shown}')", text.len())));
        }
        text.parse().map_err(|_| complaint(format!("hexadecimal string (not '{shown}')")))
    }

    /// A hash that may be left out.
    pub fn optional_hash<H: FromStr>(&self, index: usize, name: &str) -> Result<Option<H>, Fault> {
        self.get(index).map(|_| self.hash(index, name)).transpose()
    }

    /// Something in Bitcoin's serialization as hex; `complaint` is what is said otherwise.
    pub fn raw<T: Decodable>(&self, index: usize, complaint: &str) -> Result<T, Fault> {
        let decoded =
            hex::decode(self.text(index)?).ok().and_then(|bytes| bitcoin::consensus::deserialize(&bytes).ok());
        decoded.ok_or_else(|| Fault::new(code::DESERIALIZATION, complaint))
    }
}

fn wrong_type(value: Option<&Value>, expected: &str) -> Fault {
    let found = match value {
        None | Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "bool",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    };
    Fault::new(code::TYPE, format!("JSON value of type {found} is not of expected type {expected}"))
}
