//! The operators' console: pages behind the log-in, on the operator's listener.

pub mod bare;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::get;
use maud::{Markup, html};

use super::session::{self, Gate, Operator, form_fields};

/// The console's pages; without a session they lead to the log-in.
pub fn routes(gate: Arc<Gate>) -> Router {
    let pages = Router::new().route("/console", get(home)).layer(from_fn_with_state(gate, session::require));
    pages.route("/", get(|| async { Redirect::to("/console") }))
}

async fn home(operator: Operator) -> Markup {
    bare::bare(
        "Console",
        &html! {
            h1 { "Millrace" }
            p { "You are logged in as " (operator.name) "." }
            p { a href="/console/account" { "Your account" } }
            form method="post" action="/console/logout" { (form_fields(&operator)) button { "Log out" } }
        },
    )
}
