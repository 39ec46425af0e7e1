//! What a browser is shown when the desk says no: a page with the sentence, in the frame for whoever is logged in.
//!
//! Handlers and extractors refuse as everywhere, by a [`Problem`]; programs, the script's plots and streams get it as it is.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Redirect, Response};
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};

use super::act::done;
use super::bare::refusal;
use super::frame::{Page, Place, failed};
use crate::web::browsing::wants_html;
use crate::web::operator::OperatorState;
use crate::web::problem::Problem;
use crate::web::session::Operator;

/// For the paths below `/console` where nothing is.
pub(super) async fn nowhere() -> Problem {
    Problem::not_found("not_found", "There is nothing at this address.")
}

/// `/console/`, as people type it.
pub(super) async fn home() -> Redirect {
    Redirect::to(Place::Overview.path())
}

/// For an address that only takes forms, or takes none.
pub(super) async fn another_method() -> Problem {
    let message =
        "This address does not take what was asked of it: it is reached by a form of the console, or only looked at.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

/// Middleware: the page in place of the problem, if a browser asked.
pub(super) async fn shown(State(desk): State<Arc<OperatorState>>, request: Request, next: Next) -> Response {
    let is_looked_at = matches!(*request.method(), Method::GET | Method::HEAD);
    let asked =
        is_for_eyes(request.headers()).then(|| (Place::of(request.uri().path()), request.extensions().get().cloned()));
    let answer = next.run(request).await;
    let Some((place, operator)) = asked else { return answer };
    let Some(problem) = answer.extensions().get::<Problem>().cloned() else { return answer };
    let mut page = match operator {
        Some(operator) if is_looked_at => in_frame(&desk, &operator, place, &problem),
        Some(_) => done(Err(problem), place.path()),
        None => alone(&problem),
    };
    for name in [RETRY_AFTER, ALLOW] {
        if let Some(value) = answer.headers().get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page
}

/// Browsers ask for HTML; the script asks for pages in its own way.
fn is_for_eyes(headers: &HeaderMap) -> bool {
    headers.contains_key("hx-request") || wants_html(headers)
}

fn in_frame(desk: &Arc<OperatorState>, operator: &Operator, place: Place, problem: &Problem) -> Response {
    let title = if problem.status() == StatusCode::NOT_FOUND { "Not found" } else { "Not shown" };
    failed(desk, operator, &Page { place, title, follows: "" }, problem)
}

fn alone(problem: &Problem) -> Response {
    refusal(problem.status(), "Not shown", problem.message(), (Place::Overview.path(), "To the console"))
}
