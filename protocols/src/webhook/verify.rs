//! Verifying a notification's signature, as a receiver does: for tests, examples and the desk's own receivers.

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Verifier as _};
use hmac::Mac;
use subtle::ConstantTimeEq;

use super::secret::{HmacSecret, PublicKey};

/// How far the timestamp may be from the receiver's clock, in seconds, before or behind.
pub const TOLERANCE_S: u64 = 300;
/// How many signatures of a header are looked at.
const SIGNATURES_MAX: usize = 32;

/// Something that verifies.
#[derive(Debug, Clone)]
pub enum Key {
    /// `v1`.
    Symmetric(HmacSecret),
    /// `v1a`.
    Asymmetric(PublicKey),
}

/// The three headers' values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signature: &'a str,
}

/// Why a notification is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The timestamp is no number.
    #[error("the timestamp is no number of seconds")]
    NoTimestamp,
    /// The timestamp is too long ago: the notification may be a repetition by somebody else.
    #[error("the timestamp is more than {TOLERANCE_S} s ago")]
    TooOld,
    /// The timestamp is too far ahead.
    #[error("the timestamp is more than {TOLERANCE_S} s ahead")]
    TooNew,
    /// No signature is one of the keys'.
    #[error("no signature matches")]
    NoMatch,
}

/// Believes a notification that one of `keys` signed, at `now_s` seconds since 1970.
pub fn verify(keys: &[Key], headers: Headers<'_>, body: &[u8], now_s: u64) -> Result<(), Refusal> {
    let timestamp_s: u64 = headers.timestamp.parse().map_err(|_| Refusal::NoTimestamp)?;
    if timestamp_s < now_s.saturating_sub(TOLERANCE_S) {
        return Err(Refusal::TooOld);
    }
    if timestamp_s > now_s.saturating_add(TOLERANCE_S) {
        return Err(Refusal::TooNew);
    }
    let head = format!("{}.{}.", headers.id, headers.timestamp);
    let mut signatures = headers.signature.split(' ').take(SIGNATURES_MAX);
    let is_signed = signatures.any(|signature| keys.iter().any(|key| key.made(signature, head.as_bytes(), body)));
    if is_signed { Ok(()) } else { Err(Refusal::NoMatch) }
}

impl Key {
    fn made(&self, signature: &str, head: &[u8], body: &[u8]) -> bool {
        let Some((version, encoded)) = signature.split_once(',') else { return false };
        let Ok(bytes) = BASE64.decode(encoded.as_bytes()) else { return false };
        match (self, version) {
            (Self::Symmetric(secret), "v1") => {
                let mac = secret.keyed().chain_update(head).chain_update(body).finalize().into_bytes();
                mac[..].ct_eq(&bytes).into()
            }
            (Self::Asymmetric(key), "v1a") => Signature::from_slice(&bytes)
                .is_ok_and(|signature| key.0.verify(&[head, body].concat(), &signature).is_ok()),
            (Self::Symmetric(_) | Self::Asymmetric(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::secret::PrivateKey;
    use super::super::sign::{self, Signer};
    use super::*;

    const NOW_S: u64 = 1_614_265_330;

    fn secret(byte: u8) -> HmacSecret {
        HmacSecret::new(vec![byte; 24]).unwrap()
    }

    fn verified(key: &Key, signature: &str, timestamp: &str, body: &[u8]) -> Result<(), Refusal> {
        verify(std::slice::from_ref(key), Headers { id: "msg_1", timestamp, signature }, body, NOW_S)
    }

    fn signed_by(keys: &[sign::Key], timestamp_s: u64, body: &[u8]) -> String {
        Signer::new(keys, None).unwrap().signature("msg_1", timestamp_s, body)
    }

    #[test]
    fn one_matching_signature_among_several_is_enough() {
        let private = PrivateKey::from_seed(&[9; 32]);
        let keys = [sign::Key::Symmetric(secret(1)), sign::Key::Asymmetric(private.clone())];
        let signature = signed_by(&keys, NOW_S, b"body");
        let timestamp = NOW_S.to_string();
        assert_eq!(verified(&Key::Symmetric(secret(1)), &signature, &timestamp, b"body"), Ok(()));
        assert_eq!(verified(&Key::Asymmetric(private.public()), &signature, &timestamp, b"body"), Ok(()));
        assert_eq!(verified(&Key::Symmetric(secret(2)), &signature, &timestamp, b"body"), Err(Refusal::NoMatch));
        assert_eq!(verified(&Key::Symmetric(secret(1)), &signature, &timestamp, b"bodY"), Err(Refusal::NoMatch));
    }

    #[test]
    fn five_minutes_either_way_are_tolerated() {
        let key = Key::Symmetric(secret(1));
        let at = |timestamp_s: u64| {
            let signature = signed_by(&[sign::Key::Symmetric(secret(1))], timestamp_s, b"");
            verified(&key, &signature, &timestamp_s.to_string(), b"")
        };
        assert_eq!((at(NOW_S - 300), at(NOW_S + 300)), (Ok(()), Ok(())));
        assert_eq!((at(NOW_S - 301), at(NOW_S + 301)), (Err(Refusal::TooOld), Err(Refusal::TooNew)));
        assert_eq!(verified(&key, "v1,", "soon", b""), Err(Refusal::NoTimestamp));
    }

    #[test]
    fn a_signature_of_one_kind_is_none_of_the_other() {
        let signature = signed_by(&[sign::Key::Symmetric(secret(1))], NOW_S, b"").replace("v1,", "v1a,");
        assert_eq!(verified(&Key::Symmetric(secret(1)), &signature, &NOW_S.to_string(), b""), Err(Refusal::NoMatch));
    }

    proptest! {
        #[test]
        fn what_is_signed_is_verified_and_nothing_else(body: Vec<u8>, flipped: usize, garbage in ".{0,60}") {
            let signature = signed_by(&[sign::Key::Symmetric(secret(3))], NOW_S, &body);
            let (key, timestamp) = (Key::Symmetric(secret(3)), NOW_S.to_string());
            prop_assert_eq!(verified(&key, &signature, &timestamp, &body), Ok(()));
            prop_assert_eq!(verified(&key, &garbage, &timestamp, &body), Err(Refusal::NoMatch));
            let mut other = body.clone();
            if let Some(at) = flipped.checked_rem(body.len()) {
                other[at] ^= 1;
                prop_assert_eq!(verified(&key, &signature, &timestamp, &other), Err(Refusal::NoMatch));
            }
        }
    }
}
