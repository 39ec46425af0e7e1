//! The headers of a notification: its id, its time, and what signs it.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use millrace_protocols::webhook::sign::Signer;
use millrace_protocols::webhook::{ID_HEADER, SIGNATURE_HEADER, TE_HEADER, TIMESTAMP_HEADER};
use uuid::Uuid;

use super::endpoint::Content;

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("millrace/", env!("CARGO_PKG_VERSION")));

/// Those of a body under an id, sent at a time.
pub(super) fn headers(signer: &Signer, content: Content, (id, body): (Uuid, &[u8]), now_ms: u64) -> HeaderMap {
    let id = id.hyphenated().to_string();
    let timestamp_s = now_ms / 1_000;
    let mut headers = HeaderMap::with_capacity(8);
    let signature = signer.signature(&id, timestamp_s, body);
    put(&mut headers, ID_HEADER, &id);
    put(&mut headers, TIMESTAMP_HEADER, &timestamp_s.to_string());
    if !signature.is_empty() {
        put(&mut headers, SIGNATURE_HEADER, &signature);
    }
    if let Some(signature) = signer.te_signature(body) {
        put(&mut headers, TE_HEADER, &signature);
    }
    let content = match content {
        Content::Json => "application/json",
        Content::Text => "text/plain",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("digits, letters and what base64 has are a header's value");
    headers.insert(HeaderName::from_static(name), value);
}
