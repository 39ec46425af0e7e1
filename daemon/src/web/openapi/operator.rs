//! What operators may ask, and the shapes of it.

use super::history::{self, CURSOR, UNKNOWN_EVENT_TYPE};
use super::refusals::{self, BODY, DEPOSIT, KEY, LOG, PART, PATH, QUERY, RUNNING, Refusal, VIEWS};
use super::{Answer, Operation, get, post};

mod notifications;
mod shapes;

pub(super) use shapes::SHAPES;

const LISTING: &[&str] = &["status", "target", "after", "limit"];
/// The same where the status goes without saying.
const LISTING_OF_STATUS: &[&str] = &["target", "after", "limit"];

const WEBHOOKS: &str = "/operator/v1/notifications/webhooks";
const WEBHOOK: &str = "/operator/v1/notifications/webhooks/{id}";
pub(super) const UNKNOWN_WEBHOOK: &[Refusal] = &[(404, &["unknown_webhook"])];
const MADE_WEBHOOK: &[Refusal] = &[
    (409, &["too_many_webhooks"]),
    (422, &["invalid_secret", "invalid_customer", "invalid_webhook", "invalid_url", "unknown_event_type"]),
];
const CHANGED_WEBHOOK: &[Refusal] =
    &[(422, &["invalid_patch", "invalid_webhook", "invalid_url", "unknown_event_type"])];
