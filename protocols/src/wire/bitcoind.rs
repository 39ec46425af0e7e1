//! Bitcoin Core's JSON-RPC (28.x; bcoin's answers are read too): requests out, answers in, as plain values.
//!
//! A [`Call`] is one method with its arguments; it becomes a [`Request`] on the way out and reads the body that comes
//! back into its own answer type. Transport (HTTP POST with basic authentication, time and size limits) is the
//! caller's. HTTP 401 and 403 come with an empty body, 503 with plain text: look at the status before the body.

mod call;
mod fields;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

pub use call::{
    ChainInfo, GenerateToAddress, GetBestBlockHash, GetBlock, GetBlockCount, GetBlockHash, GetBlockHeader,
    GetBlockchainInfo, GetRawMempool, GetRawTransaction, Header, SendRawTransaction, SubmitBlock,
};

/// The longest answer worth reading, in bytes. The largest block is 8 MB of hex, a full mempool some 20 MB of txids.
pub const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The longest error message kept, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// One method of the node with its arguments, and how its answer reads.
pub trait Call {
    /// What the node answers when all is well.
    type Answer;

    /// The method and its arguments.
    fn request(&self) -> Request;

    /// Reads the `result` of an answer without error (`null` included).
    fn read(&self, result: &RawValue) -> Result<Self::Answer, WireError>;

    /// Reads the body of the answer to [`Request::to_json`] with the same `id`.
    fn answer(&self, id: u64, body: &[u8]) -> Result<Self::Answer, CallError> {
        Ok(self.read(result_of(id, body)?)?)
    }
}

/// What goes to the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// The method's name.
    pub method: &'static str,
    /// The arguments, by position.
    pub params: Vec<Value>,
}

impl Request {
    /// The HTTP body. The answer carries the same `id`.
    pub fn to_json(&self, id: u64) -> Vec<u8> {
        #[derive(Serialize)]
        struct Envelope<'a> {
            jsonrpc: &'static str,
            id: u64,
            #[serde(flatten)]
            request: &'a Request,
        }
        serde_json::to_vec(&Envelope { jsonrpc: "1.0", id, request: self })
            .expect("strings and numbers are always JSON")
    }
}

/// Why a call has no answer: the node said no, or said nonsense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The node understood and refused.
    #[error(transparent)]
    Refused(#[from] RpcError),
    /// The node's answer cannot be understood.
    #[error(transparent)]
    Nonsense(#[from] WireError),
}

/// The error object of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the Bitcoin node refused: {message} (code {code})")]
pub struct RpcError {
    /// The number programs go by; see [`RpcError::kind`].
    pub code: i32,
    /// The node's sentence, cut at 300 characters, control characters removed. For people only.
    pub message: String,
}

/// What an error code means to a desk (Bitcoin Core's `rpc/protocol.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RpcErrorKind {
    /// −5: no such block, transaction or address, as far as this node knows.
    NotFound,
    /// −8: an argument out of range, such as a height above the tip.
    OutOfRange,
    /// −22: the bytes are no transaction or block.
    Undecodable,
    /// −25: the inputs are unknown or spent. After an own broadcast this means "look the transaction up".
    InputsMissing,
    /// −26: against the mempool's policy, such as a replacement that pays too little.
    Rejected,
    /// −27: the transaction is in the chain already. After an own broadcast this means "look the transaction up".
    AlreadyMined,
    /// −28: the node is still starting.
    WarmingUp,
    /// Any other code.
    Other,
}

impl RpcError {
    /// What the code means.
    pub fn kind(&self) -> RpcErrorKind {
        match self.code {
            -5 => RpcErrorKind::NotFound,
            -8 => RpcErrorKind::OutOfRange,
            -22 => RpcErrorKind::Undecodable,
            -25 => RpcErrorKind::InputsMissing,
            -26 => RpcErrorKind::Rejected,
            -27 => RpcErrorKind::AlreadyMined,
            -28 => RpcErrorKind::WarmingUp,
            _ => RpcErrorKind::Other,
        }
    }
}

/// An answer that makes no sense, and the field that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Bitcoin node's answer makes no sense: `{field}` {problem}")]
pub struct WireError {
    /// The offending field; `answer` is the whole body, `result` the whole result.
    pub field: &'static str,
    /// What is wrong with it, as the end of a sentence.
    pub problem: &'static str,
}

