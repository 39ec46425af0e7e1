//! Bringing the job's tables forward. Two runs at once do it one after the other.

use super::StoreError;
use super::database::Database;

const SQLITE: &[&str] = &[include_str!("../../../../migrations/sqlite/job/0001_job.sql")];
#[cfg(feature = "postgres")]
const POSTGRES: &[&str] = &[include_str!("../../../../migrations/postgres/job/0001_job.sql")];
/// By which runs wait for each other in PostgreSQL: any number that nobody else uses.
#[cfg(feature = "postgres")]
const LOCK: i64 = 0x6d69_6c6c_6a6f_6201;

/// Everything is read before anything is written, in one transaction.
macro_rules! bring_forward {
    ($transaction:ident, $migrations:expr, $tables:expr) => {{
        let tables: Vec<String> = sqlx::query_scalar($tables).fetch_all(&mut *$transaction).await?;
        let found: i64 = if tables.iter().any(|table| table == "millrace_job_version") {
            sqlx::query_scalar("SELECT version FROM millrace_job_version").fetch_one(&mut *$transaction).await?
        } else if tables.is_empty() {
            0
        } else {
            return Err(StoreError::Foreign);
        };
        for migration in missing($migrations, found)? {
            sqlx::raw_sql(*migration).execute(&mut *$transaction).await?;
        }
        if found == 0 {
            let inserted = sqlx::query("INSERT INTO millrace_job_version (version) VALUES (0)");
            inserted.execute(&mut *$transaction).await?;
        }
        let newest = i64::try_from($migrations.len()).unwrap_or(i64::MAX);
        if found < newest {
            let updated = sqlx::query("UPDATE millrace_job_version SET version = $1").bind(newest);
            updated.execute(&mut *$transaction).await?;
        }
        $transaction.commit().await?;
    }};
}

pub(super) async fn run(database: &Database) -> Result<(), StoreError> {
    match database {
        Database::Sqlite(pool) => {
            let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
            let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'";
            bring_forward!(transaction, SQLITE, tables);
        }
        #[cfg(feature = "postgres")]
        Database::Postgres(pool) => {
            let mut transaction = pool.begin().await?;
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
            // A database may be shared with others, whose tables have other names.
            let tables = "SELECT tablename::text FROM pg_tables
                          WHERE schemaname = current_schema() AND tablename = 'millrace_job_version'";
            bring_forward!(transaction, POSTGRES, tables);
        }
    }
    Ok(())
}

fn missing<'m>(migrations: &'m [&'static str], found: i64) -> Result<&'m [&'static str], StoreError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let applied = usize::try_from(found).map_err(|_| StoreError::Damaged("its schema has no version"))?;
    migrations.get(applied..).ok_or(StoreError::Newer { found, known })
}
