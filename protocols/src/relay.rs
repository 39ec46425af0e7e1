//! Notifications of others, as the queue provider of ton.events hands them out: one record of Kafka each.
//!
//! The record's key names the notification, so that one that is handed out twice is told from two. Its value is three words with
//! a space between: whose it is, a nonce, and what is encrypted for him. Nobody between can read that.

use data_encoding::BASE64_NOPAD;
use millrace_model::ids::Hash32;

/// How long a key may be, in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// How long a value may be, in bytes. A message of the chain is at most 64 KiB, and is in base64 three times over.
pub const VALUE_BYTES_MAX: usize = 512 * 1_024;
/// The nonce of a NaCl box, in bytes.
const NONCE_BYTES: usize = 24;
/// A NaCl box has a tag of this many bytes before what it holds.
const TAG_BYTES: usize = 16;

/// A notification to pass on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// What tells it from others of the same customer.
    pub key: String,
    /// Whose it is.
    pub customer: Hash32,
    /// What he is sent: the nonce, a space, and what is encrypted.
    pub body: String,
}

/// Why a record is none. No text of it is in here: it may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// By its key repetitions are known.
    #[error("it has no key")]
    NoKey,
    /// The key is to be text.
    #[error("its key is no UTF-8")]
    Key,
    /// The key has too many bytes.
    #[error("its key is longer than {KEY_BYTES_MAX} bytes")]
    LongKey,
    /// There is nothing in it.
    #[error("it has no value")]
    NoValue,
    /// The value has too many bytes.
    #[error("its value is longer than {VALUE_BYTES_MAX} bytes")]
    LongValue,
    /// There are not three words with a space between.
    #[error("its value is not `hash nonce message`")]
    Words,
    /// The first word.
    #[error("its hash is not 64 hexadecimal digits")]
    Hash,
    /// The second word.
    #[error("its nonce is not the base64 of {NONCE_BYTES} bytes")]
    Nonce,
    /// The third word.
    #[error("its message is not the base64 of a NaCl box")]
    Message,
}

/// Reads a record.
pub fn parse(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Relayed, BadRecord> {
    let key = parse_key(key.unwrap_or_default())?;
    let value = value.filter(|value| !value.is_empty()).ok_or(BadRecord::NoValue)?;
    if value.len() > VALUE_BYTES_MAX {
        return Err(BadRecord::LongValue);
    }
    // Whoever writes records by hand ends them with a line.
    let value = std::str::from_utf8(value).map_err(|_| BadRecord::Words)?.trim_end_matches(['\r', '\n']);
    let (hash, body) = value.split_once(' ').ok_or(BadRecord::Words)?;
    let (nonce, message) = body.split_once(' ').ok_or(BadRecord::Words)?;
    if [hash, nonce, message].iter().any(|word| word.is_empty() || word.contains(char::is_whitespace)) {
        return Err(BadRecord::Words);
    }
    let customer = hash.parse().map_err(|_| BadRecord::Hash)?;
    base64(nonce).filter(|bytes| bytes.len() == NONCE_BYTES).ok_or(BadRecord::Nonce)?;
    base64(message).filter(|bytes| bytes.len() >= TAG_BYTES).ok_or(BadRecord::Message)?;
    Ok(Relayed { key, customer, body: body.to_owned() })
}

fn parse_key(key: &[u8]) -> Result<String, BadRecord> {
    match key.len() {
        0 => Err(BadRecord::NoKey),
        1..=KEY_BYTES_MAX => std::str::from_utf8(key).map(str::to_owned).map_err(|_| BadRecord::Key),
        _ => Err(BadRecord::LongKey),
    }
}

/// With or without the signs that fill it up.
fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const NONCE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    const MESSAGE: &str = "AAECAwQFBgcICQoLDA0ODxAREg==";

    fn read(value: &str) -> Result<Relayed, BadRecord> {
        parse(Some(b"key"), Some(value.as_bytes()))
    }

    #[test]
    fn a_record_is_its_key_whose_it_is_and_what_he_is_sent() {
        let expected =
            Relayed { key: "key".to_owned(), customer: HASH.parse().unwrap(), body: format!("{NONCE} {MESSAGE}") };
        let value = format!("{HASH} {NONCE} {MESSAGE}");
        assert_eq!(read(&value), Ok(expected.clone()));
        assert_eq!(read(&format!("{value}\n")), Ok(expected.clone()), "written by hand");
        assert_eq!(read(&value.replace(HASH, &HASH.to_uppercase())), Ok(expected), "one customer, however written");
        assert!(read(value.trim_end_matches('=')).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_record_is_said() {
        let value = format!("{HASH} {NONCE} {MESSAGE}");
        let value = value.as_bytes();
        let (long_key, long_value) = (vec![b'k'; KEY_BYTES_MAX + 1], vec![b'A'; VALUE_BYTES_MAX + 1]);
        for (key, value, expected) in [
            (None, Some(value), BadRecord::NoKey),
            (Some(&b""[..]), Some(value), BadRecord::NoKey),
            (Some(b"\xff"), Some(value), BadRecord::Key),
            (Some(&long_key), Some(value), BadRecord::LongKey),
            (Some(b"k"), None, BadRecord::NoValue),
            (Some(b"k"), Some(b""), BadRecord::NoValue),
            (Some(b"k"), Some(&long_value), BadRecord::LongValue),
            (Some(b"k"), Some(b"\xff \xff \xff"), BadRecord::Words),
        ] {
            assert_eq!(parse(key, value), Err(expected));
        }
        for (value, expected) in [
            (format!("{HASH} {NONCE}"), BadRecord::Words),
            (format!("{HASH} {NONCE} {MESSAGE} more"), BadRecord::Words),
            (format!("{HASH}  {NONCE} {MESSAGE}"), BadRecord::Words),
            (format!("{HASH}\t{NONCE} {MESSAGE}"), BadRecord::Words),
            (format!("{} {NONCE} {MESSAGE}", &HASH[1..]), BadRecord::Hash),
            (format!("{} {NONCE} {MESSAGE}", HASH.replace('0', "x")), BadRecord::Hash),
            (format!("{HASH} {} {MESSAGE}", &NONCE[4..]), BadRecord::Nonce),
            (format!("{HASH} {} {MESSAGE}", NONCE.replace('A', "!")), BadRecord::Nonce),
            (format!("{HASH} {NONCE} ZW5j"), BadRecord::Message),
            (format!("{HASH} {NONCE} <script>alert(1)</script>"), BadRecord::Message),
        ] {
            assert_eq!(read(&value), Err(expected), "{value}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(key: Option<Vec<u8>>, value: Option<Vec<u8>>, text: String) {
            let _ = parse(key.as_deref(), value.as_deref());
            let _ = read(&text);
        }
    }
}