impl WireError {
    const fn new(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem }
    }
}

/// The outer object of every answer, of JSON-RPC 1.0 and 2.0 alike.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default, deserialize_with = "even_null")]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    id: Option<Value>,
}

/// A field that is there, though it may be `null`.
fn even_null<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn result_of(id: u64, body: &[u8]) -> Result<&RawValue, CallError> {
    if body.len() > ANSWER_BYTES_MAX {
        return Err(WireError::new("answer", "is longer than any answer can be").into());
    }
    let answer: Answer<'_> =
        serde_json::from_slice(body).map_err(|_| WireError::new("answer", "is not a JSON-RPC object"))?;
    if let Some(error) = &answer.error {
        return Err(refusal(error));
    }
    if answer.id.as_ref().and_then(Value::as_u64) != Some(id) {
        return Err(WireError::new("id", "is not the id of the request").into());
    }
    answer.result.ok_or(WireError::new("result", "is missing").into())
}

fn refusal(error: &Value) -> CallError {
    let code = error.get("code").and_then(Value::as_i64).and_then(|code| i32::try_from(code).ok());
    let message = error.get("message").and_then(Value::as_str);
    match (code, message) {
        (None, _) => WireError::new("error.code", "is not a whole number").into(),
        (_, None) => WireError::new("error.message", "is not a text").into(),
        (Some(code), Some(message)) => {
            let message = message.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect();
            RpcError { code, message }.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> Result<u32, CallError> {
        GetBlockCount.answer(7, body.as_bytes())
    }

    #[test]
    fn a_request_is_positional_json_with_its_id() {
        let json = GetBlockHash { height: 3 }.request().to_json(7);
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"jsonrpc":"1.0","id":7,"method":"getblockhash","params":[3]}"#
        );
    }

    #[test]
    fn both_generations_of_the_envelope_are_read() {
        assert_eq!(asked(r#"{"result":12,"error":null,"id":7}"#), Ok(12));
        assert_eq!(asked(r#"{"jsonrpc":"2.0","result":12,"id":7}"#), Ok(12));
    }

    #[test]
    fn a_refusal_keeps_its_code_and_a_printable_message() {
        let body =
            format!(r#"{{"result":null,"error":{{"code":-27,"message":"in\u0007 {}"}},"id":7}}"#, "é".repeat(900));
        let Err(CallError::Refused(refused)) = asked(&body) else { panic!("not refused") };
        assert_eq!(refused.kind(), RpcErrorKind::AlreadyMined);
        assert_eq!(refused.message.chars().count(), MESSAGE_CHARS_MAX);
        assert!(refused.message.starts_with("in é"));
    }

    #[test]
    fn a_refusal_of_an_unreadable_request_has_no_id_and_is_still_a_refusal() {
        let refused = asked(r#"{"result":null,"error":{"code":-32700,"message":"Parse error"},"id":null}"#);
        assert!(matches!(refused, Err(CallError::Refused(RpcError { code: -32700, .. }))));
    }

    #[test]
    fn nonsense_names_the_field() {
        for (body, field) in [
            ("", "answer"),
            ("<html>", "answer"),
            ("\"12\"", "answer"),
            (r#"{"result":12,"error":null,"id":8}"#, "id"),
            (r#"{"result":12,"error":null}"#, "id"),
            (r#"{"error":null,"id":7}"#, "result"),
            (r#"{"result":null,"error":null,"id":7}"#, "result"),
            (r#"{"result":-1,"error":null,"id":7}"#, "result"),
            (r#"{"result":1.5,"error":null,"id":7}"#, "result"),
            (r#"{"result":4294967296,"error":null,"id":7}"#, "result"),
            (r#"{"error":"no","id":7}"#, "error.code"),
            (r#"{"error":{"code":1e99,"message":"x"},"id":7}"#, "error.code"),
            (r#"{"error":{"code":-5},"id":7}"#, "error.message"),
        ] {
            match asked(body) {
                Err(CallError::Nonsense(error)) => assert_eq!(error.field, field, "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
    }
}
