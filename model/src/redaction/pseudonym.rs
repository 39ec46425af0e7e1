//! Pseudonyms: what stands for a text that is left out, of the same shape, and the same for the same text.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::deposit::{HoldReason, OWN_WORDS};

/// What the letters of an address that begins with `bc1` may be.
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// What those of any other may be.
const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// How many bytes name a text.
const NAME_BYTES: usize = 6;
/// How many bytes stand for a deposit in the ids of its orders.
const ORDER_BYTES: usize = 12;

/// What a personal text looks like, and so what stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// An address: what it begins with stays, and its checksum does not fit, so that nothing can be sent there.
    Address,
    /// Hexadecimal digits, as many as before.
    Hex,
    /// The id that we give an order: digits that stand for the deposit, and a number, which stays.
    OrderId,
    /// Words of a person or of somebody else's program. The desk's own words stay.
    Text,
}

/// Makes pseudonyms with one key.
#[derive(Clone)]
pub struct Pseudonyms {
    key: [u8; 32],
}

impl Pseudonyms {
    /// With a key that was drawn for this and is forgotten afterwards.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// What stands for a text.
    pub fn of(&self, shape: Shape, text: &str) -> String {
        match shape {
            Shape::Address => self.address(text),
            Shape::Hex => self.hex(text),
            Shape::OrderId => match text.rsplit_once('-') {
                Some((family, attempt)) if attempt.parse::<u32>().is_ok() => {
                    format!("{}-{attempt}", hex::encode(self.of_bytes::<ORDER_BYTES>("order", family.as_bytes())))
                }
                _ => hex::encode(self.of_bytes::<ORDER_BYTES>("order", text.as_bytes())),
            },
            Shape::Text if is_own(text) => text.to_owned(),
            Shape::Text => format!("redacted-{}", hex::encode(self.of_bytes::<NAME_BYTES>("text", text.as_bytes()))),
        }
    }

    /// Bytes that stand for bytes.
    pub fn of_bytes<const N: usize>(&self, what: &str, bytes: &[u8]) -> [u8; N] {
        let mut made = [0; N];
        made.iter_mut().zip(self.stream(what, bytes)).for_each(|(made, byte)| *made = byte);
        made
    }

    fn address(&self, text: &str) -> String {
        let is_bech32 = |rest: &str| rest.bytes().all(|byte| BECH32.contains(&byte));
        let (kept, letters) = match text.rsplit_once('1') {
            Some((network, rest)) if !network.is_empty() && !rest.is_empty() && is_bech32(rest) => {
                // The letter after it says which kind of address it is.
                (network.len() + 2, &BECH32[..])
            }
            _ => (text.chars().next().map_or(0, char::len_utf8), &BASE58[..]),
        };
        let letter = |byte: u8| char::from(letters[usize::from(byte) % letters.len()]);
        let rest = text[kept..].chars().count();
        text[..kept].chars().chain(self.stream("address", text.as_bytes()).take(rest).map(letter)).collect()
    }

    fn hex(&self, text: &str) -> String {
        let bytes = self.stream("hex", text.as_bytes());
        let digits = bytes.flat_map(|byte| [byte >> 4, byte & 15]);
        let digit = |digit: u8| char::from_digit(digit.into(), 16).expect("half a byte is a digit");
        digits.take(text.chars().count()).map(digit).collect()
    }

    /// Bytes without end that nobody without the key can make.
    fn stream(&self, what: &str, bytes: &[u8]) -> impl Iterator<Item = u8> + use<> {
        let mut begun = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length will do");
        begun.update(&(what.len() as u64).to_be_bytes());
        begun.update(what.as_bytes());
        begun.update(bytes);
        let seed = begun.finalize().into_bytes();
        (0_u64..).flat_map(move |block| {
            let mut next = Hmac::<Sha256>::new_from_slice(&seed).expect("a key of any length will do");
            next.update(&block.to_be_bytes());
            next.finalize().into_bytes()
        })
    }
}

/// Whether these are words that the desk says by itself, which tell of nobody.
fn is_own(text: &str) -> bool {
    let reasons = [HoldReason::OrderUnaccounted, HoldReason::PurchaseStopped];
    text.is_empty() || OWN_WORDS.contains(&text) || reasons.iter().any(|reason| format!("{reason:?}") == text)
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}
