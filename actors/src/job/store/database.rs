//! The connection to either database. One is enough: each call is short, and a hosted database counts connections.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use super::{Location, PATIENCE, StoreError};

/// How long SQLite waits for another run that writes.
const BUSY: Duration = Duration::from_secs(5);

/// One of the two.
#[derive(Debug)]
pub(super) enum Database {
    Sqlite(SqlitePool),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgPool),
}

/// Does the same with whichever it is: the statements are the same, their types are not.
macro_rules! on {
    ($database:expr, |$pool:ident| $body:expr) => {
        match $database {
            crate::job::store::database::Database::Sqlite($pool) => $body,
            #[cfg(feature = "postgres")]
            crate::job::store::database::Database::Postgres($pool) => $body,
        }
    };
}
pub(super) use on;

impl Database {
    pub(super) async fn open(location: &Location) -> Result<Self, StoreError> {
        match location {
            Location::Sqlite(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(BUSY);
                let pool =
                    SqlitePoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).test_before_acquire(false);
                Ok(Self::Sqlite(pool.connect_with(options).await?))
            }
            #[cfg(feature = "postgres")]
            Location::Postgres(url) => {
                let pool = sqlx::postgres::PgPoolOptions::new()
                    .max_connections(1)
                    .acquire_timeout(PATIENCE)
                    .test_before_acquire(false);
                Ok(Self::Postgres(pool.connect_with(options(url)?).await?))
            }
        }
    }
}

/// What connects to a server. To another machine nothing goes unencrypted, or to whoever answers, unless the address says so.
#[cfg(feature = "postgres")]
pub(super) fn options(url: &str) -> Result<sqlx::postgres::PgConnectOptions, sqlx::Error> {
    use sqlx::postgres::{PgConnectOptions, PgSslMode};

    let options: PgConnectOptions = url.parse()?;
    let options = options.application_name("millrace notify");
    let is_said = url.contains("sslmode=") || url.contains("ssl-mode=");
    let is_near = options.get_socket().is_some() || is_loopback(options.get_host());
    Ok(if is_said || is_near { options } else { options.ssl_mode(PgSslMode::VerifyFull) })
}

/// A host that begins with a slash is a socket of this machine.
#[cfg(feature = "postgres")]
fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || host.starts_with('/') || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use sqlx::postgres::PgSslMode;

    use super::*;

    #[test]
    fn another_machine_is_talked_to_encrypted_and_by_its_name() {
        let mode = |url: &str| options(url).unwrap().get_ssl_mode();
        assert!(matches!(mode("postgres://a:b@db.example.org/x"), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://a:b@db.example.org/x?sslmode=require"), PgSslMode::Require));
        assert!(!matches!(mode("postgres://a:b@127.0.0.1/x"), PgSslMode::VerifyFull));
        assert!(!matches!(mode("postgres://a@localhost/x"), PgSslMode::VerifyFull));
    }
}
