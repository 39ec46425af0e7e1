//! What the projection writes into the views, each time in one transaction.

use millrace_model::ids::Position;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Connection, QueryBuilder, Row, SqliteConnection};

use super::row::DepositRow;
use super::totals::Totals;
use super::views::{BindingRow, LedgerCut, ViewError};

/// The newest shape of what is derived. A database with another is thrown away and made again from the log.
pub(super) const VERSION: i64 = 4;
/// How many rows one statement writes.
const CHUNK_SIZES: [usize; 4] = [64, 16, 4, 1];

/// How far the views are and what they add up to. Without a head of the log, and when they are ahead of it or of another
/// shape, they are emptied first.
pub(super) async fn begin(
    views: &mut SqliteConnection,
    log_head: Option<Position>,
) -> Result<(Totals, LedgerCut), ViewError> {
    // A commit of the incarnation before may still be under way: it is through, or came to nothing, before anything is read.
    // Sums and position of two moments would count deposits twice.
    let mut transaction = views.begin_with("BEGIN IMMEDIATE").await?;
    let found = sqlx::query("SELECT version, position FROM checkpoint WHERE name = 'deposits'")
        .fetch_optional(&mut *transaction)
        .await?;
    let position = found.filter(|row| row.get::<i64, _>(0) == VERSION).map(|row| row.get::<i64, _>(1) as Position);
    let position = position.filter(|position| log_head.is_some_and(|head| *position <= head));
    if position.is_none() {
        clear(&mut transaction).await?;
    }
    let totals = read_sums(&mut transaction, "deposits").await?;
    let balances = read_sums(&mut transaction, "ledger").await?;
    let unreadable = read_sums(&mut transaction, "unreadable").await?;
    transaction.commit().await?;
    Ok((totals, LedgerCut { position: position.unwrap_or(0), balances, unreadable }))
}

pub(super) async fn write(
    views: &mut SqliteConnection,
    deposits: &[DepositRow],
    bindings: &[BindingRow],
    totals: &Totals,
    (before, after): (&LedgerCut, &LedgerCut),
) -> Result<(), ViewError> {
    let mut transaction = views.begin_with("BEGIN IMMEDIATE").await?;
    for rows in chunks(deposits) {
        write_deposits(&mut transaction, rows).await?;
    }
    for rows in chunks(bindings) {
        write_bindings(&mut transaction, rows).await?;
    }
    if !deposits.is_empty() || !bindings.is_empty() {
        write_sums(&mut transaction, "deposits", totals).await?;
    }
    if before.balances != after.balances {
        write_sums(&mut transaction, "ledger", &after.balances).await?;
    }
    if before.unreadable != after.unreadable {
        write_sums(&mut transaction, "unreadable", &after.unreadable).await?;
    }
    sqlx::query(
        "INSERT INTO checkpoint (name, version, position) VALUES ('deposits', ?1, ?2)
         ON CONFLICT (name) DO UPDATE SET version = excluded.version, position = excluded.position",
    )
    .bind(VERSION)
    .bind(after.position as i64)
    .execute(&mut *transaction)
    .await?;
    Ok(transaction.commit().await?)
}

async fn clear(views: &mut SqliteConnection) -> Result<(), ViewError> {
    for emptied in ["DELETE FROM deposits", "DELETE FROM bindings", "DELETE FROM totals", "DELETE FROM checkpoint"] {
        sqlx::query(emptied).execute(&mut *views).await?;
    }
    Ok(())
}

async fn write_sums(connection: &mut SqliteConnection, name: &str, sums: &impl Serialize) -> Result<(), ViewError> {
    sqlx::query(
        "INSERT INTO totals (name, body) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
    )
    .bind(name)
    .bind(serde_json::to_string(sums)?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_deposits(connection: &mut SqliteConnection, rows: &[DepositRow]) -> Result<(), ViewError> {
    let bodies: Vec<String> = rows.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    let mut query = QueryBuilder::new("INSERT INTO deposits (seq, id, target, address, status, body) ");
    query.push_values(rows.iter().zip(bodies), |mut values, (row, body)| {
        values
            .push_bind(row.seq as i64)
            .push_bind(row.id.to_string())
            .push_bind(row.target.as_deref())
            .push_bind(&row.address)
            .push_bind(&row.status)
            .push_bind(body);
    });
    query.push(" ON CONFLICT (seq) DO UPDATE SET status = excluded.status, body = excluded.body");
    query.build().execute(connection).await?;
    Ok(())
}

async fn write_bindings(connection: &mut SqliteConnection, rows: &[BindingRow]) -> Result<(), ViewError> {
    let mut query = QueryBuilder::new("INSERT INTO bindings (seq, address, target, number, method, bound_at) ");
    query.push_values(rows, |mut values, row| {
        values
            .push_bind(row.seq as i64)
            .push_bind(&row.address)
            .push_bind(&row.target)
            .push_bind(row.number)
            .push_bind(&row.method)
            .push_bind(row.bound_at.timestamp_micros());
    });
    query.push(" ON CONFLICT (seq) DO NOTHING");
    query.build().execute(connection).await?;
    Ok(())
}

/// Cuts rows into pieces of a few sizes, so that a few statements, prepared once, write any number.
fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = CHUNK_SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (chunk, rest) = rows.split_at(size);
        rows = rest;
        Some(chunk)
    })
}

async fn read_sums<T: Default + DeserializeOwned>(views: &mut SqliteConnection, name: &str) -> Result<T, ViewError> {
    let body: Option<String> =
        sqlx::query_scalar("SELECT body FROM totals WHERE name = ?1").bind(name).fetch_optional(views).await?;
    Ok(body.map(|body| serde_json::from_str(&body)).transpose()?.unwrap_or_default())
}
