//! Reading single fields of an answer, so that every failure names the field.

use std::str::FromStr;

use bitcoin::BlockHash;
use bitcoin::consensus::Decodable;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::WireError;

/// An object of an answer.
pub struct Object(Map<String, Value>);

impl Object {
    pub fn read(result: &RawValue) -> Result<Self, WireError> {
        serde_json::from_str(result.get()).map(Self).map_err(|_| WireError::new("result", "is not an object"))
    }

    /// The field; one that is `null` counts as absent.
    fn get(&self, field: &'static str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn must(&self, field: &'static str) -> Result<&Value, WireError> {
        self.get(field).ok_or(WireError::new(field, "is missing"))
    }

    pub fn whole<N: TryFrom<i64>>(&self, field: &'static str) -> Result<N, WireError> {
        let number = self.must(field)?.as_i64().and_then(|number| N::try_from(number).ok());
        number.ok_or(WireError::new(field, "is not a whole number in range"))
    }

    pub fn truth(&self, field: &'static str) -> Result<Option<bool>, WireError> {
        let read = |value: &Value| value.as_bool().ok_or(WireError::new(field, "is neither true nor false"));
        self.get(field).map(read).transpose()
    }

    pub fn text(&self, field: &'static str) -> Result<&str, WireError> {
        self.must(field)?.as_str().ok_or(WireError::new(field, "is not a text"))
    }

    pub fn block_hash(&self, field: &'static str) -> Result<BlockHash, WireError> {
        hash(field, self.text(field)?)
    }

    pub fn optional_block_hash(&self, field: &'static str) -> Result<Option<BlockHash>, WireError> {
        self.get(field).map(|_| self.block_hash(field)).transpose()
    }
}

/// The whole result as a text.
pub fn text(result: &RawValue) -> Result<String, WireError> {
    serde_json::from_str(result.get()).map_err(|_| WireError::new("result", "is not a text"))
}

/// The whole result as a height.
pub fn height(result: &RawValue) -> Result<u32, WireError> {
    serde_json::from_str(result.get()).map_err(|_| WireError::new("result", "is not a height"))
}

/// The whole result as a hash.
pub fn one_hash<H: FromStr>(result: &RawValue) -> Result<H, WireError> {
    hash("result", &text(result)?)
}

/// The whole result as a list of hashes.
pub fn hashes<H: FromStr>(result: &RawValue) -> Result<Vec<H>, WireError> {
    let texts: Vec<String> =
        serde_json::from_str(result.get()).map_err(|_| WireError::new("result", "is not a list of texts"))?;
    texts.iter().map(|text| hash("result", text)).collect()
}

/// The whole result as the hex of something in Bitcoin's serialization, with nothing left over.
pub fn raw<T: Decodable>(result: &RawValue) -> Result<T, WireError> {
    let bytes = hex::decode(text(result)?).map_err(|_| WireError::new("result", "is not hex"))?;
    bitcoin::consensus::deserialize(&bytes).map_err(|_| WireError::new("result", "cannot be decoded from its bytes"))
}

fn hash<H: FromStr>(field: &'static str, text: &str) -> Result<H, WireError> {
    text.parse().map_err(|_| WireError::new(field, "is not a hash of 64 hex digits"))
}
