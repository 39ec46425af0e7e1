//! What the body of a notification looks like, as JSON Schema.
//!
//! It says what is there and of what type. More fields may come under the same version; none goes and none changes.

use serde_json::{Map, Value, json};

use super::kind::{NotificationType, ResourceType};
use super::row::SubmitState;
use crate::alert::DownReason;
use crate::desk::Place;
use crate::ledger::Ticker;
use crate::subscription::Silence;

/// The version of the body's shape. Another one when a field goes, or changes.
pub const EVENT_VERSION: &str = "1.0";

/// The schema of a type's body.
pub(super) fn of(kind: NotificationType) -> Value {
    let mut schema = object(&[
        ("id", json!({ "type": "string", "format": "uuid" })),
        ("event_version", json!({ "const": EVENT_VERSION })),
        ("create_time", time()),
        ("event_type", json!({ "const": kind.name() })),
        ("resource_type", json!({ "const": kind.resource().as_str() })),
        ("sequence", json!({ "type": "integer", "minimum": 1 })),
        ("position", json!({ "type": "integer", "minimum": 1 })),
        ("summary", json!({ "type": "string" })),
        ("resource", resource(kind)),
        ("links", json!({ "type": "array" })),
    ]);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(kind.name());
    schema["description"] = json!(kind.description());
    schema
}

fn resource(kind: NotificationType) -> Value {
    match kind.resource() {
        ResourceType::Deposit | ResourceType::Withdrawal => transaction(kind),
        ResourceType::Subscription => subscription(),
        ResourceType::Desk => desk(kind),
    }
}

fn subscription() -> Value {
    object(&[
        ("subscription", json!({ "type": "string", "format": "uuid" })),
        ("customer", hash()),
        ("reason", json!({ "type": "string", "enum": Silence::ALL })),
        ("subscribed_at", time()),
    ])
}

fn desk(kind: NotificationType) -> Value {
    match kind {
        NotificationType::DeskPartDown | NotificationType::DeskPartUp => part(kind == NotificationType::DeskPartDown),
        NotificationType::DeskBalanceLow | NotificationType::DeskBalanceRestored => {
            balance(kind == NotificationType::DeskBalanceLow)
        }
        NotificationType::DeskWebhookDisabled => object(&[
            ("webhook", json!({ "type": "string", "format": "uuid" })),
            ("reason", json!({ "type": "string", "enum": ["gone", "asked", "exhausted"] })),
        ]),
        _ => object(&[
            ("halted", json!({ "const": kind == NotificationType::DeskHalted })),
            ("cause", json!({ "type": ["string", "null"] })),
        ]),
    }
}

fn part(down: bool) -> Value {
    let reason = match down {
        true => json!({ "type": "string", "enum": DownReason::ALL.map(DownReason::as_str) }),
        false => json!({ "type": "null" }),
    };
    object(&[
        ("part", json!({ "type": "string" })),
        ("down", json!({ "const": down })),
        ("since", time()),
        ("reason", reason),
    ])
}

fn balance(low: bool) -> Value {
    let coins = Ticker::ALL.map(Ticker::as_str);
    object(&[
        ("place", json!({ "type": "string", "enum": [Place::HotWallet.as_str(), Place::Exchange.as_str()] })),
        ("coin", json!({ "type": "string", "enum": coins })),
        ("low", json!({ "const": low })),
        ("balance", decimal()),
        ("threshold", decimal()),
    ])
}

fn transaction(kind: NotificationType) -> Value {
    let coin = if kind.resource() == ResourceType::Deposit { Ticker::Btc } else { Ticker::Sky };
    let states = states(kind).iter().map(|state| state.as_str()).collect::<Vec<_>>();
    object(&[
        ("Type", json!({ "const": kind.resource().as_str() })),
        ("Tx", hash()),
        ("TxId", count()),
        ("Coin", json!({ "const": coin.as_str() })),
        ("Created", time()),
        ("Amount", count()),
        ("BlockId", count()),
        ("BlockHash", hash_or_nothing()),
        ("From", json!({ "type": "string" })),
        ("To", json!({ "type": "string" })),
        ("Signed", json!({ "type": "boolean" })),
        ("IsBounced", json!({ "type": "boolean" })),
        ("SubmitState", json!({ "type": "string", "enum": states })),
        ("SubmitTx", json!({ "const": "" })),
        ("SubmitSigners", json!({ "const": "" })),
        ("SubmitConfirm_block", count()),
        ("SubmitDate", time()),
        ("SubmitTxHash", hash_or_nothing()),
        ("deposit_id", json!({ "type": "string", "format": "uuid" })),
        ("method", json!({ "enum": ["direct", "passthrough", null] })),
        ("rate", decimal_or_null()),
        ("payout", decimal_or_null()),
        ("payout_txid", hash_or_null()),
        ("refund", decimal_or_null()),
        ("refund_txid", hash_or_null()),
    ])
}

/// Where a row can stand when this is told of it.
pub(super) const fn states(kind: NotificationType) -> &'static [SubmitState] {
    use SubmitState as State;
    match kind {
        NotificationType::DepositPending => &[State::Pending, State::Orphan],
        NotificationType::DepositWaitForConfirmation | NotificationType::WithdrawalSubmitted => {
            &[State::WaitForConfirmation]
        }
        NotificationType::DepositConfirmed => &[State::Success, State::PendingManual],
        NotificationType::DepositFailed | NotificationType::WithdrawalFailed => {
            &[State::Orphan, State::Fatal, State::BadAddress, State::AmountTooSmall]
        }
        NotificationType::WithdrawalAddedToQueue => &[State::Queue],
        NotificationType::WithdrawalInConsensus => &[State::Consensus],
        NotificationType::WithdrawalConfirmed => &[State::Success],
        NotificationType::SubscriptionDisabled
        | NotificationType::DeskHalted
        | NotificationType::DeskResumed
        | NotificationType::DeskWebhookDisabled
        | NotificationType::DeskPartDown
        | NotificationType::DeskPartUp
        | NotificationType::DeskBalanceLow
        | NotificationType::DeskBalanceRestored => &[],
    }
}

/// An object that has all of these.
fn object(fields: &[(&str, Value)]) -> Value {
    let required: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn hash() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
}

fn hash_or_nothing() -> Value {
    json!({ "type": "string", "pattern": "^([0-9a-f]{64})?$" })
}

fn hash_or_null() -> Value {
    json!({ "type": ["string", "null"], "pattern": "^[0-9a-f]{64}$" })
}

fn decimal() -> Value {
    json!({ "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$" })
}

/// Amounts and rates are exact, so they are texts.
fn decimal_or_null() -> Value {
    json!({ "type": ["string", "null"], "pattern": r"^[0-9]+(\.[0-9]+)?$" })
}
