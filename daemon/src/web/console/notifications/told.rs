//! One notification, as it was and will be sent to everybody who wants it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::html;
use uuid::Uuid;

use crate::web::console::frame::{Page, Place, answer};
use crate::web::extract::Path;
use crate::web::operator::{OperatorState, webhooks_events};
use crate::web::problem::Problem;
use crate::web::session::Operator;

pub(in crate::web::console) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Path(id): Path<Uuid>,
) -> Response {
    let page = Page { place: Place::Notifications, title: "Notification", follows: "" };
    let found = webhooks_events::show(State(Arc::clone(&desk)), Path(id)).await;
    let shown = found.and_then(|event| {
        let text = serde_json::to_string_pretty(&event.0).map_err(Problem::internal)?;
        Ok(html! {
            p { "Id " code { (id) } }
            pre tabindex="0" { (text) }
        })
    });
    answer(&desk, &operator, &page, shown)
}
