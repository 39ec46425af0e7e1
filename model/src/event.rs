//! The catalogue of events and the shape in which the log stores them.
//!
//! An event is stored as (kind, schema, payload): the kind is the variant's name, the payload the JSON of the variant's
//! fields. A stored kind never changes its meaning; a new shape of it gets the next schema number and an upcaster in
//! `crate::upcast`.

mod as_written;
mod plain_text;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::ids::{Category, CommandId, Position, StreamName, Version};
use crate::{address_book, binding, chain, deposit, desk, subscription, upcast, wallet};

/// The largest payload the log takes, in bytes.
pub const PAYLOAD_MAX_BYTES: usize = 16 * 1024;

/// Anything that ever happened at the desk.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Of a deposit.
    Deposit(deposit::Event),
    /// Of a deposit address.
    Binding(binding::Event),
    /// Of the pool of addresses.
    AddressBook(address_book::Event),
    /// Of our reading of the Bitcoin chain.
    Chain(chain::Event),
    /// Of the hot wallet.
    Wallet(wallet::Event),
    /// Of the desk as a whole.
    Desk(desk::Event),
    /// Of a subscription to notifications.
    Subscription(subscription::Event),
    /// Of a deposit or a subscription, and not to be understood by this version.
    Unreadable(Unreadable),
}

/// An event as it is stored, and why it cannot be read. The deposit or subscription it belongs to is not acted upon: nobody
/// knows where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The stored kind.
    pub kind: String,
    /// The stored schema number.
    pub schema: u32,
    /// The stored payload.
    pub payload: String,
    /// What is wrong with it.
    pub why: String,
}

/// Why a stored event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A kind this version does not know.
    #[error("event kind {0:?} is unknown to this version")]
    UnknownKind(String),
    /// A schema number newer than this version knows.
    #[error("event {kind} has schema {schema}, this version knows up to {known}")]
    NewerSchema {
        /// The kind.
        kind: &'static str,
        /// The schema found.
        schema: u32,
        /// The newest schema known.
        known: u32,
    },
    /// The payload does not fit its kind.
    #[error("event {kind}: {source}")]
    Payload {
        /// The kind.
        kind: &'static str,
        /// What does not fit.
        source: serde_json::Error,
    },
}

/// Declares an enum of events whose variants each hold one struct, with the way to and from the log.
macro_rules! events {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$doc:meta])* $kind:ident = $schema:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        $vis enum $name { $($(#[$doc])* $kind($kind),)+ }

        impl $name {
            /// The kinds with their newest schema numbers.
            pub const KINDS: &'static [(&'static str, u32)] = &[$((stringify!($kind), $schema),)+];

            /// The name under which the log stores this event.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$kind(_) => stringify!($kind),)+ }
            }

            /// The schema number of the payload that [`Self::payload`] writes.
            pub fn schema(&self) -> u32 {
                match self { $(Self::$kind(_) => $schema,)+ }
            }

            /// The event's fields as JSON.
            pub fn payload(&self) -> String {
                match self {
                    $(Self::$kind(fields) => serde_json::to_string(fields).expect("events have text keys"),)+
                }
            }

            /// Reads an event back.
            pub fn decode(kind: &str, schema: u32, payload: &str) -> Result<Self, $crate::event::DecodeError> {
                Self::decode_into(kind, schema, payload, |event| event)
            }

            /// The same for whoever makes something of it: an event is large, and is moved no more than it must be.
            #[inline]
            pub(crate) fn decode_into<T>(
                kind: &str,
                schema: u32,
                payload: &str,
                make: impl FnOnce(Self) -> T,
            ) -> Result<T, $crate::event::DecodeError> {
                match kind {
                    $(stringify!($kind) => {
                        let fields = $crate::event::decode_fields(stringify!($kind), $schema, schema, payload)?;
                        Ok(make(Self::$kind(fields)))
                    })+
                    _ => Err($crate::event::DecodeError::UnknownKind(kind.to_owned())),
                }
            }

            /// What each of the two makes of a payload that read one.
            #[cfg(test)]
            pub(crate) fn read_twice(kind: &str, payload: &str) -> [Option<Self>; 2] {
                match kind {
                    $(stringify!($kind) => {
                        let [as_written, as_json] = $crate::event::read_twice(payload);
                        [as_written.map(Self::$kind), as_json.map(Self::$kind)]
                    })+
                    _ => [None, None],
                }
            }
        }

        $(impl From<$kind> for $name { fn from(fields: $kind) -> Self { Self::$kind(fields) } })+
    };
}
pub(crate) use events;

/// Reads the fields of one kind, older schemas by way of their upcasters.
#[inline]
pub(crate) fn decode_fields<F: DeserializeOwned>(
    kind: &'static str,
    known: u32,
    schema: u32,
    payload: &str,
) -> Result<F, DecodeError> {
    if schema == known
        && let Ok(fields) = as_written::read(payload)
    {
        return Ok(fields);
    }
    decode_any_fields(kind, known, schema, payload)
}

