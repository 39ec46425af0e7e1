//! What can be wrong with an answer: refused, not to be had now, or not what the interface promises.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The longest answer that is decoded at all. Tens of thousands of unspent outputs fit.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How much of the node's own sentence is kept.
const MESSAGE_CHARS_MAX: usize = 300;

/// Why an answer brings nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The node understood and said no (4xx).
    #[error("the node refused ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the refusal means.
        refusal: Refusal,
        /// The node's own sentence.
        message: String,
    },
    /// The node, or something before it, could not do it now (5xx, 408, 425, 429). Whether it acted is unknown.
    #[error("the node cannot answer now ({status}): {message}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// The node's own sentence.
        message: String,
    },
    /// The answer is not what this node's interface promises.
    #[error("the node's answer makes no sense at `{field}`: {reason}")]
    Nonsense {
        /// Where in the answer, such as `transaction.inputs[0].coins`.
        field: String,
        /// What is wrong there.
        reason: String,
    },
}

/// What the node's sentence means. The only place where its wording is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// An input is being spent by a transaction that waits for its block.
    SpendPending,
    /// Not enough coins in the outputs allowed.
    InsufficientCoins,
    /// Not enough coin hours to burn. Hours come back with time or with a refill; they are not money.
    InsufficientHours,
    /// An address the node does not accept.
    InvalidAddress,
    /// An output that does not exist any more, or is not the wallet's.
    InputGone,
    /// The network's rules forbid this transaction, for another reason than a missing input.
    RuleBroken,
    /// The CSRF token is missing, false or too old; fetch another.
    CsrfToken,
    /// No such wallet on this node.
    WalletMissing,
    /// The wallet wants a password, or another one.
    WalletLocked,
    /// This node does not offer that: the wallet interface is switched off.
    NotOffered,
    /// Anything else.
    Other,
}

impl Refusal {
    fn of(status: u16, message: &str) -> Self {
        let text = message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&["pending transaction is confirmed"]) {
            Self::SpendPending
        } else if says(&["coinhour", "coin hour", "hours are not sufficient"]) {
            Self::InsufficientHours
        } else if says(&["balance is not sufficient", "no unspents to spend"]) {
            Self::InsufficientCoins
        } else if says(&["invalid address", "address version"]) {
            Self::InvalidAddress
        } else if says(&["does not exist", "not owned by any address"]) && !text.contains("wallet does not") {
            Self::InputGone
        } else if says(&["violates", "constraint"]) {
            Self::RuleBroken
        } else if says(&["csrf"]) {
            Self::CsrfToken
        } else if says(&["wallet doesn't exist", "wallet does not exist"]) {
            Self::WalletMissing
        } else if says(&["password", "wallet is encrypted"]) {
            Self::WalletLocked
        } else if status == 403 {
            Self::NotOffered
        } else {
            Self::Other
        }
    }
}

impl Failure {
    pub(super) fn nonsense(field: impl Into<String>, reason: impl ToString) -> Self {
        // The names of fields come from outside, too.
        Self::Nonsense { field: printable(&field.into()), reason: printable(&reason.to_string()) }
    }

    /// The failure an error status stands for, in either version's way of saying it.
    pub(super) fn of_status(status: u16, body: &[u8]) -> Self {
        let message = error_message(body);
        match status {
            408 | 425 | 429 | 500.. => Self::Unavailable { status, message },
            400..500 => Self::Refused { status, refusal: Refusal::of(status, &message), message },
            _ => Self::nonsense("status", format!("{status} is neither success nor error")),
        }
    }
}

/// The node's sentence, without the status in front.
pub(super) fn error_message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Envelope {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        message: String,
    }
    let text = match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) => envelope.error.message,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(4 * MESSAGE_CHARS_MAX)]).into_owned(),
    };
    let plain = match text.split_once(" - ") {
        Some((status, message)) if status.starts_with(|c: char| c.is_ascii_digit()) => message,
        _ => &text,
    };
    printable(plain.trim())
}

