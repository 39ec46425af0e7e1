//! Time-based one-time codes (RFC 6238, with RFC 4226's HMAC-SHA1), and the recovery codes for whoever lost the device.
//!
//! Six digits, thirty seconds: what every authenticator app takes. A code counts once, and so does a recovery code.

use chrono::{DateTime, Utc};
use data_encoding::BASE32_NOPAD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::password;

/// As long as SHA-1's own output (RFC 4226, section 4).
const SECRET_BYTES: usize = 20;
const STEP_S: i64 = 30;
const DIGITS: usize = 6;
/// A clock may be wrong by one step, either way.
const STEPS_OFF: [i64; 3] = [0, -1, 1];
pub(super) const RECOVERY_CODES: usize = 10;
const RECOVERY_LETTERS: usize = 16;

/// What an account's codes are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Codes {
    /// In base 32, as apps take it.
    secret: String,
    /// The newest step of which a code was taken: that one and those before it count no more.
    last_step: i64,
    /// SHA-256 of those that were not used.
    recovery: Vec<String>,
}

/// How a code was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Code,
    Recovery,
}

/// A secret that nobody has confirmed yet.
pub(super) struct Offer {
    secret: [u8; SECRET_BYTES],
}

impl Offer {
    pub(super) fn new() -> Self {
        Self { secret: password::random() }
    }

    /// For typing.
    pub(super) fn secret(&self) -> String {
        BASE32_NOPAD.encode(&self.secret)
    }

    /// For an app: `otpauth://totp/…` (the key URI format that authenticator apps share).
    pub(super) fn uri(&self, name: &str) -> String {
        format!(
            "otpauth://totp/Millrace:{name}?secret={}&issuer=Millrace&digits={DIGITS}&period={STEP_S}",
            self.secret()
        )
    }

    /// Taken with a right code; with the recovery codes, which are known only here.
    pub(super) fn confirm(&self, code: &str, now: DateTime<Utc>) -> Option<(Codes, Vec<String>)> {
        let last_step = step_of(&self.secret, code, now)?;
        let plain: Vec<String> = (0..RECOVERY_CODES).map(|_| password::groups(RECOVERY_LETTERS)).collect();
        let recovery = plain.iter().map(|code| hashed(code)).collect();
        Some((Codes { secret: self.secret(), last_step, recovery }, plain))
    }
}

impl Codes {
    /// Uses a code up, if it is right.
    pub(super) fn take(&mut self, code: &str, now: DateTime<Utc>) -> Option<Right> {
        let code = plain(code);
        if code.len() > DIGITS {
            let hash = hashed(&code);
            let place = self.recovery.iter().position(|kept| bool::from(kept.as_bytes().ct_eq(hash.as_bytes())))?;
            self.recovery.remove(place);
            return Some(Right::Recovery);
        }
        let secret = BASE32_NOPAD.decode(self.secret.as_bytes()).ok()?;
        let step = step_of(&secret, &code, now).filter(|step| *step > self.last_step)?;
        self.last_step = step;
        Some(Right::Code)
    }

    pub(super) fn recovery_left(&self) -> usize {
        self.recovery.len()
    }
}

/// What people put between the letters, and how they write them, says nothing.
fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).take(64).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn hashed(code: &str) -> String {
    hex::encode(Sha256::digest(plain(code)))
}

/// The step of which this is the code, among those around now.
fn step_of(secret: &[u8], code: &str, now: DateTime<Utc>) -> Option<i64> {
    let now = now.timestamp().div_euclid(STEP_S);
    let mut steps = STEPS_OFF.into_iter().map(|off| now + off);
    steps.find(|step| bool::from(code_at(secret, *step).as_bytes().ct_eq(plain(code).as_bytes())))
}

/// RFC 4226, section 5.3.
fn code_at(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let digest = hmac::sign(&key, &step.to_be_bytes());
    let digest = digest.as_ref();
    let offset = usize::from(digest[digest.len() - 1] & 0xf);
    let piece = digest[offset..offset + 4].try_into().expect("four bytes");
    let number = (u32::from_be_bytes(piece) & 0x7fff_ffff) % 10u32.pow(DIGITS as u32);
    format!("{number:0DIGITS$}")
}

/// What an app with this secret shows.
#[cfg(test)]
pub(super) fn shown(secret: &str, now: DateTime<Utc>) -> String {
    code_at(&BASE32_NOPAD.decode(secret.as_bytes()).unwrap(), now.timestamp().div_euclid(STEP_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B.
    const SECRET: &[u8; SECRET_BYTES] = b"12345678901234567890";

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn codes(last_step: i64) -> Codes {
        Codes { secret: BASE32_NOPAD.encode(SECRET), last_step, recovery: vec![hashed("abcd-efgh-jkmn-pqrs")] }
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // The vectors have eight digits; six are the last of them.
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(codes(0).take(code, at(second)), Some(Right::Code), "{code}");
        }
    }

    #[test]
    fn a_code_counts_once_and_one_step_early_or_late() {
        for (second, right) in [(0, true), (29, true), (59, true), (89, true), (90, false), (-1, false)] {
            assert_eq!(codes(-9).take("287082", at(second)).is_some(), right, "{second}");
        }
        let mut used = codes(-9);
        assert!(used.take("287 082", at(59)).is_some());
        assert_eq!(used.take("287082", at(60)), None, "used");
        let before = code_at(SECRET, 0);
        assert_eq!(used.take(&before, at(59)), None, "older than a used one");
        assert!(used.take(&code_at(SECRET, 2), at(61)).is_some());
    }

    #[test]
    fn a_recovery_code_counts_once() {
        let mut codes = codes(0);
        assert_eq!(codes.take("abcd-efgh-jkmn-pqrt", at(0)), None);
        assert_eq!(codes.take(" ABCD efgh jkmn pqrs ", at(0)), Some(Right::Recovery));
        assert_eq!((codes.take("abcd-efgh-jkmn-pqrs", at(0)), codes.recovery_left()), (None, 0));
    }

    #[test]
    fn nothing_is_no_code() {
        for code in ["", "0", "28708", "2870820", "x".repeat(1_000).as_str(), "２８７０８２"] {
            assert_eq!(codes(0).take(code, at(59)), None, "{code}");
        }
    }

    #[test]
    fn an_offer_counts_once_its_code_was_seen() {
        let offer = Offer { secret: *SECRET };
        assert!(offer.confirm("000000", at(59)).is_none());
        let (mut codes, plain) = offer.confirm("287082", at(59)).unwrap();
        assert_eq!(codes.take("287082", at(59)), None, "it was used to confirm");
        assert_eq!((plain.len(), codes.recovery_left()), (RECOVERY_CODES, RECOVERY_CODES));
        assert_eq!(codes.take(&plain[3], at(59)), Some(Right::Recovery));
        let uri = offer.uri("alice");
        assert!(uri.starts_with("otpauth://totp/Millrace:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&"), "{uri}");
        assert_ne!(Offer::new().secret(), Offer::new().secret());
    }
}
