//! A face that is not there yet: its listener answers from the first moment, and says what is missing.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::Method;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use maud::{DOCTYPE, html};
use tokio::sync::watch;
use tower::ServiceExt;

use super::problem::Problem;

/// Routes to the face once it is there; until then everything is 503, for people as a page that looks again by itself.
pub fn late(face: watch::Receiver<Option<Router>>) -> Router {
    // A fallback and not a route: a route's parameters would be added to those of the face's own routes.
    Router::new().fallback(pass).with_state(face)
}

async fn pass(State(face): State<watch::Receiver<Option<Router>>>, request: Request) -> Response {
    let there = face.borrow().clone();
    match there {
        Some(face) => face.oneshot(request).await.into_response(),
        None => starting(&request),
    }
}

fn starting(request: &Request) -> Response {
    let problem = Problem::unavailable("starting", "The desk is starting; try again in a moment.");
    if request.method() != Method::GET || request.uri().path() != "/" {
        return problem.into_response();
    }
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; meta http-equiv="refresh" content="2"; title { "Millrace is starting" } }
            body { h1 { "Millrace is starting" } p role="status" { (problem.message()) } }
        }
    };
    (problem.status(), [(CONTENT_TYPE, "text/html; charset=utf-8"), (RETRY_AFTER, "2")], page.into_string())
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use http::StatusCode;

    #[tokio::test]
    async fn a_face_that_comes_late_is_answered_for_until_it_is_there() {
        let (there, face) = watch::channel(None);
        let router = late(face);
        let ask = |path: &str| Request::builder().uri(path).body(Body::empty()).unwrap();
        let early = router.clone().oneshot(ask("/")).await.unwrap();
        assert_eq!(early.status(), StatusCode::SERVICE_UNAVAILABLE);
        there.send_replace(Some(Router::new().route("/", get(|| async { "here" }))));
        assert_eq!(router.clone().oneshot(ask("/")).await.unwrap().status(), StatusCode::OK);
        assert_eq!(router.oneshot(ask("/nowhere")).await.unwrap().status(), StatusCode::NOT_FOUND);
    }
}