/// The same of whatever is JSON.
#[cold]
fn decode_any_fields<F: DeserializeOwned>(
    kind: &'static str,
    known: u32,
    schema: u32,
    payload: &str,
) -> Result<F, DecodeError> {
    if schema > known {
        return Err(DecodeError::NewerSchema { kind, schema, known });
    }
    let fields = if schema == known {
        serde_json::from_str(payload)
    } else {
        serde_json::from_str(payload)
            .and_then(|value| upcast::to_newest(kind, schema, known, value))
            .and_then(serde_json::from_value)
    };
    fields.map_err(|source| DecodeError::Payload { kind, source })
}

#[cfg(test)]
pub(crate) fn read_twice<F: DeserializeOwned>(payload: &str) -> [Option<F>; 2] {
    [as_written::read(payload).ok(), serde_json::from_str(payload).ok()]
}

macro_rules! of_each {
    ($self:ident, $event:ident => $result:expr) => {
        match $self {
            Event::Deposit($event) => $result,
            Event::Binding($event) => $result,
            Event::AddressBook($event) => $result,
            Event::Chain($event) => $result,
            Event::Wallet($event) => $result,
            Event::Desk($event) => $result,
            Event::Subscription($event) => $result,
            Event::Unreadable($event) => $result,
        }
    };
}

impl Unreadable {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn schema(&self) -> u32 {
        self.schema
    }

    fn payload(&self) -> String {
        self.payload.clone()
    }
}

impl Event {
    /// The name under which the log stores this event.
    pub fn kind(&self) -> &str {
        of_each!(self, event => event.kind())
    }

    /// The schema number of [`Event::payload`].
    pub fn schema(&self) -> u32 {
        of_each!(self, event => event.schema())
    }

    /// The event's fields as JSON.
    pub fn payload(&self) -> String {
        of_each!(self, event => event.payload())
    }

    /// The kind of stream this event belongs to.
    pub fn category(&self) -> Category {
        match self {
            Self::Deposit(_) | Self::Unreadable(_) => Category::Deposit,
            Self::Binding(_) => Category::Binding,
            Self::AddressBook(_) => Category::AddressBook,
            Self::Chain(_) => Category::Chain,
            Self::Wallet(_) => Category::Wallet,
            Self::Desk(_) => Category::Desk,
            Self::Subscription(_) => Category::Subscription,
        }
    }

    /// All kinds with their newest schema numbers.
    pub fn kinds() -> impl Iterator<Item = (&'static str, u32)> {
        let of = |category| match category {
            Category::Deposit => deposit::Event::KINDS,
            Category::Binding => binding::Event::KINDS,
            Category::AddressBook => address_book::Event::KINDS,
            Category::Chain => chain::Event::KINDS,
            Category::Wallet => wallet::Event::KINDS,
            Category::Desk => desk::Event::KINDS,
            Category::Subscription => subscription::Event::KINDS,
        };
        Category::ALL.into_iter().flat_map(of).copied()
    }

    /// Whether events of this kind and schema can be read.
    pub fn knows(kind: &str, schema: u32) -> bool {
        Self::kinds().any(|(known, newest)| known == kind && schema <= newest)
    }

    /// Reads an event of a stream back from the log. A deposit's or a subscription's comes back as it is stored when it is not
    /// understood, so that its neighbours can go on; of a stream that all share, that is an error.
    #[inline]
    pub fn read(category: Category, kind: &str, schema: u32, payload: &str) -> Result<Self, DecodeError> {
        let mut read = Self::decode(category, kind, schema, payload);
        if let Err(error) = &read
            && matches!(category, Category::Deposit | Category::Subscription)
        {
            let (kind, payload, why) = (kind.to_owned(), payload.to_owned(), error.to_string());
            read = Ok(Self::Unreadable(Unreadable { kind, schema, payload, why }));
        }
        // As it stands: an event is large.
        read
    }

    /// The same; what is not understood is an error whatever it belongs to.
    pub fn decode(category: Category, kind: &str, schema: u32, payload: &str) -> Result<Self, DecodeError> {
        match category {
            Category::Deposit => deposit::Event::decode_into(kind, schema, payload, Self::Deposit),
            Category::Binding => binding::Event::decode_into(kind, schema, payload, Self::Binding),
            Category::AddressBook => address_book::Event::decode_into(kind, schema, payload, Self::AddressBook),
            Category::Chain => chain::Event::decode_into(kind, schema, payload, Self::Chain),
            Category::Wallet => wallet::Event::decode_into(kind, schema, payload, Self::Wallet),
            Category::Desk => desk::Event::decode_into(kind, schema, payload, Self::Desk),
            Category::Subscription => subscription::Event::decode_into(kind, schema, payload, Self::Subscription),
        }
    }
}

/// An event as the log holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its place in the whole log.
    pub position: Position,
    /// The stream it belongs to.
    pub stream: StreamName,
    /// Its place in the stream.
    pub version: Version,
    /// The event itself.
    pub event: Event,
    /// The event that led to the command that caused this one.
    pub causation: Option<Position>,
    /// What everything of one story shares; a deposit's id for all that concerns the deposit.
    pub correlation: Option<Uuid>,
    /// The command that caused it.
    pub command_id: CommandId,
    /// When it was committed, by the desk's clock.
    pub recorded_at: DateTime<Utc>,
}

/// Events of one commit, shared by everybody who reads them.
pub type Batch = Arc<[Recorded]>;
