//! Holds what is shown against projections that are made anew up to the same event, row by row. Nothing is written but to a
//! database that goes with whoever made it.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use millrace_model::ids::Position;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Rows};
use serde_json::Value;

use super::ProjectionError;
use super::board::Rebuild;
use super::build::{Build, Company, Source};
use super::catalog::Projection;
use super::database::{Mark, Place};
use super::stored::{StoredError, StoredViews};
use super::views::ViewError;
use crate::event_store::{OpenError, ReadError, Reader};

/// What stands where nothing stands.
const NOTHING: &str = "nothing";
/// The column with a JSON document, of which the first field that differs is told.
const DOCUMENT: &str = "body";

/// The first thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlike {
    /// In which projection.
    pub projection: Projection,
    /// In which row, by its key.
    pub key: String,
    /// In which column, and in which field of it.
    pub column: String,
    /// What is shown.
    pub shown: String,
    /// What the log says.
    pub made: String,
}

impl fmt::Display for Unlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { projection, key, column, shown, made } = self;
        write!(f, "{projection} {key}: {column} is {shown}, and made anew it is {made}")
    }
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The stored views cannot be looked at.
    #[error("the views: {0}")]
    Stored(#[from] StoredError),
    /// A projection is not of this version.
    #[error("{0} is of another version, or was not made yet; `millrace rebuild {0}` makes it")]
    OfAnother(Projection),
    /// The views are of another log.
    #[error("{projection} shows the log up to position {position}, and it ends at {end}")]
    Ahead {
        /// Which of them.
        projection: Projection,
        /// How far it goes.
        position: Position,
        /// How far the log does.
        end: Position,
    },
    /// A desk began to write meanwhile.
    #[error("a desk began to use {} while it was read; ask once more", .0.display())]
    TakenUp(PathBuf),
    /// It cannot be made anew.
    #[error(transparent)]
    Made(#[from] ProjectionError),
}

impl From<ViewError> for CompareError {
    fn from(error: ViewError) -> Self {
        Self::Made(error.into())
    }
}

impl From<rusqlite::Error> for CompareError {
    fn from(error: rusqlite::Error) -> Self {
        ViewError::from(error).into()
    }
}

impl From<OpenError> for CompareError {
    fn from(error: OpenError) -> Self {
        Self::Made(error.into())
    }
}

impl From<ReadError> for CompareError {
    fn from(error: ReadError) -> Self {
        Self::Made(error.into())
    }
}

/// The first difference between what is shown and what is made anew of the same events, or how far they were compared.
pub fn compare(
    (log, views): (&Path, &Path),
    projections: &[Projection],
    told: &mut dyn FnMut(Rebuild),
) -> Result<Result<Position, Unlike>, CompareError> {
    // The views come first: they are never ahead of the log.
    let stored = StoredViews::open(views, true)?;
    let log = Reader::look_at(log)?;
    let end = log.head()?;
    let mut compared = end;
    for (position, group) in groups(&stored, projections, end)? {
        let mut build = Build::scratch(&group)?;
        let began = Instant::now();
        build.run_to(Source { reader: &log, company: Company::Alone }, position, &mut |reached, end| {
            told(Rebuild::after(began.elapsed(), (0, reached, end)));
            ControlFlow::Continue(())
        })?;
        for projection in group {
            let unlike = first_unlike(projection, stored.connection(), build.connection())?;
            if let Some(unlike) = unlike {
                return undisturbed((&stored, views), &log, Err(unlike));
            }
        }
        compared = compared.min(position);
    }
    undisturbed((&stored, views), &log, Ok(compared))
}

/// Those that stand at the same position are made together; there is one such group but for a moment.
fn groups(
    stored: &StoredViews,
    projections: &[Projection],
    end: Position,
) -> Result<Vec<(Position, Vec<Projection>)>, CompareError> {
    let mut groups: Vec<(Position, Vec<Projection>)> = Vec::new();
    for projection in projections.iter().copied() {
        let mark = stored.mark(projection)?.filter(|mark| mark.version == projection.version());
        let Mark { position, .. } = mark.ok_or(CompareError::OfAnother(projection))?;
        if position > end {
            return Err(CompareError::Ahead { projection, position, end });
        }
        match groups.iter_mut().find(|(of_group, _)| *of_group == position) {
            Some((_, group)) => group.push(projection),
            None => groups.push((position, vec![projection])),
        }
    }
    Ok(groups)
}

/// What was read of files that nobody had open is worth nothing if somebody writes to them.
fn undisturbed<T>((stored, views): (&StoredViews, &Path), log: &Reader, found: T) -> Result<T, CompareError> {
    if stored.were_overtaken() {
        return Err(CompareError::TakenUp(views.to_owned()));
    }
    log.check_still_alone()?;
    Ok(found)
}

fn first_unlike(of: Projection, shown: &Connection, made: &Connection) -> Result<Option<Unlike>, CompareError> {
    let key = of.table().key;
    let sql = |place: Place| format!("SELECT * FROM {} ORDER BY {key}", place.table_of(of));
    let mut statements = (shown.prepare(&sql(Place::Live))?, made.prepare(&sql(Place::Next))?);
    let columns: Vec<String> = statements.0.column_names().into_iter().map(ToOwned::to_owned).collect();
    let key = columns.iter().position(|column| column == key).unwrap_or(0);
    let (mut shown, mut made): (Rows<'_>, Rows<'_>) = (statements.0.query([])?, statements.1.query([])?);
    let unlike = |key: &str, column: String, shown: String, made: String| Unlike {
        projection: of,
        key: key.to_owned(),
        column,
        shown,
        made,
    };
    loop {
        let (before, after) = match (shown.next()?, made.next()?) {
            (None, None) => return Ok(None),
            (Some(row), None) => {
                return Ok(Some(unlike(
                    &text(row, key)?,
                    "the row".to_owned(),
                    "there".to_owned(),
                    NOTHING.to_owned(),
                )));
            }
            (None, Some(row)) => {
                return Ok(Some(unlike(
                    &text(row, key)?,
                    "the row".to_owned(),
                    NOTHING.to_owned(),
                    "there".to_owned(),
                )));
            }
            (Some(before), Some(after)) => (before, after),
        };
        for (index, column) in columns.iter().enumerate() {
            let (is, ought) = (text(before, index)?, text(after, index)?);
            if is == ought {
                continue;
            }
            // The first of two rows that are not the same is the one that the other side lacks.
            if index == key {
                let (lacks, is_shown) = if precedes(before, after, key)? { (is, true) } else { (ought, false) };
                let there = |there: bool| if there { "there" } else { NOTHING }.to_owned();
                return Ok(Some(unlike(&lacks, "the row".to_owned(), there(is_shown), there(!is_shown))));
            }
            let (column, is, ought) = if column == DOCUMENT { field(is, ought) } else { (column.clone(), is, ought) };
            return Ok(Some(unlike(&text(before, key)?, column, is, ought)));
        }
    }
}

fn precedes(one: &Row<'_>, other: &Row<'_>, key: usize) -> Result<bool, rusqlite::Error> {
    Ok(match (one.get_ref(key)?, other.get_ref(key)?) {
        (ValueRef::Integer(one), ValueRef::Integer(other)) => one < other,
        (ValueRef::Text(one), ValueRef::Text(other)) => one < other,
        _ => true,
    })
}

fn text(row: &Row<'_>, index: usize) -> Result<String, rusqlite::Error> {
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
