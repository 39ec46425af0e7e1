//! One notification, as it was and will be sent to everybody who wants it, and how that went.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use uuid::Uuid;

use super::attempts::SeenOn;
use super::deliveries::deliveries;
use crate::web::console::frame::{Page, Place, answer};
use crate::web::console::words::count;
use crate::web::extract::Path;
use crate::web::operator::OperatorState;
use crate::web::operator::webhooks_events::{found, shown};
use crate::web::problem::Problem;
use crate::web::session::Operator;

pub(in crate::web::console) async fn show(
    State(desk): State<Arc<OperatorState>>,
    operator: Operator,
    Path(id): Path<Uuid>,
) -> Response {
    let page = Page { place: Place::Notifications, title: "Notification", follows: "deliveries" };
    let shown = body(&desk, &operator, id).await;
    answer(&desk, &operator, &page, shown)
}

async fn body(desk: &OperatorState, operator: &Operator, id: Uuid) -> Result<Markup, Problem> {
    let told = found(desk, id).await?;
    let text = serde_json::to_string_pretty(&shown(&told)?).map_err(Problem::internal)?;
    let deliveries = deliveries(desk, operator, std::slice::from_ref(&told), SeenOn::Notification).await;
    Ok(html! {
        p {
            (told.kind.name()) ", id " code { (id) } ", of the event at "
            a href={ (Place::Log.path()) "/" (told.position) } { "position " (count(told.position)) }
            @if let Some(deposit) = told.deposit { " of the deposit " a href={ (Place::Deposits.path()) "/" (deposit) "#told" } { code { (deposit) } } }
        }
        pre tabindex="0" { (text) }
        h2 { "Deliveries" }
        (deliveries)
    })
}
