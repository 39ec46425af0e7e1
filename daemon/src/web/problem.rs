//! How the desk says no: a stable code for programs and one sentence for people.
//!
//! The JSON shape follows RFC 9457 (`application/problem+json`), with `code` and `message` as its extensions. Paths
//! that predate it answer the sentence alone, as plain text: see [`as_plain_text`].

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::escape::excerpt;

/// No sentence is longer.
const MESSAGE_CHARS_MAX: usize = 400;

/// A refusal or failure as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    retry_after_s: Option<u64>,
}

/// In the extensions of an answer that says that nothing was done; without it, what was asked for may have been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NothingDone;

/// The JSON body.
#[derive(Serialize)]
struct Shape<'p> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    message: &'p str,
}

impl Problem {
    /// A problem with a code that programs may rely on, and a sentence. What is unsafe to print is escaped.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let message = match message.into() {
            Cow::Borrowed(ours) => Cow::Borrowed(ours),
            Cow::Owned(made) => Cow::Owned(excerpt(&made, MESSAGE_CHARS_MAX)),
        };
        Self { status, code, message, retry_after_s: None }
    }

    /// 400.
    pub fn bad_request(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 404.
    pub fn not_found(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 409.
    pub fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 422.
    pub fn unprocessable(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 503.
    pub fn unavailable(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// 500 with a code of its own. The cause goes to the log, not to the caller.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed inside the desk");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The desk failed to answer; its log says why.")
    }

    /// Adds when to try again, rounded up to whole seconds and at least one.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after_s = Some((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1));
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether it says that nothing was done; see [`NothingDone`].
    pub fn is_undone(&self) -> bool {
        // A desk that failed may have done so after the act.
        !matches!(self.code, "outcome_unknown" | "internal")
    }

    fn body(&self) -> Vec<u8> {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let status = self.status.as_u16();
        let shape = Shape { r#type: "about:blank", title, status, code: self.code, message: &self.message };
        serde_json::to_vec(&shape).expect("plain strings and a number are always JSON")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.is_undone() {
            response.extensions_mut().insert(NothingDone);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Turns a problem's JSON into its sentence as plain text; for `axum::middleware::map_response` on older paths.
pub async fn as_plain_text(mut response: Response) -> Response {
    let Some(problem) = response.extensions().get::<Problem>() else { return response };
    let text = format!("{}\n", problem.message);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.remove(CONTENT_LENGTH);
    *response.body_mut() = Body::from(text);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    #[tokio::test]
    async fn a_problem_is_json_with_code_and_sentence() {
        let problem =
            Problem::conflict("address_limit", "No more addresses.").retry_after(Duration::from_millis(1_001));
        let response = problem.into_response();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        let expected = r#"{"type":"about:blank","title":"Conflict","status":409,"code":"address_limit","message":"No more addresses."}"#;
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn an_older_path_answers_the_sentence_alone() {
        let response = as_plain_text(Problem::bad_request("x", "Missing skyaddr").into_response()).await;
        assert_eq!(
            (response.status(), &response.headers()[CONTENT_TYPE]),
            (StatusCode::BAD_REQUEST, &HeaderValue::from_static("text/plain; charset=utf-8"))
        );
        assert_eq!(to_bytes(response.into_body(), 1000).await.unwrap(), "Missing skyaddr\n");
    }

    #[test]
    fn a_sentence_made_of_input_is_escaped_and_cut() {
        let problem = Problem::bad_request("x", format!("bad\n\u{1b}{}", "y".repeat(10_000)));
        assert!(problem.message().starts_with("bad\\n\\u{1b}yyy"));
        assert!(problem.message().len() < 500);
    }
}
