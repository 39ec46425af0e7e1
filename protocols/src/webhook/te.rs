//! ton.events' signature and secret.
//!
//! The header is the lower hexadecimal HMAC-SHA256 of `hmacsha256=` and the body; the prefix is inside what is signed. The
//! secret is derived from the client's hash and a salt by scrypt, so the salt is what has to be kept.

use std::fmt;

use data_encoding::HEXLOWER;
use hmac::Mac;
use scrypt::Params;
use subtle::ConstantTimeEq;

use super::secret::Keyed;
use super::sign::hexadecimal;

const PREFIX: &[u8] = b"hmacsha256=";
/// N is 2 to the power of this.
const LOG_N: u8 = 14;
const R: u32 = 8;
const P: u32 = 1;

/// The secret of one client.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

/// A text that is not 64 lower hexadecimal digits. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ton.events secret is 64 lower hexadecimal digits")]
pub struct NoSecret;

impl Secret {
    /// The secret of the client with this hash: scrypt with N 16 384, r 8, p 1, which takes tens of milliseconds and 16 MiB.
    pub fn derive(hash: &[u8; 32], salt: &[u8]) -> Self {
        let params = Params::new(LOG_N, R, P, 32).expect("the parameters are within scrypt's limits");
        let mut secret = [0; 32];
        scrypt::scrypt(hash, salt, &params, &mut secret).expect("32 bytes are within scrypt's limits");
        Self(secret)
    }

    /// Reads a secret's text.
    pub fn from_hex(text: &str) -> Result<Self, NoSecret> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| NoSecret)?;
        bytes.try_into().map(Self).map_err(|_| NoSecret)
    }

    /// Its text, for its owner and for storing it sealed.
    pub fn reveal(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// The value of `x-te-signature`. Whoever signs often keeps a [`Signer`](super::sign::Signer).
    pub fn sign(&self, body: &[u8]) -> String {
        signature(self.keyed(), body)
    }

    /// Whether a value of `x-te-signature` is that of this body. Takes as long whatever is wrong with it.
    pub fn has_signed(&self, body: &[u8], signature: &str) -> bool {
        self.sign(body).as_bytes().ct_eq(signature.as_bytes()).into()
    }

    /// The right answer to an ownership check with this token: lower hexadecimal digits.
    pub fn answer(&self, token: &str) -> String {
        hexadecimal(self.keyed(), &[token.as_bytes()])
    }

    pub(super) fn keyed(&self) -> Keyed {
        Keyed::new_from_slice(&self.0).expect("an HMAC takes a key of any length")
    }
}

pub(super) fn signature(keyed: Keyed, body: &[u8]) -> String {
    hexadecimal(keyed, &[PREFIX, body])
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "b5e40c1d529c62f423d2e188f09abc17ea3cee55c345bc0d8bc5aca8d8c5ca00";

    #[test]
    fn the_secret_of_a_client_is_derived_from_its_hash_and_the_salt() {
        let hash = std::array::from_fn(|index| index as u8);
        let salt: [u8; 32] = std::array::from_fn(|index| 32 + index as u8);
        assert_eq!(Secret::derive(&hash, &salt).reveal(), SECRET);
    }

    #[test]
    fn the_signature_of_a_known_body_comes_out() {
        let secret = Secret::from_hex(SECRET).unwrap();
        assert_eq!(secret.sign(b"nonce1 ZW5j"), "a040b19bc6cc925e169d6a867ab0b6032317b95692df6fb54e661e26e2c9efee");
        assert!(secret.has_signed(b"nonce1 ZW5j", &secret.sign(b"nonce1 ZW5j")));
        assert!(!secret.has_signed(b"nonce2 ZW5j", &secret.sign(b"nonce1 ZW5j")) && !secret.has_signed(b"", ""));
    }

    #[test]
    fn the_answer_to_a_known_token_comes_out() {
        let answer = "e98b9ab6530754a66bbc641d5047b979010104b553ae98dbf5f81d6f8da17023";
        assert_eq!(Secret::from_hex(SECRET).unwrap().answer("AAECAwQFBgcICQoL"), answer);
    }

    #[test]
    fn anything_but_64_lower_digits_is_no_secret() {
        for text in ["", "00", &SECRET.to_uppercase(), &SECRET[1..]] {
            assert_eq!(Secret::from_hex(text), Err(NoSecret));
        }
    }

    #[test]
    fn it_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::from_hex(SECRET).unwrap()), "Secret(…)");
    }
}
