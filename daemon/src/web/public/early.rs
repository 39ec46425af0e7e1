//! What customers reach before the desk knows its outside world: its health, and a page that looks again by itself.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json as Reply, Router};
use http::HeaderMap;
use http::header::{CONTENT_LANGUAGE, REFRESH, RETRY_AFTER};
use maud::html;
use millrace_actors::supervision::Registry;
use millrace_model::deposit::Method;

use super::page::{bare, notice, style};
use super::teller::{Books, Health};
use super::words::Language;
use crate::web::problem::Problem;

/// What is known from the first moment.
#[derive(Debug)]
pub struct Early {
    /// The health of the parts.
    pub health: Registry,
    /// Where the coins come from.
    pub method: Method,
    /// When the process started.
    pub started: Instant,
}

/// Answers while there is nothing else to answer.
pub fn early(early: Early) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/customer/{target}", get(page))
        .route("/api/health", get(health))
        .route("/assets/page.css", get(style))
        .fallback(|| async { starting() })
        .with_state(Arc::new(early))
}

fn starting() -> Problem {
    Problem::unavailable("starting", "The desk is starting; try again in a moment.")
}

async fn health(State(early): State<Arc<Early>>) -> Reply<Health> {
    Reply(Health::of(early.health.snapshot(), early.method, early.started, Books::default()))
}

async fn page(State(early): State<Arc<Early>>, headers: HeaderMap) -> Response {
    let language = Language::of(None, &headers);
    let words = language.words();
    let unwell: Vec<_> = early.health.snapshot().into_iter().filter(|part| !part.is_well()).collect();
    let body = html! {
        p role="status" { (words.starting) }
        (notice(&unwell, words))
        ul .parts { @for part in unwell { li lang="en" { (part.name) ": " (part.state.word()) } } }
    };
    let again = [(REFRESH, "2"), (RETRY_AFTER, "2"), (CONTENT_LANGUAGE, language.html())];
    (starting().status(), again, bare(language, words.starting_title, &body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use http::{Request, StatusCode};
    use millrace_actors::clock::SystemClock;
    use tower::ServiceExt;

    /// O9: before anything is there, the health answers.
    #[tokio::test]
    async fn health_is_answered_and_everything_else_is_told_to_come_back() {
        let health = Registry::new(Arc::new(SystemClock));
        let router = early(Early { health, method: Method::Direct, started: Instant::now() });
        let ask = async |path: &str| {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            (status, String::from_utf8(to_bytes(response.into_body(), 10_000).await.unwrap().to_vec()).unwrap())
        };
        let (status, text) = ask("/api/health").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("\"parts\":[]"), "{text}");
        assert_eq!(ask("/").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask("/api/bind").await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
