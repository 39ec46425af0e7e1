//! Names of things: deposits, commands, streams, positions, transactions.
//!
//! Ids are made outside (they need a clock and randomness) and come in as values; what is derived here is deterministic.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::hexadecimal;

/// One deposit: one output of one transaction that pays an address of ours. A UUID version 7, so ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DepositId(pub Uuid);

impl fmt::Display for DepositId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for DepositId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(Self)
    }
}

/// One subscription to notifications. A UUID version 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(pub Uuid);

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for SubscriptionId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(Self)
    }
}

/// The place of an event in the whole log: 1 for the first, without gaps.
pub type Position = u64;

/// The place of an event in its stream: 1 for the first, without gaps; 0 is the version of a stream that has none.
pub type Version = u64;

/// What makes a command recognisable when it is repeated: sixteen bytes, unique for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub [u8; 16]);

impl CommandId {
    /// The id of a command that stands for a fact of the outside world, such as "this output was seen".
    pub fn of_fact(parts: &[&str]) -> Self {
        Self(digest(parts)[..16].try_into().expect("a SHA-256 digest has 32 bytes"))
    }

    /// The id of a command that follows from the event at `cause`: these sort by time, which keeps their index small.
    pub fn following(cause: Position, parts: &[&str]) -> Self {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&cause.to_be_bytes());
        id[8..].copy_from_slice(&digest(parts)[..8]);
        Self(id)
    }
}

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

impl From<Uuid> for CommandId {
    fn from(id: Uuid) -> Self {
        Self(*id.as_bytes())
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandId({self})")
    }
}

/// What a stream is about; its text form is the stream's name in the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamName {
    /// One deposit's life.
    Deposit(DepositId),
    /// One deposit address and whom it belongs to.
    Binding(Arc<str>),
    /// Which addresses were given out.
    AddressBook,
    /// How far the Bitcoin chain was read.
    Chain,
    /// Which outputs of the hot wallet are in use.
    Wallet,
    /// Switches and declarations of the operator.
    Desk,
    /// One subscription to notifications.
    Subscription(SubscriptionId),
}

/// The kinds of streams, for queries over many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// [`StreamName::Deposit`]
    Deposit,
    /// [`StreamName::Binding`]
    Binding,
    /// [`StreamName::AddressBook`]
    AddressBook,
    /// [`StreamName::Chain`]
    Chain,
    /// [`StreamName::Wallet`]
    Wallet,
    /// [`StreamName::Desk`]
    Desk,
    /// [`StreamName::Subscription`]
    Subscription,
}

impl Category {
    /// Every category, in the order of [`Category::code`].
    pub const ALL: [Self; 7] =
        [Self::Deposit, Self::Binding, Self::AddressBook, Self::Chain, Self::Wallet, Self::Desk, Self::Subscription];

    /// The number under which the log stores the category. Never changes.
    pub const fn code(self) -> i64 {
        match self {
            Self::Deposit => 1,
            Self::Binding => 2,
            Self::AddressBook => 3,
            Self::Chain => 4,
            Self::Wallet => 5,
            Self::Desk => 6,
            Self::Subscription => 7,
        }
    }
}

/// A text that names no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no stream")]
pub struct UnknownStream(pub String);

impl StreamName {
    /// What kind of stream this is.
    pub fn category(&self) -> Category {
        match self {
            Self::Deposit(_) => Category::Deposit,
            Self::Binding(_) => Category::Binding,
            Self::AddressBook => Category::AddressBook,
            Self::Chain => Category::Chain,
            Self::Wallet => Category::Wallet,
            Self::Desk => Category::Desk,
            Self::Subscription(_) => Category::Subscription,
        }
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deposit(id) => write!(f, "deposit/{id}"),
            Self::Binding(address) => write!(f, "binding/{address}"),
            Self::AddressBook => f.write_str("address_book"),
            Self::Chain => f.write_str("chain/btc"),
            Self::Wallet => f.write_str("wallet/sky"),
            Self::Desk => f.write_str("desk"),
            Self::Subscription(id) => write!(f, "subscription/{id}"),
        }
    }
}

impl FromStr for StreamName {
    type Err = UnknownStream;

    fn from_str(text: &str) -> Result<Self, UnknownStream> {
        let unknown = || UnknownStream(text.to_owned());
        match (text, text.split_once('/')) {
            ("address_book", _) => Ok(Self::AddressBook),
            ("chain/btc", _) => Ok(Self::Chain),
            ("wallet/sky", _) => Ok(Self::Wallet),
            ("desk", _) => Ok(Self::Desk),
            (_, Some(("deposit", id))) => id.parse().map(Self::Deposit).map_err(|_| unknown()),
            (_, Some(("subscription", id))) => id.parse().map(Self::Subscription).map_err(|_| unknown()),
            (_, Some(("binding", address))) => Ok(Self::Binding(address.into())),
            _ => Err(unknown()),
        }
    }
}

/// Thirty-two bytes that name a transaction, block or output of a chain, shown as lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash32(pub [u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub struct NotAHash;

impl fmt::Display for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash32 {
    type Err = NotAHash;
    fn from_str(text: &str) -> Result<Self, NotAHash> {
        hexadecimal::bytes(text).map(Self).ok_or(NotAHash)
    }
}

impl Serialize for Hash32 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 64];
        hex::encode_to_slice(self.0, &mut text).expect("64 digits hold 32 bytes");
        serializer.serialize_str(std::str::from_utf8(&text).expect("hexadecimal digits are ASCII"))
    }
}

impl<'de> Deserialize<'de> for Hash32 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Hash32;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hexadecimal digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Hash32, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// One output of a Bitcoin transaction, in the order in which explorers write it: `txid:index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Outpoint {
    /// The transaction, as explorers show it.
    pub txid: Hash32,
    /// The output's index.
    pub index: u32,
}

impl fmt::Display for Outpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.txid, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_comes_back_from_its_text() {
        let deposit = StreamName::Deposit(DepositId(Uuid::from_u128(7)));
        for name in [deposit, StreamName::Binding("bc1q/odd".into()), StreamName::Chain, StreamName::Desk] {
            assert_eq!(name.to_string().parse::<StreamName>().unwrap(), name);
        }
        assert!("deposit/7".parse::<StreamName>().is_err());
        assert!("elsewhere".parse::<StreamName>().is_err());
    }

    #[test]
    fn a_hash_has_64_digits_and_nothing_else() {
        let text = "0123456789abcdef".repeat(4);
        let hash: Hash32 = text.parse().unwrap();
        assert_eq!((hash.to_string(), text.to_uppercase().parse()), (text.clone(), Ok(hash)));
        for wrong in
            [&text[1..], &text[2..], &format!("{text}00"), &format!("0x{}", &text[2..]), &text.replace('f', "g")]
        {
            assert_eq!(wrong.parse::<Hash32>(), Err(NotAHash), "{wrong}");
        }
    }

    #[test]
    fn command_ids_of_different_parts_differ_even_when_their_texts_join_alike() {
        assert_ne!(CommandId::of_fact(&["ab", "c"]), CommandId::of_fact(&["a", "bc"]));
        assert!(CommandId::following(1, &["z"]) < CommandId::following(2, &["a"]));
    }
}
