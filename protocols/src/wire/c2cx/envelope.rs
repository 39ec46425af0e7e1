//! The envelope of every answer, and what the exchange says instead of doing what it was asked.

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use millrace_model::purchase::REASON_MAX_CHARS;

use super::fields::{DecodeError, Value, decimal};

/// The largest answer that is read, in bytes.
pub const BODY_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Why a call brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No answer of the exchange's own: whether it acted is **unknown**.
    #[error("the exchange is unavailable (HTTP status {http_status})")]
    Unavailable {
        /// The HTTP status; 0 when there was none.
        http_status: u16,
    },
    /// The exchange says that it did not do it.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// An answer that makes no sense: whether it acted is **unknown**.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// What the exchange says when it does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Asked too often.
    #[error("the exchange says: too many requests")]
    TooManyRequests,
    /// Key or signature is not accepted.
    #[error("the exchange does not accept our key: {message}")]
    NotAuthorised {
        /// The exchange's words.
        message: String,
    },
    /// An order with this client order id was taken before.
    #[error("the exchange has an order with this client order id already")]
    CidExists,
    /// The order is smaller than the market allows at the moment.
    #[error("the exchange wants an order of at least {min}")]
    LimitValue {
        /// The least, in a unit the exchange does not name.
        min: Decimal,
    },
    /// There is no such market.
    #[error("the exchange has no such market")]
    SymbolUnknown,
    /// There is no such order.
    #[error("the exchange has no order with this number")]
    OrderIdWrong,
    /// The order is beyond cancelling. No proof that it was not filled.
    #[error("the exchange cannot cancel an order that is {status}")]
    CannotCancel {
        /// The order's status, in the exchange's words.
        status: String,
    },
    /// There are no such orders.
    #[error("the exchange has no such orders")]
    NoItems,
    /// Anything else.
    #[error("the exchange says {code}: {message}")]
    Other {
        /// The envelope's code.
        code: i64,
        /// The envelope's message, without control characters and cut to [`REASON_MAX_CHARS`].
        message: String,
    },
}

impl ApiError {
    /// Reads what the exchange means from its words, the only thing that tells its refusals apart.
    pub fn new(code: i64, message: &str) -> Self {
        let message: String = message.chars().filter(|c| !c.is_control()).take(REASON_MAX_CHARS).collect();
        let lower = message.to_lowercase();
        let number_after = |start: &str| {
            let rest = lower.split_once(start)?.1.trim_start();
            decimal(rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?)
        };
        if lower.contains("too many requests") {
            Self::TooManyRequests
        } else if lower.contains("cid already exists") {
            Self::CidExists
        } else if let Some(min) = number_after("limit value:").or_else(|| number_after("the min value")) {
            Self::LimitValue { min }
        } else if lower.contains("symbol not exists") || lower.contains("symbol does not exist") {
            Self::SymbolUnknown
        } else if lower.contains("orderid is wrong") {
            Self::OrderIdWrong
        } else if lower.contains("can't cancel order") {
            Self::CannotCancel { status: message.split('"').nth(1).unwrap_or_default().to_owned() }
        } else if lower.contains("there is no items") {
            Self::NoItems
        } else if matches!(code, 401 | 403) {
            Self::NotAuthorised { message }
        } else {
            Self::Other { code, message }
        }
    }
}

/// Opens an answer: its data, or why there is none.
pub(super) fn open(http_status: u16, body: &[u8]) -> Result<Value<'_>, CallError> {
    let unavailable = CallError::Unavailable { http_status };
    if http_status == 429 {
        return Err(ApiError::TooManyRequests.into());
    }
    if http_status >= 500 || body.len() > BODY_MAX_BYTES {
        return Err(unavailable);
    }
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let raw: &RawValue = serde_json::from_slice(body).map_err(|_| unavailable)?;
    let envelope = Value::new("answer", raw).object()?;
    let code = envelope.get("code")?.integer()?;
    if code != 200 {
        let message = envelope.find("message").and_then(|message| message.text().ok()).unwrap_or_default();
        return Err(ApiError::new(code, &message).into());
    }
    Ok(envelope.get("data")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: i64, message: &str) -> ApiError {
        let body = format!(r#"{{"code":{code},"message":{message:?},"data":{{}}}}"#);
        match open(200, body.as_bytes()) {
            Err(CallError::Refused(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn known_messages_are_told_apart() {
        assert_eq!(refusal(400, "Too Many Requests"), ApiError::TooManyRequests);
        assert_eq!(refusal(400, "cid already exists, please change"), ApiError::CidExists);
        assert_eq!(refusal(400, "limit value: 0.005"), ApiError::LimitValue { min: Decimal::new(5, 3) });
        let drg = refusal(400, "Your Money must bigger than the min value 13 DRG");
        assert_eq!(drg, ApiError::LimitValue { min: Decimal::from(13) });
        assert_eq!(refusal(400, "symbol not exists"), ApiError::SymbolUnknown);
        assert_eq!(refusal(400, "symbol does not exist"), ApiError::SymbolUnknown);
        assert_eq!(refusal(400, "orderId is wrong"), ApiError::OrderIdWrong);
        let cancelled = refusal(400, "you can't cancel order in \"Cancelled\" status");
        assert_eq!(cancelled, ApiError::CannotCancel { status: "Cancelled".into() });
        assert_eq!(refusal(400, "There is no items"), ApiError::NoItems);
        assert_eq!(refusal(401, "sign is wrong"), ApiError::NotAuthorised { message: "sign is wrong".into() });
        assert_eq!(
            refusal(400, "limit value: soon"),
            ApiError::Other { code: 400, message: "limit value: soon".into() }
        );
    }

    #[test]
    fn an_answer_that_is_not_the_exchanges_own_says_nothing_about_what_happened() {
        for (status, body) in [
            (502, "<html>Bad Gateway</html>"),
            (503, r#"{"code":400,"message":"cid already exists, please change"}"#),
            (200, "<?xml version=\"1.0\"?><Error/>"),
            (200, ""),
            (404, "not found"),
        ] {
            assert_eq!(open(status, body.as_bytes()).unwrap_err(), CallError::Unavailable { http_status: status });
        }
    }

    #[test]
    fn a_broken_envelope_is_refused_by_the_name_of_its_field() {
        for (body, field) in [
            ("[]", "answer"),
            ("{}", "answer.code"),
            (r#"{"code":"soon"}"#, "answer.code"),
            (r#"{"code":200,"message":"success"}"#, "answer.data"),
        ] {
            match open(200, body.as_bytes()) {
                Err(CallError::Malformed(error)) => assert_eq!(error.field, field),
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_hostile_message_is_cut_and_loses_its_control_characters() {
        let message = format!("\u{1b}[2J{}", "x".repeat(10_000));
        match ApiError::new(400, &message) {
            ApiError::Other { message, .. } => assert!(message.starts_with("[2Jx") && message.len() == 200),
            other => panic!("{other:?}"),
        }
    }
}
