//! The catalogue of notifications, in PayPal's shape: for customers what they can be told, for operators everything.

use millrace_model::notification::{Audience, EVENT_VERSION, NotificationType};
use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;

/// What can be told.
#[derive(Debug, Serialize)]
pub(super) struct EventTypes {
    event_types: Vec<EventType>,
}

/// A type of notification.
#[derive(Debug, Serialize)]
pub(super) struct EventType {
    name: &'static str,
    description: &'static str,
    status: &'static str,
    resource_versions: [&'static str; 1],
    schema: Value,
    example: Value,
}

impl From<NotificationType> for EventType {
    fn from(kind: NotificationType) -> Self {
        Self {
            name: kind.name(),
            description: kind.description(),
            status: "ENABLED",
            resource_versions: [EVENT_VERSION],
            schema: kind.schema(),
            example: kind.example(),
        }
    }
}

/// Whether somebody can be told this.
fn is_for(audience: Audience, kind: NotificationType) -> bool {
    match audience {
        Audience::Customer => kind.audience() == Audience::Customer,
        Audience::Operator => true,
    }
}

/// All that somebody can be told.
pub(super) fn all(audience: Audience) -> EventTypes {
    let kinds = NotificationType::ALL.into_iter().filter(|kind| is_for(audience, *kind));
    EventTypes { event_types: kinds.map(EventType::from).collect() }
}

/// One of them.
pub(super) fn one(audience: Audience, name: &str) -> Result<EventType, Problem> {
    let kind = NotificationType::parse(name).filter(|kind| is_for(audience, *kind));
    kind.map(EventType::from)
        .ok_or_else(|| Problem::not_found("unknown_event_type", "There is no notification of this type."))
}
