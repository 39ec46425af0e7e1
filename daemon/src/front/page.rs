//! What everybody is told while there is no core: the truth, in a page for people and a problem for programs.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CONNECTION, CONTENT_LANGUAGE, REFRESH, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use maud::html;
use tokio::sync::watch;

use crate::web::problem::Problem;
use crate::web::public::page::{bare, style};
use crate::web::public::words::{Language, Words};

const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Why there is no core at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// None has served yet.
    Starting,
    /// It served, and ended.
    Ended,
    /// So many in a row have ended before they served.
    Failing(u32),
}

impl Absence {
    fn title(self, words: &Words) -> &'static str {
        match self {
            Self::Starting => words.starting_title,
            Self::Ended | Self::Failing(_) => words.restarting_title,
        }
    }

    fn sentence(self, words: &Words) -> String {
        match self {
            Self::Starting => words.starting.to_owned(),
            Self::Ended => words.restarting.to_owned(),
            Self::Failing(times) => (words.failing)(times),
        }
    }

    fn problem(self) -> Problem {
        let problem = match self {
            Self::Starting => Problem::unavailable("starting", "The desk is starting; try again in a moment."),
            Self::Ended => Problem::unavailable(
                "restarting",
                "The desk's core ended and is being started again; it goes on where it stopped. Try again in a moment.",
            ),
            Self::Failing(times) => Problem::unavailable(
                "restarting",
                format!(
                    "The desk's core ended and did not come up again {times} times so far; it is started again and again, \
                     and goes on where it stopped. Its log says why."
                ),
            ),
        };
        problem.retry_after(AGAIN_AFTER)
    }
}

type Shared = State<watch::Receiver<Absence>>;

/// The customers' face without a core.
pub(super) fn public(absence: watch::Receiver<Absence>) -> Router {
    with_connection_closed(routes(), absence)
}

fn routes() -> Router<watch::Receiver<Absence>> {
    let shown = get(page).fallback(problem);
    Router::new().route("/", shown.clone()).route("/customer/{target}", shown).route("/assets/page.css", get(style))
}

/// The operator's face without a core. This process lives, and nobody has to start it anew.
pub(super) fn operator(absence: watch::Receiver<Absence>) -> Router {
    with_connection_closed(Router::new().route("/livez", get(|| async { "ok\n" })), absence)
}

/// Whoever comes again comes to the core, by a new connection.
fn with_connection_closed(routes: Router<watch::Receiver<Absence>>, absence: watch::Receiver<Absence>) -> Router {
    let close = async |mut response: Response| {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    };
    routes.fallback(problem).layer(map_response(close)).with_state(absence)
}

async fn problem(State(absence): Shared) -> Problem {
    absence.borrow().problem()
}

async fn page(State(absence): Shared, headers: HeaderMap) -> Response {
    let absence = *absence.borrow();
    let language = Language::of(None, &headers);
    let words = language.words();
    let page = bare(language, absence.title(words), &html! { p role="status" { (absence.sentence(words)) } });
    let again = AGAIN_AFTER.as_secs().to_string();
    let headers = [(REFRESH, again.clone()), (RETRY_AFTER, again), (CONTENT_LANGUAGE, language.html().to_owned())];
    (absence.problem().status(), headers, page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use http::{Request, StatusCode};
    use tower::ServiceExt;

    async fn ask(router: &Router, path: &str) -> (Response<()>, String) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(to_bytes(body, 10_000).await.unwrap().to_vec()).unwrap();
        (Response::from_parts(parts, ()), text)
    }

    #[tokio::test]
    async fn everybody_is_told_the_truth_and_to_come_again_by_a_new_connection() {
        let (now, absence) = watch::channel(Absence::Starting);
        let (public, operator) = (public(absence.clone()), operator(absence));
        for (state, word) in [
            (Absence::Starting, "is starting"),
            (Absence::Ended, "being started again"),
            (Absence::Failing(7), "7 times"),
        ] {
            now.send_replace(state);
            for (router, path) in [(&public, "/"), (&public, "/api/health"), (&operator, "/readyz")] {
                let (response, text) = ask(router, path).await;
                assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
                assert!(text.contains(word), "{path}: {text}");
                assert_eq!(
                    (&response.headers()[CONNECTION], &response.headers()[RETRY_AFTER]),
                    (&"close".parse().unwrap(), &"1".parse().unwrap())
                );
            }
        }
        assert_eq!(ask(&operator, "/livez").await.0.status(), StatusCode::OK);
    }
}
