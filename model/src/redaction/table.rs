//! The table: every field of every event and every command, and whether it is personal.
//!
//! A path is the names on the way to a field, with dots between; `[]` stands for any place in a list. A field of an older
//! schema stays in here for ever.

use super::pseudonym::Shape::{self, Address, Hex, OrderId, Text};

/// What is said of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It tells of nobody.
    Plain,
    /// It tells of somebody.
    Personal(Shape),
}

/// All fields of one kind of event, or of one command.
#[derive(Debug)]
pub(super) struct Fields {
    /// The event's kind or the command's name.
    pub(super) of: &'static str,
    personal: &'static [(&'static str, Shape)],
    plain: &'static [&'static str],
}

impl Fields {
    /// What is said of a field, if anything is.
    pub(super) fn says(&self, path: &str) -> Option<Said> {
        let personal = self.personal.iter().find(|(field, _)| *field == path);
        let plain = || self.plain.contains(&path).then_some(Said::Plain);
        personal.map(|(_, shape)| Said::Personal(*shape)).or_else(plain)
    }
}

/// The row of a kind or a name.
pub(super) fn of(table: &'static [Fields], of: &str) -> Option<&'static Fields> {
    table.iter().find(|fields| fields.of == of)
}

type Personal = &'static [(&'static str, Shape)];
type Plain = &'static [&'static str];

const fn row(of: &'static str, personal: Personal, plain: Plain) -> Fields {
    Fields { of, personal, plain }
}

const NOBODY: Personal = &[];
const BLOCK: Plain = &["block.height", "block.hash"];
const NOTE: Personal = &[("note", Text)];
const HOLD: Personal = &[("reason.operator.note", Text), ("reason.paid_before.txid", Hex)];
const HOLD_PLAIN: Plain = &["reason", "reason.coins_seen_before.earlier"];
const SIGNED: Personal = &[("txid", Hex), ("inner_hash", Hex), ("inputs[]", Hex), ("bytes", Hex)];
const REFUNDED: Personal = &[("txid", Hex), ("note", Text)];
const BOUND: Personal = &[("address", Address), ("customer.target", Address)];
const BOUND_PLAIN: Plain = &["index", "customer.bound_method"];
const SWITCH: Plain = &["switch", "setting"];
const TRANSFER: Plain = &["kind", "place", "coins.coin", "coins.amount"];
const PART: Plain = &["part", "since", "reason"];
const BALANCE: Plain = &["place", "coin", "balance", "threshold"];
const REORGANISED: Plain = &["fork.height", "fork.hash", "abandoned.height", "abandoned.hash"];
// The hash of a log covers all that is in it: who has everything but an address could try addresses.
const HALT: Personal = &[("note", Text), ("known_hash", Hex), ("orders[].cid", OrderId), ("spends[].txid", Hex)];
const HALT_PLAIN: Plain = &[
    "cause",
    "differences[].place",
    "differences[].coin",
    "differences[].booked",
    "differences[].in_flight",
    "differences[].found",
    "departure",
    "known",
    "found",
    "lost_from",
    "lost_to",
    "damages[].finding",
    "damages[].position",
    "orders[].order_id",
    "orders[].side",
    "orders[].price",
    "orders[].quantity",
    "orders[].completed",
    "spends[].block_seq",
    "spends[].coins",
];
// A sweep leads to the hot wallet, and from there to everybody who was paid.
const SPEND: Personal = &[("txid", Hex)];
const SPEND_PLAIN: Plain = &["block_seq", "coins"];
// Names of operators, and where they are.
const ACTED: Personal = &[("by.operator", Text), ("subject", Text), ("note", Text)];
const ACTED_PLAIN: Plain = &["by", "action"];
// What is sealed is of no use to anybody else, and whose it is can be told by its length at most.
const SUBSCRIBED: Personal = &[("sealed", Text), ("terms.customer", Hex)];
const SUBSCRIBED_PLAIN: Plain = &[
    "id",
    "terms.events[]",
    "terms.dialect",
    "terms.schedule",
    "terms.order",
    "terms.rate_per_s",
    "ownership",
    "proof",
    "proof.missing.failures",
    "proof.given.failures",
    "address",
];

