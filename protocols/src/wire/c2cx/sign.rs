//! Signatures of private requests.

use std::fmt;

use md5::{Digest, Md5};

/// The key and secret of an account at the exchange. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Names the account.
    pub key: String,
    /// Signs its requests.
    pub secret: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials { .. }")
    }
}

/// The signature of a request with these parameters: upper-case hexadecimal of the MD5 of
/// `apiKey=K&name=value&…&secretKey=S`, the parameters sorted by name and not escaped.
pub fn signature<N: AsRef<str>, V: AsRef<str>>(credentials: &Credentials, parameters: &[(N, V)]) -> String {
    let mut sorted: Vec<_> = parameters.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    sorted.sort_unstable();
    let mut hash = Md5::new();
    hash.update("apiKey=");
    hash.update(&credentials.key);
    for (name, value) in sorted {
        for part in ["&", name, "=", value] {
            hash.update(part);
        }
    }
    hash.update("&secretKey=");
    hash.update(&credentials.secret);
    hex::encode_upper(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_the_exchange_published() {
        let credentials = Credentials {
            key: "C821DB84-6FBD-11E4-A9E3-C86000D26D7C".into(),
            secret: "12D857DE-7A92-F555-10AC-7566A0D84D1B".into(),
        };
        let none: [(&str, &str); 0] = [];
        assert_eq!(signature(&credentials, &none), "BC0DE7EBA50C730BDFC575FE2CD54082");
        assert_eq!(signature(&credentials, &[("foo", "123"), ("bar", "345")]), "8744DB365DE080C0A45C9940879E9644");
        assert_eq!(signature(&credentials, &[("foo", "a:b")]), "965DAC47B580945BFB97338AA7C34218");
    }

    /// S1: nor does the exchange's.
    #[test]
    fn a_secret_is_not_shown_by_debug() {
        let credentials = Credentials { key: "KEY".into(), secret: "SECRET".into() };
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("KEY") && !shown.contains("SECRET"), "{shown}");
    }
}
