//! How a sealed text is written: `sealed:1:KEY:BYTES`, the key's id in hexadecimal, then nonce and ciphertext in base64.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::{KeySizeUser, XChaCha20Poly1305};

/// What every sealed text of this form begins with.
const PREFIX: &str = "sealed:1:";
/// Bytes of a key's id.
pub(super) const ID_BYTES: usize = 8;
/// Bytes of a key.
pub(super) const SECRET_BYTES: usize = 32;
/// Bytes of a nonce: so many that they can be drawn.
pub(super) const NONCE_BYTES: usize = 24;
/// What is longer was not sealed here: it is not even decoded.
const CHARS_MAX: usize = 8_192;

/// Names a key. Drawn, so that those of one file are not in another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyId(pub(super) [u8; ID_BYTES]);

/// A text as ciphertext.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) key: KeyId,
    pub(super) nonce: [u8; NONCE_BYTES],
    pub(super) ciphertext: Vec<u8>,
}

impl Sealed {
    /// `None` for whatever is not such a text to its last character: it was written as it stands.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > CHARS_MAX {
            return None;
        }
        let (id, bytes) = text.strip_prefix(PREFIX)?.split_once(':')?;
        let bytes = URL_SAFE_NO_PAD.decode(bytes).ok()?;
        let (nonce, ciphertext) = bytes.split_first_chunk()?;
        Some(Self { key: KeyId::parse(id)?, nonce: *nonce, ciphertext: ciphertext.to_vec() })
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = URL_SAFE_NO_PAD.encode([&self.nonce[..], &self.ciphertext].concat());
        write!(f, "{PREFIX}{}:{bytes}", self.key)
    }
}

impl KeyId {
    fn parse(text: &str) -> Option<Self> {
        let is_small = text.len() == 2 * ID_BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = is_small.then(|| u64::from_str_radix(text, 16).ok()).flatten()?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

// A key of another length would not compile.
const _: () = {
    use chacha20poly1305::aead::generic_array::typenum::Unsigned;
    assert!(<XChaCha20Poly1305 as KeySizeUser>::KeySize::USIZE == SECRET_BYTES);
};