/// A text from outside, short and without control characters.
fn printable(text: &str) -> String {
    text.chars().take(MESSAGE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Reads a 200 answer; anything else is a failure. The field that is wrong is named.
pub(super) fn decode<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, Failure> {
    if status == 200 { parse(body) } else { Err(Failure::of_status(status, body)) }
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    if body.len() > ANSWER_BYTES_MAX {
        return Err(Failure::nonsense("length", format!("{} bytes are more than any answer has", body.len())));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| Failure::nonsense(error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| Failure::nonsense(".", error))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        match Failure::of_status(status, body.as_bytes()) {
            Failure::Refused { refusal, .. } => refusal,
            other => panic!("{other} is no refusal"),
        }
    }

    #[test]
    fn what_the_node_says_is_understood_in_one_place() {
        let hard = "400 Bad Request - Transaction violates hard constraint: ";
        for (status, body, expected) in [
            (
                400,
                "400 Bad Request - Please spend after your pending transaction is confirmed".to_owned(),
                Refusal::SpendPending,
            ),
            (400, "400 Bad Request - balance is not sufficient".to_owned(), Refusal::InsufficientCoins),
            (400, "400 Bad Request - Transaction has zero coinhour fee".to_owned(), Refusal::InsufficientHours),
            (400, "400 Bad Request - invalid address: Invalid checksum".to_owned(), Refusal::InvalidAddress),
            (400, "400 Bad Request - unspent output of 00ff does not exist".to_owned(), Refusal::InputGone),
            (400, format!("{hard}unspent output of 00ff does not exist"), Refusal::InputGone),
            (400, format!("{hard}Duplicate output in transaction"), Refusal::RuleBroken),
            (403, "403 Forbidden - invalid CSRF token".to_owned(), Refusal::CsrfToken),
            (404, "404 Not Found - wallet doesn't exist".to_owned(), Refusal::WalletMissing),
            (400, "400 Bad Request - missing password".to_owned(), Refusal::WalletLocked),
            (403, "403 Forbidden - Endpoint is disabled".to_owned(), Refusal::NotOffered),
            (422, r#"{"error":{"message":"Invalid address length","code":422}}"#.to_owned(), Refusal::InvalidAddress),
            (400, "400 Bad Request - rawtx is required".to_owned(), Refusal::Other),
        ] {
            assert_eq!(refusal(status, &body), expected, "{body}");
        }
    }

    #[test]
    fn a_nodes_message_is_cut_and_cleaned_before_anybody_prints_it() {
        let body = format!("400 Bad Request - bad\n\u{1b}[2Jthing{}", "x".repeat(10_000));
        let Failure::Refused { message, .. } = Failure::of_status(400, body.as_bytes()) else { panic!("refused") };
        assert!(message.starts_with("bad  [2Jthing") && message.chars().count() == MESSAGE_CHARS_MAX, "{message}");
    }

    #[test]
    fn the_name_of_a_field_is_cut_and_cleaned_as_well() {
        type Wanted = std::collections::BTreeMap<String, u64>;
        let body = format!(r#"{{"\u001b[2J\n{}":"one"}}"#, "x".repeat(10_000));
        match parse::<Wanted>(body.as_bytes()) {
            Err(Failure::Nonsense { field, .. }) => {
                assert!(field.starts_with(" [2J xxx") && field.chars().count() == MESSAGE_CHARS_MAX, "{field}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn trouble_on_the_way_is_not_a_refusal() {
        for status in [429, 500, 502, 503] {
            assert!(matches!(Failure::of_status(status, b"<html>"), Failure::Unavailable { .. }), "{status}");
        }
        assert!(matches!(Failure::of_status(302, b""), Failure::Nonsense { .. }));
    }

    #[test]
    fn what_follows_the_answer_makes_it_nonsense() {
        assert!(matches!(parse::<u64>(b"1 2"), Err(Failure::Nonsense { .. })));
        assert_eq!(parse::<u64>(b" 12 "), Ok(12));
    }
}
