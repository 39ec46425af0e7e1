//! Secrets and keys that notifications are signed with, and their text forms.
//!
//! `whsec_` and base64 is a symmetric secret of 24 to 64 bytes; `whsk_` a private ed25519 key (its seed, or the seed and the
//! public key); `whpk_` a public one. The forms are Standard Webhooks'.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use ed25519_dalek::{SECRET_KEY_LENGTH, SigningKey, VerifyingKey};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The shortest symmetric secret, in bytes.
pub const SECRET_BYTES_MIN: usize = 24;
/// The longest one, in bytes.
pub const SECRET_BYTES_MAX: usize = 64;

const SECRET_PREFIX: &str = "whsec_";
const PRIVATE_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";

/// An HMAC-SHA256 that has its key and nothing else yet; a clone is cheaper than a new one.
pub(super) type Keyed = Hmac<Sha256>;

/// Why a text is no secret or key. The text is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It begins with none of the prefixes that may stand here.
    #[error("a secret begins with whsec_, a private key with whsk_, a public key with whpk_")]
    Prefix,
    /// The rest is not base64.
    #[error("what follows the prefix is not base64")]
    Encoding,
    /// A symmetric secret is too short or too long.
    #[error("a secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes, this one {0}")]
    Length(usize),
    /// The key is none of the curve's, or its two halves do not belong together.
    #[error("this is no ed25519 key")]
    Key,
}

/// A symmetric secret.
#[derive(Clone)]
pub struct HmacSecret {
    bytes: Vec<u8>,
}

/// A private key.
#[derive(Clone)]
pub struct PrivateKey(pub(super) SigningKey);

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(pub(super) VerifyingKey);

impl HmacSecret {
    /// A secret of these bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, SecretError> {
        let is_allowed = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len());
        if is_allowed { Ok(Self { bytes }) } else { Err(SecretError::Length(bytes.len())) }
    }

    /// Its text, for its owner and for storing it sealed.
    pub fn reveal(&self) -> String {
        format!("{SECRET_PREFIX}{}", BASE64.encode(&self.bytes))
    }

    pub(super) fn keyed(&self) -> Keyed {
        Keyed::new_from_slice(&self.bytes).expect("an HMAC takes a key of any length")
    }
}

impl PrivateKey {
    /// The key that a seed stands for.
    pub fn from_seed(seed: &[u8; SECRET_KEY_LENGTH]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// What others verify with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Its text, for storing it sealed.
    pub fn reveal(&self) -> String {
        format!("{PRIVATE_PREFIX}{}", BASE64.encode(&self.0.to_keypair_bytes()))
    }
}

fn decoded(text: &str, prefix: &str) -> Result<Vec<u8>, SecretError> {
    let rest = text.strip_prefix(prefix).ok_or(SecretError::Prefix)?;
    BASE64.decode(rest.as_bytes()).map_err(|_| SecretError::Encoding)
}

impl FromStr for HmacSecret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        Self::new(decoded(text, SECRET_PREFIX)?)
    }
}

impl FromStr for PrivateKey {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let bytes = decoded(text, PRIVATE_PREFIX)?;
        if let Ok(seed) = <&[u8; 32]>::try_from(bytes.as_slice()) {
            return Ok(Self::from_seed(seed));
        }
        let pair = <&[u8; 64]>::try_from(bytes.as_slice()).map_err(|_| SecretError::Key)?;
        SigningKey::from_keypair_bytes(pair).map(Self).map_err(|_| SecretError::Key)
    }
}

impl FromStr for PublicKey {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let bytes = decoded(text, PUBLIC_PREFIX)?;
        let bytes = <&[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| SecretError::Key)?;
        VerifyingKey::from_bytes(bytes).map(Self).map_err(|_| SecretError::Key)
    }
}

impl fmt::Debug for HmacSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HmacSecret(…)")
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PrivateKey(…)")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PUBLIC_PREFIX}{}", BASE64.encode(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

    fn secret_of(bytes: usize) -> Result<HmacSecret, SecretError> {
        format!("whsec_{}", BASE64.encode(&vec![7; bytes])).parse()
    }

    #[test]
    fn a_secret_has_24_to_64_bytes() {
        assert_eq!(secret_of(23).unwrap_err(), SecretError::Length(23));
        assert!(secret_of(24).is_ok() && secret_of(64).is_ok());
        assert_eq!(secret_of(65).unwrap_err(), SecretError::Length(65));
    }

    #[test]
    fn what_is_no_secret_says_why() {
        let wrong = |text: &str| text.parse::<HmacSecret>().unwrap_err();
        assert_eq!(wrong("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), SecretError::Prefix);
        assert_eq!(wrong(PAIR), SecretError::Prefix);
        assert_eq!(wrong("whsec_%"), SecretError::Encoding);
    }

    #[test]
    fn a_private_key_is_a_seed_with_or_without_its_public_key() {
        let pair: PrivateKey = PAIR.parse().unwrap();
        let seed: PrivateKey = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=".parse().unwrap();
        assert_eq!((pair.public().to_string().as_str(), seed.public()), (PUBLIC, pair.public()));
        assert_eq!((seed.reveal().as_str(), PUBLIC.parse()), (PAIR, Ok(pair.public())));
    }

    #[test]
    fn two_halves_that_do_not_belong_together_are_no_key() {
        let other = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlaaaaaaaaaaAJ6p9lMicMFs6Kvg==";
        assert_eq!(other.parse::<PrivateKey>().unwrap_err(), SecretError::Key);
        assert_eq!("whsk_AAAA".parse::<PrivateKey>().unwrap_err(), SecretError::Key);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let secret = secret_of(24).unwrap();
        let key: PrivateKey = PAIR.parse().unwrap();
        assert_eq!(format!("{secret:?} {key:?}"), "HmacSecret(…) PrivateKey(…)");
        assert_eq!(secret.reveal().parse::<HmacSecret>().unwrap().bytes, [7; 24]);
    }
}
