//! Signing notifications: one prepared signer an endpoint.
//!
//! What is signed is `id.timestamp.body`. While secrets are exchanged, an endpoint has several, and the header holds one
//! signature of each: `v1,` and base64 for HMAC-SHA256, `v1a,` and base64 for ed25519.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::Signer as _;
use hmac::Mac;

use super::secret::{HmacSecret, Keyed, PrivateKey};
use super::{te, verify};

/// The most secrets and keys that an endpoint's notifications are signed with at once.
pub const KEYS_MAX: usize = 8;

/// Something that signs.
#[derive(Debug, Clone)]
pub enum Key {
    /// `v1`.
    Symmetric(HmacSecret),
    /// `v1a`.
    Asymmetric(PrivateKey),
}

impl Key {
    /// What verifies that it signed.
    pub fn verifying(&self) -> verify::Key {
        match self {
            Self::Symmetric(secret) => verify::Key::Symmetric(secret.clone()),
            Self::Asymmetric(key) => verify::Key::Asymmetric(key.public()),
        }
    }
}

/// What signs one endpoint's notifications, with the keys' work done beforehand.
#[derive(Clone)]
pub struct Signer {
    keys: Vec<Prepared>,
    te: Option<Keyed>,
}

#[derive(Clone)]
enum Prepared {
    Symmetric(Keyed),
    Asymmetric(Box<PrivateKey>),
}

/// More keys than are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint is signed for with {KEYS_MAX} keys at most, not with {0}")]
pub struct TooManyKeys(pub usize);

impl Signer {
    /// Signs with each of `keys`, the newest first, and for `x-te-signature` with `te`.
    pub fn new(keys: &[Key], te: Option<&te::Secret>) -> Result<Self, TooManyKeys> {
        if keys.len() > KEYS_MAX {
            return Err(TooManyKeys(keys.len()));
        }
        let prepared = keys.iter().map(|key| match key {
            Key::Symmetric(secret) => Prepared::Symmetric(secret.keyed()),
            Key::Asymmetric(key) => Prepared::Asymmetric(Box::new(key.clone())),
        });
        Ok(Self { keys: prepared.collect(), te: te.map(te::Secret::keyed) })
    }

    /// The value of `webhook-signature`; empty without a key. `timestamp_s` is in seconds since 1970.
    pub fn signature(&self, id: &str, timestamp_s: u64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp_s}.");
        let mut value = String::with_capacity(self.keys.len() * 96);
        for key in &self.keys {
            if !value.is_empty() {
                value.push(' ');
            }
            key.sign(head.as_bytes(), body, &mut value);
        }
        value
    }

    /// The value of `x-te-signature`, for an endpoint that has a secret of that kind.
    pub fn te_signature(&self, body: &[u8]) -> Option<String> {
        self.te.as_ref().map(|keyed| te::signature(keyed.clone(), body))
    }
}

impl Prepared {
    fn sign(&self, head: &[u8], body: &[u8], value: &mut String) {
        match self {
            Self::Symmetric(keyed) => {
                value.push_str("v1,");
                let mac = keyed.clone().chain_update(head).chain_update(body).finalize().into_bytes();
                BASE64.encode_append(&mac, value);
            }
            Self::Asymmetric(key) => {
                value.push_str("v1a,");
                let signature = key.0.sign(&[head, body].concat());
                BASE64.encode_append(&signature.to_bytes(), value);
            }
        }
    }
}

pub(super) fn hexadecimal(keyed: Keyed, parts: &[&[u8]]) -> String {
    let mac = parts.iter().fold(keyed, |mac, part| mac.chain_update(part));
    HEXLOWER.encode(&mac.finalize().into_bytes())
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Signer({} keys, …)", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP_S: u64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SYMMETRIC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ASYMMETRIC: &str =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    const V1: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const V1A: &str = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

    fn symmetric() -> Key {
        Key::Symmetric(SYMMETRIC.parse().unwrap())
    }

    fn asymmetric() -> Key {
        Key::Asymmetric(ASYMMETRIC.parse().unwrap())
    }

    fn signed(keys: &[Key]) -> String {
        Signer::new(keys, None).unwrap().signature(ID, TIMESTAMP_S, BODY)
    }

    #[test]
    fn the_vectors_of_standard_webhooks_come_out() {
        assert_eq!((signed(&[symmetric()]).as_str(), signed(&[asymmetric()]).as_str()), (V1, V1A));
    }

    #[test]
    fn every_key_has_its_signature_in_their_order() {
        assert_eq!(signed(&[asymmetric(), symmetric()]), format!("{V1A} {V1}"));
        assert_eq!(signed(&[]), "");
    }

    #[test]
    fn there_is_a_limit_to_the_keys() {
        let keys: Vec<_> = (0..=KEYS_MAX).map(|_| symmetric()).collect();
        assert_eq!(Signer::new(&keys, None).unwrap_err(), TooManyKeys(9));
    }

    #[test]
    fn ton_events_signature_comes_out_beside_them() {
        let secret = te::Secret::from_hex("b5e40c1d529c62f423d2e188f09abc17ea3cee55c345bc0d8bc5aca8d8c5ca00").unwrap();
        let signer = Signer::new(&[symmetric()], Some(&secret)).unwrap();
        let expected = "a040b19bc6cc925e169d6a867ab0b6032317b95692df6fb54e661e26e2c9efee";
        assert_eq!(signer.te_signature(b"nonce1 ZW5j").as_deref(), Some(expected));
        assert_eq!(Signer::new(&[], None).unwrap().te_signature(b"nonce1 ZW5j"), None);
        assert_eq!(format!("{signer:?}"), "Signer(1 keys, …)");
    }
}
