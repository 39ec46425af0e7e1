//! Ways from older schemas of an event's payload to the newest one.
//!
//! Every change of a stored shape adds one step here, from schema n to n + 1, a golden file in `upcast/golden`, and
//! a golden log in `tests/golden`.
//!
//! A field that is added at the end, that may be missing and by which nothing is decided is no change of the shape: who does not
//! know it reads the event as it was, and loses nothing that he acts upon. Whoever does know it reads one that breaks a rule of today
//! as none, so that it never makes the event unreadable.
//!
//! Commands have no schema, since nothing acts on a stored one. A new one is stored under a name that earlier versions do not know: they
//! read its events like any others, and answer of the command that its body cannot be read when it is to be decided again. Golden
//! files of commands are named after them.

use serde_json::Value;

/// Brings a payload of `kind` from `schema` to `newest`, step by step.
pub(crate) fn to_newest(kind: &str, schema: u32, newest: u32, payload: Value) -> serde_json::Result<Value> {
    (schema..newest).try_fold(payload, |payload, from| step(kind, from, payload))
}

fn step(kind: &str, from: u32, payload: Value) -> serde_json::Result<Value> {
    match (kind, from) {
        // Reasons were added; those there were mean what they meant.
        ("Held", 1) => Ok(payload),
        // The operator's note was not kept.
        ("RefundDue", 1) => Ok(with_field(payload, "note", Value::String(String::new()))),
        _ => Err(serde::de::Error::custom(format_args!("no way from schema {from} of {kind}"))),
    }
}

fn with_field(mut payload: Value, name: &str, value: Value) -> Value {
    if let Value::Object(fields) = &mut payload {
        fields.insert(name.to_owned(), value);
    }
    payload
}

#[cfg(test)]
mod tests;