const NO_WEBHOOKS_YET: &[Refusal] = &[(503, &["desk_unavailable"])];
const WEBHOOK_AS_IT_IS: &[Refusal] = &[(409, &["not_allowed"])];
const ROTATED: &[Refusal] = &[(422, &["invalid_rotation", "invalid_webhook"])];
const BEYOND_LOG: &[Refusal] = &[(422, &["invalid_position"])];
const ATTEMPTS: &[Refusal] = &[(503, &["attempts_unavailable"])];
pub(super) const WEBHOOK_DONE: &[Refusal] =
    &[(503, &["busy", "desk_unavailable", "keys_unavailable", "outcome_unknown"])];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        query: LISTING,
        refusals: &[QUERY, UNKNOWN_STATUS, VIEWS],
        ..get("/operator/v1/deposits", "Deposits, newest first.", Answer::Json("DepositPage"))
    },
    Operation {
        query: LISTING_OF_STATUS,
        refusals: &[QUERY, VIEWS],
        ..get("/operator/v1/deposits/held", "Deposits that are held.", Answer::Json("DepositPage"))
    },
    Operation {
        query: LISTING_OF_STATUS,
        refusals: &[QUERY, VIEWS],
        ..get("/operator/v1/deposits/quarantined", "Deposits on addresses of nobody.", Answer::Json("DepositPage"))
    },
    Operation {
        query: LISTING,
        refusals: &[QUERY, UNKNOWN_STATUS, VIEWS],
        ..get(
            "/operator/v1/deposits/errored",
            "Deposits held because something went wrong.",
            Answer::Json("DepositPage"),
        )
    },
    Operation {
        refusals: &[PATH, UNKNOWN_DEPOSIT, LOG],
        ..get("/operator/v1/deposits/{id}", "One deposit with its events.", Answer::Json("DepositDetail"))
    },
    Operation {
        query: &["version:position", "at:time"],
        refusals: &[PATH, QUERY, UNKNOWN_DEPOSIT, MOMENT_OF_DEPOSIT, LOG],
        ..get(
            "/operator/v1/deposits/{id}/state",
            "A deposit as it was after a version of its stream, at a time, or, without either, as it is.",
            Answer::Json("DepositState"),
        )
    },
    Operation {
        refusals: &[PATH, UNKNOWN_DEPOSIT, LOG],
        ..get(
            "/operator/v1/deposits/{id}/causes",
            "A deposit's events, those they came of, those they came with, and what led to what.",
            Answer::Json("Causes"),
        )
    },
    Operation {
        refusals: &[PATH, UNKNOWN_DEPOSIT, LOG],
        ..get("/operator/v1/deposits/{id}/postings", "What a deposit's events posted.", Answer::Json("Postings"))
    },
    Operation {
        refusals: &[PATH, BODY, DEPOSIT, refusals::ACT],
        ..post("/operator/v1/deposits/{id}/hold", "Stop a deposit.", Some("Why"), Answer::Json("Stands"))
    },
    Operation {
        refusals: &[PATH, BODY, DEPOSIT, refusals::ACT],
        ..post("/operator/v1/deposits/{id}/release", "Let a held deposit go on.", Some("Why"), Answer::Json("Stands"))
    },
    Operation {
        refusals: &[PATH, BODY, DEPOSIT, refusals::ACT],
        ..post("/operator/v1/deposits/{id}/retry", "The same as release.", Some("Why"), Answer::Json("Stands"))
    },
    Operation {
        refusals: &[PATH, BODY, DEPOSIT, refusals::ACT],
        ..post(
            "/operator/v1/deposits/{id}/refund-due",
            "Declare that a held or quarantined deposit is to be paid back.",
            Some("Why"),
            Answer::Json("Stands"),
        )
    },
    Operation {
        refusals: &[PATH, BODY, DEPOSIT, refusals::ACT, INVALID_TXID],
        ..post(
            "/operator/v1/deposits/{id}/refunded",
            "Declare that a deposit was paid back.",
            Some("Refunded"),
            Answer::Json("Stands"),
        )
    },
    Operation {
        query: &["after", "limit"],
        refusals: &[QUERY, VIEWS],
        ..get("/operator/v1/addresses", "Deposit addresses, newest first.", Answer::Json("AddressPage"))
    },
    Operation {
        query: &["user", "cursor", "limit:rows or none", "type", "event", "coin", "offset"],
        refusals: &[QUERY, CURSOR, VIEWS],
        ..history::history("/operator/v1/history")
    },
    history::event_types("/operator/v1/event-types"),
    Operation { refusals: &[PATH, UNKNOWN_EVENT_TYPE], ..history::event_type("/operator/v1/event-types/{name}") },
    Operation {
        refusals: &[NO_WEBHOOKS_YET],
        ..get(WEBHOOKS, "Webhooks, the oldest first.", Answer::Json("WebhookList"))
    },
    Operation {
        refusals: &[BODY, MADE_WEBHOOK, WEBHOOK_DONE],
        ..post(WEBHOOKS, "Tell somebody, at an address.", Some("WebhookWanted"), Answer::Made("WebhookMade"))
    },
    Operation {
        refusals: &[PATH, UNKNOWN_WEBHOOK, NO_WEBHOOKS_YET],
        ..get(WEBHOOK, "One webhook.", Answer::Json("Webhook"))
    },
    Operation {
        method: "patch",
        refusals: &[PATH, BODY, UNKNOWN_WEBHOOK, CHANGED_WEBHOOK, WEBHOOK_DONE],
        ..post(
            WEBHOOK,
            "Change where a webhook leads (`/url`) or what it is told (`/events`), by a JSON Patch.",
            Some("[PatchOperation]"),
            Answer::Json("Webhook"),
        )
    },
    Operation {
        method: "delete",
        refusals: &[PATH, UNKNOWN_WEBHOOK, WEBHOOK_DONE],
        ..post(WEBHOOK, "End a webhook.", None, Answer::Nothing)
    },
    Operation {
        refusals: &[PATH, UNKNOWN_WEBHOOK, WEBHOOK_AS_IT_IS, WEBHOOK_DONE],
        ..post(
            "/operator/v1/notifications/webhooks/{id}/pause",
            "Send nothing to a webhook until it is resumed; what comes meanwhile is sent then.",
            None,
            Answer::Json("Webhook"),
        )
    },
    Operation {
        refusals: &[PATH, UNKNOWN_WEBHOOK, WEBHOOK_AS_IT_IS, WEBHOOK_DONE],
        ..post(
            "/operator/v1/notifications/webhooks/{id}/resume",
            "Send again to a webhook that was paused or disabled.",
            None,
            Answer::Json("Webhook"),
        )
    },
    Operation {
        refusals: &[PATH, BODY, UNKNOWN_WEBHOOK, ROTATED, WEBHOOK_DONE],
        ..post(
            "/operator/v1/notifications/webhooks/{id}/rotate",
            "Give a webhook another secret; those before it go on to sign, too, for a day or as long as is said.",
            Some("Rotation"),
            Answer::Json("WebhookMade"),
        )
    },
    Operation {
        refusals: &[PATH, BODY, UNKNOWN_WEBHOOK, WEBHOOK_AS_IT_IS, BEYOND_LOG, WEBHOOK_DONE],
        ..post(
            "/operator/v1/notifications/webhooks/{id}/recover",
            "Tell a webhook again everything after a position of the log.",
            Some("Recovery"),
            Answer::Json("Webhook"),
        )
    },
    Operation {
        query: &["after"],
        refusals: &[PATH, QUERY, ATTEMPTS],
        ..get(
            "/operator/v1/notifications/webhooks/{id}/attempts",
            "The attempts to deliver to a webhook, by the notification's place in the log.",
            Answer::Json("AttemptPage"),
        )
    },
    notifications::DELIVERY,
    notifications::LIST,
    notifications::SHOW,
    notifications::RESEND,
    notifications::SIMULATE,
    notifications::VERIFY,
    get("/operator/v1/totals", "What all deposits add up to.", Answer::Json("Totals")),
    get(
        "/operator/v1/ledger",
        "What stands on the ledger's accounts, and what the places outside held when they were last asked.",
        Answer::Json("Ledger"),
    ),
    Operation {
        query: &["position", "at:time", "after:uuid", "limit"],
        refusals: &[QUERY, MOMENT_OF_DESK, LOG],
        ..get(
            "/operator/v1/overview",
            "The whole desk as it was after a position of the log, at a time, or, without either, as it is.",
            Answer::Json("DeskOverview"),
        )
    },
    Operation {
        refusals: &[LOG],
        ..get("/operator/v1/switches", "Where the switches stand.", Answer::Json("Switches"))
    },
    Operation {
        refusals: &[PATH, BODY, refusals::ACT],
        ..post(
            "/operator/v1/switches/{switch}",
            "Turn `binds`, `purchases` or `sends` to `on` or `off`.",
            Some("Turn"),
            Answer::Json("Turned"),
        )
    },
    Operation {
        refusals: &[PATH, FORGET],
        ..post(
            "/operator/v1/customers/{customer}/forget",
            "Destroy the key of what operators said of a customer, or of a deposit that is nobody's. There is no way back.",
            None,
            Answer::Json("Forgotten"),
        )
    },
    Operation {
        refusals: &[BODY, refusals::ACT],
        ..post(
            "/operator/v1/halt",
            "Halt the desk: no order and no payout goes out until it is resumed.",
            Some("Why"),
            Answer::Json("Declared"),
        )
    },
    Operation {
        refusals: &[BODY, refusals::ACT],
        ..post(
            "/operator/v1/resume",
            "Let orders and payouts go out again, and addresses too where the log was restored.",
            Some("Why"),
            Answer::Json("Declared"),
        )
    },
    Operation {
        headers: &["Idempotency-Key"],
        refusals: &[BODY, KEY, refusals::ACT, TRANSFER],
        ..post(
            "/operator/v1/transfers",
            "Declare coins that move without a customer: an `opening`, `refill` or `sweep`.",
            Some("Declaration"),
            Answer::Made("Declared"),
        )
    },
    get("/operator/v1/parts", "The parts and their health.", Answer::Json("Parts")),
    Operation {
        refusals: &[PATH, PART],
        ..post("/operator/v1/parts/{name}/start", "Start a part or a group.", None, Answer::Json("Part"))
    },
    Operation {
        refusals: &[PATH, PART],
        ..post("/operator/v1/parts/{name}/stop", "Stop a part or a group.", None, Answer::Json("Part"))
    },
    Operation {
        refusals: &[PATH, PART],
        ..post("/operator/v1/parts/{name}/restart", "Restart a part or a group.", None, Answer::Json("Part"))
    },
    get("/operator/v1/projections", "The projections, and how far each is.", Answer::Json("ProjectionPage")),
    get(
        "/operator/v1/projections/live",
        "The projections, and again whenever something of them changed: how far those are that are made anew.",
        Answer::Events("ProjectionPage"),
    ),
    Operation {
        refusals: &[PATH, UNKNOWN_PROJECTION, VIEWS],
        ..post(
            "/operator/v1/projections/{name}/rebuild",
            "Make a projection anew from the log, or, by the name `all`, every one; what is shown stays until then.",
            None,
            Answer::Json("ProjectionPage"),
        )
    },
    Operation {
        query: &["after", "limit:rows or none", "kind", "stream", "wait_s"],
        refusals: &[QUERY, FILTER, LOG],
        ..get("/operator/v1/events", "The log's events, oldest first.", Answer::Json("EventPage"))
    },
    Operation {
        query: &["after", "kind", "stream"],
        refusals: &[QUERY, FILTER, LOG],
        headers: &["Last-Event-ID"],
        ..get("/operator/v1/events/live", "The log's events as they happen.", Answer::Events("Event"))
    },
    Operation {
        refusals: &[PATH, UNKNOWN_EVENT, LOG],
        ..get(
            "/operator/v1/events/{position}",
            "One event: its command, its cause, what came with it, and its stream before and after it.",
            Answer::Json("EventDetail"),
        )
    },
    Operation {
        query: &["before:position", "limit"],
        refusals: &[QUERY, LOG],
        ..get("/operator/v1/audit", "What operators did, the newest first.", Answer::Json("AuditPage"))
    },
    Operation {
        refusals: &[LOG, BACKUP_FAILED],
        ..get("/operator/v1/backup", "A copy of the log.", Answer::Body("application/octet-stream"))
    },
    Operation {
        refusals: &[BODY, LOG, BACKUP_FAILED, BACKUP_NAME],
        ..post(
            "/operator/v1/backup",
            "Keep a copy of the log in the backup folder.",
            Some("BackupWanted"),
            Answer::Made("BackupKept"),
        )
    },
    get("/livez", "Whether the process lives.", Answer::Body("text/plain")),
    get("/readyz", "Whether the desk is of use; 503 when not.", Answer::Probe("Readiness")),
    get("/metrics", "Figures for Prometheus.", Answer::Body("text/plain")),
];

