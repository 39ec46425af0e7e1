//! What a handler takes from a request, with refusals that have a stable code and never a 500.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FormRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::{self, DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use super::problem::Problem;

/// A body that has not arrived after this is given up.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// A JSON body. `Content-Type` must be `application/json`, with any parameters.
///
/// Refusals: 415 `unsupported_media_type`, 413 `body_too_large`, 408 `body_timeout`, 400 `malformed_json` (not JSON)
/// and 400 `invalid_body` (JSON of another shape).
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = json_body(request).await?;
        from_object(&body).map(Self).map_err(|e| not_json(&e))
    }
}

async fn json_body(request: Request) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        let message = "Send the body as Content-Type: application/json.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    taken(request).await
}

/// The whole body, of whatever kind. Refusals: 413 `body_too_large`, 408 `body_timeout`, 400 `unreadable_body`.
pub(super) async fn taken(request: Request) -> Result<Bytes, Problem> {
    let body = tokio::time::timeout(BODY_PATIENCE, Bytes::from_request(request, &())).await;
    body.map_err(|_| too_slow())?.map_err(|refused| unreadable(&refused))
}

/// A JSON body that is a list, under the same conditions.
#[derive(Debug, Clone)]
pub struct JsonList<T>(pub Vec<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonList<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = json_body(request).await?;
        serde_json::from_slice(&body).map(Self).map_err(|e| not_json(&e))
    }
}

/// A form's fields, as a page sends them.
///
/// Refusals: 415 `unsupported_media_type`, 413 `body_too_large`, 408 `body_timeout`, 400 `unreadable_body` and 400
/// `invalid_body`.
#[derive(Debug, Clone, Copy)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let form = tokio::time::timeout(BODY_PATIENCE, axum::Form::from_request(request, state)).await;
        form.map_err(|_| too_slow())?.map(|form: axum::Form<T>| Self(form.0)).map_err(|refused| not_a_form(&refused))
    }
}

fn not_a_form(refused: &FormRejection) -> Problem {
    match refused {
        FormRejection::InvalidFormContentType(_) => {
            let message = "Send the form as Content-Type: application/x-www-form-urlencoded.";
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
        }
        FormRejection::BytesRejection(refused) => unreadable(refused),
        _ => Problem::bad_request("invalid_body", format!("The form is not understood: {refused}.")),
    }
}

/// The query string. Refusal: 400 `invalid_query`.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let refused = |e| Problem::bad_request("invalid_query", format!("{MISREAD}: {e}."));
        axum::extract::Query::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(refused)
    }
}

/// How the sentence of [`Query`]'s refusal begins.
const MISREAD: &str = "The query is not understood";

/// Whether it is [`Query`]'s own refusal, which says what a parser said.
pub(super) fn is_misread(problem: &Problem) -> bool {
    problem.code() == "invalid_query" && problem.message().starts_with(MISREAD)
}

/// The path's parameters. Refusal: 404 `not_found`, since no such thing can exist.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|_| Problem::not_found("not_found", "There is nothing at this path."))
    }
}

/// Structs are read from objects alone: a list with the fields in their order would do for serde as well.
fn from_object<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    if body.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice::<IgnoredAny>(body)?;
        return Err(de::Error::custom("expected an object"));
    }
    serde_json::from_slice(body)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = kind.split_once(';').map_or(kind, |(essence, _)| essence);
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn too_slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "The body did not arrive in time.")
}

fn unreadable(refused: &BytesRejection) -> Problem {
    if refused.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message = "The body is larger than the desk accepts.";
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message);
    }
    Problem::bad_request("unreadable_body", "The body broke off before its end.")
}

fn not_json(e: &serde_json::Error) -> Problem {
    match e.classify() {
        Category::Data => Problem::bad_request("invalid_body", format!("Invalid json request body: {e}.")),
        Category::Syntax | Category::Eof | Category::Io => {
            Problem::bad_request("malformed_json", format!("Invalid json request body: {e}."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::extract::DefaultBodyLimit;
    use axum::routing::post;
    use axum::{RequestExt, Router};
    use serde::Deserialize;
    use tower::ServiceExt;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Bind {
        target: String,
    }

    async fn read(kind: &str, body: impl Into<Body>) -> Result<Bind, Problem> {
        let request = Request::post("/").header(CONTENT_TYPE, kind).body(body.into()).unwrap();
        request.extract::<Json<Bind>, _>().await.map(|json| json.0)
    }

    #[tokio::test]
    async fn json_with_a_charset_is_json() {
        for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"] {
            assert_eq!(read(kind, r#"{"target":"x"}"#).await.unwrap().target, "x", "{kind}");
        }
    }

    #[tokio::test]
    async fn every_bad_body_has_its_own_code() {
        for (kind, body, status, code) in [
            ("text/plain", r#"{"target":"x"}"#, 415, "unsupported_media_type"),
            ("application/jsonp", r#"{"target":"x"}"#, 415, "unsupported_media_type"),
            ("application/json", "", 400, "malformed_json"),
            ("application/json", "{\"target\"", 400, "malformed_json"),
            ("application/json", "\u{0}\u{1b}[2J", 400, "malformed_json"),
            ("application/json", r#"{"target":1}"#, 400, "invalid_body"),
            ("application/json", r#"{}"#, 400, "invalid_body"),
            ("application/json", r#" ["x"]"#, 400, "invalid_body"),
            ("application/json", r#"["x""#, 400, "malformed_json"),
            ("application/json", r#"{"target":"x","to":"y"}"#, 400, "invalid_body"),
            ("application/json", r#"{"target":"x","target":"y"}"#, 400, "invalid_body"),
        ] {
            let problem = read(kind, body).await.unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code), "{body}: {problem}");
        }
        let nested = "[".repeat(100_000);
        assert_eq!(read("application/json", nested).await.unwrap_err().status(), 400);
    }

    #[tokio::test]
    async fn a_hostile_field_name_is_escaped_in_the_answer() {
        let problem = read("application/json", "{\"a\\n\\u001b[31m\":1}").await.unwrap_err();
        assert!(!problem.message().contains(['\n', '\u{1b}']), "{problem:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_arrives_is_given_up() {
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(read("application/json", never).await.unwrap_err().code(), "body_timeout");
    }

    #[tokio::test]
    async fn a_large_body_is_refused_whether_its_length_is_announced_or_not() {
        let router: Router = Router::new()
            .route("/", post(|Json(_): Json<serde_json::Value>| async {}))
            .layer(DefaultBodyLimit::max(100));
        let chunks = (0..100).map(|_| Ok::<_, std::io::Error>("0123456789"));
        for body in [Body::from("1".repeat(101)), Body::from_stream(futures::stream::iter(chunks))] {
            let request = Request::post("/").header(CONTENT_TYPE, "application/json").body(body).unwrap();
            assert_eq!(router.clone().oneshot(request).await.unwrap().status(), 413);
        }
    }
}
