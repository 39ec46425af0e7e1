//! What a type's word stands for, as JSON Schema: as narrow as what the desk takes, so that whoever reads the document
//! knows what will be refused.

use millrace_actors::projection::OFFSET_MAX;
use serde_json::{Value, json};

use crate::web::operator::{deposit_statuses, event_kinds, notification_patterns};
use crate::web::{cursor, history};

/// Plain text: no control characters, and not white space alone.
const PLAIN: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";
/// Visible characters, and spaces between them: what arrives of a header's value.
const VISIBLE: &str = "^[!-~]([ -~]{0,126}[!-~])?$";
/// Whom a key belongs to: the address that is paid, or the id of a deposit that is nobody's.
const CUSTOMER: &str = "^[!-~]{1,128}$";
/// An amount of bitcoins; what is above all amounts is out of range anyway.
const BITCOINS: &str = r"^0*[0-9]{1,10}(\.[0-9]{1,8}0*)?$";
/// The same of skycoins.
const SKYCOINS: &str = r"^0*[0-9]{1,12}(\.[0-9]{1,6}0*)?$";
const STREAM: &str =
    r"^(deposit/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|binding/.*|address_book|chain/btc|wallet/sky|desk)$";

/// What a type's word stands for.
pub(super) fn schema(word: &str) -> Value {
    if let Some(word) = word.strip_suffix('?') {
        return json!({ "anyOf": [schema(word), { "type": "null" }] });
    }
    if let Some(word) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
        return json!({ "type": "array", "items": schema(word) });
    }
    if let Some(words) = word.strip_prefix('=') {
        return json!({ "type": "string", "enum": words.split('|').collect::<Vec<_>>() });
    }
    match word {
        "string" | "integer" | "boolean" | "object" => json!({ "type": word }),
        "any" => json!({}),
        "time" => json!({ "type": "string", "format": "date-time" }),
        "uuid" => json!({ "type": "string", "format": "uuid" }),
        // Amounts, rates and prices are exact, so they are texts.
        "decimal" => json!({ "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$" }),
        "signed" => json!({ "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$" }),
        "bitcoins" => json!({ "type": "string", "pattern": BITCOINS, "maxLength": 64 }),
        "skycoins" => json!({ "type": "string", "pattern": SKYCOINS, "maxLength": 64 }),
        "hash" => json!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" }),
        "note" => json!({ "type": "string", "pattern": PLAIN, "minLength": 1, "maxLength": 200 }),
        "key" => json!({ "type": "string", "pattern": VISIBLE }),
        "customer" => json!({ "type": "string", "pattern": CUSTOMER }),
        "backup name" => json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" }),
        "position" => json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
        "rows" => json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }),
        "offset" => json!({ "type": "integer", "minimum": 0, "maximum": OFFSET_MAX }),
        "cursor" => json!({ "type": "string", "pattern": cursor::PATTERN }),
        "event pattern" => json!({ "type": "string", "enum": history::patterns() }),
        "notification pattern" => json!({ "type": "string", "enum": notification_patterns() }),
        "rows or none" | "seconds" => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        "hours" => json!({ "type": "integer", "minimum": 0, "maximum": 7 * 24 }),
        "stream" => json!({ "type": "string", "pattern": STREAM }),
        "kinds" => json!({ "type": "string", "pattern": kinds() }),
        "status" => json!({ "type": "string", "enum": deposit_statuses() }),
        shape => json!({ "$ref": format!("#/components/schemas/{shape}") }),
    }
}

/// Kinds of events with commas between them.
fn kinds() -> String {
    let names: Vec<_> = event_kinds().collect();
    let one = format!("({})", names.join("|"));
    format!("^{one}(,{one})*$")
}

/// A parameter's name and type: the type stands after a colon, or goes without saying.
pub(super) fn parameter(entry: &str) -> (&str, &str) {
    entry.split_once(':').unwrap_or((
        entry,
        match entry {
            "after" | "position" => "position",
            "limit" => "rows",
            "wait_s" => "seconds",
            "kind" => "kinds",
            "stream" => "stream",
            "status" => "status",
            "id" => "uuid",
            "customer" | "user" => "customer",
            "cursor" => "cursor",
            "offset" => "offset",
            "event" => "event pattern",
            "coin" => "=BTC|SKY",
            "type" => "=deposit|withdrawal",
            "switch" => "=binds|purchases|sends",
            "Idempotency-Key" => "key",
            _ => "string",
        },
    ))
}