const UNKNOWN_STATUS: &[Refusal] = &[(400, &["unknown_status"])];
const UNKNOWN_PROJECTION: &[Refusal] = &[(404, &["unknown_projection"])];
const UNKNOWN_DEPOSIT: &[Refusal] = &[(404, &["unknown_deposit"])];
const FORGET: &[Refusal] = &[(400, &["invalid_customer"]), (404, &["nothing_sealed"]), (503, &["keys_unavailable"])];
const UNKNOWN_EVENT: &[Refusal] = &[(404, &["unknown_event"])];
const MOMENT_OF_DEPOSIT: &[Refusal] = &[(404, &["unknown_moment"]), (409, &["unreadable_deposit"])];
const MOMENT_OF_DESK: &[Refusal] = &[(404, &["unknown_moment"]), (503, &["busy"])];
const INVALID_TXID: &[Refusal] = &[(422, &["invalid_txid"])];
const FILTER: &[Refusal] = &[(400, &["unknown_kind", "unknown_stream"])];
const TRANSFER: &[Refusal] = &[(422, &["invalid_amount", "unknown_coin", "wrong_place"])];
const BACKUP_FAILED: &[Refusal] = &[(503, &["backup_failed"])];
const BACKUP_NAME: &[Refusal] = &[(409, &["backup_exists"]), (422, &["invalid_name"])];

/// What exists in the sandbox alone.
pub(super) const SANDBOX: &[Operation] = &[Operation {
    refusals: &[PATH, PART, RUNNING],
    ..post("/operator/v1/sandbox/parts/{name}/panic", "Make a part panic, to see it heal.", None, Answer::Json("Part"))
}];
