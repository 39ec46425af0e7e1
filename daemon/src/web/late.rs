//! A face that is not there yet: another one answers for it from the first moment.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;
use tower::ServiceExt;

#[derive(Clone)]
struct Faces {
    late: watch::Receiver<Option<Router>>,
    early: Router,
}

/// Routes to the face once it is there, and to `early` until then.
pub fn late(face: watch::Receiver<Option<Router>>, early: Router) -> Router {
    // A fallback and not a route: a route's parameters would be added to those of the face's own routes.
    Router::new().fallback(pass).with_state(Faces { late: face, early })
}

async fn pass(State(faces): State<Faces>, request: Request) -> Response {
    let there = faces.late.borrow().clone();
    there.unwrap_or(faces.early).oneshot(request).await.into_response()
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
        let early = Router::new().fallback(|| async { StatusCode::SERVICE_UNAVAILABLE });
        let router = late(face, early);
        let ask = |path: &str| Request::builder().uri(path).body(Body::empty()).unwrap();
        let first = router.clone().oneshot(ask("/")).await.unwrap();
        assert_eq!(first.status(), StatusCode::SERVICE_UNAVAILABLE);
        there.send_replace(Some(Router::new().route("/", get(|| async { "here" }))));
        assert_eq!(router.clone().oneshot(ask("/")).await.unwrap().status(), StatusCode::OK);
        assert_eq!(router.oneshot(ask("/nowhere")).await.unwrap().status(), StatusCode::NOT_FOUND);
    }
}
