//! What is said of a path at which there is nothing: a page to who browses, a problem to programs.

use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{CONTENT_LANGUAGE, VARY};
use maud::html;

use super::super::words::Language;
use super::layout::bare;
use crate::web::browsing::wants_html;
use crate::web::problem::Problem;

pub(in crate::web::public) async fn missing(headers: HeaderMap) -> Response {
    let problem = Problem::not_found("not_found", "There is nothing at this path.");
    if !wants_html(&headers) {
        return problem.into_response();
    }
    let language = Language::of(None, &headers);
    let words = language.words();
    let page = bare(language, words.no_page, &html! { p { a href="/" { (words.way_home) } } });
    let told = [(CONTENT_LANGUAGE, language.html()), (VARY, "accept, accept-language, cookie")];
    (problem.status(), told, page).into_response()
}
