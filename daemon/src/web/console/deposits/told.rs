//! What was told of a deposit, to its customer and to operators, and how that went.

use maud::{Markup, html};
use millrace_actors::projection::{StoredNotification, ViewError};

use super::in_log;
use super::read::Stream;
use crate::web::console::notifications::{SeenOn, deliveries, told_at};
use crate::web::console::words::exactly;
use crate::web::operator::{OperatorState, views_unreadable};
use crate::web::session::Operator;

/// Each event is asked for by its position; of a deposit with more, the newest are.
const EVENTS_MAX: usize = 100;

/// The notifications of its events, oldest first. Views that cannot be read take nothing
/// else from the page.
pub(super) async fn told(desk: &OperatorState, operator: &Operator, stream: &Stream) -> Markup {
    match notifications(desk, stream).await {
        Ok(notifications) if notifications.is_empty() => {
            html! { (newest_alone(stream)) p { "Nothing was told of it yet." } }
        }
        Ok(notifications) => html! {
            (newest_alone(stream))
            (shown(&notifications))
            h3 { "How that went" }
            (deliveries(desk, operator, &notifications, SeenOn::Deposit(stream.id)).await)
        },
        Err(error) => html! { p role="alert" { (views_unreadable(error).message()) } },
    }
}

async fn notifications(desk: &OperatorState, stream: &Stream) -> Result<Vec<StoredNotification>, ViewError> {
    let from = stream.events.len().saturating_sub(EVENTS_MAX);
    let mut told = Vec::new();
    for recorded in &stream.events[from..] {
        told.extend(desk.views.notification_at(recorded.position).await?);
    }
    Ok(told)
}

fn newest_alone(stream: &Stream) -> Markup {
    html! { @if stream.events.len() > EVENTS_MAX { p { "Of its newest " (EVENTS_MAX) " events:" } } }
}

fn shown(notifications: &[StoredNotification]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "Told as" } th scope="col" { "When" } th scope="col" { "Of the event" } th scope="col" { "Notification" }
            } }
            tbody { @for told in notifications { tr {
                th scope="row" { (told.kind.name()) }
                td { (exactly(told.recorded_at)) }
                td { a href=(in_log(told.position)) { "position " (told.position) } }
                td { a href=(told_at(told.id)) { "as it is sent" } }
            } } }
        } }
    }
}