/// Every kind of event.
pub(super) const EVENTS: &[Fields] = &[
    row(
        "Detected",
        &[("outpoint.txid", Hex), ("address", Address), ("customer.target", Address), ("spends[]", Hex)],
        &["id", "outpoint.index", "amount", "customer.bound_method", "coinbase"],
    ),
    row("Mined", NOBODY, BLOCK),
    row("Orphaned", NOBODY, BLOCK),
    row("Vanished", &[("replaced_by", Hex)], &[]),
    row("Matured", NOBODY, &["confirmations"]),
    row("Quarantined", NOBODY, &[]),
    row("StatusWaitDecide", NOBODY, &[]),
    row(
        "StatusWaitBuy",
        NOBODY,
        &[
            "budget",
            "best_ask",
            "book.at_ms",
            "book.best_bid",
            "book.limit",
            "book.levels",
            "book.offered",
            "book.asks[].price",
            "book.asks[].volume",
        ],
    ),
    row(
        "OrderIntended",
        &[("order.cid", OrderId)],
        &[
            "order.attempt",
            "order.price",
            "order.quantity",
            "book.at_ms",
            "book.best_bid",
            "book.limit",
            "book.levels",
            "book.offered",
            "book.asks[].price",
            "book.asks[].volume",
        ],
    ),
    row("OrderPlaced", NOBODY, &["order_id"]),
    row("OrderRefused", &[("reason", Text)], &[]),
    row("OrderCancelIntended", NOBODY, &[]),
    row(
        "OrderObserved",
        NOBODY,
        &["observation.completed", "observation.avg_price", "observation.fee", "observation.state"],
    ),
    row("Bought", NOBODY, &["bought", "spent"]),
    row("PurchaseStopped", &[("reason", Text)], &["bought", "spent"]),
    row("RemainderBooked", NOBODY, &["amount", "to"]),
    row("StatusWaitSend", NOBODY, &["basis", "basis.direct.rate", "amount", "rounding"]),
    row("PayoutIntended", NOBODY, &["attempt"]),
    row("PayoutSigned", SIGNED, &[]),
    row("PayoutVoided", &[("conflicting_txid", Hex)], &[]),
    row("Sent", NOBODY, &[]),
    row("PayoutReorged", NOBODY, &[]),
    row("Confirmed", NOBODY, &["block_seq", "confirmations"]),
    row("Held", HOLD, HOLD_PLAIN),
    row("Released", NOTE, &[]),
    row("RefundDue", NOTE, &["amount"]),
    row("RefundMarked", REFUNDED, &[]),
    row("ReorgLoss", NOBODY, &["amount"]),
    row("Failed", &[("reason", Text)], &[]),
    row("WrittenOff", NOTE, &["bought", "spent"]),
    row("Bound", BOUND, BOUND_PLAIN),
    row("AddressIssued", NOBODY, &["index"]),
    row("BlockScanned", NOBODY, BLOCK),
    row("ChainReorged", NOBODY, REORGANISED),
    row("CoinsRemembered", &[("spends[]", Hex)], &["deposit"]),
    row(
        "SightingSetAside",
        NOBODY,
        &["deposit", "seen.mined.block.height", "seen.mined.block.hash", "seen.orphaned.above"],
    ),
    row("SightingsTakenUp", NOBODY, &["deposit"]),
    row("InputsReserved", &[("inputs[]", Hex)], &["deposit"]),
    row("InputsSpent", NOBODY, &["deposit"]),
    row("SwitchSet", NOTE, SWITCH),
    row("TransferDeclared", NOTE, TRANSFER),
    row("Halted", HALT, HALT_PLAIN),
    row("Resumed", NOTE, &[]),
    row("SweepSeen", SPEND, SPEND_PLAIN),
    row("SpendsMatched", NOBODY, &["block_seq"]),
    row("PartDown", NOBODY, PART),
    row("PartUp", NOBODY, PART),
    row("BalanceLow", NOBODY, BALANCE),
    row("BalanceRestored", NOBODY, BALANCE),
    row("OperatorActed", ACTED, ACTED_PLAIN),
    row("Subscribed", SUBSCRIBED, SUBSCRIBED_PLAIN),
    row("SubscriptionChanged", SUBSCRIBED, SUBSCRIBED_PLAIN),
    row("OwnershipProved", NOBODY, &[]),
    row("OwnershipFailed", NOBODY, &["failures"]),
    row("DeliveryPaused", NOBODY, &[]),
    row("DeliveryResumed", NOBODY, &[]),
    row("DeliveryDisabled", NOBODY, &["why"]),
    row("CursorMoved", NOBODY, &["after"]),
    row("Unsubscribed", NOBODY, &["why"]),
];

/// What the body of any command may say besides: who gave it, and why.
pub(super) const ANY_COMMAND: Fields = row("", &[("by.operator", Text), ("note", Text)], &["by"]);

