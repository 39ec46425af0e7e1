//! Reads a payload as this program writes it: JSON without white space, with the fields in their order and none left out, but
//! for those at the end that may be.
//!
//! That is nearly every payload of a log, and whoever reads no more than that has less to ask: no field is looked for by its name, it is
//! only made sure that the next name is the one that is due. Whatever else a JSON text may have (other orders, escapes, fractions,
//! fields left out) is not looked at but [`Unusual`], and then `serde_json` has the word. What is read here is what `serde_json`
//! would have read.

use std::slice;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::plain_text;

/// Not as it is written here: to be read by one who reads everything, or by nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not as it is written here")]
pub(super) struct Unusual;

impl de::Error for Unusual {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Reads all of a text.
#[inline]
pub(super) fn read<'de, F: Deserialize<'de>>(text: &'de str) -> Result<F, Unusual> {
    let mut reading = Reading { text, at: 0 };
    let fields = F::deserialize(&mut reading)?;
    if reading.at == text.len() { Ok(fields) } else { Err(Unusual) }
}

/// A text, and how much of it was read.
struct Reading<'de> {
    text: &'de str,
    at: usize,
}

impl<'de> Reading<'de> {
    fn left(&self) -> &'de [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unusual> {
        if self.peek() != Some(byte) {
            return Err(Unusual);
        }
        self.at += 1;
        Ok(())
    }

    fn expect_text(&mut self, text: &str) -> Result<(), Unusual> {
        if !self.left().starts_with(text.as_bytes()) {
            return Err(Unusual);
        }
        self.at += text.len();
        Ok(())
    }

    /// A text between quotes that stands there as it is.
    #[inline]
    fn quoted(&mut self) -> Result<&'de str, Unusual> {
        self.expect(b'"')?;
        let end = self.at + plain_text::length(self.left());
        let text = self.text.get(self.at..end).ok_or(Unusual)?;
        self.at = end;
        self.expect(b'"')?;
        Ok(text)
    }

    /// A number of digits only.
    #[inline]
    fn number(&mut self) -> Result<u64, Unusual> {
        let begin = self.at;
        let mut number: u64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number =
                number.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(digit - b'0'))).ok_or(Unusual)?;
            self.at += 1;
        }
        let is_number = match self.at - begin {
            0 => false,
            1 => true,
            _ => self.text.as_bytes()[begin] != b'0',
        };
        if is_number { Ok(number) } else { Err(Unusual) }
    }
}

impl<'de> Deserializer<'de> for &mut Reading<'de> {
    type Error = Unusual;

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        self.expect(b'{')?;
        let mut fields = Fields { reading: self, due: names.iter(), is_first: true };
        let value = visitor.visit_seq(&mut fields)?;
        // One that has several names for a field has taken fewer.
        if fields.due.next().is_some() {
            return Err(Unusual);
        }
        self.expect(b'}')?;
        Ok(value)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        visitor.visit_borrowed_str(self.quoted()?)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        visitor.visit_u64(self.number()?)
    }

    #[inline]
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.deserialize_u64(visitor)
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        let value = self.peek() == Some(b't');
        self.expect_text(if value { "true" } else { "false" })?;
        visitor.visit_bool(value)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        if self.peek() != Some(b'n') {
            return visitor.visit_some(self);
        }
        self.expect_text("null")?;
        visitor.visit_none()
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.expect(b'[')?;
        let value = visitor.visit_seq(Elements { reading: self, is_first: true })?;
        self.expect(b']')?;
        Ok(value)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unusual> {
        visitor.visit_newtype_struct(self)
    }

    /// A word, or an object that has the word for its one name.
    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        if self.peek() != Some(b'{') {
            return visitor.visit_enum(BorrowedStrDeserializer::new(self.quoted()?));
        }
        self.expect(b'{')?;
        let value = visitor.visit_enum(&mut *self)?;
        self.expect(b'}')?;
        Ok(value)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unusual> {
        Err(Unusual)
    }

    // No event has a number with a fraction; what is not to be named in the model is not in the list below.
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.deserialize_any(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 char bytes byte_buf unit unit_struct tuple tuple_struct map ignored_any
    }
}

/// The fields of an object, each of which has the name that is due; the last ones may be missing.
struct Fields<'r, 'de> {
    reading: &'r mut Reading<'de>,
    due: slice::Iter<'static, &'static str>,
    is_first: bool,
}

impl<'de> SeqAccess<'de> for &mut Fields<'_, 'de> {
    type Error = Unusual;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unusual> {
        let name = self.due.next().ok_or(Unusual)?;
        if !std::mem::take(&mut self.is_first) && self.reading.expect(b',').is_err() {
            // Fields at the end that are not there: whoever can do without them asks on, for one name after the other.
            return if self.reading.peek() == Some(b'}') { Ok(None) } else { Err(Unusual) };
        }
        self.reading.expect(b'"')?;
        self.reading.expect_text(name)?;
        self.reading.expect_text("\":")?;
        seed.deserialize(&mut *self.reading).map(Some)
    }
}

/// The elements of an array, up to what ends it.
struct Elements<'r, 'de> {
    reading: &'r mut Reading<'de>,
    is_first: bool,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Unusual;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unusual> {
        if self.reading.peek() == Some(b']') {
            return Ok(None);
        }
        if !std::mem::take(&mut self.is_first) {
            self.reading.expect(b',')?;
        }
        seed.deserialize(&mut *self.reading).map(Some)
    }
}

impl<'de> EnumAccess<'de> for &mut Reading<'de> {
    type Error = Unusual;
    type Variant = Self;

    #[inline]
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Unusual> {
        let variant = seed.deserialize(BorrowedStrDeserializer::new(self.quoted()?))?;
        self.expect(b':')?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for &mut Reading<'de> {
    type Error = Unusual;

    fn unit_variant(self) -> Result<(), Unusual> {
        Err(Unusual)
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Unusual> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Unusual> {
        Err(Unusual)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, Unusual> {
        self.deserialize_struct("", names, visitor)
    }
}

#[cfg(test)]
mod tests;
