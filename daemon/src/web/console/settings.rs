//! What is configured, and where each value comes from. Secrets are not among it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::frame::{Page, Place, answer};
use crate::config::Entry;
use crate::web::operator::OperatorState;
use crate::web::session::Operator;

const PAGE: Page<'_> = Page { place: Place::Settings, title: "Settings", follows: "" };

pub(super) async fn show(State(desk): State<Arc<OperatorState>>, operator: Operator) -> Response {
    answer(&desk, &operator, &PAGE, Ok(body(&desk.settings)))
}

fn body(entries: &[Entry]) -> Markup {
    html! {
        p { "Read when the desk was started, and in force until it is started again. " code { "millrace.example.toml" } " explains each." }
        p { "Version " (env!("CARGO_PKG_VERSION")) ". Your own password, second factor and sessions: " a href="/console/account" { "account" } "." }
        @for section in sections(entries) {
            h2 { (section[0].section) }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { "Key" } th scope="col" { "Value" } th scope="col" { "From" } } }
                tbody { @for entry in section { tr {
                    th scope="row" { code { (entry.key) } }
                    td { @match &entry.shown { Some(value) => code { (value) }, None => span.soft { "not set" } } }
                    td.soft { (entry.origin) }
                } } }
            } }
        }
    }
}

/// The entries by their sections, in the order in which those were first read: one may have been read in two places.
fn sections(entries: &[Entry]) -> Vec<Vec<&Entry>> {
    let mut sections: Vec<Vec<&Entry>> = Vec::new();
    for entry in entries {
        match sections.iter_mut().find(|section| section[0].section == entry.section) {
            Some(section) => section.push(entry),
            None => sections.push(vec![entry]),
        }
    }
    sections
}
