//! Codes in links: what only the desk can have written, made with a subscription's own secrets, so that nothing has to be kept
//! for them.
//!
//! A code is of one purpose, one subscription and one moment. It dies with the secret that made it.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use subtle::ConstantTimeEq;

use super::sign::Signer;

/// How much of a signature makes a code, in bytes: nobody guesses it.
const BYTES: usize = 16;

/// What a code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// That a subscription is wanted.
    Confirm,
    /// That it is not, or no more.
    Leave,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Leave => "leave",
        }
    }
}

/// The code of a moment, in seconds since 1970, for the subscription of this id; nothing when no secret signs.
pub fn code(signer: &Signer, purpose: Purpose, subscription: &str, at_s: u64) -> Option<String> {
    let first = codes(signer, purpose, subscription, at_s).into_iter().next()?;
    Some(format!("{at_s:x}.{}", BASE64URL_NOPAD.encode(&first)))
}

/// The moment of a code, if one of the secrets that sign made it for this. Takes as long whatever is wrong with it.
pub fn moment_of(signer: &Signer, purpose: Purpose, subscription: &str, code: &str) -> Option<u64> {
    let (at, text) = code.split_once('.')?;
    let at_s = u64::from_str_radix(at, 16).ok().filter(|at_s| format!("{at_s:x}") == at)?;
    let given = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let right = codes(signer, purpose, subscription, at_s);
    let is_right = right.iter().fold(subtle::Choice::from(0), |found, right| found | right.ct_eq(&given));
    bool::from(is_right).then_some(at_s)
}

/// One for each secret, the newest first.
fn codes(signer: &Signer, purpose: Purpose, subscription: &str, at_s: u64) -> Vec<Vec<u8>> {
    // No notification has such an id: what is signed here is signed for nothing else.
    let id = format!("{}/{subscription}", purpose.word());
    let signatures = signer.signature(&id, at_s, b"");
    let each = signatures.split(' ').filter_map(|signature| signature.split_once(',')).map(|(_, text)| text);
    each.filter_map(|text| BASE64.decode(text.as_bytes()).ok()).map(|bytes| bytes[..BYTES].to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sign::Key;
    use super::*;

    fn key(letter: u8) -> Key {
        Key::Symmetric(super::super::secret::HmacSecret::new(vec![letter; 32]).unwrap())
    }

    #[test]
    fn a_code_says_its_moment_to_whoever_made_it() {
        let signer = Signer::new(&[key(1)], None).unwrap();
        let made = code(&signer, Purpose::Confirm, "s-1", 1_790_000_000).unwrap();
        assert!(made.len() < 40 && made.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)));
        assert_eq!(moment_of(&signer, Purpose::Confirm, "s-1", &made), Some(1_790_000_000));
        assert_eq!(moment_of(&signer, Purpose::Leave, "s-1", &made), None);
        assert_eq!(moment_of(&signer, Purpose::Confirm, "s-2", &made), None);
        let rotated = Signer::new(&[key(2), key(1)], None).unwrap();
        assert_eq!(moment_of(&rotated, Purpose::Confirm, "s-1", &made), Some(1_790_000_000));
        assert_eq!(moment_of(&Signer::new(&[key(2)], None).unwrap(), Purpose::Confirm, "s-1", &made), None);
    }

    #[test]
    fn what_is_no_code_is_none() {
        let signer = Signer::new(&[key(1)], None).unwrap();
        let made = code(&signer, Purpose::Leave, "s", 255).unwrap();
        let (_, text) = made.split_once('.').unwrap();
        let others = [format!("fe.{text}"), format!("0ff.{text}"), format!("FF.{text}"), format!("ff.{}", &text[..8])];
        for wrong in
            ["", ".", "ff.", "ff", "ff.%%%", &format!("{made}x"), &others[0], &others[1], &others[2], &others[3]]
        {
            assert_eq!(moment_of(&signer, Purpose::Leave, "s", wrong), None, "{wrong}");
        }
        assert_eq!(code(&Signer::new(&[], None).unwrap(), Purpose::Leave, "s", 255), None);
    }
}
