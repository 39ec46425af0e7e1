//! Notifications one by one, and how they get to webhooks: what may be asked, and the shapes of it.

use super::shapes::WEBHOOK_STATUS;
use super::{UNKNOWN_WEBHOOK, WEBHOOK_DONE};
use crate::web::openapi::history::CURSOR;
use crate::web::openapi::refusals::{BODY, LOG, PATH, QUERY, Refusal, VIEWS};
use crate::web::openapi::{Answer, Operation, Shape, Source, get, post};

const DELIVERY_SOURCE: &str = include_str!("../../operator/delivery.rs");
const EVENTS_SOURCE: &str = include_str!("../../operator/webhooks_events.rs");

const SIGNATURES_SOURCE: &str = include_str!("../../operator/signatures.rs");
const SIMULATIONS_SOURCE: &str = include_str!("../../operator/simulations.rs");

const UNKNOWN_NOTIFICATION: &[Refusal] = &[(404, &["unknown_notification"])];
const NOT_RESENT: &[Refusal] = &[(409, &["not_served", "not_wanted", "nobody_wants_it"]), (422, &["invalid_resend"])];
const NOT_SIMULATED: &[Refusal] =
    &[(409, &["not_proved"]), (422, &["invalid_simulation", "invalid_url", "unknown_event_type"])];
const NOT_DELIVERED_TO: &[Refusal] = &[(503, &["not_delivered_to"])];

pub(super) const DELIVERY: Operation = Operation {
    refusals: &[PATH, UNKNOWN_WEBHOOK, NOT_DELIVERED_TO, WEBHOOK_DONE],
    ..get(
        "/operator/v1/notifications/webhooks/{id}/delivery",
        "How the deliveries to a webhook do right now, and what they wait for.",
        Answer::Json("Delivery"),
    )
};

pub(super) const LIST: Operation = Operation {
    query: &["cursor", "limit", "event_type:notification pattern", "start_time:time", "end_time:time"],
    refusals: &[QUERY, CURSOR, VIEWS, LOG],
    ..get(
        "/operator/v1/notifications/webhooks-events",
        "Notifications in the order of the log; a reader goes on with `cursor`, which is the answer's `next_cursor`.",
        Answer::Json("NotificationList"),
    )
};

pub(super) const SHOW: Operation = Operation {
    refusals: &[PATH, UNKNOWN_NOTIFICATION, VIEWS],
    ..get("/operator/v1/notifications/webhooks-events/{id}", "One notification.", Answer::Json("Notification"))
};

pub(super) const RESEND: Operation = Operation {
    refusals: &[PATH, BODY, UNKNOWN_NOTIFICATION, UNKNOWN_WEBHOOK, NOT_RESENT, VIEWS, WEBHOOK_DONE],
    ..post(
        "/operator/v1/notifications/webhooks-events/{id}/resend",
        "Send a notification once more, under its own id: to the webhooks that are named, or to all that want it.",
        Some("Resend"),
        Answer::Accepted("Resent"),
    )
};

pub(super) const SIMULATE: Operation = Operation {
    refusals: &[BODY, UNKNOWN_WEBHOOK, NOT_SIMULATED, WEBHOOK_DONE],
    ..post(
        "/operator/v1/notifications/simulate-event",
        "Send the example of a type to a webhook, or unsigned to an address: once, under an id of its own, marked in its \
         body. What came of it is in the answer alone; the attempts that are kept are those of the log's notifications.",
        Some("Simulation"),
        Answer::Accepted("Simulated"),
    )
};

pub(super) const VERIFY: Operation = Operation {
    refusals: &[BODY, UNKNOWN_WEBHOOK, WEBHOOK_DONE],
    ..post(
        "/operator/v1/notifications/verify-webhook-signature",
        "Whether what somebody received, by its headers and its body to the byte, was signed for a webhook.",
        Some("Received"),
        Answer::Json("Verification"),
    )
};

pub(super) const SIMULATION: Shape = Shape {
    name: "Simulation",
    fields: &[("webhook_id", "uuid?"), ("url", "string?"), ("event_type", "string"), ("resource_version", "string?")],
    source: Source::Body("Simulation", SIMULATIONS_SOURCE),
};

pub(super) const SIMULATED: Shape = Shape {
    name: "Simulated",
    fields: &[
        ("id", "uuid"),
        ("webhook_id", "uuid?"),
        ("url", "string"),
        ("event_type", "string"),
        ("outcome", "string"),
        ("status", "integer?"),
        ("answer", "string?"),
        ("error", "string?"),
        ("took_us", "integer"),
        ("recorded", "boolean"),
        ("event", "object"),
        ("links", "[Link]"),
    ],
    source: Source::Struct("Simulated", SIMULATIONS_SOURCE),
};

pub(super) const RECEIVED: Shape = Shape {
    name: "Received",
    fields: &[
        ("webhook_id", "uuid"),
        ("transmission_id", "string?"),
        ("transmission_time", "string?"),
        ("transmission_sig", "string"),
        ("webhook_event", "string"),
    ],
    source: Source::Body("Received", SIGNATURES_SOURCE),
};

pub(super) const VERIFICATION: Shape = Shape {
    name: "Verification",
    fields: &[("verification_status", "=SUCCESS|FAILURE"), ("reason", "string?"), ("signature_matches", "boolean")],
    source: Source::Struct("Verification", SIGNATURES_SOURCE),
};

pub(super) const DELIVERY_SHAPE: Shape = Shape {
    name: "Delivery",
    fields: &[
        ("webhook_id", "uuid"),
        ("status", WEBHOOK_STATUS),
        ("explanation", "string"),
        ("in_flight", "integer"),
        ("at_once", "integer"),
        ("claimed", "integer"),
        ("retries", "integer"),
        ("next_retry_at", "time?"),
        ("breaker", "=closed|open|probing"),
        ("left_alone_until", "time?"),
        ("acknowledged_through", "position"),
        ("dispatched_through", "position"),
        ("newest", "position"),
        ("behind", "integer"),
        ("links", "[Link]"),
    ],
    source: Source::Struct("Delivery", DELIVERY_SOURCE),
};

pub(super) const NOTIFICATION_LIST: Shape = Shape {
    name: "NotificationList",
    fields: &[("events", "[Notification]"), ("count", "integer"), ("next_cursor", "cursor"), ("links", "[Link]")],
    source: Source::Struct("NotificationList", EVENTS_SOURCE),
};

pub(super) const RESEND_SHAPE: Shape =
    Shape { name: "Resend", fields: &[("webhook_ids", "[uuid]?")], source: Source::Body("Resend", EVENTS_SOURCE) };

pub(super) const NOTIFICATION: Shape = Shape {
    name: "Notification",
    fields: &[
        ("id", "uuid"),
        ("event_version", "string"),
        ("create_time", "time"),
        ("event_type", "string"),
        ("resource_type", "=deposit|withdrawal|desk"),
        ("sequence", "integer"),
        ("position", "position"),
        ("summary", "string"),
        ("resource", "object"),
        ("links", "[Link]"),
    ],
    source: Source::Answers,
};

pub(super) const RESENT: Shape = Shape {
    name: "Resent",
    fields: &[
        ("id", "uuid"),
        ("event_version", "string"),
        ("create_time", "time"),
        ("event_type", "string"),
        ("resource_type", "=deposit|withdrawal|desk"),
        ("sequence", "integer"),
        ("position", "position"),
        ("summary", "string"),
        ("resource", "object"),
        ("links", "[Link]"),
        ("webhook_ids", "[uuid]"),
    ],
    source: Source::Answers,
};
