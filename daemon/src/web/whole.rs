//! Whole numbers in JSON, however they are written: JSON Schema takes `7.0` for an integer, and so does the desk.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// The first number that 64 bits do not hold.
const BEYOND: f64 = 18_446_744_073_709_551_616.0;

/// A whole number that is not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole(pub u64);

impl Whole {
    /// The same in 32 bits; the largest of these for one that is larger, which is above every limit.
    pub fn in_32_bits(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Whole;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number that is not negative")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Whole, E> {
                Ok(Whole(number))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Whole, E> {
                let is_whole = number.fract() == 0.0 && (0.0..BEYOND).contains(&number);
                let unfit = || E::invalid_value(de::Unexpected::Float(number), &self);
                if is_whole { Ok(Whole(number as u64)) } else { Err(unfit()) }
            }
        }
        deserializer.deserialize_u64(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_may_have_a_point() {
        for (text, number) in [("7", 7), ("7.0", 7), ("0.0", 0), ("1e3", 1_000), ("4611686018427387904.0", 1 << 62)] {
            assert_eq!(serde_json::from_str::<Whole>(text).unwrap(), Whole(number), "{text}");
        }
        for text in ["7.5", "-1", "-1.0", "1e20", "\"7\"", "null"] {
            assert!(serde_json::from_str::<Whole>(text).is_err(), "{text}");
        }
        assert_eq!(Whole(1 << 40).in_32_bits(), u32::MAX);
    }
}
