//! What a segment's events are read from: postcard's bytes, taken one after the other.
//!
//! They are what postcard makes of `Tables` and of one `Event` after the other. Everybody who goes through the log takes eight numbers
//! an event from them, so they are taken here without asking what comes next; ids stay where they lie.

use millrace_model::ids::Position;
use postcard::Error;

use super::{Event, Packed, SEGMENT_EVENTS};

/// What was not taken yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contents<'a>(pub(super) &'a [u8]);

/// What the events of a segment share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) streams: Vec<(i64, &'a str)>,
    pub(super) kinds: Vec<(&'a str, u32)>,
    pub(super) commands: &'a [[u8; 16]],
    pub(super) correlations: &'a [[u8; 16]],
}

impl<'a> Shared<'a> {
    pub(super) fn take(contents: &mut Contents<'a>) -> Result<Self, Error> {
        Ok(Self {
            streams: contents.many(|contents| Ok((contents.signed()?, contents.text()?)))?,
            kinds: contents.many(|contents| {
                let (kind, schema) = (contents.text()?, contents.number()?);
                Ok((kind, u32::try_from(schema).map_err(|_| Error::DeserializeBadVarint)?))
            })?,
            commands: contents.ids()?,
            correlations: contents.ids()?,
        })
    }

    /// What an event is; nothing where it speaks of what is in no table.
    #[inline]
    pub(super) fn resolve(&self, position: Position, event: &Event<'a>) -> Option<Packed<'a>> {
        let (stream_id, stream) = *self.streams.get(event.stream)?;
        let (kind, schema) = *self.kinds.get(event.kind)?;
        let correlation = match event.correlation {
            Some(place) => Some(*self.correlations.get(place)?),
            None => None,
        };
        let causation = if event.back == 0 { None } else { Some(position.checked_sub(event.back)?) };
        Some(Packed {
            position,
            stream_id,
            stream,
            version: event.version,
            kind,
            schema,
            payload: event.payload,
            causation,
            correlation,
            command_id: *self.commands.get(event.command)?,
            command: event.command,
            recorded_at: event.recorded_at,
        })
    }
}

impl<'a> Event<'a> {
    pub(super) fn take(contents: &mut Contents<'a>) -> Result<Self, Error> {
        Ok(Self {
            stream: contents.size()?,
            version: contents.number()?,
            kind: contents.size()?,
            command: contents.size()?,
            back: contents.number()?,
            correlation: contents.size_if_any()?,
            recorded_at: contents.signed()?,
            payload: contents.bytes()?,
        })
    }
}

impl<'a> Contents<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Seven bits a byte, the lowest first; the highest bit says that there are more.
    #[inline]
    pub(super) fn number(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for (place, byte) in self.0.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            number |= bits << (7 * place);
            if *byte < 0x80 {
                self.0 = &self.0[place + 1..];
                let fits = number >> (7 * place) == bits;
                return if fits { Ok(number) } else { Err(Error::DeserializeBadVarint) };
            }
        }
        Err(if self.0.len() < 10 { Error::DeserializeUnexpectedEnd } else { Error::DeserializeBadVarint })
    }

    /// A number that may be less than zero: the lowest bit says so.
    #[inline]
    pub(super) fn signed(&mut self) -> Result<i64, Error> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    #[inline]
    pub(super) fn size(&mut self) -> Result<usize, Error> {
        usize::try_from(self.number()?).map_err(|_| Error::DeserializeBadVarint)
    }

    #[inline]
    pub(super) fn size_if_any(&mut self) -> Result<Option<usize>, Error> {
        match self.number()? {
            0 => Ok(None),
            1 => self.size().map(Some),
            _ => Err(Error::DeserializeBadOption),
        }
    }

    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let size = self.size()?;
        let (bytes, left) = self.0.split_at_checked(size).ok_or(Error::DeserializeUnexpectedEnd)?;
        self.0 = left;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Error::DeserializeBadUtf8)
    }

    fn ids(&mut self) -> Result<&'a [[u8; 16]], Error> {
        let bytes = self.size()?.checked_mul(16).and_then(|bytes| self.0.split_at_checked(bytes));
        let (ids, left) = bytes.ok_or(Error::DeserializeUnexpectedEnd)?;
        self.0 = left;
        Ok(ids.as_chunks().0)
    }

    fn many<T>(&mut self, take: impl Fn(&mut Self) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let count = self.size()?;
        let mut many = Vec::with_capacity(count.min(SEGMENT_EVENTS as usize));
        for _ in 0..count {
            many.push(take(self)?);
        }
        Ok(many)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_bytes_are_taken_as_postcard_takes_them(
            number in prop_oneof![any::<u64>(), 0..300_u64],
            signed in any::<i64>(),
            size in proptest::option::of(any::<usize>()),
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let written = postcard::to_stdvec(&(number, signed, size, bytes.as_slice())).unwrap();
            let mut contents = Contents(&written);
            prop_assert_eq!(contents.number(), Ok(number));
            prop_assert_eq!(contents.signed(), Ok(signed));
            prop_assert_eq!(contents.size_if_any(), Ok(size));
            prop_assert_eq!(contents.bytes(), Ok(bytes.as_slice()));
            prop_assert!(contents.is_empty());
            for end in 0..written.len() {
                let mut short = Contents(&written[..end]);
                let taken = (short.number(), short.signed(), short.size_if_any(), short.bytes());
                prop_assert!(taken.0.is_err() || taken.1.is_err() || taken.2.is_err() || taken.3.is_err());
            }
        }

        /// Whatever the bytes are: a number of them is what postcard makes of them, or none.
        #[test]
        fn what_is_no_number_is_none(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0x80..=u8::MAX], 0..14)) {
            prop_assert_eq!(Contents(&bytes).number().ok(), postcard::from_bytes(&bytes).ok());
        }
    }
}
