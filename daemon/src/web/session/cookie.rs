//! The session's cookie: 256 random bits that scripts cannot read and other sites cannot send.

use std::fmt;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};

use crate::web::frame::Transport;

/// 256 random bits.
const ID_BYTES: usize = 32;
/// The prefix makes browsers refuse such a cookie unless it came by TLS, for this host alone.
const NAME_ON_TLS: &str = "__Host-millrace";
const NAME_PLAIN: &str = "millrace";

/// What a browser holds. It is never printed, and the desk keeps nothing but its hash.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SessionId([u8; ID_BYTES]);

/// What the desk keeps of a session's id: SHA-256, in hexadecimal digits.
pub(super) type Kept = String;

impl SessionId {
    pub(super) fn new(random: [u8; ID_BYTES]) -> Self {
        Self(random)
    }

    /// From the request's cookies; the first of this name counts.
    pub(super) fn in_headers(headers: &HeaderMap, transport: Transport) -> Option<Self> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == name_on(transport))?;
        let mut id = [0; ID_BYTES];
        hex::decode_to_slice(value, &mut id).ok().map(|()| Self(id))
    }

    pub(super) fn kept(&self) -> Kept {
        hex::encode(Sha256::digest(self.0))
    }

    /// What every form of the session carries. It tells nothing of the id.
    pub(super) fn form_token(&self) -> String {
        hex::encode(Sha256::new().chain_update(b"a form of the console\0").chain_update(self.0).finalize())
    }

    /// `Set-Cookie` for a browser that is to hold it until it is closed or the session ends.
    pub(super) fn set(&self, transport: Transport) -> HeaderValue {
        header(transport, &hex::encode(self.0), "")
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId([secret])")
    }
}

/// `Set-Cookie` for a browser that is to forget it.
pub(super) fn forget(transport: Transport) -> HeaderValue {
    header(transport, "", "; Max-Age=0")
}

fn name_on(transport: Transport) -> &'static str {
    match transport {
        Transport::Tls => NAME_ON_TLS,
        Transport::Plain => NAME_PLAIN,
    }
}

fn header(transport: Transport, value: &str, more: &str) -> HeaderValue {
    let secure = match transport {
        Transport::Tls => "; Secure",
        Transport::Plain => "",
    };
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}", name_on(transport));
    let mut header = HeaderValue::from_str(&text).expect("hexadecimal digits and plain words");
    header.set_sensitive(true);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> HeaderMap {
        [(COOKIE, HeaderValue::from_str(text).unwrap())].into_iter().collect()
    }

    #[test]
    fn a_cookie_comes_back_as_the_id_it_was() {
        let id = SessionId::new([7; 32]);
        for transport in [Transport::Plain, Transport::Tls] {
            let set = id.set(transport).to_str().unwrap().to_owned();
            let pair = set.split(';').next().unwrap();
            assert_eq!(SessionId::in_headers(&sent(&format!("a=b; {pair}")), transport), Some(id.clone()));
            assert!(set.ends_with(match transport {
                Transport::Tls => "; Path=/; HttpOnly; SameSite=Strict; Secure",
                Transport::Plain => "; Path=/; HttpOnly; SameSite=Strict",
            }));
            assert!(!format!("{id:?}{:?}", id.set(transport)).contains("0707"));
        }
    }

    #[test]
    fn a_cookie_that_is_no_id_is_none() {
        for text in ["", "millrace=", "millrace=00", "other=1", &format!("millrace={}", "0".repeat(65)), "millrace"] {
            assert_eq!(SessionId::in_headers(&sent(text), Transport::Plain), None, "{text}");
        }
        // The name without the prefix is no cookie of a desk on TLS: anybody on the network may have set it.
        let plain = format!("millrace={}", "07".repeat(32));
        assert_eq!(SessionId::in_headers(&sent(&plain), Transport::Tls), None);
    }

    #[test]
    fn the_token_of_forms_and_what_is_kept_are_two_things() {
        let id = SessionId::new([7; 32]);
        assert_ne!(id.form_token(), id.kept());
        assert_ne!(id.form_token(), SessionId::new([8; 32]).form_token());
    }
}
