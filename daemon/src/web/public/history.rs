//! A user's history in the bridge's shape, and what he can be told.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use millrace_actors::projection::HistoryEntry;
use millrace_model::deposit::confirmations_required;
use millrace_model::notification::Audience;
use millrace_model::subscription::customer_hash;

use super::Desk;
use crate::web::event_types::{self, EventType, EventTypes};
use crate::web::extract::{Path, Query};
use crate::web::history::{self, DISABLED, Wanted};
use crate::web::problem::Problem;

pub(super) async fn show(State(desk): State<Arc<Desk>>, Query(wanted): Query<Wanted>) -> Result<Response, Problem> {
    let Some(user) = &wanted.user else {
        return Err(Problem::bad_request("invalid_query", "Say whose history: user is an address."));
    };
    let tip = *desk.height.borrow();
    let configured = u64::from(desk.terms.confirmations);
    let depth = |entry: &HistoryEntry| {
        let (height, tip) = entry.height.zip(tip)?;
        Some(((tip + 1).saturating_sub(height), confirmations_required(entry.coinbase, configured)))
    };
    let mut answer = history::answer(&desk.views, ("/api/history", &wanted), &depth).await?;
    let silenced = desk.subscriptions.of_customer(customer_hash(user));
    match silenced.iter().filter(|known| known.subscription.silence().is_some()).count() {
        0 => {}
        disabled => drop(answer.headers_mut().insert(DISABLED, HeaderValue::from(disabled))),
    }
    Ok(answer)
}

pub(super) async fn event_types() -> Reply<EventTypes> {
    Reply(event_types::all(Audience::Customer))
}

pub(super) async fn event_type(Path(name): Path<String>) -> Result<Reply<EventType>, Problem> {
    event_types::one(Audience::Customer, &name).map(Reply)
}
