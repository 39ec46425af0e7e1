//! The console: pages for operators, beside the API on their listener, for whoever has logged in.
//!
//! A page is made whole by the desk each time it is asked for; the script asks again when the live stream says that
//! something changed, and puts what came in the place of what was. So each works without scripts, too. What a page changes it
//! changes by a form, in the operator's name.

mod act;
mod assets;
mod audit;
pub mod bare;
mod deposits;
mod frame;
mod instant;
mod known;
mod live;
mod log;
mod money;
mod notifications;
mod outage;
mod overview;
mod pace;
mod parts;
mod past;
mod projections;
mod refusals;
mod settings;
mod standstill;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod visitor;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};

use super::operator::OperatorState;
use super::session::{self, Gate};

/// The console's pages; without a session they lead to the log-in. Its script and style are for everybody.
pub fn routes(desk: Arc<OperatorState>, gate: Arc<Gate>) -> Router {
    let refused = from_fn_with_state(Arc::clone(&desk), refusals::shown);
    let guarded = pages()
        .route("/console/{*nowhere}", any(refusals::nowhere))
        .method_not_allowed_fallback(refusals::another_method)
        .layer(refused.clone())
        .layer(from_fn_with_state(gate, session::require));
    let open = Router::new()
        .route("/", get(refusals::home))
        .route("/console/", get(refusals::home))
        .route("/console/assets/{hash}/{name}", get(assets::show))
        .method_not_allowed_fallback(refusals::another_method)
        .layer(refused);
    guarded.merge(open).with_state(desk)
}

fn pages() -> Router<Arc<OperatorState>> {
    Router::new()
        .route("/console", get(overview::show))
        .route("/console/live", get(live::stream))
        .route("/console/pace", get(pace::show))
        .route("/console/parts", get(parts::show))
        .route("/console/parts/{name}/{order}", post(parts::act))
        .route("/console/log", get(log::show))
        .route("/console/log/verify", post(log::prove))
        .route("/console/log/{position}", get(log::event))
        .route("/console/log/deposit/{id}", get(log::graph))
        .route("/console/projections", get(projections::show))
        .route("/console/projections/{name}/rebuild", post(projections::act))
        .route("/console/projections/{name}/verify", post(projections::verify))
        .merge(deposits::pages())
        .merge(past::pages())
        .merge(receivers())
        .route("/console/money", get(money::show))
        .route("/console/money/rounds", get(money::rounds))
        .route("/console/money/halt", post(money::halt))
        .route("/console/money/resume", post(money::resume))
        .route("/console/money/switches/{switch}/{setting}", post(money::turn))
        .route("/console/settings", get(settings::show))
        .route("/console/audit", get(audit::show))
}

fn receivers() -> Router<Arc<OperatorState>> {
    Router::new()
        .route("/console/notifications", get(notifications::show))
        .route("/console/notifications/told/{id}", get(notifications::told))
        .route("/console/notifications/{id}", get(notifications::webhook))
        .route("/console/notifications/{id}/recover", post(notifications::recover))
        .route("/console/notifications/{id}/remove", post(notifications::remove))
        .route("/console/notifications/{id}/simulate", post(notifications::simulate))
        .route("/console/notifications/{id}/resend/{notification}", post(notifications::resend))
        .route("/console/notifications/{id}/{order}", post(notifications::set))
}
