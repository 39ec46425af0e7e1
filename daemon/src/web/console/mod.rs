//! The console: pages for operators, beside the API on their listener, for whoever has signed in.
//!
//! A page is made whole by the desk each time it is asked for; the script asks again when the live stream says that
//! something changed, and puts what came in the place of what was. So each works without scripts, too, and shows nothing
//! that the API does not know. What a page changes it changes by a form with a reason, in the operator's name.

mod assets;
mod frame;
mod live;
mod overview;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;

use super::operator::OperatorState;

/// The pages, for whoever has signed in.
pub(super) fn pages() -> Router<Arc<OperatorState>> {
    Router::new().route("/console", get(overview::show)).route("/console/live", get(live::stream))
}

/// What everybody may fetch.
pub(super) fn open() -> Router<Arc<OperatorState>> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/console") }))
        .route("/console/assets/{hash}/{name}", get(assets::show))
}
