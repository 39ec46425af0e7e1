//! What operators may ask, and the shapes of it.

use super::refusals::{self, BODY, DEPOSIT, KEY, LOG, PART, PATH, QUERY, RUNNING, Refusal, VIEWS};
use super::{Answer, Operation, Shape, Source, get, post};

const SHAPES_OF_CLI: &str = include_str!("../shapes.rs");
const ACT: &str = include_str!("../operator/act.rs");
const BACKUP: &str = include_str!("../operator/backup.rs");
const CAUSES: &str = include_str!("../operator/causes.rs");
const DESK: &str = include_str!("../operator/desk.rs");
const LEDGER: &str = include_str!("../operator/ledger.rs");
const MOMENT: &str = include_str!("../operator/moment.rs");
const PARTS: &str = include_str!("../operator/parts.rs");
const PROBES: &str = include_str!("../operator/probes.rs");

const LISTING: &[&str] = &["status", "target", "after", "limit"];
/// The same where the status goes without saying.
const LISTING_OF_STATUS: &[&str] = &["target", "after", "limit"];

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
    get("/operator/v1/totals", "What all deposits add up to.", Answer::Json("Totals")),
    get(
        "/operator/v1/ledger",
        "What stands on the ledger's accounts, and what the places outside held when they were last asked.",
        Answer::Json("Ledger"),
    ),
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
const UNKNOWN_DEPOSIT: &[Refusal] = &[(404, &["unknown_deposit"])];
const UNKNOWN_EVENT: &[Refusal] = &[(404, &["unknown_event"])];
const MOMENT_OF_DEPOSIT: &[Refusal] = &[(404, &["unknown_moment"]), (409, &["unreadable_deposit"])];
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

pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "DepositPage",
        fields: &[("deposits", "[Deposit]"), ("next", "string?")],
        source: Source::Struct("DepositPage", SHAPES_OF_CLI),
    },
    Shape {
        name: "Deposit",
        fields: &[
            ("id", "uuid"),
            ("status", "string"),
            ("reason", "string?"),
            ("method", "string?"),
            ("target", "string?"),
            ("address", "string"),
            ("received", "decimal"),
            ("txid", "string"),
            ("output", "integer"),
            ("payout", "decimal?"),
            ("payout_txid", "string?"),
            ("updated_at", "time"),
        ],
        source: Source::Struct("DepositRow", SHAPES_OF_CLI),
    },
    Shape {
        name: "DepositDetail",
        fields: &[("deposit", "Deposit"), ("detail", "object"), ("events", "[Event]")],
        source: Source::Answers,
    },
    Shape {
        name: "DepositState",
        fields: &[
            ("id", "uuid"),
            ("version", "integer"),
            ("position", "integer"),
            ("recorded_at", "time"),
            ("state", "object"),
        ],
        source: Source::Struct("DepositState", MOMENT),
    },
    Shape {
        name: "Event",
        fields: &[
            ("position", "integer"),
            ("stream", "string"),
            ("version", "integer"),
            ("kind", "string"),
            ("schema", "integer"),
            ("recorded_at", "time"),
            ("causation", "integer?"),
            ("correlation", "string?"),
            ("payload", "object"),
            ("command_id", "string"),
        ],
        source: Source::Answers,
    },
    Shape {
        name: "EventDetail",
        fields: &[
            ("event", "Event"),
            ("asked_by", "=customer|operator|desk"),
            ("command", "CommandLine?"),
            ("cause", "Node?"),
            ("together", "[Node]"),
            ("before", "any"),
            ("after", "any"),
            ("changes", "[object]"),
        ],
        source: Source::Struct("EventDetail", CAUSES),
    },
    Shape {
        name: "CommandLine",
        fields: &[("name", "string"), ("body", "any")],
        source: Source::Struct("CommandLine", CAUSES),
    },
    Shape {
        name: "Causes",
        fields: &[("nodes", "[Node]"), ("edges", "[Edge]"), ("complete", "boolean")],
        source: Source::Struct("Causes", CAUSES),
    },
    Shape {
        name: "Node",
        fields: &[
            ("position", "integer"),
            ("stream", "string"),
            ("version", "integer"),
            ("kind", "string"),
            ("recorded_at", "time"),
            ("command", "string?"),
            ("command_id", "string"),
            ("asked_by", "=customer|operator|desk"),
        ],
        source: Source::Struct("Node", CAUSES),
    },
    Shape {
        name: "Edge",
        fields: &[("from", "integer"), ("to", "integer"), ("relation", "=caused|together")],
        source: Source::Struct("Edge", CAUSES),
    },
    Shape {
        name: "EventPage",
        fields: &[("events", "[Event]"), ("next", "integer"), ("head", "integer")],
        source: Source::Struct("EventPage", SHAPES_OF_CLI),
    },
    Shape { name: "Why", fields: &[("note", "note")], source: Source::Body("Why", ACT) },
    Shape { name: "Refunded", fields: &[("note", "note"), ("txid", "hash")], source: Source::Body("Refunded", ACT) },
    Shape {
        name: "Stands",
        fields: &[("id", "uuid"), ("status", "string"), ("version", "integer"), ("position", "integer")],
        source: Source::Struct("Stands", ACT),
    },
    Shape {
        name: "AddressPage",
        fields: &[("addresses", "[Address]"), ("next", "string?")],
        source: Source::Struct("AddressPage", DESK),
    },
    Shape {
        name: "Address",
        fields: &[
            ("address", "string"),
            ("coin", "string"),
            ("target", "string"),
            ("number", "integer"),
            ("bound_method", "string"),
            ("bound_at", "time"),
        ],
        source: Source::Struct("Address", DESK),
    },
    Shape {
        name: "Totals",
        fields: &[
            ("position", "integer"),
            ("deposits", "integer"),
            ("open", "integer"),
            ("addresses", "integer"),
            ("standing", "[Standing]"),
        ],
        source: Source::Struct("Totals", DESK),
    },
    Shape {
        name: "Standing",
        fields: &[
            ("status", "string"),
            ("outcome", "string?"),
            ("deposits", "integer"),
            ("received_btc", "decimal"),
            ("spent_btc", "decimal"),
            ("refund_btc", "decimal"),
            ("lost_btc", "decimal"),
            ("bought_sky", "decimal"),
            ("payout_sky", "decimal"),
        ],
        source: Source::Struct("Standing", DESK),
    },
    Shape {
        name: "Ledger",
        fields: &[
            ("position", "integer"),
            ("unreadable", "[uuid]"),
            ("balances", "[BalanceRow]"),
            ("places", "[PlaceRow]"),
        ],
        source: Source::Struct("Ledger", SHAPES_OF_CLI),
    },
    Shape {
        name: "BalanceRow",
        fields: &[("account", "string"), ("nature", "string"), ("coin", "string"), ("amount", "signed")],
        source: Source::Struct("BalanceRow", SHAPES_OF_CLI),
    },
    Shape {
        name: "PlaceRow",
        fields: &[
            ("place", "=hot_wallet|exchange|deposit_addresses"),
            ("coin", "string"),
            ("booked", "signed"),
            ("in_flight", "signed"),
            ("found", "decimal"),
            ("verdict", "=fits|missing|surplus"),
            ("at", "time"),
        ],
        source: Source::Struct("PlaceRow", SHAPES_OF_CLI),
    },
    Shape {
        name: "Postings",
        fields: &[("complete", "boolean"), ("postings", "[PostingRow]")],
        source: Source::Struct("Postings", LEDGER),
    },
    Shape {
        name: "PostingRow",
        fields: &[
            ("position", "integer"),
            ("event", "string"),
            ("account", "string"),
            ("coin", "string"),
            ("amount", "signed"),
        ],
        source: Source::Struct("PostingRow", LEDGER),
    },
    Shape {
        name: "Switches",
        fields: &[("binds", "string"), ("purchases", "string"), ("sends", "string"), ("halted", "string?")],
        source: Source::Struct("Switches", DESK),
    },
    Shape { name: "Turn", fields: &[("setting", "=on|off"), ("note", "note")], source: Source::Body("Turn", DESK) },
    Shape {
        name: "Turned",
        fields: &[("switch", "string"), ("setting", "string"), ("position", "integer")],
        source: Source::Struct("Turned", DESK),
    },
    Shape {
        name: "Declaration",
        fields: &[
            ("kind", "=opening|refill|sweep"),
            ("place", "=hot_wallet|exchange|deposit_addresses"),
            ("coin", "=BTC|SKY"),
            ("amount", "decimal"),
            ("note", "note"),
        ],
        source: Source::Body("Declaration", DESK),
    },
    Shape { name: "Declared", fields: &[("position", "integer")], source: Source::Struct("Declared", DESK) },
    Shape { name: "Parts", fields: &[("parts", "[Part]")], source: Source::Struct("Parts", PARTS) },
    Shape {
        name: "Part",
        fields: &[
            ("name", "string"),
            ("group", "string?"),
            ("strategy", "string?"),
            ("state", "string"),
            ("next_try", "time?"),
            ("since", "time"),
            ("why", "string?"),
            ("restarts", "integer"),
            ("last_error", "any"),
            ("conditions", "[object]"),
        ],
        source: Source::Answers,
    },
    Shape { name: "BackupWanted", fields: &[("name", "backup name?")], source: Source::Body("Wanted", BACKUP) },
    Shape {
        name: "BackupKept",
        fields: &[("file", "string"), ("bytes", "integer"), ("head", "integer")],
        source: Source::Struct("Kept", BACKUP),
    },
    Shape {
        name: "Readiness",
        fields: &[("status", "string"), ("log", "string"), ("head", "integer"), ("views", "integer")],
        source: Source::Struct("Readiness", PROBES),
    },
];
