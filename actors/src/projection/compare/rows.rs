//! Two tables of a projection, gone through side by side in the order of their keys: in memory is one row of each.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Rows};
use serde_json::Value;

use super::{CompareError, Unlike};
use crate::projection::catalog::Projection;
use crate::projection::database::Place;

/// What stands where nothing stands.
const NOTHING: &str = "nothing";
/// The column with a JSON document, of which the first field that differs is told.
const DOCUMENT: &str = "body";

/// Whoever asked hears of each row, with what differs in it if anything does; and can break it off.
pub(super) type Heard<'h> = &'h mut dyn FnMut(Option<Unlike>) -> ControlFlow<()>;

/// Goes through all rows that are shown and all that were made.
pub(super) fn each_row(
    of: Projection,
    shown: &Connection,
    made: &Connection,
    heard: Heard<'_>,
) -> Result<ControlFlow<()>, CompareError> {
    let key = of.table().key;
    let sql = |place: Place| format!("SELECT * FROM {} ORDER BY {key}", place.table_of(of));
    let mut statements = (shown.prepare(&sql(Place::Live))?, made.prepare(&sql(Place::Next))?);
    let names: Vec<String> = statements.0.column_names().into_iter().map(ToOwned::to_owned).collect();
    let key = names.iter().position(|name| name == key).unwrap_or(0);
    let columns = Columns { of, names, key };
    let (mut shown, mut made): (Rows<'_>, Rows<'_>) = (statements.0.query([])?, statements.1.query([])?);
    shown.advance()?;
    made.advance()?;
    loop {
        let (unlike, comes_first) = match (shown.get(), made.get()) {
            (None, None) => return Ok(ControlFlow::Continue(())),
            (Some(row), None) => (Some(columns.lone(row, Ordering::Less)?), Ordering::Less),
            (None, Some(row)) => (Some(columns.lone(row, Ordering::Greater)?), Ordering::Greater),
            // The first of two rows that are not the same is the one that the other side lacks.
            (Some(is), Some(ought)) => match order(is, ought, key)? {
                Ordering::Equal => (columns.unlike(is, ought)?, Ordering::Equal),
                Ordering::Less => (Some(columns.lone(is, Ordering::Less)?), Ordering::Less),
                Ordering::Greater => (Some(columns.lone(ought, Ordering::Greater)?), Ordering::Greater),
            },
        };
        if heard(unlike).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if comes_first.is_le() {
            shown.advance()?;
        }
        if comes_first.is_ge() {
            made.advance()?;
        }
    }
}

/// The columns of both tables.
struct Columns {
    of: Projection,
    names: Vec<String>,
    key: usize,
}

impl Columns {
    fn told(&self, row: &Row<'_>, (column, shown, made): (String, String, String)) -> rusqlite::Result<Unlike> {
        Ok(Unlike { projection: self.of, key: text(row, self.key)?, column, shown, made })
    }

    /// A row that only what is shown has, which comes first, or only what was made, before which nothing is shown.
    fn lone(&self, row: &Row<'_>, side: Ordering) -> rusqlite::Result<Unlike> {
        let there = |there: bool| if there { "there" } else { NOTHING }.to_owned();
        self.told(row, ("the row".to_owned(), there(side.is_lt()), there(side.is_gt())))
    }

    /// The first column in which two rows of one key are not the same.
    fn unlike(&self, is: &Row<'_>, ought: &Row<'_>) -> rusqlite::Result<Option<Unlike>> {
        for (index, name) in self.names.iter().enumerate() {
            if is.get_ref(index)? == ought.get_ref(index)? {
                continue;
            }
            let (shown, made) = (text(is, index)?, text(ought, index)?);
            let found = if name == DOCUMENT { field(shown, made) } else { (name.clone(), shown, made) };
            return self.told(is, found).map(Some);
        }
        Ok(None)
    }
}

/// Keys of one table are of one kind.
fn order(one: &Row<'_>, other: &Row<'_>, key: usize) -> rusqlite::Result<Ordering> {
    Ok(match (one.get_ref(key)?, other.get_ref(key)?) {
        (ValueRef::Integer(one), ValueRef::Integer(other)) => one.cmp(&other),
        (ValueRef::Text(one), ValueRef::Text(other)) => one.cmp(other),
        _ => Ordering::Less,
    })
}

fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(index)? {
        ValueRef::Null => NOTHING.to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("{bytes:02x?}"),
    })
}

/// The first field of two documents that differs, if they are objects.
fn field(shown: String, made: String) -> (String, String, String) {
    let whole = |shown, made| (DOCUMENT.to_owned(), shown, made);
    let (Ok(Value::Object(is)), Ok(Value::Object(ought))) = (serde_json::from_str(&shown), serde_json::from_str(&made))
    else {
        return whole(shown, made);
    };
    let text = |value: Option<&Value>| value.map_or_else(|| NOTHING.to_owned(), ToString::to_string);
    let mut names = ought.keys().chain(is.keys());
    match names.find(|name| is.get(*name) != ought.get(*name)) {
        Some(name) => (format!("{DOCUMENT}.{name}"), text(is.get(name)), text(ought.get(name))),
        None => whole(shown, made),
    }
}