/// Every command.
pub(super) const COMMANDS: &[Fields] = &[
    row("BindAddress", BOUND, BOUND_PLAIN),
    row("RecordSightings", &[("seen[].output.txid", Hex)], &["outpoints", "seen[].output.index", "seen[].satoshis"]),
    row("RecordBlock", NOBODY, &["block.height", "block.hash", "payments"]),
    row(
        "RecordMaturity",
        NOBODY,
        &["block.height", "block.hash", "tip.height", "tip.hash", "seen_before[].deposit", "seen_before[].earlier"],
    ),
    row("RecordGone", &[("replaced[].by", Hex)], &["deposits", "replaced[].deposit"]),
    row("RecordReorganisation", NOBODY, REORGANISED),
    row(
        "TakeUpSightings",
        NOBODY,
        &["deposit", "seen[].mined.block.height", "seen[].mined.block.hash", "seen[].orphaned.above"],
    ),
    row("ReserveAgain", NOBODY, &[]),
    row("SetSwitch", NOTE, SWITCH),
    row("DeclareTransfer", NOTE, TRANSFER),
    row("Halt", HALT, HALT_PLAIN),
    row("HaltRestored", HALT, HALT_PLAIN),
    row("Resume", NOTE, &[]),
    row("SeeSweep", SPEND, SPEND_PLAIN),
    row("MatchSpends", NOBODY, &["block_seq"]),
    row("TellPartDown", NOBODY, PART),
    row("TellPartUp", NOBODY, PART),
    row("TellBalanceLow", NOBODY, BALANCE),
    row("TellBalanceRestored", NOBODY, BALANCE),
    row("RecordAct", ACTED, ACTED_PLAIN),
    row("Subscribe", SUBSCRIBED, SUBSCRIBED_PLAIN),
    row("ChangeSubscription", SUBSCRIBED, SUBSCRIBED_PLAIN),
    row("ProveOwnership", &[("of", Hex)], &[]),
    row("FailOwnership", &[("of", Hex)], &[]),
    row("PauseDelivery", NOBODY, &[]),
    row("ResumeDelivery", NOBODY, &[]),
    row("DisableDelivery", NOBODY, &["why"]),
    row("MoveCursor", NOBODY, &["after"]),
    row("EndUnserved", NOBODY, &["since", "now", "kept.unproved_s", "kept.idle_s"]),
    row("Unsubscribe", NOBODY, &["why"]),
    row("ObserveMined", NOBODY, BLOCK),
    row("ObserveOrphaned", NOBODY, &[]),
    row("ObserveVanished", &[("replaced_by", Hex)], &[]),
    row("ObserveMature", NOBODY, &["confirmations", "seen_before"]),
    row(
        "Decide",
        NOBODY,
        &[
            "terms.Direct.rate",
            "terms.Passthrough.best_ask",
            "terms.Passthrough.book.at_ms",
            "terms.Passthrough.book.best_bid",
            "terms.Passthrough.book.limit",
            "terms.Passthrough.book.levels",
            "terms.Passthrough.book.offered",
            "terms.Passthrough.book.asks[].price",
            "terms.Passthrough.book.asks[].volume",
            "minimum",
            "maximum",
            "payout.decimals",
            "payout.maximum",
        ],
    ),
    row(
        "RecordPurchase",
        &[("intended.cid", OrderId), ("refused.reason", Text)],
        &[
            "",
            "intended.attempt",
            "intended.price",
            "intended.quantity",
            "placed.order_id",
            "observed.completed",
            "observed.avg_price",
            "observed.fee",
            "observed.state",
        ],
    ),
    row(
        "IntendOrder",
        &[("order.cid", OrderId)],
        &[
            "order.attempt",
            "order.price",
            "order.quantity",
            "book.at_ms",
            "book.best_bid",
            "book.limit",
            "book.levels",
            "book.offered",
            "book.asks[].price",
            "book.asks[].volume",
        ],
    ),
    row("FinishPurchase", NOBODY, &["rounding_maximum", "payout.decimals", "payout.maximum"]),
    row("StopPurchase", HOLD, HOLD_PLAIN),
    row("RecordSigned", SIGNED, &[]),
    row("RecordVoided", &[("conflicting_txid", Hex)], &[]),
    row("RecordSent", NOBODY, &[]),
    row("RecordPayoutReorged", NOBODY, &[]),
    row("RecordConfirmed", NOBODY, &["block_seq", "confirmations"]),
    row("Hold", HOLD, HOLD_PLAIN),
    row("Release", NOTE, &[]),
    row("MarkRefundDue", NOTE, &[]),
    row("MarkRefunded", REFUNDED, &[]),
];
