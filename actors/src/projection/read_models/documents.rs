//! Sums that are few enough to be written as one JSON document each.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::projection::fold::{Changes, Cut};
use crate::projection::views::ViewError;

pub(super) const COLUMNS: &str = "
        name TEXT NOT NULL PRIMARY KEY,
        body TEXT NOT NULL";

pub(super) fn read<T: Default + DeserializeOwned>(cut: &Cut<'_>, name: &str) -> Result<T, ViewError> {
    let sql = format!("SELECT body FROM {} WHERE name = ?1", cut.table);
    let body: Option<String> = cut.connection.query_row(&sql, [name], |row| row.get(0)).optional()?;
    Ok(body.map(|body| serde_json::from_str(&body)).transpose()?.unwrap_or_default())
}

/// Documents that changed, each with its name.
#[derive(Debug, Default)]
pub(super) struct Documents(Vec<(&'static str, String)>);

impl Documents {
    /// The same with one more.
    pub(super) fn with(mut self, name: &'static str, document: &impl Serialize) -> Result<Self, ViewError> {
        self.0.push((name, serde_json::to_string(document)?));
        Ok(self)
    }
}

impl Changes for Documents {
    fn write(&self, connection: &Connection, table: &str) -> Result<(), ViewError> {
        let mut insert = connection.prepare_cached(&format!(
            "INSERT INTO {table} (name, body) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET body = excluded.body"
        ))?;
        self.0.iter().try_for_each(|(name, body)| Ok(insert.execute(params![name, body]).map(drop)?))
    }
}
