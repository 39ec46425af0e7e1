//! Forms of the question whether a receiver holds the secret, and what the right answer to each is.
//!
//! The desk asks with `GET url?…`. ton.events' receivers answer with the bare hexadecimal digits; those written for X (Twitter)
//! and for LinkedIn with JSON. When the conversation goes on or ends is [`crate::challenge`]'s business.

use data_encoding::BASE64;
use hmac::Mac;
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::secret::{HmacSecret, Keyed};
use super::sign::hexadecimal;
use super::te;

/// How many characters of a body are looked at: more than any right answer has.
pub const ANSWER_BYTES_MAX: usize = 1_024;

/// How the question is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// `crc_token`, answered with lower hexadecimal digits.
    TonEvents,
    /// `crc_token`, answered with `{"response_token":"sha256=…"}` in base64.
    Twitter,
    /// `challengeCode`, answered with `{"challengeCode":"…","challengeResponse":"…"}` in hexadecimal digits.
    LinkedIn,
}

/// What the right answer is made with.
#[derive(Debug, Clone, Copy)]
pub enum Secret<'a> {
    /// The subscription's own.
    Symmetric(&'a HmacSecret),
    /// A ton.events client's.
    TonEvents(&'a te::Secret),
}

#[derive(Deserialize)]
struct TwitterAnswer {
    response_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LinkedInAnswer {
    challenge_code: String,
    challenge_response: String,
}

impl Form {
    /// The query that puts the question; `token` is text without characters that have a meaning in an address.
    pub fn query(self, token: &str) -> String {
        let name = match self {
            Self::TonEvents | Self::Twitter => "crc_token",
            Self::LinkedIn => "challengeCode",
        };
        form_urlencoded::Serializer::new(String::new()).append_pair(name, token).finish()
    }

    /// Whether `body` proves that the receiver holds the secret. Status 200 is the caller's to look at.
    pub fn is_answered_by(self, secret: Secret<'_>, token: &str, body: &[u8]) -> bool {
        if body.len() > ANSWER_BYTES_MAX {
            return false;
        }
        match self {
            Self::TonEvents => is_same(body, hexadecimal(secret.keyed(), &[token.as_bytes()]).as_bytes()),
            Self::Twitter => serde_json::from_slice::<TwitterAnswer>(body)
                .is_ok_and(|answer| is_same(answer.response_token.as_bytes(), twitter(secret, token).as_bytes())),
            Self::LinkedIn => serde_json::from_slice::<LinkedInAnswer>(body).is_ok_and(|answer| {
                let expected = hexadecimal(secret.keyed(), &[token.as_bytes()]);
                answer.challenge_code == token && is_same(answer.challenge_response.as_bytes(), expected.as_bytes())
            }),
        }
    }
}

fn twitter(secret: Secret<'_>, token: &str) -> String {
    let mac = secret.keyed().chain_update(token).finalize().into_bytes();
    format!("sha256={}", BASE64.encode(&mac))
}

fn is_same(answer: &[u8], expected: &[u8]) -> bool {
    answer.ct_eq(expected).into()
}

impl Secret<'_> {
    fn keyed(self) -> Keyed {
        match self {
            Self::Symmetric(secret) => secret.keyed(),
            Self::TonEvents(secret) => secret.keyed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published vectors' secrets are shorter than ours may be, so they are keys of the right answer by themselves.
    fn keyed(secret: &str) -> Keyed {
        Keyed::new_from_slice(secret.as_bytes()).unwrap()
    }

    fn te_secret() -> te::Secret {
        te::Secret::from_hex("b5e40c1d529c62f423d2e188f09abc17ea3cee55c345bc0d8bc5aca8d8c5ca00").unwrap()
    }

    fn own_secret() -> HmacSecret {
        HmacSecret::new(vec![7; 32]).unwrap()
    }

    #[test]
    fn a_ton_events_receiver_answers_with_the_digits_alone() {
        let (secret, token) = (te_secret(), "AAECAwQFBgcICQoL");
        let right = b"e98b9ab6530754a66bbc641d5047b979010104b553ae98dbf5f81d6f8da17023";
        let passes = |body: &[u8]| Form::TonEvents.is_answered_by(Secret::TonEvents(&secret), token, body);
        assert!(passes(right));
        assert!(!passes(&right[1..]) && !passes(b"") && !passes(&right.to_ascii_uppercase()));
        assert!(!Form::TonEvents.is_answered_by(Secret::TonEvents(&secret), "another", right));
    }

    #[test]
    fn twitters_vector_comes_out() {
        let mac = keyed("consumer_secret").chain_update("crc_token_1").finalize().into_bytes();
        assert_eq!(BASE64.encode(&mac), "HEr3uqlJr6fQa1Q0PWeTG+AJiVIVKqVXG9vPnosgx9U=");
    }

    #[test]
    fn linkedins_vector_comes_out() {
        let digits = hexadecimal(keyed("client_secret"), &[b"890e4665-4dfe-4ab1-b689-ed553bceeed0"]);
        assert_eq!(digits, "901fd732a92f8eec45c5310f5a009e61b3a270759eb22f5ba7090b5b12c07437");
    }

    #[test]
    fn a_receiver_of_twitters_kind_answers_with_a_response_token() {
        let secret = own_secret();
        let passes = |body: String| Form::Twitter.is_answered_by(Secret::Symmetric(&secret), "t", body.as_bytes());
        let right = twitter(Secret::Symmetric(&secret), "t");
        assert!(passes(format!(r#"{{"response_token":"{right}"}}"#)));
        assert!(!passes(right) && !passes(r#"{"response_token":"sha256="}"#.to_owned()));
    }

    #[test]
    fn a_receiver_of_linkedins_kind_repeats_the_code() {
        let secret = own_secret();
        let passes = |body: String| Form::LinkedIn.is_answered_by(Secret::Symmetric(&secret), "t", body.as_bytes());
        let right = hexadecimal(secret.keyed(), &[b"t"]);
        let answer = |code: &str| format!(r#"{{"challengeCode":"{code}","challengeResponse":"{right}"}}"#);
        assert!(passes(answer("t")) && !passes(answer("u")));
    }

    #[test]
    fn an_endless_answer_is_not_even_read() {
        let secret = own_secret();
        let right = hexadecimal(secret.keyed(), &[b"t"]);
        let padded = format!(r#"{{"challengeCode":"t","challengeResponse":"{right}"}}{}"#, " ".repeat(2_000));
        assert!(!Form::LinkedIn.is_answered_by(Secret::Symmetric(&secret), "t", padded.as_bytes()));
    }

    #[test]
    fn the_question_is_part_of_the_address() {
        assert_eq!(Form::TonEvents.query("AAEC+/=="), "crc_token=AAEC%2B%2F%3D%3D");
        assert_eq!(Form::LinkedIn.query("890e4665"), "challengeCode=890e4665");
    }
}
