//! A page without the console's frame: for whoever is not logged in, and for refusals.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::assets::address;

/// The whole document around this content. It needs no script.
pub fn bare(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " – Millrace" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(address("console.css"));
            }
            body class="bare" { main { (body) } }
        }
    }
}

/// A page of a sentence that says no, and of the way on: its address, and what it is called.
pub fn refusal(status: StatusCode, title: &str, sentence: &str, (to, way): (&str, &str)) -> Response {
    let body = html! {
        h1 { (title) }
        p role="alert" { (sentence) }
        p { a href=(to) { (way) } }
    };
    (status, bare(title, &body)).into_response()
}
