//! The console: pages for operators, beside the API on their listener, for whoever has logged in.
//!
//! A page is made whole by the desk each time it is asked for; the script asks again when the live stream says that
//! something changed, and puts what came in the place of what was. So each works without scripts, too, and shows nothing
//! that the API does not know. What a page changes it changes by a form with a reason, in the operator's name.

mod act;
mod assets;
pub mod bare;
mod deposits;
mod frame;
mod instant;
mod live;
mod overview;
mod parts;
mod past;
#[cfg(test)]
mod visitor;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::{get, post};

use super::operator::OperatorState;
use super::session::{self, Gate};

/// The console's pages; without a session they lead to the log-in. Its script and style are for everybody.
pub fn routes(desk: Arc<OperatorState>, gate: Arc<Gate>) -> Router {
    let guarded = pages().layer(from_fn_with_state(gate, session::require));
    let open = Router::new()
        .route("/", get(|| async { Redirect::to("/console") }))
        .route("/console/assets/{hash}/{name}", get(assets::show));
    guarded.merge(open).with_state(desk)
}

fn pages() -> Router<Arc<OperatorState>> {
    Router::new()
        .route("/console", get(overview::show))
        .route("/console/live", get(live::stream))
        .route("/console/parts", get(parts::show))
        .route("/console/parts/{name}/{order}", post(parts::act))
        .merge(deposits::pages())
        .merge(past::pages())
}
