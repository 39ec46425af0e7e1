//! The node's JSON-RPC face: HTTP POST with basic authentication, single requests and batches, envelopes of JSON-RPC
//! 1.0 and 2.0 and HTTP statuses as Bitcoin Core 28 has them.

mod methods;
mod params;
mod scripts;
mod shapes;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use self::params::Params;
use super::BitcoinNode;

/// The longest request read, in bytes: Bitcoin Core's own limit.
const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The node's error codes (Bitcoin Core's `rpc/protocol.h`).
mod code {
    pub const INVALID_REQUEST: i32 = -32600;
    pub const METHOD_NOT_FOUND: i32 = -32601;
    pub const INTERNAL: i32 = -32603;
    pub const PARSE: i32 = -32700;
    pub const MISC: i32 = -1;
    pub const TYPE: i32 = -3;
    pub const NOT_FOUND: i32 = -5;
    pub const INVALID_PARAMETER: i32 = -8;
    pub const DESERIALIZATION: i32 = -22;
    pub const VERIFY: i32 = -25;
    pub const VERIFY_REJECTED: i32 = -26;
    pub const ALREADY_IN_UTXO_SET: i32 = -27;
}

/// An error object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Fault {
    code: i32,
    message: String,
}

impl Fault {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

#[derive(Clone)]
struct Face {
    node: Arc<BitcoinNode>,
    /// The whole value of the header that lets one in.
    authorization: Arc<str>,
}

/// The face as a router: everything is at `/`.
pub fn router(node: Arc<BitcoinNode>, user: &str, password: &str) -> Router {
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let only_post = || async { (StatusCode::METHOD_NOT_ALLOWED, "JSONRPC server handles only POST requests") };
    Router::new()
        .route("/", post(answer).fallback(only_post))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(Face { node, authorization: format!("Basic {credentials}").into() })
}

async fn answer(State(face): State<Face>, headers: HeaderMap, body: Bytes) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    if authorization != Some(face.authorization.as_bytes()) {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, r#"Basic realm="jsonrpc""#)]).into_response();
    }
    let (status, text) = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(request)) => single(&face.node, request),
        Ok(Value::Array(requests)) => batch(&face.node, requests),
        Ok(_) => unreadable("Top-level object parse error"),
        Err(_) => unreadable("Parse error"),
    };
    match text {
        Some(text) => (status, [(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        None => status.into_response(),
    }
}

fn unreadable(message: &str) -> (StatusCode, Option<String>) {
    let reply = Reply { generation: Generation::One, id: Value::Null, outcome: Err(Fault::new(code::PARSE, message)) };
    (reply.status(), Some(reply.to_json()))
}

fn single(node: &BitcoinNode, request: Map<String, Value>) -> (StatusCode, Option<String>) {
    match handle(node, request) {
        Some(reply) => (reply.status(), Some(reply.to_json())),
        None => (StatusCode::NO_CONTENT, None),
    }
}

fn batch(node: &BitcoinNode, requests: Vec<Value>) -> (StatusCode, Option<String>) {
    let asked = !requests.is_empty();
    let replies: Vec<String> = requests
        .into_iter()
        .filter_map(|request| match request {
            Value::Object(request) => handle(node, request),
            _ => Some(Reply {
                generation: Generation::One,
                id: Value::Null,
                outcome: Err(Fault::new(code::INVALID_REQUEST, "Invalid Request object")),
            }),
        })
        .map(|reply| reply.to_json())
        .collect();
    match replies.is_empty() && asked {
        true => (StatusCode::NO_CONTENT, None),
        false => (StatusCode::OK, Some(format!("[{}]", replies.join(",")))),
    }
}

/// Which JSON-RPC the asker speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    /// 1.0, 1.1 or silent about it: `result` and `error` are both there, and the HTTP status tells of errors.
    One,
    /// 2.0: one of them is there, and an error is HTTP 200.
    Two,
}

struct Reply {
    generation: Generation,
    id: Value,
    outcome: Result<Box<RawValue>, Fault>,
}

impl Reply {
    fn status(&self) -> StatusCode {
        match (&self.outcome, self.generation) {
            (Ok(_), _) | (Err(_), Generation::Two) => StatusCode::OK,
            (Err(fault), Generation::One) => match fault.code {
                code::INVALID_REQUEST => StatusCode::BAD_REQUEST,
                code::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    fn to_json(&self) -> String {
        let id = &self.id;
        let error = |fault: &Fault| serde_json::to_string(fault).expect("a number and a text are JSON");
        match (self.generation, &self.outcome) {
            (Generation::One, Ok(result)) => format!(r#"{{"result":{result},"error":null,"id":{id}}}"#),
            (Generation::One, Err(fault)) => format!(r#"{{"result":null,"error":{},"id":{id}}}"#, error(fault)),
            (Generation::Two, Ok(result)) => format!(r#"{{"jsonrpc":"2.0","result":{result},"id":{id}}}"#),
            (Generation::Two, Err(fault)) => format!(r#"{{"jsonrpc":"2.0","error":{},"id":{id}}}"#, error(fault)),
        }
    }
}

/// Does one request; no reply to a notification (a request of JSON-RPC 2.0 without id).
fn handle(node: &BitcoinNode, mut request: Map<String, Value>) -> Option<Reply> {
    let generation = match request.get("jsonrpc").map(Value::as_str) {
        None | Some(Some("1.0" | "1.1")) => Ok(Generation::One),
        Some(Some("2.0")) => Ok(Generation::Two),
        Some(_) => Err(Fault::new(code::INVALID_REQUEST, "JSON-RPC version not supported")),
    };
    let id = request.remove("id");
    let notification = generation == Ok(Generation::Two) && id.is_none();
    let (generation, outcome) = match generation {
        Ok(generation) => (generation, perform(node, request)),
        Err(fault) => (Generation::One, Err(fault)),
    };
    (!notification).then(|| Reply { generation, id: id.unwrap_or_default(), outcome })
}

fn perform(node: &BitcoinNode, mut request: Map<String, Value>) -> Result<Box<RawValue>, Fault> {
    let method = request.remove("method").ok_or_else(|| Fault::new(code::INVALID_REQUEST, "Missing method"))?;
    let name = method.as_str().ok_or_else(|| Fault::new(code::INVALID_REQUEST, "Method must be a string"))?;
    let method = methods::find(name).ok_or_else(|| Fault::new(code::METHOD_NOT_FOUND, "Method not found"))?;
    let params = Params::read(method.name, method.params, request.remove("params").unwrap_or_default())?;
    (method.perform)(node, &params)
}

#[cfg(test)]
mod tests;
