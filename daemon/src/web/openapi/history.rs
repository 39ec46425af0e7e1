//! The history and the catalogue of notifications, which both faces have.

use super::refusals::Refusal;
use super::{Answer, Operation, Shape, Source, get};

const EVENT_TYPES: &str = include_str!("../event_types.rs");

/// What a cursor is refused for.
pub(super) const CURSOR: &[Refusal] = &[(400, &["invalid_cursor", "foreign_cursor"])];
/// What has no such type.
pub(super) const UNKNOWN_EVENT_TYPE: &[Refusal] = &[(404, &["unknown_event_type"])];

const LINE: &str = "[HistoryLine]";

/// Without what differs between the faces.
pub(super) const fn history(path: &'static str) -> Operation {
    get(
        path,
        "Deposits and withdrawals as they stand, the newest first; with `cursor`, empty at first and then the answer's \
         `X-Next-Cursor`, every change of them in the order of the log. `X-Subscriptions-Disabled` says how many of the \
         user's own subscriptions are disabled, if any.",
        Answer::Json(LINE),
    )
}

pub(super) const fn event_types(path: &'static str) -> Operation {
    get(path, "What can be told, with schemas and examples.", Answer::Json("EventTypes"))
}

pub(super) const fn event_type(path: &'static str) -> Operation {
    get(path, "One type of notification.", Answer::Json("EventType"))
}

pub(super) const HISTORY_LINE: Shape = Shape {
    name: "HistoryLine",
    fields: &[
        ("Type", "=deposit|withdrawal"),
        ("Tx", "hash"),
        ("TxId", "integer"),
        ("Coin", "=BTC|SKY"),
        ("Created", "time"),
        ("Amount", "integer"),
        ("BlockId", "integer"),
        ("BlockHash", "string"),
        ("From", "string"),
        ("To", "string"),
        ("Signed", "boolean"),
        ("IsBounced", "boolean"),
        ("SubmitState", "string"),
        ("SubmitTx", "string"),
        ("SubmitSigners", "string"),
        ("SubmitConfirm_block", "integer"),
        ("SubmitDate", "time"),
        ("SubmitTxHash", "string"),
        ("Id", "uuid?"),
        ("Event", "string?"),
        ("Sequence", "integer?"),
    ],
    source: Source::Answers,
};

pub(super) const EVENT_TYPES_SHAPE: Shape = Shape {
    name: "EventTypes",
    fields: &[("event_types", "[EventType]")],
    source: Source::Struct("EventTypes", EVENT_TYPES),
};

pub(super) const EVENT_TYPE: Shape = Shape {
    name: "EventType",
    fields: &[
        ("name", "string"),
        ("description", "string"),
        ("status", "string"),
        ("resource_versions", "[string]"),
        ("schema", "object"),
        ("example", "object"),
    ],
    source: Source::Struct("EventType", EVENT_TYPES),
};
