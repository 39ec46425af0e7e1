//! Sums that are few enough to be written as one JSON document each.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::projection::fold::Cut;
use crate::projection::views::ViewError;

pub(super) const COLUMNS: &str = "
        name TEXT NOT NULL PRIMARY KEY,
        body TEXT NOT NULL";

pub(super) fn read<T: Default + DeserializeOwned>(cut: &Cut<'_>, name: &str) -> Result<T, ViewError> {
    let sql = format!("SELECT body FROM {} WHERE name = ?1", cut.table);
    let body: Option<String> = cut.connection.query_row(&sql, [name], |row| row.get(0)).optional()?;
    Ok(body.map(|body| serde_json::from_str(&body)).transpose()?.unwrap_or_default())
}

pub(super) fn write(cut: &Cut<'_>, name: &str, document: &impl Serialize) -> Result<(), ViewError> {
    let mut insert = cut.connection.prepare_cached(&format!(
        "INSERT INTO {} (name, body) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        cut.table
    ))?;
    insert.execute(params![name, serde_json::to_string(document)?])?;
    Ok(())
}
