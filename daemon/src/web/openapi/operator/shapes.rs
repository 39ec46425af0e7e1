//! The shapes of the operator API: what requests and answers consist of.

use crate::web::openapi::{Shape, Source, history};

const SHAPES_OF_CLI: &str = include_str!("../../shapes.rs");
const ACT: &str = include_str!("../../operator/act.rs");
const BACKUP: &str = include_str!("../../operator/backup.rs");
const CAUSES: &str = include_str!("../../operator/causes.rs");
const CUSTOMERS: &str = include_str!("../../operator/customers.rs");
const DESK: &str = include_str!("../../operator/desk.rs");
const LEDGER: &str = include_str!("../../operator/ledger.rs");
const MOMENT: &str = include_str!("../../operator/moment.rs");
const OVERVIEW: &str = include_str!("../../operator/overview.rs");
const PARTS: &str = include_str!("../../operator/parts.rs");
const PROBES: &str = include_str!("../../operator/probes.rs");

pub(in crate::web::openapi) const SHAPES: &[Shape] = &[
    history::HISTORY_LINE,
    history::EVENT_TYPES_SHAPE,
    history::EVENT_TYPE,
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
        name: "Forgotten",
        fields: &[("customer", "string"), ("at", "time"), ("now", "boolean")],
        source: Source::Struct("Forgotten", CUSTOMERS),
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
        name: "DeskOverview",
        fields: &[
            ("position", "integer"),
            ("recorded_at", "time?"),
            ("head", "integer"),
            ("balances", "[BalanceRow]"),
            ("deposits", "integer"),
            ("open", "integer"),
            ("standing", "[StandingLine]"),
            ("open_deposits", "[OpenDeposit]"),
            ("more", "integer"),
            ("next", "uuid?"),
            ("unreadable", "[UnreadableDeposit]"),
            ("more_unreadable", "integer"),
            ("addresses", "integer"),
            ("block", "object?"),
            ("switches", "Switches"),
            ("restorations", "integer"),
            ("reserved_outputs", "integer"),
        ],
        source: Source::Struct("DeskOverview", OVERVIEW),
    },
    Shape {
        name: "StandingLine",
        fields: &[
            ("status", "string"),
            ("outcome", "string?"),
            ("deposits", "integer"),
            ("received_btc", "decimal"),
            ("payout_sky", "decimal"),
        ],
        source: Source::Struct("StandingLine", OVERVIEW),
    },
    Shape {
        name: "OpenDeposit",
        fields: &[
            ("id", "uuid"),
            ("status", "string"),
            ("reason", "string?"),
            ("target", "string?"),
            ("address", "string"),
            ("received", "decimal"),
            ("txid", "string"),
            ("output", "integer"),
            ("payout", "decimal?"),
            ("payout_txid", "string?"),
        ],
        source: Source::Struct("OpenDeposit", OVERVIEW),
    },
    Shape {
        name: "UnreadableDeposit",
        fields: &[("id", "uuid"), ("position", "integer"), ("why", "string")],
        source: Source::Struct("UnreadableDeposit", OVERVIEW),
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
    Shape {
        name: "ProjectionPage",
        fields: &[("head", "integer"), ("projections", "[ProjectionRow]")],
        source: Source::Struct("ProjectionPage", SHAPES_OF_CLI),
    },
    Shape {
        name: "ProjectionRow",
        fields: &[
            ("name", "string"),
            ("version", "integer"),
            ("shown_version", "integer?"),
            ("generation", "integer"),
            ("position", "integer"),
            ("lag", "integer"),
            ("rebuild", "RebuildRow?"),
            ("failure", "string?"),
        ],
        source: Source::Struct("ProjectionRow", SHAPES_OF_CLI),
    },
    Shape {
        name: "RebuildRow",
        fields: &[
            ("position", "integer"),
            ("end", "integer"),
            ("events_per_second", "integer"),
            ("seconds_left", "integer?"),
        ],
        source: Source::Struct("RebuildRow", SHAPES_OF_CLI),
    },
    Shape { name: "BackupWanted", fields: &[("name", "backup name?")], source: Source::Body("Wanted", BACKUP) },
    Shape {
        name: "BackupKept",
        fields: &[("file", "string"), ("bytes", "integer"), ("head", "integer")],
        source: Source::Struct("Kept", BACKUP),
    },
    Shape {
        name: "Readiness",
        fields: &[("status", "string"), ("log", "string"), ("head", "integer"), ("views", "integer"), ("lag", "[Lag]")],
        source: Source::Struct("Readiness", PROBES),
    },
    Shape {
        name: "Lag",
        fields: &[("projection", "string"), ("events", "integer"), ("is_rebuilt", "boolean")],
        source: Source::Struct("Lag", PROBES),
    },
];
