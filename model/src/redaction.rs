//! What of the log tells of a person, and how it is left out when a log is given away.
//!
//! One table says of every field of every event and command whether it is personal. Personal ones are replaced by
//! pseudonyms of the same shape that are made with a key, so that what is equal stays equal within one export, and nobody
//! can find out whose an address is by trying addresses. Amounts, times, blocks and the desk's own numbers stay: whoever
//! reads them beside a public chain may still find the transaction.
//!
//! A field that the table does not name is an error, never let through.

mod pseudonym;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::samples;

use serde_json::Value;

use crate::event::Event;
use crate::ids::{CommandId, StreamName};

pub use pseudonym::{Pseudonyms, Shape};

/// What is replaced, in words, for whoever gets the result.
pub const REPLACED: [&str; 6] =
    ["addresses", "transaction ids", "transactions", "notes and reasons", "order ids", "command ids"];

/// Something of which nobody has said whether it is personal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nobody has said whether the field {path:?} of {of:?} is personal")]
pub struct Unclassified {
    /// The kind of the event, or the name of the command.
    pub of: String,
    /// The field, with dots between names; `[]` stands for any place in a list.
    pub path: String,
}

/// Replaces what is personal in the fields of an event of this kind.
pub fn event(kind: &str, fields: &mut Value, pseudonyms: &Pseudonyms) -> Result<(), Unclassified> {
    let table = table::of(table::EVENTS, kind).ok_or_else(|| unclassified(kind, ""))?;
    redact(&[table], fields, pseudonyms)
}

/// Replaces what is personal in the body of a command of this name.
pub fn command(name: &str, body: &mut Value, pseudonyms: &Pseudonyms) -> Result<(), Unclassified> {
    let tables = [table::of(table::COMMANDS, name).ok_or_else(|| unclassified(name, ""))?, &table::ANY_COMMAND];
    match body {
        // A deposit's command stands in its own name, and one that says nothing more is its name.
        Value::Object(inside) if inside.len() == 1 && inside.contains_key(name) => match inside.get_mut(name) {
            Some(fields) => redact(&tables, fields, pseudonyms),
            None => Ok(()),
        },
        Value::String(alone) if alone == name => Ok(()),
        body => redact(&tables, body, pseudonyms),
    }
}

/// The name of a stream without what is personal in it.
pub fn stream(name: &StreamName, pseudonyms: &Pseudonyms) -> StreamName {
    match name {
        StreamName::Binding(address) => StreamName::Binding(pseudonyms.of(Shape::Address, address).into()),
        StreamName::Deposit(_)
        | StreamName::AddressBook
        | StreamName::Chain
        | StreamName::Wallet
        | StreamName::Desk
        | StreamName::Subscription(_) => name.clone(),
    }
}

/// A command's id, which is made of what the command says.
pub fn command_id(id: CommandId, pseudonyms: &Pseudonyms) -> CommandId {
    CommandId(pseudonyms.of_bytes("command", &id.0))
}

/// Whether the table knows every kind of event there is.
pub fn knows_every_kind() -> bool {
    Event::kinds().all(|(kind, _)| table::of(table::EVENTS, kind).is_some())
}

/// The first table is that of the kind or the name.
fn redact(tables: &[&table::Fields], value: &mut Value, pseudonyms: &Pseudonyms) -> Result<(), Unclassified> {
    each_leaf(value, &mut String::new(), &mut |path, leaf| {
        let unknown = || unclassified(tables[0].of, path);
        match (tables.iter().find_map(|table| table.says(path)).ok_or_else(unknown)?, leaf) {
            (table::Said::Plain, _) => {}
            (table::Said::Personal(shape), Value::String(text)) => *text = pseudonyms.of(shape, text),
            // A number or a yes has no shape that it could keep.
            (table::Said::Personal(_), _) => return Err(unknown()),
        }
        Ok(())
    })
}

fn unclassified(of: &str, path: &str) -> Unclassified {
    Unclassified { of: of.to_owned(), path: path.to_owned() }
}

type Seen<'a> = dyn FnMut(&str, &mut Value) -> Result<(), Unclassified> + 'a;

/// Everything in a value that has nothing in itself. Nothing is nobody's secret, and is passed over.
fn each_leaf(value: &mut Value, path: &mut String, seen: &mut Seen<'_>) -> Result<(), Unclassified> {
    let above = path.len();
    match value {
        Value::Null => Ok(()),
        Value::Array(inside) => {
            path.push_str("[]");
            let looked = inside.iter_mut().try_for_each(|value| each_leaf(value, path, seen));
            path.truncate(above);
            looked
        }
        Value::Object(inside) => inside.iter_mut().try_for_each(|(name, value)| {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
            let looked = each_leaf(value, path, seen);
            path.truncate(above);
            looked
        }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => seen(path, value),
    }
}
