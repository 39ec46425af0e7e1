//! Skycoin addresses: base58 (Bitcoin's alphabet) of a 20-byte key hash, a version byte and four bytes of checksum.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bitcoin::hashes::{Hash, ripemd160};
use bitcoin::secp256k1::PublicKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::hash::sha256;

/// The only version there is.
const VERSION: u8 = 0;
/// Key hash, version, checksum.
const ADDRESS_BYTES: usize = 25;
/// 25 bytes never need more base58 digits than this; longer texts are not decoded at all.
const ADDRESS_DIGITS_MAX: usize = 35;

/// An address whose checksum and version have been checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SkyAddress {
    key_hash: [u8; 20],
}

/// Why a text is not a Skycoin address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A letter that base58 does not have (0, O, I, l or anything outside letters and digits).
    #[error("the address has a character that base58 does not have")]
    Character,
    /// Too short or too long; a Bitcoin address has the same length and fails its checksum instead.
    #[error("the address has the wrong length")]
    Length,
    /// Well formed, but mistyped or of another coin.
    #[error("the address is mistyped: its checksum is wrong")]
    Checksum,
    /// A version this coin does not use.
    #[error("the address has version {0}, which Skycoin does not use")]
    Version(u8),
    /// The address of nobody, which the node refuses as a target.
    #[error("the address is the null address")]
    Null,
}

impl SkyAddress {
    /// The address that a public key's owner can spend from: RIPEMD-160 of the doubled SHA-256 of the compressed key.
    pub fn from_public_key(key: &PublicKey) -> Self {
        let digest = sha256(&[&sha256(&[&key.serialize()])]);
        Self { key_hash: ripemd160::Hash::hash(&digest).to_byte_array() }
    }

    /// The address of a version-0 key hash, as a transaction's output carries it.
    pub const fn from_key_hash(key_hash: [u8; 20]) -> Self {
        Self { key_hash }
    }

    /// The key hash, as a transaction's output carries it.
    pub const fn key_hash(&self) -> &[u8; 20] {
        &self.key_hash
    }

    fn checksum(key_hash: &[u8], version: u8) -> [u8; 4] {
        let digest = sha256(&[key_hash, &[version]]);
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

impl FromStr for SkyAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > ADDRESS_DIGITS_MAX {
            return Err(AddressError::Length);
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| AddressError::Character)?;
        let bytes: [u8; ADDRESS_BYTES] = bytes.try_into().map_err(|_| AddressError::Length)?;
        let (key_hash, rest) = bytes.split_at(20);
        if Self::checksum(key_hash, rest[0]) != rest[1..] {
            return Err(AddressError::Checksum);
        }
        if rest[0] != VERSION {
            return Err(AddressError::Version(rest[0]));
        }
        let key_hash: [u8; 20] = key_hash.try_into().expect("the first of two parts was cut at 20");
        if key_hash == [0; 20] { Err(AddressError::Null) } else { Ok(Self { key_hash }) }
    }
}

impl fmt::Display for SkyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [VERSION; ADDRESS_BYTES];
        bytes[..20].copy_from_slice(&self.key_hash);
        bytes[21..].copy_from_slice(&Self::checksum(&self.key_hash, VERSION));
        f.write_str(&bs58::encode(bytes).into_string())
    }
}

impl fmt::Debug for SkyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SkyAddress({self})")
    }
}

impl Serialize for SkyAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SkyAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "03ac299267bd99a0e402b56bf5bb1ff342132622ffbdc9d62b3193e82dec46c016";
    const ADDRESS: &str = "ebid3QHdf1zDAiyqbixXsShdmjBMZ4sKgu";

    fn encode(key_hash: [u8; 20], version: u8) -> String {
        let mut bytes = key_hash.to_vec();
        bytes.push(version);
        bytes.extend(SkyAddress::checksum(&key_hash, version));
        bs58::encode(bytes).into_string()
    }

    #[test]
    fn a_public_key_has_the_address_the_real_node_gives_it() {
        let address = SkyAddress::from_public_key(&KEY.parse().unwrap());
        assert_eq!(address.to_string(), ADDRESS);
        assert_eq!(ADDRESS.parse(), Ok(address));
    }

    /// D11: every mistake in an address is found.
    #[test]
    fn every_mistake_is_told_apart() {
        for (text, error) in [
            ("", AddressError::Length),
            ("ebid", AddressError::Length),
            ("ebid3QHdf1zDAiyqbixXsShdmjBMZ4sKguebid3QHdf1zDAiyqbixXsShdmjBMZ4sKgu", AddressError::Length),
            ("ebid3QHdf1zDAiyqbixXsShdmjBMZ4sKg0", AddressError::Character),
            ("ebid3QHdf1zDAiyqbixXsShdmjBMZ4sKg ", AddressError::Character),
            ("ebid3QHdf1zDAiyqbixXsShdmjBMZ4sKgé", AddressError::Character),
            ("ebid3QHdf1zDAiyqbixXsShdmjBMZ4sKgv", AddressError::Checksum),
            ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", AddressError::Checksum),
        ] {
            assert_eq!(text.parse::<SkyAddress>(), Err(error), "{text}");
        }
        assert_eq!(encode([7; 20], 1).parse::<SkyAddress>(), Err(AddressError::Version(1)));
        assert_eq!(encode([0; 20], 0).parse::<SkyAddress>(), Err(AddressError::Null));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(key_hash in prop::array::uniform20(1u8..)) {
            let address = SkyAddress::from_key_hash(key_hash);
            prop_assert_eq!(address.to_string().parse(), Ok(address));
            prop_assert!(address.to_string().len() <= ADDRESS_DIGITS_MAX);
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = text.parse::<SkyAddress>();
        }
    }
}
