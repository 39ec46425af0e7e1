//! Two states of one thing, field by field.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A field of a state, before and after. Where one of the two is nothing, the field was not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Where it is: names and, in lists, numbers from 0, with dots between.
    pub path: String,
    /// What it was.
    pub before: Option<Value>,
    /// What it is.
    pub after: Option<Value>,
}

impl Field {
    /// Whether it is another than it was.
    pub fn is_changed(&self) -> bool {
        self.before != self.after
    }
}

/// Every field of two states, in the order of their paths. Fields are what has no fields of its own: texts, numbers, lists
/// and objects that are empty. Null counts as nothing.
pub fn fields(before: &Value, after: &Value) -> Vec<Field> {
    let mut both: BTreeMap<String, (Option<Value>, Option<Value>)> = BTreeMap::new();
    leaves(before, &mut String::new(), &mut |path, value| both.entry(path.to_owned()).or_default().0 = Some(value));
    leaves(after, &mut String::new(), &mut |path, value| both.entry(path.to_owned()).or_default().1 = Some(value));
    both.into_iter().map(|(path, (before, after))| Field { path, before, after }).collect()
}

fn leaves(value: &Value, path: &mut String, found: &mut impl FnMut(&str, Value)) {
    match value {
        Value::Null => {}
        Value::Object(inside) if !inside.is_empty() => {
            inside.iter().for_each(|(name, value)| within(path, name, |path| leaves(value, path, &mut *found)));
        }
        Value::Array(inside) if !inside.is_empty() => {
            let numbered = inside.iter().enumerate();
            numbered.for_each(|(at, value)| within(path, &at.to_string(), |path| leaves(value, path, &mut *found)));
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) | Value::Array(_) => {
            found(path, value.clone());
        }
    }
}

/// One step down, and back.
fn within(path: &mut String, name: &str, look: impl FnOnce(&mut String)) {
    let above = path.len();
    if above > 0 {
        path.push('.');
    }
    path.push_str(name);
    look(path);
    path.truncate(above);
}
